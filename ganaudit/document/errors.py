"""Every error a user can meet, each with the exit code of the command line.

GanauditError                 4  an error inside ganaudit
├── UserError                 2  something given to ganaudit cannot be used
│   ├── ConfigError           2  a configuration, an option or a policy; holds every problem found at once
│   ├── SubjectError          2  the generator, the discriminator or their files
│   ├── SourceError           2  samples or features that are read
│   ├── ExtractorError        2  a feature extractor or its weights
│   ├── WeightsError          2  a weights file that is missing, wrong or cannot be fetched
│   ├── DocumentError         2  a document that cannot be read
│   └── OutputError           2  a place that cannot be written
├── PluginError               2  an entry point that cannot be loaded or breaks its contract
└── EvidenceError             4  a node asked for without being declared, or a broken store

A message says what was asked, what was found, what is allowed and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import ClassVar

__all__ = [
    "ConfigError",
    "DocumentError",
    "EvidenceError",
    "ExtractorError",
    "GanauditError",
    "NotFiniteError",
    "OutputError",
    "PluginError",
    "SourceError",
    "SubjectError",
    "UserError",
    "WeightsError",
    "nearest",
]


class GanauditError(Exception):
    """An error that ganaudit raises on purpose; ``exit_code`` is the process's answer to it."""

    exit_code: ClassVar[int] = 4


class UserError(GanauditError):
    """Something given to ganaudit cannot be used as it stands."""

    exit_code: ClassVar[int] = 2


class ConfigError(UserError):
    """One or more keys of a configuration, options or a policy are wrong; all are told at once."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class SubjectError(UserError):
    """A generator, a discriminator or their files cannot be audited."""


class NotFiniteError(SubjectError):
    """A generator made NaN or infinity of some latents: what asked for these has no answer, others may have."""


class SourceError(UserError):
    """Samples or features cannot be read."""


class ExtractorError(UserError):
    """A feature extractor cannot be built or does not suit the samples."""


class WeightsError(UserError):
    """A weights file is missing, is not what it should be, or cannot be fetched or kept."""


class DocumentError(UserError):
    """An audit document cannot be read."""


class OutputError(UserError):
    """A place that should be written cannot be."""


class PluginError(GanauditError):
    """An entry point cannot be loaded or breaks its contract."""

    exit_code: ClassVar[int] = 2


class EvidenceError(GanauditError):
    """An evidence node was asked for without being declared, or the store is broken."""


def nearest(name: str, allowed: Iterable[str], count: int = 3) -> str:
    """Return a sentence that names the allowed names nearest to ``name``, or all of them when none is near."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=count, cutoff=0.5)
    if close:
        return "nearest: " + ", ".join(close)
    return "allowed: " + (", ".join(names) if names else "none")
