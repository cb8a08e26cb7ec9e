"""What happens to an image before the network: the resize kernel and the normalisation, as each peer has them.

All take images as levels 0..255, uint8 or float, and return float32 in channels-last memory, which the networks want.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["NORMALISATIONS", "RESIZES", "Normalisation", "Preprocessing", "Resize"]

Resize: TypeAlias = Literal["tf1-bilinear", "bilinear", "bilinear-antialias", "bicubic-antialias"]
Normalisation: TypeAlias = Literal["(u - 128) / 128", "2 u / 255 - 1"]

RESIZES: tuple[str, ...] = get_args(Resize)
NORMALISATIONS: tuple[str, ...] = get_args(Normalisation)

_PRODUCT_UP_TO = 320
"""Length of a side up to which resizing rows by a matrix product is faster than gathering two rows each."""
_COLUMNS_BY_PRODUCT = 200
"""Columns times channels up to which the same holds across."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How levels 0..255 become the input of a network of one square size.

    - ``tf1-bilinear``: source place i * in/out, no half-pixel shift, no antialiasing (TensorFlow 1; torch-fidelity,
      StyleGAN).
    - ``bilinear``: half-pixel centres, no antialiasing (pytorch-fid).
    - ``bilinear-antialias``: half-pixel centres, triangle filter over the source pixels (torchmetrics from 1.8).
    - ``bicubic-antialias``: cubic with a = -1/2 over the source pixels, clipped to 0..255, not rounded (clean-fid).
    """

    resize: Resize = "tf1-bilinear"
    normalisation: Normalisation = "(u - 128) / 128"

    def __post_init__(self) -> None:
        if self.resize not in RESIZES:
            raise ValueError(f"resize: found {self.resize!r}; allowed: {', '.join(RESIZES)}")
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(f"normalisation: found {self.normalisation!r}; allowed: {', '.join(NORMALISATIONS)}")

    def describe(self, size: int) -> str:
        """Return it in words, for the document."""
        words = {
            "tf1-bilinear": "TF1 bilinear resize to {0}x{0} without antialiasing",
            "bilinear": "bilinear resize to {0}x{0}, half-pixel centres, without antialiasing",
            "bilinear-antialias": "antialiased bilinear resize to {0}x{0}",
            "bicubic-antialias": "antialiased bicubic resize to {0}x{0} in float, clipped to 0..255",
        }
        return f"{words[self.resize].format(size)}, {self.normalisation} of the levels u"

    def apply(self, images: Tensor, size: int) -> Tensor:
        """Return the network's input, float32 (B, C, size, size) in channels-last memory, of levels (B, C, H, W)."""
        x = images.to(torch.float32).contiguous(memory_format=torch.channels_last)
        if x.shape[2:] != (size, size):
            x = _resized(x, size, self.resize)
        elif x.data_ptr() == images.data_ptr():
            x = x.clone()  # the caller's levels must stay what they are
        if self.normalisation == "(u - 128) / 128":
            return x.sub_(128).div_(128)
        return x.div_(255).mul_(2).sub_(1)


def _resized(x: Tensor, size: int, resize: Resize) -> Tensor:
    if resize == "tf1-bilinear":
        return _tf1_bilinear(x, size)
    if resize == "bicubic-antialias":
        # In float64, as Pillow computes the weights: in float32 they are off by enough to move a level by 0.008.
        x = functional.interpolate(x.double(), (size, size), mode="bicubic", align_corners=False, antialias=True)
        return x.clamp_(0, 255).to(torch.float32)
    antialias = resize == "bilinear-antialias"
    return functional.interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=antialias)


def _tf1_bilinear(x: Tensor, size: int) -> Tensor:
    """Resize rows, then columns; both are linear maps with two weights for each output place."""
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, height, width * channels)
    rows = _mixed(rows, height, size)
    if width * channels <= _COLUMNS_BY_PRODUCT:
        # All channels of a row in one product: a matrix with three columns would be a poor one.
        columns = rows.reshape(batch * size, width * channels) @ _tf1_columns(width, channels, size, x.device)
    else:
        columns = _interpolated(rows.reshape(batch * size, width, channels), width, size)
    return columns.reshape(batch, size, size, channels).permute(0, 3, 1, 2)


def _mixed(x: Tensor, length: int, size: int) -> Tensor:
    """Return ``x`` (B, length, K) at the ``size`` places, (B, size, K)."""
    if length <= _PRODUCT_UP_TO:
        return torch.matmul(_tf1_matrix(length, size, x.device), x)
    return _interpolated(x, length, size)


def _interpolated(x: Tensor, length: int, size: int) -> Tensor:
    low, high, share = _tf1_places(length, size, x.device)
    return torch.lerp(x.index_select(1, low), x.index_select(1, high), share[:, None])


@lru_cache(maxsize=32)
def _tf1_places(length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each place the source index below it, the one above it, and how far it is towards that one."""
    # In float32, as TensorFlow computes them: another precision picks another pixel at exact places.
    place = torch.arange(size, dtype=torch.float32) * torch.tensor(length / size, dtype=torch.float32)
    low = place.long()
    # Kept on the device: copying them there for every block would make it wait.
    return low.to(device), (low + 1).clamp_max(length - 1).to(device), (place - low.to(torch.float32)).to(device)


@lru_cache(maxsize=32)
def _tf1_matrix(length: int, size: int, device: torch.device) -> Tensor:
    low, high, share = _tf1_places(length, size, torch.device("cpu"))
    matrix = torch.zeros(size, length)
    row = torch.arange(size)
    matrix[row, low] += 1 - share
    matrix[row, high] += share
    return matrix.to(device)


@lru_cache(maxsize=32)
def _tf1_columns(length: int, channels: int, size: int, device: torch.device) -> Tensor:
    """Return the matrix (length · channels, size · channels) that resizes a row of interleaved channels."""
    return torch.kron(_tf1_matrix(length, size, torch.device("cpu")), torch.eye(channels)).T.to(device)
