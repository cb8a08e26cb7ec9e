"""A number in one line: what it is, and how it stands to its null."""

from __future__ import annotations

from collections.abc import Sequence

from ganaudit.document.model import EvaluatorResult, Measurement
from ganaudit.report import words

__all__ = ["answer", "key_numbers", "standing"]

_MOST_KEY = 4
"""Key numbers of one evaluator beside those that a gate judges."""
_TAIL = 0.025
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

    A null with a p-value is told from the number at 2.5 %, as the ends of nulls leave out on either side. Of others
    the interval of the one and the range of the other must not meet; either is its value alone where it has no ends.
    """
    if found.null is None or found.value is None:
        return ""
    low, high = (found.value, found.value) if found.interval is None else (found.interval.low, found.interval.high)
    null = found.null
    least, most = (null.value, null.value) if null.low is None or null.high is None else (null.low, null.high)
    if low <= most and high >= least if null.p_value is None else null.p_value > _TAIL:
        return "not told from its null"
    above = low > most if null.p_value is None else found.value > null.value
    if found.better not in ("lower", "higher"):
        return f"{'above' if above else 'below'} its null"
    return f"{'worse' if above is (found.better == 'lower') else 'better'} than its null"


def key_numbers(measurements: Sequence[Measurement], judged: frozenset[str]) -> list[Measurement]:
    """Return what is shown of an evaluator at first: its first numbers and every one whose key is in ``judged``."""
    first = {m.key for m in [m for m in measurements if m.value is not None][:_MOST_KEY]}
    return [m for m in measurements if m.key in first or m.key in judged]
