"""Finds the line of each gate in the text of a policy: CI systems point at it, and no TOML reader tells lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["gate_lines"]

_ROOTS = (("gate",), ("tool", "ganaudit", "policy", "gate"), ("tool", "ganaudit", "gate"))
_TOKEN = re.compile(
    r'''(?P<string>"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})|"(?:\\.|[^"\\\n])*"|'[^'\n]*')'''
    r"|(?P<comment>\#[^\n]*)|(?P<line>\n)|(?P<mark>[\[\]{}=.,])|(?P<word>[^\s\"'\#\[\]{}=.,]+)",
    re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def gate_lines(text: str, gates: int) -> list[int]:
    """Return the line, from 1, on which each of the ``gates`` gates of a policy's TOML text begins, in their order.

    Gates are ``[[gate]]`` tables (``[[tool.ganaudit.gate]]`` or ``[[tool.ganaudit.policy.gate]]`` in a
    ``pyproject.toml``) or the entries of an array. What stands in a comment or a string is none. Empty where none of
    these places has as many: no line is better than another gate's.
    """
    places: dict[tuple[str, ...], list[int]] = {root: [] for root in _ROOTS}
    for path, line in _entries(text):
        if path in places:
            places[path].append(line)
    return next((lines for lines in places.values() if len(lines) == gates), [])


def _tokens(text: str) -> Iterator[_Token]:
    line, seen = 1, 0
    for found in _TOKEN.finditer(text):
        line += text.count("\n", seen, found.start())
        seen = found.start()
        assert found.lastgroup is not None
        yield _Token(found.lastgroup, found.group(), line)
    yield _Token("line", "\n", line)


def _entries(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield path and line of every entry of an array of tables, whichever way it is written."""
    table: tuple[str, ...] = ()
    statement: list[_Token] = []
    depth = 0
    for token in _tokens(text):
        if token.kind == "comment":
            continue
        if token.kind != "line":
            statement.append(token)
            # The brackets of a header close on their own line: their depth is nought at its end as well.
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.text, 0) if token.kind == "mark" else 0
            continue
        if depth > 0 or not statement:
            continue
        if statement[0].text == "[":
            table = _path(statement)
            if [t.text for t in statement[:2]] == ["[", "["]:
                yield table, statement[0].line
        else:
            yield from _inline(table, statement)
        statement, depth = [], 0


def _inline(table: tuple[str, ...], statement: list[_Token]) -> Iterator[tuple[tuple[str, ...], int]]:
    equals = next((i for i, t in enumerate(statement) if t == _Token("mark", "=", t.line)), len(statement))
    path, depth = (*table, *_path(statement[:equals])), 0
    for token in statement[equals + 1 :]:
        if token.kind != "mark":
            continue
        if token.text == "{" and depth == 1:
            yield path, token.line
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.text, 0)


def _path(tokens: list[_Token]) -> tuple[str, ...]:
    return tuple(t.text.strip("\"'") if t.kind == "string" else t.text for t in tokens if t.kind in ("string", "word"))
