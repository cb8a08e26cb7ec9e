"""Whether the scores of a critic mean what they say, read as log-likelihood ratios of real against generated.

With N reals and M fakes, p = sigmoid(score + log(N/M)) is then the probability of being real among these samples; for
N = M that is sigmoid(score), what a GAN's discriminator is trained to say.
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
    said: Tensor
    """Mean probability of being real."""
    found: Tensor
    """Share of reals."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationError:
    """Expected calibration error of binned probabilities (L1), with what chance alone would make it."""

    value: float
    """Sum over bins of |found - said| count/n, 0 to 1."""
    expected: float
    """Its mean when labels are drawn from the probabilities, in the same bins: a perfect critic's value."""
    p_value: float
    """Share of those draws with a value as large or larger, the samples themselves counted as one draw."""
    curve: Reliability


@dataclass(frozen=True, slots=True)
class Brier:
    """Mean squared error of the probabilities, split by the bins of the reliability curve.

    value = reliability - resolution + uncertainty + within_variance - within_covariance, exactly.
    """

    value: float
    """Mean (p - y)², y = 1 for reals; 0 to 1."""
    standard_error: float
    """For fixed N and M; divisors N - 1 and M - 1."""
    reliability: float
    """Mean squared distance of a bin's share of reals from the mean probability said; 0 is calibrated."""
    resolution: float
    """Mean squared distance of a bin's share from the share over all; higher is better."""
    uncertainty: float
    """s (1 - s), s the share of reals."""
    within_variance: float
    """Mean squared distance of p from its bin's mean."""
    within_covariance: float
    """Twice the mean product of p and y, each less its bin's mean."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A mean over samples with its standard error for fixed N and M."""

    value: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class CalibrationTest:
    """Whether the probabilities said add up to the number of reals found."""

    z: float
    """sum (y - p)/sqrt(sum p (1 - p)): Dawid's, N(0, 1) when each label is drawn from its p, labels' number free."""
    z_sides: float | None
    """The same difference over its error for fixed N and M, N(0, 1); None where all probabilities of a side agree."""
    p_value: float
    """Two-sided, of ``z_sides``, or of ``z`` where there is none (conservative: fixing N and M takes chance away)."""
    z_p_value: float
    """Two-sided p-value of ``z``."""
    spiegelhalter: float
    """sum (y - p)(1 - 2p)/sqrt(sum (1 - 2p)² p (1 - p)), law as of ``z``: below 0 too timid, above 0 too bold."""
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

    equal-width: bin floor(p B) of B = ``bins``, p = 1 in the last. equal-mass: cut where a B-th part of the samples
    is reached; samples of one probability stay in one bin, so ties make bins fewer and of unequal mass.
    Raises ValueError when a side is not a vector of 2 or more finite scores, ``bins`` is below 1 or ``binning`` is
    another word.
    """
    _, p, labels = _said(real, fake)
    return _curve(p, labels, _bins(p, bins, binning))


def calibration_error(
    real: Tensor,
    fake: Tensor,
    rng: np.random.Generator,
    bins: int = 15,
    binning: Binning = "equal-mass",
    draws: int = 200,
) -> CalibrationError:
    """Return the expected calibration error and its value under perfect calibration, from scores (N,) and (M,).

    ECE is never below 0, so chance alone lifts it, by about sqrt(2/π) sum_b sqrt(sum_b p (1 - p))/n for a calibrated
    critic: ``expected`` is the mean over ``draws`` sets of labels drawn from p with ``rng``. Their number of reals is
    free, which is a little more chance than a fixed N leaves: the p-value is slightly conservative. Binning hides
    errors that cancel within a bin, so the value may fall short of the exact one.
    Raises ValueError as ``reliability`` does and when ``draws`` is below 1.
    Source: Naeini et al. 2015 (ECE); Bröcker and Smith 2007 (draws from p).
    """
    _, p, labels = _said(real, fake)
    which = _bins(p, bins, binning)
    value = _error(p, labels, which)
    chance, said = rng.random, p.cpu().numpy()
    drawn = [
        _error(p, torch.from_numpy((chance(len(said)) < said).astype(np.float64)).to(p.device), which)
        for _ in range(whole(draws, "draws", least=1))
    ]
    larger = sum(one >= value for one in drawn)
    curve = _curve(p, labels, which)
    return CalibrationError(value, math.fsum(drawn) / draws, (1 + larger) / (1 + draws), curve)


def brier(real: Tensor, fake: Tensor, bins: int = 15, binning: Binning = "equal-mass") -> Brier:
    """Return the Brier score with Murphy's split and the terms within bins, from scores (N,) and (M,).

    Raises ValueError as ``reliability`` does.
    Source: Murphy 1973; Stephenson et al. 2008 (within bins).
    """
    _, p, labels = _said(real, fake)
    which = _bins(p, bins, binning)
    curve = _curve(p, labels, which)
    at = torch.unique(which, return_inverse=True)[1]
    weights, share = curve.count / len(p), float(labels.mean())
    apart, off = p - curve.said[at], labels - curve.found[at]
    squares = (p - labels).square()
    return Brier(
        float(squares.mean()),
        _standard_error(squares, len(real)),
        float((weights * (curve.found - curve.said).square()).sum()),
        float((weights * (curve.found - share).square()).sum()),
        share * (1 - share),
        float(apart.square().mean()),
        2 * float((apart * off).mean()),
    )


def log_loss(real: Tensor, fake: Tensor) -> Loss:
    """Return the mean of -log p over reals and -log(1 - p) over fakes, in nats, from scores (N,) and (M,).

    Taken from the scores, so it stays finite where p rounds to 0 or 1.
    Raises ValueError when a side is not a vector of 2 or more finite scores.
    """
    logits, _, labels = _said(real, fake)
    costs = torch.nn.functional.softplus(torch.where(labels == 1, -logits, logits))
    return Loss(float(costs.mean()), _standard_error(costs, len(real)))


def calibration_test(real: Tensor, fake: Tensor) -> CalibrationTest:
    """Return the Z test that the probabilities add up, from scores (N,) and (M,) of samples unseen in training.

    With N and M fixed by design, sum (y - p) scatters by sqrt(N var(p | real) + M var(p | fake)), which is less than
    Dawid's sqrt(sum p (1 - p)); both are given. One number cannot see errors that cancel, such as too bold on both
    sides; Spiegelhalter's, which compares the Brier score with the one that p promises, sees just these. Each is blind
    to what the other sees; see ``calibration_error`` for all at once.
    Raises ValueError when a side is not a vector of 2 or more finite scores.
    Source: Dawid 1997; Turner et al. 2019, arXiv:1811.11357; Spiegelhalter 1986.
    """
    logits, p, _ = _said(real, fake)
    n, m = len(real), len(fake)
    surplus = float((torch.sigmoid(-logits[:n])).sum() - p[n:].sum())
    spread = math.sqrt(float((p * torch.sigmoid(-logits)).sum()))
    z = _over(surplus, spread)
    constant = bool((p[:n] == p[0]).all()) or bool((p[n:] == p[n]).all())
    sides = None
    if not constant:
        sides = surplus / math.sqrt(n * float(p[:n].var(correction=1)) + m * float(p[n:].var(correction=1)))
    lean = -torch.tanh(logits / 2)  # 1 - 2p
    wrong = torch.cat([torch.sigmoid(-logits[:n]), -p[n:]])  # y - p
    squares = _over(float((wrong * lean).sum()), math.sqrt(float((lean.square() * p * torch.sigmoid(-logits)).sum())))
    return CalibrationTest(
        z, sides, _two_sided(z if sides is None else sides), _two_sided(z), squares, _two_sided(squares)
    )


def _said(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, probabilities of being real and labels, each (N + M,), reals first."""
    reals, fakes = vector(real, "real", least=2), vector(fake, "fake", least=2)
    logits = torch.cat([reals, fakes]) + math.log(len(reals) / len(fakes))
    labels = torch.zeros_like(logits)
    labels[: len(reals)] = 1
    return logits, torch.sigmoid(logits), labels


