"""Many files of samples in one place: their order, their classes by folder, and those that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ganaudit.data.options import ReadOptions
from ganaudit.document.errors import SourceError

__all__ = ["FileSet", "UnreadableFileError", "classes_of_folders", "is_hidden", "named", "readable"]

T = TypeVar("T")


class UnreadableFileError(SourceError):
    """A file that cannot be decoded within the limits; ``reason`` says why."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"{name}: {reason}; mend or remove it, or leave such files out with --skip-unreadable")


class FileSet(Protocol):
    """A place that holds files of one kind in a fixed order."""

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
        """Return the bytes of one file; called from several threads. Raises UnreadableFileError."""


def readable(
    files: FileSet,
    results: Iterator[tuple[int, T | UnreadableFileError]],
    options: ReadOptions,
    skipped: dict[int, UnreadableFileError],
    what: str = "image",
) -> Iterator[tuple[int, T]]:
    """Yield what could be read; raises the first unreadable file unless they are to be skipped, or all are."""
    for index, value in results:
        if not isinstance(value, UnreadableFileError):
            yield index, value
        elif options.skip_unreadable:
            skipped[index] = value
        else:
            raise value
    if len(skipped) == len(files.names):
        first = skipped[min(skipped)]
        raise SourceError(
            f"{files.path}: none of its {len(files.names)} {what} files can be read; the first is {first.name}: "
            f"{first.reason}"
        )


def classes_of_folders(
    names: Sequence[str], kept: Sequence[int]
) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...]]:
    """Return class numbers and names from the first folder of every path; none when a file lies outside a folder."""
    folders = [_first_folder(names[index]) for index in kept]
    if "" in folders:
        return None, ()
    classes = tuple(sorted(set(folders)))
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[folder] for folder in folders], dtype=np.int64), classes


def is_hidden(name: str) -> bool:
    """Return whether a relative path leads to a hidden file or a companion file of macOS."""
    return any(
        (part.startswith(".") and part not in {".", ".."}) or part == "__MACOSX" for part in PurePosixPath(name).parts
    )


def named(files: FileSet, index: int) -> str:
    """Return the path of one file, as it is told."""
    return f"{files.path}/{files.names[index]}"


def _first_folder(name: str) -> str:
    # Names in an archive may be odd: "/a.png", "./a.png" and "../a.png" lie in no folder that could be a class.
    parts = [part for part in name.split("/") if part not in {"", ".", ".."}]
    return parts[0] if len(parts) > 1 else ""
