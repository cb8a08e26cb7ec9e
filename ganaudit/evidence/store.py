"""The content-addressed store: a key is the digest of everything that can change the tensors under it.

Entries are safetensors, written to a temporary name and renamed, so that a reader sees a whole entry or none; two
writers of one key write equal bytes. A damaged entry counts as absent and is written anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ganaudit.document.errors import OutputError
from ganaudit.document.files import write_atomically
from ganaudit.subjects.digests import weights_digest

__all__ = ["Store", "digest_of"]


def digest_of(fields: dict[str, Any]) -> str:
    """Return the sha256 of the canonical JSON of ``fields``."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """Tensors by key, on disk under ``root``; without a root nothing is kept."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.hits = 0
        self.misses = 0
        self.problem: str | None = None
        """Why the last entry could not be kept; the audit goes on without."""

    def read(self, fields: dict[str, Any]) -> dict[str, Tensor] | None:
        """Return the tensors under the key of ``fields``, or None when there are none that can be read."""
        path = self._path(fields)
        if path is not None and path.is_file():
            try:
                found = _whole(path.read_bytes())
            except (SafetensorError, OSError, ValueError, LookupError):
                found = None
            if found is not None:
                self.hits += 1
                return found
        self.misses += 1
        return None

    def write(self, fields: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Keep tensors under the key of ``fields``; a store that cannot be written is told in ``problem``."""
        path = self._path(fields)
        if path is None:
            return
        content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata={
            "key": json.dumps(fields, sort_keys=True, ensure_ascii=False), "digest": weights_digest(tensors)
        })  # fmt: skip
        try:
            write_atomically(path, content)
        except OutputError as error:
            self.problem = str(error)

    def _path(self, fields: dict[str, Any]) -> Path | None:
        if self.root is None:
            return None
        digest = digest_of(fields)
        return self.root / digest[:2] / f"{digest}.safetensors"


def _whole(content: bytes) -> dict[str, Tensor] | None:
    """Return the tensors of an entry, or None when they are not the ones that were written."""
    found = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return found if header["__metadata__"]["digest"] == weights_digest(found) else None
