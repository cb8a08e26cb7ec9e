"""Policies that come with ganaudit, by name; they hold every number against its own null, so they suit any data.

A stricter preset is a breaking change of ganaudit, a milder one is not.
"""

from __future__ import annotations

from importlib import resources

__all__ = ["PRESETS", "preset"]

PRESETS = ("smoke", "standard", "strict")


def preset(name: str) -> str:
    """Return the TOML text of a preset; ``name`` is one of PRESETS."""
    return (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8")
