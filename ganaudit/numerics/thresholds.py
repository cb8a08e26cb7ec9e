"""Thresholds that keep the false positive rate below a promise, and the law of the rate that they give.

All rest on one fact: with n exchangeable calibration reals, the rate at which further reals fall strictly below the
k-th smallest of their scores follows Beta(k, n + 1 - k) when the score is continuous. Where scores tie, the rate can
only be smaller: every promise here holds, none is exact. The calibration reals must be unseen by the critic in
training, and of the kind that the threshold will judge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector, whole
from ganaudit.numerics.detection import calibration_size_needed, conformal_rank
from ganaudit.numerics.intervals import Bounds, clopper_pearson
from ganaudit.numerics.ranks import written

__all__ = [
    "Achieved",
    "Promise",
    "Threshold",
    "achieved",
    "conformal_p_values",
    "pac_rank",
    "pac_size_needed",
    "pac_threshold",
    "rate_bounds",
    "rate_upper",
    "thresholds",
]

Promise = Literal["conformal", "pac"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold for one rate, with what it promises; or why there is none."""

    promise: Promise
    """conformal: the rate is kept on average over calibration draws. pac: in a share ``confidence`` of them."""
    alpha: float
    """The false positive rate that is not to be passed."""
    confidence: float | None
    """Of the PAC promise; None for a conformal one."""
    n: int
    """Calibration reals."""
    rank: int
    """k; 0 where the reals are too few."""
    value: float | None
    """The k-th smallest calibration score; None where the reals are too few."""
    needed: int
    """The least number of calibration reals that give a threshold."""
    tied: int
    """Calibration reals with the score ``value``, itself included; above 1 the rate falls short of its law."""

    @property
    def expected_rate(self) -> float | None:
        """k/(n + 1), the mean rate over calibration draws (at most that, with ties); None without a threshold."""
        return self.rank / (self.n + 1) if self.rank else None


@dataclass(frozen=True, slots=True)
class Achieved:
    """What a threshold does to reals that did not choose it."""

    rate: float
    """Share of test reals strictly below the threshold, 0 to 1."""
    count: int
    n: int
    bounds: Bounds
    """Clopper-Pearson interval of the threshold's rate."""
    p_value: float
    """P(this many test reals or more below) when test and calibration reals are exchangeable."""


def pac_rank(n: int, alpha: float, confidence: float = 0.95) -> int:
    """Return the largest k with P(Beta(k, n + 1 - k) <= alpha) >= ``confidence``; 0 when ``n`` is too few.

    With that probability over the draw of ``n`` calibration reals, a share of at most ``alpha`` of all reals lies
    strictly below the k-th smallest of their scores.
    Raises ValueError when ``n`` is below 1, or ``alpha`` or ``confidence`` is not in (0, 1).
    Source: Wilks 1941; Vovk 2012; Park et al. 2020 (PAC prediction sets).
    """
    n, alpha, confidence = whole(n, "n", least=1), proportion(alpha, "alpha"), proportion(confidence, "confidence")
    low, high = 0, n + 1  # the probability falls with k
    while high - low > 1:
        middle = (low + high) // 2
        kept = float(special.betainc(middle, n + 1 - middle, alpha)) >= confidence
        low, high = (middle, high) if kept else (low, middle)
    return low


def pac_threshold(calibration: Tensor, alpha: float, confidence: float = 0.95) -> float | None:
    """Return the ``pac_rank``-th smallest of the scores ``calibration`` (n,) of reals, or None when they are too few.

    Raises ValueError when ``calibration`` is not a vector of 1 or more finite scores, or ``alpha`` or ``confidence``
    is not in (0, 1).
    """
    scores = vector(calibration, "calibration", least=1)
    k = pac_rank(len(scores), alpha, confidence)
    return float(scores.kthvalue(k).values) if k else None


def pac_size_needed(alpha: float, confidence: float = 0.95) -> int:
    """Return the least number of calibration reals for which ``pac_threshold`` gives a threshold.

    The least n with 1 - (1 - alpha)^n >= ``confidence``: so many reals, none of them below the lowest score.
    Raises ValueError when ``alpha`` or ``confidence`` is not in (0, 1).
    """
    alpha, confidence = proportion(alpha, "alpha"), proportion(confidence, "confidence")
    n = max(1, math.floor(math.log1p(-confidence) / math.log1p(-alpha)) - 1)
    while pac_rank(n, alpha, confidence) == 0:  # two steps or three: the logarithms are off by rounding only
        n += 1
    return n


