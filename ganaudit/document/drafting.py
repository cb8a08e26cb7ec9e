"""A first policy, drafted from a measured audit: limits that this subject meets, each with what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from ganaudit.document.keys import family, matching
from ganaudit.document.model import AuditDocument, EvaluatorResult, Measurement
from ganaudit.document.noise import difference_floor, floor_of

__all__ = ["draft_policy"]

_ROOM = {"strict": 0.0, "standard": 1.0, "smoke": 3.0}
"""Half-widths of the interval between the measured end and the limit."""
_OF_EACH = {"strict": None, "standard": 2, "smoke": 1}
"""How many numbers of an evaluator get a gate: the first ones its spec names."""
_HEAD = {
    "strict": ('fail_on = "error"', 'on_inconclusive = "error"', 'multiplicity = "gates"'),
    "standard": ('fail_on = "error"', 'on_inconclusive = "error"'),
    "smoke": ('fail_on = "error"', 'on_inconclusive = "pass"'),
}
_CHANGED = "# CAUTION: the document was changed after it was written; its numbers need not be what was measured."


def draft_policy(document: AuditDocument, preset: str = "standard") -> str:
    """Return TOML text of a policy that ``document`` passes, every gate with what was measured as a comment.

    Gates are written for numbers that have a direction, a value and an interval and are not of the machine: the first
    two of each evaluator (``strict``: all, ``smoke``: the first). A limit lies at the interval's far end, plus one
    half-width of room (``strict``: none, ``smoke``: three), never beyond the noise floor. A family gets one gate, on
    those of its slices that have both; where others have not, it names its slices and says why others are left out.
    A number whose limit would be one that no value can break gets none. The head says where the document is known to
    have been changed since it was written.
    """
    subject = document.subject
    lines = [
        f"# Drafted by ganaudit from an audit of {_text(subject.name)} ({subject.digest})",
        f"# against {_text(document.reference.name)}/{_text(document.reference.against)} on {document.started}.",
        "# Limits are what this subject meets today, not what is good: read each, and ask for what you need.",
        "# `ganaudit policy lint` says which limits lie below what real data would reach.",
        *([_CHANGED] if document.changed else []),
        *_HEAD[preset],
        "",
    ]
    for result in document.results:
        if result.status == "measured":
            gates = [gate for kin in _families(result) if (gate := _gate(result, kin, _ROOM[preset]))]
            lines += [line for gate in gates[: _OF_EACH[preset]] for line in gate]
    return "\n".join(lines)


def _families(result: EvaluatorResult) -> Iterator[list[Measurement]]:
    """Yield the numbers that can be gated, those of one family together, in the order of the spec."""
    declared = [d.key for d in result.declares]
    kin: dict[str, list[Measurement]] = {}
    for m in result.measurements:
        if not _unfit(m):
            kin.setdefault(family(m.key, declared) or m.key, []).append(m)
    yield from kin.values()


def _unfit(m: Measurement) -> str:
    """Return why no limit can be drafted for a number, in words; empty where one can."""
    if m.value is None:
        return f"it has no value: {m.reason}"
    if m.interval is None:
        return f"it has no interval: {m.interval_reason}"
    if m.better not in ("lower", "higher"):
        return "neither more nor less of it is better"
    return "each run measures it anew" if m.volatile else ""


def _gate(result: EvaluatorResult, kin: list[Measurement], room: float) -> list[str]:
    """Return the lines of one gate; none where its limit would be one that no value can break."""
    limits = [_limit(m, room) for m in kin]
    lower = kin[0].better == "lower"
    chosen = max(range(len(kin)), key=lambda i: limits[i] if lower else -limits[i])
    m, limit = kin[chosen], limits[chosen]
    key = family(m.key, [d.key for d in result.declares]) or m.key
    declared = next((d for d in result.declares if d.key == key), None)
    end = None if declared is None else declared.most if lower else declared.least
    if end is not None and (limit >= end if lower else limit <= end):
        return []
    name = f"{result.evaluator}-{key}".replace("{", "").replace("}", "")
    lines = ["[[gate]]", f"# {_text(m.title)}: {_measured(m)}."]
    if len(kin) > 1:
        lines.append(f"# One gate for each of {', '.join(_text(one.key) for one in kin)}; the worst set the limit.")
    apart = _apart(result, key, kin)
    lines += [f"# Left out: {_text(one.key)}; {_text(_unfit(one) or 'it is a number of its own')}." for one in apart]
    floor, margin = floor_of(m), difference_floor(m)
    if floor is not None:
        lines.append(f"# Noise floor {floor.value:.4g}: {_text(floor.why)}.")
    lines += [f"id = {_quoted(name)}", f"measure = {_quoted(f'{result.evaluator}/{key}')}", f"limit = {limit!r}"]
    if apart:
        lines.append(f"slices = [{', '.join(_quoted(matching(key, one.key) or '') for one in kin)}]")
    lines += ["confidence = 0.95"] if all(one.interval and one.interval.level >= 0.95 for one in kin) else []
    lines.append(f"min_n = {min(one.n for one in kin)}")
    if margin is not None:
        lines.append(f"# or instead of limit: baseline = true, margin = {_outward(margin.value, up=True)!r}")
    return [*lines, ""]


def _apart(result: EvaluatorResult, key: str, kin: list[Measurement]) -> list[Measurement]:
    """Return the numbers that a gate on ``key`` would take in beside those it was drafted from.

    A gate on a family asks for every measured slice, and one that has no value would be missing from the start.
    """
    return [one for one in result.measurements if matching(key, one.key) and one not in kin]


def _limit(m: Measurement, room: float) -> float:
    assert m.value is not None
    assert m.interval is not None
    lower, floor = m.better == "lower", floor_of(m)
    if lower:
        end = max(m.interval.high, m.value)
        limit = end + room * (end - m.value)
        return _outward(max(limit, floor.value) if floor else limit, up=True)
    end = min(m.interval.low, m.value)
    limit = end - room * (m.value - end)
    return _outward(min(limit, floor.value) if floor else limit, up=False)


def _outward(value: float, *, up: bool) -> float:
    """Return ``value`` at three significant digits, rounded to the milder side."""
    context = Context(prec=3, rounding=ROUND_CEILING if up else ROUND_FLOOR)
    # The nearest double of a decimal beyond a double is beyond it too: the measured end stays on the good side.
    return float(context.create_decimal(Decimal(value)))


def _measured(m: Measurement) -> str:
    shown = f"measured {m.value:.4g}"
    if m.interval is not None:
        shown += f" [{m.interval.low:.4g}, {m.interval.high:.4g}]"
    shown += f" on n = {m.n}, {m.better} is better"
    return shown + (f"; real against real {m.null.value:.4g}" if m.null else "")


def _text(text: str) -> str:
    """Return text fit for a comment: one line, nothing that TOML forbids there."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=True)
