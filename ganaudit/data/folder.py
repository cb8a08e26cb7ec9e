"""Images, or audio, in a folder and the folders below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ganaudit.data import audio, images
from ganaudit.data.collection import is_sample, read_collection
from ganaudit.data.files import UnreadableFileError
from ganaudit.data.options import ReadOptions, printable
from ganaudit.data.samples import Samples
from ganaudit.document.errors import SourceError
from ganaudit.progress import Progress

__all__ = ["read_folder"]


def read_folder(path: Path, options: ReadOptions, progress: Progress) -> Samples:
    """Return every image, or every sound, below ``path``, sorted by its relative path; other files are ignored.

    Raises SourceError as ``read_collection`` does, and for a folder without either.
    """
    found: list[str] = []
    for name in _walk(path):
        found.append(name)
        options.check_count(path, len(found))
    if not found:
        raise SourceError(
            f"{path}: the folder holds no image files and no audio files, nor do the folders below it; allowed are "
            f"{', '.join(images.SUFFIXES)} or {', '.join(audio.SUFFIXES)}"
        )
    return read_collection(_Folder(path, sorted(found)), options, progress)


class _Folder:
    form = "folder"

    def __init__(self, path: Path, relative: list[str]) -> None:
        self.path = path
        self._relative = relative
        self.names = [printable(name) for name in relative]

    def open(self, index: int) -> IO[bytes]:
        file = self.path / self._relative[index]
        name = f"{self.path}/{self.names[index]}"
        if not file.is_file():  # to open a pipe would wait for ever
            raise UnreadableFileError(name, "is a broken link or no regular file")
        try:
            return file.open("rb")
        except OSError as error:
            raise UnreadableFileError(name, f"cannot be opened: {error.strerror or error}") from None


def _walk(root: Path) -> Iterator[str]:
    """Yield the relative POSIX paths of sample files; links are followed, and no folder is entered twice."""
    seen: set[str] = set()
    for folder, below, names in os.walk(root, followlinks=True):
        below.sort()
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()  # a link that leads back up would never end
            continue
        seen.add(real)
        base = Path(folder).relative_to(root)
        for name in names:
            relative = (base / name).as_posix()
            if is_sample(relative):
                yield relative