def rate_upper(n: int, rank: int, confidence: float = 0.95) -> float:
    """Return the rate that the ``rank``-th smallest of ``n`` scores passes in a share 1 - ``confidence`` of draws.

    The quantile of Beta(rank, n + 1 - rank), 0 to 1; with ties the rate passes it more rarely.
    Raises ValueError when ``rank`` is not in 1..n or ``confidence`` is not in (0, 1).
    """
    k = whole(rank, "rank", least=1, most=whole(n, "n", least=1))
    return float(special.betaincinv(k, n + 1 - k, proportion(confidence, "confidence")))


def rate_bounds(n: int, rank: int, level: float) -> Bounds:
    """Return the range that the rate of the ``rank``-th smallest of ``n`` continuous scores falls in, tails equal.

    Raises ValueError when ``rank`` is not in 1..n or ``level`` is not in (0, 1).
    """
    tail = (1 - proportion(level, "level")) / 2
    return Bounds(rate_upper(n, rank, tail), rate_upper(n, rank, 1 - tail))


def thresholds(
    calibration: Tensor, rates: Sequence[float], confidence: float = 0.95, *, jointly: bool = False
) -> list[Threshold]:
    """Return for each of ``rates`` the conformal and the PAC threshold of the scores ``calibration`` (n,) of reals.

    Every promise is for its own rate. With ``jointly`` all PAC promises hold together with ``confidence``: each is
    then made at 1 - (1 - confidence)/len(rates) (Bonferroni), which its ``confidence`` says.
    Raises ValueError when ``calibration`` is not a vector of 1 or more finite scores, ``rates`` is empty, or a rate
    or ``confidence`` is not in (0, 1).
    """
    scores = vector(calibration, "calibration", least=1).sort().values
    parts = whole(len(rates), "rates", least=1)
    n = len(scores)
    # 1 - confidence as it is written: in binary 1 - (1 - 0.95) is above 0.95, and could lose a rank.
    each = float(1 - (1 - written(confidence, "confidence")) / parts) if jointly else confidence
    found = []
    for alpha in rates:
        conformal, sure = conformal_rank(n, alpha), pac_rank(n, alpha, each)
        found.append(_threshold(scores, "conformal", alpha, None, conformal, calibration_size_needed(alpha)))
        found.append(_threshold(scores, "pac", alpha, each, sure, pac_size_needed(alpha, each)))
    return found


def conformal_p_values(calibration: Tensor, scores: Tensor) -> Tensor:
    """Return for each of ``scores`` (M,) the conformal p-value of being real, (M,) float64 in (0, 1].

    (1 + calibration scores at or below it)/(n + 1). For a real exchangeable with the n calibration reals
    P(p <= a) <= a for every a; p <= alpha exactly where the score lies strictly below ``conformal_threshold``.
    Raises ValueError when either is not a vector of 1 or more finite scores.
    Source: Vovk, Gammerman and Shafer 2005; Bates et al. 2023.
    """
    ordered = vector(calibration, "calibration", least=1).sort().values
    below = torch.searchsorted(ordered, vector(scores, "scores", least=1).contiguous(), right=True)
    return (1 + below).double() / (len(ordered) + 1)


def achieved(test: Tensor, threshold: Threshold, level: float = 0.95) -> Achieved:
    """Return what ``threshold`` does to the scores ``test`` (N,) of further reals.

    The p-value is the upper tail of BetaBinomial(N; k, n + 1 - k), the exact law of the count over both draws for a
    continuous score: a small one says that test and calibration reals are not of one kind (or that calibration reals
    were seen in training). With ties it is only greater.
    Raises ValueError when ``test`` is not a vector of 1 or more finite scores, ``threshold`` has no value or
    ``level`` is not in (0, 1).
    """
    if threshold.value is None:
        raise ValueError(f"threshold: found none; allowed: one from {threshold.needed} calibration reals or more")
    reals = vector(test, "test", least=1)
    count, n = int((reals < threshold.value).sum()), len(reals)
    from scipy.stats import betabinom  # half a second to import, for audits that ask no discriminator

    p_value = float(betabinom.sf(count - 1, n, threshold.rank, threshold.n + 1 - threshold.rank))
    return Achieved(count / n, count, n, clopper_pearson(count, n, level), min(1.0, max(0.0, p_value)))


def _threshold(
    ordered: Tensor, promise: Promise, alpha: float, confidence: float | None, rank: int, needed: int
) -> Threshold:
    value = float(ordered[rank - 1]) if rank else None
    tied = int((ordered == ordered[rank - 1]).sum()) if rank else 0
    return Threshold(promise, alpha, confidence, len(ordered), rank, value, needed, tied)
