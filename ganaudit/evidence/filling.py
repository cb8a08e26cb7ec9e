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
    """Rows that are computed at once."""
    label: str
    compute: Callable[[int, int], dict[str, Tensor]]
    """Returns the rows from start to stop, by column."""
    known: Known | None = None
    """The first rows of it, where they have been made before."""


def filled(table: Table, store: Store, ranks: Ranks, progress: Progress) -> dict[str, Rows]:
    """Return the columns of ``table``; raises OutputError when the disk is too full to keep them."""
    found = store.read(table.key)
    # All processes must take the same way, or they would wait for each other for ever.
    if all(ranks.gathered(found is not None)):
        assert found is not None
        return found
    entry = store.entry(table.key, table.columns, table.n, table.chunk)
    is_kept = all(ranks.gathered(entry is not None))
    memory: dict[int, dict[str, Tensor]] = {}
    chunks = -(-table.n // table.chunk)
    with progress.task(table.label, table.n) as task:
        for first in range(0, chunks, ranks.size):
            number = first + ranks.rank
            mine = _chunk(table, number, entry if is_kept else None) if number < chunks else None
            for offset, parts in enumerate(ranks.gathered(mine)):
                if parts is not None:
                    _put(first + offset, parts, entry if is_kept else None, ranks, memory)
                    task.advance(len(next(iter(parts.values()))))
    if not is_kept or entry is None:
        names = [column.name for column in table.columns]
        return {name: Rows(torch.cat([memory[i][name] for i in range(chunks)])) for name in names}
    return _finished(entry, ranks)


def _chunk(table: Table, number: int, entry: Entry | None) -> dict[str, Tensor]:
    start, stop = number * table.chunk, min((number + 1) * table.chunk, table.n)
    if entry is not None and entry.has(number):
        return entry.read(number)
    if table.known is not None and stop <= len(next(iter(table.known.values()))):
        return {column.name: table.known[column.name].tensor[start:stop].clone() for column in table.columns}
    made = table.compute(start, stop)
    for column in table.columns:
        given = made.get(column.name)
        if given is None or Column.of(column.name, given) != column or len(given) != stop - start:
            told = "nothing" if given is None else f"{tuple(given.shape)} of {given.dtype}"
            raise EvidenceError(
                f"{table.label}: {column.name} of rows {start} to {stop} should be ({stop - start}, "
                f"{', '.join(map(str, column.shape))}) of {column.dtype}; found {told}"
            )
    return made


def _put(
    number: int, parts: dict[str, Tensor], entry: Entry | None, ranks: Ranks, memory: dict[int, dict[str, Tensor]]
) -> None:
    if entry is None:
        memory[number] = parts
    elif ranks.is_writer and not entry.has(number):
        entry.write(number, parts)


def _finished(entry: Entry, ranks: Ranks) -> dict[str, Rows]:
    columns = entry.finish() if ranks.is_writer else None
    ranks.gathered(None)  # the file has its name once every machine's writer has come here
    return columns if columns is not None else entry.finish()
