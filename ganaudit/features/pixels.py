"""The pixels themselves as features, for tiny images."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import Activations, ExtractorOptions

__all__ = ["Pixels"]

_LIMIT = 16_384


class Pixels:
    """Flattens an image to C*H*W values in [0, 1]."""

    id: ClassVar[str] = "pixels"
    digest = "pixels/1"
    classes = 0
    preprocessing = "uint8 / 255, flattened"
    caution = "distances between pixels see shifts and brightness, not content; numbers are not comparable across sizes"

    def __init__(self, options: ExtractorOptions) -> None:
        self.dimensions = math.prod(options.shape)
        if len(options.shape) != 3 or self.dimensions > _LIMIT:
            raise ExtractorError(
                f"pixels: takes images of at most {_LIMIT} values; found shape {options.shape} with {self.dimensions}; "
                "use random-conv, inception-v3, or --resize"
            )

    def extract(self, images: Tensor) -> Activations:
        """Return (B, C*H*W) float32."""
        return Activations(images.flatten(1).to(torch.float32) / 255.0)
