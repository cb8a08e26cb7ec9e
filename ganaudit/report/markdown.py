"""A short summary for CI job pages and comments: the verdict, the gates, the numbers, within what such a page holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ganaudit.document.model import AuditDocument, Measurement, Null, Triplets
from ganaudit.report.summary import gaps, summarise
from ganaudit.report.words import count, direction, number, plain, short, span

__all__ = ["COMMENT", "STEP_SUMMARY", "escape", "render_markdown"]

COMMENT = 65_535
"""The most bytes of a comment on GitHub: 65,536 characters are refused, and no character is shorter than a byte."""
STEP_SUMMARY = 1_048_575
"""The most bytes of all summaries of one step on GitHub: over 1 MiB the whole is dropped."""

_ICONS = {"passed": "✅", "failed": "❌", "incomplete": "⚠️", "unjudged": "➖"}
_ICONS |= {"missing": "⚠️", "inconclusive": "⚠️", "waived": "⏸️"}
_MOST_ROWS = 200
_MOST_TEXT = 400
# Job pages are GitHub-flavoured: brackets, addresses, # and @ make links, colons emoji, a pipe ends a cell.
_SPECIAL = re.compile(r"[\\`*_{}\[\]()#!|~$@]|:(?=/|[\w+-]+:)|(?<=www)\.", re.IGNORECASE)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the page that can be cut: its rows in the order of what counts, each with the urgency of its room."""

    title: str
    head: list[str]
    rows: list[tuple[int, str]]
    """Urgency (0 first) and text; never more urgent than the row before, so that a cut leaves the first ones."""

    @property
    def frame(self) -> list[str]:
        return [f"### {self.title}", "", *self.head]


def render_markdown(document: AuditDocument, limit: int = COMMENT) -> str:
    """Return the summary as Markdown of at most ``limit`` bytes, of which it needs some 30,000 for its own frame.

    Every string of the document is escaped, long texts are cut aloud. Where room is short every part keeps a share and
    the rest goes to gates that did not pass, warnings, numbers, what did not run, gates that passed and evidence, in
    this order; what is left out is counted.
    """
    summary = summarise(document)
    lead = [
        f"## {_ICONS[summary.outcome]} {escape(document.subject.name)}: {summary.word}",
        "",
        f"{escape(summary.sentence)}.",
        "",
        f"Subject {escape(document.subject.digest)}, held against {escape(document.reference.name)} "
        f"({escape(document.reference.against)}), features by {escape(document.extractor.id)}.",
        "",
    ]
    sections = [_gates(document), _warnings(document), _numbers(document), _changes(document), _missing(document)]
    sections = [section for section in sections if section.rows]
    return "\n".join([*lead, *_fitted(sections, limit - _size(lead))]).rstrip("\n") + "\n"


def _fitted(sections: list[_Section], room: int) -> list[str]:
    """Return the lines of all sections within ``room`` bytes.

    Half of the room is shared alike, so that nothing is lost behind a thousand gates; the rest goes to urgent rows.
    """
    room -= sum(_size([*section.frame, _cut(len(section.rows), len(section.rows)), "", ""]) for section in sections)
    share = room // (2 * len(sections)) if sections else 0
    kept = [_fitting(section.rows, share) for section in sections]
    room -= sum(_size([row for _, row in s.rows[:n]]) for s, n in zip(sections, kept, strict=True))
    queue = [(urgency, at, row) for at, s in enumerate(sections) for urgency, row in s.rows[kept[at] : _MOST_ROWS]]
    closed: set[int] = set()
    for _, at, row in sorted(queue, key=lambda entry: entry[0]):
        if _size([row]) > room:
            closed.add(at)  # a cut leaves the first rows: none comes after one that was left out
        if at not in closed:
            room -= _size([row])
            kept[at] += 1
    lines = []
    for section, n in zip(sections, kept, strict=True):
        lines += [*section.frame, *(row for _, row in section.rows[:n])]
        lines += ["", _cut(n, len(section.rows)), ""] if n < len(section.rows) else [""]
    return lines


def _fitting(rows: list[tuple[int, str]], room: int) -> int:
    """Return how many of the first rows have room."""
    n = 0
    for _, row in rows[:_MOST_ROWS]:
        room -= _size([row])
        if room < 0:
            break
        n += 1
    return n


def _size(lines: list[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)


def _cut(shown: int, n: int) -> str:
    return f"The first {shown} of {count(n)}; the rest is in document.json."


def _gates(document: AuditDocument) -> _Section:
    summary = summarise(document)
    rows = [(0, v) for v in summary.open] + [(4, v) for v in summary.settled]
    cells = [
        (
            urgency,
            [
                f"{_ICONS[v.outcome]} {v.outcome}{' (blocking)' if v.blocking else ''}",
                escape(v.name),
                escape(v.measure),
                "none" if v.value is None else number(v.value),
                "none" if v.limit is None else short(v.limit),
                escape(v.message),
            ],
        )
        for urgency, v in rows
    ]
    return _table("Gates", ["Outcome", "Gate", "Number", "Value", "Limit", "Message"], cells)


def _warnings(document: AuditDocument) -> _Section:
    told = dict.fromkeys([*document.remarks, *document.warnings])
    return _Section("What weakens a pass", [], [(1, f"- {escape(text)}") for text in told])


def _numbers(document: AuditDocument) -> _Section:
    rows = [
        [
            escape(f"{r.evaluator}/{m.key}"),
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
    return _table("Numbers", ["Number", "Value", "Interval", "Null", "n", "Direction"], [(2, row) for row in rows])


def _null(null: Null) -> str:
    """Return value and range, and of what where it is not of reals against reals."""
    of = f"({escape(null.otherwise)})" if null.otherwise else ""
    return " ".join(filter(None, [number(null.value), span(null), of]))


def _value(m: Measurement) -> str:
    return f"none: {escape(m.reason or '')}" if m.value is None else f"{number(m.value)} {escape(m.unit)}".rstrip()


def _changes(document: AuditDocument) -> _Section:
    shown = [(r, d) for r in document.results for d in r.details if isinstance(d, Triplets)]
    rows = [(5, f"- {escape(d.title)}: {count(len(d.items))} ({escape(r.evaluator)})") for r, d in shown]
    return _Section("Samples before and after a change, in the report", [], rows)


def _missing(document: AuditDocument) -> _Section:
    rows = [
        [escape(f"{g.evaluator}/{g.key}" if g.key else g.evaluator), g.status.replace("_", " "), escape(g.reason)]
        for g in gaps(document)
    ]
    return _table("Not measured", ["What", "Status", "Reason"], [(3, row) for row in rows])


def _table(title: str, head: list[str], rows: list[tuple[int, list[str]]]) -> _Section:
    frame = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head))]
    return _Section(title, frame, [(urgency, f"| {' | '.join(cells)} |") for urgency, cells in rows])


def escape(text: str) -> str:
    """Return text of the document as one line of Markdown that nothing in it can turn into a mark, cut aloud."""
    one_line = " ".join(plain(text, _MOST_TEXT).split())
    escaped = _SPECIAL.sub(r"\\\g<0>", one_line)
    return "".join(_HTML.get(c, c) for c in escaped)
