"""What the page shows of each evaluator: its figures, tables and pictures, drawn once for every budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from markupsafe import Markup

from ganaudit.document.gates import Verdict
from ganaudit.document.model import (
    AuditDocument,
    Curve,
    EvaluatorResult,
    Gallery,
    Histogram,
    Measurement,
    Note,
    Table,
    Triplet,
    Triplets,
)
from ganaudit.report import words
from ganaudit.report.answers import answer, key_numbers
from ganaudit.report.drawings import Drawing, Drawings
from ganaudit.report.how import How, how
from ganaudit.report.sheets import Sheet, Strips
from ganaudit.report.summary import OUTCOMES, Gap, gaps
from ganaudit.report.svg import ChartError

__all__ = [
    "Figure",
    "GalleryView",
    "GapRow",
    "Glance",
    "Row",
    "Section",
    "TripletsView",
    "anchors_of",
    "figures_of",
    "gap_rows",
    "glances",
    "judged_keys",
    "section",
]


class Figure:
    """A chart that is drawn when it is begun, and waited for when it is looked at; or the reason why there is none."""

    def __init__(self, title: str, draw: Callable[[], Drawing], data: Curve | Histogram | None = None) -> None:
        self.title = title
        self.data = data
        """What the chart shows, where that is not what a table of numbers beside it says."""
        self._draw = draw
        self._drawing: Drawing | None = None
        self.problem = ""
        """Why there is no chart, once it was looked at."""

    def begin(self) -> None:
        """Have it drawn."""
        if self._drawing is None and not self.problem:
            try:
                self._drawing = self._draw()
            except ChartError as error:
                self.problem = str(error)

    @cached_property
    def svg(self) -> Markup | None:
        """The chart; None when it cannot be drawn."""
        self.begin()
        try:
            # svg.py wrote it as XML and let no script or address pass
            return None if self._drawing is None else Markup(self._drawing())  # noqa: S704
        except ChartError as error:
            self.problem = str(error)
            return None


@dataclass(frozen=True, slots=True)
class GalleryView:
    """A gallery as its contact sheet."""

    gallery: Gallery
    sheet: Sheet
    address: Markup
    """Where the sheet is: a data address, or a file beside the page."""
    commands: tuple[str | None, ...]
    """What draws each shown sample again, where something does."""


@dataclass(frozen=True, slots=True)
class Row:
    """One sample before a change, the change, and the sample after it."""

    item: Triplet
    pictures: tuple[Markup, ...]
    """Where the three are."""


@dataclass(frozen=True, slots=True)
class TripletsView:
    """Samples before and after a change, a row each."""

    triplets: Triplets
    sheet: Strips
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Section:
    """One evaluator as the page shows it."""

    result: EvaluatorResult
    anchor: str
    glance: Glance
    key: list[Measurement]
    """Numbers that stand in sight."""
    rest: list[Measurement]
    """The others, as far as there is room for them."""
    left: int
    """How many there is no room for."""
    figures: list[Figure]
    tables: list[Table]
    galleries: list[GalleryView]
    triplets: list[TripletsView]
    notes: list[str]
    how: list[How]

    @property
    def evidence(self) -> list[tuple[str, str]]:
        """Anchor and title of each chart and gallery."""
        told = [(f"{self.anchor}-figure-{i}", f.title) for i, f in enumerate(self.figures, 1)]
        told += [(f"{self.anchor}-gallery-{i}", v.gallery.title) for i, v in enumerate(self.galleries, 1)]
        return told + [(f"{self.anchor}-triplets-{i}", v.triplets.title) for i, v in enumerate(self.triplets, 1)]


@dataclass(frozen=True, slots=True)
class Glance:
    """One evaluator in one line."""

    result: EvaluatorResult
    anchor: str
    status: str
    """What a reader must know first of it: a gate that is open, a warning, that its gates passed, or how it went."""
    answer: str

    @property
    def is_open(self) -> bool:
        """Whether its details stand open: something in them is to be looked at."""
        return self.status in ("failed gate", "undecided gate", "missing gate", "warning")


def glances(document: AuditDocument, anchors: dict[str, str]) -> list[Glance]:
    """Return every evaluator in one line, in the document's order."""
    found = []
    for result in document.results:
        mine = [v for v in document.verdicts if v.measure.partition("/")[0] == result.evaluator]
        worst = min(mine, key=lambda v: OUTCOMES.index(v.outcome), default=None)
        key = "" if worst is None else worst.measure.partition("/")[2]
        status = _status(result, {v.outcome for v in mine})
        found.append(Glance(result, anchors[result.evaluator], status, answer(result, key)))
    return found


