"""A fixed-seed untrained convolutional pyramid: the labelled fallback for images no shipped extractor suits.

Random filters followed by pooling of means and spreads keep texture and coarse layout; they know nothing of content.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import Activations, ExtractorOptions
from ganaudit.numerics.randomness import normals

__all__ = ["RandomConv"]

_SEED = 20_261_122
_WIDTHS = (32, 48, 64)
_LARGEST = 64


class RandomConv:
    """Three levels of 5x5 random filters, leaky rectifier and halving; mean and standard deviation per channel."""

    id: ClassVar[str] = "random-conv"
    classes = 0
    caution = (
        "an untrained network: its distances rank subjects of this audit, they say nothing about content "
        "and cannot be held against any published number"
    )
    preprocessing = (
        "uint8 / 127.5 - 1; averaged down to 64 pixels where larger; three random 5x5 convolutions with halving; "
        "channel means and spreads"
    )

    def __init__(self, options: ExtractorOptions) -> None:
        if len(options.shape) != 3 or min(options.shape[1:]) < 4:
            raise ExtractorError(f"random-conv: takes images of at least 4x4; found shape {options.shape}")
        self.device = options.device
        self.filters: list[Tensor] = []
        channels = options.shape[0]
        for level, width in enumerate(_WIDTHS):
            fan_in = channels * 25
            # Counter-based draws: the filters are equal wherever SciPy computes the normal quantile alike.
            drawn = normals(_SEED, level, 0, width, fan_in) * (2.0 / fan_in) ** 0.5
            weight = torch.from_numpy(drawn).to(torch.float32).reshape(width, channels, 5, 5)
            self.filters.append(weight.to(options.device))
            channels = width
        self.digest = f"random-conv/2 seed {_SEED} channels {options.shape[0]}"
        self.dimensions = 2 * sum(_WIDTHS)

    @torch.no_grad()
    def extract(self, images: Tensor) -> Activations:
        """Return (B, 288) float32: per level the channel means, then the channel standard deviations."""
        return Activations(self.differentiable(images).cpu())

    def differentiable(self, images: Tensor) -> Tensor:
        """Return the same, differentiable in the levels, on the device."""
        x = images.to(self.device, torch.float32) / 127.5 - 1.0
        if max(x.shape[2:]) > _LARGEST:
            # Untrained filters see no more in more pixels, and their cost grows with every one.
            factor = _LARGEST / max(x.shape[2:])
            height, width = (max(4, round(side * factor)) for side in x.shape[2:])
            x = functional.adaptive_avg_pool2d(x, (height, width))
        pooled = []
        for weight in self.filters:
            # Borders are repeated: zeros around the image would be a feature of their own.
            x = functional.conv2d(functional.pad(x, (2, 2, 2, 2), mode="replicate"), weight)
            x = functional.leaky_relu(x, 0.2)
            pooled += [x.mean((2, 3)), x.std((2, 3), correction=0)]
            if min(x.shape[2:]) >= 2:
                x = functional.avg_pool2d(x, 2)
        return torch.cat(pooled, 1)
