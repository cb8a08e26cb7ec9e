"""What augmentations do to images, each as states of one image: as it is, and what the operation makes of it.

Images are (B, C, H, W), values in 0..1; ``u`` (B, 3) holds uniform draws of 0..1, so that chance is the caller's. Laws
and strengths are the defaults of published recipes, so that what such a recipe leaks is what is looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["DRAWS", "MIDDLE", "OPERATIONS", "Operation", "colour", "crop", "cutout", "shift", "shifted"]

DRAWS = 3
"""Uniform draws that every operation is given for an image."""

MIDDLE = 0.5
"""The fill where nothing else is known: the middle of the range, 0 of values in -1..1."""

_SHIFT, _LEAST, _CUTOUT = 0.125, 0.8, 0.5
_BRIGHTNESS, _SATURATION, _CONTRAST = 0.25, 1.0, 0.5


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, and the states that it can leave an image in."""

    name: str
    law: str
    """What it does, in plain words."""
    trained: tuple[str, ...]
    """Names of augmentations in the record of a training that do the same."""
    least: int
    """The shortest side of images that it can change."""
    apply: Callable[[Tensor, Tensor, float], list[Tensor]]
    """(images, u, fill) -> the images in every state but the first, which is as they are."""
    square: bool = False
    """Whether it takes squares only."""
    isometry: bool = False
    """Whether it only gives pixels other places, so that values and detail stay."""
    looks: str = ""
    """How samples look that it changed, where imperfect generators make such of themselves."""
    imitated: str = ""
    """Which imperfect generators do."""

    def problem(self, shape: tuple[int, ...]) -> str | None:
        """Return why images of ``shape`` (C, H, W) cannot be asked about it, or None."""
        height, width = shape[1:]
        if min(height, width) < self.least:
            return f"images of {height} x {width} are too small: {self.name} needs sides of {self.least} pixels or more"
        if self.square and height != width:
            return f"images of {height} x {width} are no squares: {self.name} would change their shape"
        return None


def shifted(x: Tensor, down: Tensor, right: Tensor, fill: float) -> Tensor:
    """Return ``x`` (B, C, H, W), image b moved by ``down[b]`` and ``right[b]`` (B,) int64, ``fill`` where uncovered."""
    rows = torch.arange(x.shape[2]) - down[:, None]
    columns = torch.arange(x.shape[3]) - right[:, None]
    inside = ((rows >= 0) & (rows < x.shape[2]))[:, :, None] & ((columns >= 0) & (columns < x.shape[3]))[:, None, :]
    image = torch.arange(len(x))[:, None, None]
    rows, columns = rows.clamp(0, x.shape[2] - 1), columns.clamp(0, x.shape[3] - 1)
    # The two axes of places move to the front of the channels when both are indexed by tensors.
    moved = x[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return torch.where(inside[:, None], moved, fill)


def shift(x: Tensor, u: Tensor, fill: float) -> list[Tensor]:
    """Return each image moved by whole pixels, uniform within 1/8 of each side (rounded half up), ``fill`` elsewhere.

    Source: translation of Zhao et al., Differentiable Augmentation, 2020, arXiv:2006.10738.
    """
    reaches = [int(_SHIFT * side + 0.5) for side in x.shape[2:]]
    moves = [_whole(u[:, i], 2 * reach + 1) - reach for i, reach in enumerate(reaches)]
    return [shifted(x, moves[0], moves[1], fill)]


def crop(x: Tensor, u: Tensor, fill: float) -> list[Tensor]:
    """Return a window of each image of 0.8 to 1 of its sides, uniform, anywhere, enlarged linearly to the full size."""
    share = _LEAST + (1 - _LEAST) * u[:, 0]
    rows, columns = (_window(side, share, u[:, i + 1]).to(x.dtype) for i, side in enumerate(x.shape[2:]))
    return [rows[:, None] @ x @ columns[:, None].transpose(2, 3)]


def cutout(x: Tensor, u: Tensor, fill: float) -> list[Tensor]:
    """Return each image with a rectangle of half of each side set to ``fill``, its middle a uniform draw of the pixels.

    Source: DeVries and Taylor 2017, arXiv:1708.04552; the size is that of Zhao et al. 2020, arXiv:2006.10738.
    """
    inside = []
    for i, side in enumerate(x.shape[2:]):
        length = int(_CUTOUT * side + 0.5)
        first = _whole(u[:, i], side)[:, None] - length // 2
        inside.append((torch.arange(side) >= first) & (torch.arange(side) < first + length))
    return [torch.where((inside[0][:, :, None] & inside[1][:, None, :])[:, None], fill, x)]


def colour(x: Tensor, u: Tensor, fill: float) -> list[Tensor]:
    """Return each image with its colours changed, cut to the range.

    Brightness moves within 1/4 of the range, saturation (three channels) is multiplied within 1 -+ 1, contrast within
    1 -+ 1/2, each uniform.
    Source: color of Zhao et al., Differentiable Augmentation, 2020, arXiv:2006.10738.
    """
    amounts = (2 * u.to(x.dtype) - 1).view(len(x), DRAWS, 1, 1, 1)
    x = x + _BRIGHTNESS * amounts[:, 0]
    if x.shape[1] == 3:
        x = x + _SATURATION * amounts[:, 1] * (x - x.mean(1, keepdim=True))
    x = x + _CONTRAST * amounts[:, 2] * (x - x.mean((1, 2, 3), keepdim=True))
    return [x.clamp(0, 1)]


def _turns(x: Tensor, u: Tensor, fill: float) -> list[Tensor]:
    return [torch.rot90(x, quarters, (2, 3)) for quarters in (1, 2, 3)]


def _whole(u: Tensor, count: int) -> Tensor:
    return (u * count).long().clamp(max=count - 1)


def _window(side: int, share: Tensor, place: Tensor) -> Tensor:
    """Return matrices (B, side, side) that enlarge a window of ``share`` of the side; each row sums to 1."""
    pixel = torch.arange(side, dtype=share.dtype)
    start = place * (1 - share) * side
    source = (start[:, None] + (pixel + 0.5) * share[:, None] - 0.5).clamp(0, side - 1)
    return (1 - (source[:, :, None] - pixel).abs()).clamp(min=0)


OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("hflip", "mirrored left to right", ("flip",), 2, lambda x, u, fill: [x.flip(3)], isometry=True),
        Operation("vflip", "turned upside down by a mirror", (), 2, lambda x, u, fill: [x.flip(2)], isometry=True),
        Operation(
            "rot90", "turned by 90, 180 or 270 degrees", ("turn", "rotation"), 2, _turns, square=True, isometry=True
        ),
        Operation("shift", "moved by up to 1/8 of each side, filled", ("translation",), 4, shift),
        Operation(
            "crop",
            "a window of 0.8 to 1 of the sides, enlarged",
            ("crop", "scaling"),
            4,
            crop,
            looks="enlarged",
            imitated="a generator that is off in scale or sharpness looks the same",
        ),
        Operation("cutout", "a rectangle of half of each side filled", ("cutout",), 2, cutout),
        Operation(
            "colour",
            "brightness, saturation and contrast changed",
            ("colour",),
            1,
            colour,
            looks="recoloured",
            imitated="a generator that is off in brightness or contrast looks the same",
        ),
    )
}
"""In the order in which they are told."""
