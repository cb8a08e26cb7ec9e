"""ONNX files (``.onnx``): data only, for networks of any framework. They give no gradients."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ganaudit.programs.onnx_program import read_program
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.programs import subject_of_programs
from ganaudit.subjects.subject import Subject

__all__ = ["Onnx"]


class Onnx:
    """Reads an ONNX generator; what it does not tell comes from ``--latent``, ``--range``, ``--classes``."""

    id: ClassVar[str] = "onnx"
    formats: ClassVar[str] = "ONNX (.onnx)"

    def accepts(self, path: Path) -> bool:
        """Return whether ``path`` is a ``.onnx`` file."""
        return path.is_file() and path.suffix == ".onnx"

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject; raises SubjectError when the file is no ONNX model or more than data."""
        return subject_of_programs(path, self.id, options, read_program)
