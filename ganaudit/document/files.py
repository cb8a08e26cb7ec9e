"""Reads and writes documents: strict JSON, atomic, stable order."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganaudit.document.errors import DocumentError, OutputError
from ganaudit.document.model import SCHEMA, AuditDocument
from ganaudit.document.policy import problems_of

__all__ = ["check_writable", "dumps", "load_document", "write_atomically", "write_document"]


def dumps(document: AuditDocument) -> str:
    """Return the document as JSON text, equal for equal documents; never a NaN or infinity token."""
    data = document.model_dump(mode="json", by_alias=True)
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A file name need not be Unicode; its stray bytes are lone surrogates, which JSON can only hold escaped.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part of it.

    Raises OutputError when the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # mkstemp makes private files; a report is meant to be passed on
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def check_writable(folder: Path) -> None:
    """Prove that ``folder`` can be written or made, and leave nothing behind; raises OutputError before any work."""
    standing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=standing, prefix=".ganaudit-"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"output folder {folder} cannot be written: {reason}; choose another with --out") from None


def write_document(document: AuditDocument, path: Path) -> None:
    """Write the document atomically."""
    # A file name that is no text holds lone surrogates; spelt as an escape they are JSON again.
    write_atomically(path, dumps(document).encode("utf-8", "backslashreplace"))


def load_document(path: Path) -> AuditDocument:
    """Read a document file, or ``document.json`` in a folder; raises DocumentError saying what is wrong with it."""
    file = path / "document.json" if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
        data: Any = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except FileNotFoundError:
        raise DocumentError(f"document {file}: no such file; `ganaudit audit` writes one") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DocumentError(f"document {file}: cannot be read as strict JSON: {error}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise DocumentError(f"document {file}: its schema is {schema!r}; this version of ganaudit reads {SCHEMA!r}")
    try:
        return AuditDocument.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, f"document {file}")
        more = f"\n... and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DocumentError("\n".join(problems[:5]) + more) from None


def _refuse_constant(token: str) -> float:
    raise ValueError(f"the token {token} is not JSON")


def _finite(token: str) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise ValueError(f"the number {token} is beyond the range of a float")
    return value
