"""Randomised smoothing: what a critic asked under Gaussian noise is certain to say near a sample.

Noise is not clipped to the range: a certificate speaks of the smoothed critic, which is asked outside of it as well.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ganaudit.attacks.critic import Critic
from ganaudit.numerics.arguments import proportion, whole

__all__ = [
    "Certificates",
    "SmoothedScores",
    "certified_rates",
    "certify",
    "largest_radius",
    "lower_bound",
    "smoothed_scores",
]


@dataclass(frozen=True, slots=True, eq=False)
class Certificates:
    """Verdicts of the smoothed critic on N samples, each with the L2 radius it holds within."""

    called_real: Tensor
    """(N,) bool; says nothing where ``abstained``."""
    abstained: Tensor
    """(N,) bool: no majority that the draws could prove."""
    radius: Tensor
    """(N,) float64, in the unit of the values; 0 where abstained."""
    estimate: Tensor
    """sigma·Phi⁻¹(share), (N,) float64: near what more draws would give, no certificate; infinite where all agree."""
    share: Tensor
    """Share of the noisy copies with that verdict, (N,) float64."""
    share_low: Tensor
    """Its lower bound with confidence 1 - alpha, (N,) float64."""

    def accuracy(self, real: bool, radius: float) -> float:
        """Return the certified accuracy: the share of samples called rightly within ``radius``, 0 to 1.

        ``real``: what all these samples are. Abstaining counts as wrong.
        """
        right = (self.called_real == real) & ~self.abstained & (self.radius >= radius)
        return float(right.double().mean())


@dataclass(frozen=True, slots=True, eq=False)
class SmoothedScores:
    """The median score under noise of N samples, and its bounds within R radii."""

    median: Tensor
    """(N,) float64, in the score's unit."""
    radii: tuple[float, ...]
    low: Tensor
    """(R, N) float64: the smoothed score is no lower at any point within the radius; -inf where not provable."""
    high: Tensor
    """(R, N) float64: nor higher; inf where not provable."""


def certify(
    critic: Critic,
    x: Tensor,
    sigma: float,
    rng: np.random.Generator,
    *,
    n0: int = 100,
    n: int = 10_000,
    alpha: float = 0.001,
    batch: int = 1000,
) -> Certificates:
    """Return the verdict of the smoothed critic on ``x`` (N, ...) and the L2 radius within which it stands.

    The smoothed critic says what the critic says most often of x + N(0, sigma² I). ``n0`` draws guess the verdict,
    ``n`` others count it; p is the lower Clopper-Pearson bound of its probability at confidence 1 - ``alpha``. With
    p > 1/2 the verdict holds within sigma·Phi⁻¹(p), wrongly so for a sample with probability ``alpha`` at most; else
    it abstains. n0 + n forward passes a sample, ``batch`` at a time. The noise of a sample depends on ``rng`` and on
    that sample. Exact for a linear critic, m/||w||₂, up to the draws, for every sigma.

    ValueError for no samples, a sigma that is not above 0, counts below 1, an alpha outside (0, 1), and for a score
    that is no number.
    Source: Cohen, Rosenfeld and Kolter 2019, section 3.2.
    """
    whole(n0, "n0", 1)
    whole(n, "n", 1)
    tail = proportion(alpha, "alpha")
    real, share = np.empty(len(x), dtype=bool), np.empty(len(x))
    for row, parts in enumerate(_noisy(critic, x, sigma, rng, n0 + n, batch)):
        called = torch.cat([~critic.fooled_of(scores, "real") for scores in parts]).cpu().numpy()
        real[row] = 2 * np.count_nonzero(called[:n0]) >= n0
        share[row] = np.count_nonzero(called[n0:] == real[row]) / n
    bound = np.array([lower_bound(round(part * n), n, tail) for part in share])
    abstained = bound <= 0.5
    radius = np.where(abstained, 0.0, sigma * special.ndtri(bound))
    estimate = sigma * special.ndtri(share)
    made = (torch.from_numpy(values) for values in (real, abstained, radius, estimate, share, bound))
    return Certificates(*made)


def lower_bound(successes: int, n: int, alpha: float) -> float:
    """Return the one-sided Clopper-Pearson bound of a proportion: below it with probability ``alpha`` at most.

    The beta quantile at ``alpha`` with parameters s and n - s + 1; 0 for no successes.
    Source: Clopper and Pearson 1934.
    """
    whole(successes, "successes", 0, whole(n, "n", 1))
    proportion(alpha, "alpha")
    return float(special.betaincinv(successes, n - successes + 1, alpha)) if successes else 0.0


def largest_radius(sigma: float, n: int, alpha: float) -> float:
    """Return the radius that ``certify`` gives when all ``n`` draws agree, the largest it can.

    sigma·Phi⁻¹(alpha^(1/n)); 0 when that many draws prove nothing. Grows with the root of the logarithm of ``n``.
    ValueError as ``certify``.
    """
    _positive(sigma)
    bound = proportion(alpha, "alpha") ** (1 / whole(n, "n", 1))
    return sigma * float(special.ndtri(bound)) if bound > 0.5 else 0.0


