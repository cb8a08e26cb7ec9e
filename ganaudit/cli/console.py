"""Streams: data on stdout, everything else on stderr; bars only where somebody watches."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from ganaudit.document.errors import OutputError
from ganaudit.progress import Task

__all__ = ["Console", "cell"]

_PLAIN_WIDTH = 140


class Console:
    """What a verb writes to."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        bars: bool = True,
        debug: bool = False,
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.debug = debug
        watched = sys.stderr.isatty() and not os.environ.get("CI")
        self._bars = bars and watched and not quiet
        plain = not sys.stdout.isatty() or bool(os.environ.get("CI"))
        width = _PLAIN_WIDTH if plain else None
        # No emoji: of the path a:b: rich would make a picture.
        self._out = _Rich(width=width, no_color=plain or None, highlight=False, soft_wrap=False, emoji=False)
        error_width = None if watched else _PLAIN_WIDTH
        self._err = RichConsole(stderr=True, width=error_width, highlight=False, soft_wrap=True, emoji=False)

    def data(self, value: Any) -> None:
        """Write one JSON value to stdout."""
        with _stdout_may_close():
            sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n")
            sys.stdout.flush()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table to stdout; with ``--json`` the data says it all and nothing is drawn."""
        if self.as_json:
            return
        table = Table(title=escape(title), title_justify="left", show_lines=False, pad_edge=False)
        room = self._out.width // 2
        names = [_breakable(row[0], room) for row in rows]
        # What a row is about is cut between its words alone, unless one of them takes half of the width.
        keeps = all(cell_len(line) <= room for name in names for line in name.splitlines())
        for place, name in enumerate(columns):
            table.add_column(escape(name), overflow="fold", no_wrap=keeps and not place)
        for name, row in zip(names, rows, strict=True):
            table.add_row(escape(name), *(escape(value) for value in row[1:]))
        with _stdout_may_close():
            self._out.print(table)

    def text(self, text: str) -> None:
        """Write a line to stdout, unless JSON goes there."""
        if not self.as_json:
            with _stdout_may_close():
                self._out.print(escape(text), soft_wrap=True)

    def raw(self, text: str) -> None:
        """Write text as it stands, never wrapped, for a program that reads along; to stderr where stdout is JSON."""
        stream = sys.stderr if self.as_json else sys.stdout
        with _stdout_may_close():
            stream.write(text)
            stream.flush()

    def say(self, text: str) -> None:
        """Write a remark to stderr, unless quiet."""
        if not self.quiet:
            self._err.print(escape(text))

    def last(self, code: int, words: str) -> None:
        """Write the closing line: exit code, verdict, counts."""
        self._err.print(escape(f"exit {code}: {words}"))

    def error(self, text: str) -> None:
        """Write an error to stderr, always."""
        self._err.print(f"[bold]error:[/bold] {escape(text)}")

    @contextmanager
    def task(self, label: str, total: int, unit: str = "samples") -> Iterator[Task]:
        """Show a bar with the time left, or one line where nobody watches."""
        if not self._bars:
            if self.verbose:
                self.say(f"{label} ...")
            yield _Unshown()
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with RichProgress(*columns, console=self._err, transient=True) as bars:
            yield _Bar(bars, bars.add_task(escape(label), total=total, note="", speed=""), unit)


class _Rich(RichConsole):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would leave the process with 1, the code of a failed gate


@contextmanager
def _stdout_may_close() -> Iterator[None]:
    """Go on where the reader of stdout has gone away: the verdict stays what it is. A full disk is told."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"stdout cannot be written: {error.strerror or error}") from None


class _Unshown:
    def advance(self, steps: int) -> None: ...

    def note(self, text: str) -> None: ...


class _Bar:
    def __init__(self, bars: RichProgress, task: TaskID, unit: str) -> None:
        self._bars, self._task, self._unit = bars, task, unit

    def advance(self, steps: int) -> None:
        self._bars.advance(self._task, steps)
        speed = self._bars.tasks[0].speed
        self._bars.update(self._task, speed=f"{speed:.0f}/s" if speed else "")

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=escape(text))


def _breakable(name: str, room: int) -> str:
    """Return a name that is wider than ``room`` with line ends after a space, / or -, as few as do."""
    lines, line = [], ""
    for part in re.split(r"(?<=[ /-])", name) if cell_len(name) > room else [name]:
        if line and cell_len(line + part) > room:
            lines.append(line)
            line = ""
        line += part
    return "\n".join([*lines, line])


def cell(value: float | None) -> str:
    """Return a number as a table shows it."""
    return "-" if value is None else f"{value:.4g}"
