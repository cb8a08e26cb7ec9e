"""A program read from a file: an exported program or TorchScript."""

from __future__ import annotations

from dataclasses import dataclass

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
