"""Squared distances between two sets of samples: bounds that cost one product, and exact values for the few in doubt.

|x|^2 + |y|^2 - 2 x.y is fast and rounds by more than the gap between near ties, and a copy gets a distance above or
below 0. So products in float32 only ever bound a distance; whoever finds a limit between the bounds asks for the exact
value, the sum of squared differences in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.numerics.sweep import Tile, blocks, each

__all__ = ["CROWDED", "DEFAULT_MEMORY", "Pairs", "Points", "above", "below", "block_rows", "places", "points", "scaled"]

DEFAULT_MEMORY = 2**28
"""Bytes that a sweep may hold beside the features and a few numbers for each sample."""

CROWDED = 16
"""Where one pair in so many stays in doubt, the next precision is cheaper than deciding them."""

_MOST_ROWS = 1024  # on a CPU larger tiles fall out of its cache, on a GPU they hide the launches
_MOST_ROWS_ON_GPU = 4096
_LEAST_ROWS = 128
_HANDED = 16  # chunks for one thread at a time
_CHUNK, _CHUNK_ON_GPU = 2**17, 2**23  # float64 differences held at once
_TINY = 1e-30  # D products that underflow in float32 add up to less, where norms are about 1
_LARGEST = 1e100  # beyond it, squares in units of the largest could lose digits at the small end of float64
_SMALLEST = 1e-100
_USUAL = 30  # squared norms within 2^±30 are left as they are
_ROWS, _COLUMNS = (slice(None), None), (None, slice(None))


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Distinct samples of one side, with what moves them near 0 and to sizes whose squares float32 holds."""

    rows: Tensor
    """All samples, (N, D), float32 or float64."""
    chosen: Tensor | None
    """Which of them are meant, in order; None for all."""
    centre: Tensor
    """(D,), float32 where both sides are, so that moving rounds once; else float64."""
    scale: float
    """A power of 2, 1 for usual features: dividing by it changes no digit."""
    norms: Tensor
    """Squared norms of the moved samples, (U,) float64."""

    def __len__(self) -> int:
        return len(self.norms)

    def take(self, part: slice | Tensor) -> Tensor:
        """Return samples as they came."""
        return _taken(self.rows, part if self.chosen is None else self.chosen[part])

    def panel(self, part: slice, dtype: torch.dtype) -> Tensor:
        """Return moved samples, a block of them, in ``dtype``."""
        return _moved(self.take(part), self.centre, self.scale, dtype)


def points(sides: list[tuple[Tensor, Tensor | None]], memory: int) -> list[Points]:
    """Return the ``Points`` of (rows, chosen) pairs about one centre, the mean of the first side.

    Raises ValueError when a sample is 1e100 or more from that mean.
    """
    rows = sides[0][0]
    block = block_rows(rows, memory)
    total = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    for part in blocks(len(rows), block):
        total += _sum(rows[part])
    centre = total / len(rows)
    if all(side.dtype == torch.float32 for side, _ in sides):
        centre = centre.float()
    found = [Points(side, chosen, centre, 1.0, _norms(side, chosen, centre, block)) for side, chosen in sides]
    largest = max(float(side.norms.max()) for side in found)
    if not largest < _LARGEST**2:
        raise ValueError(f"features: found a distance of {math.sqrt(largest):g} from their mean; allowed: below 1e100")
    # Where all is smaller still, no bound rules anything out and every pair is decided exactly.
    usual = 2.0**-_USUAL <= largest <= 2.0**_USUAL or largest <= _SMALLEST**2
    scale = 1.0 if usual else 2.0 ** math.frexp(math.sqrt(largest))[1]
    return [Points(p.rows, p.chosen, centre, scale, p.norms / scale**2) for p in found]


