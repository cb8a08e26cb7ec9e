"""What a ROC curve is read for: its strict end, its errors on normal paper, its precision, its convex hull.

The conventions are those of ``detection``: a higher score means more real, the positives are the fakes, and a sample
is called generated when its score lies strictly below the threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector
from ganaudit.numerics.detection import conformal_rank, roc
from ganaudit.numerics.intervals import Bounds, clopper_pearson
from ganaudit.numerics.ranks import pooled, written

__all__ = [
    "AveragePrecision",
    "Det",
    "PartialAuc",
    "TprAtFpr",
    "average_precision",
    "det",
    "hull_equal_error_rate",
    "partial_auc",
    "reals_needed",
    "tpr_at_fpr",
]

_EXPECTED_BELOW = 10  # reals expected below a threshold, less than which its rate is mostly luck


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Mean precision of calling samples generated, over the fakes found."""

    value: float
    """0 to 1; ``prevalence`` is what a critic without information gets."""
    prevalence: float
    """The share of fakes that the value is for: it says nothing without."""


@dataclass(frozen=True, slots=True)
class PartialAuc:
    """Area under the ROC curve left of a false positive rate."""

    area: float
    """From 0 to ``most_fpr``."""
    standardised: float
    """McClish's: 1/2 for the diagonal, 1 for full separation; below 1/2 where the curve is below the diagonal."""
    most_fpr: float


@dataclass(frozen=True, slots=True, eq=False)
class Det:
    """The vertices of the detection error trade-off whose two errors are both above 0 and below 1, (T,) float64."""

    thresholds: Tensor
    fpr: Tensor
    """Share of reals called generated, rising."""
    fnr: Tensor
    """Share of fakes not called generated, falling."""

    @property
    def probits(self) -> tuple[Tensor, Tensor]:
        """Normal quantiles of ``fpr`` and ``fnr``: a line of slope -sd_real/sd_fake for two normal laws."""
        return torch.special.ndtri(self.fpr), torch.special.ndtri(self.fnr)


@dataclass(frozen=True, slots=True)
class TprAtFpr:
    """Share of fakes called generated at a threshold that calls few reals so."""

    value: float
    """Share of fakes strictly below ``threshold``, 0 to 1."""
    threshold: float
    """The ``rank``-th smallest calibration score."""
    rank: int
    at_threshold: Bounds
    """Clopper-Pearson interval of the share of all fakes at this one threshold: the draw of fakes."""
    at_rate: Bounds
    """Interval of the share where the true false positive rate is the one asked for: both draws."""


def average_precision(real: Tensor, fake: Tensor, prevalence: float | None = None) -> AveragePrecision:
    """Return the mean precision over recall with the fakes as positives, from scores (N,) and (M,).

    The sum over ROC vertices of (TPR_k - TPR_{k-1}) P_k, P = π TPR/(π TPR + (1 - π) FPR), without interpolation, π
    the ``prevalence`` of fakes; by default that of the samples, M/(N + M). Plug-in, biased upwards by O(1/M).
    Raises ValueError when a side is not a vector of 1 or more finite scores or ``prevalence`` is not in (0, 1).
    """
    curve = roc(real, fake)
    share = len(fake) / (len(real) + len(fake)) if prevalence is None else proportion(prevalence, "prevalence")
    found, called = share * curve.tpr[1:], (1 - share) * curve.fpr[1:]
    return AveragePrecision(float((curve.tpr.diff() * found / (found + called)).sum()), share)


def partial_auc(real: Tensor, fake: Tensor, most_fpr: float) -> PartialAuc:
    """Return the area under the ROC curve of detecting fakes for FPR from 0 to ``most_fpr``, from (N,) and (M,).

    Straight lines between vertices. Standardised: (1 + (area - least)/(most - least))/2 with least = f²/2 the area of
    the diagonal and most = f, f = ``most_fpr``. Meaningful when N f is well above 1.
    Raises ValueError when a side is not a vector of 1 or more finite scores or ``most_fpr`` is not in (0, 1).
    Source: McClish 1989.
    """
    curve, f = roc(real, fake), proportion(most_fpr, "most_fpr")
    inside = int((curve.fpr <= f).sum())
    before, after = inside - 1, inside  # the last vertex is (1, 1), so there is one after
    step = float((f - curve.fpr[before]) / (curve.fpr[after] - curve.fpr[before]))
    height = float(torch.lerp(curve.tpr[before], curve.tpr[after], step))
    last = (f - float(curve.fpr[before])) * (float(curve.tpr[before]) + height) / 2
    area = float(torch.trapezoid(curve.tpr[:inside], curve.fpr[:inside])) + last
    return PartialAuc(area, (1 + (area - f**2 / 2) / (f - f**2 / 2)) / 2, f)


