"""The contract of a feature extractor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from torch import Tensor

from ganaudit.document.errors import ExtractorError
from ganaudit.features.precision import Precision
from ganaudit.features.preprocessing import Preprocessing

__all__ = ["BLOCK", "GPU_BLOCK", "Activations", "Extractor", "ExtractorOptions", "block_of", "check_takes"]

BLOCK = 16
"""Samples a network on a CPU sees at once, always: measured best, its activations then fit the caches."""

GPU_BLOCK = 128
"""Samples a network on a GPU sees at once, always."""


@dataclass(frozen=True, slots=True)
class ExtractorOptions:
    """What an audit says to an extractor when it builds it."""

    shape: tuple[int, ...]
    """(C, H, W) of the images, (C, T) of the waveforms, or (D,) of the features."""
    weights: Path | None = None
    device: str = "cpu"
    precision: Precision = "fp32"
    """Extractors that know only fp32 say so by their ``precision``."""
    preprocessing: Preprocessing | None = None
    """What the protocol asks for; None leaves it to the extractor. Only networks of the FID's lineage take another."""


@dataclass(frozen=True, slots=True)
class Activations:
    """What one pass of an extractor gives."""

    features: Tensor
    """(B, D) float32, or float64 where features are given as an array."""
    logits: Tensor | None = None
    """(B, classes) float32 unnormalised class scores, where the extractor is a classifier."""


class Extractor(Protocol):
    """Turns levels 0..255, uint8 (B, C, H, W), into features; the same levels always give the same features.

    Levels come as float32 where a protocol does not quantise generated samples. Waveforms are never quantised: they
    come as float32 (B, C, T) in -1..1. Built as ``Class(options)``; raises ExtractorError when it cannot be built or
    does not suit the shape. It may also have

    - ``takes: "images" | "audio"``, on the class; ``images`` where it does not say;
    - ``block: int``: how many images it wants at once, always; 16 on a CPU and 128 on a GPU where it does not say;
    - ``precision: str``: what it runs in; ``fp32`` where it does not say;
    - ``differentiable(images)``: the features of levels or waveforms, float32 (B, D) on its device, with gradients in
      them. Reals are looked for in the latent by values alone where there is none.
    """

    id: ClassVar[str]
    digest: str
    """Digest of its weights, preprocessing and precision."""
    dimensions: int
    classes: int
    """Number of logits; 0 when it has none."""
    preprocessing: str
    caution: str
    """What readers must know before comparing its numbers with published ones; may be empty."""

    def extract(self, images: Tensor) -> Activations:
        """Return the activations of a block of images or waveforms, on the device where it runs or on the CPU."""


def check_takes(extractor: object, id_: str, shape: tuple[int, ...]) -> None:
    """Raise ExtractorError when images would be given to an extractor of audio, or audio to one of images."""
    if len(shape) not in (2, 3):
        return
    takes, found = getattr(extractor, "takes", "images"), "audio" if len(shape) == 2 else "images"
    if takes != found:
        remedy = "log-mel" if found == "audio" else "random-conv, or leave --extractor out"
        raise ExtractorError(f"{id_}: takes {takes}; found {found} of shape {shape}; use --extractor {remedy}")


def block_of(extractor: Extractor, device: str) -> int:
    """Return how many images ``extractor`` is given at once; measured best on a CPU's caches and on a GPU."""
    return int(getattr(extractor, "block", BLOCK if device == "cpu" else GPU_BLOCK))
