"""Runs a network over many samples so that the numbers do not depend on how many it is given at once.

A convolution over 16 samples and one over 500 may differ in the last bits, because the library picks another kernel for
another shape. Every network here therefore always sees blocks of one fixed size, the last one padded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import BLOCK, GPU_BLOCK, Activations
from ganaudit.numerics.memory import Room, is_out_of_memory
from ganaudit.progress import Task

__all__ = ["BLOCK", "GPU_BLOCK", "extracted", "in_blocks"]


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


def extracted(
    extract: Callable[[Tensor], Activations], images: Tensor, block: int, device: str, room: Room | None = None
) -> dict[str, Tensor]:
    """Return features and, where there are any, logits of ``images`` (B, C, H, W), or waveforms (B, C, T), on the CPU.

    Blocks are handed to a GPU from pinned memory without waiting; it is waited for once, when all are under way. A
    block that does not fit into memory is halved, which ``room`` remembers; where one sample does not fit either,
    raises ExtractorError.
    """
    room = room or Room()
    if device != "cpu":
        images = images.pin_memory()
    made: list[Activations] = []
    for start in range(0, len(images), block):
        part = images[start : start + block]
        if len(part) < block:  # padded by its last image; those rows are cut off below
            part = torch.cat([part, part[-1:].expand(block - len(part), *part.shape[1:])])
        _extract_in(room, lambda a, b, part=part: made.append(extract(part[a:b])), block, device)  # type: ignore[misc]
    columns = {"features": torch.cat([m.features for m in made])[: len(images)].cpu()}
    logits = [m.logits for m in made if m.logits is not None]
    if logits:
        columns["logits"] = torch.cat(logits)[: len(images)].cpu()
    return columns


def _extract_in(room: Room, work: Callable[[int, int], None], block: int, device: str) -> None:
    try:
        room.parts("extracting features", block, work)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise ExtractorError(
            f"extractor: out of memory on {device} with one sample at once; free memory, or use --resize or another "
            "--extractor"
        ) from error


def _batches(n: int, batch: int, block: int) -> Iterator[tuple[int, int]]:
    step = max(batch // block, 1) * block
    for start in range(0, n, step):
        blocks = -(-(min(start + step, n) - start) // block)
        yield start, start + blocks * block
