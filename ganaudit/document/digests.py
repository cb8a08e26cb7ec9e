"""Digests of files and of JSON values, as every record of ganaudit writes them: ``sha256:`` and 64 hex digits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["bytes_digest", "file_digest", "json_digest"]


def bytes_digest(content: bytes) -> str:
    """Return ``sha256:...`` over bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def file_digest(path: Path) -> str:
    """Return ``sha256:...`` over the bytes of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def json_digest(value: Any) -> str:
    """Return ``sha256:...`` over the canonical JSON of a value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return bytes_digest(text.encode("utf-8", "backslashreplace"))
