"""Reals against fakes, once the balls of both are known: who is in whose ball, nearest to whom, how real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.distances import CROWDED, Pairs, above, below, block_rows, places, points, scaled
from ganaudit.numerics.shortlist import Shortlist
from ganaudit.numerics.sweep import Distinct, Tile, across, each
from ganaudit.numerics.world import World

__all__ = ["Boundary", "Met", "Own", "memberships"]

_LARGEST_FACTOR = 1e20  # times a distance, float32 still holds it

Boundary: TypeAlias = Literal["<", "<="]


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """What one side knows of itself: squared distances of its distinct rows, in the squared unit of the features."""

    rows: Tensor
    distinct: Distinct
    limits: Tensor
    """To the k-th neighbour, (U,) float64: the squared radius of the ball."""
    nearest: Tensor
    """To the nearest other sample, (U,) float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """What reals and fakes know of each other; U distinct reals, V distinct fakes."""

    counts: Tensor
    """Balls of reals that hold each fake, copies counted, (V,) int64."""
    inside: Tensor
    """Which reals are in the ball of a fake, (U,) bool."""
    covered: Tensor
    """Which reals have a fake in their ball, (U,) bool."""
    to_fake: Tensor
    """Squared distance of each real to its nearest fake, (U,) float64."""
    to_real: Tensor
    """Squared distance of each fake to its nearest real, (V,) float64."""
    realism: Tensor
    """(V,) float64."""


