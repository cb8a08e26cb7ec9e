"""Moves by whole pixels or samples of time and rotations by any angle, one per sample of the batch.

The gradient of a move is the move back, and that of a rotation its transpose. Written so, derivatives of any order are
plain reading: no scattered additions, which are serial on a processor and of no fixed order on an accelerator.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["moved", "rolled", "rotated"]


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


def rotated(x: Tensor, angle: Tensor) -> Tensor:
    """Return images (B, C, H, W), image b rotated counter-clockwise by ``angle[b]`` (B,) radians; 0 where uncovered.

    Output pixel i is the sum over j of k(R i - j) x_j, R i the place that i comes from, counted from the middle, and
    k(d) = (1 - |d_1|)+ (1 - |d_2|)+: linear interpolation between the four nearest pixels.
    """
    y: Tensor = _Rotated.apply(x, angle, False)
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


class _Rotated(torch.autograd.Function):
    """The rotation, or where ``is_back`` its transpose, in which pixel j is the sum over i of k(R i - j) x_i.

    Those i have R i within a pixel of j in both coordinates, so they lie within sqrt(2) of the place that comes from j:
    no more than 4 x 4 of them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, angle: Tensor, is_back: bool) -> Tensor:
        ctx.save_for_backward(angle)
        ctx.is_back = is_back
        height, width = x.shape[2:]
        top, left = (height - 1) / 2, (width - 1) / 2
        rows = (torch.arange(height, device=x.device, dtype=x.dtype) - top)[:, None]
        columns = (torch.arange(width, device=x.device, dtype=x.dtype) - left)[None, :]
        here = _come_from(rows, columns, -angle if is_back else angle)
        first = [(at + middle).floor() - int(is_back) for at, middle in zip(here, (top, left), strict=True)]
        y, flat = torch.zeros_like(x), x.flatten(2)
        for down, right in itertools.product(range(4 if is_back else 2), repeat=2):
            row, column = first[0] + down, first[1] + right
            other = (row - top, column - left)
            ends = (_come_from(*other, angle), (rows, columns)) if is_back else (here, other)
            share = [(1.0 - (a - b).abs()).clamp_min(0.0) for a, b in zip(*ends, strict=True)]
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long().flatten(1)[:, None]
            taken = flat.gather(2, place.expand(flat.shape)).view(x.shape)
            y += torch.where(inside, share[0] * share[1], 0.0)[:, None] * taken
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (angle,) = ctx.saved_tensors
        return _Rotated.apply(gradients[0], angle, not ctx.is_back), None, None


def _come_from(rows: Tensor, columns: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return the places that a counter-clockwise rotation about the origin brings to ``rows`` and ``columns``."""
    sine, cosine = angle.sin().view(-1, 1, 1), angle.cos().view(-1, 1, 1)
    return rows * cosine + columns * sine, columns * cosine - rows * sine
