"""How far each number moved between two audits, with the interval that chance gives the difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, FiniteFloat

from ganaudit.document.details import Record
from ganaudit.document.error_parts import Pairing
from ganaudit.document.grounds import grounds_apart, machines_apart
from ganaudit.document.model import AuditDocument, Measurement
from ganaudit.document.pairs import Shared, difference_bounds, draws_of, pair_of, shared

__all__ = ["Held", "Movement", "movements"]

_DIGITS = 1e-9

Moved = Literal["better", "worse", "rose", "fell", "within", "untold", "equal", "missing", "not comparable"]


class Held(Record):
    """One side of a movement."""

    value: FiniteFloat | None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    n: int | None = None
    reason: str | None = None
    """Why there is no value."""


class Movement(Record):
    """One number in both audits."""

    measure: str
    """As ``evaluator/key``."""
    title: str
    unit: str
    better: Literal["lower", "higher", "target", "none"]
    target: FiniteFloat | None = None
    volatile: bool = False
    a: Held
    b: Held
    movement: Moved
    """``better``, ``worse``: the interval of the difference excludes 0; ``rose``, ``fell``: likewise, of a number with
    no better direction or that passed its target; ``within``: it holds 0; ``untold``: it has none."""
    difference: FiniteFloat | None = None
    """B less A; null where they cannot be compared."""
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    level: FiniteFloat | None = None
    method: str | None = None
    """How the interval of the difference was made, and which way it errs."""
    covers: str | None = None
    correlation: FiniteFloat | None = None
    """Of the two errors, where the interval is a paired one."""
    reason: str | None = None
    """Why there is no difference, or no interval of it."""
    differing: list[str] = Field(default_factory=list)
    """The fields for which it cannot be compared."""


def movements(a: AuditDocument, b: AuditDocument) -> list[Movement]:
    """Return one movement for every number of either audit, in the order of A, then of B."""
    ours, theirs = (dict(_numbers(document)) for document in (a, b))
    return [_movement(a, b, measure, ours.get(measure), theirs.get(measure)) for measure in {**ours, **theirs}]


def _numbers(document: AuditDocument) -> Sequence[tuple[str, Measurement]]:
    return [(f"{r.evaluator}/{m.key}", m) for r in document.results for m in r.measurements]


def _movement(
    a: AuditDocument, b: AuditDocument, measure: str, ours: Measurement | None, theirs: Measurement | None
) -> Movement:
    named = ours or theirs
    assert named is not None
    told: dict[str, Any] = {
        "measure": measure,
        "title": named.title,
        "unit": named.unit,
        "better": named.better,
        "target": named.target,
        "volatile": named.volatile,
        "a": _held(a, measure, ours),
        "b": _held(b, measure, theirs),
    }
    if ours is None or theirs is None or ours.value is None or theirs.value is None:
        return Movement.model_validate(told | _one_sided(ours, theirs))
    differing = _differing(a, b, measure.partition("/")[0], ours, theirs)
    if differing:
        reason = f"the audits differ in {', '.join(differing)}"
        return Movement.model_validate(told | {"movement": "not comparable", "reason": reason, "differing": differing})
    if _equal(ours, theirs):
        return Movement.model_validate(told | {"movement": "equal", "difference": theirs.value - ours.value})
    return Movement.model_validate(told | _difference(a, b, ours, theirs))


def _held(document: AuditDocument, measure: str, found: Measurement | None) -> Held:
    if found is None:
        result = document.result(measure.partition("/")[0])
        if result is None:
            return Held(value=None, reason="the evaluator was not part of the audit")
        if result.status != "measured":
            return Held(value=None, reason=f"{result.status.replace('_', ' ')}: {result.reason}")
        return Held(value=None, reason="not among its numbers")
    ends = {} if found.interval is None else {"low": found.interval.low, "high": found.interval.high}
    return Held(value=found.value, n=found.n, reason=found.reason, **ends)


def _one_sided(ours: Measurement | None, theirs: Measurement | None) -> dict[str, Any]:
    a, b = (None if side is None else side.value for side in (ours, theirs))
    if a is None and b is None:
        # Without a value on either side nothing moved, whatever the reasons.
        return {"movement": "equal" if ours and theirs else "missing", "reason": "no value in either audit"}
    return {"movement": "missing", "reason": f"no value in {'A' if a is None else 'B'}"}


def _differing(a: AuditDocument, b: AuditDocument, evaluator: str, ours: Measurement, theirs: Measurement) -> list[str]:
    found = [one.field for one in grounds_apart(a, b, evaluator)]
    found += [key for key in ("unit", "better") if getattr(ours, key) != getattr(theirs, key)]
    if ours.volatile or theirs.volatile:
        found += [one.field for one in machines_apart(a, b)]
    return found


def _equal(ours: Measurement, theirs: Measurement) -> bool:
    """Whether value and interval agree to nine digits: what is left is the order of sums on two machines."""
    one, other = ours.interval, theirs.interval
    if (one is None) != (other is None):
        return False
    ends = [] if one is None or other is None else [(one.low, other.low), (one.high, other.high)]
    pairs = [(ours.value or 0.0, theirs.value or 0.0), *ends]
    return all(math.isclose(x, y, rel_tol=_DIGITS, abs_tol=0.0) for x, y in pairs)


def _difference(a: AuditDocument, b: AuditDocument, ours: Measurement, theirs: Measurement) -> dict[str, Any]:
    assert ours.value is not None
    assert theirs.value is not None
    told: dict[str, Any] = {"difference": theirs.value - ours.value}
    one, other = ours.interval, theirs.interval
    if one is None or other is None:
        side, lacking = ("A", ours) if one is None else ("B", theirs)
        reason = f"no interval in {side}: {lacking.interval_reason}"
        return told | {"movement": "untold", "reason": reason}
    if _is_p_value(ours):
        reason = "a p-value weighs the evidence of one audit; how far two of them lie apart is no measure of anything"
        return told | {"movement": "untold", "reason": reason}
    if one.level != other.level:
        reason = f"the intervals have confidence {one.level:g} in A and {other.level:g} in B"
        return told | {"movement": "untold", "reason": reason}
    drawn = draws_of(a), draws_of(b)
    held, pair = shared(*drawn, ours, theirs), pair_of(*drawn, ours, theirs)
    low, high = difference_bounds(ours, theirs, pair)
    covers = one.covers if one.covers == other.covers else f"in A {one.covers}; in B {other.covers}"
    return told | {
        "movement": _judged(ours, theirs, low, high),
        "low": low,
        "high": high,
        "level": one.level,
        "method": _method(held, pair, ours.volatile),
        "covers": covers,
        "correlation": None if pair is None else pair.correlation,
    }


def _is_p_value(found: Measurement) -> bool:
    return found.key == "p-value" or found.key.endswith("-p-value")


def _judged(ours: Measurement, theirs: Measurement, low: float, high: float) -> Moved:
    assert ours.value is not None
    assert theirs.value is not None
    if low <= 0 <= high:
        return "within"
    rose = low > 0
    if ours.better in ("lower", "higher"):
        return "better" if rose == (ours.better == "higher") else "worse"
    target = ours.target
    if ours.better == "target" and target is not None and (ours.value - target) * (theirs.value - target) >= 0:
        return "better" if abs(theirs.value - target) < abs(ours.value - target) else "worse"
    return "rose" if rose else "fell"


def _method(held: Shared, pair: Pairing | None, volatile: bool) -> str:
    if pair is not None:
        return (
            f"paired: both rest on {held.words}; widths in squares, less what the errors have in common (correlation "
            f"{pair.correlation:.2f}, from groups of samples)"
        )
    if held.words and not volatile:
        return (
            f"widths in squares, as if the errors were independent; both rest on {held.words}, so it is too wide where "
            "these move both numbers alike, and too narrow should they move them apart"
        )
    return "widths in squares: the errors are independent"
