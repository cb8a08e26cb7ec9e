"""Reads and writes documents: strict JSON, atomic, stable order."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ganaudit.document.baselines import BASELINE_SCHEMA, Baseline, altered_entries
from ganaudit.document.digests import json_digest
from ganaudit.document.errors import DocumentError, OutputError
from ganaudit.document.model import SCHEMA, AuditDocument
from ganaudit.document.policy import problems_of

__all__ = [
    "check_writable",
    "dumps",
    "load_document",
    "read_baseline",
    "read_document",
    "schema_of",
    "sealed",
    "write_atomically",
    "write_baseline",
    "write_document",
]

_Model = TypeVar("_Model", bound=BaseModel)


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


def sealed(document: AuditDocument) -> AuditDocument:
    """Return the document with the digest of everything else in it, by which a later change is told."""
    return document.model_copy(update={"integrity": _digest(json.loads(dumps(document)))})


def write_document(document: AuditDocument, path: Path) -> None:
    """Write the document atomically."""
    # A file name that is no text holds lone surrogates; spelt as an escape they are JSON again.
    write_atomically(path, dumps(document).encode("utf-8", "backslashreplace"))


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline atomically."""
    text = json.dumps(baseline.model_dump(mode="json"), indent=2, ensure_ascii=True, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def load_document(path: Path) -> AuditDocument:
    """Read a document file, or ``document.json`` in a folder; raises DocumentError saying what is wrong with it."""
    return read_document(path)[0]


def read_document(path: Path) -> tuple[AuditDocument, str | None]:
    """Return a document as ``load_document`` does, and in words how it was changed since ganaudit wrote it, or None.

    A document that carries no digest, as early ones do not, cannot tell.
    """
    file = path / "document.json" if path.is_dir() else path
    data = _read(file, SCHEMA, "document", "`ganaudit audit` writes one")
    document = _validated(AuditDocument, data, f"document {file}")
    found = _digest(data)
    if document.integrity is None or document.integrity == found:
        return document, None
    return document, (
        f"document {file} was changed after ganaudit wrote it: its digest says {document.integrity}, its content has "
        f"{found}; audit again, or find out who changed what"
    )


def read_baseline(path: Path) -> tuple[Baseline, str | None]:
    """Return a baseline, and in words which of its entries were changed since they were accepted, or None.

    Entries without a digest, as early ones are, cannot tell. Raises DocumentError saying what is wrong with the file.
    """
    data = _read(path, BASELINE_SCHEMA, "baseline", "`ganaudit baseline accept` writes one")
    baseline = _validated(Baseline, data, f"baseline {path}")
    altered = altered_entries(data.get("entries", []))
    if not altered:
        return baseline, None
    return baseline, (
        f"baseline {path} was changed after it was written: {'; '.join(altered)}; restore it from version control, or "
        "find out who changed what"
    )


def schema_of(path: Path) -> str | None:
    """Return which schema a JSON file says it follows, or None where it cannot be read or says nothing."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    schema = data.get("schema") if isinstance(data, dict) else None
    return schema if isinstance(schema, str) else None


def _read(file: Path, schema: str, noun: str, made_by: str) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        data: Any = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except FileNotFoundError:
        raise DocumentError(f"{noun} {file}: no such file; {made_by}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DocumentError(f"{noun} {file}: cannot be read as strict JSON: {error}") from None
    found = data.get("schema") if isinstance(data, dict) else None
    if found != schema:
        raise DocumentError(f"{noun} {file}: its schema is {found!r}; this version of ganaudit reads {schema!r}")
    return dict(data)


def _validated(model: type[_Model], data: dict[str, Any], where: str) -> _Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, where)
        more = f"\n... and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DocumentError("\n".join(problems[:5]) + more) from None


def _digest(data: dict[str, Any]) -> str:
    return json_digest({key: value for key, value in data.items() if key != "integrity"})


def _refuse_constant(token: str) -> float:
    raise ValueError(f"the token {token} is not JSON")


def _finite(token: str) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise ValueError(f"the number {token} is beyond the range of a float")
    return value
