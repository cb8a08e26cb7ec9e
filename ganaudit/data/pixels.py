"""The values of an array that was read: checked, resized where they are images, and made into samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ganaudit.data.images import resized
from ganaudit.data.options import ReadOptions
from ganaudit.data.samples import Samples
from ganaudit.data.storage import allocate
from ganaudit.document.errors import SourceError
from ganaudit.progress import Progress

__all__ = ["as_samples"]

# A tanh that was computed in half precision may end a little beyond 1.
_RANGE_SLACK = 1e-3


def as_samples(
    array: npt.NDArray[Any],
    path: Path,
    form: str,
    options: ReadOptions,
    progress: Progress,
    labels: npt.NDArray[np.int64] | None = None,
    classes: tuple[str, ...] = (),
) -> Samples:
    """Return an array whose layout was accepted as samples; raises SourceError for values that cannot be used."""
    with progress.task(f"reading {path.name}", len(array)) as task:
        if options.features:
            rows = _features(array, path)
            task.advance(len(array))
            return Samples.of(rows, "features", path.name, form, labels=labels, classes=classes)
        if array.dtype == np.uint8:
            images = np.ascontiguousarray(array if array.ndim == 4 else array[..., None])
            images = _resize_images(images, path, options)
            task.advance(len(array))
            return Samples.of(images, "images", path.name, form, labels=labels, classes=classes)
        if array.ndim < 4:
            floats = _waveforms(array, path, options)
        else:
            floats = _resize_floats(_floats(array, path, options.value_range), path, options)
        task.advance(len(array))
        span = options.value_range
        return Samples.of(floats, "floats", path.name, form, labels=labels, classes=classes, value_range=span)


def _features(array: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    _check_finite(array, path)
    if array.dtype.kind in "iu":
        return np.ascontiguousarray(array, dtype=np.float64)
    wanted = np.float64 if array.dtype.itemsize == 8 else np.float32
    return np.ascontiguousarray(array, dtype=wanted)


def _waveforms(array: npt.NDArray[Any], path: Path, options: ReadOptions) -> npt.NDArray[np.float32]:
    if options.resize is not None:
        raise SourceError(f"{path}: --resize is for images, and {array.shape} are waveforms; leave it out")
    hint = "; rows of features (N, D) are read with --extractor identity" if array.ndim == 2 else ""
    floats = _floats(array, path, options.value_range, hint)
    return floats if array.ndim == 3 else floats[:, None]


def _floats(
    array: npt.NDArray[Any], path: Path, value_range: tuple[float, float], hint: str = ""
) -> npt.NDArray[np.float32]:
    _check_finite(array, path)
    low, high = value_range
    least, most = float(array.min()), float(array.max())
    slack = _RANGE_SLACK * (high - low)
    if least < low - slack or most > high + slack:
        raise SourceError(
            f"{path}: values were expected in {low:g}..{high:g}, found {least:g}..{most:g}; name the range that the "
            f"generator uses, such as --range 0,1 or --range -1,1{hint}"
        )
    return np.ascontiguousarray(array, dtype=np.float32)


def _check_finite(array: npt.NDArray[Any], path: Path) -> None:
    if array.dtype.kind != "f":
        return
    bad = ~np.isfinite(array)
    count = int(np.count_nonzero(bad))
    if count:
        first = tuple(int(axis) for axis in np.unravel_index(int(np.argmax(bad)), array.shape))
        raise SourceError(
            f"{path}: {count} of {array.size} values of the array {array.shape} are NaN or infinite, the first is "
            f"{array[first]} at row {first[0]}, index {first}; mend or leave out those rows"
        )


def _resize_images(images: npt.NDArray[np.uint8], path: Path, options: ReadOptions) -> npt.NDArray[np.uint8]:
    count, height, width, channels = images.shape
    if options.resize is None or options.resize == (width, height):
        return images
    shape = (count, options.resize[1], options.resize[0], channels)
    options.check_total(path, int(np.prod(shape, dtype=np.float64)), f"{count} images of {shape[1:]}")
    array = allocate(shape, np.uint8)
    for row, image in zip(array, images, strict=True):
        pixels = image[:, :, 0] if channels == 1 else image
        row[...] = np.asarray(resized(Image.fromarray(pixels), options.resize)).reshape(row.shape)
    return array


def _resize_floats(floats: npt.NDArray[np.float32], path: Path, options: ReadOptions) -> npt.NDArray[np.float32]:
    count, channels, height, width = floats.shape
    if options.resize is None or options.resize == (width, height):
        return floats
    shape = (count, channels, options.resize[1], options.resize[0])
    options.check_total(path, int(4 * np.prod(shape, dtype=np.float64)), f"{count} float images of {shape[1:]}")
    array = allocate(shape, np.float32)
    for row, image in zip(array.reshape(-1, *shape[2:]), floats.reshape(-1, height, width), strict=True):
        row[...] = np.asarray(resized(Image.fromarray(image), options.resize))
    # Bicubic overshoots at edges, beyond what the range can hold.
    return np.clip(array, *options.value_range, out=array)
