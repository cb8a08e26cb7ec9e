"""The known answers K01 to K26: what is expected, what the public numerics measure here, and the test that holds it.

``python -m benchmarks.known_answers`` prints the table; ``make bench`` writes it into RESULTS.md. Every number is
computed when the table is made, by the functions that audits use; a known answer that cannot be met as it was written
has a row that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.answers_of_attacks import attacked
from benchmarks.answers_of_cost import spent
from benchmarks.answers_of_detection import detected
from benchmarks.answers_of_samples import sampled
from benchmarks.known_answer import Answer

__all__ = ["answers", "known_answers", "table"]


def answers() -> Iterator[Answer]:
    """Yield all answers in the order of their ids; about half a minute on one core."""
    yield from sorted([*detected(), *attacked(), *sampled(), *spent()], key=lambda one: one.id)


def known_answers() -> list[dict[str, Any]]:
    """Return the answers as rows of results.json."""
    empty = dict.fromkeys(("ours_seconds", "peer_seconds", "ratio", "target"))
    return [
        {
            "work": f"{one.id}: {one.what}",
            "peer": "closed form or anchor",
            **empty,
            "error": one.off,
            "expected": one.expected,
            "measured": one.measured,
            "tolerance": one.tolerance,
            "met": one.met,
            "held_by": one.test,
            "remark": one.remark,
        }
        for one in answers()
    ]


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table of those of ``rows`` that are known answers."""
    known = [row for row in rows if "expected" in row]
    lines = [
        "| known answer | expected | measured | tolerance | met | held by | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in known:
        numbers = [_told(row[key]) for key in ("expected", "measured", "tolerance")]
        met = "yes" if row["met"] else "**no**"
        cells = [row["work"], *numbers, met, f"`{row['held_by']}`", row["remark"]]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _told(value: Any) -> str:
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return "exact" if value == 0 else f"{value:.8g}"


if __name__ == "__main__":
    print("\n".join(table(known_answers())))
