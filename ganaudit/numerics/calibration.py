"""Whether the scores of a critic mean what they say, read as log-likelihood ratios of real against generated.

p = sigmoid(score) is then the probability of being real where every second sample is, what a GAN's discriminator is
trained to say. Both sides count alike in every mean, whatever N and M are: a real has the weight 1/(2N), a fake 1/(2M).
So no value depends on how many samples of a side were at hand, and reals against fewer reals are a fair null.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import vector, whole

__all__ = [
    "Binning",
    "Brier",
    "Calibration",
    "CalibrationError",
    "CalibrationTest",
    "Loss",
    "Reliability",
    "brier",
    "calibration",
    "calibration_error",
    "calibration_test",
    "log_loss",
    "reliability",
]

Binning = Literal["equal-mass", "equal-width"]


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """The share of reals against the probability said, bin by bin; all (B,) float64, rising; empty bins left out."""

    low: Tensor
    """Least probability in the bin."""
    high: Tensor
    """Greatest probability in the bin."""
    count: Tensor
    """Samples in the bin."""
    reals: Tensor
    """Reals among them."""
    weight: Tensor
    """Their share of all, both sides counted alike; sums to 1."""
    said: Tensor
    """Mean probability of being real, weighted."""
    found: Tensor
    """Share of reals, weighted."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationError:
    """Expected calibration error of binned probabilities (L1), with what chance alone would make it."""

    value: float
    """Sum over bins of weight |found - said|, 0 to 1."""
    expected: float
    """Its mean when labels are drawn as a perfect critic's scores say, in the same bins: such a critic's value."""
    p_value: float
    """Share of those draws with a value as large or larger, the samples themselves counted as one draw."""
    curve: Reliability


@dataclass(frozen=True, slots=True)
class Brier:
    """Mean squared error of the probabilities, both sides counted alike, split by the bins of the reliability curve.

    value = reliability - resolution + uncertainty + within_variance - within_covariance, exactly.
    """

    value: float
    """Half the sum of the means of (1 - p)² over reals and of p² over fakes; 0 to 1, 0.25 for p = 1/2."""
    standard_error: float
    """For fixed N and M; divisors N - 1 and M - 1."""
    reliability: float
    """Mean squared distance of a bin's share of reals from the mean probability said; 0 is calibrated."""
    resolution: float
    """Mean squared distance of a bin's share from 1/2, that over all; higher is better."""
    uncertainty: float
    """1/4: that of two sides of equal weight."""
    within_variance: float
    """Mean squared distance of p from its bin's mean."""
    within_covariance: float
    """Twice the mean product of p and y, each less its bin's mean."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Half the sum of the means of both sides, with its standard error for fixed N and M."""

    value: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class CalibrationTest:
    """Whether the probabilities said add up to the share of reals, one half."""

    z: float
    """Dawid's: weighted sum (y - p) over its scatter when each label is drawn as its score says, their number free."""
    z_sides: float | None
    """The same difference over its error for fixed N and M, N(0, 1); None where all probabilities of a side agree."""
    p_value: float
    """Two-sided, of ``z_sides``, or of ``z`` where there is none (conservative: fixing N and M takes chance away)."""
    z_p_value: float
    """Two-sided p-value of ``z``."""
    spiegelhalter: float
    """Weighted sum (y - p)(1 - 2p) over its scatter, law as of ``z``: below 0 too timid, above 0 too bold."""
    spiegelhalter_p_value: float
    """Two-sided."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """All of this module's numbers for one set of scores."""

    equal_mass: CalibrationError
    equal_width: CalibrationError
    brier: Brier
    """Split over the bins of equal mass."""
    log_loss: Loss
    test: CalibrationTest


def calibration(real: Tensor, fake: Tensor, rng: np.random.Generator, bins: int = 15, draws: int = 200) -> Calibration:
    """Return calibration errors in both kinds of bins, Brier split, log-loss and Z test, from scores (N,) and (M,).

    Raises ValueError when a side is not a vector of 2 or more finite scores or ``bins`` or ``draws`` is below 1.
    """
    return Calibration(
        calibration_error(real, fake, rng, bins, "equal-mass", draws),
        calibration_error(real, fake, rng, bins, "equal-width", draws),
        brier(real, fake, bins),
        log_loss(real, fake),
        calibration_test(real, fake),
    )


def reliability(real: Tensor, fake: Tensor, bins: int = 15, binning: Binning = "equal-mass") -> Reliability:
    """Return the reliability curve, from scores (N,) and (M,).

    equal-width: bin floor(p B) of B = ``bins``, p = 1 in the last. equal-mass: cut where a B-th part of the weight is
    reached; samples of one probability stay in one bin, so ties make bins fewer and of unequal mass.
    Raises ValueError when a side is not a vector of 2 or more finite scores, ``bins`` is below 1 or ``binning`` is
    another word.
    """
    p, n = _said(real, fake)
    return _curve(p, n, _bins(p, n, bins, binning))


