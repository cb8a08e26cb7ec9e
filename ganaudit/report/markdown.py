"""A short summary for CI job pages: the verdict, the gates, the numbers."""

from __future__ import annotations

import re

from ganaudit.document.model import AuditDocument, Measurement, Null, Triplets
from ganaudit.report.summary import gaps, summarise
from ganaudit.report.words import count, direction, number, plain, short, span

__all__ = ["render_markdown"]

_ICONS = {"passed": "✅", "failed": "❌", "incomplete": "⚠️", "unjudged": "➖"}
_ICONS |= {"missing": "⚠️", "inconclusive": "⚠️", "waived": "⏸️"}
_MOST_ROWS = 200
_MOST_TEXT = 400
# Job pages are GitHub-flavoured: brackets, addresses, # and @ make links, colons emoji, a pipe ends a cell.
_SPECIAL = re.compile(r"[\\`*_{}\[\]()#!|~$@]|:(?=/|[\w+-]+:)|(?<=www)\.", re.IGNORECASE)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render_markdown(document: AuditDocument) -> str:
    """Return the summary as Markdown; every string of the document is escaped, long tables and texts are cut aloud."""
    summary = summarise(document)
    lines = [
        f"## {_ICONS[summary.outcome]} {_escape(document.subject.name)}: {summary.word}",
        "",
        f"{_escape(summary.sentence)}.",
        "",
        f"Subject {_escape(document.subject.digest)}, held against {_escape(document.reference.name)} "
        f"({_escape(document.reference.against)}), features by {_escape(document.extractor.id)}.",
        "",
    ]
    lines += _gates(document) + _warnings(document) + _numbers(document) + _changes(document) + _missing(document)
    return "\n".join(lines).rstrip("\n") + "\n"


def _gates(document: AuditDocument) -> list[str]:
    summary = summarise(document)
    rows = [
        [
            f"{_ICONS[v.outcome]} {v.outcome}{' (blocking)' if v.blocking else ''}",
            _escape(v.gate),
            _escape(v.measure),
            "none" if v.value is None else number(v.value),
            "none" if v.limit is None else short(v.limit),
            _escape(v.message),
        ]
        for v in (*summary.open, *summary.settled)
    ]
    return _table("Gates", ["Outcome", "Gate", "Number", "Value", "Limit", "Message"], rows) if rows else []


def _warnings(document: AuditDocument) -> list[str]:
    if not document.warnings:
        return []
    shown = [f"- {_escape(text)}" for text in document.warnings[:_MOST_ROWS]]
    return ["### What weakens a pass", "", *shown, *_cut(len(document.warnings)), ""]


def _numbers(document: AuditDocument) -> list[str]:
    rows = [
        [
            _escape(f"{r.evaluator}/{m.key}"),
            _value(m),
            span(m.interval) or "none",
            "none" if m.null is None else _null(m.null),
            count(m.n),
            direction(m)[1],
        ]
        for r in document.results
        if r.status == "measured"
        for m in r.measurements
    ]
    head = ["Number", "Value", "Interval", "Null", "n", "Direction"]
    return _table("Numbers", head, rows) if rows else []


def _null(null: Null) -> str:
    """Return value and range, and of what where it is not of reals against reals."""
    of = f"({_escape(null.otherwise)})" if null.otherwise else ""
    return " ".join(filter(None, [number(null.value), span(null), of]))


def _value(m: Measurement) -> str:
    return f"none: {_escape(m.reason or '')}" if m.value is None else f"{number(m.value)} {_escape(m.unit)}".rstrip()


def _changes(document: AuditDocument) -> list[str]:
    shown = [(r, d) for r in document.results for d in r.details if isinstance(d, Triplets)]
    if not shown:
        return []
    lines = [f"- {_escape(d.title)}: {count(len(d.items))} ({_escape(r.evaluator)})" for r, d in shown[:_MOST_ROWS]]
    return ["### Samples before and after a change, in the report", "", *lines, *_cut(len(shown)), ""]


def _missing(document: AuditDocument) -> list[str]:
    rows = [
        [_escape(f"{g.evaluator}/{g.key}" if g.key else g.evaluator), g.status.replace("_", " "), _escape(g.reason)]
        for g in gaps(document)
    ]
    return _table("Not measured", ["What", "Status", "Reason"], rows) if rows else []


def _table(title: str, head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows[:_MOST_ROWS])]
    return [f"### {title}", "", *lines, *_cut(len(rows)), ""]


def _cut(n: int) -> list[str]:
    return ["", f"The first {_MOST_ROWS} of {count(n)}; the rest is in document.json."] if n > _MOST_ROWS else []


def _escape(text: str) -> str:
    one_line = " ".join(plain(text, _MOST_TEXT).split())
    escaped = _SPECIAL.sub(r"\\\g<0>", one_line)
    return "".join(_HTML.get(c, c) for c in escaped)
