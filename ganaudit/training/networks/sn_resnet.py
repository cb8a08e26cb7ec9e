"""Residual networks with a spectrally normalised discriminator, made for the hinge loss.

Source: Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, arXiv:1802.05957, the networks
for 32 pixels. Where we differ: other sizes by more or fewer halvings; the class enters the generator beside the latent,
not through the normalisation.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional

from ganaudit.numerics.arguments import whole
from ganaudit.training.networks.layers import (
    Discriminator,
    Head,
    LatentInput,
    doublings,
    drawn,
    enlarged,
    image_range,
    normalisation,
    planes_at,
)
from ganaudit.training.networks.spectral import SpectralConv2d

__all__ = ["SnResnetDiscriminator", "SnResnetGenerator"]

_SIDE = 4


class _Up(nn.Module):
    """Normalise, rectify, enlarge, convolve, normalise, rectify, convolve; beside it a 1x1 convolution, enlarged."""

    def __init__(self, planes_in: int, planes_out: int, norm: str) -> None:
        super().__init__()
        self.norm, self.norm_again = normalisation(norm, planes_in), normalisation(norm, planes_out)
        self.inner = drawn(nn.Conv2d(planes_in, planes_out, 3, padding=1))
        self.outer = drawn(nn.Conv2d(planes_out, planes_out, 3, padding=1))
        self.shortcut = drawn(nn.Conv2d(planes_in, planes_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(enlarged(self.norm(x).relu()))
        y = self.outer(self.norm_again(y).relu())
        # A 1x1 convolution and repeating pixels may be swapped; before, it is four times cheaper.
        z: Tensor = y + enlarged(self.shortcut(x))
        return z


class _Down(nn.Module):
    """Rectify, convolve, rectify, convolve, pool; beside it a 1x1 convolution, pooled, where the shape changes."""

    def __init__(self, planes_in: int, planes_out: int, *, halves: bool, is_first: bool = False) -> None:
        super().__init__()
        self.halves, self.is_first = halves, is_first
        self.inner = SpectralConv2d(planes_in, planes_out, 3, padding=1)
        self.outer = SpectralConv2d(planes_out, planes_out, 3, padding=1)
        self.shortcut = SpectralConv2d(planes_in, planes_out, 1) if halves or planes_in != planes_out else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.outer(self.inner(x if self.is_first else x.relu()).relu())
        # A 1x1 convolution and a mean may be swapped; after, it is four times cheaper.
        beside = functional.avg_pool2d(x, 2) if self.halves else x
        if self.shortcut is not None:
            beside = self.shortcut(beside)
        z: Tensor = (functional.avg_pool2d(y, 2) if self.halves else y) + beside
        return z


class SnResnetGenerator(nn.Module):
    """Residual blocks with normalisation: latent (B, latent) to image (B, channels, size, size) in [-1, 1].

    Size is 4, doubled at least once. A fully connected layer to a 4x4 map of ``width`` planes and a residual block for
    each doubling; beyond 32 pixels the planes are halved with each. ``norm``: ``batch`` (the paper's), ``group`` or
    ``none``. With ``classes`` an embedding of the class stands beside the latent.
    """

    kind: ClassVar[Literal["image", "audio"]] = "image"

    def __init__(
        self, size: int, channels: int, latent: int, *, classes: int = 0, width: int = 256, norm: str = "batch"
    ) -> None:
        super().__init__()
        self.width = whole(width, "width", 1)
        whole(channels, "channels", 1)
        planes = [planes_at(width, _SIDE * 2**i) for i in range(doublings(size) + 1)]
        self.input = LatentInput(latent, classes)
        self.map = drawn(nn.Linear(self.input.features, width * _SIDE**2))
        self.blocks = nn.Sequential(*(_Up(here, there, norm) for here, there in pairwise(planes)))
        self.norm = normalisation(norm, planes[-1])
        self.image = drawn(nn.Conv2d(planes[-1], channels, 3, padding=1), 0.5)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images."""
        x = self.map(self.input(z, labels)).view(-1, self.width, _SIDE, _SIDE)
        return image_range(self.image(self.norm(self.blocks(x)).relu()), z)


class SnResnetDiscriminator(Discriminator):
    """Residual blocks of spectral norm 1: image (B, channels, size, size) to logits (B, outputs).

    Size is 4, doubled at least once. A residual block for each halving down to 8x8, at least one block, then two that
    keep the side; a rectifier, the sum over the pixels and the last layer, which with ``classes`` projects on the
    class. Blocks have ``width`` planes at 32 pixels and below, half for each doubling beyond. Every weight, the
    projection's too, has spectral norm 1.
    """

    def __init__(self, size: int, channels: int, *, classes: int = 0, outputs: int = 1, width: int = 128) -> None:
        super().__init__()
        whole(width, "width", 1)
        whole(channels, "channels", 1)
        halvings = doublings(size) - 1
        blocks, planes, side = [], channels, size
        for i in range(max(halvings, 1)):
            there = planes_at(width, side)
            blocks.append(_Down(planes, there, halves=i < halvings, is_first=i == 0))
            planes, side = there, side // 2
        for _ in range(2):
            blocks.append(_Down(planes, width, halves=False))
            planes = width
        self.blocks = nn.Sequential(*blocks)
        self.last = Head(width, classes, outputs, spectral=True)

    def responses(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return logits (B, outputs)."""
        features = self.blocks(x).relu()
        # The sum runs in the precision of the logits: it is over many pixels.
        return (self.last(features.to(self.last.weight.dtype).sum((2, 3)), labels),)
