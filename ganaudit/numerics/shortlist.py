"""Which pairs may be among the nearest of their row: kept by bounds while a sweep goes on, decided exactly after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.world import World

__all__ = ["Shortlist", "gathered"]

_PAIR_BYTES = 96  # row, column, low and high, and what sorting them takes


class Shortlist:
    """The pairs that may be among the ``k`` nearest of their row, by bounds of each pair's distance."""

    def __init__(
        self, rows: int, k: int, exact: Callable[[Tensor, Tensor], Tensor], memory: int, device: torch.device
    ) -> None:
        self._count, self._k, self._exact = rows, k, exact
        self._most = max(4 * rows * k, memory // 4 // _PAIR_BYTES)
        self._held: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._length = 0
        self.reach = torch.full((rows,), torch.inf, dtype=torch.float64, device=device)
        """No pair of a row whose lower bound is above this can be among its k nearest."""

    def prime(self, low: Tensor, rows: slice, columns: slice, gap: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Set the reach of ``rows`` that have none, from their first lower bounds, (rows, columns).

        ``gap`` takes the row and the column of each pair and returns how far above its lower bound it may lie.
        """
        if low.shape[1] < self._k or not bool(torch.isinf(self.reach[rows]).any()):
            return
        least, j = low.topk(self._k, dim=1, largest=False)
        i = torch.arange(rows.start, rows.stop, device=low.device)[:, None].expand_as(j)
        high = least.double() + gap(i.reshape(-1), j.reshape(-1) + columns.start).reshape(j.shape)
        self.reach[rows] = torch.minimum(self.reach[rows], high.amax(dim=1))

    def add(self, rows: Tensor, columns: Tensor, low: Tensor, high: Tensor) -> None:
        """Keep the pairs that are within the reach of their rows; no pair may be added twice.

        A pair at infinity is none: a sample is no neighbour of its own.
        """
        near = (low <= self.reach[rows]) & (low < torch.inf)
        if not bool(near.any()):
            return
        self._held.append((rows[near], columns[near], low[near], high[near]))
        self._length += len(self._held[-1][0])
        if self._length > self._most:
            self._settle()

    def nearest(self, world: World) -> tuple[Tensor, Tensor]:
        """Return the exact distances of the k nearest of each row and their columns, (rows, k) each, ascending.

        Where a row has fewer, infinity and column 0. Over all processes of ``world``. Which of the columns at one
        distance come first is left open.
        """
        if self._held:
            self._settle(exactly=True)
        device = self.reach.device
        distances = torch.full((self._count, self._k), torch.inf, dtype=torch.float64, device=device)
        numbers = torch.zeros((self._count, self._k), dtype=torch.int64, device=device)
        for rows, columns, low, _ in self._held:
            place = _places(rows, self._count)
            distances[rows, place] = low
            numbers[rows, place] = columns
        return gathered(distances, numbers, world)

    def _settle(self, exactly: bool = False) -> None:
        """Drop the pairs that the upper bounds of others rule out; where too many stay, decide them."""
        self._order(*(torch.cat(parts) for parts in zip(*self._held, strict=True)))
        if exactly or self._length > self._most // 2:
            rows, columns, _, _ = self._held[0]
            distances = self._exact(rows, columns)
            self._order(rows, columns, distances, distances)
            rows, columns, low, high = self._held[0]
            first = _places(rows, self._count) < self._k
            self._held = [(rows[first], columns[first], low[first], high[first])]
            self._length = int(first.sum())

    def _order(self, rows: Tensor, columns: Tensor, low: Tensor, high: Tensor) -> None:
        """Sort the pairs by row and upper bound, tighten the reach and keep what it leaves."""
        order = _sorted(rows, high)
        rows, columns, low, high = rows[order], columns[order], low[order], high[order]
        last = _places(rows, self._count) == self._k - 1
        self.reach[rows[last]] = torch.minimum(self.reach[rows[last]], high[last])
        near = low <= self.reach[rows]
        self._held = [(rows[near], columns[near], low[near], high[near])]
        self._length = int(near.sum())


def gathered(distances: Tensor, columns: Tensor, world: World) -> tuple[Tensor, Tensor]:
    """Return the k smallest of the ``distances`` (rows, k) that the processes found, and their ``columns``."""
    if world.size == 1:
        return distances, columns
    slots = torch.zeros((world.size, 2, *distances.shape), dtype=torch.float64, device=distances.device)
    slots[world.rank, 0], slots[world.rank, 1] = distances, columns.double()
    found, numbers = world.total(slots).permute(1, 2, 0, 3).flatten(2)
    order = torch.argsort(found, dim=1, stable=True)[:, : distances.shape[1]]
    return found.gather(1, order), numbers.gather(1, order).long()


def _sorted(rows: Tensor, values: Tensor) -> Tensor:
    """Return the order by row, then by value."""
    if rows.is_cuda:
        order = torch.argsort(values)
        return order[torch.argsort(rows[order], stable=True)]
    return torch.from_numpy(np.lexsort((values.numpy(), rows.numpy())))


def _places(rows: Tensor, count: int) -> Tensor:
    """Return each entry's position among those of its row; ``rows`` ascend."""
    sizes = torch.bincount(rows, minlength=count)
    starts = sizes.cumsum(0) - sizes
    return torch.arange(len(rows), device=rows.device) - starts[rows]
