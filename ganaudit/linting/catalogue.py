"""All rules, and how some of them are chosen."""

from __future__ import annotations

from collections.abc import Iterable

from ganaudit.document.errors import ConfigError, nearest
from ganaudit.linting.rule import Rule
from ganaudit.linting.rules import (
    any_number,
    comparisons,
    detection,
    own_files,
    paths_and_cost,
    robustness,
    samples,
)

__all__ = ["FAMILIES", "RULES", "chosen", "rule"]

FAMILIES = {
    "GA0": "Any number",
    "GA1": "Generated against real samples",
    "GA2": "Detectors",
    "GA3": "Attacks",
    "GA4": "Path lengths and cost",
    "GA5": "Comparison and selection",
    "GA9": "Files of ganaudit",
}

RULES: tuple[Rule, ...] = (
    *any_number.RULES,
    *samples.RULES,
    *detection.RULES,
    *robustness.RULES,
    *paths_and_cost.RULES,
    *comparisons.RULES,
    *own_files.RULES,
)


def rule(id: str) -> Rule | None:
    """Return the rule with this id or name, or None."""
    return next((one for one in RULES if id in (one.id, one.name)), None)


def chosen(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> tuple[Rule, ...]:
    """Return the rules that ``select`` names (all, if it names none) without those of ``ignore``.

    A name is an id, a rule's name or the beginning of ids, as GA1. Raises ConfigError with every name that is none.
    """
    select, ignore = list(select), list(ignore)
    problems = [
        f"{option} {name!r}: no such rule; {nearest(name, _names())}"
        for option, names in (("--select", select), ("--ignore", ignore))
        for name in names
        if not any(_meant(name, one) for one in RULES)
    ]
    if problems:
        raise ConfigError(problems)
    kept = [one for one in RULES if not select or any(_meant(name, one) for name in select)]
    return tuple(one for one in kept if not any(_meant(name, one) for name in ignore))


def _meant(name: str, one: Rule) -> bool:
    return name == one.name or (name.upper().startswith("GA") and one.id.startswith(name.upper()))


def _names() -> list[str]:
    return [name for one in RULES for name in (one.id, one.name)]
