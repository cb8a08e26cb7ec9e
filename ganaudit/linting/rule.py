"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ganaudit.linting.claim import Claim, Sheet

__all__ = ["Finding", "Found", "Rule", "Severity", "each"]

Severity = Literal["error", "warning", "note"]
"""error: what is written is wrong or cannot mean what it says. warning: it misleads, or what one needs to read it is
missing. note: a habit to know of."""


@dataclass(frozen=True, slots=True)
class Found:
    """One place where a rule speaks up."""

    where: str
    name: str
    """The number, as the file names it."""
    text: str
    """What was found."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One known trap."""

    id: str
    name: str
    severity: Severity
    misleads: str
    """Why a reader would be misled."""
    advice: str
    """What to do."""
    source: str
    """Where that is known from."""
    check: Callable[[Sheet], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found in a file."""

    file: str
    where: str
    rule: str
    name: str
    """The rule's name."""
    severity: Severity
    number: str
    """The number it is about, as the file names it; empty where it is about the file."""
    found: str
    misleads: str
    advice: str
    source: str


def each(ask: Callable[[Claim], str | None], *metrics: str, own: bool = False) -> Callable[[Sheet], Iterator[Found]]:
    """Return a check that asks ``ask`` of every claim of one of ``metrics`` (of any, if none is named).

    ``ask`` returns what it found, or None. ``own``: ask of the numbers in audit documents as well.
    """

    def check(sheet: Sheet) -> Iterator[Found]:
        for claim in sheet.claims if own else sheet.foreign:
            told = ask(claim) if not metrics or claim.metric in metrics else None
            if told is not None:
                yield Found(claim.where, claim.name, told)

    return check
