"""What an audit is to an experiment tracker: numbers, parameters, tags and files, alike for all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganaudit.document.model import AuditDocument

__all__ = ["Run", "run_of"]

_LONGEST_KEY, _LONGEST_VALUE = 250, 500
"""Characters that the strictest tracker takes of a name and of a parameter."""


@dataclass(frozen=True, slots=True)
class Run:
    """One audit to be logged."""

    name: str
    metrics: Mapping[str, float]
    """``<evaluator>/<key>``, with ``_low`` and ``_high`` behind it for the interval, ``_null`` for the null, ``_n``."""
    params: Mapping[str, str]
    """The plan, nested keys joined by points, long values cut."""
    tags: Mapping[str, str]
    """Digests of subject, reference, comparability and document, the extractor, the version, the verdict's counts."""
    files: tuple[Path, ...]
    """The document, and the report where it stands beside it."""


def run_of(document: AuditDocument, file: Path, name: str | None = None) -> Run:
    """Return what is logged of an audit that was read from ``file``; ``name`` defaults to the subject's.

    Numbers without a value are left out, as no tracker can tell why. Names keep to letters, digits and ``_-. /``.
    """
    report = file.parent / "report.html"
    return Run(
        name=name or _name(document.subject.name),
        metrics=dict(_metrics(document)),
        params={_name(key)[:_LONGEST_KEY]: _short(value) for key, value in _flat(document.plan)},
        tags={f"ganaudit.{key}": value for key, value in _tags(document)},
        files=(file, *([report] if report.is_file() else [])),
    )


def _metrics(document: AuditDocument) -> Iterator[tuple[str, float]]:
    for result in document.results:
        for m in result.measurements:
            if m.value is None:
                continue
            name = _name(f"{result.evaluator}/{m.key}")
            # An underscore, as keys have none, and no further stroke: trackers that keep files would want a folder.
            yield name, m.value
            yield f"{name}_n", float(m.n)
            if m.interval is not None:
                yield f"{name}_low", m.interval.low
                yield f"{name}_high", m.interval.high
            if m.null is not None:
                yield f"{name}_null", m.null.value
    for outcome in dict.fromkeys(v.outcome for v in document.verdicts):
        yield f"gates/{outcome}", float(sum(v.outcome == outcome for v in document.verdicts))


def _tags(document: AuditDocument) -> Iterator[tuple[str, str]]:
    yield "subject", document.subject.digest
    yield "reference", document.reference.digest
    yield "comparability", document.comparability.digest
    yield "extractor", document.extractor.id
    yield "version", document.environment.ganaudit
    yield "started", document.started
    if document.integrity is not None:
        yield "document", document.integrity


def _flat(data: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _name(text: str) -> str:
    """Return text as every tracker takes it for a name: no mark that is a path's, no empty part."""
    parts = (re.sub(r"[^A-Za-z0-9_. -]", "_", part).strip(" .") for part in text.split("/"))
    return "/".join(part or "_" for part in parts)[:_LONGEST_KEY]
