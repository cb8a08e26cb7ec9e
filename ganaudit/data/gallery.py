"""Many image files to one array: every header first, then one decode per image, in order."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from ganaudit.data.files import FileSet, UnreadableFileError, classes_of_folders, named, readable
from ganaudit.data.images import ImageHeader, decode, read_header
from ganaudit.data.options import ReadOptions
from ganaudit.data.samples import Samples
from ganaudit.data.storage import allocate
from ganaudit.document.errors import SourceError
from ganaudit.progress import Progress

__all__ = ["read_gallery"]

_WINDOW_BYTES = 256 * 2**20
_WINDOW_FILES = 512
_RUN = 16

T = TypeVar("T")
_Read: TypeAlias = tuple[int, T | UnreadableFileError]
"""What came of one file."""


class _Workers:
    """Threads that work through files; Pillow decodes without the interpreter's lock."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def map(self, work: Callable[[int], T], indices: Sequence[int], window: int) -> Iterator[_Read[T]]:
        """Yield one result per file in the order of ``indices``; at most ``window`` wait at any time."""

        def attempt(index: int) -> _Read[T]:
            try:
                return index, work(index)
            except UnreadableFileError as error:
                return index, error

        def attempt_run(run: Sequence[int]) -> list[_Read[T]]:
            return [attempt(index) for index in run]

        for start in range(0, len(indices), window):
            stop = min(start + window, len(indices))
            # Runs, for handing one small image to a thread costs as much as decoding it.
            runs = [indices[at : min(at + _RUN, stop)] for at in range(start, stop, _RUN)]
            for results in self._pool.map(attempt_run, runs):
                yield from results


def read_gallery(files: FileSet, options: ReadOptions, progress: Progress) -> Samples:
    """Return all images as one uint8 array in the order of ``files.names``, labelled by their first folder.

    Raises SourceError for an empty place, an unreadable image (unless they are skipped), images of different shapes
    (unless they are resized), pixels that need a decision, and too much of anything.
    """
    assert files.names, "an empty place is refused by its own reader, which knows what else it holds"
    skipped: dict[int, UnreadableFileError] = {}
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, and of sizes that max_pixels decides about
        workers = _Workers(pool)
        headers = _scan(files, options, workers, progress, skipped)
        target = _target(files, headers, options)
        options.check_total(files.path, len(headers) * math.prod(target.shape), f"{len(headers)} images of {target}")
        array, kept = _decode(files, sorted(headers), target, options, workers, progress, skipped)
    labels, classes = classes_of_folders(files.names, kept)
    return Samples.of(
        array,
        "images",
        files.path.name,
        files.form,
        labels=labels,
        classes=classes,
        unreadable=tuple(files.names[index] for index in sorted(skipped)),
        reasons=tuple(skipped[index].reason for index in sorted(skipped)),
    )


def _scan(
    files: FileSet,
    options: ReadOptions,
    workers: _Workers,
    progress: Progress,
    skipped: dict[int, UnreadableFileError],
) -> dict[int, ImageHeader]:
    """Return the headers of the readable images by index; the others go to ``skipped`` or are raised."""

    def header(index: int) -> ImageHeader:
        with files.open(index) as file:
            return read_header(file, named(files, index), options.max_pixels)

    total = len(files.names)
    with progress.task(f"headers of {files.path.name}", total, "images") as task:
        results = _stepping(workers.map(header, range(total), _WINDOW_FILES), task.advance)
        return dict(readable(files, results, options, skipped))


def _decode(
    files: FileSet,
    indices: Sequence[int],
    target: ImageHeader,
    options: ReadOptions,
    workers: _Workers,
    progress: Progress,
    skipped: dict[int, UnreadableFileError],
) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Return the pixels of the images that could be decoded, and their indices."""

    def pixels(index: int) -> npt.NDArray[np.uint8]:
        with files.open(index) as file:
            return decode(file, named(files, index), target, options.resize is not None, options.max_pixels)

    array = allocate((len(indices), *target.shape), np.uint8)
    window = max(1, min(_WINDOW_FILES, _WINDOW_BYTES // math.prod(target.shape)))
    kept: list[int] = []
    with progress.task(f"reading {files.path.name}", len(indices), "images") as task:
        results = _stepping(workers.map(pixels, indices, window), task.advance)
        for index, image in readable(files, results, options, skipped):
            array[len(kept)] = image
            kept.append(index)
    return array[: len(kept)], kept


def _stepping(results: Iterator[_Read[T]], advance: Callable[[int], None]) -> Iterator[_Read[T]]:
    for result in results:
        advance(1)
        yield result


def _target(files: FileSet, headers: dict[int, ImageHeader], options: ReadOptions) -> ImageHeader:
    """Return what every image becomes; raises SourceError when they differ and none was asked for."""
    channels = max(header.channels for header in headers.values())
    if options.resize is not None:
        return ImageHeader(*options.resize, channels)
    indices = sorted(headers)
    first = headers[indices[0]]
    odd = [index for index in indices if headers[index] != first]
    if odd:
        raise SourceError(
            f"{files.path}: images have different shapes: {files.names[indices[0]]} is {first}, "
            f"{files.names[odd[0]]} is {headers[odd[0]]}; {len(odd)} of {len(indices)} differ from the first; all must "
            f"be equal: --resize WxH (such as --resize {first.width}x{first.height}) would resize every image to WxH "
            "with antialiased bicubic and bring mixed grey/colour images to RGB"
        )
    return first
