"""Nearest neighbours in feature space: precision, recall, density, coverage, realism, with ties decided exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, pair, proportion, whole
from ganaudit.numerics.distances import CROWDED, DEFAULT_MEMORY, Pairs, below, block_rows, points
from ganaudit.numerics.membership import Boundary, Own, memberships
from ganaudit.numerics.shortlist import Shortlist
from ganaudit.numerics.sweep import Tile, distinct, each, within
from ganaudit.numerics.world import ALONE, World

__all__ = [
    "Boundary",
    "Duplicates",
    "Neighbourhood",
    "duplicate_rate",
    "expected_coverage",
    "neighbourhood",
    "radii",
]

_BOUNDARIES = ("<", "<=")


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """What one sweep over all pairs says of fidelity and coverage, and of each sample.

    A ball is centred on a sample and reaches to its k-th neighbour on its own side. Distances are Euclidean, in the
    unit of the features.
    """

    precision: float
    """Share of fakes inside the ball of some real, 0 to 1."""
    recall: float
    """Share of reals inside the ball of some fake, 0 to 1."""
    density: float
    """Mean number of balls of reals that hold a fake, over k; 0 to N/k, near 1 when the laws agree."""
    coverage: float
    """Share of reals whose own ball holds some fake, 0 to 1."""
    accuracy_real: float
    """Share of reals whose nearest other sample is a real, a tie counting one half, 0 to 1."""
    accuracy_fake: float
    """Share of fakes whose nearest other sample is a fake, a tie counting one half, 0 to 1."""
    fake_inside: Tensor
    """Which fakes ``precision`` counts, (M,) bool."""
    real_inside: Tensor
    """Which reals ``recall`` counts, (N,) bool."""
    fake_counts: Tensor
    """Balls of reals that hold each fake, (M,) int64; ``density`` is their mean over k."""
    real_covered: Tensor
    """Which reals ``coverage`` counts, (N,) bool."""
    realism: Tensor
    """Realism of each fake, (M,) float64: the largest radius_r/|fake - r| over the reals r, 0 or more. Of N reals the
    N//2 with the largest radii are left out. 1 or more inside a ball that is kept; infinite at a real's own place, but
    1 there where its ball has radius 0."""
    real_radii: Tensor
    """Radius of each real's ball, (N,) float64."""
    fake_radii: Tensor
    """Radius of each fake's ball, (M,) float64."""
    real_to_real: Tensor
    """Distance of each real to its nearest other real, (N,) float64; ``fake_to_fake`` (M,) likewise."""
    fake_to_fake: Tensor
    real_to_fake: Tensor
    """Distance of each real to its nearest fake, (N,) float64; ``fake_to_real`` (M,) likewise."""
    fake_to_real: Tensor


@dataclass(frozen=True, slots=True)
class Duplicates:
    """How many samples have a copy among the others."""

    exact: float
    """Share of samples with an exact copy, 0 to 1."""
    near: float | None
    """Share with another sample within ``threshold``, exact copies included, 0 to 1; None without reals."""
    threshold: float | None
    """Distance below which two samples count as near copies, in the unit of the features."""
    expected: float | None
    """What ``near`` is on average when reals and fakes come from one law."""
    n: int
    """Samples that ``near`` looked at: as many fakes as reals."""


def radii(x: Tensor, k: int, memory: int = DEFAULT_MEMORY, world: World = ALONE) -> Tensor:
    """Return the Euclidean distance of every sample to its ``k``-th nearest other sample, (N,) float64.

    ``x`` is (N, D), the unit that of the features. A copy elsewhere in ``x`` counts as a neighbour at distance
    exactly 0. Every radius is the root of a sum of squared differences, never of an expanded product: products, in
    float32 where torch is set to compute them so, only rule pairs out. Beside the features and a few numbers for each
    sample about ``memory`` bytes are held; neither it nor ``world`` changes the result.

    Raises ValueError when the shape is not (N, D), an entry is not finite or beyond 1e100 from the mean, ``k`` is not
    in 1..N-1 or ``memory`` is below 1.
    """
    x = matrix(x, "x", least=2)
    whole(k, "k", least=1, most=len(x) - 1)
    own = _own(x, "real", k, whole(memory, "memory", least=1), world)
    return _root(own.distinct.spread(own.limits))


