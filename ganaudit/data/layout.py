"""Which arrays can be samples, told from shape and dtype alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganaudit.data.options import ReadOptions, printable

__all__ = ["AUDIO_CHANNELS", "LAYOUTS", "LEAST_LENGTH", "ArrayHeader", "layout_problem"]

LAYOUTS = (
    "uint8 images (N, H, W, C) or (N, H, W) in 0..255, float images (N, C, H, W) in --range, with C 1 or 3; "
    "float waveforms (N, C, T) or (N, T) in --range, with C 1 or 2; float features (N, D) with --extractor identity"
)

AUDIO_CHANNELS = (1, 2)

LEAST_LENGTH = 64
"""Values of the shortest waveform: below it an array (N, C, T) is rather something else."""

_LEAST_COLUMNS = 1024
_ROWS = ("features", "logits", "embeddings")
_FLOATS = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What an array file says about its array before the values are read."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes that the values take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        dtype = "Python objects" if self.dtype.hasobject else printable(str(self.dtype))
        return f"{printable(self.name)} {self.shape} {dtype}"


def layout_problem(header: ArrayHeader, options: ReadOptions) -> str | None:
    """Return why an array cannot be the samples and what to do, or None when it can."""
    if header.dtype.hasobject:
        return "Python objects can only be stored by pickle, which is never read; write a plain numeric array"
    if options.features:
        return _feature_problem(header)
    if 0 in header.shape:
        return "holds no values; at least one row is needed"
    if len(header.shape) == 2 or (len(header.shape) == 3 and header.dtype in _FLOATS):
        return _audio_problem(header)
    return _image_problem(header) or _pixel_problem(header, options)


def _audio_problem(header: ArrayHeader) -> str | None:
    """Judge an array of two dimensions, or of three and floats, as waveforms."""
    shape = header.shape
    if len(shape) == 3:
        if shape[1] in AUDIO_CHANNELS and shape[2] >= LEAST_LENGTH:
            return None
        return (
            f"three dimensions of floats are waveforms (N, C, T), with C 1 or 2 and T at least {LEAST_LENGTH}; grey "
            f"float images are (N, 1, H, W); allowed: {LAYOUTS}; convert the array"
        )
    # Rows of features would pass for short waveforms, and every number would be wrong without a word.
    if header.dtype not in _FLOATS or shape[1] < _LEAST_COLUMNS or header.name in _ROWS:
        return (
            "two dimensions are feature rows (N, D), not images; use --extractor identity to take them as they stand; "
            f"waveforms (N, T) are floats of {_LEAST_COLUMNS} values or more, shorter ones are written as (N, 1, T); "
            f"allowed: {LAYOUTS}"
        )
    return None


def _feature_problem(header: ArrayHeader) -> str | None:
    if len(header.shape) != 2:
        return (
            "--extractor identity takes feature rows (N, D), one row per sample; flatten the array, or choose another "
            "--extractor for images"
        )
    if header.dtype.kind not in "iu" and header.dtype not in (np.float16, np.float32, np.float64):
        return "features must be float32, float64 or whole numbers"
    if 0 in header.shape:
        return "holds no values; at least one row and one column are needed"
    return None


def _image_problem(header: ArrayHeader) -> str | None:
    """Judge dtype, rank and channels."""
    shape, dtype = header.shape, header.dtype
    if dtype == np.uint8:
        if len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3)):
            return None
        if len(shape) == 4 and shape[1] in (1, 3):
            return (
                "this looks like (N, C, H, W), but uint8 images are expected as (N, H, W, C): transpose them, for "
                "instance by images.transpose(0, 2, 3, 1)"
            )
    elif dtype in _FLOATS:
        if len(shape) == 4 and shape[1] in (1, 3):
            return None
        if len(shape) == 4 and shape[3] in (1, 3):
            return (
                "this looks like (N, H, W, C), but float images are expected as (N, C, H, W): transpose them, for "
                "instance by images.transpose(0, 3, 1, 2)"
            )
    return f"allowed: {LAYOUTS}; convert the array"


def _pixel_problem(header: ArrayHeader, options: ReadOptions) -> str | None:
    sides = header.shape[1:3] if header.dtype == np.uint8 else header.shape[2:4]
    if math.prod(sides) > options.max_pixels:
        return f"its images have {math.prod(sides)} pixels; at most {options.max_pixels} are read"
    return None
