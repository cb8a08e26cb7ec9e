"""Which numbers of a document stand clear of their nulls, at an error rate over all that are watched together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from ganaudit.document.model import AuditDocument, Measurement

__all__ = ["Alarm", "Side", "alarms", "bar", "departure", "departures"]

Side = Literal["above", "below", "either"]
"""On which side of the null a number tells of a defect."""
Ends = tuple[float | None, float | None]
"""The lower and the upper end of a range; None for none."""

YES_OR_NO = "yes or no"
"""The unit of a verdict: 1 or 0, reached by checks that have limits of their own, and so without an interval."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One number that stands clear of its null."""

    measure: str
    """As ``evaluator/key``."""
    value: float
    null: float
    departure: float
    """In standard errors, positive on the watched side."""


def departure(measurement: Measurement, side: Side, bounds: Ends = (None, None)) -> float | None:
    """Return how far a value lies from its null in standard errors, positive on the watched side; None without both.

    (v - v0)/(s^2 + s0^2)^(1/2). An interval's half that faces the other number, divided by its normal quantile, is the
    standard error s; a null without ends counts as known. Infinite where both are certain and differ. A verdict, yes
    or no, has no interval and counts as certain; any other number without one has no departure.

    ``bounds``: the least and the largest value that the number can have, None for none. A half that ends there may
    have been cut, and is at least as long as it shows: the longer half stands for it.
    """
    value, interval, null = measurement.value, measurement.interval, measurement.null
    if value is None or null is None or (interval is None and measurement.unit != YES_OR_NO):
        return None
    above = value > null.value
    s = 0.0
    if interval is not None:
        s = _half(value, (interval.low, interval.high), not above, bounds) / _quantile(interval.level)
    s0 = _half(null.value, (null.low, null.high), above, bounds) / _quantile(0.95)
    spread = math.hypot(s, s0)
    distance = abs(value - null.value)
    found = 0.0 if distance == 0 else distance / spread if spread > 0 else math.inf
    return found if side == "either" or (side == "above") == above else -found


def _half(value: float, ends: Ends, upper: bool, bounds: Ends) -> float:
    """Return the length of the upper or lower half of a range, of the longer one where that half ends on its bound."""
    end, other, bound = ends[upper], ends[not upper], bounds[upper]
    if end is None:
        return 0.0
    half = abs(end - value)
    on_bound = bound is not None and (end >= bound if upper else end <= bound)
    return max(half, abs(other - value)) if on_bound and other is not None else half


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def departures(document: AuditDocument, watched: Mapping[str, Side]) -> dict[str, float | None]:
    """Return the departure of every watched number that the document has, by ``evaluator/key``, as it declares them."""
    found: dict[str, float | None] = {}
    for result in document.results:
        for measurement in result.measurements:
            measure = f"{result.evaluator}/{measurement.key}"
            if measure in watched:
                declared = document.declared(measure)
                bounds: Ends = (None, None) if declared is None else (declared.least, declared.most)
                found[measure] = departure(measurement, watched[measure], bounds)
    return found


def bar(side: Side, numbers: int, level: float = 0.05) -> float:
    """Return the departure above which one of ``numbers`` watched together raises an alarm, in standard errors.

    Bonferroni: the quantile of the standard normal law at 1 - level/numbers, at half of that share where both sides
    are watched. Raises ValueError when ``numbers`` is below 1 or ``level`` is not in (0, 1).
    """
    if numbers < 1 or not 0 < level < 1:
        raise ValueError(f"numbers, level: found {numbers}, {level:g}; allowed: 1 or more, between 0 and 1")
    return NormalDist().inv_cdf(1 - level / numbers / (2 if side == "either" else 1))


def alarms(document: AuditDocument, watched: Mapping[str, Side], level: float = 0.05) -> list[Alarm]:
    """Return the watched numbers that stand clear of their nulls, by ``evaluator/key``.

    Bonferroni over all of ``watched``, whether they were measured or not: where every number is as its null, the
    probability of any alarm is at most ``level``, as far as the numbers are near normal.
    """
    found = []
    for measure, far in departures(document, watched).items():
        if far is None or far <= bar(watched[measure], len(watched), level):
            continue
        measurement = document.measurement(measure)
        assert measurement is not None
        assert measurement.value is not None
        assert measurement.null is not None
        found.append(Alarm(measure, measurement.value, measurement.null.value, far))
    return found
