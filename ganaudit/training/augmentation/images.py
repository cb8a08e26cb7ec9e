"""Operations on images (B, C, H, W); ``u`` (B, n) holds uniform draws of 0..1, the law of each is in its docstring."""

from __future__ import annotations

import torch
from torch import Tensor

from ganaudit.training.augmentation.laws import whole_number
from ganaudit.training.augmentation.moves import moved

__all__ = ["colour", "crop", "cutout", "flip", "translation"]


def flip(x: Tensor, u: Tensor) -> Tensor:
    """Return each image mirrored left to right with probability 1/2: a uniform draw from {as it is, mirrored}."""
    return torch.where((u[:, 0] < 0.5).view(-1, 1, 1, 1), x.flip(3), x)


def crop(x: Tensor, u: Tensor, least: float) -> Tensor:
    """Return a random window of each image, enlarged to the full size by linear interpolation.

    The window's sides are the share s of the image's, s uniform in least..1 (mean (least + 1) / 2), its place
    uniform over where it fits. Pixel i of the output lies at start + (i + 1/2) s - 1/2; beyond the outermost pixel
    centres the outermost pixel is repeated. Linear in x: one matrix per side and sample.
    """
    share = least + (1.0 - least) * u[:, 0]
    rows = _window(x.shape[2], share, u[:, 1]).to(x.dtype)
    columns = _window(x.shape[3], share, u[:, 2]).to(x.dtype)
    return rows[:, None] @ x @ columns[:, None].transpose(2, 3)


def translation(x: Tensor, u: Tensor, share: float, pixels: int, fill: float) -> Tensor:
    """Return each image moved by a whole number of pixels down and right, ``fill`` where uncovered.

    Both moves are uniform over -r..r with r = ``pixels``, or, where that is 0, ``share`` of the side rounded half up.
    Source: translation of Zhao et al., Differentiable Augmentation, 2020, arXiv:2006.10738 (share 1/8, fill 0).
    """
    reaches = (pixels or _part(share, side) for side in x.shape[2:])
    shifts = [whole_number(u[:, i], 2 * reach + 1) - reach for i, reach in enumerate(reaches)]
    return moved(x, torch.stack(shifts, 1), fill)


def cutout(x: Tensor, u: Tensor, share: float, fill: float) -> Tensor:
    """Return each image with a rectangle of ``share`` of each side set to ``fill``.

    Its middle is a uniform draw of the pixels, so that parts of it may lie outside.
    Source: DeVries and Taylor 2017, arXiv:1708.04552; as in Zhao et al. 2020, arXiv:2006.10738 (share 1/2, fill 0).
    """
    inside = []
    for i, side in enumerate(x.shape[2:]):
        length = _part(share, side)
        first = whole_number(u[:, i], side)[:, None] - length // 2
        place = torch.arange(side, device=x.device)[None, :]
        inside.append((place >= first) & (place < first + length))
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return torch.where(hole[:, None], fill, x)


def colour(x: Tensor, u: Tensor, brightness: float, saturation: float, contrast: float) -> Tensor:
    """Return each image with brightness, then saturation, then contrast changed; values may leave the range.

    Brightness: x + b, b uniform in -+``brightness``. Saturation, of three channels only: m + s (x - m), m the mean over
    channels at each pixel, s uniform in 1 -+ ``saturation``. Contrast: the same with m the mean of the whole image
    and s uniform in 1 -+ ``contrast``. Affine in x.
    Source: color of Zhao et al., Differentiable Augmentation, 2020, arXiv:2006.10738 (1/2, 1, 1/2).
    """
    amounts = (2.0 * u.to(x.dtype) - 1.0).view(len(x), 3, 1, 1, 1)
    x = x + brightness * amounts[:, 0]
    if x.shape[1] == 3:
        x = _stretched(x, x.mean(1, keepdim=True), saturation * amounts[:, 1])
    return _stretched(x, x.mean((1, 2, 3), keepdim=True), contrast * amounts[:, 2])


def _stretched(x: Tensor, middle: Tensor, by: Tensor) -> Tensor:
    return x + by * (x - middle)


def _part(share: float, side: int) -> int:
    return int(share * side + 0.5)


def _window(side: int, share: Tensor, place: Tensor) -> Tensor:
    """Return matrices (B, side, side) that enlarge the window of ``share`` of the side; each row sums to 1."""
    pixel = torch.arange(side, device=share.device, dtype=share.dtype)
    start = place * (1.0 - share) * side
    source = (start[:, None] + (pixel[None, :] + 0.5) * share[:, None] - 0.5).clamp(0.0, side - 1.0)
    return (1.0 - (source[:, :, None] - pixel).abs()).clamp_min(0.0)
