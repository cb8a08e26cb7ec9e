"""Networks of the recipe ``residual``: a residual trunk over the whole 8x8 map, convolutions between map and image.

Small images are seen whole, so that a trunk of linear layers costs less than convolutions of equal quality; the
scale factor only changes the convolutions. No layer mixes the samples of a batch, so gradient penalties are exact.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ResidualDiscriminator", "ResidualGenerator"]

_SLOPE = 0.2
_MAP = 8
_Layer = TypeVar("_Layer", nn.Linear, nn.Conv2d)


def _drawn(layer: _Layer, gain: float = 1.0) -> _Layer:
    """Return the layer with He-normal weights for the leaky rectifier, times ``gain``, and zero biases."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain * math.sqrt(2.0 / (1.0 + _SLOPE**2) / fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _rectified(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, _SLOPE)


def _scale_factor(size: int) -> int:
    if size < _MAP or size % _MAP:
        raise ValueError(f"size must be a multiple of {_MAP}; found {size}")
    return size // _MAP


class _Block(nn.Module):
    """x + small(rectified(linear(rectified(x)))): near the identity at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = _drawn(nn.Linear(width, width))
        self.outer = _drawn(nn.Linear(width, width), 0.25)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.outer(_rectified(self.inner(_rectified(x))))
        return y


class ResidualGenerator(nn.Module):
    """Latent (B, latent) to image (B, channels, size, size) in [-1, 1]; size is 8 times the scale factor.

    Linear trunk of ``depth`` residual blocks, an 8x8 map of ``planes``, antialiased bicubic enlargement, two
    convolutions.
    """

    def __init__(
        self,
        size: int = 16,
        channels: int = 1,
        latent: int = 64,
        *,
        width: int = 224,
        depth: int = 2,
        planes: int = 8,
    ) -> None:
        super().__init__()
        _scale_factor(size)
        self.size, self.planes = size, planes
        self.first = _drawn(nn.Linear(latent, width))
        self.trunk = nn.Sequential(*(_Block(width) for _ in range(depth)))
        self.map = _drawn(nn.Linear(width, planes * _MAP * _MAP))
        self.convolution = _drawn(nn.Conv2d(planes, 2 * planes, 3, padding=1))
        self.image = _drawn(nn.Conv2d(2 * planes, channels, 3, padding=1), 0.5)

    def forward(self, z: Tensor) -> Tensor:
        """Return images; in training values beyond the range leak through, so that none is without a gradient."""
        x = self.map(_rectified(self.trunk(self.first(z)))).view(-1, self.planes, _MAP, _MAP)
        x = functional.interpolate(x, (self.size, self.size), mode="bicubic", align_corners=False, antialias=True)
        x = self.image(_rectified(self.convolution(x)))
        clamped = x.clamp(-1.0, 1.0)
        return torch.lerp(clamped, x, 0.1) if self.training else clamped


class ResidualDiscriminator(nn.Module):
    """Image (B, channels, size, size) to one raw score (B,), larger for more real.

    A convolution, mean pooling to 8x8, and a linear trunk of ``depth`` residual blocks.
    """

    def __init__(self, size: int = 16, channels: int = 1, *, width: int = 224, depth: int = 2, planes: int = 8) -> None:
        super().__init__()
        self.factor = _scale_factor(size)
        self.convolution = _drawn(nn.Conv2d(channels, planes, 3, padding=1))
        self.first = _drawn(nn.Linear(planes * _MAP * _MAP, width))
        self.trunk = nn.Sequential(*(_Block(width) for _ in range(depth)))
        self.last = _drawn(nn.Linear(width, 1), 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores."""
        x = functional.avg_pool2d(_rectified(self.convolution(x)), self.factor)
        x = _rectified(self.trunk(self.first(x.flatten(1))))
        scores: Tensor = self.last(x).squeeze(1)
        return scores
