"""Fills a table of evidence chunk by chunk: from the store, from what is known already, or by computing it.

Chunks are dealt out to the processes in turn; what one has computed all receive. A chunk does not depend on who
computes it, nor on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganaudit.document.errors import EvidenceError
from ganaudit.evidence.ranks import Ranks
from ganaudit.evidence.rows import Column, Rows
from ganaudit.evidence.store import Entry, Store
from ganaudit.progress import Progress

__all__ = ["Table", "filled"]

Known = dict[str, Rows]


@dataclass(frozen=True, slots=True)
class Table:
    """What a table of evidence holds and how its chunks are made."""

    key: dict[str, Any]
    """Everything that can change its rows."""
    columns: Sequence[Column]
    n: int
    chunk: int
    """Rows that are computed, kept and passed on at once."""
    block: int
    """Of which a chunk is a multiple; rows may be computed from any multiple of it on."""
    label: str
    compute: Callable[[int, int], dict[str, Tensor]]
    """Returns the rows from start to stop, by column."""
    known: Known | None = None
    """The first rows of it, where they have been made before."""


def filled(table: Table, store: Store, ranks: Ranks, progress: Progress) -> dict[str, Rows]:
    """Return the columns of ``table``; raises OutputError when the disk is too full to keep them."""
    found = store.read(table.key, table.columns, table.n)
    # All processes must take the same way, or they would wait for each other for ever.
    if all(ranks.gathered(found is not None)):
        assert found is not None
        return found
    entry = store.entry(table.key, table.columns, table.n, table.chunk)
    try:
        is_kept = all(ranks.gathered(entry is not None))
        return _filled(table, entry if is_kept else None, ranks, progress)
    finally:
        if entry is not None:
            entry.close()


def _filled(table: Table, entry: Entry | None, ranks: Ranks, progress: Progress) -> dict[str, Rows]:
    chunks = -(-table.n // table.chunk)
    memory = {} if entry else {c.name: torch.empty(table.n, *c.shape, dtype=c.dtype) for c in table.columns}
    with progress.task(table.label, table.n) as task:
        for first in range(0, chunks, ranks.size):
            number = first + ranks.rank
            mine = _chunk(table, number, entry) if number < chunks else None
            for offset, parts in enumerate(ranks.gathered(mine)):
                if parts is not None:
                    start = (first + offset) * table.chunk
                    for name, rows in memory.items():
                        rows[start : start + table.chunk] = parts[name]
                    if entry is not None and ranks.is_writer and not entry.has(first + offset):
                        entry.write(first + offset, parts)
                    task.advance(len(next(iter(parts.values()))))
    return _finished(entry, ranks) if entry else {name: Rows(rows) for name, rows in memory.items()}


def _chunk(table: Table, number: int, entry: Entry | None) -> dict[str, Tensor]:
    start, stop = number * table.chunk, min((number + 1) * table.chunk, table.n)
    if entry is not None and entry.has(number):
        return entry.read(number)
    middle = _known_until(table, start, stop)
    parts = [_computed(table, middle, stop)] if middle < stop else []
    if table.known is not None and start < middle:
        parts.insert(0, {name: rows.tensor[start:middle] for name, rows in table.known.items()})
    # A copy always: a part of a larger tensor would be passed to the other processes whole.
    return {column.name: torch.cat([part[column.name] for part in parts]) for column in table.columns}


def _known_until(table: Table, start: int, stop: int) -> int:
    """Return up to which row of a chunk the rows are known: all of it, or whole blocks."""
    n = 0 if table.known is None else len(next(iter(table.known.values())))
    return stop if n >= stop else max(start, n // table.block * table.block)


def _computed(table: Table, start: int, stop: int) -> dict[str, Tensor]:
    made = table.compute(start, stop)
    for column in table.columns:
        given = made.get(column.name)
        if given is None or Column.of(column.name, given) != column or len(given) != stop - start:
            told = "nothing" if given is None else f"{tuple(given.shape)} of {given.dtype}"
            raise EvidenceError(
                f"{table.label}: {column.name} of rows {start} to {stop} should be "
                f"{(stop - start, *column.shape)} of {column.dtype}; found {told}"
            )
    return made


def _finished(entry: Entry, ranks: Ranks) -> dict[str, Rows]:
    columns = entry.finish() if ranks.is_writer else None
    ranks.gathered(None)  # the file has its name once every machine's writer has come here
    return columns if columns is not None else entry.finished()
