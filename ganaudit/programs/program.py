"""A program read from a file, an exported program, TorchScript or ONNX, or a network that trusted code made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

__all__ = ["Program"]


@dataclass(frozen=True, slots=True)
class Program:
    """A program read from a file, and what the file says of its first input."""

    module: nn.Module
    latent: int | None = None
    """The size of its latents, where the file tells."""
    block: int | None = None
    """The only batch size it takes, where that is fixed."""
    digest: str | None = None
    """Of all its files, where these are more than the one it was read from."""
    trust: Literal["data", "operators", "code"] = "operators"
    runtime: str = ""
    """What runs it where that is not torch, with its version."""
    findings: tuple[str, ...] = ()
    """What was found while it was read that a reader of the audit must know."""
