"""The content-addressed store: a key is the digest of everything that can change the rows under it.

An entry is a safetensors file of its final size from the start, filled chunk by chunk. A chunk counts as written once
its line, with the digest of its bytes, stands in the journal beside the file; so a killed run goes on where it was, and
a chunk whose bytes are not the journalled ones counts as absent. The file is given its final name when all is there.
Two writers of one key write equal bytes to equal places and disturb nobody.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
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
_NAMES = {name: dtype for dtype, name in _DTYPES.items()}


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

    def read(self, fields: dict[str, Any]) -> dict[str, Rows] | None:
        """Return the columns under the key of ``fields``, or None when they are not wholly there."""
        path = self.path(fields)
        found = _whole(path) if path is not None and path.is_file() else None
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
    """An entry that is being filled, chunk by chunk, in any order."""

    def __init__(self, path: Path, fields: dict[str, Any], columns: Sequence[Column], n: int, chunk: int) -> None:
        self._path = path
        # Wide values first: every column then begins at a multiple of its own item size.
        self._columns = sorted(columns, key=lambda c: (-c.dtype.itemsize, c.name))
        self._n = n
        self._chunk = chunk
        self._partial = path.with_suffix(".partial")
        self._header = _header(fields, self._columns, n)
        self._offsets = _offsets(self._header)
        size = len(self._header) + sum(n * column.row_bytes for column in columns)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _reserved(self._partial, self._header, size)
        self._done = self._verified()

    def has(self, number: int) -> bool:
        """Return whether chunk ``number`` is there already."""
        return number in self._done

    def write(self, number: int, parts: dict[str, Tensor]) -> None:
        """Put the rows of chunk ``number`` in their place, then note their digest."""
        digest = hashlib.sha256()
        for column in self._columns:
            content = _bytes(parts[column.name])
            digest.update(content)
            os.pwrite(self._file, content, self._offsets[column.name] + number * self._chunk * column.row_bytes)
        os.fsync(self._file)
        line = json.dumps({"chunk": number, "rows": self._chunk, "sha256": digest.hexdigest()}) + "\n"
        with _journal(self._path).open("ab") as file:  # one short line is appended whole, also beside another writer
            file.write(line.encode())
        self._done.add(number)

    def read(self, number: int) -> dict[str, Tensor]:
        """Return the rows of a chunk that is there."""
        made = {}
        for column in self._columns:
            count = min(self._chunk, self._n - number * self._chunk)
            place = self._offsets[column.name] + number * self._chunk * column.row_bytes
            content = bytearray(os.pread(self._file, count * column.row_bytes, place))
            made[column.name] = torch.frombuffer(content, dtype=column.dtype).reshape(count, *column.shape)
        return made

    def finish(self) -> dict[str, Rows]:
        """Give the file its final name and return its columns, mapped."""
        os.close(self._file)
        if self._partial.exists():  # another writer of the same bytes may have been first
            self._partial.replace(self._path)
        return _columns(self._path, self._header)

    def _verified(self) -> set[int]:
        """Return the chunks whose bytes are those that the journal notes."""
        noted = _noted(_journal(self._path))
        done = set()
        for number, (rows, sha256) in noted.items():
            if rows == self._chunk and number * rows < self._n:
                digest = hashlib.sha256()
                for part in self.read(number).values():
                    digest.update(_bytes(part))
                if digest.hexdigest() == sha256:
                    done.add(number)
        return done


def _reserved(path: Path, header: bytes, size: int) -> int:
    """Return an open file of ``size`` bytes that begins with ``header``; raises OutputError when the disk is full."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # two writers must not both find it unready
        if os.fstat(file).st_size != size or os.pread(file, len(header), 0) != header:
            os.ftruncate(file, 0)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file, 0, size)
            os.ftruncate(file, size)
            os.pwrite(file, header, 0)
        fcntl.flock(file, fcntl.LOCK_UN)
    except OSError as error:
        os.close(file)
        path.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free
        raise OutputError(
            f"evidence needs {size_words(size)} in {path.parent}, where {size_words(free)} are free "
            f"({error.strerror or error}); make room, point GANAUDIT_CACHE at a larger disk, or use fewer --samples"
        ) from None
    return file


def _journal(path: Path) -> Path:
    return path.with_suffix(".journal")


def _noted(journal: Path) -> dict[int, tuple[int, str]]:
    """Return rows per chunk and digest of every chunk that a journal notes; a line cut short is left out."""
    noted = {}
    try:
        lines = journal.read_bytes().splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            said = json.loads(line)
            noted[int(said["chunk"])] = (int(said["rows"]), str(said["sha256"]))
        except (ValueError, TypeError, KeyError):
            continue
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


def _offsets(header: bytes) -> dict[str, int]:
    return {name: len(header) + said["data_offsets"][0] for name, said in _said(header).items()}


def _said(header: bytes) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(header[8:])
    return {name: value for name, value in said.items() if name != "__metadata__"}


def _columns(path: Path, header: bytes) -> dict[str, Rows]:
    mapping = Mapping(path)
    found = {}
    for name, said in _said(header).items():
        n, *shape = said["shape"]
        offset = len(header) + said["data_offsets"][0]
        column = Column(name, _NAMES[said["dtype"]], tuple(shape))
        found[name] = Rows(mapping.tensor(column, n, offset), mapping, offset)
    return found


def _whole(path: Path) -> dict[str, Rows] | None:
    """Return the columns of a finished entry, or None when any of its bytes are not the ones that were written."""
    try:
        with path.open("rb") as file:
            first = file.read(8)
            header = first + file.read(int.from_bytes(first, "little"))
        found = _columns(path, header)
        noted = _noted(_journal(path))
        if not noted or not found:
            return None
        rows = next(iter(noted.values()))[0]
        names = list(found)
        n = len(found[names[0]])
        for number in range(-(-n // rows)):
            digest = hashlib.sha256()
            for name in names:
                digest.update(_bytes(found[name].tensor[number * rows : (number + 1) * rows]))
            if noted.get(number) != (rows, digest.hexdigest()):
                return None
        for column in found.values():
            for _ in column.blocks():
                pass  # gives the memory that the check has touched back
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found


def _bytes(tensor: Tensor) -> memoryview:
    array: npt.NDArray[Any] = tensor.detach().cpu().contiguous().numpy()
    return array.reshape(-1).view(np.uint8).data
