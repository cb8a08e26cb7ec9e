"""Telling fakes from reals by a score: ranking, operating points and thresholds.

A higher score means more real. A sample is called generated when its score lies strictly below the threshold: the
false positives are reals called generated, the true positives fakes called generated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector, whole
from ganaudit.numerics.intervals import Bounds, clopper_pearson, normal
from ganaudit.numerics.ranks import counts_below, doubled_ranks, written

__all__ = [
    "Auc",
    "EqualErrorRate",
    "Roc",
    "auc",
    "calibration_size_needed",
    "conformal_rank",
    "conformal_rate",
    "conformal_threshold",
    "equal_error_rate",
    "false_positive_rate",
    "roc",
    "true_positive_rate",
]


@dataclass(frozen=True, slots=True)
class Auc:
    """Area under the ROC curve of N reals and M fakes, with its standard error."""

    value: float
    """P(real score > fake score) + P(equal)/2, from 0 to 1; 1/2 is no separation, 1 every real above every fake."""
    standard_error: float
    """DeLong's; 0 where the samples separate fully or all scores are equal, which ``interval`` does not believe."""
    n_real: int
    n_fake: int

    def interval(self, level: float) -> Bounds:
        """Return an interval of the area, within [0, 1] and never of zero width.

        Normal on the logit scale: logit(value) ± z standard_error/(value (1 - value)), mapped back. Where the standard
        error or the value leaves no such interval (a value of 0 or 1, all scores equal), the Clopper-Pearson interval
        of value·m successes in m = min(N, M) trials instead: m disjoint pairs of a real and a fake are independent
        trials, of which full separation makes all or none a success, so it is then exact (and conservative, as it
        uses no other pair).
        Raises ValueError when ``level`` is not in (0, 1).
        Source: DeLong et al. 1988; Pepe 2003 (logit scale); Clopper and Pearson 1934.
        """
        pairs = min(self.n_real, self.n_fake)
        spread = self.value * (1 - self.value)
        if self.standard_error == 0 or spread == 0:
            return clopper_pearson(self.value * pairs, pairs, level)
        ends = normal(float(special.logit(self.value)), self.standard_error / spread, level)
        return Bounds(float(special.expit(ends.low)), float(special.expit(ends.high)))


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """The vertices of the empirical ROC curve from (0, 0) to (1, 1), all three (T,) float64, rising."""

    thresholds: Tensor
    """Every distinct score, then infinity."""
    fpr: Tensor
    """Share of reals strictly below the threshold."""
    tpr: Tensor
    """Share of fakes strictly below the threshold."""


@dataclass(frozen=True, slots=True)
class EqualErrorRate:
    """The error rate where both errors are nearest to equal, and the threshold that gives it."""

    value: float
    """Mean of FPR and FNR at the threshold, 0 to 1."""
    threshold: float
    """A score, or infinity where everything is best called generated."""


def auc(real: Tensor, fake: Tensor) -> Auc:
    """Return P(real score > fake score) + P(equal)/2 with DeLong's standard error, from scores (N,) and (M,).

    The value is the Mann-Whitney statistic over NM, unbiased. With V_i the share of fakes below real i and W_j the
    share of reals above fake j (ties half), the squared standard error is var(V)/N + var(W)/M, divisors N - 1 and
    M - 1. One sort of each side: O((N + M) log(N + M)).

    Raises ValueError when a side is not a vector of 2 or more finite scores.
    Source: DeLong, DeLong and Clarke-Pearson 1988.
    """
    reals, fakes = vector(real, "real", least=2), vector(fake, "fake", least=2)
    n, m = len(reals), len(fakes)
    # Twice the counts are whole numbers, so the value and the decision that a variance is 0 are free of rounding.
    above = doubled_ranks(reals, fakes)
    below = 2 * n - doubled_ranks(fakes, reals)
    value = int(above.sum()) / (2 * n * m)
    variance = _whole_variance(above) / (4 * m**2 * n) + _whole_variance(below) / (4 * n**2 * m)
    return Auc(value, math.sqrt(variance), n, m)


def roc(real: Tensor, fake: Tensor) -> Roc:
    """Return the vertices of the empirical ROC curve of detecting fakes, from scores (N,) and (M,).

    One vertex for each distinct score as threshold and one for infinity; the area below the straight lines between
    them is the value of ``auc``.
    Raises ValueError when a side is not a vector of 1 or more finite scores.
    """
    reals, fakes = vector(real, "real", least=1), vector(fake, "fake", least=1)
    thresholds, false_positives, true_positives = counts_below(reals, fakes)
    return Roc(thresholds, false_positives.double() / len(reals), true_positives.double() / len(fakes))


