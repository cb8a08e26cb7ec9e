"""``ganaudit report``: renders a document again, no weights needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganaudit.cli.console import Console

__all__ = ["report"]


def report(
    console: Console,
    document: Annotated[Path, typer.Argument(help="document.json, or the folder that holds it.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default report.html beside the document.")] = None,
) -> int:
    """Render DOCUMENT as one HTML file."""
    from ganaudit.document.files import load_document, write_atomically
    from ganaudit.report.html import read_samples, render_html

    audited = load_document(document)
    folder = document if document.is_dir() else document.parent
    target = out or folder / "report.html"
    write_atomically(target, render_html(audited, read_samples(audited, folder)).encode())
    if console.as_json:
        console.data({"report": str(target)})
    console.text(f"report: {target}")
    console.last(0, "rendered")
    return 0
