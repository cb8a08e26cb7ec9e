"""``ganaudit index``: one page over a folder of audits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganaudit.cli.console import Console
from ganaudit.locations import cache_dir

if TYPE_CHECKING:
    from ganaudit.report.index import Broken, Entry

__all__ = ["index"]

_DEEP = 6
"""Folders below the given one in which documents are looked for."""
_REPORTS = ("report.html", "report/index.html")


def index(
    console: Console,
    folder: Annotated[Path, typer.Argument(help="A folder with audits in it, at any depth.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default index.html in FOLDER.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep and reuse no drawn charts.")] = False,
) -> int:
    """Write one page over the audits in FOLDER: by subject, newest first, with trends."""
    from ganaudit.document.errors import DocumentError
    from ganaudit.document.files import write_atomically
    from ganaudit.report.drawings import Drawings
    from ganaudit.report.index import render_index

    target = out or folder / "index.html"
    entries, broken = _found(folder, target.parent)
    if not entries:
        told = "".join(f"\n{one.folder}: {one.reason}" for one in broken[:5])
        asked = f"{len(broken)} cannot be read:{told}" if broken else "none was found"
        raise DocumentError(f"{folder}: no audit to index; a document.json that can be read is asked for, {asked}")
    drawings = Drawings(None if no_cache else cache_dir() / "charts")
    title = folder.resolve().name or str(folder)
    write_atomically(target, render_index(entries, broken, title, drawings).encode())
    for one in broken:
        console.say(f"caution: {one.folder} cannot be read: {one.reason}")
    for entry in entries:
        if entry.caution:
            console.say(f"caution: {entry.caution}")
    if console.as_json:
        console.data(_told(target, entries, broken))
    console.text(f"index: {target}")
    console.last(0, f"{len(entries)} audits indexed, {len(broken)} not readable")
    return 0


def _found(folder: Path, beside: Path) -> tuple[list[Entry], list[Broken]]:
    """Return the audits below ``folder`` and the documents that cannot be read, with paths as seen from ``beside``."""
    from ganaudit.document.errors import DocumentError
    from ganaudit.document.files import read_document
    from ganaudit.report.index import Broken, entry_of

    if not folder.is_dir():
        raise DocumentError(f"{folder}: no such folder; a folder with audits in it is asked for")
    entries, broken = [], []
    for file in _documents(folder):
        place = _seen(file.parent, beside)
        try:
            document, changed = read_document(file)
        except DocumentError as error:
            broken.append(Broken(place, str(error)))
            continue
        page = next((name for name in _REPORTS if (file.parent / name).is_file()), "")
        entries.append(entry_of(document, place, f"{place}/{page}" if page else "", changed or ""))
    return entries, broken


def _documents(folder: Path) -> Iterator[Path]:
    """Yield every document.json below ``folder`` in the order of its path; links to folders are not followed."""
    base = len(folder.parts)
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(Path(root).parts) - base >= _DEEP:
            folders.clear()
        if "document.json" in files:
            yield Path(root) / "document.json"


def _seen(path: Path, beside: Path) -> str:
    return Path(os.path.relpath(path.resolve(), beside.resolve())).as_posix()


def _told(target: Path, entries: list[Entry], broken: list[Broken]) -> dict[str, object]:
    audits = [
        {
            "folder": e.folder,
            "subject": e.subject,
            "digest": e.digest,
            "started": e.started,
            "outcome": e.summary.outcome,
            "report": e.page or None,
        }
        for e in sorted(entries, key=lambda e: (e.started, e.folder), reverse=True)
    ]
    return {
        "index": str(target),
        "audits": audits,
        "broken": [{"folder": b.folder, "reason": b.reason} for b in broken],
    }
