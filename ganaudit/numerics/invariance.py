"""How a critic's scores change when its samples do: whether it sees a change at all, and which way it counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ganaudit.numerics.arguments import vector
from ganaudit.numerics.detection import Auc
from ganaudit.numerics.intervals import Bounds, student
from ganaudit.numerics.ranks import doubled_ranks

__all__ = ["Invariance", "copies_auc", "invariance"]


@dataclass(frozen=True, slots=True, eq=False)
class Invariance:
    """What a critic makes of changed samples."""

    gap: float
    """Mean of |D(Tx) - D(x)| over the spread of scores; 0 is a critic that does not see the change."""
    bounds: Bounds
    """95 % interval of the gap, the spread held fixed."""
    signed: float
    """Mean of D(Tx) - D(x) over the spread: below 0 the critic holds changed samples for less real."""
    signed_bounds: Bounds
    """95 % interval of the signed mean, the spread held fixed."""
    auc: Auc
    """Of samples against changed ones of others: 1/2 cannot tell them apart, 1 always scores the changed one lower."""

    @property
    def blindness(self) -> float:
        """1 - |2 AUC - 1|, 0..1: 1 for a critic whose scores cannot tell changed samples from others."""
        return _blind(self.auc.value)

    @property
    def blindness_bounds(self) -> Bounds:
        """95 % interval of the blindness: what it is over the interval of the area."""
        ends = self.auc.interval(0.95)
        blind = sorted((_blind(ends.low), _blind(ends.high)))
        return Bounds(blind[0], 1.0 if ends.low <= 0.5 <= ends.high else blind[1])


def invariance(plain: Tensor, changed: Tensor, spread: float) -> Invariance:
    """Return the invariance of a critic with scores ``plain`` (N,) of samples and ``changed`` (N,) of their copies.

    ``spread`` is the unit of the gaps, such as the interquartile range of the scores of reals.
    Raises ValueError when there are fewer than 2 scores, their numbers differ, one is not finite or ``spread`` is not
    above 0 and finite.
    Source: the consistency of Zhang et al. 2020, arXiv:1910.12027, as a measure instead of a penalty.
    """
    before, after = vector(plain, "plain", least=2), vector(changed, "changed", least=2)
    if len(before) != len(after):
        raise ValueError(f"changed: found {len(after)} scores; allowed: {len(before)}, as in plain")
    if not 0 < spread < math.inf:
        raise ValueError(f"spread: found {spread}; allowed: above 0, finite")
    moved = (after - before) / spread
    size = moved.abs()
    gap, signed = _within(student(size, 0.95)), student(moved, 0.95)
    return Invariance(float(size.mean()), gap, float(moved.mean()), signed, copies_auc(before, after))


def copies_auc(plain: Tensor, changed: Tensor) -> Auc:
    """Return P(score > changed score of another sample) + P(equal)/2, from scores (N,) of samples and of their copies.

    The mean over pairs i != j, unbiased: no sample is held against its own copy. A sample moves both sides at once, so
    with V_i the share of others' copies below sample i and W_i the share of others above copy i (ties half) the squared
    standard error is var(V + W)/N, divisor N - 1; DeLong's takes the sides as independent. The sizes of the result are
    N/2, the disjoint pairs of a sample and another's copy, which its interval goes by where the scores separate fully.
    Raises ValueError when a side is not a vector of 2 or more finite scores, or their numbers differ.
    Source: Hoeffding 1948 (U-statistics); Obuchowski 1997, Nonparametric analysis of clustered ROC curve data.
    """
    before, after = vector(plain, "plain", least=2), vector(changed, "changed", least=2)
    n = len(before)
    if len(after) != n:
        raise ValueError(f"changed: found {len(after)} scores; allowed: {n}, as in plain")
    own = 2 * (before > after).long() + (before == after).long()
    # Twice the counts are whole numbers, so the value and the decision that a variance is 0 are free of rounding.
    above = doubled_ranks(before, after) - own
    both = above + 2 * n - doubled_ranks(after, before) - own
    value = int(above.sum()) / (2 * n * (n - 1))
    alike = bool((both == both[0]).all())
    error = 0.0 if alike else float(both.double().std(correction=1)) / (2 * (n - 1) * math.sqrt(n))
    return Auc(value, error, n // 2, n // 2)


def _blind(area: float) -> float:
    return 1.0 - abs(2.0 * area - 1.0)


def _within(bounds: Bounds) -> Bounds:
    return Bounds(max(0.0, bounds.low), bounds.high)
