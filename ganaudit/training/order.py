"""Which images and which noise a step sees: functions of (seed, position) alone, so a resumed run sees the same."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.randomness import generator, normals

__all__ = ["image_rows", "noise"]

_NOISE_STREAM = 2  # latents of audits use 0 and labels 1: training never sees the audit's own draws


def image_rows(n: int, start: int, count: int, seed: int) -> Tensor:
    """Return the rows of images ``start`` to ``start + count`` of the endless order.

    Every pass over the data is a new permutation; a batch may reach from one pass into the next.
    """
    rows = []
    for epoch in range(start // n, (start + count - 1) // n + 1):
        order = generator(seed, f"order/{epoch}").permutation(n)
        low, high = max(start - epoch * n, 0), min(start + count - epoch * n, n)
        rows.append(order[low:high])
    return torch.from_numpy(np.concatenate(rows))


def noise(start: int, count: int, size: int, seed: int) -> Tensor:
    """Return latents ``start`` to ``start + count`` of the run, float32 (count, size), standard normal."""
    return torch.from_numpy(normals(seed, _NOISE_STREAM, start, count, size).astype(np.float32))
