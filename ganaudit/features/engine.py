"""Runs a network over many samples so that the numbers do not depend on how many it is given at once.

A convolution over 16 samples and one over 500 may differ in the last bits, because the library picks another kernel for
another shape. Every network here therefore always sees blocks of one fixed size, the last one padded; ``batch`` only
says how many blocks lie in memory at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ganaudit.progress import Task

__all__ = ["BLOCK", "in_blocks"]

BLOCK = 16
"""Samples a network sees at once, always."""


def in_blocks(
    work: Callable[[int, int], tuple[Tensor, ...]],
    n: int,
    batch: int,
    task: Task,
    block: int = BLOCK,
) -> tuple[Tensor, ...]:
    """Return the results of ``work(start, count)`` over 0..n, concatenated and cut to n rows.

    ``work`` is only ever called with ``count == block``; rows from n on are padding it must be able to make, and are
    thrown away. ``batch`` is rounded down to whole blocks (at least one); the progress task advances once per batch.
    """
    assert n > 0, n
    parts: list[tuple[Tensor, ...]] = []
    for start, stop in _batches(n, batch, block):
        made = [work(position, block) for position in range(start, stop, block)]
        parts.append(tuple(torch.cat(column) for column in zip(*made, strict=True)))
        task.advance(min(stop, n) - start)
    return tuple(torch.cat(column)[:n] for column in zip(*parts, strict=True))


def _batches(n: int, batch: int, block: int) -> Iterator[tuple[int, int]]:
    step = max(batch // block, 1) * block
    for start in range(0, n, step):
        blocks = -(-(min(start + step, n) - start) // block)
        yield start, start + blocks * block
