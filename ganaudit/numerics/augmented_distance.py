"""Whether samples lie nearer to the reals or to reals half of which were changed: a difference of Fréchet distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, proportion, whole
from ganaudit.numerics.intervals import Bounds

__all__ = ["AugmentedDistance", "augmented_distance", "augmented_distances"]


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
    """Return what ``augmented_distances`` does for one ``changed`` (N, D) copy of the reals."""
    return augmented_distances(real, {"": changed}, fake, rng, directions, resamples, level)[""]


def augmented_distances(
    real: Tensor,
    changed: Mapping[str, Tensor],
    fake: Tensor,
    rng: np.random.Generator,
    directions: int = 16,
    resamples: int = 200,
    level: float = 0.95,
) -> dict[str, AugmentedDistance]:
    """Return the Fréchet distances of ``fake`` (M, D) to ``real`` (N, D) and to half ``changed`` (N, D) copies of it.

    All sides are cut at random to n = min(N, M); a random half of the reals is replaced by its changed copies. Features
    are the first ``directions`` principal ones of the reals; covariances have the divisor n. The interval is the
    percentile bootstrap: reals and generated samples are drawn again, the same reals for both distances. One draw and
    one set of resamples serve all copies, so that they differ by the change alone and have one plain distance. The
    crossing from negative to positive lies below a share of one half: a mixture of half changed reals has that share.

    Raises ValueError when a side is no finite matrix of 2 or more rows, shapes differ, ``directions`` is below 1,
    ``resamples`` below 2 or ``level`` not in (0, 1).
    Source: Heusel et al. 2017 (FID); the difference to the augmented law after audit practice with mirrored data.
    """
    real, fake = (matrix(side, name, least=2).double() for side, name in ((real, "real"), (fake, "fake")))
    copies = {name: matrix(side, "changed", least=2).double() for name, side in changed.items()}
    for side in copies.values():
        if real.shape != side.shape or real.shape[1] != fake.shape[1]:
            found = [tuple(one.shape) for one in (real, side, fake)]
            raise ValueError(f"shapes: found {found}; allowed: (N, D), (N, D), (M, D)")
    whole(resamples, "resamples", least=2)
    tail = (1 - proportion(level, "level")) / 2
    centre = real.mean(0)
    axes = torch.linalg.svd(real - centre, full_matrices=False).Vh[: whole(directions, "directions", least=1)].T
    n = min(len(real), len(fake))
    rows = torch.from_numpy(rng.permutation(len(real))[:n])
    fakes = (fake[torch.from_numpy(rng.permutation(len(fake))[:n])] - centre) @ axes
    reals = (real[rows] - centre) @ axes
    # The first draw is the sample itself; both references share their draws.
    counts = [np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), resamples)]) for _ in range(2)]
    weights = [torch.from_numpy(count) / n for count in counts]
    drawn = _moments(fakes, weights[1])
    plain = _distances(_moments(reals, weights[0]), drawn)
    told = {}
    for name, side in copies.items():
        half = torch.cat([(side[rows[: n // 2]] - centre) @ axes, reals[n // 2 :]])
        augmented = _distances(_moments(half, weights[0]), drawn)
        low, high = np.quantile((plain - augmented)[1:].numpy(), [tail, 1 - tail])
        told[name] = AugmentedDistance(float(plain[0]), float(augmented[0]), Bounds(float(low), float(high)), n)
    return told


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