def below(values: Tensor, by_row: Tensor | None, by_column: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the places (rows, columns) of ``values`` that are at most their row's limit or at most their column's.

    Limits are float64. In order of rows.
    """
    masks = []
    for limit, shape in ((by_row, _ROWS), (by_column, _COLUMNS)):
        if limit is not None:
            bound = above(limit, values.dtype)[shape]
            on_gpu = values.is_cuda
            masks.append(values <= bound if on_gpu else torch.from_numpy(values.numpy() <= bound.numpy()))
    return places(masks[0] if len(masks) == 1 else masks[0] | masks[1])


def places(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows and the columns at which ``mask`` (rows, columns) holds, in order of rows."""
    if mask.is_cuda:
        first, second = mask.nonzero(as_tuple=True)
        return first, second
    # numpy skips zeros eight at a time, torch looks at each.
    flat = torch.from_numpy(np.flatnonzero(mask.numpy()))
    return flat // mask.shape[1], flat % mask.shape[1]


def scaled(values: Tensor, rows: Tensor, factors: Tensor) -> Tensor:
    """Return ``rows`` of ``values``, each times its factor."""
    if values.is_cuda:
        return values[rows] * factors[:, None]
    taken = values.numpy()[rows.numpy()]
    return torch.from_numpy(np.multiply(taken, factors.numpy()[:, None], out=taken))


def above(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``values`` (float64) in ``dtype``, rounded so that none is smaller than it was."""
    if dtype == torch.float64:
        return values
    return torch.nextafter(values.to(dtype), torch.tensor(torch.inf, dtype=dtype, device=values.device))


def block_rows(rows: Tensor, memory: int) -> int:
    """Return the rows of a block such that all tiles that are worked on at once stay below half of ``memory`` bytes."""
    features = rows.shape[1]
    # Of each of two blocks two copies in float64 may live at once, and of a tile four: b (4 D + 4 b) 8 bytes.
    most = _MOST_ROWS_ON_GPU if rows.is_cuda else _MOST_ROWS
    threads = 1 if rows.is_cuda else torch.get_num_threads()
    fitting = (math.sqrt(features**2 + memory / threads / 16) - features) / 2
    # Few samples are cut so that every thread has a tile.
    return max(1, min(most, int(fitting), max(_LEAST_ROWS, -(-len(rows) // threads))))


class Pairs:
    """Squared distances between the samples of two ``Points`` about one centre, in units of its squared scale."""

    def __init__(self, left: Points, right: Points) -> None:
        self.left, self.right = left, right
        features = left.rows.shape[1]
        self._slack = {dtype: _slack(features, dtype) for dtype in (torch.float32, torch.float64)}

    def precisions(self) -> Iterator[torch.dtype]:
        """Yield the precisions of products worth trying, the fastest first."""
        if self._slack[torch.float32] < 1 and _single_is_single():
            yield torch.float32
        yield torch.float64

    def low(self, tile: Tile, dtype: torch.dtype) -> Tensor:
        """Return a lower bound of every squared distance in ``tile``, (rows, columns) in ``dtype``."""
        shrink = 1 - self._slack[dtype]
        a, b = self.left.panel(tile.rows, dtype), self.right.panel(tile.columns, dtype)
        first = (self.left.norms[tile.rows] * shrink - _TINY).to(dtype)
        second = (self.right.norms[tile.columns] * shrink).to(dtype)
        bound = torch.addmm(second, a, b.T, beta=0, alpha=-2)
        _add(bound, second)
        return _add(bound, first[:, None])

    def gap(self, i: Tensor, j: Tensor, dtype: torch.dtype) -> Tensor:
        """Return how far at most the squared distance of each pair (i, j) lies above its lower bound, float64."""
        # A little more than twice the slack, for the roundings of the bounds themselves.
        return (self.left.norms[i] + self.right.norms[j]) * (2.001 * self._slack[dtype]) + 2 * _TINY

    def most_gap(self, tile: Tile, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the largest ``gap`` in each row and in each column of ``tile``."""
        a, b = self.left.norms[tile.rows], self.right.norms[tile.columns]
        width = 2.001 * self._slack[dtype]
        return (a + b.max()) * width + 2 * _TINY, (b + a.max()) * width + 2 * _TINY

    def squares(self, i: Tensor, j: Tensor) -> Tensor:
        """Return the sum of squared differences of each pair over ``unit``, the same in every call."""
        # On a CPU few enough rows that they stay in its cache: it takes half the time.
        chunk = max(1, (_CHUNK_ON_GPU if i.is_cuda else _CHUNK) // self.left.rows.shape[1])

        def summed(part: slice) -> Tensor:
            found = np.empty(part.stop - part.start)
            for rows in blocks(len(found), chunk):
                pairs = slice(part.start + rows.start, part.start + rows.stop)
                differences = _differences(self.left.take(i[pairs]), self.right.take(j[pairs]))
                # numpy adds the entries of a contiguous row in one order; torch's order may depend on how many rows
                # there are and on the threads, and then equal distances would differ in the last bit.
                np.square(differences, out=differences).sum(axis=1, out=found[rows])
            return torch.from_numpy(found).to(i.device)

        parts = list(each(summed, list(blocks(len(i), _HANDED * chunk)), i.device))
        return torch.cat(parts).div_(self.unit) if parts else torch.empty_like(i, dtype=torch.float64)

    @property
    def unit(self) -> float:
        """What bounds and squares are in units of: a power of 2, so that it changes no digit."""
        return self.left.scale**2


# On a CPU the passes over a tile are numpy's: each takes less than a millisecond, and torch would part it among threads
# that, on a machine with other work, wait longer than that for each other. The products are torch's.


def _norms(rows: Tensor, chosen: Tensor | None, centre: Tensor, block: int) -> Tensor:
    count = len(rows) if chosen is None else len(chosen)
    norms = torch.empty(count, dtype=torch.float64, device=rows.device)
    for part in blocks(count, block if rows.is_cuda else max(1, _CHUNK // rows.shape[1])):
        taken = _taken(rows, part if chosen is None else chosen[part])
        if rows.is_cuda:
            norms[part] = (taken.double() - centre).square_().sum(dim=1)
        else:
            moved = np.subtract(taken.numpy(), centre.numpy(), dtype=np.float64)
            norms[part] = torch.from_numpy(np.einsum("ij,ij->i", moved, moved))
    return norms


def _sum(rows: Tensor) -> Tensor:
    if rows.is_cuda:
        return rows.double().sum(dim=0)
    return torch.from_numpy(rows.numpy().sum(axis=0, dtype=np.float64))


def _taken(rows: Tensor, part: slice | Tensor) -> Tensor:
    if rows.is_cuda or isinstance(part, slice):
        return rows[part]
    return torch.from_numpy(rows.numpy()[part.numpy()])


def _moved(rows: Tensor, centre: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """Return (rows - centre)/scale in ``dtype``, the difference rounded once where all is float32."""
    if rows.is_cuda:
        moved = rows - centre if dtype == rows.dtype == centre.dtype else rows.double() - centre
    else:
        work = np.float32 if dtype == rows.dtype == centre.dtype == torch.float32 else np.float64
        moved = torch.from_numpy(np.subtract(rows.numpy(), centre.numpy(), dtype=work))
    return (moved if scale == 1 else moved.div_(scale)).to(dtype)


def _differences(a: Tensor, b: Tensor) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64]
    if a.is_cuda:
        found = a.double().sub_(b.double()).cpu().numpy()
    else:
        found = np.subtract(a.numpy(), b.numpy(), dtype=np.float64)
    return found


def _add(values: Tensor, more: Tensor) -> Tensor:
    if values.is_cuda:
        return values.add_(more)
    np.add(values.numpy(), more.numpy(), out=values.numpy())
    return values


def _single_is_single() -> bool:
    """Return whether products in float32 are just that: TensorFloat-32 or bfloat16 inside would break the bounds."""
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # some backend was told otherwise, and torch has no one word for all of them
        return False


def _slack(features: int, dtype: torch.dtype) -> float:
    """Return s such that a product's squared distance is off the exact one by at most s (|x|^2 + |y|^2).

    With u half the spacing of numbers at 1: a sum of D products rounds by D u/(1 - D u) of |x| |y|, whatever its order;
    moving, rounding to ``dtype``, norms and two sums by less than 16 u. In float64 the sum of squared differences
    itself rounds by another 2 (D + 3) u.
    """
    unit = torch.finfo(dtype).eps / 2
    if features * unit >= 0.1:
        return math.inf
    products = features * unit / (1 - features * unit)
    direct = 2 * (features + 3) * torch.finfo(torch.float64).eps / 2
    return products + 20 * unit + direct
