"""Digests of weights and files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch

from ganaudit.document.digests import file_digest, json_digest

__all__ = ["file_digest", "json_digest", "weights_digest"]


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return ``sha256:...`` over names, dtypes, shapes and bytes of all tensors, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return f"sha256:{total.hexdigest()}"
