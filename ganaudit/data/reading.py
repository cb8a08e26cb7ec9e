"""Samples from a path: a folder, a .zip, an .npz or an .npy."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ganaudit.data.archive import read_archive
from ganaudit.data.arrays import read_npy, read_npz
from ganaudit.data.collection import is_sample
from ganaudit.data.folder import read_folder
from ganaudit.data.options import ReadOptions
from ganaudit.data.samples import Samples
from ganaudit.data.statistics import is_statistics
from ganaudit.document.errors import SourceError
from ganaudit.progress import Progress, Silent

__all__ = ["SUFFIXES", "ReadOptions", "read_samples"]


class _Reader(Protocol):
    def __call__(self, path: Path, options: ReadOptions, progress: Progress) -> Samples: ...


_READERS: dict[str, _Reader] = {".zip": read_archive, ".npz": read_npz, ".npy": read_npy}
_ARRAYS = (".npz", ".npy")
_SILENT = Silent()

SUFFIXES = tuple(_READERS)


def read_samples(path: Path, options: ReadOptions, progress: Progress = _SILENT) -> Samples:
    """Return the samples at ``path`` in a fixed order.

    Raises SourceError when they cannot be read or used, or the file holds statistics of features instead.
    """
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder; {_ALLOWED}")
    suffix = path.suffix.lower()
    if options.features and (path.is_dir() or suffix not in _ARRAYS):
        raise SourceError(
            f"{path}: --extractor identity takes feature rows (N, D) from an .npz or .npy; choose another --extractor "
            "for images and audio"
        )
    if is_statistics(path):
        raise SourceError(
            f"{path}: holds a mean and a covariance of features (mu, sigma), no samples; allowed: as the whole "
            f"reference (--reference {path.name} or test={path.name}), in place of a subject or beside other splits "
            "only samples"
        )
    if path.is_dir():
        return read_folder(path, options, progress)
    if suffix not in _READERS or not path.is_file():
        hint = "; a single sample goes into a folder" if is_sample(path.name) else ""
        raise SourceError(f"{path}: cannot read {suffix or 'a file without a suffix'}; {_ALLOWED}{hint}")
    return _READERS[suffix](path, options, progress)


_ALLOWED = f"allowed are a folder of images or audio, {', '.join(SUFFIXES)}"