def calibration_error(
    real: Tensor,
    fake: Tensor,
    rng: np.random.Generator,
    bins: int = 15,
    binning: Binning = "equal-mass",
    draws: int = 200,
) -> CalibrationError:
    """Return the expected calibration error and its value under perfect calibration, from scores (N,) and (M,).

    ECE is never below 0, so chance alone lifts it: ``expected`` is the mean over ``draws`` sets of labels, each drawn
    with ``rng`` from sigmoid(score + log(N/M)), the probability of being real among N and M samples of a critic whose
    scores are log-likelihood ratios. At N = M it is about sqrt(2/π) sum_b sqrt(sum_b p (1 - p))/n, n = 2N. The labels'
    number of reals is free, which is a little more chance than a fixed N leaves: the p-value is slightly conservative.
    Binning hides errors that cancel within a bin, so the value may fall short of the exact one.
    Raises ValueError as ``reliability`` does and when ``draws`` is below 1.
    Source: Naeini et al. 2015 (ECE); Bröcker and Smith 2007 (draws from p).
    """
    logits, n = _pooled(real, fake)
    p = torch.sigmoid(logits)
    which = _bins(p, n, bins, binning)
    value = _error(_apart(logits, n, _labels(p, n)), which)
    chance, true = rng.random, torch.sigmoid(_among(logits, n)).cpu().numpy()
    drawn = [
        _error(_apart(logits, n, torch.from_numpy((chance(len(true)) < true).astype(np.float64)).to(p.device)), which)
        for _ in range(whole(draws, "draws", least=1))
    ]
    larger = sum(one >= value for one in drawn)
    curve = _curve(p, n, which)
    return CalibrationError(value, math.fsum(drawn) / draws, (1 + larger) / (1 + draws), curve)


def brier(real: Tensor, fake: Tensor, bins: int = 15, binning: Binning = "equal-mass") -> Brier:
    """Return the Brier score with Murphy's split and the terms within bins, from scores (N,) and (M,).

    Raises ValueError as ``reliability`` does.
    Source: Murphy 1973; Stephenson et al. 2008 (within bins).
    """
    p, n = _said(real, fake)
    which, labels, weights = _bins(p, n, bins, binning), _labels(p, n), _weights(p, n)
    curve = _curve(p, n, which)
    at = torch.unique(which, return_inverse=True)[1]
    apart, off = p - curve.said[at], labels - curve.found[at]
    squares = (p - labels).square()
    return Brier(
        float(weights @ squares),
        _standard_error(squares, n),
        float(curve.weight @ (curve.found - curve.said).square()),
        float(curve.weight @ (curve.found - 0.5).square()),
        0.25,
        float(weights @ apart.square()),
        2 * float(weights @ (apart * off)),
    )


def log_loss(real: Tensor, fake: Tensor) -> Loss:
    """Return the log-loss in nats, from scores (N,) and (M,): half the means of -log p and of -log(1 - p), summed.

    The first mean is over reals, the second over fakes; log 2 is no information. It is Cllr times log 2. Taken from the
    scores, so it stays finite where p rounds to 0 or 1.
    Raises ValueError when a side is not a vector of 2 or more finite scores.
    """
    reals, fakes = vector(real, "real", least=2), vector(fake, "fake", least=2)
    costs = torch.nn.functional.softplus(torch.cat([-reals, fakes]))
    return Loss(float(_weights(costs, len(reals)) @ costs), _standard_error(costs, len(reals)))


def calibration_test(real: Tensor, fake: Tensor) -> CalibrationTest:
    """Return the Z test that the probabilities add up, from scores (N,) and (M,) of samples unseen in training.

    The mean of 1 - p over reals less that of p over fakes is 0 for a calibrated critic. With N and M fixed by design it
    scatters by sqrt(var(p | real)/N + var(p | fake)/M), which is less than Dawid's, where each label is drawn from its
    score and the number of reals is free; both are given. One number cannot see errors that cancel, such as too bold
    on both sides; Spiegelhalter's, which compares the Brier score with the one that p promises, sees just these. Each
    is blind to what the other sees; see ``calibration_error`` for all at once.
    Raises ValueError when a side is not a vector of 2 or more finite scores.
    Source: Dawid 1997; Turner et al. 2019, arXiv:1811.11357; Spiegelhalter 1986; here at prior 1/2 for any N and M.
    """
    logits, n = _pooled(real, fake)
    p, true = torch.sigmoid(logits), _among(logits, n)
    wrong = _apart(logits, n, _labels(p, n))
    surplus = float(wrong.sum())
    step = torch.sigmoid(-logits) / (2 * n) + p / (2 * (len(p) - n))  # from one label to the other
    variances = torch.sigmoid(true) * torch.sigmoid(-true) * step.square()
    z = _over(surplus, math.sqrt(float(variances.sum())))
    constant = bool((p[:n] == p[0]).all()) or bool((p[n:] == p[n]).all())
    sides = None if constant else surplus / _standard_error(p, n)
    lean = -torch.tanh(logits / 2)  # 1 - 2p
    squares = _over(float(wrong @ lean), math.sqrt(float(variances @ lean.square())))
    return CalibrationTest(
        z, sides, _two_sided(z if sides is None else sides), _two_sided(z), squares, _two_sided(squares)
    )


