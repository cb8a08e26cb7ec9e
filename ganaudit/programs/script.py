"""Reads TorchScript files: operators but no Python. Deprecated upstream, read for as long as torch does."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from ganaudit.document.errors import SubjectError
from ganaudit.programs.forms import form_words, is_script
from ganaudit.programs.program import Program
from ganaudit.programs.vetting import vetted_torchscript

__all__ = ["SUFFIXES", "is_script", "read_program"]

SUFFIXES = (".pt", ".ts", ".pth")


def read_program(path: Path, device: str) -> Program:
    """Return the TorchScript program at ``path``; a pickled checkpoint is refused without being read."""
    if not is_script(path):
        raise SubjectError(
            f"{path}: not TorchScript ({form_words(path)}); save the module with "
            "torch.export.save(torch.export.export(...), 'model.pt2')"
        )
    archive = vetted_torchscript(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(archive, map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise SubjectError(f"{path}: torch cannot read it as TorchScript: {str(error).splitlines()[0][:300]}") from None
    return Program(module.eval())
