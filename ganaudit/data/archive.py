"""Images, or audio, in a zip archive, read in place: nothing is extracted, so a member's name can lead nowhere.

The limits are checked on the archive's directory before a member is opened. A directory that lies gains nothing: no
more bytes are read of a member than it declares, and its checksum must then fit.
"""

from __future__ import annotations

import io
import threading
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from ganaudit.data import audio, images
from ganaudit.data.collection import is_sample, read_collection
from ganaudit.data.files import UnreadableFileError
from ganaudit.data.options import ReadOptions, printable
from ganaudit.data.samples import Samples
from ganaudit.data.storage import size_words
from ganaudit.document.errors import SourceError
from ganaudit.progress import Progress

__all__ = ["check_members", "open_archive", "read_archive"]

# Deflate reaches about 1000 to 1 on a single repeated byte; encoded images and real arrays stay far below.
_MAX_RATIO = 200
_RATIO_COUNTS_FROM = 16 * 2**20


def read_archive(path: Path, options: ReadOptions, progress: Progress) -> Samples:
    """Return every image, or every sound, of a .zip, sorted by name; other members are ignored.

    Raises SourceError as ``read_collection`` does, for an archive without either, and for members that are encrypted,
    compressed in another way than deflate, too large or too many.
    """
    with open_archive(path) as archive:
        members = [member for member in archive.infolist() if not member.filename.endswith("/")]
        samples = [member for member in members if is_sample(member.filename)]
        options.check_count(path, len(samples))
        if not samples:
            raise SourceError(
                f"{path}: the archive holds no image files and no audio files ({_suffixes(members)}); allowed are "
                f"{', '.join(images.SUFFIXES)} or {', '.join(audio.SUFFIXES)}; arrays go in an .npz or .npy"
            )
        check_members(path, samples, options)
        _check_sizes(path, samples, options)
        samples.sort(key=lambda member: (member.filename, member.header_offset))
        return read_collection(_Archive(path, archive, samples), options, progress)


def open_archive(path: Path) -> zipfile.ZipFile:
    """Return an open zip archive; raises SourceError when it is none."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as a {path.suffix} archive: {error}") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror or error}") from None


def check_members(
    path: Path, members: Sequence[zipfile.ZipInfo], options: ReadOptions, ratio_from: int = _RATIO_COUNTS_FROM
) -> None:
    """Raise SourceError for members that are encrypted, strangely compressed, or more together than is read."""
    for member in members:
        name = printable(member.filename)
        if member.flag_bits & 0x1:
            raise SourceError(f"{path}: {name} is encrypted; write the archive without a password")
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise SourceError(f"{path}: {name} is compressed by method {member.compress_type}; use store or deflate")
        if member.file_size > max(ratio_from, _MAX_RATIO * member.compress_size):
            raise SourceError(
                f"{path}: {name} would grow from {size_words(member.compress_size)} to {size_words(member.file_size)}, "
                f"more than {_MAX_RATIO}-fold, as a decompression bomb does; write the archive without compression if "
                "it is none"
            )
    options.check_total(path, sum(member.file_size for member in members), "the unpacked archive")


def _check_sizes(path: Path, members: Sequence[zipfile.ZipInfo], options: ReadOptions) -> None:
    for member in members:
        if member.file_size > options.max_file_bytes:
            raise SourceError(
                f"{path}: {printable(member.filename)} unpacks to {size_words(member.file_size)}; one file may "
                f"have {size_words(options.max_file_bytes)}"
            )


def _suffixes(members: Sequence[zipfile.ZipInfo]) -> str:
    counts = Counter(PurePosixPath(member.filename).suffix.lower() or "no suffix" for member in members)
    return ", ".join(f"{count} {printable(suffix)}" for suffix, count in counts.most_common(3)) or "it is empty"


class _Archive:
    form = "zip"

    def __init__(self, path: Path, archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]) -> None:
        self.path = path
        self.names = [printable(member.filename) for member in members]
        self._archive = archive
        self._members = members
        self._lock = threading.Lock()  # members share one file handle

    def open(self, index: int) -> IO[bytes]:
        member = self._members[index]
        try:
            with self._lock, self._archive.open(member) as file:
                content = file.read(member.file_size + 1)
        except Exception as error:  # zipfile raises many kinds on damaged members: zlib's, struct's, its own
            reason = f"cannot be unpacked: {error}"
            raise UnreadableFileError(f"{self.path}/{self.names[index]}", reason) from None
        if len(content) != member.file_size:
            reason = f"unpacks to {len(content)} bytes, the archive declares {member.file_size}"
            raise UnreadableFileError(f"{self.path}/{self.names[index]}", reason)
        return io.BytesIO(content)
