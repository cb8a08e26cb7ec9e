"""The difference of two audits as one HTML file under 2 MB, without script, that asks nothing of any address."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from ganaudit.document.comparison import Comparison, Movement, compare
from ganaudit.document.errors import DocumentError
from ganaudit.document.model import AuditDocument, Gallery, GalleryItem
from ganaudit.report import words
from ganaudit.report.rendering import address, content_hash, environment, packaged
from ganaudit.report.sheets import Sheet, pair_sheet

__all__ = ["MOST_BYTES", "MOVED", "render_comparison"]

MOST_BYTES = 2_000_000

MOVED = {
    "better": "better",
    "worse": "worse",
    "rose": "rose",
    "fell": "fell",
    "within": "within the band",
    "untold": "unknown error",
    "missing": "missing",
    "not comparable": "not comparable",
}
"""How a movement is told in a word or two."""

_MARKS = {
    "better": ("good", "✓"),
    "worse": ("bad", "✕"),
    "rose": ("doubt", "↑"),
    "fell": ("doubt", "↓"),
    "within": ("calm", "≈"),
    "untold": ("doubt", "?"),
    "missing": ("doubt", "!"),
    "not comparable": ("doubt", "–"),
    "passed": ("good", "✓"),
    "failed": ("bad", "✕"),
    "inconclusive": ("doubt", "?"),
    "waived": ("calm", "○"),
    "absent": ("calm", "–"),
}
_SECTIONS = {
    "subject": "Subject",
    "others": "Other subjects",
    "plan": "Plan",
    "policy": "Policy",
    "environment": "Environment",
    "reference": "Reference",
    "extractor": "Extractor",
    "comparability": "Comparability: what must be equal before numbers are compared",
}


@dataclass(frozen=True, slots=True)
class _Budget:
    """How much one page shows."""

    pairs: int
    pixels: int
    rows: int
    text: int


_BUDGETS = (
    _Budget(pairs=64, pixels=128, rows=400, text=2_000),
    _Budget(pairs=64, pixels=64, rows=400, text=2_000),
    _Budget(pairs=32, pixels=64, rows=200, text=1_000),
    _Budget(pairs=8, pixels=64, rows=100, text=400),
    _Budget(pairs=0, pixels=64, rows=50, text=200),
)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Samples of both audits from equal latents, or why there are none."""

    indices: list[int]
    sheet: Sheet | None
    address: Markup
    words: str


def render_comparison(
    a: AuditDocument,
    b: AuditDocument,
    samples_a: Mapping[str, bytes],
    samples_b: Mapping[str, bytes],
    *,
    altered: Sequence[str] = (),
    most_bytes: int = MOST_BYTES,
) -> str:
    """Return the difference of audit ``b`` from ``a`` as one HTML page, equal for equal input.

    The samples are the gallery files of each document as ``read_samples`` returns them; ``altered`` is as for
    ``compare``. A page that would exceed
    ``most_bytes`` shows smaller and fewer pairs, then fewer rows and shorter texts, and says so.
    Raises DocumentError when the difference is too large even so.
    """
    found = compare(a, b, altered)
    for budget in _BUDGETS:
        pairs = _pairs(a, b, found, (samples_a, samples_b), budget)
        text = _page(found, pairs, budget, thinned=budget is not _BUDGETS[0])
        if len(text.encode()) <= most_bytes:
            return text
    raise DocumentError(
        f"the comparison of these documents would exceed {most_bytes} bytes even without samples; "
        "`ganaudit compare --json` prints all of it"
    )


def _page(found: Comparison, pairs: _Pairs, budget: _Budget, *, thinned: bool) -> str:
    style = packaged("report.css")
    sections = {title: [d for d in found.differences if d.section == key] for key, title in _SECTIONS.items()}
    moved = [m for m in found.numbers if m.movement not in ("missing", "not comparable")]
    methods = list(dict.fromkeys(_basis(m) for m in moved))
    text = (
        _templates(budget.text)
        .get_template("comparison.html.j2")
        .render(
            found=found,
            sections={title: rows for title, rows in sections.items() if rows},
            moved=moved,
            methods=methods,
            basis={m.measure: methods.index(_basis(m)) + 1 for m in moved},
            apart=[m for m in found.numbers if m.movement in ("missing", "not comparable")],
            pairs=pairs,
            budget=budget,
            thinned=thinned,
            banded=sum(m.level is not None for m in moved),
            style=Markup(style),  # noqa: S704  our own style sheet, from the package
            style_hash=content_hash(style),
        )
    )
    return text.rstrip("\n") + "\n"


def _basis(movement: Movement) -> str:
    """Return what the interval of a difference rests on, or why there is none."""
    if movement.level is None:
        return movement.reason or ""
    return f"{100 * movement.level:g} %, {movement.method}. It covers {movement.covers}."


def _pairs(
    a: AuditDocument,
    b: AuditDocument,
    found: Comparison,
    samples: tuple[Mapping[str, bytes], Mapping[str, bytes]],
    budget: _Budget,
) -> _Pairs:
    """Return the samples of equal latents side by side: the first gallery of generated samples of each audit."""
    shown = [next((g for g in document.galleries if g.side == "fake"), None) for document in (a, b)]
    if found.latents is None:
        return _Pairs([], None, Markup(), found.latents_reason)
    one, other = shown
    if one is None or other is None:
        return _Pairs([], None, Markup(), f"{found.latents_reason}, but {_without(one, other)} no generated samples")
    theirs = {item.index: item for item in other.items}
    both = [(item, theirs[item.index]) for item in one.items if item.index in theirs]
    if not both:
        return _Pairs([], None, Markup(), f"{found.latents_reason}, but the galleries show other samples of it")
    return _side_by_side(both[: budget.pairs], (one, other), samples, budget.pixels, found.latents_reason)


def _without(one: Gallery | None, other: Gallery | None) -> str:
    lacking = [name for name, gallery in (("A", one), ("B", other)) if gallery is None]
    return f"{' and '.join(lacking)} show{'s' if len(lacking) == 1 else ''}"


def _side_by_side(
    both: list[tuple[GalleryItem, GalleryItem]],
    galleries: tuple[Gallery, Gallery],
    samples: tuple[Mapping[str, bytes], Mapping[str, bytes]],
    pixels: int,
    told: str,
) -> _Pairs:
    if not both:
        return _Pairs([], None, Markup(), f"{told}; left out to keep the page small")
    sheet = pair_sheet(both, galleries, samples, pixels)
    return _Pairs([item.index for item, _ in both], sheet, address(sheet.png), told)


@cache
def _templates(longest: int) -> jinja2.Environment:
    made = environment(longest)
    made.filters.update(signed=_signed, plainly=_plainly)
    made.globals.update(marks=_MARKS, told=MOVED)
    return made


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + words.number(value)


def _plainly(value: Any) -> str:
    """Write a field's value: texts as they are, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
