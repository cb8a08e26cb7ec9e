"""Names of people: which are one, and what in a name nobody sees."""

from __future__ import annotations

import unicodedata

__all__ = ["same_person", "unseen_in"]

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of controls, of format characters, of halves of characters and of line separators."""
_DRAWN_EMPTY = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)  # fmt: skip
"""Letters, marks and symbols that are drawn as nothing: joiners, fillers, selectors of a variant, an empty pattern."""


def same_person(one: str, other: str) -> bool:
    """Return whether two names are one, as people read them: case, width, blanks and what nobody sees do not matter."""
    return _as_read(one) == _as_read(other)


def unseen_in(name: str) -> str | None:
    """Return in words which characters of ``name`` nobody sees, each by its code and Unicode's name for it, or None."""
    found = dict.fromkeys(c for c in name if _is_unseen(c))
    if not found:
        return None
    told = [f"U+{ord(c):04X} {unicodedata.name(c, 'a control character')}" for c in found]
    return f"{', '.join(told)} cannot be seen, so that two names could look like one; give the name without"


def _as_read(name: str) -> str:
    # Tabs and ends of lines are controls, and part two words.
    seen = (c for c in unicodedata.normalize("NFKC", name).casefold() if c.isspace() or not _is_unseen(c))
    # Once more: what was dropped may have kept a letter from its accent.
    return " ".join(unicodedata.normalize("NFKC", "".join(seen)).split())


def _is_unseen(c: str) -> bool:
    return c in _DRAWN_EMPTY or unicodedata.category(c) in _UNSEEN
