"""TorchScript files: operators but no Python. Deprecated upstream, read for as long as torch does."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ganaudit.programs.forms import is_pickled
from ganaudit.programs.script import SUFFIXES, read_program
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.programs import subject_of_programs
from ganaudit.subjects.subject import Subject

__all__ = ["TorchScript"]


class TorchScript:
    """Reads a TorchScript generator; what it does not tell comes from ``--latent``, ``--range``, ``--classes``."""

    id: ClassVar[str] = "torchscript"
    formats: ClassVar[str] = "TorchScript (.pt, .ts)"

    def accepts(self, path: Path) -> bool:
        """Return whether ``path`` is a file with a suffix of TorchScript that holds no pickled checkpoint."""
        return path.is_file() and path.suffix in SUFFIXES and not is_pickled(path)

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject; raises SubjectError when the file is not TorchScript or does not do what is claimed."""
        return subject_of_programs(path, self.id, options, read_program)
