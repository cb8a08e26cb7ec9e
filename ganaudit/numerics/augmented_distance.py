"""Whether samples lie nearer to the reals or to reals half of which were changed: a difference of Fréchet distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, proportion, whole
from ganaudit.numerics.intervals import Bounds

__all__ = ["AugmentedDistance", "augmented_distance"]


@dataclass(frozen=True, slots=True)
class AugmentedDistance:
    """Two distances at equal n, whose biases cancel in their difference."""

    plain: float
    """Fréchet distance of the generated samples to the reals."""
    augmented: float
    """The same to as many reals, every second one changed."""
    bounds: Bounds
    """Interval of ``difference``."""
    n: int
    """Samples of each side."""

    @property
    def difference(self) -> float:
        """Of the plain distance less the augmented: above 0 where generated samples are nearer to the changed data."""
        return self.plain - self.augmented


def augmented_distance(
    real: Tensor,
    changed: Tensor,
    fake: Tensor,
    rng: np.random.Generator,
    directions: int = 16,
    resamples: int = 200,
    level: float = 0.95,
) -> AugmentedDistance:
    """Return the Fréchet distances of ``fake`` (M, D) to ``real`` (N, D) and to a half ``changed`` (N, D) copy of it.

    All sides are cut at random to n = min(N, M); a random half of the reals is replaced by its changed copies. Features
    are the first ``directions`` principal ones of the reals; covariances have the divisor n. The interval is the
    percentile bootstrap: reals and generated samples are drawn again, the same reals for both distances. The crossing
    from negative to positive lies below a share of one half: a mixture of half changed reals has that share.

    Raises ValueError when a side is no finite matrix of 2 or more rows, shapes differ, ``directions`` is below 1,
    ``resamples`` below 2 or ``level`` not in (0, 1).
    Source: Heusel et al. 2017 (FID); the difference to the augmented law after audit practice with mirrored data.
    """
    sides = [
        matrix(side, name, least=2).double() for side, name in ((real, "real"), (changed, "changed"), (fake, "fake"))
    ]
    if sides[0].shape != sides[1].shape or sides[0].shape[1] != sides[2].shape[1]:
        raise ValueError(f"shapes: found {[tuple(side.shape) for side in sides]}; allowed: (N, D), (N, D), (M, D)")
    whole(resamples, "resamples", least=2)
    tail = (1 - proportion(level, "level")) / 2
    centre = sides[0].mean(0)
    axes = torch.linalg.svd(sides[0] - centre, full_matrices=False).Vh[: whole(directions, "directions", least=1)]
    reals, copies, fakes = ((side - centre) @ axes.T for side in sides)
    n = min(len(reals), len(fakes))
    rows = torch.from_numpy(rng.permutation(len(reals))[:n])
    fakes = fakes[torch.from_numpy(rng.permutation(len(fakes))[:n])]
    reals, half = reals[rows], torch.cat([copies[rows[: n // 2]], reals[rows[n // 2 :]]])
    # The first draw is the sample itself; both references share their draws.
    counts = [np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), resamples)]) for _ in range(2)]
    weights = [torch.from_numpy(count) / n for count in counts]
    drawn = _moments(fakes, weights[1])
    plain, augmented = (_distances(_moments(side, weights[0]), drawn) for side in (reals, half))
    low, high = np.quantile((plain - augmented)[1:].numpy(), [tail, 1 - tail])
    return AugmentedDistance(float(plain[0]), float(augmented[0]), Bounds(float(low), float(high)), n)


_Moments = tuple[Tensor, Tensor]


def _moments(x: Tensor, weights: Tensor) -> _Moments:
    """Return means (B, D) and covariances (B, D, D) of ``x`` (n, D) under weights (B, n) that sum to 1."""
    means = weights @ x
    squares = (weights @ (x[:, :, None] * x[:, None, :]).flatten(1)).view(len(weights), x.shape[1], x.shape[1])
    return means, squares - means[:, :, None] * means[:, None, :]


def _distances(one: _Moments, other: _Moments) -> Tensor:
    values, vectors = torch.linalg.eigh(one[1])
    root = vectors * values.clamp_min(0).sqrt()[:, None]
    overlap = torch.linalg.eigvalsh(root.mT @ other[1] @ root).clamp_min(0).sqrt().sum(1)
    traces = (one[1] + other[1]).diagonal(dim1=1, dim2=2).sum(1)
    found: Tensor = (one[0] - other[0]).square().sum(1) + (traces - 2 * overlap).clamp_min(0)
    return found
