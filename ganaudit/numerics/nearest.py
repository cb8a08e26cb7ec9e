"""The nearest samples of another set, by exact distances, and which ones they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import bounded, whole
from ganaudit.numerics.distances import CROWDED, DEFAULT_MEMORY, Pairs, below, block_rows, points
from ganaudit.numerics.shortlist import Shortlist
from ganaudit.numerics.sweep import Tile, across, distinct, each
from ganaudit.numerics.world import ALONE, World

__all__ = ["Nearest", "nearest"]


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The nearest samples of another set, the nearest first."""

    distances: Tensor
    """Euclidean, (N, k) float64, rising along a row; a copy lies at exactly 0."""
    numbers: Tensor
    """Which rows of the other set they are, (N, k) int64; of copies the first."""


def nearest(x: Tensor, among: Tensor, k: int = 1, memory: int = DEFAULT_MEMORY, world: World = ALONE) -> Nearest:
    """Return the ``k`` nearest of the distinct rows of ``among`` (M, D) for every row of ``x`` (N, D).

    Copies within ``among`` count once; where it has fewer than ``k`` distinct rows, there are as many columns as it
    has. Distances are roots of sums of squared differences in float64, never of expanded products, so a copy lies at
    exactly 0; which of two different rows at one distance comes first is left open. Beside the features and a few
    numbers for each sample about ``memory`` bytes are held; neither it nor ``world`` changes a distance.

    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite or
    beyond 1e100 from the mean, ``k`` or ``memory`` is below 1.
    """
    sides = [_plain(bounded(side, name, least=1)) for side, name in ((x, "x"), (among, "among"))]
    if sides[0].shape[1] != sides[1].shape[1]:
        raise ValueError(f"among: found {sides[1].shape[1]} features; allowed: {sides[0].shape[1]}, as in x")
    whole(memory, "memory", least=1)
    # Copies are decided once: a generator that returns one image would else make every pair a tie.
    own, others = (distinct(side) for side in sides)
    k = min(whole(k, "k", least=1), len(others.copies))
    left, right = points([(sides[0], own.chosen), (sides[1], others.chosen)], memory)
    pairs = Pairs(left, right)
    near = Shortlist(len(left), k, pairs.squares, memory, x.device)
    tiles = across(len(left), len(right), block_rows(sides[0], memory))
    mine = [tiles[number] for number in world.mine(len(tiles))]
    for i, j, least, most in each(partial(_doubtful, near, pairs), mine, x.device):
        near.add(i, j, least, most)
    squares, columns = near.nearest(world)
    # numpy's root is correctly rounded; torch's vectorised one can be off in the last bit.
    roots = torch.from_numpy(np.sqrt((squares * pairs.unit).cpu().numpy())).to(x.device)
    numbers = columns if others.chosen is None else others.chosen[columns]
    return Nearest(own.spread(roots), own.spread(numbers))


def _doubtful(near: Shortlist, pairs: Pairs, tile: Tile) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the pairs of one tile that may be among the nearest of their row, and bounds of each."""
    for dtype in pairs.precisions():
        gap = partial(pairs.gap, dtype=dtype)
        low = pairs.low(tile, dtype)
        near.prime(low, tile.rows, tile.columns, gap)
        i, j = below(low, near.reach[tile.rows], None)
        if len(i) <= low.numel() // CROWDED:
            break
    least = low[i, j].double()
    i, j = i + tile.rows.start, j + tile.columns.start
    return i, j, least, least + gap(i, j)


def _plain(x: Tensor) -> Tensor:
    return (x if x.dtype in (torch.float32, torch.float64) else x.double()).contiguous()
