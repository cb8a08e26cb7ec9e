"""Hashes and copies of large files, and what is said when there is no room for them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganaudit.document.errors import WeightsError

__all__ = ["check_room", "copied", "disk_may_fill", "hashed", "size_words"]

_CHUNK = 2**20


def size_words(size: int) -> str:
    """Return a number of bytes as a person reads it, with the exact number where two may differ by little."""
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if size >= 10**power:
            return f"{size / 10**power:.1f} {unit} ({size} bytes)"
    return f"{size} bytes"


def hashed(path: Path) -> tuple[str, os.stat_result]:
    """Return the sha256 of a file in hexadecimal digits and what the file was while it was read.

    Raises WeightsError when it is no regular file, cannot be read, or is changed meanwhile.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise WeightsError(f"weights file {path}: {'not a regular file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
    except OSError as error:
        raise WeightsError(f"weights file {path}: cannot be read: {error.strerror or error}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise WeightsError(f"weights file {path}: was changed while it was read; try again when nobody writes it")
    return digest, after


def check_room(folder: Path, need: int, what: str) -> None:
    """Make ``folder`` and raise WeightsError unless ``need`` bytes are free there."""
    with disk_may_fill(folder, need, what):
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < need:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def disk_may_fill(folder: Path, need: int, what: str) -> Iterator[None]:
    """Turn an OSError of writing in ``folder`` into a WeightsError; a full disk says what was needed and is free."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise WeightsError(f"{what}: {folder} cannot be written: {error.strerror or error}") from None
        raise WeightsError(
            f"{what}: needs {size_words(need)} in {folder}, {_free(folder)} free; make room there, or point "
            "GANAUDIT_CACHE at a larger disk"
        ) from None


def _free(folder: Path) -> str:
    try:
        return size_words(shutil.disk_usage(folder).free)
    except OSError:
        return "an unknown amount"


def copied(source: Path, target: Path, sha256: str) -> None:
    """Copy a file whose hash is known; what was written is hashed again.

    Raises WeightsError when there is no room or the copy is not the file that was hashed; nothing is left then.
    """
    size = source.stat().st_size
    what = f"weights file {source}"
    check_room(target.parent, size, what)
    try:
        with disk_may_fill(target.parent, size, what), source.open("rb") as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer, _CHUNK)
            writer.flush()
            os.fsync(writer.fileno())
        found, _ = hashed(target)
        if found != sha256:
            raise WeightsError(f"{what}: was changed while it was copied; try again when nobody writes it")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
