"""The unit in which the Fréchet distance is computed: the features' own, but where products of variances would not fit.

Sums of roots take products of two variances, and influences squares of squares of features. In float64 these vanish
for features around 1e-80 and leave it around 1e75. In a unit near the features' own spread neither can happen. It is a
power of 2, so that no digit changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor

from ganaudit.numerics.moments import GroupedMoments, Moments

__all__ = ["groups_in_unit", "moments_in_unit", "unit_of"]

_USUAL = 2.0**40
"""Traces of covariances from its inverse up to it need no other unit."""


def unit_of(traces: Iterable[Tensor | float]) -> float:
    """Return the unit, in that of the features, for sides whose covariances have these traces; 1 where all is usual."""
    largest = max(map(float, traces))
    if largest <= 0 or 1 / _USUAL <= largest <= _USUAL:
        return 1.0
    unit: float = 2.0 ** (math.frexp(largest)[1] // 2)
    return unit


def moments_in_unit(moments: Moments, unit: float) -> Moments:
    """Return the moments of the same samples with their features counted in ``unit``."""
    return Moments(moments.n, moments.mean / unit, moments.scatter / unit / unit)


def groups_in_unit(groups: GroupedMoments, unit: float) -> GroupedMoments:
    """Return the moments of the same groups with their features counted in ``unit``."""
    rest = None if groups.rest is None else moments_in_unit(groups.rest, unit)
    return GroupedMoments(tuple(moments_in_unit(group, unit) for group in groups.groups), rest)
