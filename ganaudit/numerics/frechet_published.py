"""Groups of samples for a side of which only the mean and the covariance are published."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import whole
from ganaudit.numerics.moments import GroupedMoments, Moments

__all__ = ["drawn_groups", "drawn_rows"]

_BLOCK = 4096


def drawn_groups(published: Moments, core: int, groups: int, rng: np.random.Generator) -> GroupedMoments:
    """Return the moments of random groups of a normal sample whose moments are ``published``.

    Where the number of samples n is known, the sample has n, ``core`` of them in groups, and its moments are those that
    are published: normal noise is moved and bent until they are. For normal features that is the law of the samples
    given what is published, since how a normal sample lies about its own mean and covariance does not depend on these
    two. The samples outside the core are never drawn, only their moments (Bartlett). Where n is not known, ``core``
    samples are drawn from the normal law with the published moments.

    Memory is that of ``GroupedMoments.gather``. Raises ValueError when ``core`` is above n or below ``groups``.
    Source: Basu 1955 (independence); Bartlett 1933 (Wishart law).
    """
    root = published.root.matrix
    whole(core, "core", least=max(groups, 1), most=published.n)
    blocks = ((start, _noise(rng, min(_BLOCK, core - start), root.shape[1], root)) for start in range(0, core, _BLOCK))
    noise = GroupedMoments.gather(blocks, core, groups, rng)
    if published.n is None:
        middle, bent = torch.zeros_like(root[0]), root
    else:
        rest = _rest(published.n - core, root, rng)
        noise = GroupedMoments(noise.groups, rest)
        # Cholesky's factor makes the noise white, the published root colours it.
        lower = torch.linalg.cholesky(noise.total.covariance)
        middle = noise.total.mean
        bent = torch.linalg.solve_triangular(lower, root, upper=False, left=False)

    def placed(part: Moments) -> Moments:
        scatter = bent @ part.scatter @ bent.T
        return Moments(part.n, published.mean + bent @ (part.mean - middle), (scatter + scatter.T) / 2)

    return GroupedMoments(tuple(map(placed, noise.groups)), None if noise.rest is None else placed(noise.rest))


def drawn_rows(published: Moments, count: int, rng: np.random.Generator) -> Tensor:
    """Return ``count`` samples of the normal law with the ``published`` moments, (count, D) float64."""
    root = published.root.matrix
    return published.mean + _noise(rng, count, root.shape[1], root) @ root.T


def _noise(rng: np.random.Generator, count: int, features: int, like: Tensor) -> Tensor:
    return torch.from_numpy(rng.standard_normal((count, features))).to(like.device)


def _rest(count: int, root: Tensor, rng: np.random.Generator) -> Moments | None:
    """Return the moments of ``count`` samples of white noise, as many features as ``root`` has columns."""
    features = root.shape[1]
    if count == 0:
        return None
    if count <= features:
        return Moments.of(_noise(rng, count, features, root))
    factor = np.tril(rng.standard_normal((features, features)), -1)
    np.fill_diagonal(factor, np.sqrt(rng.chisquare(count - 1 - np.arange(features))))
    mean = rng.standard_normal(features) / np.sqrt(count)
    return Moments(count, *(torch.from_numpy(v).to(root.device) for v in (mean, factor @ factor.T)))