def memberships(reals: Own, fakes: Own, boundary: Boundary, memory: int, world: World) -> Met:
    """Return what reals and fakes know of each other, by one sweep over the pairs of both."""
    left, right = points([(side.rows, side.distinct.chosen) for side in (reals, fakes)], memory)
    pairs = Pairs(left, right)
    sweep = _Sweep(pairs, reals, fakes, boundary, memory)
    tiles = across(len(left), len(right), block_rows(reals.rows, memory))
    mine = [tiles[number] for number in world.mine(len(tiles))]
    for found in each(sweep.look, mine, reals.rows.device):
        sweep.add(found)
    to_fake, _ = sweep.to_fake.nearest(world)
    to_real, nearest = sweep.to_real.nearest(world)
    return Met(
        counts=world.total(sweep.counts).round().long(),
        inside=world.total(sweep.inside) > 0,
        covered=world.total(sweep.covered) > 0,
        to_fake=to_fake[:, 0] * pairs.unit,
        to_real=to_real[:, 0] * pairs.unit,
        realism=sweep.realism.values(to_real[:, 0], nearest[:, 0], world),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Doubtful:
    """Pairs that may be nearest, with bounds."""

    i: Tensor
    j: Tensor
    least: Tensor
    most: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What one tile shows."""

    counts: Tensor
    """Balls of reals around each column's fake."""
    inside: Tensor
    """Which rows' reals are in a fake's ball."""
    covered: Tensor
    """Which rows' reals have a fake in their ball."""
    near: _Doubtful


class _Sweep:
    """What the tiles add up to."""

    def __init__(self, pairs: Pairs, reals: Own, fakes: Own, boundary: Boundary, memory: int) -> None:
        self.pairs, self.boundary = pairs, boundary
        device = reals.rows.device
        self.copies = reals.distinct.copies.double()
        self.real_limits, self.fake_limits = reals.limits / pairs.unit, fakes.limits / pairs.unit
        self.counts = torch.zeros(len(pairs.right), dtype=torch.float64, device=device)
        self.inside = torch.zeros(len(pairs.left), dtype=torch.float64, device=device)
        self.covered = torch.zeros_like(self.inside)
        self.to_fake = Shortlist(len(pairs.left), 1, pairs.squares, memory, device)
        self.to_real = Shortlist(len(pairs.right), 1, lambda j, i: pairs.squares(i, j), memory, device)
        self.realism = _Realism(pairs, reals, memory)

    def look(self, tile: Tile) -> tuple[Tile, _Seen, _Doubtful | None]:
        """Return what a tile shows, by the fastest products that leave few of its pairs in doubt."""
        for dtype in self.pairs.precisions():
            low = self.pairs.low(tile, dtype)
            gap = partial(self.pairs.gap, dtype=dtype)
            self.to_fake.prime(low, tile.rows, tile.columns, gap)
            self.to_real.prime(low.T, tile.columns, tile.rows, lambda j, i, gap=gap: gap(i, j))  # type: ignore[misc]
            seen = self._few(low, tile, dtype) or self._many(low, tile, dtype)
            if seen is not None:
                break
        assert seen is not None
        return tile, seen, self.realism.look(low, tile, dtype)

    def add(self, found: tuple[Tile, _Seen, _Doubtful | None]) -> None:
        """Add what a tile showed."""
        tile, seen, real = found
        self.counts[tile.columns] += seen.counts
        self.inside[tile.rows] += seen.inside
        self.covered[tile.rows] += seen.covered
        near = seen.near
        self.to_fake.add(near.i, near.j, near.least, near.most)
        self.to_real.add(near.j, near.i, near.least, near.most)
        if real is not None:
            self.realism.list.add(real.j, real.i, real.least, real.most)

    def _few(self, low: Tensor, tile: Tile, dtype: torch.dtype) -> _Seen | None:
        """Look at a tile in which few pairs are in a ball or may be nearest, one by one; None where they are many."""
        rows, columns = tile.rows, tile.columns
        by_row = torch.maximum(self.real_limits[rows], self.to_fake.reach[rows])
        by_column = torch.maximum(self.fake_limits[columns], self.to_real.reach[columns])
        i, j = below(low, by_row, by_column)
        if len(i) > low.numel() // CROWDED:
            return None
        near = self._bounded(i, j, low, tile, dtype)
        in_real, in_fake = self._inside(near)
        counts = torch.zeros(low.shape[1], dtype=torch.float64, device=low.device)
        counts.index_add_(0, j[in_real], self.copies[near.i[in_real]])
        covered = torch.zeros(len(low), dtype=torch.bool, device=low.device)
        inside = torch.zeros_like(covered)
        covered[i[in_real]] = True
        inside[i[in_fake]] = True
        return _Seen(counts, inside, covered, near)

    def _many(self, low: Tensor, tile: Tile, dtype: torch.dtype) -> _Seen | None:
        """Look at a tile in which many pairs are in a ball; None where float32 leaves too many in doubt."""
        rows, columns = tile.rows, tile.columns
        row_gap, column_gap = self.pairs.most_gap(tile, dtype)
        balls = (self.real_limits[rows, None], row_gap[:, None]), (self.fake_limits[columns], column_gap)
        sure = [low < -above(gap - limit, dtype) for limit, gap in balls]
        doubt = (low <= above(balls[0][0], dtype)) ^ sure[0]
        doubt |= (low <= above(balls[1][0], dtype)) ^ sure[1]
        doubt |= low <= above(self.to_fake.reach[rows], dtype)[:, None]
        doubt |= low <= above(self.to_real.reach[columns], dtype)
        i, j = places(doubt)
        if dtype == torch.float32 and len(i) > low.numel() // CROWDED:
            return None
        near = self._bounded(i, j, low, tile, dtype)
        for members, inside in zip(sure, self._inside(near), strict=True):
            members[i, j] = inside
        # A matrix product adds booleans ten times as fast as a sum does.
        return _Seen(self.copies[rows] @ sure[0].double(), sure[1].any(dim=1), sure[0].any(dim=1), near)

    def _bounded(self, i: Tensor, j: Tensor, low: Tensor, tile: Tile, dtype: torch.dtype) -> _Doubtful:
        least = low[i, j].double()
        i, j = i + tile.rows.start, j + tile.columns.start
        return _Doubtful(i, j, least, least + self.pairs.gap(i, j, dtype))

    def _inside(self, near: _Doubtful) -> tuple[Tensor, Tensor]:
        """Return which pairs have the fake in the ball of the real, and the real in the ball of the fake."""
        limits = self.real_limits[near.i], self.fake_limits[near.j]
        found = near.most < limits[0], near.most < limits[1]
        doubt = ((near.least <= limits[0]) & ~found[0]) | ((near.least <= limits[1]) & ~found[1])
        (open_,) = doubt.nonzero(as_tuple=True)
        squares = self.pairs.squares(near.i[open_], near.j[open_])
        for inside, limit in zip(found, limits, strict=True):
            inside[open_] = squares < limit[open_] if self.boundary == "<" else squares <= limit[open_]
        return found


class _Realism:
    """The largest radius over distance to a real, for each fake, by the least squared distance over squared radius."""

    def __init__(self, pairs: Pairs, reals: Own, memory: int) -> None:
        self.pairs = pairs
        limits = reals.limits / pairs.unit
        ordered = reals.distinct.spread(limits).sort().values
        self.kept = limits <= ordered[(len(ordered) - 1) // 2]
        self.with_radius = self.kept & (limits > 0)
        self.limits = limits
        # Against the largest kept ball the factors are 1 or more; cut off, they still give lower bounds.
        self.unit = float(limits[self.kept].max())
        self.factors = torch.where(self.with_radius, self.unit / limits, torch.inf)
        self.list = Shortlist(len(pairs.right), 1, self._exact, memory, limits.device)

    def look(self, low: Tensor, tile: Tile, dtype: torch.dtype) -> _Doubtful | None:
        """Return the pairs of a tile that may make their fake most real, given lower bounds of squared distances."""
        rows = self.with_radius[tile.rows].nonzero()[:, 0]
        if not len(rows):
            return None
        numbers = rows + tile.rows.start
        # Rounded down; a bound below 0 stays below the squared distance, which is 0 or more.
        shrunk = self.factors[numbers].clamp_max(_LARGEST_FACTOR) * (1 - 8 * torch.finfo(dtype).eps)
        ratios = scaled(low, rows, shrunk.to(dtype))
        gap = self._gap(numbers, dtype)
        self.list.prime(ratios.T, tile.columns, slice(0, len(rows)), gap)
        i, j = below(ratios, None, self.list.reach[tile.columns])
        least = ratios[i, j].double()
        j = j + tile.columns.start
        return _Doubtful(numbers[i], j, least, least + gap(j, i))

    def values(self, to_real: Tensor, nearest: Tensor, world: World) -> Tensor:
        """Return the realism of each fake, given its nearest real."""
        least, _ = self.list.nearest(world)
        # Divided as roots, so that a ratio is what a reader would compute from the two distances.
        found = _root(self.unit / least[:, 0])
        # 0 over 0: on the very boundary of a ball of radius 0.
        at_a_point = (to_real == 0) & self.kept[nearest] & ~self.with_radius[nearest]
        return torch.where(at_a_point, found.clamp_min(1), found)

    def _gap(self, numbers: Tensor, dtype: torch.dtype) -> Callable[[Tensor, Tensor], Tensor]:
        def gap(j: Tensor, i: Tensor) -> Tensor:
            real = numbers[i]
            norms = self.pairs.left.norms[real] + self.pairs.right.norms[j]
            # What rounding the lower bound down took is given back: a squared distance is below twice the norms.
            width = self.pairs.gap(real, j, dtype) + 32 * torch.finfo(dtype).eps * norms
            factor = self.factors[real]
            return torch.where(factor > _LARGEST_FACTOR, torch.inf, factor * width)

        return gap

    def _exact(self, j: Tensor, i: Tensor) -> Tensor:
        return self.pairs.squares(i, j) * self.unit / self.limits[i]


def _root(values: Tensor) -> Tensor:
    return torch.from_numpy(np.sqrt(values.cpu().numpy())).to(values.device)
