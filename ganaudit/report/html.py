"""The report a reviewer signs: one HTML file under 2 MB, complete without script, that asks nothing of any address.

Its one script is ``templates/report.js``; the page names its digest, and a browser runs no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import jinja2
from markupsafe import Markup

from ganaudit.document.errors import DocumentError
from ganaudit.document.files import dumps
from ganaudit.document.gates import Verdict
from ganaudit.document.model import (
    AuditDocument,
    Curve,
    EvaluatorResult,
    Gallery,
    Histogram,
    Table,
    Triplet,
    Triplets,
)
from ganaudit.report import words
from ganaudit.report.drawings import Drawings
from ganaudit.report.history import history_of
from ganaudit.report.how import How, how
from ganaudit.report.rendering import address, content_hash, environment, packaged
from ganaudit.report.sheets import Sheet, Strips, cell_size, contact_sheet, read_samples, strips
from ganaudit.report.summary import gaps, summarise
from ganaudit.report.svg import ChartError

__all__ = ["MOST_BYTES", "read_samples", "render_html"]

MOST_BYTES = 2_000_000
_DRAWN_ANEW = Drawings()
_SAMPLES_A_ROW = 4
"""A row of three pictures and its words take the place of so many samples."""


@dataclass(frozen=True, slots=True)
class _Budget:
    """How much of a document one page shows."""

    samples: int
    pixels: int
    rows: int
    text: int
    charts: bool = True


# What goes first when a page grows too large: pixels, then samples, then table rows, at last the charts.
_BUDGETS = (
    _Budget(samples=64, pixels=128, rows=200, text=20_000),
    _Budget(samples=64, pixels=96, rows=200, text=20_000),
    _Budget(samples=64, pixels=64, rows=200, text=20_000),
    _Budget(samples=32, pixels=64, rows=200, text=20_000),
    _Budget(samples=16, pixels=64, rows=100, text=5_000),
    _Budget(samples=8, pixels=64, rows=50, text=2_000),
    _Budget(samples=0, pixels=64, rows=20, text=600),
    _Budget(samples=0, pixels=64, rows=10, text=300, charts=False),
)

_MARKS = {
    "passed": ("good", "✓"),
    "failed": ("bad", "✕"),
    "inconclusive": ("doubt", "?"),
    "incomplete": ("doubt", "?"),
    "missing": ("doubt", "!"),
    "no value": ("doubt", "!"),
    "waived": ("calm", "○"),
    "not_assessable": ("calm", "–"),
    "skipped": ("calm", "»"),
    "measured": ("calm", "✓"),
    "unjudged": ("calm", "–"),
}


def render_html(
    document: AuditDocument,
    samples: Mapping[str, bytes],
    *,
    most_bytes: int = MOST_BYTES,
    drawings: Drawings = _DRAWN_ANEW,
) -> str:
    """Return the report as one HTML page; ``samples`` holds the gallery files as ``read_samples`` returns them.

    ``drawings`` may keep charts, which take most of the time of a page. A page that would exceed ``most_bytes`` shows
    smaller and fewer samples, then fewer table rows, and says so.
    Raises DocumentError when the document is too large even without pictures.
    """
    page = _Page(document, samples, drawings)
    for budget in _BUDGETS:
        text = page.render(budget, thinned=budget is not _BUDGETS[0])
        if len(text.encode()) <= most_bytes:
            return text
    raise DocumentError(
        f"the report of this document would exceed {most_bytes} bytes even without samples and charts; "
        "it has too many results or too long texts; read document.json itself"
    )


@dataclass(frozen=True, slots=True)
class _Figure:
    """A chart, or the reason why there is none."""

    title: str
    svg: Markup | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _GalleryView:
    gallery: Gallery
    sheet: Sheet
    address: Markup
    """The sheet as a data address."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One sample before a change, the change, and the sample after it."""

    item: Triplet
    pictures: tuple[Markup, ...]
    """The three as data addresses."""


@dataclass(frozen=True, slots=True)
class _TripletsView:
    triplets: Triplets
    sheet: Strips
    rows: list[_Row]


@dataclass(frozen=True, slots=True)
class _Section:
    """One evaluator as the page shows it."""

    result: EvaluatorResult
    anchor: str
    figures: list[_Figure]
    tables: list[Table]
    galleries: list[_GalleryView]
    triplets: list[_TripletsView]
    notes: list[str]
    how: list[How]


