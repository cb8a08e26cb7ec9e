"""Exported programs (``.pt2``): the first-class format for foreign models."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ganaudit.programs.exported import read_program
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.programs import subject_of_programs
from ganaudit.subjects.subject import Subject

__all__ = ["ExportedProgram"]


class ExportedProgram:
    """Reads a generator saved with ``torch.export.save``."""

    id: ClassVar[str] = "exported-program"
    formats: ClassVar[str] = "exported program (.pt2)"

    def accepts(self, path: Path) -> bool:
        """Return whether ``path`` is a ``.pt2`` file."""
        return path.is_file() and path.suffix == ".pt2"

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject; raises SubjectError when the file is not an exported program or could run Python."""
        return subject_of_programs(path, self.id, options, read_program)
