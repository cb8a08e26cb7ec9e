"""Attacks by name, of whoever registered them, to be made beside our own within every ball."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from ganaudit import registry
from ganaudit.attacks.threat import Attack
from ganaudit.document.errors import GanauditError, nearest

__all__ = ["plugged"]


def plugged(names: Sequence[str], steps: int) -> list[Attack]:
    """Return the attacks registered under ``names``, with ``steps`` steps where they count steps, else as they come.

    ValueError for a name that is unknown or stands twice, and for an attack that cannot be made: its package lacks, or
    it has options without a default.
    """
    if len(set(names)) < len(names):
        raise ValueError(f"attacks: found {list(names)}; allowed: each once; leave out what stands twice")
    return [_made(name, steps) for name in names]


def _made(name: str, steps: int) -> Attack:
    known = registry.names("attacks")
    if name not in known:
        raise ValueError(f"attacks: {name!r} is unknown; {nearest(name, known)}")
    try:
        attack = registry.find("attacks", name)()
        check = getattr(attack, "check", None)
        if check is not None:
            check()
    except GanauditError as error:
        raise ValueError(f"attacks: {error}") from None
    except TypeError as error:
        raise ValueError(f"attacks: {name!r} cannot be made without options: {error}") from None
    return _with(attack, steps)


def _with(attack: Any, steps: int) -> Attack:
    counts = is_dataclass(attack) and not isinstance(attack, type) and "steps" in {f.name for f in fields(attack)}
    made: Attack = replace(attack, steps=steps) if counts else attack
    return made