def _status(result: EvaluatorResult, found: set[str]) -> str:
    if "failed" in found:
        return "failed gate"
    if "inconclusive" in found:
        return "undecided gate"
    if "missing" in found:
        return "missing gate"
    if result.status != "measured":
        return result.status
    if result.warnings:
        return "warning"
    return "passed" if found else "measured"


@dataclass(frozen=True, slots=True)
class GapRow:
    """Numbers of one evaluator that are missing for one reason, or an evaluator that is missing whole."""

    gaps: tuple[Gap, ...]

    @property
    def first(self) -> Gap:
        """The one that tells evaluator, status and reason of all."""
        return self.gaps[0]


def gap_rows(document: AuditDocument) -> list[GapRow]:
    """Return what was declared and has no number, one row for each reason of an evaluator; failures first."""
    rows: dict[tuple[str, str, str, bool], list[Gap]] = {}
    for gap in gaps(document):
        rows.setdefault((gap.evaluator, gap.status, gap.reason, bool(gap.key)), []).append(gap)
    return [GapRow(tuple(mine)) for mine in rows.values()]


def anchors_of(document: AuditDocument) -> dict[str, str]:
    """Return the id of each evaluator's section: its name, with a number behind one that is taken."""
    anchors: dict[str, str] = {}
    for result in document.results:
        if result.evaluator not in anchors:
            name = f"evaluator-{words.slug(result.evaluator)}"
            taken = sum(a == name or a.startswith(f"{name}--") for a in anchors.values())
            anchors[result.evaluator] = f"{name}--{taken + 1}" if taken else name
    return anchors


def section(
    glance: Glance,
    judged: frozenset[str],
    figures: list[Figure],
    galleries: list[GalleryView],
    triplets: list[TripletsView],
    rows: int,
) -> Section:
    """Return what is shown of a measured evaluator: the numbers of the keys in ``judged`` in sight, ``rows`` others."""
    result = glance.result
    key = key_numbers(result.measurements, judged)
    in_sight = {m.key for m in key}
    others = [m for m in result.measurements if m.key not in in_sight]
    shown = {*in_sight, *(m.key for m in others[:rows])}
    return Section(
        result=result,
        anchor=glance.anchor,
        glance=glance,
        key=key,
        rest=others[:rows],
        left=len(others[rows:]),
        figures=figures,
        tables=[d for d in result.details if isinstance(d, Table)],
        galleries=galleries,
        triplets=triplets,
        notes=[d.text for d in result.details if isinstance(d, Note)],
        how=how([m for m in result.measurements if m.key in shown]),
    )


def judged_keys(verdicts: Sequence[Verdict], evaluator: str) -> frozenset[str]:
    """Return the keys of an evaluator's numbers that some gate judges."""
    parts = [v.measure.partition("/") for v in verdicts]
    return frozenset(key for name, _, key in parts if name == evaluator)


def figures_of(result: EvaluatorResult, anchor: str, drawings: Drawings) -> list[Figure]:
    """Return the charts of a result; one of its numbers with their intervals and nulls where it has none."""
    figures = []
    for i, detail in enumerate(result.details):
        if isinstance(detail, Curve | Histogram):
            draw = partial(drawings.detail, detail, f"{anchor}-chart-{i}")
            figures.append(Figure(detail.title, draw, detail))
    if not figures and any(m.value is not None and (m.interval or m.null) for m in result.measurements):
        draw = partial(drawings.measurements, result.measurements, f"{anchor}-chart")
        figures.append(Figure("The numbers with their intervals and nulls", draw))
    return figures
