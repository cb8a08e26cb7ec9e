"""The content-addressed store: a key is the digest of everything that can change the rows under it.

An entry is a safetensors file of its final size from the start, filled chunk by chunk. A chunk counts as written once
its line, with the digest of its bytes, stands in the journal beside the file; so a killed run goes on where it was, and
a chunk whose bytes are not the journalled ones counts as absent. The file is given its final name when all is there.
Two writers of one key write equal bytes to equal places and disturb nobody.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.data.storage import size_words
from ganaudit.document.errors import OutputError
from ganaudit.evidence.rows import Column, Mapping, Rows

__all__ = ["Entry", "Store", "digest_of"]

_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.uint8: "U8"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PIECE = 4 * 2**20


def digest_of(fields: dict[str, Any]) -> str:
    """Return the sha256 of the canonical JSON of ``fields``."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """Entries by key, on disk under ``root``; without a root nothing is kept."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.hits = 0
        self.misses = 0
        self.problem: str | None = None
        """Why the last entry could not be kept; the audit goes on without."""

    def read(self, fields: dict[str, Any], columns: Sequence[Column], n: int) -> dict[str, Rows] | None:
        """Return the columns under the key of ``fields``, or None when they are not wholly there, as they should be."""
        path = self.path(fields)
        found = _whole(path, _Layout(fields, columns, n)) if path is not None and path.is_file() else None
        self.hits += found is not None
        self.misses += found is None
        return found

    def entry(self, fields: dict[str, Any], columns: Sequence[Column], n: int, chunk: int) -> Entry | None:
        """Return the entry under the key of ``fields`` to be filled, or None (told in ``problem``) when it cannot be.

        Raises OutputError when the disk is too full for it: an audit would only find that out later.
        """
        path = self.path(fields)
        if path is None:
            return None
        try:
            return Entry(path, fields, columns, n, chunk)
        except OutputError:
            raise
        except OSError as error:
            self.problem = f"cannot write {path}: {error.strerror or error}"
            return None

    def path(self, fields: dict[str, Any]) -> Path | None:
        """Return where the entry of ``fields`` lies, or None without a root."""
        if self.root is None:
            return None
        digest = digest_of(fields)
        return self.root / digest[:2] / f"{digest}.safetensors"


