"""Numbers too small for full precision, flushed to zero while training and left as they were afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["flushed_denormals"]

_DENORMAL = 1e-40  # below the smallest normal float32, 1.2e-38


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Flush denormals on the CPU inside the block; the process's own setting comes back at its end.

    Decaying weights and moments become denormal, which slows CPUs many times over.
    """
    before = bool((torch.full((1,), _DENORMAL) * 1.0 == 0).item())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