class _Page:
    """A document on its way to a page; what is costly is made once for all budgets."""

    def __init__(self, document: AuditDocument, samples: Mapping[str, bytes], drawings: Drawings) -> None:
        self.document = document
        self.samples = samples
        self.drawings = drawings
        self.anchors = _anchors(document)
        self._sheets: dict[object, _GalleryView] = {}
        self._strips: dict[object, _TripletsView] = {}

    def render(self, budget: _Budget, *, thinned: bool) -> str:
        document = self.document
        galleries = [self._gallery(g, budget) for g in document.galleries]
        sections = [self._section(r, budget) for r in document.results if r.status == "measured"]
        shown: list[Sheet | Strips] = [view.sheet for view in galleries]
        for section in sections:
            shown += [*(view.sheet for view in section.galleries), *(view.sheet for view in section.triplets)]
        style, script = packaged("report.css"), packaged("report.js")
        text = (
            _templates(budget.text)
            .get_template("report.html.j2")
            .render(
                document=document,
                summary=summarise(document),
                training=self._training,
                training_figures=self._training_figures if budget.charts else [],
                gaps=gaps(document),
                galleries=galleries,
                sections=sections,
                sample_warnings=[w for sheet in shown for w in sheet.warnings],
                anchors=self.anchors,
                gates=_gates_by_measure(document),
                budget=budget,
                thinned=thinned,
                style=Markup(style),  # noqa: S704  our own style sheet, from the package
                style_hash=content_hash(style),
                script=Markup(script),  # noqa: S704  our own script, from the package
                script_hash=content_hash(script),
                digest=hashlib.sha256(dumps(document).encode("utf-8", "surrogatepass")).hexdigest(),
                policy=None if document.policy is None else _policy(document.policy),
            )
        )
        return text.rstrip("\n") + "\n"

    def _section(self, result: EvaluatorResult, budget: _Budget) -> _Section:
        details = result.details
        return _Section(
            result=result,
            anchor=self.anchors[result.evaluator],
            figures=self._figures[result.evaluator] if budget.charts else [],
            tables=[d for d in details if d.kind == "table"],
            galleries=[self._gallery(d, budget) for d in details if d.kind == "gallery"],
            triplets=[self._triplets(d, budget) for d in details if d.kind == "triplets"],
            notes=[d.text for d in details if d.kind == "note"],
            how=how(result.measurements),
        )

    def _gallery(self, gallery: Gallery, budget: _Budget) -> _GalleryView:
        # Small samples look the same under several budgets, and compressing them takes long.
        look = (id(gallery), min(budget.samples, len(gallery.items)), cell_size(gallery, budget.pixels))
        if look not in self._sheets:
            sheet = contact_sheet(gallery, self.samples, budget.samples, budget.pixels)
            self._sheets[look] = _GalleryView(gallery, sheet, address(sheet.png))
        return self._sheets[look]

    def _triplets(self, triplets: Triplets, budget: _Budget) -> _TripletsView:
        most = min(budget.samples // _SAMPLES_A_ROW, len(triplets.items))
        look = (id(triplets), most, cell_size(triplets, budget.pixels))
        if look not in self._strips:
            sheet = strips(triplets, self.samples, most, budget.pixels)
            rows = [
                _Row(item, tuple(address(png) for png in (strip.before, strip.change, strip.after)))
                for item, strip in zip(triplets.items, sheet.strips, strict=False)
            ]
            self._strips[look] = _TripletsView(triplets, sheet, rows)
        return self._strips[look]

    @cached_property
    def _training(self) -> tuple[dict[str, Any], list[Curve], list[Table]]:
        return history_of(self.document.subject.training)

    @cached_property
    def _training_figures(self) -> list[_Figure]:
        return [
            _figure(curve.title, partial(self.drawings.detail, curve, f"training-chart-{i}"))
            for i, curve in enumerate(self._training[1])
        ]

    @cached_property
    def _figures(self) -> dict[str, list[_Figure]]:
        return {r.evaluator: _draw(r, self.anchors[r.evaluator], self.drawings) for r in self.document.results}


def _anchors(document: AuditDocument) -> dict[str, str]:
    anchors: dict[str, str] = {}
    for result in document.results:
        if result.evaluator not in anchors:
            name = f"evaluator-{words.slug(result.evaluator)}"
            taken = sum(a == name or a.startswith(f"{name}--") for a in anchors.values())
            anchors[result.evaluator] = f"{name}--{taken + 1}" if taken else name
    return anchors


def _gates_by_measure(document: AuditDocument) -> dict[str, list[Verdict]]:
    gates: dict[str, list[Verdict]] = {}
    for verdict in document.verdicts:
        gates.setdefault(verdict.measure, []).append(verdict)
    return gates


def _draw(result: EvaluatorResult, anchor: str, drawings: Drawings) -> list[_Figure]:
    figures = []
    for i, detail in enumerate(result.details):
        if isinstance(detail, Curve | Histogram):
            figures.append(_figure(detail.title, partial(drawings.detail, detail, f"{anchor}-chart-{i}")))
    if not figures and any(m.value is not None and (m.interval or m.null) for m in result.measurements):
        draw = partial(drawings.measurements, result.measurements, f"{anchor}-chart")
        figures.append(_figure("The numbers with their intervals and nulls", draw))
    return figures


def _figure(title: str, draw: Callable[[], str]) -> _Figure:
    try:
        return _Figure(title, Markup(draw()))  # noqa: S704  svg.py wrote it as XML and let no script or address pass
    except ChartError as error:
        return _Figure(title, None, str(error))


@cache
def _templates(longest: int) -> jinja2.Environment:
    made = environment(longest)
    made.filters.update(cell=_cell, is_numeric=_is_numeric, indices=_indices, called=_called)
    made.globals.update(marks=_MARKS, split_measure=words.split_measure)
    return made


def _policy(policy: Mapping[str, Any]) -> str:
    """Return the policy as text, one gate or waiver a line."""
    lines = []
    for key, value in policy.items():
        entries = value if isinstance(value, list) else [value]
        lines += [f"{key}: {json.dumps(entry, ensure_ascii=False)}" for entry in entries]
    return "\n".join(lines)


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return words.count(value) if isinstance(value, int) else words.number(value)


def _is_numeric(table: Table, column: int) -> bool:
    cells = [row[column] for row in table.rows if column < len(row)]
    return any(c is not None for c in cells) and all(c is None or not isinstance(c, str) for c in cells)


def _called(score: float, threshold: float | None) -> str:
    if threshold is None:
        return ""
    return "called generated" if score < threshold else "called real"


def _indices(view: _GalleryView) -> str:
    shown = [item.index for item in view.gallery.items[: view.sheet.shown]]
    if shown and shown == list(range(shown[0], shown[0] + len(shown))):
        return f"indices {shown[0]} to {shown[-1]}, row by row"
    return "in the order of the list below, row by row"
