"""Many image files to one array: every header first, then one decode per image, in order."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ganaudit.data.images import ImageHeader, UnreadableImageError, decode, read_header
from ganaudit.data.options import ReadOptions
from ganaudit.data.samples import Samples
from ganaudit.data.storage import allocate
from ganaudit.document.errors import SourceError
from ganaudit.progress import Progress

__all__ = ["ImageFiles", "read_gallery"]

_WINDOW_BYTES = 256 * 2**20
_WINDOW_FILES = 512
_RUN = 16

T = TypeVar("T")
R = TypeVar("R")


class ImageFiles(Protocol):
    """A place that holds image files in a fixed order."""

    @property
    def path(self) -> Path:
        """Where the files lie."""

    @property
    def form(self) -> str:
        """Kind of place: ``folder`` or ``zip``."""

    @property
    def names(self) -> Sequence[str]:
        """Relative POSIX paths in the order of the samples, safe to print."""

    def open(self, index: int) -> IO[bytes]:
        """Return the bytes of one file; called from several threads. Raises UnreadableImageError."""


@dataclass(frozen=True, slots=True)
class _Read(Generic[T]):
    """What came of one file."""

    index: int
    value: T | UnreadableImageError


class _Workers:
    """Threads that work through files; Pillow decodes without the interpreter's lock."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def map(self, work: Callable[[int], T], indices: Sequence[int], window: int) -> Iterator[_Read[T]]:
        """Yield one result per file in the order of ``indices``; at most ``window`` wait at any time."""

        def attempt(index: int) -> _Read[T]:
            try:
                return _Read(index, work(index))
            except UnreadableImageError as error:
                return _Read(index, error)

        def attempt_run(run: Sequence[int]) -> list[_Read[T]]:
            return [attempt(index) for index in run]

        for start in range(0, len(indices), window):
            stop = min(start + window, len(indices))
            # Runs, for handing one small image to a thread costs as much as decoding it.
            runs = [indices[at : min(at + _RUN, stop)] for at in range(start, stop, _RUN)]
            for results in self._pool.map(attempt_run, runs):
                yield from results


def read_gallery(files: ImageFiles, options: ReadOptions, progress: Progress) -> Samples:
    """Return all images as one uint8 array in the order of ``files.names``, labelled by their first folder.

    Raises SourceError for an empty place, an unreadable image (unless they are skipped), images of different shapes
    (unless they are resized), pixels that need a decision, and too much of anything.
    """
    assert files.names, "an empty place is refused by its own reader, which knows what else it holds"
    skipped: dict[int, UnreadableImageError] = {}
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, and of sizes that max_pixels decides about
        workers = _Workers(pool)
        headers = _scan(files, options, workers, progress, skipped)
        target = _target(files, headers, options)
        options.check_total(files.path, len(headers) * math.prod(target.shape), f"{len(headers)} images of {target}")
        array, kept = _decode(files, sorted(headers), target, options, workers, progress, skipped)
    labels, classes = _labels(files.names, kept)
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
    files: ImageFiles,
    options: ReadOptions,
    workers: _Workers,
    progress: Progress,
    skipped: dict[int, UnreadableImageError],
) -> dict[int, ImageHeader]:
    """Return the headers of the readable images by index; the others go to ``skipped`` or are raised."""

    def header(index: int) -> ImageHeader:
        with files.open(index) as file:
            return read_header(file, _named(files, index), options.max_pixels)

    total = len(files.names)
    with progress.task(f"headers of {files.path.name}", total, "images") as task:
        results = _stepping(workers.map(header, range(total), _WINDOW_FILES), task.advance)
        return dict(_kept(files, results, options, skipped))


def _decode(
    files: ImageFiles,
    indices: Sequence[int],
    target: ImageHeader,
    options: ReadOptions,
    workers: _Workers,
    progress: Progress,
    skipped: dict[int, UnreadableImageError],
) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Return the pixels of the images that could be decoded, and their indices."""

    def pixels(index: int) -> npt.NDArray[np.uint8]:
        with files.open(index) as file:
            return decode(file, _named(files, index), target, options.resize is not None, options.max_pixels)

    array = allocate((len(indices), *target.shape), np.uint8)
    window = max(1, min(_WINDOW_FILES, _WINDOW_BYTES // math.prod(target.shape)))
    kept: list[int] = []
    with progress.task(f"reading {files.path.name}", len(indices), "images") as task:
        results = _stepping(workers.map(pixels, indices, window), task.advance)
        for index, image in _kept(files, results, options, skipped):
            array[len(kept)] = image
            kept.append(index)
    return array[: len(kept)], kept


def _stepping(results: Iterator[_Read[T]], advance: Callable[[int], None]) -> Iterator[_Read[T]]:
    for result in results:
        advance(1)
        yield result


def _kept(
    files: ImageFiles, results: Iterator[_Read[T]], options: ReadOptions, skipped: dict[int, UnreadableImageError]
) -> Iterator[tuple[int, T]]:
    """Yield what could be read; raises the first unreadable image unless they are to be skipped, or all are."""
    for result in results:
        if not isinstance(result.value, UnreadableImageError):
            yield result.index, result.value
        elif options.skip_unreadable:
            skipped[result.index] = result.value
        else:
            raise result.value
    if len(skipped) == len(files.names):
        first = skipped[min(skipped)]
        raise SourceError(
            f"{files.path}: none of its {len(files.names)} image files can be read; the first is {first.name}: "
            f"{first.reason}"
        )


def _target(files: ImageFiles, headers: dict[int, ImageHeader], options: ReadOptions) -> ImageHeader:
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


def _labels(names: Sequence[str], kept: Sequence[int]) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...]]:
    """Return class numbers and names from the first folder of every path; none when a file lies outside a folder."""
    folders = [_first_folder(names[index]) for index in kept]
    if "" in folders:
        return None, ()
    classes = tuple(sorted(set(folders)))
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[folder] for folder in folders], dtype=np.int64), classes


def _first_folder(name: str) -> str:
    # Names in an archive may be odd: "/a.png", "./a.png" and "../a.png" lie in no folder that could be a class.
    parts = [part for part in name.split("/") if part not in {"", ".", ".."}]
    return parts[0] if len(parts) > 1 else ""


def _named(files: ImageFiles, index: int) -> str:
    return f"{files.path}/{files.names[index]}"
