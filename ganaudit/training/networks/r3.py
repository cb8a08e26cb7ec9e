"""The relativistic baseline of 2024: residual bottlenecks with grouped convolutions and no normalisation.

Written from the paper alone: Huang et al., The GAN is dead; long live the GAN! A Modern Baseline GAN, 2024,
arXiv:2501.05441. A side has one change of resolution and ``blocks`` bottlenecks; stability comes from the start (each
bottleneck begins as the identity: Zhang et al., Fixup Initialization, 2019, arXiv:1901.09321) and from the penalties on
both sides of the loss. Where we differ: images are clamped to [-1, 1], and widths are for small images.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganaudit.numerics.arguments import whole
from ganaudit.training.networks.layers import (
    Discriminator,
    Head,
    LatentInput,
    clamped,
    doublings,
    drawn,
    planes_at,
    rectified,
)
from ganaudit.training.networks.resampling import Doubling, Halving

__all__ = ["R3Discriminator", "R3Generator"]

_SIDE = 4


class _Bottleneck(nn.Module):
    """x + narrow(rectified(grouped 3x3(rectified(widen(x))))); ``blocks`` of them in the network.

    The last kernel starts at 0, the others are scaled by blocks^(-1/4): a step of descent then moves the output by an
    amount that does not grow with the depth.
    """

    def __init__(self, planes: int, expansion: int, group: int, blocks: int) -> None:
        super().__init__()
        hidden = planes * expansion
        if hidden % group:
            raise ValueError(
                f"group: found {group}; allowed: a divisor of planes times expansion, here {planes} x {expansion}"
            )
        gain = blocks**-0.25
        self.widen = drawn(nn.Conv2d(planes, hidden, 1), gain)
        self.grouped = drawn(nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden // group), gain)
        self.narrow = nn.Conv2d(hidden, planes, 1, bias=False)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.narrow(rectified(self.grouped(rectified(self.widen(x)))))
        return y


def _projection(planes_in: int, planes_out: int) -> nn.Module:
    """Return a 1x1 convolution where the number of planes changes: it is linear, so its gain is 1."""
    return nn.Identity() if planes_in == planes_out else drawn(nn.Conv2d(planes_in, planes_out, 1, bias=False), 0.72)


def _sides(size: int, width: int, expansion: int, group: int, blocks: int) -> list[int]:
    """Return the planes of the maps of 4, 8, … ``size`` pixels."""
    for name, value in (("width", width), ("expansion", expansion), ("group", group), ("blocks", blocks)):
        whole(value, name, 1)
    return [planes_at(width, _SIDE * 2**i) for i in range(doublings(size) + 1)]


class R3Generator(nn.Module):
    """Residual bottlenecks from a learned basis: latent (B, latent) to image (B, channels, size, size) in [-1, 1].

    Size is 4, doubled at least once. The basis layer, a learned 4x4 map whose planes are multiplied by a linear
    function of the latent; for each side ``blocks`` bottlenecks, between sides a doubling by a fixed filter; a 1x1
    convolution to the image. Maps have ``width`` planes up to 32 pixels and half for each doubling beyond; bottlenecks
    are ``expansion`` times as wide, their convolutions in groups of ``group`` planes. With ``classes`` an embedding
    stands beside the latent.
    """

    kind: ClassVar[Literal["image", "audio"]] = "image"

    def __init__(
        self,
        size: int,
        channels: int,
        latent: int,
        *,
        classes: int = 0,
        width: int = 128,
        expansion: int = 2,
        group: int = 16,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        planes = _sides(size, width, expansion, group, blocks)
        whole(channels, "channels", 1)
        self.input = LatentInput(latent, classes)
        self.basis = nn.Parameter(torch.randn(planes[0], _SIDE, _SIDE))
        self.modulation = drawn(nn.Linear(self.input.features, planes[0], bias=False), 0.72)
        layers: list[nn.Module] = []
        for i, here in enumerate(planes):
            if i:
                layers += [_projection(planes[i - 1], here), Doubling()]
            layers += [_Bottleneck(here, expansion, group, blocks * len(planes)) for _ in range(blocks)]
        self.body = nn.Sequential(*layers)
        self.image = drawn(nn.Conv2d(planes[-1], channels, 1), 0.36)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images; in training values beyond the range leak through, so that none is without a gradient."""
        x = self.basis * self.modulation(self.input(z, labels))[:, :, None, None]
        return clamped(self.image(self.body(x)).to(z.dtype), self.training)


class R3Discriminator(Discriminator):
    """Residual bottlenecks down to a weighted sum: image (B, channels, size, size) to logits (B, outputs).

    A 1x1 convolution from the image, for each side ``blocks`` bottlenecks, between sides a halving by a fixed filter; a
    learned weighted sum over each 4x4 map, the basis layer seen from the other end, and the last layer, which with
    ``classes`` projects on the class. Options as for the generator.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        *,
        classes: int = 0,
        outputs: int = 1,
        width: int = 128,
        expansion: int = 2,
        group: int = 16,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        planes = _sides(size, width, expansion, group, blocks)[::-1]
        whole(channels, "channels", 1)
        self.image = drawn(nn.Conv2d(channels, planes[0], 1), 0.72)
        layers: list[nn.Module] = []
        for i, here in enumerate(planes):
            if i:
                layers += [Halving(), _projection(planes[i - 1], here)]
            layers += [_Bottleneck(here, expansion, group, blocks * len(planes)) for _ in range(blocks)]
        self.body = nn.Sequential(*layers)
        # A depthwise convolution over the whole map, as the sum that it is: far cheaper to differentiate twice.
        self.basis = nn.Parameter(torch.randn(planes[-1], _SIDE, _SIDE) / _SIDE)
        self.last = Head(planes[-1], classes, outputs, gain=0.72)

    def responses(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return logits (B, outputs)."""
        features = (self.body(self.image(x)) * self.basis).sum((2, 3))
        return (self.last(features, labels),)
