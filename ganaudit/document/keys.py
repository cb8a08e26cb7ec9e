"""Keys of measurements: plain ones, and families such as ``robust-accuracy-at-{budget}``, one key for each budget."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["family", "matching", "member", "part"]

_PART = re.compile(r"\{(\w+)\}")


def member(family: str, entry: str) -> str:
    """Return the key of a family for one entry; a key without braces stays as it is."""
    return _PART.sub(lambda _: entry, family)


def part(family: str, key: str) -> str | None:
    """Return what stands in the braces of ``family`` in ``key``: empty for a plain key, None for another's key."""
    pattern = "([^/{}]+)".join(re.escape(plain) for plain in _PART.split(family)[::2])
    found = re.fullmatch(pattern, key)
    if found is None:
        return None
    return found.group(1) if found.groups() else ""


def family(key: str, families: Iterable[str]) -> str | None:
    """Return the family among ``families`` that ``key`` belongs to, or None; a plain key is a family of its own."""
    known = list(families)
    return key if key in known else next((one for one in known if part(one, key) is not None), None)


def matching(pattern: str, key: str) -> str | None:
    """Return what stands in the braces or for the star of ``pattern`` in ``key``, or None where it does not fit."""
    return part(pattern.replace("*", "{any}"), key) if "/" not in pattern else _whole(pattern, key)


def _whole(pattern: str, measure: str) -> str | None:
    (evaluator, _, key), (other, _, found) = pattern.partition("/"), measure.partition("/")
    if evaluator != other:
        return None
    # A declared family stands for its members: leak-* is leak-{operation}.
    return matching(key, _PART.sub("x", found))