def equal_error_rate(real: Tensor, fake: Tensor) -> EqualErrorRate:
    """Return the mean of FPR and FNR at the ROC vertex where |FPR - FNR| is least, from scores (N,) and (M,).

    FNR is the share of fakes not called generated. No line is drawn between vertices, so the value belongs to the
    threshold returned; of vertices that tie, the lowest threshold is taken. The plug-in estimate, 0 to 1.
    Raises ValueError when a side is not a vector of 1 or more finite scores.
    """
    reals, fakes = vector(real, "real", least=1), vector(fake, "fake", least=1)
    n, m = len(reals), len(fakes)
    thresholds, false_positives, true_positives = counts_below(reals, fakes)
    misses = m - true_positives
    # Over the common denominator NM the gap is a whole number and a tie is a tie.
    gaps = (false_positives * m - misses * n).abs()
    best = int((gaps == gaps.min()).nonzero()[0])
    value = (int(false_positives[best]) * m + int(misses[best]) * n) / (2 * n * m)
    return EqualErrorRate(value, float(thresholds[best]))


def conformal_threshold(calibration: Tensor, alpha: float) -> float | None:
    """Return the threshold below which at most a share ``alpha`` of new reals falls, or None when reals are too few.

    The k-th smallest score of ``calibration`` (n,), scores of reals, with k = floor(alpha (n + 1)); None when k = 0.
    For a new real exchangeable with these P(score < threshold) <= k/(n + 1) <= alpha, ties or not; the probability is
    over calibration and new real together. For one given calibration the rate varies around it (see
    ``quantile_bounds`` and ``false_positive_rate``).

    Raises ValueError when ``calibration`` is not a vector of 1 or more finite scores or ``alpha`` is not in (0, 1).
    Source: Vovk, Gammerman and Shafer 2005; Bates et al. 2023.
    """
    scores = vector(calibration, "calibration", least=1)
    k = conformal_rank(len(scores), alpha)
    return float(scores.kthvalue(k).values) if k >= 1 else None


def conformal_rank(n: int, alpha: float) -> int:
    """Return k = floor(alpha (n + 1)), the rank of the threshold among ``n`` calibration scores; 0 when n is too few.

    Raises ValueError when ``n`` is below 1 or ``alpha`` is not in (0, 1).
    """
    return math.floor(written(alpha, "alpha") * (whole(n, "n", least=1) + 1))


def conformal_rate(n: int, alpha: float, level: float) -> tuple[float, Bounds]:
    """Return the expected false positive rate of a conformal threshold and the range it falls in, each 0 to 1.

    Over draws of ``n`` calibration reals with a continuous score, the rate of one threshold follows
    Beta(k, n + 1 - k): mean k/(n + 1), and the range holds it with probability ``level``, tails equal.
    Raises ValueError when n gives no threshold, or ``alpha`` or ``level`` is not in (0, 1).
    Source: Vovk 2012, Conditional validity of inductive conformal predictors.
    """
    k = whole(conformal_rank(n, alpha), "k", least=1)
    tail = (1 - proportion(level, "level")) / 2
    from scipy.stats import beta  # half a second to import, for audits that ask no discriminator

    law = beta(k, n + 1 - k)
    return k / (n + 1), Bounds(float(law.ppf(tail)), float(law.ppf(1 - tail)))


def calibration_size_needed(alpha: float) -> int:
    """Return the least number of calibration reals for which ``conformal_threshold`` gives a threshold.

    ceil(1/alpha) - 1, at least 1. Raises ValueError when ``alpha`` is not in (0, 1).
    """
    return max(1, math.ceil(1 / written(alpha, "alpha")) - 1)


def false_positive_rate(real: Tensor, threshold: float) -> float:
    """Return the share of ``real`` (N,) with a score strictly below ``threshold``, 0 to 1: reals called generated.

    Raises ValueError when ``real`` is not a vector of 1 or more finite scores.
    """
    return _share_below(vector(real, "real", least=1), threshold)


def true_positive_rate(fake: Tensor, threshold: float) -> float:
    """Return the share of ``fake`` (M,) with a score strictly below ``threshold``, 0 to 1: fakes called generated.

    Raises ValueError when ``fake`` is not a vector of 1 or more finite scores.
    """
    return _share_below(vector(fake, "fake", least=1), threshold)


def _share_below(scores: Tensor, threshold: float) -> float:
    return int((scores < threshold).sum()) / len(scores)


def _whole_variance(counts: Tensor) -> float:
    return 0.0 if bool((counts == counts[0]).all()) else float(counts.double().var(correction=1))
