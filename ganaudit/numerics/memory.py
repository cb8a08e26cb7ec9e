"""Work on many rows when memory is short: done again with half as many at once, and the halving is remembered."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["Room", "in_parts", "is_out_of_memory"]

# What torch on a CPU (Linux, Windows), C++ and ONNX Runtime say; none of them has a class of error for it.
_SAID = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "std::bad_alloc",
    "bad allocation",
    "Failed to allocate memory for requested buffer",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that memory ran out: of a GPU, of the machine, in Python or below it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def in_parts(count: int, batch: int, work: Callable[[int, int], None], least: int = 1) -> int:
    """Call ``work(start, stop)`` over 0..count, at most ``batch`` at once, and return the batch that fitted.

    A part that does not fit into memory is done again at half the batch; where fewer than ``least`` rows would be
    left, the error that said so is raised. ``work`` must leave nothing behind when it fails.
    """
    start = 0
    while start < count:
        stop = min(start + batch, count)
        try:
            work(start, stop)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or batch // 2 < least:
                raise
            batch //= 2
            continue
        start = stop
    return batch


class Room:
    """How many rows fitted into memory at once, by what was done with them."""

    def __init__(self) -> None:
        self._fitted: dict[str, tuple[int, int]] = {}

    def parts(
        self, doing: str, count: int, work: Callable[[int, int], None], *, batch: int | None = None, least: int = 1
    ) -> None:
        """Call ``work(start, stop)`` over 0..count, all at once or ``batch`` at once, or as many as fitted before.

        See :func:`in_parts`. ``doing`` says in words what is done.
        """
        first, fitted = self._fitted.get(doing, (0, count))
        asked = min(batch or count, count)
        begun = min(asked, fitted)
        found = in_parts(count, begun, work, least)
        if found < begun:
            self._fitted[doing] = (max(first, asked), found)

    def told(self) -> list[str]:
        """Return what was halved, a sentence for each thing done."""
        return [
            f"out of memory: {doing} was done with {fitted} at once in place of {first}; numbers depend on that no "
            "more than by rounding"
            for doing, (first, fitted) in sorted(self._fitted.items())
        ]
