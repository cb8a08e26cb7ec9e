"""Finds evaluators, extractors, data sets, subject loaders and networks by entry point, listing without importing.

Built-ins come in through the same table as third parties.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ganaudit.document.errors import ConfigError, PluginError, nearest

__all__ = ["KINDS", "Entry", "entries", "find", "names"]

KINDS = {
    "evaluators": "ganaudit.evaluators",
    "extractors": "ganaudit.extractors",
    "attacks": "ganaudit.attacks",
    "datasets": "ganaudit.datasets",
    "subjects": "ganaudit.subjects",
    "networks": "ganaudit.networks",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered thing."""

    name: str
    kind: str
    origin: str
    """The distribution that brought it."""
    summary: str
    """First line of its own docstring, else of its module's."""


def entries(kind: str) -> list[Entry]:
    """Return all entries of a kind, by name; nothing is imported, summaries are read from the source."""
    return [
        Entry(point.name, kind, point.dist.name if point.dist else "unknown", _summary(point))
        for point in sorted(_points(kind), key=lambda p: p.name)
    ]


def names(kind: str) -> list[str]:
    """Return the names of a kind, sorted."""
    return sorted({point.name for point in _points(kind)})


def find(kind: str, name: str) -> Any:
    """Return the object registered under a name.

    Raises ConfigError for an unknown name and PluginError when the object cannot be imported.
    """
    found = [point for point in _points(kind) if point.name == name]
    if not found:
        raise ConfigError(f"{kind.removesuffix('s')} {name!r}: unknown; {nearest(name, names(kind))}")
    try:
        return found[0].load()
    except Exception as error:  # a plugin's module runs as it is imported and may raise anything
        origin = found[0].dist.name if found[0].dist else "unknown"
        raise PluginError(
            f"{kind.removesuffix('s')} {name!r} of {origin}: {found[0].value} cannot be imported: {error}"
        ) from error


def _points(kind: str) -> list[EntryPoint]:
    seen: dict[str, EntryPoint] = {}
    for point in entry_points(group=KINDS[kind]):
        # A name belongs to whom ganaudit itself ships it; a plugin cannot replace a built-in evaluator unseen.
        ours = point.value.startswith("ganaudit.")
        if point.name not in seen or ours:
            seen[point.name] = point
    return list(seen.values())


def _summary(point: EntryPoint) -> str:
    try:
        spec = importlib.util.find_spec(point.module)
        assert spec is not None
        assert spec.origin is not None
        module = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        text = _docstring(module, point.attr) or ast.get_docstring(module) or ""
    except Exception:  # finding a plugin's module runs its package, which may raise anything; the list goes on
        return "(cannot be read)"
    return text.strip().splitlines()[0].replace("``", "") if text.strip() else ""


def _docstring(module: ast.Module, name: str) -> str | None:
    """Return the docstring of the class or function ``name`` at the top of a module."""
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node)
    return None
