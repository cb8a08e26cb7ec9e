"""Annotations of a GitHub workflow: what blocks and what to beware of, at the lines of the policy."""

from __future__ import annotations

from typing import Literal

from ganaudit.report.judged import Judged
from ganaudit.report.summary import broken, summarise
from ganaudit.report.words import count, plain

__all__ = ["MOST", "workflow_commands"]

MOST = 10
"""Annotations of one kind that GitHub shows for a step; it drops the rest without a word."""
_LONGEST = 2_000
_LONGEST_TITLE = 200


def workflow_commands(judged: Judged) -> list[str]:
    """Return workflow commands, one a line: an error for all that blocks, failures first, a warning for the rest.

    At most ten of each kind; the last of them counts what is left. Warnings are gates that did not pass without
    blocking, waived ones and the judge's remarks. Every string is escaped: per cent signs and line ends everywhere,
    colons and commas in properties too.
    """
    document, summary = judged.document, summarise(judged.document)
    errors = [
        _command("error", judged, v.gate, f"{v.name}: {v.outcome}", v.message) for v in summary.open if v.blocking
    ]
    errors += [
        _command("error", judged, None, f"{r.evaluator}: {r.status.replace('_', ' ')}", r.reason or "")
        for r in broken(document)
    ]
    if not errors and summary.outcome in ("failed", "incomplete"):
        errors.append(_command("error", judged, None, summary.word, summary.sentence))
    mild = [v for v in summary.open if not v.blocking] + [v for v in summary.settled if v.outcome == "waived"]
    warnings = [_command("warning", judged, v.gate, f"{v.name}: {v.outcome}", v.message) for v in mild]
    warnings += [_command("warning", judged, None, "caution", remark) for remark in document.remarks]
    return [*_capped("error", errors, judged), *_capped("warning", warnings, judged)]


def _capped(kind: Literal["error", "warning"], lines: list[str], judged: Judged) -> list[str]:
    if len(lines) <= MOST:
        return lines
    left = f"{count(len(lines) - MOST + 1)} more of this kind are in the summary and the report"
    return [*lines[: MOST - 1], _command(kind, judged, None, "not all are shown", left)]


def _command(kind: Literal["error", "warning"], judged: Judged, gate: str | None, title: str, message: str) -> str:
    properties = {}
    if gate is not None and judged.policy.file is not None:
        properties["file"] = judged.policy.file
        if gate in judged.policy.lines:
            properties["line"] = str(judged.policy.lines[gate])
    properties["title"] = plain(f"ganaudit: {title}", _LONGEST_TITLE)
    told = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{kind} {told}::{_data(plain(message, _LONGEST))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
