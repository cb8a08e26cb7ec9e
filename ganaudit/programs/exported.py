"""Reads exported programs (``.pt2``)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganaudit.document.errors import SubjectError
from ganaudit.programs.program import Program
from ganaudit.programs.vetting import vetted_exported_program

__all__ = ["read_program"]


class _Called(nn.Module):
    # The module of an exported program refuses eval() and train(): it was exported in one mode for good.
    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = [program]  # in a list, so that eval() and train() do not reach it
        self.training = False

    def forward(self, *arguments: torch.Tensor) -> Any:
        return self.program[0](*arguments)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        return self.program[0].parameters(recurse)


def read_program(path: Path, device: str) -> Program:
    """Return the exported program at ``path`` with the latent size and batch size it was exported for.

    Raises SubjectError when the archive could run Python while being read (see :mod:`ganaudit.programs.vetting`).
    """
    archive = vetted_exported_program(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = torch.export.load(archive)
        inputs = exported.graph_signature.user_inputs
        node = next((n for n in exported.graph.nodes if n.op == "placeholder" and n.name == inputs[0]), None)
        shape = tuple(node.meta["val"].shape) if node is not None else ()
        module = exported.module().to(device)
    except Exception as error:  # torch raises anything from KeyError to AssertionError on a malformed archive
        raise SubjectError(f"{path}: torch cannot read it as an exported program: {str(error)[:300]}") from error
    return Program(
        _Called(module),
        latent=shape[1]
        if (len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1))) and isinstance(shape[1], int)
        else None,
        block=shape[0] if shape and isinstance(shape[0], int) else None,
    )
