"""How a critic's scores change when its samples do: whether it sees a change at all, and which way it counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ganaudit.numerics.arguments import vector
from ganaudit.numerics.detection import Auc, auc
from ganaudit.numerics.intervals import Bounds, student

__all__ = ["Invariance", "invariance"]


@dataclass(frozen=True, slots=True, eq=False)
class Invariance:
    """What a critic makes of changed samples."""

    gap: float
    """Mean of |D(Tx) - D(x)| over the spread of scores; 0 is a critic that does not see the change."""
    bounds: Bounds
    """95 % interval of the gap, the spread held fixed."""
    signed: float
    """Mean of D(Tx) - D(x) over the spread: below 0 the critic holds changed samples for less real."""
    auc: Auc
    """Of samples against changed ones: 1/2 cannot tell them apart, 1 always scores the changed one lower."""

    @property
    def blindness(self) -> float:
        """1 - |2 AUC - 1|, 0..1: 1 for a critic whose scores cannot tell changed samples from others."""
        return 1.0 - abs(2.0 * self.auc.value - 1.0)


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
    return Invariance(float(size.mean()), _within(student(size, 0.95)), float(moved.mean()), auc(before, after))


def _within(bounds: Bounds) -> Bounds:
    return Bounds(max(0.0, bounds.low), bounds.high)