class Entry:
    """An entry that is being filled, chunk by chunk, in any order; to be closed when it is done with."""

    def __init__(self, path: Path, fields: dict[str, Any], columns: Sequence[Column], n: int, chunk: int) -> None:
        self._path = path
        self._layout = _Layout(fields, columns, n)
        self._chunk = chunk
        self._partial = path.with_suffix(".partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():  # better known before the work than after it
            raise IsADirectoryError(errno.EISDIR, "a folder of this name is in the way")
        self._file: int | None = _reserved(self._partial, self._layout)
        noted = _noted(_journal(path))
        numbers = [number for rows, number in noted if rows == chunk and number * rows < n]
        self._done = {i for i in numbers if noted[chunk, i] == self._layout.digest(self._file, i, chunk)}

    def has(self, number: int) -> bool:
        """Return whether chunk ``number`` is there already."""
        return number in self._done

    def write(self, number: int, parts: dict[str, Tensor]) -> None:
        """Put the rows of chunk ``number`` in their place, then note their digest.

        Raises OutputError when the disk does not take them.
        """
        assert self._file is not None
        digest = hashlib.sha256()
        try:
            for column in self._layout.columns:
                content = _bytes(parts[column.name])
                digest.update(content)
                _put(self._file, content, self._layout.place(column, number * self._chunk))
            # Nothing waits for the disk: what a power failure loses does not fit its digest and is made again.
            line = json.dumps({"chunk": number, "rows": self._chunk, "sha256": digest.hexdigest()})
            with _journal(self._path).open("ab") as file:
                # One short line is appended whole, also beside another writer; it begins anew after one cut short.
                file.write(f"\n{line}".encode())
        except OSError as error:
            raise _unwritable(self._partial, error, self._layout.size) from None
        self._done.add(number)

    def read(self, number: int) -> dict[str, Tensor]:
        """Return the rows of a chunk that is there."""
        assert self._file is not None
        made = {}
        for column, size, place in self._layout.spans(number, self._chunk):
            content = bytearray().join(_taken(self._file, size, place))
            made[column.name] = torch.frombuffer(content, dtype=column.dtype).reshape(-1, *column.shape)
        return made

    def finish(self) -> dict[str, Rows]:
        """Give the file, which must be full, its final name, and return its columns, mapped.

        Raises OutputError when the file was taken away in the meantime.
        """
        assert self._file is not None
        assert len(self._done) == -(-self._layout.n // self._chunk), "chunks are missing"
        try:
            # Held by whoever renames: what lies there now is then this very file, never one begun by a third.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if _is_at(self._partial, self._file):
                self._partial.replace(self._path)
        except OSError as error:
            raise _unwritable(self._path, error, self._layout.size) from None
        self.close()
        return self.finished()

    def finished(self) -> dict[str, Rows]:
        """Return the columns of the file that another process has finished; raises OutputError when it is not there."""
        try:
            return self._layout.mapped(self._path)
        except OSError as error:
            raise _unwritable(self._path, error, self._layout.size) from None

    def close(self) -> None:
        """Let go of the file; what is in it stays for the next run."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Layout:
    """Where each row of an entry lies in its file."""

    def __init__(self, fields: dict[str, Any], columns: Sequence[Column], n: int) -> None:
        # Wide values first: every column then begins at a multiple of its own item size.
        self.columns = sorted(columns, key=lambda c: (-c.dtype.itemsize, c.name))
        self.n = n
        self.header = _header(fields, self.columns, n)
        self.size = len(self.header) + sum(n * column.row_bytes for column in columns)

    def place(self, column: Column, row: int) -> int:
        """Return where ``row`` of ``column`` begins, in bytes."""
        before = self.columns[: self.columns.index(column)]
        return len(self.header) + self.n * sum(c.row_bytes for c in before) + row * column.row_bytes

    def spans(self, number: int, chunk: int) -> Iterator[tuple[Column, int, int]]:
        """Yield every column with how many bytes its rows of chunk ``number`` take, and where they begin."""
        start, stop = number * chunk, min((number + 1) * chunk, self.n)
        for column in self.columns:
            yield column, (stop - start) * column.row_bytes, self.place(column, start)

    def digest(self, file: int, number: int, chunk: int) -> str:
        """Return the digest of the bytes of one chunk."""
        digest = hashlib.sha256()
        for _, size, place in self.spans(number, chunk):
            for content in _taken(file, size, place):
                digest.update(content)
        return digest.hexdigest()

    def mapped(self, path: Path) -> dict[str, Rows]:
        """Return the columns of the finished file at ``path``."""
        mapping = Mapping(path)
        places = {column.name: self.place(column, 0) for column in self.columns}
        return {
            column.name: Rows(mapping.tensor(column, self.n, places[column.name]), mapping, places[column.name])
            for column in self.columns
        }


def _reserved(path: Path, layout: _Layout) -> int:
    """Return an open file of full size that begins with the header; raises OutputError when the disk is full."""
    file = _locked(path)
    try:
        ready = os.fstat(file).st_size == layout.size
        if not ready or os.pread(file, len(layout.header), 0) != layout.header:
            os.ftruncate(file, 0)
            _allocate(file, layout.size)
            os.ftruncate(file, layout.size)
            _put(file, memoryview(layout.header), 0)
        fcntl.flock(file, fcntl.LOCK_UN)
    except OSError as error:
        path.unlink(missing_ok=True)
        os.close(file)
        if error.errno in _FULL:
            raise _unwritable(path, error, layout.size) from None
        raise
    return file


def _locked(path: Path) -> int:
    """Return the file at ``path``, open and locked: two writers must not both find it unready."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(file, fcntl.LOCK_EX)
        if _is_at(path, file):
            return file
        os.close(file)  # it was finished, or given up, by another while this one waited


def _is_at(path: Path, file: int) -> bool:
    """Return whether ``path`` names the open ``file``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _allocate(file: int, size: int) -> None:
    """Ask the file system for ``size`` bytes now, where it can: a full disk later would be a lost run."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise


def _put(file: int, content: memoryview, place: int) -> None:
    """Write all of ``content``: one call may take less of it."""
    done = 0
    while done < len(content):
        done += os.pwrite(file, content[done:], place + done)


def _taken(file: int, size: int, place: int) -> Iterator[bytes]:
    """Yield ``size`` bytes from ``place`` on, in pieces, so that a chunk of any size is checked in little memory."""
    stop = place + size
    while place < stop:
        content = os.pread(file, min(_PIECE, stop - place), place)
        if not content:
            raise OSError(errno.EIO, "the file ends too early")
        yield content
        place += len(content)


def _unwritable(path: Path, error: OSError, size: int) -> OutputError:
    told = error.strerror or str(error)
    if error.errno not in _FULL:
        return OutputError(f"cannot write {path}: {told}; the same command goes on with what was kept")
    if error.errno == errno.EFBIG:
        return OutputError(f"cannot write {path}: a file of {size_words(size)} is larger than this process may make")
    return OutputError(
        f"evidence needs {size_words(size)} in {path.parent}, where {size_words(shutil.disk_usage(path.parent).free)} "
        f"are free ({told}); make room, point GANAUDIT_CACHE at a larger disk, or use fewer --samples; the same "
        "command goes on with what was kept"
    )


def _journal(path: Path) -> Path:
    return path.with_suffix(".journal")


def _noted(journal: Path) -> dict[tuple[int, int], str]:
    """Return the digest of every chunk that a journal notes, by (rows per chunk, number).

    A line cut short, or that says nothing sensible, is left out. Runs with other chunks may have written here too.
    """
    noted = {}
    try:
        lines = journal.read_bytes().splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            said = json.loads(line)
            rows, number, sha256 = said["rows"], said["chunk"], said["sha256"]
        except (ValueError, TypeError, LookupError, RecursionError):
            continue
        if type(rows) is int and type(number) is int and rows > 0 and number >= 0:
            noted[rows, number] = str(sha256)
    return noted


def _header(fields: dict[str, Any], columns: Sequence[Column], n: int) -> bytes:
    said: dict[str, Any] = {"__metadata__": {"key": json.dumps(fields, sort_keys=True, ensure_ascii=True)}}
    at = 0
    for column in columns:
        end = at + n * column.row_bytes
        said[column.name] = {"dtype": _DTYPES[column.dtype], "shape": [n, *column.shape], "data_offsets": [at, end]}
        at = end
    text = json.dumps(said, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return len(text).to_bytes(8, "little") + text


def _whole(path: Path, layout: _Layout) -> dict[str, Rows] | None:
    """Return the columns of a finished entry, or None when any of its bytes are not the ones that were written."""
    noted = _noted(_journal(path))
    try:
        with path.open("rb") as opened:
            file = opened.fileno()
            if os.fstat(file).st_size != layout.size or os.pread(file, len(layout.header), 0) != layout.header:
                return None
            for rows in {rows for rows, _ in noted}:
                chunks = range(-(-layout.n // rows))
                # Which chunks are missing costs nothing to see; their digests are only then computed.
                if all((rows, i) in noted for i in chunks) and all(
                    noted[rows, i] == layout.digest(file, i, rows) for i in chunks
                ):
                    return layout.mapped(path)
    except OSError:
        return None
    return None


def _bytes(tensor: Tensor) -> memoryview:
    array: npt.NDArray[Any] = tensor.detach().cpu().contiguous().numpy()
    return array.reshape(-1).view(np.uint8).data
