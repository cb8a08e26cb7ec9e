"""Generator that paints a function of the place: every pixel is computed from its own coordinates alone.

Source: Anokhin et al., Image Generators with Conditionally-Independent Pixel Synthesis, 2020, arXiv:2011.13775, and
the learned input transformation of Karras et al., Alias-Free Generative Adversarial Networks, 2021,
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
    ResidualBlock,
    clamped,
    drawn,
    full_precision,
    rectified,
    scale_factor,
)

__all__ = ["CoordinateGenerator"]

_MOVE = 4  # of a similarity: scale and turn as a complex number, and the place
_SEED = 20210623


class CoordinateGenerator(nn.Module):
    """Latent (B, latent) to image (B, channels, size, size) in [-1, 1]; size is a multiple of 8.

    A residual trunk of ``blocks``, ``mapping`` wide, makes a style of the latent. The style turns, scales and shifts
    the plane; of the moved coordinates, from -1 to 1 over the image, times ``bandwidth``, and of sines and cosines of
    ``waves`` fixed frequencies, normal draws of ``bandwidth`` half turns a unit, ``depth`` layers of ``width``, alike
    for every pixel, make a colour. The style scales what enters each layer and shifts what leaves it. A small bandwidth
    gives few large shapes, a large one fine texture. With ``classes`` an embedding of the class stands beside the
    latent.
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
        bandwidth: float = 1.0,
        mapping: int = 192,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        scale_factor(size)
        whole(channels, "channels", 1)
        whole(width, "width", 1)
        whole(depth, "depth", 1)
        whole(waves, "waves", 1)
        whole(mapping, "mapping", 1)
        whole(blocks, "blocks", 0)
        if not bandwidth > 0:
            raise ValueError(f"bandwidth: found {bandwidth}; allowed: above 0")
        self.size, self.bandwidth = size, bandwidth
        self.input = LatentInput(latent, classes)
        self.first = drawn(nn.Linear(self.input.features, mapping))
        self.trunk = nn.Sequential(*(ResidualBlock(mapping) for _ in range(blocks)))
        self.move = drawn(nn.Linear(mapping, _MOVE), 0.25)
        inputs = [2 + 2 * waves, *([width] * depth)]
        self.layers = nn.ModuleList(drawn(nn.Linear(here, width)) for here in inputs[:-1])
        self.image = drawn(nn.Linear(width, channels), 0.5)
        self.scales = nn.ModuleList(drawn(nn.Linear(mapping, here), 0.5) for here in inputs)
        self.shifts = nn.ModuleList(drawn(nn.Linear(mapping, there), 0.5) for there in [*inputs[1:], channels])
        self.register_buffer("frequencies", _frequencies(waves, bandwidth))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images; in training values beyond the range leak through, so that none is without a gradient."""
        style = rectified(self.trunk(self.first(self.input(z, labels))))
        x = self._features(self.move(style).to(z.dtype))
        for layer, scale, shift in zip([*self.layers, self.image], self.scales, self.shifts, strict=True):
            # Scaling the weights of each sample costs less than scaling what every one of its pixels brings.
            weight = layer.weight * (1 + scale(style)).unsqueeze(1)
            x = torch.baddbmm((layer.bias + shift(style)).unsqueeze(1), x, weight.transpose(1, 2))
            if layer is not self.image:
                x = rectified(x)
        pixels = x.to(z.dtype).transpose(1, 2).reshape(len(z), -1, self.size, self.size)
        return clamped(pixels, self.training)

    def _features(self, move: Tensor) -> Tensor:
        """Return the moved coordinates with their sines and cosines, (B, size^2, 2 + 2 waves)."""
        axis = (torch.arange(self.size, device=move.device, dtype=move.dtype) + 0.5) * (2 / self.size) - 1
        places = torch.cartesian_prod(axis, axis)
        a, b = (1 + move[:, 0]).view(-1, 1, 1), move[:, 1].view(-1, 1, 1)
        turn = torch.cat([torch.cat([a, -b], 2), torch.cat([b, a], 2)], 1)
        with full_precision(move):  # half a pixel is less than bfloat16 tells apart
            moved = (places - move[:, None, 2:]) @ turn
            angles = moved @ self.frequencies.to(move.dtype)
            return torch.cat([self.bandwidth * moved, angles.sin(), angles.cos()], 2)


def _frequencies(waves: int, bandwidth: float) -> Tensor:
    """Return angular frequencies (2, waves), the same in every network of these options."""
    chance = torch.Generator().manual_seed(_SEED)
    return torch.randn(2, waves, generator=chance) * (bandwidth * math.pi)
