"""How an image of any size becomes the input of a network that was trained on photographs.

Levels 0..255, uint8 or float, (B, C, H, W), become float32 of the network's size and statistics, in channels-last
memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["CLIP_MEAN", "CLIP_STD", "IMAGENET_MEAN", "IMAGENET_STD", "Fit", "Framing", "Kernel"]

Kernel: TypeAlias = Literal["bilinear", "bicubic", "nearest"]
Fit: TypeAlias = Literal["squash", "crop"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Framing:
    """Resize, then (u / 255 - mean) / std for the levels u of each channel.

    - ``kernel``: triangle, cubic with a = -1/2 (-3/4 without antialiasing), or the nearest pixel; half-pixel centres.
    - ``antialias``: the kernel spans the source pixels when an image shrinks, as in Pillow, but nothing is rounded.
    - ``fit``: ``squash`` brings the whole image to the size, whatever its proportions; ``crop`` keeps them and cuts the
      middle out. What is cut off is not audited.
    """

    size: tuple[int, int] | None
    """Height and width; None leaves images as they come."""
    kernel: Kernel = "bicubic"
    antialias: bool = True
    fit: Fit = "squash"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.kernel not in get_args(Kernel) or self.fit not in get_args(Fit):
            raise ValueError(f"kernel {self.kernel!r}, fit {self.fit!r}; allowed: {get_args(Kernel)}, {get_args(Fit)}")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size: found {self.size}; both sides must be at least 1")
        if len(self.mean) != len(self.std) or not self.mean or min(self.std) <= 0:
            raise ValueError(f"mean and std: one of each per channel, std above 0; found {self.mean} and {self.std}")

    def describe(self) -> str:
        """Return it in words, for the document."""
        mean, std = (" ".join(f"{v:.8g}" for v in values) for values in (self.mean, self.std))
        return f"{self._resize_words()}, (u / 255 - mean) / std of the levels u with mean {mean} and std {std}"

    def _resize_words(self) -> str:
        if self.size is None:
            return "no resize"
        sharp = "antialiased " if self.antialias and self.kernel != "nearest" else ""
        height, width = self.size
        rounded = " in float, clipped to 0..255" if self.kernel == "bicubic" else ""
        how = "of the whole image" if self.fit == "squash" else "of the shorter side, middle cut out"
        return f"{sharp}{self.kernel} resize to {width}x{height}{rounded}, {how}"

    def apply(self, images: Tensor) -> Tensor:
        """Return the network's input, float32 (B, C, height, width) in channels-last memory."""
        x = images.to(torch.float32).contiguous(memory_format=torch.channels_last)
        if self.size is not None and x.shape[2:] != self.size:
            x = self._resized(x, self.size)
        mean, std = (
            torch.tensor(v, dtype=torch.float32, device=x.device)[:, None, None] for v in (self.mean, self.std)
        )
        return (x - 255 * mean) / (255 * std)

    def _resized(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        inner = size
        if self.fit == "crop":
            height, width = x.shape[2:]
            scale = max(size[0] / height, size[1] / width)
            inner = max(round(height * scale), size[0]), max(round(width * scale), size[1])
        if self.kernel == "nearest":
            x = functional.interpolate(x, inner, mode="nearest-exact")
        else:
            x = functional.interpolate(x, inner, mode=self.kernel, align_corners=False, antialias=self.antialias)
        if self.kernel == "bicubic":
            x = x.clamp(0, 255)  # a cubic overshoots at edges
        top, left = (inner[0] - size[0]) // 2, (inner[1] - size[1]) // 2
        return x[:, :, top : top + size[0], left : left + size[1]]
