"""Whether one discriminator ranks better than another: DeLong's test on samples that both have seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import vector
from ganaudit.numerics.detection import Auc, auc
from ganaudit.numerics.intervals import Bounds, normal
from ganaudit.numerics.ranks import doubled_ranks

__all__ = ["AucDifference", "auc_difference"]


@dataclass(frozen=True, slots=True)
class AucDifference:
    """The area under one ROC curve less that under another, where both critics scored the same reals."""

    value: float
    """first - second, -1 to 1; above 0 the first critic detects better."""
    standard_error: float
    """DeLong's, with the covariance of what the critics share; 0 where every sample counts for both alike."""
    first: Auc
    second: Auc

    @property
    def z(self) -> float | None:
        """value/standard_error, N(0, 1) in large samples when the areas are equal; None where the error is 0."""
        return self.value / self.standard_error if self.standard_error > 0 else None

    @property
    def p_value(self) -> float:
        """The two-sided p-value of equal areas, from 0 to 1.

        2 Φ(-|z|), which holds for large samples. Where the standard error is 0, Hoeffding's bound for a two-sample
        U-statistic with values in [-1, 1], min(1, 2 exp(-k value²/2)) with k the least number of samples on a side:
        1 for a value of 0, and conservative at any size.
        """
        if self.z is not None:
            return float(2 * special.ndtr(-abs(self.z)))
        pairs = min(self.first.n_real, self.first.n_fake, self.second.n_fake)
        return min(1.0, 2 * math.exp(-pairs * self.value**2 / 2))

    def interval(self, level: float) -> Bounds:
        """Return an interval of the difference, within [-1, 1].

        value ± z standard_error. Where the standard error is 0, the least and the greatest difference of the two
        areas' own intervals at (1 + level)/2, which is conservative and never of zero width.
        Raises ValueError when ``level`` is not in (0, 1).
        """
        ends = normal(self.value, self.standard_error, level)
        if self.standard_error == 0:
            one, two = self.first.interval((1 + level) / 2), self.second.interval((1 + level) / 2)
            ends = Bounds(one.low - two.high, one.high - two.low)
        return Bounds(max(-1.0, ends.low), min(1.0, ends.high))


def auc_difference(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], *, same_fakes: bool = True
) -> AucDifference:
    """Return how two critics' areas differ, from (scores of reals, scores of fakes) of each.

    Row i of both vectors of reals is the same real. With ``same_fakes`` row j of both vectors of fakes is the same
    fake (two critics, one generator); without it the fakes are two independent draws, of any sizes (two generators).
    With V_i a critic's share of fakes below real i and W_j its share of reals above fake j (ties half), the squared
    standard error is var(V - V')/N plus var(W - W')/M, or plus var(W)/M + var(W')/M' for different fakes; divisors
    N - 1 and M - 1. Unchanged, to the bit, by any rising map of either critic's scores. O((N + M) log(N + M)).

    Raises ValueError when a side is not a vector of 2 or more finite scores, or paired sides differ in length.
    Source: DeLong, DeLong and Clarke-Pearson 1988; Sun and Xu 2014 (by ranks).
    """
    reals = [vector(side, name, least=2) for side, name in ((first[0], "first real"), (second[0], "second real"))]
    fakes = [vector(side, name, least=2) for side, name in ((first[1], "first fake"), (second[1], "second fake"))]
    _same_length(reals, "real")
    if same_fakes:
        _same_length(fakes, "fake")
    n, counts = len(reals[0]), [len(side) for side in fakes]
    above = [doubled_ranks(real, fake) for real, fake in zip(reals, fakes, strict=True)]
    below = [doubled_ranks(fake, real) for real, fake in zip(reals, fakes, strict=True)]
    # Over the common denominator 2 M M' the placements are whole numbers, and what cancels does so to 0.
    shared = above[0] * counts[1] - above[1] * counts[0]
    variance = _variance(shared) / (4 * (counts[0] * counts[1]) ** 2 * n)
    if same_fakes:
        variance += _variance(below[0] - below[1]) / (4 * n**2 * counts[0])
    else:
        variance += sum(_variance(side) / (4 * n**2 * len(side)) for side in below)
    value = int(shared.sum()) / (2 * n * counts[0] * counts[1])
    one, two = (auc(real, fake) for real, fake in zip(reals, fakes, strict=True))
    return AucDifference(value, math.sqrt(variance), one, two)


def _variance(counts: Tensor) -> float:
    return 0.0 if bool((counts == counts[0]).all()) else float(counts.double().var(correction=1))


def _same_length(sides: list[Tensor], name: str) -> None:
    first, second = map(len, sides)
    if first != second:
        raise ValueError(f"second {name}: found {second} samples; allowed: {first}, those of the first")
