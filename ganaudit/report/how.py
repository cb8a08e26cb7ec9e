"""How the numbers of one evaluator were made, in words: intervals, nulls, estimators."""

from __future__ import annotations

from dataclasses import dataclass

from ganaudit.document.model import Measurement
from ganaudit.report import words

__all__ = ["How", "how"]


@dataclass(frozen=True, slots=True)
class How:
    """How some numbers were made: a heading, the words and the keys they hold for."""

    heading: str
    text: str
    keys: list[str]


def how(measurements: list[Measurement]) -> list[How]:
    """Return how the numbers were made, equal words told once with all the keys they hold for."""
    told: dict[tuple[str, str], list[str]] = {}
    for m in measurements:
        for heading, text in _words_of(m):
            told.setdefault((heading, text), []).append(m.key)
    order = ("No value", "Interval", "No interval", "Null", "No null", "Not repeatable", "Estimator")
    ranked = sorted(told.items(), key=lambda item: order.index(item[0][0].partition(",")[0]))
    return [How(heading, text, keys) for (heading, text), keys in ranked]


def _words_of(m: Measurement) -> list[tuple[str, str]]:
    found: list[tuple[str, str | None]] = [("Estimator", m.estimator)]
    if m.value is None:
        return [("No value", m.reason or ""), *((h, t) for h, t in found if t)]
    if m.interval is None:
        found.append(("No interval", m.interval_reason))
    else:
        level = f"Interval, {words.short(100 * m.interval.level)} %"
        found.append((level, f"{m.interval.method}. It covers: {m.interval.covers}"))
    if m.volatile:
        found.append(("Not repeatable", "each run measures it anew, as the machine and its load then are"))
    found.append(("No null", m.null_reason) if m.null is None else ("Null", f"{m.null.of}: {m.null.rule}"))
    return [(heading, text) for heading, text in found if text]
