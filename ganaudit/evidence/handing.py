"""What an extractor is handed: images as levels 0..255, waveforms as float32 in -1..1; and what a file would hold."""

from __future__ import annotations

import torch
from torch import Tensor

from ganaudit.data.samples import Indices, Samples
from ganaudit.numerics.quantise import Quantiser, quantised, to_int16, to_uint8

__all__ = ["filed", "handed", "read", "shown"]


def handed(x: Tensor, low: float, high: float, quantiser: Quantiser) -> Tensor:
    """Return what an extractor is given for generated ``x``, (B, C, H, W) or (B, C, T), of values in low..high.

    Images become levels by ``quantiser``. Waveforms are mapped linearly onto -1..1 and clipped to it, as a file would
    clip them, and never quantised: 256 levels would be a noise of their own.
    """
    if x.ndim == 4:
        return quantised(x, low, high, quantiser)
    values = x.to(torch.float32)
    if (low, high) != (-1.0, 1.0):
        values = (values - low) * (2 / (high - low)) - 1
    return values.clamp(-1, 1)


def filed(x: Tensor, low: float, high: float) -> Tensor:
    """Return ``x`` of values in low..high as the levels of a file: images uint8 0..255, waveforms int16.

    What was read from such a file comes out as it was there, so a learned judge of both sides cannot tell them by
    rounding that only one of them went through.
    """
    return to_uint8(x, low, high) if x.ndim == 4 else to_int16(x, low, high)


def read(samples: Samples, indices: Indices, quantiser: Quantiser) -> Tensor:
    """Return the same for samples that were read; uint8 images are handed over as they are."""
    if samples.value_range is None:
        return samples.images(indices)
    return handed(samples.values(indices, *samples.value_range), *samples.value_range, quantiser)


def shown(samples: Samples, indices: Indices) -> Tensor:
    """Return samples as they would be written to files: uint8 images, or waveforms in -1..1."""
    return read(samples, indices, "round")
