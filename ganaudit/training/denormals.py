"""The processor's arithmetic while training: set, and left as it was afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["exact_kernels", "flushed_denormals"]

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


@contextmanager
def exact_kernels(deterministic: bool) -> Iterator[None]:
    """On CUDA: full float32 products and, where asked, convolutions that repeat bit for bit; set back at the end."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, products.allow_tf32, cudnn.deterministic, cudnn.benchmark
    cudnn.allow_tf32 = products.allow_tf32 = False
    cudnn.deterministic, cudnn.benchmark = deterministic, not deterministic
    try:
        yield
    finally:
        cudnn.allow_tf32, products.allow_tf32, cudnn.deterministic, cudnn.benchmark = before
