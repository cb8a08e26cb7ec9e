"""Arrays of images, waveforms or features in .npy and .npz files; never unpickled, checked by header before loading."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ganaudit.data.archive import check_members, open_archive
from ganaudit.data.layout import LAYOUTS, ArrayHeader, layout_problem
from ganaudit.data.options import ReadOptions, printable
from ganaudit.data.pixels import as_samples
from ganaudit.data.samples import Samples
from ganaudit.data.storage import size_words
from ganaudit.document.errors import SourceError
from ganaudit.progress import Progress

__all__ = ["Member", "load_member", "members_of", "read_npy", "read_npz"]

_PREFERRED = ("samples", "arr_0", "images", "features", "x")
_LABELS = "labels"
_NOT_SAMPLES = frozenset({_LABELS, "latents", "scores"})
_MAX_CLASSES = 65_536

# A file of one constant compresses without bound and may still be small; only large ones are held to a ratio.
_RATIO_COUNTS_FROM = 2**30


@dataclass(frozen=True, slots=True)
class Member:
    """An array inside an .npz, known by its header."""

    info: zipfile.ZipInfo
    header: ArrayHeader


def read_npy(path: Path, options: ReadOptions, progress: Progress) -> Samples:
    """Return the one array of an .npy file as samples; raises SourceError when it cannot be used."""
    try:
        with path.open("rb") as file:
            header = _header(file, path, "the array")
            _check(path, header, options)
            found = path.stat().st_size - file.tell()
            if found < header.size:
                raise SourceError(
                    f"{path}: its header declares {header} ({size_words(header.size)}), but the file holds only "
                    f"{size_words(found)} of values; it is truncated: write it again"
                )
            file.seek(0)
            array = _load(file, path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    return as_samples(array, path, "npy", options, progress)


def read_npz(path: Path, options: ReadOptions, progress: Progress) -> Samples:
    """Return the samples of an .npz, with its ``labels`` where there are any; raises SourceError otherwise.

    The samples are the array named ``samples``, ``arr_0``, ``images``, ``features`` or ``x``, else the only array that
    can be used. ``arr_1`` counts as labels when it looks like them.
    """
    with open_archive(path) as archive:
        members = members_of(archive, path, options)
        name = _choose(path, members, options)
        chosen = members[name]
        _check(path, chosen.header, options)
        array = load_member(archive, chosen, path)
        labels = _labels(archive, members, name, path)
    classes = () if labels is None else tuple(map(str, range(int(labels.max()) + 1)))
    return as_samples(array, path, "npz", options, progress, labels, classes)


def members_of(archive: zipfile.ZipFile, path: Path, options: ReadOptions) -> dict[str, Member]:
    """Return the arrays of an .npz by name, known by their headers; raises SourceError beyond the limits."""
    infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    options.check_count(path, len(infos))
    members: dict[str, Member] = {}
    for info in infos:
        check_members(path, [info], options, _RATIO_COUNTS_FROM)
        name = info.filename.removesuffix(".npy")
        with _opened(archive, info, path) as file:
            members[name] = Member(info, _header(file, path, printable(name)))
    return members


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> IO[bytes]:
    try:
        return archive.open(info)
    except Exception as error:
        raise SourceError(f"{path}: {printable(info.filename)} cannot be unpacked: {error}") from None


def _header(file: IO[bytes], path: Path, name: str) -> ArrayHeader:
    """Read the header of an array, leaving ``file`` where the values begin; raises SourceError for anything else."""
    try:
        version = np.lib.format.read_magic(file)
        # A third version exists for field names that are not Latin; arrays with fields are not samples.
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = read(file)
    except Exception as error:  # damaged members raise zipfile's and zlib's errors as well as NumPy's
        words = str(error).splitlines()
        raise SourceError(
            f"{path}: {name} is no NumPy array file ({words[0] if words else type(error).__name__}); "
            "write it with numpy.save or numpy.savez; pickles are never read"
        ) from None
    if any(length < 0 for length in shape):
        raise SourceError(f"{path}: {name} declares the impossible shape {shape}")
    return ArrayHeader(name, tuple(shape), dtype.newbyteorder("="))


def _choose(path: Path, members: dict[str, Member], options: ReadOptions) -> str:
    """Return the name of the array that holds the samples."""
    usable = [name for name in members if layout_problem(members[name].header, options) is None]
    for name in _PREFERRED:
        if name in usable:
            return name
    others = [name for name in usable if name not in _NOT_SAMPLES]
    # Two dimensions may be waveforms, but beside images they are rather something else.
    others = [name for name in others if len(members[name].header.shape) > 2] or others
    if len(others) == 1:
        return others[0]
    listing = "; ".join(str(member.header) for member in members.values()) or "no arrays"
    if others:
        raise SourceError(
            f"{path}: {len(others)} arrays could be the samples: {listing}; name the one to use samples, or write it "
            "alone"
        )
    # A single candidate's own trouble says more than a list does.
    named = [name for name in _PREFERRED if name in members] or [n for n in members if n not in _NOT_SAMPLES]
    if len(named) == 1:
        return named[0]
    raise SourceError(f"{path}: none of its arrays can be used as samples; found {listing}; allowed: {LAYOUTS}")


def _check(path: Path, header: ArrayHeader, options: ReadOptions) -> None:
    problem = layout_problem(header, options)
    if problem:
        raise SourceError(f"{path}: {header}: {problem}")
    options.check_total(path, header.size, str(header))


def _load(file: IO[bytes], path: Path) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except MemoryError:
        raise SourceError(f"{path}: its array does not fit into memory; use fewer samples") from None
    except Exception as error:  # damaged members raise zipfile's and zlib's errors as well as NumPy's
        raise SourceError(f"{path}: its array cannot be read: {error}; write the file again") from None
    return array


def load_member(archive: zipfile.ZipFile, member: Member, path: Path) -> npt.NDArray[Any]:
    """Return one array; raises SourceError when the file holds less than its header says, or cannot be read."""
    if member.info.file_size < member.header.size:
        raise SourceError(
            f"{path}: {member.header} would take {size_words(member.header.size)}, but its member holds only "
            f"{size_words(member.info.file_size)}; the file is damaged: write it again"
        )
    with _opened(archive, member.info, path) as file:
        return _load(file, path)


def _labels(
    archive: zipfile.ZipFile, members: dict[str, Member], chosen: str, path: Path
) -> npt.NDArray[np.int64] | None:
    """Return class numbers 0, 1, ... where the file holds any; raises SourceError when ``labels`` cannot be used."""
    count = members[chosen].header.shape[0]
    if _LABELS in members and chosen != _LABELS:
        header = members[_LABELS].header
        if not _looks_like_labels(header, count):
            raise SourceError(
                f"{path}: {header}: labels must be whole numbers of shape ({count},), one for every row of "
                f"{members[chosen].header}; mend or remove them"
            )
        name = _LABELS
    elif "arr_1" in members and chosen == "arr_0" and _looks_like_labels(members["arr_1"].header, count):
        name = "arr_1"
    else:
        return None
    labels = load_member(archive, members[name], path)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= _MAX_CLASSES:
        raise SourceError(
            f"{path}: {members[name].header}: found labels from {low} to {high}; class numbers from 0 to "
            f"{_MAX_CLASSES - 1} are allowed"
        )
    return labels.astype(np.int64)


def _looks_like_labels(header: ArrayHeader, count: int) -> bool:
    return header.dtype.kind in "iu" and math.prod(header.shape) == count and len(header.shape) == 1
