"""How far a number can be from the truth, as a gate takes it: its interval, wider where several are judged."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

from ganaudit.document.error_parts import Pairing
from ganaudit.document.model import Measurement
from ganaudit.document.pairs import difference_bounds

__all__ = ["Bounds", "bounds", "bounds_against", "n_that_decides", "widening"]

_OUT_OF_REACH = 1e6
"""Widths of the interval in its distance from the limit beyond which no sample size would decide."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range that a gate judges by."""

    value: float
    low: float
    high: float
    is_interval: bool
    """Whether the number's own chance is in it: false where the number has no interval."""
    has_held: bool = False
    """Whether the chance of what it is held against is in it. Where that is all, the ends are the value give or take
    what the limit is unsure by: a range to judge by, and no interval of the number."""

    def widened(self, factor: float) -> Bounds:
        """Return bounds whose halves are ``factor`` times as wide."""
        if factor == 1.0:
            return self
        low = self.value - factor * (self.value - self.low)
        return replace(self, low=low, high=self.value + factor * (self.high - self.value))

    def within(self, least: float | None, most: float | None) -> Bounds:
        """Return bounds cut to the range of possible values, which no truth leaves; they hold the value still."""
        low = self.low if least is None else min(self.value, max(least, self.low))
        high = self.high if most is None else max(self.value, min(most, self.high))
        return replace(self, low=low, high=high)

    def is_good(self, limit: float, lower_is_better: bool) -> bool:
        """Whether the whole range lies on the good side; the limit itself is good."""
        return self.high <= limit if lower_is_better else self.low >= limit

    def is_bad(self, limit: float, lower_is_better: bool) -> bool:
        """Whether the whole range lies on the bad side."""
        return self.low > limit if lower_is_better else self.high < limit


def bounds(found: Measurement, spread: float = 0.0) -> Bounds:
    """Return the range of a number; ``spread`` is the half-width of what it is compared with, 0 for a fixed limit.

    Two audits are independent draws, so the halves of their difference add in squares. Draws that they share, such as
    equal real samples, make the difference surer than that: the range is then too wide, never too narrow, as long as
    the shared part moves both the same way.
    """
    assert found.value is not None
    if found.interval is None:
        return Bounds(found.value, found.value - spread, found.value + spread, is_interval=False, has_held=spread > 0.0)
    # A value beyond its own interval, as a bootstrap may give, is judged too: a gate never passes on a bad value.
    low, high = min(found.interval.low, found.value), max(found.interval.high, found.value)
    if spread:
        low = found.value - math.hypot(found.value - low, spread)
        high = found.value + math.hypot(high - found.value, spread)
    return Bounds(found.value, low, high, is_interval=True, has_held=spread > 0.0)


def bounds_against(found: Measurement, held: Measurement, pair: Pairing | None) -> Bounds:
    """Return the range of a number as it stands against another one, which counts as fixed after that.

    The interval of their difference, put around the other's value: narrower where the errors go together (``pair``).
    """
    if found.interval is None or held.interval is None or found.interval.level != held.interval.level:
        half = 0.0 if held.interval is None else (held.interval.high - held.interval.low) / 2
        return bounds(found, half if found.interval else 0.0)
    assert found.value is not None
    assert held.value is not None
    low, high = difference_bounds(held, found, pair)
    return Bounds(found.value, held.value + low, held.value + high, is_interval=True, has_held=True)


def widening(level: float, comparisons: int) -> float:
    """Return by how much the halves of an interval of ``level`` grow for ``comparisons`` at once (Bonferroni).

    z(1 - a/2m)/z(1 - a/2) with a = 1 - level, z the normal quantile: exact for a normal law, near it for others.
    """
    if comparisons <= 1:
        return 1.0
    miss = 1.0 - level
    law = NormalDist()
    return law.inv_cdf(1.0 - miss / 2 / comparisons) / law.inv_cdf(1.0 - miss / 2)


def n_that_decides(n: int, around: Bounds, limit: float) -> int | None:
    """Return about the n at which the range would leave the limit: n (half/distance)^2, rounded up to two digits.

    half is the reach of the range towards the limit, distance that of the value from it. This assumes that value and
    limit stay where they are and that the width shrinks with the root of n: so it is with a limit of the policy, and
    with a baseline where both audits grow. Not with a null: the bias of a plug-in estimate, such as the Frechet
    distance, falls as 1/n in the number and its null alike, which moves the limit and its spread, and of most numbers
    the law is not known. So none is asked for there. None where the value is all but the limit.
    """
    distance = abs(around.value - limit)
    half = around.high - around.value if limit > around.value else around.value - around.low
    # On both sides of the division by a tiny distance lies an overflow; an n beyond reach is none.
    if half <= 0.0 or half >= _OUT_OF_REACH * distance:
        return None
    return _rounded_up(math.ceil(n * (half / distance) ** 2))


def _rounded_up(n: int) -> int:
    """Return n rounded up to two significant digits: an estimate from one audit knows no more of them."""
    unit: int = 10 ** max(0, len(str(n)) - 2)
    return -(-n // unit) * unit
