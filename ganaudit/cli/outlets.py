"""The files and job pages that ``gate`` and ``audit`` write beside their own: one table of formats."""

from __future__ import annotations

import functools
import inspect
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganaudit.cli.console import Console

if TYPE_CHECKING:
    from ganaudit.document.gates import Policy
    from ganaudit.report.judged import Judged, PolicySource

__all__ = ["FORMATS", "Outlets", "source_of", "with_outlets"]

_LEAST_SUMMARY = 40_000
"""Bytes below which no summary is begun: its frame alone may take as many."""


def _junit(judged: Judged) -> str:
    from ganaudit.report.junit import render_junit

    return render_junit(judged.document)


def _markdown(judged: Judged) -> str:
    from ganaudit.report.markdown import render_markdown

    return render_markdown(judged.document)


def _sarif(judged: Judged) -> str:
    from ganaudit.report.sarif import render_sarif

    return render_sarif(judged)


def _openmetrics(judged: Judged) -> str:
    from ganaudit.report.openmetrics import render_openmetrics

    return render_openmetrics(judged)


def _model_card(judged: Judged) -> str:
    from ganaudit.report.model_card import render_model_card

    return render_model_card(judged)


FORMATS: Mapping[str, tuple[Callable[[Judged], str], str]] = {
    "junit": (_junit, "Also write the verdicts as JUnit XML."),
    "markdown": (_markdown, "Also write a Markdown summary, short enough for a comment."),
    "sarif": (_sarif, "Also write the verdicts as SARIF 2.1.0."),
    "gitlab_metrics": (
        _openmetrics,
        "Also write the numbers as OpenMetrics text, as GitLab's metrics reports read it.",
    ),
    "model_card": (_model_card, "Also write a block for a Hugging Face model card."),
}
"""Renderer and help of every format, by the name of its option."""
_GITHUB = "Also write a step summary and annotations for GitHub Actions."


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a judged audit is written beside the verb's own files; none of it changes the exit code."""

    files: Mapping[str, Path] = field(default_factory=dict)
    """By the name of the format."""
    github: bool = False

    def check(self) -> None:
        """Raise OutputError where a folder cannot be written, before any work."""
        from ganaudit.document.files import check_writable

        for path in self.files.values():
            check_writable(path.parent)

    @contextmanager
    def told(self, console: Console, judged: Judged) -> Iterator[None]:
        """Write everything, and let the verb say the rest within.

        On GitHub nothing that is said within is taken for a command of the workflow: it holds other people's strings.
        Raises OutputError where a file cannot be written.
        """
        from ganaudit.document.files import write_atomically

        for name, path in self.files.items():
            write_atomically(path, FORMATS[name][0](judged).encode("utf-8", "backslashreplace"))
        if not self.github:
            yield
            return
        _on_github(console, judged)
        mark = secrets.token_hex(16)
        console.raw(f"::stop-commands::{mark}\n")
        try:
            yield
        finally:
            console.raw(f"::{mark}::\n")


def with_outlets(function: Callable[..., int]) -> Callable[..., int]:
    """Return a verb whose parameter ``outlets`` is made of an option for each format and ``--github``."""

    @functools.wraps(function)
    def command(console: Console, **arguments: Any) -> int:
        files = {name: path for name in FORMATS if (path := arguments.pop(name)) is not None}
        outlets = Outlets(files, github=arguments.pop("github"))
        return function(console, outlets=outlets, **arguments)

    signature = inspect.signature(function, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "outlets"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, keyword, default=None, annotation=Annotated[Path | None, typer.Option(help=words)])
        for name, (_, words) in FORMATS.items()
    ]
    flag = Annotated[bool, typer.Option("--github", help=_GITHUB)]
    options.append(inspect.Parameter("github", keyword, default=False, annotation=flag))
    command.__signature__ = inspect.Signature(own + options, return_annotation=int)  # type: ignore[attr-defined]
    return command


def source_of(path: Path, policy: Policy) -> PolicySource:
    """Return where a policy stands, seen from the root of the checkout that a CI system names, else from here."""
    from ganaudit.document.redaction import private_of_this_machine
    from ganaudit.report.judged import policy_source

    root = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR") or "."
    source = policy_source(path, policy, Path(root))
    # A path that names its user is worth less than a link that leads nowhere.
    return source if source.file is None else replace(source, file=private_of_this_machine().redact(source.file))


def _on_github(console: Console, judged: Judged) -> None:
    """Append to the step's summary, or write it to stdout where there is none, and write the annotations."""
    from ganaudit.document.errors import OutputError
    from ganaudit.report.github import workflow_commands
    from ganaudit.report.markdown import STEP_SUMMARY, render_markdown

    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if not summary:
        console.raw(render_markdown(judged.document, STEP_SUMMARY))
    else:
        try:
            with Path(summary).open("ab") as file:
                left = STEP_SUMMARY - file.tell()
                if left >= _LEAST_SUMMARY:
                    file.write(render_markdown(judged.document, left).encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise OutputError(f"GITHUB_STEP_SUMMARY {summary}: cannot be written: {error.strerror or error}") from None
        if left < _LEAST_SUMMARY:
            console.say("caution: the step's summary is full; nothing was added to it")
    for line in workflow_commands(judged):
        console.raw(line + "\n")