def neighbourhood(
    real: Tensor,
    fake: Tensor,
    k: int,
    boundary: Boundary = "<",
    memory: int = DEFAULT_MEMORY,
    world: World = ALONE,
) -> Neighbourhood:
    """Return what the ``k`` nearest neighbours say of ``fake`` (M, D) against ``real`` (N, D).

    A sample is inside a ball when its distance to the centre is below the radius; with ``boundary`` "<=" also when
    the two are equal. Distances that tie are decided as their sums of squared differences in float64 compare, so copies
    lie at distance exactly 0 and constant features are inside nothing under "<" and inside everything under "<=".
    Every pair is looked at once, by products in float32 where torch is set to compute them so; the pairs that their
    rounding leaves in doubt are decided exactly, so no result depends on it.

    Precision, recall and realism have no value that holds for equal laws; density is then near 1, coverage has the
    expectation ``expected_coverage``, and the accuracies (N - 1)/(N + M - 1) and (M - 1)/(N + M - 1), 1/2 for equal
    sizes and large ones. Beside the features and a few numbers for each sample about ``memory`` bytes are held; neither
    it nor ``world`` changes a result.

    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite or
    beyond 1e100 from the mean, ``k`` is not in 1..min(N, M)-1, ``boundary`` is neither "<" nor "<=" or ``memory`` is
    below 1.
    Source: Kynkäänniemi et al. 2019 (precision, recall; "<="; realism); Naeem et al. 2020 (density, coverage; "<");
    Lopez-Paz and Oquab 2017 (nearest-neighbour accuracy).
    """
    real, fake = pair(real, fake, least=2)
    whole(k, "k", least=1, most=min(len(real), len(fake)) - 1)
    whole(memory, "memory", least=1)
    if boundary not in _BOUNDARIES:
        raise ValueError(f"boundary: found {boundary!r}; allowed: {', '.join(map(repr, _BOUNDARIES))}")
    reals, fakes = _own(real, "real", k, memory, world), _own(fake, "fake", k, memory, world)
    met = memberships(reals, fakes, boundary, memory, world)
    of_real, of_fake = reals.distinct.spread, fakes.distinct.spread
    counts, inside, covered = of_fake(met.counts), of_real(met.inside), of_real(met.covered)
    return Neighbourhood(
        precision=_share(counts > 0),
        recall=_share(inside),
        density=int(counts.sum()) / (k * len(counts)),
        coverage=_share(covered),
        accuracy_real=_nearer(of_real(reals.nearest), of_real(met.to_fake)),
        accuracy_fake=_nearer(of_fake(fakes.nearest), of_fake(met.to_real)),
        fake_inside=counts > 0,
        real_inside=inside,
        fake_counts=counts,
        real_covered=covered,
        realism=of_fake(met.realism),
        real_radii=_root(of_real(reals.limits)),
        fake_radii=_root(of_fake(fakes.limits)),
        real_to_real=_root(of_real(reals.nearest)),
        fake_to_fake=_root(of_fake(fakes.nearest)),
        real_to_fake=_root(of_real(met.to_fake)),
        fake_to_real=_root(of_fake(met.to_real)),
    )


def duplicate_rate(
    fake: Tensor,
    real: Tensor | None = None,
    share: float = 0.01,
    memory: int = DEFAULT_MEMORY,
    world: World = ALONE,
) -> Duplicates:
    """Return the share of ``fake`` (M, D) that have an exact copy, and that have a near copy, among the other fakes.

    Near means no farther than all but ``share`` of ``real`` (N, D) are from their own nearest real: the j-th smallest
    of those distances, j = max(1, floor(share (c + 1))), where the first c = min(N, M) samples of each side are
    compared, since distances shrink as samples become more. So near copies are measured in what reals do: reals and
    fakes from one law give about j/(c + 1) whatever the features. Copies of real samples are no duplicates.
    Beside the features and a few numbers for each sample about ``memory`` bytes are held.

    Raises ValueError as ``neighbourhood`` does for the features, and when ``share`` is not in (0, 1).
    """
    fake = matrix(fake, "fake", least=2)
    proportion(share, "share")
    whole(memory, "memory", least=1)
    found = distinct(fake)
    exact = _share(found.spread(found.copies) > 1)
    if real is None:
        return Duplicates(exact, None, None, None, len(fake))
    real, fake = pair(real, fake, least=2)
    common = min(len(real), len(fake))
    own = [_own(side[:common], "real", 1, memory, world) for side in (real, fake)]
    of_real, of_fake = (_root(side.distinct.spread(side.nearest)) for side in own)
    position = max(1, math.floor(share * (common + 1)))
    threshold = float(of_real.sort().values[position - 1])
    near = _share(of_fake <= threshold)
    return Duplicates(exact, near, threshold, position / (common + 1), common)


