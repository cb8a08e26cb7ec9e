"""``ganaudit gate``: judges a document again, without weights and without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganaudit.cli.console import Console

if TYPE_CHECKING:
    from ganaudit.document.judge import Judgement

__all__ = ["gate", "verdict_table"]


def gate(
    console: Console,
    document: Annotated[Path, typer.Argument(help="document.json, or the folder that holds it.")],
    policy: Annotated[Path, typer.Option(help="TOML file with [[gate]] tables.")],
    baseline: Annotated[Path | None, typer.Option(help="Document for gates with baseline = true.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write the verdicts as JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write a Markdown summary.")] = None,
) -> int:
    """Judge DOCUMENT by a policy."""
    from ganaudit.document.files import load_document, write_atomically
    from ganaudit.document.judge import exit_of, judge
    from ganaudit.document.policy import load_policy

    rules = load_policy(policy)
    audited = load_document(document)
    judgement = judge(audited, rules, load_document(baseline) if baseline else None)
    judged = audited.model_copy(update={"policy": rules.model_dump(mode="json"), "verdicts": list(judgement.verdicts)})
    code, words = exit_of(judged, judgement)
    if junit is not None:
        from ganaudit.report.junit import render_junit

        write_atomically(junit, render_junit(judged).encode())
    if markdown is not None:
        from ganaudit.report.markdown import render_markdown

        write_atomically(markdown, render_markdown(judged).encode())
    if console.as_json:
        verdicts = [v.model_dump(mode="json") for v in judgement.verdicts]
        console.data({"exit_code": code, "summary": words, "verdicts": verdicts})
    verdict_table(console, judgement)
    console.last(code, words)
    return code


def verdict_table(console: Console, judgement: Judgement) -> None:
    """Write all verdicts, what failed first."""
    order = {"failed": 0, "missing": 1, "inconclusive": 2, "waived": 3, "passed": 4}
    rows = [
        [v.outcome.upper() if v.blocking else v.outcome, v.gate, v.measure, v.level, v.message]
        for v in sorted(judgement.verdicts, key=lambda v: order[v.outcome])
    ]
    console.table("verdicts", ["outcome", "gate", "measure", "level", "why"], rows)
