"""The worst of several rates or areas, with an interval that knows that it was picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector, whole
from ganaudit.numerics.detection import auc
from ganaudit.numerics.intervals import Bounds, clopper_pearson

__all__ = ["Worst", "share_bounds", "shift_bounds", "worst_area", "worst_loss", "worst_rate", "worst_shift"]


@dataclass(frozen=True, slots=True)
class Worst:
    """The extreme of several estimates."""

    value: float
    at: int
    """Which of them it is; the first of those that tie."""
    bounds: Bounds
    """Holds the extreme of the true values, whichever it is: every estimate has its own interval at
    1 - (1 - level)/K (Bonferroni), so all K hold together, however they depend on each other."""


def share_bounds(counts: Sequence[int], sizes: Sequence[int], level: float) -> list[Bounds]:
    """Return Clopper-Pearson intervals of the shares counts/sizes that hold together with probability ``level``.

    Raises ValueError when there are none, the lengths differ, a count is not in 0..size or ``level`` not in (0, 1).
    Source: Clopper and Pearson 1934; Bonferroni's inequality.
    """
    parts = whole(len(counts), "counts", least=1)
    whole(len(sizes), "sizes", least=parts, most=parts)
    each = 1 - (1 - proportion(level, "level")) / parts
    return [clopper_pearson(count, size, each) for count, size in zip(counts, sizes, strict=True)]


def shift_bounds(bounds: Bounds, target: float) -> Bounds:
    """Return the least and the greatest distance to ``target`` of a number within ``bounds``."""
    ends = abs(bounds.low - target), abs(bounds.high - target)
    return Bounds(0.0 if bounds.low <= target <= bounds.high else min(ends), max(ends))


def worst_rate(counts: Sequence[int], sizes: Sequence[int], level: float) -> Worst:
    """Return the greatest of the shares counts/sizes, 0 to 1; biased upwards, as a greatest of several is.

    Raises ValueError as ``share_bounds`` does.
    """
    found = share_bounds(counts, sizes, level)
    rates = [count / size for count, size in zip(counts, sizes, strict=True)]
    return _greatest(rates, found)


def worst_shift(counts: Sequence[int], sizes: Sequence[int], target: float, level: float) -> Worst:
    """Return the greatest distance of the shares counts/sizes to ``target``, 0 to 1; biased upwards.

    Raises ValueError as ``share_bounds`` does.
    """
    found = [shift_bounds(one, target) for one in share_bounds(counts, sizes, level)]
    shifts = [abs(count / size - target) for count, size in zip(counts, sizes, strict=True)]
    return _greatest(shifts, found)


def worst_loss(before: Tensor, after: Sequence[Tensor], level: float) -> Worst:
    """Return the greatest fall of a rate from the flags ``before`` (N,) to those of one of ``after``, -1 to 1.

    The samples are the same, so only those whose flag changes tell: with b lost and c won of N the fall is (b - c)/N,
    and b and c have Clopper-Pearson intervals that hold together over all of ``after``. Conservative.
    Raises ValueError when there are no flags, nothing after, lengths differ or ``level`` is not in (0, 1).
    """
    n = whole(len(before), "before", least=1)
    for flags in after:
        whole(len(flags), "after", least=n, most=n)
    first = before.bool()
    lost = [int((first & ~flags.bool()).sum()) for flags in after]
    won = [int((~first & flags.bool()).sum()) for flags in after]
    bounds = share_bounds(lost + won, [n] * (2 * len(after)), level)
    falls = [
        Bounds(one.low - other.high, one.high - other.low)
        for one, other in zip(bounds[: len(after)], bounds[len(after) :], strict=True)
    ]
    return _greatest([(b - c) / n for b, c in zip(lost, won, strict=True)], falls)


def worst_area(pairs: Sequence[tuple[Tensor, Tensor]], level: float) -> Worst:
    """Return the least area under the ROC curve of ``pairs`` of scores (reals, fakes), 0 to 1; biased downwards.

    Intervals are DeLong's on the logit scale, at 1 - (1 - level)/K each.
    Raises ValueError when there is no pair, a side has fewer than 2 finite scores or ``level`` is not in (0, 1).
    """
    each = 1 - (1 - proportion(level, "level")) / whole(len(pairs), "pairs", least=1)
    areas = [auc(vector(real, "real", least=2), vector(fake, "fake", least=2)) for real, fake in pairs]
    found = [area.interval(each) for area in areas]
    at = min(range(len(areas)), key=lambda i: areas[i].value)
    return Worst(areas[at].value, at, Bounds(min(b.low for b in found), min(b.high for b in found)))


def _greatest(values: Sequence[float], found: Sequence[Bounds]) -> Worst:
    at = max(range(len(values)), key=values.__getitem__)
    return Worst(values[at], at, Bounds(max(b.low for b in found), max(b.high for b in found)))
