"""A folder of audits on one page: by subject, newest first, with the trend of the numbers that can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from ganaudit.document.errors import DocumentError
from ganaudit.document.grounds import ground
from ganaudit.document.model import AuditDocument, Measurement
from ganaudit.document.redaction import marked
from ganaudit.report.drawings import Drawings
from ganaudit.report.rendering import content_hash, environment, packaged
from ganaudit.report.sections import Figure
from ganaudit.report.summary import Summary, summarise

__all__ = ["Broken", "Entry", "Trend", "entry_of", "main_measures", "render_index"]

MAIN = (
    "frechet-distance/fd",
    "precision-recall/precision",
    "precision-recall/recall",
    "discriminator-detection/auc",
    "memorisation/copy-rate",
)
"""Numbers that are shown of subjects whose newest audit was not judged."""
_MOST_MEASURES = 6
_MOST_TRENDS = 120
"""Trends that one page draws; each takes some 20 ms."""
_MOST_ROWS = 200
"""Audits that are listed of one subject; the trend follows all of them."""
_MOST_BYTES = 2_000_000
_LONGEST = 400
_DRAWN_ANEW = Drawings()

_MARKS = {
    "passed": ("good", "✓"),
    "failed": ("bad", "✕"),
    "incomplete": ("doubt", "?"),
    "unjudged": ("calm", "–"),
    "broken": ("bad", "!"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What the page keeps of one audit."""

    folder: str
    """Where the document lies, from the page."""
    page: str
    """Where its report lies, from the page; empty where there is none."""
    subject: str
    digest: str
    reference: str
    started: str
    samples: int | None
    summary: Summary
    judged: tuple[str, ...]
    """The numbers that gates judged, in their order."""
    numbers: Mapping[str, Measurement]
    grounds: Mapping[str, object]
    """By evaluator, what its numbers rest on."""
    caution: str = ""
    """How the document was changed since it was written; empty where it was not."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A document that cannot be read, and why."""

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class Trend:
    """One number of a subject over its audits, the oldest first."""

    measure: str
    newest: Measurement
    values: tuple[float, ...]
    """Of the audits whose number rests on the ground of the newest."""
    left_out: int
    """Audits with the number on other ground."""
    picture: Figure | None
    """None where fewer than two values can be compared, or too many trends are on the page."""


@dataclass(frozen=True, slots=True)
class _Group:
    subject: str
    entries: tuple[Entry, ...]
    """The newest first."""
    measures: tuple[str, ...]
    trends: tuple[Trend, ...]


def entry_of(document: AuditDocument, folder: str, page: str, caution: str = "") -> Entry:
    """Return what the page keeps of a document that lies in ``folder`` and whose report is ``page``.

    With a ``caution``, how it was changed since it was written, it counts as incomplete at best.
    """
    document = marked(document, caution or None)
    samples = document.plan.get("samples")
    measured = [r for r in document.results if r.status == "measured"]
    return Entry(
        folder=folder,
        page=page,
        subject=document.subject.name,
        digest=document.subject.digest,
        reference=f"{document.reference.name} ({document.reference.against})",
        started=document.started,
        samples=samples if isinstance(samples, int) else None,
        summary=summarise(document),
        judged=tuple(dict.fromkeys(v.measure for v in document.verdicts)),
        numbers={f"{r.evaluator}/{m.key}": m for r in measured for m in r.measurements},
        grounds={r.evaluator: ground(document, r.evaluator) for r in measured},
        caution=caution,
    )


def main_measures(entry: Entry) -> tuple[str, ...]:
    """Return the numbers that are shown of a subject: those its newest audit's gates judge, else the usual ones."""
    wanted = entry.judged or MAIN
    return tuple(name for name in wanted if name in entry.numbers)[:_MOST_MEASURES]


def render_index(
    entries: Sequence[Entry], broken: Sequence[Broken], title: str, drawings: Drawings = _DRAWN_ANEW
) -> str:
    """Return the page, equal for equal input: subjects by their newest audit, and what could not be read with why.

    Raises DocumentError where so many audits are listed that the page would exceed 2 MB.
    """
    style = packaged("report.css")
    groups = _groups(entries, drawings)
    text = (
        _templates()
        .get_template("index.html.j2")
        .render(
            title=title,
            groups=groups,
            total=len(entries),
            counts=_counts(entries),
            broken=sorted(broken, key=lambda b: b.folder),
            most_rows=_MOST_ROWS,
            style=Markup(style),  # noqa: S704  our own style sheet, from the package
            style_hash=content_hash(style),
        )
    )
    page = text.rstrip("\n") + "\n"
    if len(page.encode()) > _MOST_BYTES:
        raise DocumentError(f"the index of {len(entries)} audits would exceed {_MOST_BYTES} bytes; index fewer at once")
    return page


def _counts(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    found = [e.summary.outcome for e in entries]
    return [(o, found.count(o)) for o in ("failed", "incomplete", "passed", "unjudged") if o in found]


def _groups(entries: Sequence[Entry], drawings: Drawings) -> list[_Group]:
    by_subject: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: (e.started, e.folder), reverse=True):
        by_subject.setdefault(entry.subject, []).append(entry)
    groups: list[_Group] = []
    drawn = 0
    for place, (subject, mine) in enumerate(by_subject.items()):
        measures = main_measures(mine[0])
        trends = []
        for number, measure in enumerate(measures):
            trend = _trend(mine, measure)
            if len(trend.values) > 1 and drawn < _MOST_TRENDS:
                drawn += 1
                draw = partial(drawings.trend, trend.values, trend.newest.title, f"trend-{place}-{number}")
                trend = Trend(measure, trend.newest, trend.values, trend.left_out, Figure(trend.newest.title, draw))
            trends.append(trend)
        groups.append(_Group(subject, tuple(mine), measures, tuple(trends)))
    return groups


def _trend(entries: Sequence[Entry], measure: str) -> Trend:
    """Return a number's values over the audits, the newest of which comes first in ``entries``."""
    evaluator = measure.partition("/")[0]
    own = entries[0].grounds.get(evaluator)
    having = [e for e in reversed(entries) if measure in e.numbers and e.numbers[measure].value is not None]
    alike = [e for e in having if e.grounds.get(evaluator) == own]
    values = tuple(v for e in alike if (v := e.numbers[measure].value) is not None)
    return Trend(measure, entries[0].numbers[measure], values, len(having) - len(alike), None)


def _link(path: str) -> str:
    """Return a relative path as an address that no browser takes for another scheme or host."""
    return "./" + quote(path.encode("utf-8", "surrogateescape"))


@cache
def _templates() -> jinja2.Environment:
    made = environment(_LONGEST)
    made.filters.update(link=_link)
    made.globals.update(marks=_MARKS)
    return made