def smoothed_scores(
    critic: Critic,
    x: Tensor,
    sigma: float,
    radii: Sequence[float],
    rng: np.random.Generator,
    *,
    n: int = 10_000,
    alpha: float = 0.001,
    batch: int = 1000,
) -> SmoothedScores:
    """Return the median score of ``x`` (N, ...) under N(0, sigma² I), with bounds within each of the L2 ``radii``.

    Within radius r the median moves at most to the quantiles Phi(-r/sigma) and Phi(r/sigma) of the scores at x. They
    are bounded by order statistics of ``n`` draws, each bound wrong for a sample with probability ``alpha``/2 at most;
    infinite where ``n`` draws are too few. Of the draws' own median the lower middle one is taken. n forward passes a
    sample. For a linear critic the bounds are median ± r·||w||₂, up to the draws.

    ValueError as ``certify``, and for a radius that is negative or infinite.
    Source: Chiang et al. 2020, theorem 1 and section 4.
    """
    whole(n, "n", 1)
    tail = proportion(alpha, "alpha") / 2
    for radius in radii:
        if not 0 <= radius < math.inf:
            raise ValueError(f"radius: found {radius}; allowed: 0 or more, finite")
    places = [_ranks(n, radius / _positive(sigma), tail) for radius in radii]
    median = np.empty(len(x))
    bounds = np.empty((2, len(radii), len(x)))
    for row, parts in enumerate(_noisy(critic, x, sigma, rng, n, batch)):
        ordered = np.concatenate([[-np.inf], np.sort(torch.cat(list(parts)).cpu().numpy()), [np.inf]])
        median[row] = ordered[(n + 1) // 2]
        bounds[:, :, row] = ordered[np.array(places, dtype=int).reshape(-1, 2).T]
    return SmoothedScores(
        torch.from_numpy(median),
        tuple(float(radius) for radius in radii),
        torch.from_numpy(bounds[0]),
        torch.from_numpy(bounds[1]),
    )


def certified_rates(real_low: Tensor, fake_high: Tensor, threshold: float) -> tuple[float, float]:
    """Return (FPR, TPR) that hold for the smoothed critic against every change within a radius.

    ``real_low`` (N,): lower bounds of reals at that radius, ``fake_high`` (M,): upper bounds of fakes. The FPR, the
    share of reals called generated, is at most the first; the TPR, the share of fakes called so, at least the second;
    on these samples, and up to the bounds that are wrong: alpha/2 of them at most, on average. A score is called
    generated strictly below ``threshold``. ValueError for no samples on a side.
    """
    for values, name in ((real_low, "real_low"), (fake_high, "fake_high")):
        if values.ndim != 1 or not len(values):
            raise ValueError(f"{name}: found shape {tuple(values.shape)}; allowed: (samples,), one or more")
    return float((real_low < threshold).double().mean()), float((fake_high < threshold).double().mean())


def _noisy(
    critic: Critic, x: Tensor, sigma: float, rng: np.random.Generator, n: int, batch: int
) -> Iterator[Iterator[Tensor]]:
    """Yield for each sample its scores under noise, (<= batch,) float64 a part, n in all."""
    _positive(sigma)
    whole(len(x), "samples", 1)
    whole(batch, "batch", 1)
    event = int(rng.integers(2**63))
    for sample in x.detach():
        key = zlib.crc32(sample.cpu().contiguous().numpy().tobytes())
        yield _scores(critic, sample, sigma, np.random.Generator(np.random.Philox(key=[event, key])), n, batch)


def _scores(
    critic: Critic, sample: Tensor, sigma: float, stream: np.random.Generator, n: int, batch: int
) -> Iterator[Tensor]:
    for start in range(0, n, batch):
        count = min(batch, n - start)
        noise = torch.from_numpy(stream.standard_normal((count, *sample.shape), dtype=np.float32))
        with torch.no_grad():
            found = critic.scores(sample + sigma * noise.to(sample))
        if not bool(torch.isfinite(found).all()):
            raise ValueError("critic: found a score under noise that is no finite number; allowed: finite numbers")
        yield found


def _ranks(n: int, shift: float, tail: float) -> tuple[int, int]:
    """Return the ranks, 1..n, of the bounds at ``shift`` = r/sigma; 0 and n + 1 where there is none."""
    ranks = np.arange(1, n + 1)
    # The k-th smallest exceeds the p-quantile when fewer than k draws lie below it.
    above = special.bdtr(ranks - 1, n, special.ndtr(-shift))
    # It lies below the quantile when k draws or more do.
    below = special.bdtrc(ranks - 1, n, special.ndtr(shift))
    low = int(np.count_nonzero(above <= tail))
    high = n + 1 - int(np.count_nonzero(below <= tail))
    return low, high


def _positive(sigma: float) -> float:
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma: found {sigma}; allowed: above 0, finite")
    return sigma
