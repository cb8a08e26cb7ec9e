"""Sums over the three kernel matrices of two sides, tile by tile, by as many threads and processes as there are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ganaudit.numerics.kernels import Kernel
from ganaudit.numerics.sweep import Tile, across, each, within
from ganaudit.numerics.world import World

__all__ = ["BLOCK", "Marks", "Sums", "swept"]

BLOCK = 512
"""Rows of a tile: with 2048 features a thread holds about 20 MiB."""

_ROW = {"real": 0, "fake": 1, "across": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Sets of samples over whose pairs the kernel is summed."""

    reals: Tensor | None
    """Which reals may be marked at all, ascending; None for all."""
    fakes: Tensor | None
    """Which fakes."""
    real: Tensor
    """(R, P) bool: which of them are in each of the P sets."""
    fake: Tensor
    """(F, P) bool."""


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums of the kernel in float64; no sample is paired with itself except in ``diagonals``."""

    real: Tensor
    """Of each real over the other reals, (N,)."""
    fake: Tensor
    """Of each fake over the other fakes, (M,)."""
    real_fake: Tensor
    """Of each real over the fakes, (N,)."""
    fake_real: Tensor
    """Of each fake over the reals, (M,)."""
    squares: Tensor
    """(3,): of squared entries, real with real, fake with fake, real with fake."""
    diagonals: Tensor
    """(2,): of samples with themselves, real and fake."""
    forms: Tensor
    """(3, P): over the pairs of each marked set, real with real, fake with fake, real with fake."""
    marked_real: Tensor
    """Of each real that may be marked over all others that may be, of both sides, (R,)."""
    marked_fake: Tensor
    """The same of the fakes, (F,)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one tile adds."""

    tile: Tile
    by_row: Tensor
    by_column: Tensor
    square: float
    diagonal: float
    forms: Tensor | None = None
    marked: tuple[slice, Tensor, slice, Tensor] | None = None


def swept(kernel: Kernel, real: Tensor, fake: Tensor, marks: Marks | None, block: int, world: World) -> Sums:
    """Return the sums over all tiles, over all processes of ``world``.

    Raises ValueError when features are so large that sums of the kernel or of its squares leave float64.
    """

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=real.device)

    n, m = len(real), len(fake)
    r, f, p = (0, 0, 0) if marks is None else (len(marks.real), len(marks.fake), marks.real.shape[1])
    sums = Sums(zeros(n), zeros(m), zeros(n), zeros(m), zeros(3), zeros(2), zeros(3, p), zeros(r), zeros(f))
    tiles = [*within("real", n, block), *within("fake", m, block), *across(n, m, block)]
    mine = [tiles[number] for number in world.mine(len(tiles))]
    for part in each(partial(_part, kernel, real, fake, marks), mine, real.device):
        _add(sums, part)
    found = (sums.real, sums.fake, sums.real_fake, sums.fake_real, sums.squares, sums.diagonals, sums.forms)
    total = Sums(*(world.total(value) for value in (*found, sums.marked_real, sums.marked_fake)))
    # Every entry of the kernel is in a square, so these are finite only where all is.
    if not bool(torch.isfinite(total.squares).all() & torch.isfinite(total.diagonals).all()):
        raise ValueError(
            "features: found some for which the kernel leaves float64; allowed: a kernel whose squares can be summed, "
            "which for features and a cubic kernel means sizes below about 1e25"
        )
    return total


def _part(kernel: Kernel, real: Tensor, fake: Tensor, marks: Marks | None, tile: Tile) -> _Part:
    left, right = (fake if tile.side == "fake" else real), (real if tile.side == "real" else fake)
    values = kernel(left[tile.rows].double(), right[tile.columns].double())
    diagonal = 0.0
    if tile.on_diagonal:
        diagonal = float(values.diagonal().sum())
        values.fill_diagonal_(0)
    # The norm rather than a matrix of squares: it makes no copy of the tile.
    norm = float(torch.linalg.vector_norm(values))
    part = _Part(tile, values.sum(dim=1), values.sum(dim=0), norm * norm, diagonal)
    return part if marks is None else _with_marks(part, values, marks)


def _with_marks(part: _Part, values: Tensor, marks: Marks) -> _Part:
    tile = part.tile
    left_rows, left = (marks.fakes, marks.fake) if tile.side == "fake" else (marks.reals, marks.real)
    right_rows, right = (marks.reals, marks.real) if tile.side == "real" else (marks.fakes, marks.fake)
    rows, i = _marked(left_rows, tile.rows)
    columns, j = _marked(right_rows, tile.columns)
    if i is not None:
        values = values[i.to(values.device)]
    if j is not None:
        values = values[:, j.to(values.device)]
    first, second = (side[places].to(values.device).double() for side, places in ((left, rows), (right, columns)))
    forms = ((values @ second) * first).sum(dim=0)
    all_marked = i is None and j is None
    by_row, by_column = (part.by_row, part.by_column) if all_marked else (values.sum(dim=1), values.sum(dim=0))
    marked = (rows, by_row, columns, by_column)
    return _Part(tile, part.by_row, part.by_column, part.square, part.diagonal, forms, marked)


def _marked(chosen: Tensor | None, part: slice) -> tuple[slice, Tensor | None]:
    """Return which of the ``chosen`` samples lie in ``part``, and where in it; None for everywhere."""
    if chosen is None:
        return part, None
    first, last = torch.searchsorted(chosen, torch.tensor([part.start, part.stop])).tolist()
    return slice(first, last), chosen[first:last] - part.start


def _add(sums: Sums, part: _Part) -> None:
    tile = part.tile
    across_sides, row = tile.side == "across", _ROW[tile.side]
    once = tile.on_diagonal or across_sides  # tiles above the diagonal serve twice
    sums.squares[row] += part.square if once else 2 * part.square
    own, others = (sums.real_fake, sums.fake_real) if across_sides else [sums.real, sums.fake][row : row + 1] * 2
    own[tile.rows] += part.by_row
    if not tile.on_diagonal:
        others[tile.columns] += part.by_column
    if not across_sides:
        sums.diagonals[row] += part.diagonal
    if part.forms is not None and part.marked is not None:
        sums.forms[row] += part.forms if once else 2 * part.forms
        rows, by_row, columns, by_column = part.marked
        (sums.marked_fake if tile.side == "fake" else sums.marked_real)[rows] += by_row
        if not tile.on_diagonal:
            (sums.marked_real if tile.side == "real" else sums.marked_fake)[columns] += by_column
