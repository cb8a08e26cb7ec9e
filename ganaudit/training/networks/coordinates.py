"""Generator that paints a function of the place: every pixel is computed from its own coordinates alone.

Source: Anokhin et al., Image Generators with Conditionally-Independent Pixel Synthesis, 2020, arXiv:2011.13775, and
the learned affine input transformation of Karras et al., Alias-Free Generative Adversarial Networks, 2021,
arXiv:2106.12423. Where we differ: both at once, plain scaling of features in place of demodulated weights.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganaudit.numerics.arguments import whole
from ganaudit.training.networks.layers import (
    LatentInput,
    clamped,
    drawn,
    full_precision,
    rectified,
    scale_factor,
)

__all__ = ["CoordinateGenerator"]

_AFFINE = 6
_SEED = 20210623


class CoordinateGenerator(nn.Module):
    """Latent (B, latent) to image (B, channels, size, size) in [-1, 1]; size is a multiple of 8.

    Two linear layers of ``mapping`` make a style of the latent. The style turns, stretches and shifts the plane; of
    the moved coordinates, from -1 to 1 over the image, sines and cosines of ``waves`` fixed frequencies are taken (the
    first eight along the axes), and ``depth`` layers of ``width``, alike for every pixel, make a colour of them. The
    style scales what enters each layer and shifts what leaves it. With ``classes`` an embedding of the class stands
    beside the latent.
    """

    kind: ClassVar[Literal["image", "audio"]] = "image"
    frequencies: Tensor

    def __init__(
        self,
        size: int,
        channels: int,
        latent: int,
        *,
        classes: int = 0,
        width: int = 48,
        depth: int = 3,
        waves: int = 16,
        mapping: int = 128,
    ) -> None:
        super().__init__()
        scale_factor(size)
        whole(channels, "channels", 1)
        whole(width, "width", 1)
        whole(depth, "depth", 1)
        whole(waves, "waves", 1)
        whole(mapping, "mapping", 1)
        self.size = size
        self.input = LatentInput(latent, classes)
        self.first = drawn(nn.Linear(self.input.features, mapping))
        self.second = drawn(nn.Linear(mapping, mapping))
        self.affine = drawn(nn.Linear(mapping, _AFFINE), 0.25)
        inputs = [2 + 2 * waves, *([width] * depth)]
        self.layers = nn.ModuleList(drawn(nn.Linear(here, width)) for here in inputs[:-1])
        self.image = drawn(nn.Linear(width, channels), 0.5)
        self.scales = nn.ModuleList(drawn(nn.Linear(mapping, here), 0.5) for here in inputs)
        self.shifts = nn.ModuleList(drawn(nn.Linear(mapping, there), 0.5) for there in [*inputs[1:], channels])
        self.register_buffer("frequencies", _frequencies(waves))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images; in training values beyond the range leak through, so that none is without a gradient."""
        style = rectified(self.second(rectified(self.first(self.input(z, labels)))))
        x = self._features(self.affine(style).to(z.dtype))
        for layer, scale, shift in zip([*self.layers, self.image], self.scales, self.shifts, strict=True):
            # Scaling the weights of each sample costs less than scaling what every one of its pixels brings.
            weight = layer.weight * (1 + scale(style)).unsqueeze(1)
            x = torch.baddbmm((layer.bias + shift(style)).unsqueeze(1), x, weight.transpose(1, 2))
            if layer is not self.image:
                x = rectified(x)
        pixels = x.to(z.dtype).transpose(1, 2).reshape(len(z), -1, self.size, self.size)
        return clamped(pixels, self.training)

    def _features(self, affine: Tensor) -> Tensor:
        """Return the moved coordinates with their sines and cosines, (B, size^2, 2 + 2 waves)."""
        axis = (torch.arange(self.size, device=affine.device, dtype=affine.dtype) + 0.5) * (2 / self.size) - 1
        places = torch.cartesian_prod(axis, axis)
        turn = affine[:, :4].view(-1, 2, 2) + torch.eye(2, device=affine.device, dtype=affine.dtype)
        with full_precision(affine):  # half a pixel is less than bfloat16 tells apart
            moved = (places - affine[:, None, 4:]) @ turn
            angles = moved @ self.frequencies.to(affine.dtype)
            return torch.cat([moved, angles.sin(), angles.cos()], 2)


def _frequencies(waves: int) -> Tensor:
    """Return angular frequencies (2, waves): 1/2, 1, 2, 4 half turns along each axis, then fixed normal draws."""
    along = torch.tensor([0.5, 1.0, 2.0, 4.0]) * math.pi
    axes = torch.cat([torch.stack([along, 0 * along]), torch.stack([0 * along, along])], 1)
    rest = torch.randn(2, max(waves - axes.shape[1], 0), generator=torch.Generator().manual_seed(_SEED)) * math.pi
    return torch.cat([axes, rest], 1)[:, :waves].contiguous()
