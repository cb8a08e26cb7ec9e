"""Tables of evidence, one row per sample: in memory, or mapped from a file that may be larger than memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

__all__ = ["Column", "Mapping", "Rows"]

_BLOCK_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Column:
    """What one tensor of a table looks like."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    """Shape of one row."""

    @classmethod
    def of(cls, name: str, rows: Tensor) -> Column:
        """Return the column that ``rows`` belong to."""
        return cls(name, rows.dtype, tuple(rows.shape[1:]))

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Mapping:
    """A file mapped privately: pages are read when touched, and can be given back."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            # Private: a tensor over read-only memory would make torch warn, and no write may ever reach the file.
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def tensor(self, column: Column, n: int, offset: int) -> Tensor:
        """Return ``n`` rows of ``column`` that begin ``offset`` bytes into the file; nothing is read yet."""
        count = n * column.row_bytes // column.dtype.itemsize
        flat = torch.frombuffer(self._map, dtype=column.dtype, count=count, offset=offset)
        return flat.reshape(n, *column.shape)

    def release(self, start: int, stop: int) -> None:
        """Give the memory of the bytes ``start`` to ``stop`` back; they are read again when touched again."""
        first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, stop // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            self._map.madvise(mmap.MADV_DONTNEED, first, last - first)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """One column of evidence."""

    tensor: Tensor
    """(N, ...), never to be written to."""
    mapping: Mapping | None = None
    offset: int = 0
    """Where its first byte lies in the mapping."""

    def __len__(self) -> int:
        return len(self.tensor)

    def blocks(self, rows: int | None = None) -> Iterator[tuple[int, Tensor]]:
        """Yield (first row, block of rows) over all rows; the memory of a mapped block is given back after its use."""
        size = max(1, self.tensor[0].nbytes) if len(self.tensor) else 1
        step = rows or max(1, _BLOCK_BYTES // size)
        for start in range(0, len(self.tensor), step):
            stop = min(start + step, len(self.tensor))
            yield start, self.tensor[start:stop]
            if self.mapping is not None:
                self.mapping.release(self.offset + start * size, self.offset + stop * size)
