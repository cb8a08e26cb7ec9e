"""Digests of weights and files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

__all__ = ["file_digest", "json_digest", "weights_digest"]


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return ``sha256:...`` over names, dtypes, shapes and bytes of all tensors, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return f"sha256:{total.hexdigest()}"


def file_digest(path: Path) -> str:
    """Return ``sha256:...`` over the bytes of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def json_digest(value: Any) -> str:
    """Return ``sha256:...`` over the canonical JSON of a value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
