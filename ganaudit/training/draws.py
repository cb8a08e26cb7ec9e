"""What is drawn for the samples of a step: functions of (seed, position) alone.

Position i of a run is its i-th real sample. One process or many, whole batches or parts of them, an interrupted run and
one that was not: they all see the same.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.numerics.randomness import generator, integers, normals, uniforms

__all__ = ["between", "image_rows", "label_rows", "latents", "normal_noise"]

_LATENTS, _LABELS = 2, 6  # latents of audits use stream 0 and labels 1: training never sees the audit's own draws


def image_rows(n: int, start: int, count: int, seed: int) -> Tensor:
    """Return the rows of samples ``start`` to ``start + count`` of the endless order, (count,) int64.

    Every pass over the ``n`` samples is a new permutation; a batch may reach from one pass into the next.
    """
    rows = []
    for epoch in range(start // n, (start + count - 1) // n + 1):
        low, high = max(start - epoch * n, 0), min(start + count - epoch * n, n)
        rows.append(_order(n, seed, epoch)[low:high])
    return torch.from_numpy(np.concatenate(rows))


@lru_cache(maxsize=2)
def _order(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return generator(seed, f"order/{epoch}").permutation(n)


def latents(start: int, count: int, size: int, seed: int) -> Tensor:
    """Return latents ``start`` to ``start + count`` of the run, float32 (count, size), standard normal."""
    return torch.from_numpy(normals(seed, _LATENTS, start, count, size).astype(np.float32))


def label_rows(n: int, start: int, count: int, seed: int) -> Tensor:
    """Return rows of real samples whose labels the generator is told, (count,) int64: the law of the data's labels."""
    return torch.from_numpy(integers(seed, _LABELS, start, count, n))


def between(seed: int, stream: int, start: int, count: int, size: int) -> Tensor:
    """Return uniform draws between 0 and 1 of positions ``start`` on, float32 (count, size)."""
    return torch.from_numpy(uniforms(seed, stream, start, count, size).astype(np.float32))


def normal_noise(seed: int, stream: int, start: int, shape: tuple[int, ...]) -> Tensor:
    """Return standard normal draws of positions ``start`` on, float32 of ``shape`` = (count, ...)."""
    size = int(np.prod(shape[1:]))
    return torch.from_numpy(normals(seed, stream, start, shape[0], size).astype(np.float32)).reshape(shape)