def expected_coverage(n_real: int, n_fake: int, k: int) -> float:
    """Return the expected coverage when reals and fakes come from one law, 0 to 1.

    1 - prod_{i=1..k} (N - i)/(N + M - i), with N = ``n_real`` and M = ``n_fake``: exact for every law without ties,
    by exchangeability.
    Raises ValueError when ``n_real`` is below 2, ``n_fake`` is below 1 or ``k`` is not in 1..N-1.
    Source: Naeem et al. 2020, lemma 2.
    """
    whole(n_real, "n_real", least=2)
    whole(n_fake, "n_fake", least=1)
    missed = 1.0
    for i in range(1, whole(k, "k", least=1, most=n_real - 1) + 1):
        missed *= (n_real - i) / (n_real + n_fake - i)
    return 1 - missed


def _own(x: Tensor, side: Literal["real", "fake"], k: int, memory: int, world: World) -> Own:
    """Return the squared distance of each distinct row of ``x`` to its k-th and its first neighbour."""
    # Copies are decided once: a generator that returns one image would else make every pair a tie.
    x = (x if x.dtype in (torch.float32, torch.float64) else x.double()).contiguous()
    rows = distinct(x)
    (at,) = points([(x, rows.chosen)], memory)
    pairs = Pairs(at, at)
    near = Shortlist(len(at), k, pairs.squares, memory, x.device)
    tiles = within(side, len(at), block_rows(x, memory))
    mine = [tiles[number] for number in world.mine(len(tiles))]
    for tile, i, j, least, most in each(partial(_doubtful, near, pairs), mine, x.device):
        near.add(i, j, least, most)
        if not tile.on_diagonal:
            near.add(j, i, least, most)
    squares, columns = near.nearest(world)
    squares *= pairs.unit
    # A row's own copies are neighbours at distance 0, and a neighbour with copies counts as many times.
    wanted = k - (rows.copies - 1)
    reached = rows.copies[columns].cumsum(1) >= wanted[:, None]
    limits = squares.gather(1, reached.int().argmax(dim=1, keepdim=True))[:, 0]
    alone = rows.copies == 1
    return Own(x, rows, torch.where(wanted > 0, limits, 0.0), torch.where(alone, squares[:, 0], 0.0))


def _doubtful(near: Shortlist, pairs: Pairs, tile: Tile) -> tuple[Tile, Tensor, Tensor, Tensor, Tensor]:
    """Return the pairs of one tile that may be among the nearest of one of their samples, and bounds of each."""
    rows, columns = tile.rows, tile.columns
    for dtype in pairs.precisions():
        gap = partial(pairs.gap, dtype=dtype)
        low = pairs.low(tile, dtype)
        if tile.on_diagonal:
            low.fill_diagonal_(torch.inf)
        near.prime(low, rows, columns, gap)
        if not tile.on_diagonal:
            near.prime(low.T, columns, rows, gap)
        i, j = below(low, near.reach[rows], None if tile.on_diagonal else near.reach[columns])
        if len(i) <= low.numel() // CROWDED:
            break
    least = low[i, j].double()
    i, j = i + rows.start, j + columns.start
    return tile, i, j, least, least + gap(i, j)


def _share(members: Tensor) -> float:
    return int(members.sum()) / len(members)


def _nearer(own: Tensor, other: Tensor) -> float:
    """Return the share of samples that are nearer to their own side, ties counting one half."""
    return (2 * int((own < other).sum()) + int((own == other).sum())) / (2 * len(own))


def _root(squares: Tensor) -> Tensor:
    # numpy's root is correctly rounded; torch's vectorised one can be off in the last bit.
    return torch.from_numpy(np.sqrt(squares.cpu().numpy())).to(squares.device)
