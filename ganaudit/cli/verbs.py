"""What every verb shares: the common options, and the exit code as the function's result."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ganaudit.cli.console import Console

__all__ = ["verb"]

_COMMON = {
    "json": Annotated[bool, typer.Option("--json", help="One JSON value on stdout, everything else on stderr.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="No remarks on stderr.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="More remarks on stderr.")],
    "no_progress": Annotated[bool, typer.Option("--no-progress", help="No progress bars.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show tracebacks.")],
}


def verb(function: Callable[..., int]) -> Callable[..., None]:
    """Return a typer command of ``function(console, ...)``; its result is the exit code.

    The common options are added to its own.
    """

    @functools.wraps(function)
    def command(**arguments: Any) -> None:
        common = {name: arguments.pop(name) for name in _COMMON}
        logging.basicConfig(level=logging.INFO if common["verbose"] else logging.ERROR, format="%(message)s")
        if not common["debug"]:
            # A failed evaluator's traceback is for developers; the document holds its message.
            logging.getLogger("ganaudit").addFilter(_without_traceback)
        console = Console(
            as_json=common["json"],
            quiet=common["quiet"],
            verbose=common["verbose"],
            bars=not common["no_progress"],
            debug=common["debug"],
        )
        try:
            code = function(console, **arguments)
        except KeyboardInterrupt:
            # Told here: typer turns an interruption into an exit that nobody could tell from a verb's own.
            console.last(130, "interrupted; what was finished is kept and reused")
            code = 130
        raise typer.Exit(code)

    signature = inspect.signature(function, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "console"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in _COMMON.items()
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
