"""What every loader of subjects takes, and how the one that suits a path is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from torch import nn

from ganaudit.data.reading import ReadOptions
from ganaudit.document.errors import SubjectError, nearest
from ganaudit.progress import Progress, Silent
from ganaudit.subjects.subject import Subject

__all__ = ["LoadOptions", "Loader", "load_subject"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What the user says of a subject that its files do not."""

    network: Callable[[str], Callable[..., nn.Module]]
    """Finds a known network by name; raises SubjectError for an unknown one."""
    latent: int | None = None
    value_range: tuple[float, float] | None = None
    classes: int | None = None
    discriminator: Path | None = None
    trust_code: bool = False
    """Whether code may be run for it: Python factories imported, pickles unpickled."""
    device: str = "cpu"
    read: ReadOptions = field(default_factory=ReadOptions)
    progress: Progress = field(default_factory=Silent)


class Loader(Protocol):
    """Reads one format of subject.

    One that has ``takes_names = True`` is also asked about paths that do not exist, as package.module:factory.
    One that runs code of what it reads does so only where ``LoadOptions.trust_code`` is true, and says so in
    ``Subject.trust``.
    """

    id: ClassVar[str]
    formats: ClassVar[str]
    """The paths it accepts, in words."""

    def accepts(self, path: Path) -> bool:
        """Return whether this loader reads ``path``."""

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject; raises SubjectError or SourceError saying what is wrong with it."""


def load_subject(spec: str, loaders: Iterable[Loader], references: Iterable[str], options: LoadOptions) -> Subject:
    """Return the subject at the path ``spec``, read by the first loader that accepts it.

    Raises SubjectError when the path does not exist or no loader accepts it.
    """
    path = Path(spec)
    names = sorted(references)
    offered = list(loaders)
    if not path.exists():
        by_name = (one for one in offered if getattr(one, "takes_names", False) and one.accepts(path))
        named = next(by_name, None)
        if named is not None:
            return named.load(path, options)
        raise SubjectError(
            f"subject {spec!r}: no such file or folder, and no reference model has this name "
            f"(reference models: {', '.join(names) or 'none'}; {nearest(spec, names)})"
        )
    loader = next((one for one in offered if one.accepts(path)), None)
    if loader is None:
        raise SubjectError(
            f"subject {spec!r}: not a format that is known; allowed: " + "; ".join(one.formats for one in offered)
        )
    return loader.load(path, options)
