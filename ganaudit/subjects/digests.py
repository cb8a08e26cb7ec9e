"""Digests of weights and files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import nn

from ganaudit.document.digests import file_digest, json_digest

__all__ = ["file_digest", "is_known", "json_digest", "structure_of", "weights_digest"]


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return ``sha256:...`` over names, dtypes, shapes and bytes of all tensors, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return f"sha256:{total.hexdigest()}"


_KNOWN = ("ganaudit.", "torch.", "torchvision.", "torch_fidelity.")


def is_known(module: nn.Module) -> bool:
    """Return whether the class of every submodule is ganaudit's, torch's or of what it rests on.

    The code of any other, as of a plugin's networks, lies in no file that has a digest.
    """
    return all(type(m).__module__.startswith(_KNOWN) for m in module.modules())


def structure_of(module: nn.Module) -> list[list[str]]:
    """Return class, printed settings and plain attributes of every submodule: equal for equal networks anywhere."""

    def settings(m: nn.Module) -> str:
        plain = {k: v for k, v in vars(m).items() if isinstance(v, bool | int | float | str) and k[0] != "_"}
        return repr(sorted((k, v) for k, v in plain.items() if k != "training"))

    return [[name, type(m).__qualname__, m.extra_repr(), settings(m)] for name, m in module.named_modules()]
