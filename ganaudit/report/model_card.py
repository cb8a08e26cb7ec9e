"""A block for a Hugging Face model card: the numbers as ``model-index`` in YAML, and a section of Markdown.

The metadata's keys are those of the Hub's specification of model cards. It has no place for an interval, a null, n or a
direction, so these stand in each metric's ``args``.
"""

from __future__ import annotations

import re
from typing import Any

from ganaudit.document.model import AuditDocument, Measurement
from ganaudit.report.judged import Judged
from ganaudit.report.markdown import escape
from ganaudit.report.summary import gaps, summarise
from ganaudit.report.words import count, direction, number, plain, span

__all__ = ["front_matter", "render_model_card"]

_LONGEST = 1_000


def render_model_card(judged: Judged) -> str:
    """Return YAML front matter and a Markdown section, for a card of its own or to be merged into one.

    Nothing is claimed as verified: the numbers are the subject's owner's own.
    """
    import yaml

    matter = yaml.safe_dump(front_matter(judged.document), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{matter}---\n\n" + "\n".join(_section(judged)) + "\n"


def front_matter(document: AuditDocument) -> dict[str, Any]:
    """Return the metadata: one result of one task and one data set, with a metric for every number with a value."""
    reference = document.reference
    metrics = [
        _metric(document, r.evaluator, m) for r in document.results for m in r.measurements if m.value is not None
    ]
    dataset = {
        "name": _text(reference.name),
        "type": re.sub(r"[^A-Za-z0-9._/-]+", "-", _text(reference.name)).strip("-") or "reference",
        "split": _text(reference.against),
        "revision": _text(reference.digest),
    }
    result = {"task": _task(document), "dataset": dataset, "metrics": metrics}
    return {"tags": ["gan", "ganaudit"], "model-index": [{"name": _text(document.subject.name), "results": [result]}]}


def _task(document: AuditDocument) -> dict[str, str]:
    """Return the Hub's name of what the subject does; a sample's shape tells images from waveforms."""
    sizes = re.match(r"\d+(?:\s*[x×]\s*\d+)*", document.subject.sample)
    sides = len(re.findall(r"\d+", sizes.group())) if sizes else 0
    image = sides == 3
    if image and not document.subject.classes:
        return {"type": "unconditional-image-generation", "name": "Unconditional image generation"}
    kind = "image" if image else "audio" if sides == 2 else "sample"
    return {"type": f"{kind}-generation", "name": f"{kind.capitalize()} generation"}


def _metric(document: AuditDocument, evaluator: str, m: Measurement) -> dict[str, Any]:
    interval: Any = f"none: {_text(m.interval_reason or '')}"
    if m.interval is not None:
        i = m.interval
        interval = {
            "low": i.low,
            "high": i.high,
            "level": i.level,
            "method": _text(i.method),
            "covers": _text(i.covers),
        }
    null: Any = f"none: {_text(m.null_reason or '')}"
    if m.null is not None:
        ends = {"low": m.null.low, "high": m.null.high} if m.null.low is not None else {}
        null = {"value": m.null.value, **ends, "n": m.null.n, "of": _text(m.null.of)}
    args = {
        "n": m.n,
        "interval": interval,
        "null": null,
        "unit": _text(m.unit),
        "better": m.better,
        "estimator": _text(m.estimator),
        "extractor": _text(document.extractor.id),
        "extractor_digest": _text(document.extractor.digest),
        "subject": _text(document.subject.digest),
        "ganaudit": _text(document.environment.ganaudit),
    }
    name = _text(f"{evaluator}/{m.key}")
    return {"type": name, "name": _text(m.title), "value": m.value, "args": args, "verified": False}


def _section(judged: Judged) -> list[str]:
    document, summary = judged.document, summarise(judged.document)
    lines = [
        "## Evaluation",
        "",
        f"Measured by ganaudit {escape(document.environment.ganaudit)} on {escape(document.started)}, held against "
        f"{escape(document.reference.name)} ({escape(document.reference.against)}), features by "
        f"{escape(document.extractor.id)}. Subject {escape(document.subject.digest)}.",
        "",
        f"Verdict: {summary.word}. {escape(summary.sentence)}.",
        "",
        "| Number | Value | 95 % interval | Null | n | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(r.evaluator, m) for r in document.results for m in r.measurements if m.value is not None]
    told = dict.fromkeys([*document.remarks, *document.warnings])
    if told:
        lines += ["", "### What weakens these numbers", "", *(f"- {escape(text)}" for text in told)]
    missing = gaps(document)
    if missing:
        lines += ["", "### Not measured", ""]
        lines += [f"- {escape(f'{g.evaluator}/{g.key}'.rstrip('/'))}: {escape(g.reason)}" for g in missing]
    return lines


def _row(evaluator: str, m: Measurement) -> str:
    assert m.value is not None
    interval = span(m.interval) or escape(f"none: {m.interval_reason}")
    if m.interval is not None and m.interval.level != 0.95:
        interval += f" ({m.interval.level:g})"
    null = escape(f"none: {m.null_reason}") if m.null is None else f"{number(m.null.value)} {span(m.null)}".rstrip()
    if m.null is not None and m.null.otherwise:
        null += f" ({escape(m.null.otherwise)})"
    cells = [escape(f"{evaluator}/{m.key}"), f"{number(m.value)} {escape(m.unit)}".rstrip(), interval, null]
    return f"| {' | '.join([*cells, count(m.n), direction(m)[1]])} |"


def _text(text: str) -> str:
    """Return text on one line: a line of hyphens alone would end the front matter."""
    return " ".join(plain(text, _LONGEST).split())
