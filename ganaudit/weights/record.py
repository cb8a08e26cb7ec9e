"""What is remembered of a weights file in the cache, so that it need not be hashed at every start.

One small file per name, written atomically: two processes that add two names never write over each other's record.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganaudit.document.files import write_atomically

__all__ = ["Record", "read_record", "write_record"]

_FILE = "record.json"


class Record(BaseModel):
    """One verified file: the hash it had, and the size and time by which a change is noticed."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    version: Literal[1] = 1
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int
    mtime_ns: int
    """-1 when the file was found to be wrong: no file has this time, so it is hashed again before any use."""
    converted_from: str | None = None
    """Sha256 of the file whose tensors these are, where ganaudit wrote them anew."""
    origin: str = ""
    """The path or URL it came from."""


def read_record(folder: Path) -> Record | None:
    """Return the record in ``folder``, or None when there is none that can be read."""
    try:
        return Record.model_validate_json((folder / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def write_record(folder: Path, record: Record) -> None:
    """Write the record atomically; raises OutputError when the folder cannot be written."""
    write_atomically(folder / _FILE, (record.model_dump_json(indent=2) + "\n").encode())
