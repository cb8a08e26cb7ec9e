"""The contract of a feature extractor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from torch import Tensor

__all__ = ["Activations", "Extractor", "ExtractorOptions"]


@dataclass(frozen=True, slots=True)
class ExtractorOptions:
    """What an audit says to an extractor when it builds it."""

    shape: tuple[int, ...]
    """(C, H, W) of the samples, or (D,) of the features."""
    weights: Path | None = None
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Activations:
    """What one pass of an extractor gives."""

    features: Tensor
    """(B, D) float32, or float64 where features are given as an array."""
    logits: Tensor | None = None
    """(B, classes) float32 unnormalised class scores, where the extractor is a classifier."""


class Extractor(Protocol):
    """Turns uint8 samples (B, C, H, W) into features; the same bytes always give the same features.

    Built as ``Class(options)``; raises ExtractorError when it cannot be built or does not suit the shape.
    """

    id: ClassVar[str]
    digest: str
    """Digest of its weights and preprocessing."""
    dimensions: int
    classes: int
    """Number of logits; 0 when it has none."""
    preprocessing: str
    caution: str
    """What readers must know before comparing its numbers with published ones; may be empty."""

    def extract(self, images: Tensor) -> Activations:
        """Return the activations of a block of uint8 images (B, C, H, W)."""