def _bins(p: Tensor, bins: int, binning: Binning) -> Tensor:
    """Return the number of each probability's bin, (n,) int64; numbers may be left out."""
    whole(bins, "bins", least=1)
    if binning == "equal-width":
        return (p * bins).floor().long().clamp(max=bins - 1)
    if binning != "equal-mass":
        raise ValueError(f"binning: found {binning!r}; allowed: 'equal-mass' or 'equal-width'")
    cuts = torch.arange(1, bins, device=p.device) * len(p) // bins
    return torch.searchsorted(torch.unique(p.sort().values[cuts]), p, right=True)


def _curve(p: Tensor, labels: Tensor, which: Tensor) -> Reliability:
    numbers, at, count = torch.unique(which, return_inverse=True, return_counts=True)
    blank = p.new_zeros(len(numbers))
    return Reliability(
        blank.scatter_reduce(0, at, p, "amin", include_self=False),
        blank.scatter_reduce(0, at, p, "amax", include_self=False),
        count.double(),
        torch.bincount(at, p) / count,
        torch.bincount(at, labels) / count,
    )


def _error(p: Tensor, labels: Tensor, which: Tensor) -> float:
    return float(torch.bincount(which, labels - p).abs().sum()) / len(p)


def _standard_error(costs: Tensor, n: int) -> float:
    m = len(costs) - n
    return math.sqrt(n * float(costs[:n].var(correction=1)) + m * float(costs[n:].var(correction=1))) / (n + m)


def _two_sided(z: float) -> float:
    return float(2 * special.ndtr(-abs(z)))


def _over(surplus: float, spread: float) -> float:
    if surplus == 0:
        return 0.0
    return surplus / spread if spread > 0 else math.copysign(math.inf, surplus)
