"""What moves, crops, fills and cut-outs leave in an image, each read off the image alone.

``x`` is (B, C, H, W), levels 0..255 or any other values; every function returns one number for each image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["border_energy", "centroid", "constant_border", "constant_square", "spread"]

_EIGHTHS = 8


def border_energy(x: Tensor) -> Tensor:
    """Return how much happens at the border against the inside, (B,) float64 in 0..1; 1/2 is as much.

    b/(b + i), b and i the mean absolute differences of neighbours, b over those that touch the outer eighth of a side
    (one pixel at least), i over the others; 1/2 where nothing differs anywhere.
    """
    values = x.double()
    outer = _outer(x.shape[2], x.shape[3])
    sums = torch.zeros(2, len(x), dtype=torch.float64)
    counts = [0, 0]
    for axis in (2, 3):
        difference = values.diff(dim=axis).abs().mean(1)
        side = x.shape[axis] - 1
        touches = outer.narrow(axis - 2, 0, side) | outer.narrow(axis - 2, 1, side)
        for part, mask in enumerate((touches, ~touches)):
            sums[part] += difference[:, mask].sum(1)
            counts[part] += int(mask.sum())
    border, inside = (sums[part] / max(1, counts[part]) for part in (0, 1))
    total = border + inside
    return torch.where(total > 0, border / torch.where(total > 0, total, 1.0), 0.5)


def constant_border(x: Tensor) -> Tensor:
    """Return the share of the pixels that lie in rows or columns of one value at the border, (B,) float64 in 0..1.

    Such a row or column counts when it is the outermost, or all between it and the border are of that value. What a
    move by whole pixels fills is among them.
    """
    height, width = x.shape[2:]
    kept = [
        height - _run(x, 2, reverse=False) - _run(x, 2, reverse=True),
        width - _run(x, 3, reverse=False) - _run(x, 3, reverse=True),
    ]
    rest = kept[0].clamp(min=0) * kept[1].clamp(min=0)
    return 1 - rest.double() / (height * width)


def constant_square(x: Tensor, slack: float = 0.0) -> Tensor:
    """Return the largest square of one value away from the border, its side as a share of the shorter side; (B,).

    In eighths, 0..1: values of all channels within the square lie within ``slack`` of each other. A square of half of
    each side is what cutout leaves.
    """
    inner = x.double()
    side = min(x.shape[2:])
    found = torch.zeros(len(x), dtype=torch.float64)
    for part in range(1, _EIGHTHS):
        kernel = max(2, round(part * side / _EIGHTHS))
        if kernel > side:
            break
        span = _pooled(inner, kernel) + _pooled(-inner, kernel)
        found[(span.amax(1) <= slack).flatten(1).any(1)] = part / _EIGHTHS
    return found


def centroid(x: Tensor) -> Tensor:
    """Return the centre of what stands out, (B, 2) float64: from the top and from the left, as shares of the side.

    Weights are absolute differences from the median of the border, mean over channels; the middle where none differs.
    """
    weights = _standing_out(x)
    total = weights.sum((1, 2))
    known = total > 0
    centres = []
    for axis, side in ((1, x.shape[2]), (2, x.shape[3])):
        place = (torch.arange(side, dtype=torch.float64) + 0.5) / side
        along = weights.sum(3 - axis)
        centres.append(torch.where(known, along @ place / torch.where(known, total, 1.0), 0.5))
    return torch.stack(centres, 1)


def spread(x: Tensor) -> Tensor:
    """Return how far what stands out reaches from its centre, (B,) float64.

    The root mean square distance as a share of the side; 0 where nothing stands out. A crop to a share s of the sides,
    enlarged, multiplies it by 1/s.
    """
    weights, centre = _standing_out(x), centroid(x)
    total = weights.sum((1, 2))
    squares = torch.zeros(len(x), dtype=torch.float64)
    for axis, side in ((1, x.shape[2]), (2, x.shape[3])):
        place = (torch.arange(side, dtype=torch.float64) + 0.5) / side
        squares += (weights.sum(3 - axis) * (place - centre[:, axis - 1 : axis]).square()).sum(1)
    return torch.where(total > 0, squares / torch.where(total > 0, total, 1.0), 0.0).sqrt()


def _standing_out(x: Tensor) -> Tensor:
    values = x.double()
    edge = torch.cat([values[:, :, 0], values[:, :, -1], values[:, :, :, 0], values[:, :, :, -1]], 2)
    return (values - edge.median(2).values[:, :, None, None]).abs().mean(1)


def _outer(height: int, width: int) -> Tensor:
    """Return which pixels lie in the outer eighth of a side, (H, W) bool."""
    rows, columns = (torch.zeros(side, dtype=torch.bool) for side in (height, width))
    for line in (rows, columns):
        reach = max(1, len(line) // _EIGHTHS)
        line[:reach], line[-reach:] = True, True
    return rows[:, None] | columns[None, :]


def _run(x: Tensor, axis: int, *, reverse: bool) -> Tensor:
    """Return how many rows (axis 2) or columns (3) from the border on are all of one colour, (B,) int64."""
    lines = x.transpose(2, axis).flip(2) if reverse else x.transpose(2, axis)
    same = (lines == lines[:, :, :1, :1]).all(3).all(1)
    return same.long().cumprod(1).sum(1)


def _pooled(x: Tensor, kernel: int) -> Tensor:
    """Return the maximum of every square of ``kernel`` pixels, its two axes one after the other."""
    return functional.max_pool2d(functional.max_pool2d(x, (kernel, 1), 1), (1, kernel), 1)
