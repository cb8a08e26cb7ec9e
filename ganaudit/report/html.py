"""The report a reviewer signs: one HTML file under 2 MB, complete without script, that asks nothing of any address.

Its one script is ``templates/report.js``; the page names its digest, and a browser runs no other. For hosts that allow
nothing inside a page, the same page is written with its style, script and pictures in files beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import jinja2

from ganaudit.document.errors import DocumentError
from ganaudit.document.files import dumps
from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument, Curve, Gallery, Table, Triplets
from ganaudit.report import words
from ganaudit.report.answers import standing
from ganaudit.report.assets import Assets, Beside, Inside
from ganaudit.report.cautions import cautions
from ganaudit.report.drawings import Drawings
from ganaudit.report.gate_cards import cards, held_words, limit_words, reason
from ganaudit.report.history import history_of
from ganaudit.report.rendering import environment
from ganaudit.report.replay import replay_of
from ganaudit.report.sections import (
    Figure,
    GalleryView,
    Glance,
    Row,
    Section,
    TripletsView,
    anchors_of,
    figure,
    figures_of,
    gap_rows,
    glances,
    judged_keys,
    section,
)
from ganaudit.report.sheets import Sheet, Strips, cell_size, contact_sheet, read_samples, strips
from ganaudit.report.summary import summarise

__all__ = ["MOST_BYTES", "read_samples", "render_folder", "render_html"]

MOST_BYTES = 2_000_000
_DRAWN_ANEW = Drawings()
_SAMPLES_A_ROW = 4
"""A row of three pictures and its words take the place of so many samples."""
_REASONS = 4
"""Open gates that the head of the page names."""


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
    "failed gate": ("bad", "✕"),
    "undecided gate": ("doubt", "?"),
    "warning": ("doubt", "!"),
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
        text = page.render(budget, Inside())
        if len(text.encode()) <= most_bytes:
            return text
    raise _too_large(most_bytes)


def render_folder(
    document: AuditDocument,
    samples: Mapping[str, bytes],
    *,
    most_bytes: int = MOST_BYTES,
    drawings: Drawings = _DRAWN_ANEW,
) -> dict[str, bytes]:
    """Return the report as files by name: index.html, style.css, script.js and pictures in images/.

    Nothing stands inside the page that a policy of ``style-src 'self'; img-src 'self'`` refuses. The files together
    keep to ``most_bytes``, as the one file of ``render_html`` does. Raises DocumentError as it does.
    """
    page = _Page(document, samples, drawings)
    for budget in _BUDGETS:
        assets = Beside()
        files = {"index.html": page.render(budget, assets).encode(), **assets.files}
        if sum(map(len, files.values())) <= most_bytes:
            return files
    raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> DocumentError:
    return DocumentError(
        f"the report of this document would exceed {most_bytes} bytes even without samples and charts; "
        "it has too many results or too long texts; read document.json itself, or allow more with --max-bytes"
    )


class _Page:
    """A document on its way to a page; what is costly is made once for all budgets."""

    def __init__(self, document: AuditDocument, samples: Mapping[str, bytes], drawings: Drawings) -> None:
        self.document = document
        self.samples = samples
        self.drawings = drawings
        self.anchors = anchors_of(document)
        self.replay = replay_of(document)
        self._sheets: dict[object, Sheet] = {}
        self._strips: dict[object, Strips] = {}

    def render(self, budget: _Budget, assets: Assets) -> str:
        document = self.document
        summary = summarise(document)
        galleries = [self._gallery(g, budget, assets) for g in document.galleries]
        sections = [self._section(g, budget, assets) for g in self._glances if g.result.status == "measured"]
        shown: list[Sheet | Strips] = [view.sheet for view in galleries]
        for one in sections:
            shown += [*(view.sheet for view in one.galleries), *(view.sheet for view in one.triplets)]
        text = (
            _templates(budget.text)
            .get_template("report.html.j2")
            .render(
                document=document,
                summary=summary,
                open_gates=cards(document, summary.open),
                reasons=_REASONS,
                cautions=cautions(document),
                training=self._training,
                training_figures=self._training_figures if budget.charts else [],
                gaps=gap_rows(document),
                galleries=galleries,
                glances=self._glances,
                sections=sections,
                evidence={one.result.evaluator: one.evidence for one in sections},
                sample_warnings=[w for sheet in shown for w in sheet.warnings],
                anchors=self.anchors,
                gates=_gates_by_measure(document),
                budget=budget,
                thinned=budget is not _BUDGETS[0],
                assets=assets,
                replays=self.replay is not None,
                digest=hashlib.sha256(dumps(document).encode("utf-8", "surrogatepass")).hexdigest(),
                policy=None if document.policy is None else _policy(document.policy),
            )
        )
        return text.rstrip("\n") + "\n"

    def _section(self, glance: Glance, budget: _Budget, assets: Assets) -> Section:
        result = glance.result
        return section(
            glance,
            judged_keys(self.document.verdicts, result.evaluator),
            self._figures[result.evaluator] if budget.charts else [],
            [self._gallery(d, budget, assets) for d in result.details if isinstance(d, Gallery)],
            [self._triplets(d, budget, assets) for d in result.details if isinstance(d, Triplets)],
        )

    def _gallery(self, gallery: Gallery, budget: _Budget, assets: Assets) -> GalleryView:
        # Small samples look the same under several budgets, and compressing them takes long.
        look = (id(gallery), min(budget.samples, len(gallery.items)), cell_size(gallery, budget.pixels))
        if look not in self._sheets:
            self._sheets[look] = contact_sheet(gallery, self.samples, budget.samples, budget.pixels)
        sheet = self._sheets[look]
        shown = gallery.items[: sheet.shown]
        commands = tuple(None if self.replay is None else self.replay.command(item) for item in shown)
        return GalleryView(gallery, sheet, assets.picture(sheet.png), commands)

    def _triplets(self, triplets: Triplets, budget: _Budget, assets: Assets) -> TripletsView:
        most = min(budget.samples // _SAMPLES_A_ROW, len(triplets.items))
        look = (id(triplets), most, cell_size(triplets, budget.pixels))
        if look not in self._strips:
            self._strips[look] = strips(triplets, self.samples, most, budget.pixels)
        sheet = self._strips[look]
        rows = [
            Row(item, tuple(assets.picture(png) for png in (strip.before, strip.change, strip.after)))
            for item, strip in zip(triplets.items, sheet.strips, strict=False)
        ]
        return TripletsView(triplets, sheet, rows)

    @cached_property
    def _glances(self) -> list[Glance]:
        return glances(self.document, self.anchors)

    @cached_property
    def _training(self) -> tuple[dict[str, Any], list[Curve], list[Table]]:
        return history_of(self.document.subject.training)

    @cached_property
    def _training_figures(self) -> list[Figure]:
        return [
            figure(curve.title, partial(self.drawings.detail, curve, f"training-chart-{i}"))
            for i, curve in enumerate(self._training[1])
        ]

    @cached_property
    def _figures(self) -> dict[str, list[Figure]]:
        return {r.evaluator: figures_of(r, self.anchors[r.evaluator], self.drawings) for r in self.document.results}


def _gates_by_measure(document: AuditDocument) -> dict[str, list[Verdict]]:
    gates: dict[str, list[Verdict]] = {}
    for verdict in document.verdicts:
        gates.setdefault(verdict.measure, []).append(verdict)
    return gates


@cache
def _templates(longest: int) -> jinja2.Environment:
    made = environment(longest)
    made.filters.update(cell=_cell, is_numeric=_is_numeric, indices=_indices, called=_called, standing=standing)
    made.filters.update(limit=limit_words, reason=reason)
    made.globals.update(marks=_MARKS, split_measure=words.split_measure, held_words=held_words)
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


def _indices(view: GalleryView) -> str:
    shown = [item.index for item in view.gallery.items[: view.sheet.shown]]
    if shown and shown == list(range(shown[0], shown[0] + len(shown))):
        return f"indices {shown[0]} to {shown[-1]}, row by row"
    return "in the order of the list below, row by row"
