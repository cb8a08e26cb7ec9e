"""Intervals of neighbour statistics from disjoint halves of the data, without a bootstrap's repeated rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import pair, proportion, whole
from ganaudit.numerics.intervals import Bounds, normal, wilson
from ganaudit.numerics.membership import Boundary
from ganaudit.numerics.sweep import blocks, each

__all__ = ["STATISTICS", "HalfScatter", "half_scatter"]

STATISTICS = ("precision", "recall", "density", "coverage", "accuracy-real", "accuracy-fake", "realism")
"""The statistics in the order of ``HalfScatter``; ``realism`` is the median over the fakes."""

_COUNTED = {"precision": "fake", "recall": "real", "coverage": "real", "accuracy-real": "real", "accuracy-fake": "fake"}
_LEAST_EFFECT = 0.1  # of 50 halvings, none sees a share's scatter better than this
_ENTRIES = 2**19  # distances of halves in one thread at once: 4 MiB


@dataclass(frozen=True, slots=True, eq=False)
class HalfScatter:
    """How neighbour statistics scatter between disjoint halves of the samples."""

    means: Tensor
    """(S,) float64: each statistic of a half, averaged."""
    variances: Tensor
    """(S,) float64: half the mean squared difference of two disjoint halves, the variance of the statistic of one."""
    halves: dict[str, int]
    """Samples of a half: real and fake."""
    draws: int
    differences: Tensor
    """(draws, S) float64: each statistic of the first half less that of the second, in each halving."""

    def errors(self, statistic: str, value: float, sizes: dict[str, int]) -> list[float] | None:
        """Return what each of H halvings says of the error of ``statistic`` at ``sizes`` samples, (H,), in its unit.

        d_h/(2 H)^(1/2) with d_h the difference of two halves, scaled from halves to all as in ``interval``: the sum of
        squares is the variance there. Equal draws of equal sizes halve two audits alike, so the sum of products of
        their errors estimates the covariance. None where a difference is not finite, or nothing scales it: a share of
        0 or 1 in all halves, density or realism of 0. Raises ValueError when ``statistic`` is unknown.
        """
        if statistic not in STATISTICS:
            raise ValueError(f"statistic: found {statistic!r}; allowed: {', '.join(STATISTICS)}")
        position, side = STATISTICS.index(statistic), _COUNTED.get(statistic, "fake")
        mean = float(self.means[position])
        of_half, of_all = (p * (1 - p) if statistic in _COUNTED else p * p for p in (mean, value))
        if not (0 < of_half < math.inf and 0 <= of_all < math.inf):
            return None
        scale = math.sqrt(of_all / of_half * self.halves[side] / sizes[side] / (2 * self.draws))
        scaled = self.differences[:, position] * scale
        return scaled.tolist() if bool(scaled.isfinite().all()) else None

    def interval(self, statistic: str, value: float, sizes: dict[str, int], level: float) -> Bounds | None:
        """Return the interval of the expectation of ``statistic`` at ``sizes`` samples, or None where none can be had.

        A share p of n samples scatters as one of n/e independent ones; e, the design effect, is that of the halves:
        variance b/(p_b (1 - p_b)) with p_b their mean and b their samples. The interval is Wilson's of p at n/e.
        Density and realism scatter in proportion to themselves and to 1/sqrt(n); their interval is normal, and there
        is none where they are 0 or infinite. Quantiles are Student's with ``draws`` degrees of freedom.

        Raises ValueError when ``statistic`` is unknown or ``level`` is not in (0, 1).
        """
        if statistic not in STATISTICS:
            raise ValueError(f"statistic: found {statistic!r}; allowed: {', '.join(STATISTICS)}")
        position = STATISTICS.index(statistic)
        mean, variance = float(self.means[position]), float(self.variances[position])
        widened = _as_normal_level(self.draws, proportion(level, "level"))
        if statistic in _COUNTED:
            side = _COUNTED[statistic]
            expected = mean * (1 - mean) / self.halves[side]
            effect = max(variance / expected, _LEAST_EFFECT) if expected > 0 else 1.0
            effective = max(1, round(sizes[side] / effect))
            return wilson(value * effective, effective, widened)
        if not (0 < value < math.inf and 0 < mean < math.inf):
            return None
        shrunk = math.sqrt(self.halves["fake"] / sizes["fake"])
        bounds = normal(value, value / mean * math.sqrt(variance) * shrunk, widened)
        return Bounds(max(0.0, bounds.low), bounds.high)


def half_scatter(
    real: Tensor,
    fake: Tensor,
    k: int,
    boundary: Boundary,
    rng: np.random.Generator,
    draws: int = 50,
    most: int = 400,
) -> HalfScatter:
    """Return the scatter of every statistic of ``STATISTICS`` between disjoint halves of ``real`` and of ``fake``.

    Up to 2 ``most`` samples of each side are drawn, their distances computed once, and ``draws`` times each side is
    parted into two random halves. Half the squared difference of a statistic between disjoint halves has the variance
    of one half for its mean, whatever the statistic, since the halves are independent. A bootstrap repeats rows, which
    takes their meaning from nearest neighbours; subsamples that overlap up to double the variance where, as here, what
    one sample does depends on many others.

    Distances are expanded products in float64, and those closer than their rounding count as ties. The memory is that
    of three matrices of 2 ``most`` squared and of a few halves.

    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite,
    half of a side holds fewer than k + 1 samples, or ``draws`` is below 2.
    """
    real, fake = pair(real, fake, least=4)
    whole(draws, "draws", least=2)
    share = min(1.0, 2 * whole(most, "most", least=2) / max(len(real), len(fake)))
    halves = [max(2, math.floor(share * len(side)) // 2) for side in (real, fake)]
    whole(k, "k", least=1, most=min(halves) - 1)
    pools = [side[_drawn(rng, len(side), 2 * half, side)] for side, half in zip((real, fake), halves, strict=True)]
    squares = _Squares.of(pools[0], pools[1])
    reals, fakes = (
        torch.from_numpy(np.stack([rng.permutation(2 * half) for _ in range(draws)])).to(real.device) for half in halves
    )
    first = _statistics(squares, reals[:, : halves[0]], fakes[:, : halves[1]], k, boundary)
    second = _statistics(squares, reals[:, halves[0] :], fakes[:, halves[1] :], k, boundary)
    return HalfScatter(
        means=(first + second).mean(dim=0) / 2,
        # Infinite realism less itself is no number; such a statistic has no interval.
        variances=torch.nan_to_num(first - second, nan=0.0).square().mean(dim=0) / 2,
        halves={"real": halves[0], "fake": halves[1]},
        draws=draws,
        differences=(first - second).cpu(),
    )


def _drawn(rng: np.random.Generator, n: int, count: int, like: Tensor) -> Tensor:
    return torch.from_numpy(np.sort(rng.permutation(n)[:count])).to(like.device)


@dataclass(frozen=True, slots=True, eq=False)
class _Squares:
    """Squared distances by expanded products."""

    real: Tensor
    fake: Tensor
    between: Tensor
    tie: float
    """Distances that differ by no more than this, a few roundings, count as equal."""

    @classmethod
    def of(cls, real: Tensor, fake: Tensor) -> _Squares:
        found = each(lambda sides: _squares(*sides), [(real, real), (fake, fake), (real, fake)], real.device)
        (own_real, a), (own_fake, b), (between, c) = found
        return cls(own_real.fill_diagonal_(0), own_fake.fill_diagonal_(0), between, max(a, b, c))


def _squares(x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    """Return the squared distances of ``x`` and ``y``, those of copies 0, and how close may be equal."""
    x, y = x.double(), y.double()
    centre = x.mean(dim=0)
    x, y = x - centre, y - centre
    norms = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)
    tie = float(norms.max()) * 4 * (x.shape[1] + 16) * torch.finfo(torch.float64).eps
    found = torch.addmm(norms, x, y.T, alpha=-2)
    return torch.where(found > tie, found, 0.0), tie


def _statistics(squares: _Squares, reals: Tensor, fakes: Tensor, k: int, boundary: Boundary) -> Tensor:
    """Return the statistics (H, S) of H halves, given the rows of each as (H, b) and (H, c)."""
    # A tie is outside under "<" and inside under "<=".
    margin = -squares.tie if boundary == "<" else squares.tie

    def statistics(part: slice) -> Tensor:
        i, j = reals[part], fakes[part]
        near_real = _picked(squares.real, i, i).topk(k + 1, dim=2, largest=False).values
        near_fake = _picked(squares.fake, j, j).topk(k + 1, dim=2, largest=False).values
        return _of_halves(near_real, near_fake, _picked(squares.between, i, j), margin)

    parts = list(blocks(len(reals), max(1, _ENTRIES // max(reals.shape[1], fakes.shape[1]) ** 2)))
    return torch.cat(list(each(statistics, parts, reals.device)))


def _picked(matrix: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return matrix[rows].gather(2, columns[:, None, :].expand(-1, rows.shape[1], -1))


def _of_halves(near_real: Tensor, near_fake: Tensor, between: Tensor, margin: float) -> Tensor:
    """Return the statistics from the nearest of each side, the sample itself first, and the distances between."""
    k = near_real.shape[2] - 1
    real_limits, fake_limits = near_real[:, :, k, None], near_fake[:, None, :, k]
    in_real, in_fake = between <= real_limits + margin, between <= fake_limits + margin
    to_fake, to_real = between.amin(dim=2), between.amin(dim=1)
    middle = real_limits.sort(dim=1).values[:, (real_limits.shape[1] - 1) // 2, None]
    ratios = (real_limits / between).nan_to_num_(nan=1.0, posinf=torch.inf)
    ratios = ratios.masked_fill_(real_limits > middle + abs(margin), 0.0).amax(dim=1)
    return torch.stack(
        [
            _mean(in_real.any(dim=1)),
            _mean(in_fake.any(dim=2)),
            in_real.sum(dim=(1, 2)).double() / (k * between.shape[2]),
            _mean(in_real.any(dim=2)),
            _nearer(near_real[:, :, 1], to_fake, abs(margin)),
            _nearer(near_fake[:, :, 1], to_real, abs(margin)),
            ratios.sqrt().median(dim=1).values,
        ],
        dim=1,
    )


def _nearer(own: Tensor, other: Tensor, tie: float) -> Tensor:
    return (_mean(own < other - tie) + _mean(own <= other + tie)) / 2


def _mean(members: Tensor) -> Tensor:
    return members.double().mean(dim=1)


def _as_normal_level(degrees: int, level: float) -> float:
    """Return the level at which the normal quantile is Student's at ``level``."""
    return float(2 * special.ndtr(special.stdtrit(degrees, (1 + level) / 2)) - 1)
