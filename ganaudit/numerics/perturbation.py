"""Changes too small to see, made visible."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["amplified"]


def amplified(before: Tensor, after: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Return pictures of the changes from ``before`` to ``after`` (B, ...), and by how much each was multiplied (B,).

    m + k_i (after_i - before_i) with m = (low + high)/2 and k_i = (high - low)/2 / max|after_i - before_i|: the middle
    of the range is no change, and the largest change of each sample reaches an end of it. k_i is 1 where nothing
    changed, and below 1 where a change is larger than half the range. Both in float64.
    Raises ValueError when the shapes differ, ``low < high`` does not hold or a value is not finite.
    """
    if before.shape != after.shape or before.ndim < 2:
        found = f"{tuple(before.shape)} and {tuple(after.shape)}"
        raise ValueError(f"before, after: found shapes {found}; allowed: one shape (samples, ...)")
    if not low < high:
        raise ValueError(f"low, high: found {low}, {high}; allowed: low below high")
    change = after.detach().double() - before.detach().double()
    if not bool(change.isfinite().all()):
        raise ValueError("before, after: found a value that is not finite; allowed: finite numbers")
    half = (high - low) / 2
    largest = change.abs().flatten(1).amax(1)
    factor = torch.where(largest > 0, half / largest, 1.0)
    shaped = factor.view(-1, *[1] * (change.ndim - 1))
    return (low + half) + shaped * change, factor
