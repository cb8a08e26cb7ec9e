"""A number in one line: what it is, and how it stands to its null."""

from __future__ import annotations

from collections.abc import Sequence

from ganaudit.document.model import EvaluatorResult, Measurement
from ganaudit.document.standing import side_of_null
from ganaudit.report import words

__all__ = ["answer", "key_numbers", "standing"]

_MOST_KEY = 4
"""Key numbers of one evaluator beside those that a gate judges."""
_PLAIN_UNITS = ("share", "probability", "ratio")
"""Units that a sentence does without: the number's title says what it is a share of."""


def answer(result: EvaluatorResult, first: str = "") -> str:
    """Return what an evaluator found in one line: one number with its interval and null.

    It is the number of the key ``first``, else the first one that has a value.
    """
    valued = [m for m in result.measurements if m.value is not None]
    found = next((m for m in valued if m.key == first), valued[0] if valued else None)
    if found is None or found.value is None:
        return result.reason or "no number has a value"
    unit = "" if found.unit.startswith(_PLAIN_UNITS) or found.unit in ("", "1") else f" {found.unit}"
    told = f"{found.title}: {words.number(found.value)}{unit} {words.span(found.interval)}".rstrip()
    if found.null is None:
        return told
    span = words.span(found.null) or words.number(found.null.value)
    return f"{told}; {standing(found)}, {found.null.of} {span}"


def standing(found: Measurement) -> str:
    """Return how a number with a value and a null stands to it, in words; empty where it has not both.

    Whether they are apart says ``side_of_null``: a p-value where a test was made, else the distance in standard errors.
    """
    if found.null is None or found.value is None:
        return ""
    side = side_of_null(found)
    if side == "equal":
        return "not told from its null"
    if found.better not in ("lower", "higher"):
        return f"{side} its null"
    return f"{'worse' if (side == 'above') is (found.better == 'lower') else 'better'} than its null"


def key_numbers(measurements: Sequence[Measurement], judged: frozenset[str]) -> list[Measurement]:
    """Return what is shown of an evaluator at first: its first numbers and every one whose key is in ``judged``."""
    first = {m.key for m in [m for m in measurements if m.value is not None][:_MOST_KEY]}
    return [m for m in measurements if m.key in first or m.key in judged]
