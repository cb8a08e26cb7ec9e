"""``ganaudit compare``: the difference of two audits, without weights and without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganaudit.cli.console import Console, cell

if TYPE_CHECKING:
    from ganaudit.document.comparison import Comparison
    from ganaudit.document.movements import Held, Movement

__all__ = ["compare"]

_SHOWN = 8
"""Fields of a section that the terminal names; the page and ``--json`` have all."""


def compare(
    console: Console,
    a: Annotated[Path, typer.Argument(help="document.json of the first audit, or the folder that holds it.")],
    b: Annotated[Path, typer.Argument(help="That of the second; differences are the second less the first.")],
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("comparison.html"),
) -> int:
    """Tell the difference of two audits: what they rest on, gates that flipped, how far the numbers moved."""
    from ganaudit.document.comparison import compare as compared
    from ganaudit.document.files import read_document, write_atomically
    from ganaudit.report.comparison import render_comparison
    from ganaudit.report.sheets import read_samples

    read = [read_document(path) for path in (a, b)]
    documents, altered = [document for document, _ in read], [words for _, words in read if words]
    folders = [path if path.is_dir() else path.parent for path in (a, b)]
    samples = [read_samples(audited, folder) for audited, folder in zip(documents, folders, strict=True)]
    found = compared(documents[0], documents[1], altered)
    page = render_comparison(documents[0], documents[1], samples[0], samples[1], altered=altered)
    write_atomically(out, page.encode())
    for words in altered:
        console.say(f"caution: {words}")
    if console.as_json:
        console.data(found.model_dump(mode="json", by_alias=True))
    _tables(console, found)
    console.text(f"comparison: {out}")
    console.last(0, found.summary)
    return 0


def _tables(console: Console, found: Comparison) -> None:
    for section in dict.fromkeys(d.section for d in found.differences):
        paths = [d.path for d in found.differences if d.section == section]
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        console.text(f"{section}: differs in {', '.join(paths[:_SHOWN])}{more}")
    if found.flips:
        rows = [[f.gate, f.measure, f.a.outcome if f.a else "-", f.b.outcome if f.b else "-"] for f in found.flips]
        console.table("gates that flipped", ["gate", "measure", "A", "B"], rows)
    moved = [m for m in found.numbers if m.movement != "not comparable"]
    if moved:
        columns = ["movement", "number", "A", "B", "B - A", "interval", ""]
        console.table("numbers", columns, [_row(m) for m in moved])
    refused: dict[str, int] = {}
    for m in found.numbers:
        if m.movement == "not comparable":
            refused[m.reason or ""] = refused.get(m.reason or "", 0) + 1
    for reason, count in refused.items():
        console.text(f"{count} {'number is' if count == 1 else 'numbers are'} not comparable: {reason}")


def _row(movement: Movement) -> list[str]:
    from ganaudit.report.comparison import MOVED

    interval = "-" if movement.low is None else f"[{cell(movement.low)}, {cell(movement.high)}]"
    kind = "" if movement.level is None else "independent" if movement.correlation is None else "paired"
    difference = "-" if movement.difference is None else f"{movement.difference:+.4g}"
    sides = [_side(held) for held in (movement.a, movement.b)]
    return [MOVED[movement.movement], movement.measure, *sides, difference, interval, kind]


def _side(held: Held) -> str:
    return cell(held.value)
