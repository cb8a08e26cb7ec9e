"""TorchScript files: operators but no Python. Deprecated upstream, read for as long as torch does."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import ClassVar

import torch

from ganaudit.document.errors import SubjectError
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.programs import Program, subject_of_programs
from ganaudit.subjects.subject import Subject
from ganaudit.subjects.vetting import vetted_torchscript

__all__ = ["SUFFIXES", "TorchScript", "read_program"]

SUFFIXES = (".pt", ".ts", ".pth")


class TorchScript:
    """Reads a TorchScript generator; what it does not tell comes from ``--latent``, ``--range``, ``--classes``."""

    id: ClassVar[str] = "torchscript"
    formats: ClassVar[str] = "TorchScript (.pt, .ts)"

    def accepts(self, path: Path) -> bool:
        """Return whether ``path`` is a file with a suffix of TorchScript."""
        return path.is_file() and path.suffix in SUFFIXES

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject; raises SubjectError when the file is not TorchScript or does not do what is claimed."""
        return subject_of_programs(path, self.id, options, read_program)


def read_program(path: Path, device: str) -> Program:
    """Return the TorchScript program at ``path``; a pickled checkpoint is refused without being read."""
    if not _is_script(path):
        raise SubjectError(
            f"{path}: not TorchScript (it may be a pickled checkpoint, which could run code while being read, and is "
            "never opened); save the module with torch.export.save(torch.export.export(...), 'model.pt2')"
        )
    archive = vetted_torchscript(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(archive, map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise SubjectError(f"{path}: torch cannot read it as TorchScript: {str(error).splitlines()[0][:300]}") from None
    return Program(module.eval())


def _is_script(path: Path) -> bool:
    """Return whether the archive holds compiled code: a checkpoint written by ``torch.save`` has none."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())
