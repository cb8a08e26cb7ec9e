"""The Fréchet distance with its bias removed and a standard error, from the influence of every sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import pair, whole
from ganaudit.numerics.frechet import frechet_distance
from ganaudit.numerics.intervals import Bounds, normal

_LEAST = 1e-30  # variance below which a side counts as constant

__all__ = ["FrechetEstimate", "corrected_frechet_distance", "frechet_influences", "samples_needed"]


@dataclass(frozen=True, slots=True, eq=False)
class FrechetEstimate:
    """A Fréchet distance with its bias removed."""

    value: float
    """In the squared unit of the features; below 0 by chance where the laws agree."""
    standard_error: float
    """Of ``value``, over the drawing of both sides."""
    plug_in: float
    """The distance as it is usually defined, biased upward."""
    real_influences: Tensor
    """(N,) float64: how much each real moves the distance, to first order; mean 0."""
    fake_influences: Tensor
    """(M,) float64, likewise."""

    def interval(self, level: float) -> Bounds:
        """Return the normal interval of ``value`` at a confidence in (0, 1)."""
        return normal(self.value, self.standard_error, level)


def samples_needed(features: int) -> int:
    """Return the fewest samples a side must have: halves must outnumber the features, and 50 at least."""
    return max(50, 2 * (whole(features, "features", least=1) + 1))


def frechet_influences(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return the influence of each real (N,) and each fake (M,) on the Fréchet distance, in the squared feature unit.

    With x a row about its own side's mean and T the optimal map between the two Gaussians, T S_f T = S_r:
    for a fake -2 (mean_r - mean_f).x + x'(I - T)x, for a real 2 (mean_r - mean_f).x + x'(I - T^-1)x, each minus its
    mean over the side. The sample mean of squares over n is the variance that the side adds to the distance.

    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite or
    a side has no more samples than features.
    Source: derivative of the Bures-Wasserstein distance, Rippl, Munk and Sturm 2016, arXiv:1507.04090.
    """
    real, fake = pair(real, fake, least=2)
    features = real.shape[1]
    if min(len(real), len(fake)) <= features:
        raise ValueError(f"found {len(real)} reals and {len(fake)} fakes; allowed: more than {features}, the features")
    x, y = (side.double() - side.double().mean(0) for side in (real, fake))
    shift = real.double().mean(0) - fake.double().mean(0)
    there = _optimal_map(_covariance(y), _covariance(x))
    back = _optimal_map(_covariance(x), _covariance(y))
    return _influence(x, shift, back), _influence(y, -shift, there)


def corrected_frechet_distance(
    real: Tensor, fake: Tensor, rng: np.random.Generator, repeats: int = 4
) -> FrechetEstimate:
    """Return the Fréchet distance with the part of its bias that falls as 1/n removed, and its standard error.

    2 fd(n) - mean fd(n/2): the bias at half the samples is twice as large, so the difference cancels it. The mean is
    over both halves of ``repeats`` random halvings of both sides. The standard error is that of the plug-in distance by
    its influences; simulations at N = M >= 2 D give the 95 % interval a coverage of 95 to 99 %.

    Raises ValueError when a side has fewer than ``samples_needed`` samples, or as ``frechet_influences`` does.
    Source: the generalised jackknife, Schucany, Gray and Owen 1971.
    """
    real, fake = pair(real, fake, least=2)
    needed = samples_needed(real.shape[1])
    if min(len(real), len(fake)) < needed:
        raise ValueError(f"found {len(real)} reals and {len(fake)} fakes; allowed: {needed} or more of each")
    plug_in = frechet_distance(real, fake)
    halves = []
    for _ in range(whole(repeats, "repeats", least=1)):
        for first, second in zip(_halves(real, rng), _halves(fake, rng), strict=True):
            halves.append(frechet_distance(first, second))
    of_real, of_fake = frechet_influences(real, fake)
    variance = sum(float(values.square().sum() / (len(values) - 1) / len(values)) for values in (of_real, of_fake))
    return FrechetEstimate(2 * plug_in - float(np.mean(halves)), variance**0.5, plug_in, of_real, of_fake)


def _halves(side: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    order = torch.from_numpy(rng.permutation(len(side)))
    half = len(side) // 2
    return side[order[:half]], side[order[half : 2 * half]]


def _covariance(centred: Tensor) -> Tensor:
    return centred.T @ centred / (len(centred) - 1)


def _optimal_map(source: Tensor, target: Tensor) -> Tensor:
    """Return T with T source T = target: source^-1/2 (source^1/2 target source^1/2)^1/2 source^-1/2."""
    values, vectors = torch.linalg.eigh(source)
    # A feature that is constant on one side has no map; the floor keeps the others finite.
    values = values.clamp_min(max(float(values[-1]) * len(values) * torch.finfo(values.dtype).eps, _LEAST))
    root = (vectors * values.sqrt()) @ vectors.T
    inverse = (vectors * values.rsqrt()) @ vectors.T
    inner_values, inner_vectors = torch.linalg.eigh(root @ target @ root)
    inner = (inner_vectors * inner_values.clamp_min(0).sqrt()) @ inner_vectors.T
    transport: Tensor = inverse @ inner @ inverse
    return transport


def _influence(centred: Tensor, shift: Tensor, transport: Tensor) -> Tensor:
    identity = torch.eye(len(transport), dtype=transport.dtype, device=transport.device)
    values = 2 * (centred @ shift) + ((centred @ (identity - transport)) * centred).sum(1)
    return values - values.mean()
