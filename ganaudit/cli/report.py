"""``ganaudit report``: renders a document again, no weights needed."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganaudit.cli.console import Console
from ganaudit.locations import cache_dir

if TYPE_CHECKING:
    from ganaudit.document.model import AuditDocument
    from ganaudit.report.converting import Converter

__all__ = ["MOST_BYTES", "Layout", "LayoutOption", "MostBytesOption", "Shape", "report", "write_report"]

MOST_BYTES = 2_000_000
_PICTURE = re.compile(r"[0-9a-f]{32}\.png")


class Layout(StrEnum):
    """How a report lies on the disk."""

    FILE = "file"
    DIR = "dir"


LayoutOption = Annotated[
    Layout,
    typer.Option(
        help="file: one HTML file. dir: a folder with style, script and pictures beside the page, "
        "for hosts whose content policy allows nothing inside it."
    ),
]
MostBytesOption = Annotated[
    int,
    typer.Option(
        min=20_000,
        help="The most bytes of the report; a larger one leaves out pictures, then charts, then rows of tables, "
        "and says so.",
    ),
]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a report is written."""

    layout: Layout = Layout.FILE
    most_bytes: int = MOST_BYTES
    charts: Path | None = None
    """Where drawn charts are kept; None keeps none."""


def report(
    console: Console,
    document: Annotated[Path, typer.Argument(help="document.json, or the folder that holds it.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write; default report.html, or the folder report, beside the document."),
    ] = None,
    layout: LayoutOption = Layout.FILE,
    max_bytes: MostBytesOption = MOST_BYTES,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep and reuse no drawn charts.")] = False,
) -> int:
    """Render DOCUMENT as one HTML file, or as a folder."""
    charts = None if no_cache else cache_dir() / "charts"
    with _uncollected():
        return _report(console, document, out, Shape(layout, max_bytes, charts))


def _report(console: Console, document: Path, out: Path | None, shape: Shape) -> int:
    from ganaudit.report.converting import Aside

    with Aside() as converter:
        if shape.charts is None or not shape.charts.is_dir():
            converter.start()  # charts will have to be drawn: it gets ready while the document is read
        from ganaudit.document.files import read_document
        from ganaudit.document.redaction import marked
        from ganaudit.report.html import read_samples

        audited, changed = read_document(document)
        folder = document if document.is_dir() else document.parent
        target = out or folder / ("report" if shape.layout is Layout.DIR else "report.html")
        audited = marked(audited, changed)
        page = _written(audited, read_samples(audited, folder), target, shape, converter)
    if changed is not None:
        console.say(f"caution: {changed}")
    if console.as_json:
        console.data({"report": str(page)})
    console.text(f"report: {page}")
    console.last(0, "rendered")
    return 0


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no cycles of garbage meanwhile: it takes a twentieth of the time of a report and finds a megabyte."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def write_report(document: AuditDocument, samples: Mapping[str, bytes], target: Path, shape: Shape) -> Path:
    """Write the report to the file or folder ``target`` and return where its page lies.

    Raises DocumentError when it cannot be rendered within its bytes, OutputError when it cannot be written.
    """
    from ganaudit.report.converting import Aside

    with Aside() as converter:
        return _written(document, samples, target, shape, converter)


def _written(
    document: AuditDocument, samples: Mapping[str, bytes], target: Path, shape: Shape, converter: Converter
) -> Path:
    from ganaudit.document.files import write_atomically
    from ganaudit.report.drawings import Drawings
    from ganaudit.report.html import render_folder, render_html

    drawings = Drawings(shape.charts, converter)
    if shape.layout is Layout.FILE:
        page = render_html(document, samples, most_bytes=shape.most_bytes, drawings=drawings)
        write_atomically(target, page.encode())
        return target
    files = render_folder(document, samples, most_bytes=shape.most_bytes, drawings=drawings)
    for name in sorted(files, key=lambda name: name == "index.html"):  # the page last: what it shows is there by then
        write_atomically(target / name, files[name])
    for path in (target / "images").glob("*.png"):
        if _PICTURE.fullmatch(path.name) and f"images/{path.name}" not in files:
            path.unlink(missing_ok=True)  # of an earlier report in this folder
    return target / "index.html"
