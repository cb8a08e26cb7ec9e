"""Where the things that come with ganaudit lie, and where it may keep its own."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_dir", "controls", "reference_model", "reference_models"]


def _roots() -> list[Path]:
    package = Path(__file__).resolve().parent
    # A wheel carries the reference models inside the package; a checkout has them beside it.
    return [package / "reference_models", package.parent / "reference_models"]


def reference_models() -> dict[str, Path]:
    """Return the reference models by name: every folder with a ``subject.toml`` or a ``train.toml``."""
    found: dict[str, Path] = {}
    for root in _roots():
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                if (folder / "subject.toml").is_file() or (folder / "train.toml").is_file():
                    found.setdefault(folder.name, folder)
    return found


def controls() -> dict[str, Path]:
    """Return the controls by name, as ``controls/perfect``: every folder with a ``control.toml``."""
    found: dict[str, Path] = {}
    for root in _roots():
        for file in sorted(root.glob("controls/*/control.toml")):
            found.setdefault(f"controls/{file.parent.name}", file.parent)
    return found


def reference_model(name: str) -> Path | None:
    """Return the folder of one reference model or control, or None."""
    return (reference_models() | controls()).get(name)


def cache_dir() -> Path:
    """Return the folder for evidence that may be reused: ``GANAUDIT_CACHE``, else the user's cache folder."""
    override = os.environ.get("GANAUDIT_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("ganaudit", appauthor=False))
