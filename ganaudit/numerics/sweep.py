"""Tiles of the pairs of two sides: one sweep over them serves every kernel and every neighbour, by many processes."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor

__all__ = ["Distinct", "Side", "Tile", "across", "blocks", "distinct", "each", "within"]

Side: TypeAlias = Literal["real", "fake", "across"]
P = TypeVar("P")
T = TypeVar("T")

_HASHED_ENTRIES = 2**21  # entries read at once: 8 MiB in float32


@dataclass(frozen=True, slots=True)
class Tile:
    """A block of rows against a block of columns. Within a side, tiles below the diagonal are left out."""

    side: Side
    """``real`` or ``fake``: pairs of that side; ``across``: reals in rows, fakes in columns."""
    rows: slice
    columns: slice

    @property
    def on_diagonal(self) -> bool:
        """Whether rows and columns are the same samples."""
        return self.side != "across" and self.rows == self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """The rows of a matrix without their exact copies."""

    chosen: Tensor | None
    """Where each distinct row occurs first, (U,) int64, ascending; None when no row has a copy."""
    of: Tensor | None
    """Which distinct row each row is, (N,) int64; None when no row has a copy."""
    copies: Tensor
    """How many times each distinct row occurs, (U,) int64."""

    def spread(self, values: Tensor) -> Tensor:
        """Return one entry for each row from one for each distinct row."""
        return values if self.of is None else values[self.of]


def blocks(length: int, block: int) -> Iterator[slice]:
    """Yield slices of at most ``block`` that cover 0 to ``length`` - 1 in order."""
    return (slice(start, min(start + block, length)) for start in range(0, length, block))


def within(side: Literal["real", "fake"], n: int, block: int) -> list[Tile]:
    """Return the tiles that hold every pair of ``n`` samples once, those on the diagonal first."""
    parts = list(blocks(n, block))
    diagonal = [Tile(side, part, part) for part in parts]
    return diagonal + [Tile(side, rows, columns) for i, rows in enumerate(parts) for columns in parts[i + 1 :]]


def across(n: int, m: int, block: int) -> list[Tile]:
    """Return the tiles of ``n`` reals against ``m`` fakes."""
    return [Tile("across", rows, columns) for rows in blocks(n, block) for columns in blocks(m, block)]


def each(work: Callable[[P], T], parts: Sequence[P], device: torch.device) -> Iterator[T]:
    """Yield what ``work`` returns for each of ``parts``, in their order.

    On a CPU as many parts at once as torch has threads, with one thread each, until the last is yielded: threads that
    share an operation of a few milliseconds lose more than they gain, above all beside other work. ``work`` must not
    change what another part reads unless any order of that will do.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield from map(work, parts)
        return
    torch.set_num_threads(1)
    try:
        yield from map(work, parts) if len(parts) == 1 else _shared(work, parts, threads)
    finally:
        torch.set_num_threads(threads)


def _shared(work: Callable[[P], T], parts: Sequence[P], threads: int) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > 2 * threads:  # results wait in memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def distinct(x: Tensor) -> Distinct:
    """Return the distinct rows of ``x`` (N, D), equal as numbers: 0 and -0 are the same.

    By the 128-bit BLAKE2b digest of each row, so the memory is a few numbers for each row.
    """

    def digests(part: slice) -> list[bytes]:
        # Adding 0 turns -0 into 0; halves have no numpy type of their own.
        rows = x[part] if x.dtype in (torch.float32, torch.float64) else x[part].double()
        numbers = (rows + 0.0).contiguous().cpu().numpy()
        return [hashlib.blake2b(row, digest_size=16).digest() for row in numbers]

    first: dict[bytes, int] = {}
    numbers: list[int] = []
    chosen: list[int] = []
    for part in each(digests, list(blocks(len(x), max(1, _HASHED_ENTRIES // x.shape[1]))), x.device):
        for digest in part:
            number = first.setdefault(digest, len(first))
            if number == len(chosen):
                chosen.append(len(numbers))
            numbers.append(number)
    of = torch.tensor(numbers)
    if len(chosen) == len(x):
        return Distinct(None, None, torch.ones(len(x), dtype=torch.int64, device=x.device))
    copies = torch.bincount(of, minlength=len(chosen))
    return Distinct(torch.tensor(chosen, device=x.device), of.to(x.device), copies.to(x.device))
