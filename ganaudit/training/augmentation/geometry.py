"""Geometry on images (B, C, H, W); ``u`` (B, n) holds uniform draws of 0..1, the law of each is in its docstring.

Operations of Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, arXiv:2006.06676,
appendix B, with ``fill`` where they mirror the borders. All are affine in the images.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganaudit.training.augmentation.laws import standard_normal, whole_number
from ganaudit.training.augmentation.moves import rotated

__all__ = ["rotation", "scaling", "stretch", "turn"]


def turn(x: Tensor, u: Tensor) -> Tensor:
    """Return each image turned by 0, 90, 180 or 270 degrees counter-clockwise, a uniform draw, without interpolation.

    Images that are no squares are turned by 0 or 180 degrees, a uniform draw: the other turns change their shape.
    """
    is_square = x.shape[2] == x.shape[3]
    quarters = whole_number(u[:, 0], 4) if is_square else 2 * whole_number(u[:, 0], 2)
    y = x
    for quarter in (1, 2, 3) if is_square else (2,):
        y = torch.where((quarters == quarter).view(-1, 1, 1, 1), torch.rot90(x, quarter, (2, 3)), y)
    return y


def scaling(x: Tensor, u: Tensor, strength: float, fill: float) -> Tensor:
    """Return each image with both sides times 2^(``strength`` n) about the middle, n standard normal.

    Enlarged by linear interpolation, reduced by the mean over the area that becomes a pixel; ``fill`` where uncovered.
    """
    factor = torch.exp2(strength * standard_normal(u[:, 0]))
    return _resized(x, factor, factor, fill)


def stretch(x: Tensor, u: Tensor, strength: float, fill: float) -> Tensor:
    """Return each image with its width times s and its height divided by s about the middle, s = 2^(``strength`` n).

    n is standard normal; interpolated and filled as ``scaling`` does.
    """
    power = strength * standard_normal(u[:, 0])
    return _resized(x, torch.exp2(-power), torch.exp2(power), fill)


def rotation(x: Tensor, u: Tensor, degrees: float, fill: float) -> Tensor:
    """Return each image rotated counter-clockwise about its middle by an angle uniform in -+``degrees``.

    Interpolated linearly between the four nearest pixels; ``fill`` where uncovered.
    """
    angle = (2.0 * u[:, 0] - 1.0) * math.radians(degrees)
    # Where x is the fill its difference to it is 0, which is what surrounds an image that is rotated.
    return rotated(x - fill, angle.to(x.dtype)) + fill


def _resized(x: Tensor, tall: Tensor, wide: Tensor, fill: float) -> Tensor:
    rows, columns = (_means(side, by.to(x.dtype))[:, None] for side, by in zip(x.shape[2:], (tall, wide), strict=True))
    return rows @ (x - fill) @ columns.transpose(2, 3) + fill


def _means(side: int, factor: Tensor) -> Tensor:
    """Return matrices (B, side, side) that make a side ``factor`` times as long about its middle, cut or padded with 0.

    Output pixel i lies at p = m + (i - m) / factor, m the middle. Entry (i, j) is the share of the interval of width
    w = max(1, 1 / factor) around p that pixel j covers: for w = 1 linear interpolation, above it the mean over an area.
    """
    pixel = torch.arange(side, device=factor.device, dtype=factor.dtype)
    middle = (side - 1) / 2
    place = (middle + (pixel - middle) / factor[:, None])[:, :, None]
    half = (1.0 / factor).clamp_min(1.0).view(-1, 1, 1) / 2
    covered = torch.minimum(place + half, pixel + 0.5) - torch.maximum(place - half, pixel - 0.5)
    return covered.clamp_min(0.0) / (2 * half)
