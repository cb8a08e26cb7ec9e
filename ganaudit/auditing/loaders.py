"""The formats of subjects that can be read here."""

from __future__ import annotations

import logging

from ganaudit import registry
from ganaudit.document.errors import PluginError
from ganaudit.subjects.loading import Loader

__all__ = ["subject_loaders"]

_LOG = logging.getLogger("ganaudit")


def subject_loaders() -> list[Loader]:
    """Return what reads subjects; somebody's broken plugin is told and passed over, it must not cost every audit."""
    found: list[Loader] = []
    for name in registry.names("subjects"):
        try:
            found.append(_made(name))
        except PluginError as error:
            _LOG.warning("subjects of the format %s cannot be read: %s", name, error)
    # A folder with a subject.toml is also a folder: the loader of samples asks last.
    return sorted(found, key=lambda loader: loader.id == "samples")


def _made(name: str) -> Loader:
    build = registry.find("subjects", name)
    try:
        loader: Loader = build()
    except Exception as error:  # a plugin's code may raise anything
        raise PluginError(f"subject {name!r}: {build!r} cannot be called: {error}") from error
    lacks = [part for part in ("id", "formats", "accepts", "load") if not hasattr(loader, part)]
    if lacks:
        raise PluginError(f"subject {name!r}: {build!r} makes no loader: {loader!r} lacks {', '.join(lacks)}")
    return loader
