"""Numbers as OpenMetrics text, for GitLab's metrics reports and anything else that reads the format.

GitLab compares the values of two branches as strings, so a value is written with the digits that its interval allows.
It reads a line as a shell would (a number sign begins a comment, quotes and backslashes group), so label values keep
to characters that mean nothing to either reader.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from ganaudit.document.keys import family, part
from ganaudit.document.model import AuditDocument, EvaluatorResult, Measurement
from ganaudit.report.judged import Judged
from ganaudit.report.summary import OUTCOMES
from ganaudit.report.words import plain

__all__ = ["meaningful", "render_openmetrics"]

_LONGEST = 1_000
_DIGITS = 6
"""Digits of a value whose interval is missing or has no width."""
_UNITS = frozenset({"seconds", "milliseconds", "bytes", "joules", "bits", "nats"})
"""Units that are one word and belong into a name; the others stand in its HELP."""
_PART = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class _Sample:
    name: str
    unit: str
    help: str
    labels: tuple[tuple[str, str], ...]
    value: str
    key: str = ""


def render_openmetrics(judged: Judged) -> str:
    """Return every number of the audit, the verdicts' counts and the exit code as OpenMetrics text.

    A number is a gauge ``ganaudit_<evaluator>_<key>``; of a family, such as ``robust-accuracy-at-{budget}``, the entry
    is a label. What it rests on (interval, n, null or why there is none) stands in its HELP, which GitLab skips; a
    number without a value is left out. Metrics come in the document's order, those of one name together.
    """
    samples = [*_verdicts(judged), *_measurements(judged.document)]
    families: dict[str, list[_Sample]] = {}
    for sample in samples:
        families.setdefault(sample.name, []).append(sample)
    lines = []
    for name, kin in families.items():
        lines += [f"# TYPE {name} gauge"]
        lines += [f"# UNIT {name} {kin[0].unit}"] if kin[0].unit else []
        lines += [f"# HELP {name} {_escaped(plain(kin[0].help, _LONGEST))}"]
        doubled = Counter(sample.labels for sample in kin)
        for sample in kin:
            own = (("key", _label(sample.key)),) if doubled[sample.labels] > 1 else ()
            labels = ",".join(f'{key}="{value}"' for key, value in (*sample.labels, *own))
            lines.append(f"{name}{{{labels}}} {sample.value}" if labels else f"{name} {sample.value}")
    return "\n".join([*lines, "# EOF"]) + "\n"


def meaningful(value: float, half: float | None) -> str:
    """Return ``value`` rounded to the first digit of ``half``, half the width of its interval; a decimal number.

    0.97314 with a half of 0.0042 is 0.973, 12.29 with 1.4 is 12. Six digits where there is no width to round by.
    """
    if value == 0.0:
        return "0"
    size = half if half else abs(value) * 10.0 ** (1 - _DIGITS)
    exponent = math.floor(math.log10(size)) if size >= 5e-324 else -323
    exponent = max(exponent, math.floor(math.log10(abs(value))) - 16)  # a float has no more digits than these
    rounded = Decimal(repr(value)).scaleb(-exponent).to_integral_value().scaleb(exponent)
    if rounded == 0:
        return "0"
    plain_enough = exponent >= -9 and rounded.adjusted() < 15
    return f"{rounded:f}" if plain_enough else f"{rounded:E}".lower()


def _measurements(document: AuditDocument) -> Iterator[_Sample]:
    subject = ("subject", _label(document.subject.name))
    for result in document.results:
        declared = [d.key for d in result.declares]
        for m in result.measurements:
            if m.value is None:
                continue
            pattern = family(m.key, declared) or m.key
            found = _PART.search(pattern)
            entry = part(pattern, m.key) if found else None
            labels = (subject, (_name(found.group(1)), _label(entry))) if found and entry is not None else (subject,)
            unit = m.unit if m.unit in _UNITS else ""
            name = _name("_".join(["ganaudit", result.evaluator, _PART.sub("", pattern), unit]))
            yield _Sample(name, unit, _help(result, m, pattern), labels, meaningful(m.value, _half(m)), m.key)


def _help(result: EvaluatorResult, m: Measurement, pattern: str) -> str:
    if pattern != m.key:  # one HELP speaks for all entries, so what differs between them is not in it
        title = next(d.title for d in result.declares if d.key == pattern)
        return f"{result.title}: {title}; {m.better} is better; intervals and nulls are in document.json"
    interval, null = f"no interval: {m.interval_reason}", f"no null: {m.null_reason}"
    if m.interval is not None:
        interval = (
            f"interval [{m.interval.low:.6g}, {m.interval.high:.6g}] of {m.interval.level:g}, {m.interval.covers}"
        )
    if m.null is not None:
        null = f"null {m.null.value:.6g} at n = {m.null.n}"
    unit = f" in {m.unit}" if m.unit not in ("", "1") else ""
    return f"{result.title}: {m.title}{unit}; {m.better} is better; n = {m.n}; {interval}; {null}"


def _verdicts(judged: Judged) -> Iterator[_Sample]:
    subject = ("subject", _label(judged.document.subject.name))
    yield _Sample("ganaudit_exit_code", "", "Exit code of the audit", (subject,), str(judged.exit_code))
    for outcome in OUTCOMES:
        n = sum(v.outcome == outcome for v in judged.document.verdicts)
        yield _Sample("ganaudit_gates", "", "Gates by their outcome", (subject, ("outcome", outcome)), str(n))


def _half(m: Measurement) -> float | None:
    return None if m.interval is None else (m.interval.high - m.interval.low) / 2


def _name(text: str) -> str:
    """Return text as a part of a metric's name: letters, digits and single underscores."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "x"


def _label(text: str) -> str:
    """Return a label's value in which neither format finds a mark."""
    return re.sub(r"[^\w.,:;/+=@%-]", "_", plain(text, 200), flags=re.ASCII)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
