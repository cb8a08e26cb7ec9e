"""Moves by whole pixels or samples of time, one per sample of the batch.

The gradient of a move is the move back. Written so, derivatives of any order are plain reading: no scattered additions,
which are serial on a processor and of no fixed order on an accelerator.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["moved", "rolled"]


def moved(x: Tensor, shifts: Tensor, fill: float = 0.0) -> Tensor:
    """Return images (B, C, H, W), image b moved down and right by ``shifts[b]`` (B, 2) int64; ``fill`` where uncovered.

    A shift beyond the side leaves nothing but ``fill``.
    """
    there, back = _plan(x, shifts), _plan(x, -shifts)
    y: Tensor = _Moved.apply(x, *there, *back)
    return y if fill == 0.0 else torch.where(there.covered, y, fill)


def rolled(x: Tensor, shifts: Tensor) -> Tensor:
    """Return signals (B, C, T), signal b moved later by ``shifts[b]`` (B,) int64 around the circle of T."""
    y: Tensor = _Rolled.apply(x, shifts)
    return y


class _Plan(NamedTuple):
    """Where each pixel is taken from, (B, 1, H W) int64, and where the moved image lies, (B, 1, H, W)."""

    places: Tensor
    covered: Tensor


def _plan(x: Tensor, shifts: Tensor) -> _Plan:
    height, width = x.shape[2:]
    rows = torch.arange(height, device=x.device) - shifts[:, :1]
    columns = torch.arange(width, device=x.device) - shifts[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    places = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    return _Plan(places.flatten(1)[:, None], inside[:, None])


class _Moved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, covered: Tensor, *back: Tensor) -> Tensor:
        ctx.save_for_backward(places, covered, *back)
        flat = x.flatten(2)
        return torch.where(covered, flat.gather(2, places.expand(flat.shape)).view(x.shape), 0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        there, back = ctx.saved_tensors[:2], ctx.saved_tensors[2:]
        return _Moved.apply(gradients[0], *back, *there), None, None, None, None


class _Rolled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shifts: Tensor) -> Tensor:
        ctx.save_for_backward(shifts)
        time = torch.arange(x.shape[2], device=x.device)
        source = (time[None, :] - shifts[:, None]) % x.shape[2]
        return x.gather(2, source[:, None, :].expand(x.shape))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (shifts,) = ctx.saved_tensors
        return _Rolled.apply(gradients[0], -shifts), None