def det(real: Tensor, fake: Tensor) -> Det:
    """Return the detection error trade-off, from scores (N,) and (M,); empty where the samples separate fully.

    Vertices with an error of 0 or 1 have no place on normal paper and are left out.
    Raises ValueError when a side is not a vector of 1 or more finite scores.
    Source: Martin et al. 1997.
    """
    curve = roc(real, fake)
    kept = (curve.fpr > 0) & (curve.fpr < 1) & (curve.tpr > 0) & (curve.tpr < 1)
    return Det(curve.thresholds[kept], curve.fpr[kept], 1 - curve.tpr[kept])


def reals_needed(alpha: float) -> int:
    """Return the least number of calibration reals that ``tpr_at_fpr`` takes: ceil(10/alpha).

    With fewer the threshold hangs on the few lowest scores, and the rate found is far too high: at 1,000 reals and a
    rate of 0.1 % a plug-in threshold gives 0.176 on average where 0.138 is true (two normal laws 2 apart).
    Raises ValueError when ``alpha`` is not in (0, 1).
    """
    return math.ceil(_EXPECTED_BELOW / written(alpha, "alpha"))


def tpr_at_fpr(calibration: Tensor, fake: Tensor, alpha: float, level: float = 0.95) -> TprAtFpr | None:
    """Return the share of ``fake`` (M,) called generated at a rate ``alpha`` of reals, or None when reals are too few.

    The threshold is the conformal one of ``calibration`` (n,), scores of reals that the critic was not trained on:
    the k-th smallest, k = floor(alpha (n + 1)). None when n is below ``reals_needed``. ``at_rate`` joins the two draws
    as independent errors: with l the low end of ``at_threshold`` and q the share of fakes below the order statistic
    that bounds the alpha-quantile of the reals from below, its low end is v - sqrt((v - l)² + (v - q)²), v the value;
    the high end likewise. Good for large samples and a continuous score; not narrower than either draw alone.
    Raises ValueError when ``calibration`` or ``fake`` is not a vector of 1 or more finite scores, or ``alpha`` or
    ``level`` is not in (0, 1).
    Source: Zou and Donner 2008 (joining the intervals).
    """
    scores, fakes = vector(calibration, "calibration", least=1), vector(fake, "fake", least=1)
    n, m = len(scores), len(fakes)
    if n < reals_needed(alpha):
        return None
    k, first_last = conformal_rank(n, alpha), _ranks_around(n, alpha, (1 - proportion(level, "level")) / 2)
    ends = scores.new_tensor([-math.inf, math.inf])
    ordered = torch.cat([ends[:1], scores.sort().values, ends[1:]])  # by rank: 0 and n + 1 bound nothing
    low, below, high = (int((fakes < ordered[rank]).sum()) for rank in (first_last[0], k, first_last[1]))
    value, own = below / m, clopper_pearson(below, m, level)
    least = value - math.hypot(value - own.low, value - low / m)
    greatest = value + math.hypot(own.high - value, high / m - value)
    return TprAtFpr(value, float(ordered[k]), k, own, Bounds(max(0.0, least), min(1.0, greatest)))


def hull_equal_error_rate(real: Tensor, fake: Tensor) -> float:
    """Return the error rate where FPR = FNR on the convex hull of the ROC curve, from scores (N,) and (M,).

    The greatest, over shares of reals and fakes, of the least error rate that a threshold reaches; 0 to 1/2. Differs
    from ``equal_error_rate`` by O(1/n) and belongs to no single threshold, but to a lot drawn between two; as the hull
    is fitted to the samples it is biased downwards, more so in small ones.
    Raises ValueError when a side is not a vector of 1 or more finite scores.
    Source: Brümmer and de Villiers 2013.
    """
    blocks = pooled(real, fake)
    zero = torch.zeros(1, dtype=torch.float64)
    fpr = torch.cat([zero, blocks.reals.cumsum(0).double() / int(blocks.reals.sum())])
    fnr = 1 - torch.cat([zero, blocks.fakes.cumsum(0).double() / int(blocks.fakes.sum())])
    after = int((fpr >= fnr).nonzero()[0])
    gap, passed = float(fnr[after - 1] - fpr[after - 1]), float(fpr[after] - fnr[after])
    return float(torch.lerp(fpr[after - 1], fpr[after], gap / (gap + passed)))


def _ranks_around(n: int, p: float, tail: float) -> tuple[int, int]:
    """Return ranks of n ordered draws on either side of the p-quantile, each wrong with at most ``tail``; 0, n + 1."""
    ranks = np.arange(n)
    low = int(np.count_nonzero(special.bdtr(ranks, n, p) <= tail))
    return low, n - int(np.count_nonzero(special.bdtrc(ranks, n, p) <= tail)) + 1
