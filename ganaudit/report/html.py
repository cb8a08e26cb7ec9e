"""The report a reviewer signs: one HTML file under 2 MB, complete without script, that asks nothing of any address.

Its one script is ``templates/report.js``; the page names its digest, and a browser runs no other. For hosts that allow
nothing inside a page, the same page is written with its style, script and pictures in files beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any

import jinja2

from ganaudit.document.files import dumps
from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument, Curve, Gallery, Table, Triplets
from ganaudit.report import words
from ganaudit.report.answers import standing
from ganaudit.report.assets import Assets, Beside, Inside
from ganaudit.report.cautions import cautions
from ganaudit.report.chart_data import data_table
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
    figures_of,
    gap_rows,
    glances,
    judged_keys,
    section,
)
from ganaudit.report.sheets import Sheet, Strips, cell_size, contact_sheet, read_samples, strips
from ganaudit.report.summary import summarise
from ganaudit.report.thinning import WHOLE, Left, Step, fitting, left_words

__all__ = ["MOST_BYTES", "read_samples", "render_folder", "render_html"]

MOST_BYTES = 2_000_000
_DRAWN_ANEW = Drawings()
_SAMPLES_A_ROW = 4
"""A row of three pictures and its words take the place of so many samples."""
_REASONS = 4
"""Open gates that the head of the page names."""


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
    "missing gate": ("doubt", "!"),
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
    page = _Page(document, samples, drawings, most_bytes)

    def made(step: Step, whole: int) -> tuple[str, int]:
        text = page.render(step, Inside(), whole)
        return text, len(text.encode())

    return fitting(made, most_bytes)


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
    page = _Page(document, samples, drawings, most_bytes)

    def made(step: Step, whole: int) -> tuple[dict[str, bytes], int]:
        assets = Beside()
        files = {"index.html": page.render(step, assets, whole).encode(), **assets.files}
        return files, sum(map(len, files.values()))

    return fitting(made, most_bytes)


class _Page:
    """A document on its way to a page; what is costly is made once for all steps of thinning."""

    def __init__(
        self, document: AuditDocument, samples: Mapping[str, bytes], drawings: Drawings, most_bytes: int
    ) -> None:
        self.document = document
        self.samples = samples
        self.drawings = drawings
        self.most_bytes = most_bytes
        self.anchors = anchors_of(document)
        self.replay = replay_of(document)
        self._sheets: dict[object, Sheet] = {}
        self._strips: dict[object, Strips] = {}

    def render(self, step: Step, assets: Assets, whole: int) -> str:
        """Return the page at a step of thinning; ``whole`` is how many bytes it has without any, if it is known."""
        document = self.document
        if step.charts:
            for figure in [*self._training_figures, *(f for figures in self._figures.values() for f in figures)]:
                figure.begin()  # where charts are drawn beside this process, it does all else meanwhile
        template = _templates(step.text).get_template("report.html.j2")
        digest, summary = self._digest, summarise(document)
        galleries = [self._gallery(g, step.samples, step, assets) for g in document.galleries]
        sections = [self._section(g, step, assets) for g in self._glances if g.result.status == "measured"]
        shown: list[Sheet | Strips] = [view.sheet for view in galleries]
        for one in sections:
            shown += [*(view.sheet for view in one.galleries), *(view.sheet for view in one.triplets)]
        text = template.render(
            document=document,
            summary=summary,
            open_gates=cards(document, summary.open),
            reasons=_REASONS,
            cautions=cautions(document),
            training=self._training,
            training_figures=self._training_figures,
            gaps=gap_rows(document),
            galleries=galleries,
            glances=self._glances,
            sections=sections,
            evidence={one.result.evaluator: one.evidence for one in sections},
            sample_warnings=[w for sheet in shown for w in sheet.warnings],
            anchors=self.anchors,
            gates=_gates_by_measure(document),
            step=step,
            left=[] if step is WHOLE else left_words(step, self._left(step, galleries, sections)),
            most_bytes=self.most_bytes,
            whole=whole,
            assets=assets,
            replays=self.replay is not None,
            digest=digest,
            policy=None if document.policy is None else _policy(document.policy),
        )
        return text.rstrip("\n") + "\n"

    def _section(self, glance: Glance, step: Step, assets: Assets) -> Section:
        result = glance.result
        galleries = [self._gallery(d, step.evidence, step, assets) for d in result.details if isinstance(d, Gallery)]
        triplets = [self._triplets(d, step, assets) for d in result.details if isinstance(d, Triplets)]
        judged = judged_keys(self.document.verdicts, result.evaluator)
        return section(glance, judged, self._figures[result.evaluator], galleries, triplets, step.numbers)

    def _gallery(self, gallery: Gallery, most: int, step: Step, assets: Assets) -> GalleryView:
        # Small samples look the same at several steps, and compressing them takes long.
        look = (id(gallery), min(most, len(gallery.items)), cell_size(gallery, step.pixels))
        if look not in self._sheets:
            self._sheets[look] = contact_sheet(gallery, self.samples, most, step.pixels)
        sheet = self._sheets[look]
        shown = gallery.items[: sheet.shown]
        commands = tuple(None if self.replay is None else self.replay.command(item) for item in shown)
        return GalleryView(gallery, sheet, assets.picture(sheet.png), commands)

    def _triplets(self, triplets: Triplets, step: Step, assets: Assets) -> TripletsView:
        most = min(step.evidence // _SAMPLES_A_ROW, len(triplets.items))
        look = (id(triplets), most, cell_size(triplets, step.pixels))
        if look not in self._strips:
            self._strips[look] = strips(triplets, self.samples, most, step.pixels)
        sheet = self._strips[look]
        rows = [
            Row(item, tuple(assets.picture(png) for png in (strip.before, strip.change, strip.after)))
            for item, strip in zip(triplets.items, sheet.strips, strict=False)
        ]
        return TripletsView(triplets, sheet, rows)

    def _left(self, step: Step, galleries: Sequence[GalleryView], sections: Sequence[Section]) -> Left:
        views = [*galleries, *(view for one in sections for view in one.galleries)]
        changes = [view for one in sections for view in one.triplets]
        fits = WHOLE.evidence // _SAMPLES_A_ROW
        of = sum(min(WHOLE.samples, len(view.gallery.items)) for view in views)
        shown = sum(view.sheet.shown for view in views) + sum(len(view.rows) for view in changes)
        sizes = [max(v.gallery.width, v.gallery.height) for v in views]
        sizes += [max(v.triplets.width, v.triplets.height) for v in changes]
        tables = [*self._training[2], *(table for one in sections for table in one.tables)]
        figures = [*self._training_figures, *(figure for one in sections for figure in one.figures)]
        return Left(
            pictures=of + sum(min(fits, len(view.triplets.items)) for view in changes) - shown,
            reduced=max(sizes, default=0) > step.pixels,
            charts=len(figures),
            tables=sum(len(t.rows) > step.rows for t in tables) + sum(one.left > 0 for one in sections),
        )

    @cached_property
    def _glances(self) -> list[Glance]:
        return glances(self.document, self.anchors)

    @cached_property
    def _training(self) -> tuple[dict[str, Any], list[Curve], list[Table]]:
        return history_of(self.document.subject.training)

    @cached_property
    def _training_figures(self) -> list[Figure]:
        curves = enumerate(self._training[1])
        return [Figure(c.title, partial(self.drawings.detail, c, f"training-chart-{i}"), c) for i, c in curves]

    @cached_property
    def _figures(self) -> dict[str, list[Figure]]:
        return {r.evaluator: figures_of(r, self.anchors[r.evaluator], self.drawings) for r in self.document.results}

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(dumps(self.document).encode("utf-8", "surrogatepass")).hexdigest()


def _gates_by_measure(document: AuditDocument) -> dict[str, list[Verdict]]:
    gates: dict[str, list[Verdict]] = {}
    for verdict in document.verdicts:
        gates.setdefault(verdict.measure, []).append(verdict)
    return gates


@cache
def _templates(longest: int) -> jinja2.Environment:
    made = environment(longest)
    made.filters.update(
        cell=_cell, numeric=_numeric, data_table=data_table, indices=_indices, called=_called, standing=standing
    )
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


def _numeric(table: Table) -> list[bool]:
    """Return which columns hold numbers and nothing else."""
    columns = [[row[i] for row in table.rows] for i in range(len(table.columns))]
    return [any(c is not None for c in cells) and not any(isinstance(c, str) for c in cells) for cells in columns]


def _called(score: float, threshold: float | None) -> str:
    if threshold is None:
        return ""
    return "called generated" if score < threshold else "called real"


def _indices(view: GalleryView) -> str:
    shown = [item.index for item in view.gallery.items[: view.sheet.shown]]
    if shown and shown == list(range(shown[0], shown[0] + len(shown))):
        return f"indices {shown[0]} to {shown[-1]}, row by row"
    return "in the order of the list below, row by row"
