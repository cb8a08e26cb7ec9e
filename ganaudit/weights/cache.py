"""The folder of weights files: a file is used only when its sha256 is the one that it should have.

Known files are held against the manifest, others against the hash they had when they were added. A verification is
remembered together with size and time of the file; whatever changes either is hashed again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganaudit.document.errors import WeightsError
from ganaudit.locations import cache_dir
from ganaudit.weights.files import copied, hashed
from ganaudit.weights.manifest import Entry, checked_name, checked_sha256, hashes_differ, known, suffix_of
from ganaudit.weights.record import Record, read_record, write_record

__all__ = ["Convert", "Held", "State", "WeightsCache", "resolve", "wrong_words"]

State = Literal["verified", "unchecked", "wrong", "absent"]
Convert = Callable[[Path, Path], None]
"""Writes the tensors of a file to another file."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of one name, without having hashed anything."""

    name: str
    state: State
    """``verified``: hashed before and not touched since; ``unchecked``: not hashed since it was last changed."""
    path: Path | None
    entry: Entry | None
    """What the manifest says; None for a file that is not published."""
    record: Record | None
    expected: str | None
    """The sha256 that the file must have."""


class WeightsCache:
    """The weights files below ``root``, one folder per name."""

    def __init__(self, root: Path | None = None, entries: Mapping[str, Entry] | None = None) -> None:
        self.root = cache_dir() / "weights" if root is None else root
        self.entries = known() if entries is None else entries

    def names(self) -> list[str]:
        """Return the names of the manifest, then those of other files that were added."""
        own = [p.name for p in self.root.iterdir() if read_record(p)] if self.root.is_dir() else []
        return [*self.entries, *sorted(name for name in own if name not in self.entries)]

    def held(self, name: str) -> Held:
        """Return what is known of ``name``; nothing is hashed. Raises WeightsError for what cannot be a name."""
        folder = self.root / checked_name(name)
        entry, record = self.entries.get(name), read_record(folder)
        expected = record.sha256 if record else None
        if entry and (record is None or record.converted_from != entry.sha256):
            expected = entry.sha256
        files = [record.file] if record else []
        files += [entry.file, *entry.also] if entry else []
        path = next((folder / file for file in files if (folder / file).is_file()), None)
        return Held(name, _state(path, record, expected), path, entry, record, expected)

    def resolve(self, name: str) -> Path | None:
        """Return the path of the verified file, or None when there is none.

        Raises WeightsError when there is a file and it is not the right one.
        """
        held = self.held(name)
        if held.state in ("unchecked", "wrong"):
            held = self.verify(name)
            if held.state == "wrong":
                raise WeightsError(wrong_words(held))
        return held.path if held.state == "verified" else None

    def verify(self, name: str) -> Held:
        """Hash the file again and return what was found; ``record.sha256`` is then the hash of now."""
        held = self.held(name)
        if held.path is None:
            return held
        sha256, found = hashed(held.path)
        old = held.record if held.record and held.record.file == held.path.name else None
        record = Record(
            file=held.path.name,
            sha256=sha256,
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            converted_from=old.converted_from if old else None,
            origin=old.origin if old else str(held.path),
        )
        if sha256 == held.expected:
            write_record(self.root / name, record)
            return Held(name, "verified", held.path, held.entry, record, held.expected)
        if old is not None:
            # The hash it should have stays recorded; the time is what makes everybody look again.
            write_record(self.root / name, old.model_copy(update={"mtime_ns": -1}))
        return Held(name, "wrong", held.path, held.entry, record, held.expected)

    def add(
        self,
        file: Path,
        *,
        name: str | None = None,
        sha256: str | None = None,
        replace: bool = False,
        convert: Convert | None = None,
    ) -> Held:
        """Copy a file into the cache under the name the manifest gives it, or under a name of its own.

        With ``convert`` its tensors are written anew as safetensors, after its hash was found right. Raises
        WeightsError when the hash is not the expected one, the file is not known and has no name, or the name is taken.
        """
        given = checked_sha256(sha256) if sha256 else None
        found, _ = hashed(file)
        name = self._name_of(file, found) if name is None else checked_name(name)
        entry = self.entries.get(name)
        for expected in (given, entry.sha256 if entry else None):
            if expected not in (None, found):
                raise WeightsError(f"weights file {file} is not {name}:\n{hashes_differ(found, expected)}")
        held = self.held(name)
        taken = held.record and found not in (held.record.sha256, held.record.converted_from)
        if entry is None and taken and held.record and not replace:
            raise WeightsError(
                f"weights name {name!r} is taken by another file (sha256 {held.record.sha256}); choose another name, "
                "or put this one in its place with --replace"
            )
        stored = entry.file if entry else name + suffix_of(file.name)
        folder = self.root / name
        copy = folder / f".{stored}.{os.getpid()}.tmp"
        copied(file, copy, found)
        if convert is None:
            return self.keep(name, copy, stored, sha256=found, origin=str(file))
        written = copy.with_suffix(".safetensors")
        try:
            convert(copy, written)
            tensors, _ = hashed(written)
            stored = f"{Path(stored).stem}.safetensors"
            return self.keep(name, written, stored, sha256=tensors, origin=str(file), converted_from=found)
        finally:
            written.unlink(missing_ok=True)
            copy.unlink(missing_ok=True)

    def keep(
        self, name: str, made: Path, file: str, *, sha256: str, origin: str, converted_from: str | None = None
    ) -> Held:
        """Move a file whose hash was found right to its place and record it; an older one of this name goes."""
        folder = self.root / name
        before, place = read_record(folder), folder / file
        made.replace(place)
        found = place.stat()
        record = Record(
            file=file,
            sha256=sha256,
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            converted_from=converted_from,
            origin=origin,
        )
        write_record(folder, record)
        if before is not None and before.file != file:
            (folder / before.file).unlink(missing_ok=True)
        return self.held(name)

    def _name_of(self, file: Path, sha256: str) -> str:
        for name, entry in self.entries.items():
            if entry.sha256 == sha256:
                return name
        for name, entry in self.entries.items():
            if file.name in (entry.file, *entry.also):
                return name
        raise WeightsError(
            f"weights file {file}: neither its name nor its sha256 {sha256} is known; `ganaudit weights list` shows "
            "what is, --name NAME keeps this file under a name of its own"
        )


def resolve(name: str) -> Path | None:
    """Return the path of the verified weights file ``name`` in the user's cache, or None when there is none.

    Raises WeightsError when there is a file and it is not the right one.
    """
    return WeightsCache().resolve(name)


def wrong_words(held: Held) -> str:
    """Return the sentence that refuses a file: the hash found, the hash expected."""
    assert held.record is not None
    # What is in no manifest cannot be fetched by its name alone.
    again = f"run `ganaudit weights fetch {held.name}`, or " if held.entry is not None else ""
    return (
        f"weights file {held.path} is not {held.name}; it is not used:\n"
        f"{hashes_differ(held.record.sha256, held.expected)}\n"
        f"delete it and {again}add a good copy with `ganaudit weights add FILE`"
    )


def _state(path: Path | None, record: Record | None, expected: str | None) -> State:
    if path is None:
        return "absent"
    if record is None or record.file != path.name:
        return "unchecked"
    found = path.stat()
    untouched = (found.st_size, found.st_mtime_ns) == (record.size, record.mtime_ns)
    if not untouched:
        return "unchecked"
    return "verified" if record.sha256 == expected else "wrong"
