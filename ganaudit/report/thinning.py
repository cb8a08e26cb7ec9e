"""What a page leaves out to stay within its bytes, step by step, and how it says so.

Pictures go first, then charts, which leave tables of their data, then the table that repeats all numbers, then the
later rows of long tables and the ends of long texts. Verdicts, gates, cautions and key numbers stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from ganaudit.document.errors import DocumentError
from ganaudit.report.words import count

__all__ = ["STEPS", "WHOLE", "Left", "Step", "fitting", "left_words"]

_Page = TypeVar("_Page")


@dataclass(frozen=True, slots=True)
class Step:
    """How much of a document one page shows."""

    samples: int = 64
    """Samples of each gallery at the head of the page."""
    evidence: int = 64
    """Samples of each gallery inside an evaluator's section."""
    pixels: int = 128
    """The larger side of one sample."""
    charts: bool = True
    """Whether charts are drawn; else they stand as tables of their data."""
    points: int = 12
    """Rows of such a table."""
    every: bool = True
    """Whether one table repeats the numbers of all evaluators, to sort and to filter."""
    rows: int = 200
    """Rows of a table."""
    numbers: int = 1_000
    """Numbers of an evaluator beside its key numbers."""
    text: int = 20_000
    """Characters of a text."""
    options: bool = True
    """Whether options and references of evaluators are listed."""


WHOLE = Step()
_PICTURES = (
    replace(WHOLE, pixels=96),
    replace(WHOLE, pixels=64),
    replace(WHOLE, pixels=64, samples=32, evidence=32),
    replace(WHOLE, pixels=64, samples=16, evidence=16),
    replace(WHOLE, pixels=64, samples=8, evidence=8),
    replace(WHOLE, pixels=64, samples=8, evidence=0),
)
_CHARTLESS = replace(_PICTURES[-1], charts=False)
_TABLES = (
    _CHARTLESS,
    replace(_CHARTLESS, every=False),
    replace(_CHARTLESS, every=False, rows=50),
    replace(_CHARTLESS, every=False, rows=20, text=5_000),
    replace(_CHARTLESS, every=False, rows=10, points=6, numbers=20, text=2_000),
    replace(_CHARTLESS, every=False, rows=5, points=0, numbers=10, text=1_000),
    replace(_CHARTLESS, every=False, rows=3, points=0, numbers=5, text=1_000, options=False),
    replace(_CHARTLESS, every=False, rows=0, points=0, numbers=5, text=1_000, options=False),
    replace(_CHARTLESS, every=False, rows=0, points=0, numbers=0, text=600, options=False),
)
STEPS = (WHOLE, *_PICTURES, *_TABLES, replace(_TABLES[-1], samples=0, text=300))


def fitting(made: Callable[[Step, int], tuple[_Page, int]], most_bytes: int) -> _Page:
    """Return the page that leaves out the least and keeps to ``most_bytes``.

    ``made`` makes the page of a step and tells its bytes; it is told those of the whole page, 0 while they are not
    known. Each step leaves out more than the one before, so the first that fits is found by halving.
    Raises DocumentError when none does.
    """
    page, whole = made(STEPS[0], 0)
    if whole <= most_bytes:
        return page
    found: _Page | None = None
    low, high = 1, len(STEPS) - 1
    least = 0
    while low <= high:
        # The last one first: what does not fit even so is refused at once.
        middle = high if found is None and high == len(STEPS) - 1 else (low + high) // 2
        page, size = made(STEPS[middle], whole)
        least = least or size
        if size <= most_bytes:
            found, high = page, middle - 1
        else:
            low = middle + 1
    if found is None:
        raise DocumentError(
            f"the report of this document would exceed {most_bytes} bytes even without samples and charts and with its "
            f"tables and texts cut: it would have {least}, and {whole} whole; allow more with --max-bytes, or read "
            "document.json itself"
        )
    return found


@dataclass(frozen=True, slots=True)
class Left:
    """What a page leaves out, counted."""

    pictures: int
    """Samples that a whole page shows and this one does not."""
    reduced: bool
    """Whether samples are shown smaller than a whole page shows them."""
    charts: int
    """Charts of the document."""
    tables: int
    """Tables that are cut."""


def left_words(step: Step, left: Left) -> list[str]:
    """Return what a page of ``step`` leaves out, in words and in the order in which it goes."""
    told = []
    if left.reduced:
        told.append(f"samples larger than {step.pixels} pixels are reduced to that")
    if left.pictures:
        told.append(f"{_number(left.pictures, 'sample')} not shown")
    if not step.charts and left.charts:
        told.append(f"{_number(left.charts, 'chart')} not drawn{_in_their_place(left.charts, step.points)}")
    if not step.every:
        told.append("the table that repeats all numbers is left out")
    if left.tables:
        told.append(f"{_number(left.tables, 'table')} {f'cut after {step.rows} rows' if step.rows else 'left out'}")
    if step.text < WHOLE.text:
        told.append(f"texts are cut after {count(step.text)} characters")
    if not step.options:
        told.append("options and references of evaluators are left out")
    return told


def _in_their_place(charts: int, points: int) -> str:
    if not points:
        return ""
    return ", but a few rows of its data stand there" if charts == 1 else ", but a few rows of their data stand there"


def _number(n: int, what: str) -> str:
    return f"1 {what} is" if n == 1 else f"{count(n)} {what}s are"