def _pooled(real: Tensor, fake: Tensor) -> tuple[Tensor, int]:
    """Return the scores of both sides, (N + M,) float64, reals first, and N."""
    reals, fakes = vector(real, "real", least=2), vector(fake, "fake", least=2)
    return torch.cat([reals, fakes]), len(reals)


def _said(real: Tensor, fake: Tensor) -> tuple[Tensor, int]:
    """Return probabilities of being real, (N + M,) float64, reals first, and N."""
    logits, n = _pooled(real, fake)
    return torch.sigmoid(logits), n


def _among(logits: Tensor, n: int) -> Tensor:
    """Return the logits of being real among N and M samples, where ``logits`` are those among equally many."""
    return logits + math.log(n / (len(logits) - n))


def _labels(p: Tensor, n: int) -> Tensor:
    labels = torch.zeros_like(p)
    labels[:n] = 1
    return labels


def _weights(p: Tensor, n: int) -> Tensor:
    """Return 1/(2N) for each of the first ``n``, the reals, and 1/(2M) for each other."""
    weights = torch.full_like(p, 0.5 / (len(p) - n))
    weights[:n] = 0.5 / n
    return weights


def _apart(logits: Tensor, n: int, labels: Tensor) -> Tensor:
    """Return (y - p)/(2N) of those with label 1 and (y - p)/(2M) of the others: what bins add up."""
    m = len(logits) - n
    return torch.where(labels == 1, torch.sigmoid(-logits) / (2 * n), -torch.sigmoid(logits) / (2 * m))


def _bins(p: Tensor, n: int, bins: int, binning: Binning) -> Tensor:
    """Return the number of each probability's bin, (n,) int64; numbers may be left out."""
    whole(bins, "bins", least=1)
    if binning == "equal-width":
        return (p * bins).floor().long().clamp(max=bins - 1)
    if binning != "equal-mass":
        raise ValueError(f"binning: found {binning!r}; allowed: 'equal-mass' or 'equal-width'")
    m = len(p) - n
    # Whole numbers, so that no rounding decides on which side of a cut a sample falls: a real weighs M, a fake N.
    values, at = torch.unique(p, return_inverse=True)
    masses = m * torch.bincount(at[:n], minlength=len(values)) + n * torch.bincount(at[n:], minlength=len(values))
    cuts = torch.arange(1, bins, device=p.device) * (2 * n * m) // bins
    reached = torch.searchsorted(masses.cumsum(0), cuts, right=True)
    return torch.searchsorted(torch.unique(values[reached]), p, right=True)


def _curve(p: Tensor, n: int, which: Tensor) -> Reliability:
    numbers, at, count = torch.unique(which, return_inverse=True, return_counts=True)
    blank, labels, weights = p.new_zeros(len(numbers)), _labels(p, n), _weights(p, n)
    weight = torch.bincount(at, weights)
    return Reliability(
        blank.scatter_reduce(0, at, p, "amin", include_self=False),
        blank.scatter_reduce(0, at, p, "amax", include_self=False),
        count.double(),
        torch.bincount(at, labels),
        weight,
        torch.bincount(at, weights * p) / weight,
        torch.bincount(at, weights * labels) / weight,
    )


def _error(parts: Tensor, which: Tensor) -> float:
    return float(torch.bincount(which, parts).abs().sum())


def _standard_error(costs: Tensor, n: int) -> float:
    """Return the standard error of half the sum of both sides' means."""
    m = len(costs) - n
    return math.sqrt(float(costs[:n].var(correction=1)) / n + float(costs[n:].var(correction=1)) / m) / 2


def _two_sided(z: float) -> float:
    return float(2 * special.ndtr(-abs(z)))


def _over(surplus: float, spread: float) -> float:
    if surplus == 0:
        return 0.0
    return surplus / spread if spread > 0 else math.copysign(math.inf, surplus)
