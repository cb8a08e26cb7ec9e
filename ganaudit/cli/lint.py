"""``ganaudit lint``: known traps in numbers that others measured, in documents and in policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganaudit.cli.console import Console

if TYPE_CHECKING:
    from ganaudit.linting.rule import Finding, Rule

__all__ = ["lint"]

_LONGEST = 300
_MOST_ALIKE = 5
"""Rows of one rule and file that the table shows."""


def lint(
    console: Console,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Claims (CSV, JSON, JSON lines), documents, policies."),
    ],
    select: Annotated[
        list[str] | None, typer.Option(help="Ask only these rules: ids, names or beginnings of ids, as GA1,GA201.")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Leave these rules out, named as for --select.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings end with code 1, too.")] = False,
) -> int:
    """Tell which known traps the numbers in FILEs stand in.

    Ends with 1 where a rule of severity error speaks up, with 2 where a file cannot be read.
    """
    from ganaudit.linting.catalogue import chosen

    rules = chosen(_split(select), _split(ignore))
    told: list[Finding] = []
    unread = 0
    for file in files:
        found = _linted(console, file, rules)
        told += found if found is not None else []
        unread += found is None
    if console.as_json:
        console.data([_record(finding) for finding in told])
    _show(console, told)
    code, words = _outcome(told, strict, len(files), unread)
    console.last(code, words)
    return code


def _split(names: list[str] | None) -> list[str]:
    return [part.strip() for name in names or [] for part in name.split(",") if part.strip()]


def _linted(console: Console, file: Path, rules: tuple[Rule, ...]) -> list[Finding] | None:
    """Return what is found in a file; None where it cannot be read, which is told. The other files are still read."""
    from ganaudit.document.errors import UserError
    from ganaudit.linting.linter import lint
    from ganaudit.report.words import plain

    try:
        return lint(file, rules)
    except UserError as error:
        console.error(plain(str(error)))
        return None


def _record(finding: Finding) -> dict[str, Any]:
    from dataclasses import asdict

    from ganaudit.report.words import plain

    return {key: plain(value) for key, value in asdict(finding).items()}


def _show(console: Console, told: list[Finding]) -> None:
    from ganaudit.report.words import plain

    if not told:
        return
    rows = [[plain(cell, _LONGEST) for cell in cells] for cells in _rows(told)]
    console.table("findings", ["severity", "rule", "where", "found"], rows)
    for finding in {finding.rule: finding for finding in told}.values():
        console.text(f"{finding.rule} {finding.name}: {finding.misleads} {finding.advice}")


def _rows(told: list[Finding]) -> Iterator[list[str]]:
    """Yield a row for each finding, and one for all above the most of one rule in one file."""
    several = len({finding.file for finding in told}) > 1
    counts: Counter[tuple[str, str]] = Counter()
    alike = Counter((finding.file, finding.rule) for finding in told)
    for finding in told:
        key = (finding.file, finding.rule)
        counts[key] += 1
        row = [finding.severity, f"{finding.rule} {finding.name}"]
        if counts[key] <= _MOST_ALIKE:
            number = f"{finding.number}: " if finding.number and not finding.where.endswith(finding.number) else ""
            place = f"{finding.file}: {finding.where}" if several else finding.where
            yield [*row, place, f"{number}{finding.found}"]
        elif counts[key] == _MOST_ALIKE + 1:
            more = f"and {alike[key] - _MOST_ALIKE} more of this rule; --json has all"
            yield [*row, finding.file if several else "", more]


def _outcome(told: list[Finding], strict: bool, files: int, unread: int) -> tuple[int, str]:
    counts = Counter[str](finding.severity for finding in told)
    named = ("error", "warning", "note")
    counted = ", ".join(f"{counts[s]} {s}{'' if counts[s] == 1 else 's'}" for s in named)
    blocking = counts["error"] or (strict and counts["warning"])
    if unread:
        return 2, f"unusable input: {unread} of {files} files could not be read; {counted} in the others"
    of = f"in {files} file{'' if files == 1 else 's'}"
    return (1, f"found: {counted} {of}") if blocking else (0, f"no {_least(strict)}: {counted} {of}")


def _least(strict: bool) -> str:
    return "error or warning" if strict else "error"
