"""Pickled networks, as ``.pt``, ``.pth``, ``.pkl`` or ``.ckpt``: unpickling runs code. Only with ``--trust-code``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ganaudit.programs.pickles import is_offered, read_program
from ganaudit.programs.program import Program
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.programs import subject_of_programs
from ganaudit.subjects.subject import Subject

__all__ = ["PickledNetwork"]


class PickledNetwork:
    """Reads a whole generator that ``torch.save`` pickled; of weights alone it says what they lack."""

    id: ClassVar[str] = "pickle"
    formats: ClassVar[str] = "pickled network (.pt, .pth, .pkl, .ckpt, .bin; with --trust-code)"

    def accepts(self, path: Path) -> bool:
        """Return whether ``path`` is a pickled file by its bytes, or by its name; nothing is unpickled."""
        return is_offered(path)

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject; raises SubjectError when the code of the file is not trusted or it holds no network."""

        def read(path: Path, device: str) -> Program:
            trust, latent = options.trust_code, options.latent
            return read_program(path, f"subject {path}", device, trust=trust, role="generator", latent=latent)

        return subject_of_programs(path, self.id, options, read)
