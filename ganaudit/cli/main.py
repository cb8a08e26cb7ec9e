"""The program ``ganaudit``: its verbs, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

import ganaudit
from ganaudit.cli.audit import audit
from ganaudit.cli.baseline import baseline
from ganaudit.cli.catalogue import explain, list_, schema
from ganaudit.cli.compare import compare
from ganaudit.cli.console import Console
from ganaudit.cli.doctor import doctor
from ganaudit.cli.gate import gate
from ganaudit.cli.index import index
from ganaudit.cli.init import init
from ganaudit.cli.lint import lint
from ganaudit.cli.log import log
from ganaudit.cli.policy import policy
from ganaudit.cli.report import report
from ganaudit.cli.review import review
from ganaudit.cli.sample import sample
from ganaudit.cli.selftest import selftest
from ganaudit.cli.statistics import statistics
from ganaudit.cli.train import train
from ganaudit.cli.verbs import verb
from ganaudit.cli.weights import weights
from ganaudit.document.errors import GanauditError

__all__ = ["app", "main"]

app = typer.Typer(
    name="ganaudit",
    help="Trains GANs and audits trained generators: numbers with intervals and nulls, a report, a gate.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help texts hold [tables] of TOML, which are no markup
    context_settings={"auto_envvar_prefix": "GANAUDIT", "help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 passed, 1 a gate failed, 2 usage or input, 3 incomplete, 4 internal, 130 interrupted.",
)
_VERBS: dict[str, Callable[..., int]] = {
    "audit": audit,
    "gate": gate,
    "report": report,
    "compare": compare,
    "index": index,
    "lint": lint,
    "log": log,
    "init": init,
    "train": train,
    "sample": sample,
    "statistics": statistics,
    "list": list_,
    "explain": explain,
    "schema": schema,
    "doctor": doctor,
    "selftest": selftest,
}
for _name, _function in _VERBS.items():
    app.command(_name)(verb(_function))
app.add_typer(weights)
app.add_typer(baseline)
app.add_typer(policy)
app.add_typer(review)


_OF_PATHS = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EROFS, errno.ENOSPC, errno.EIO)
"""What a path that was given can do to any verb, wherever it is first looked at: a matter of input, not of the code."""


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"ganaudit {ganaudit.__version__}\n")
        raise typer.Exit(0)


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            is_eager=True,
            callback=_version,
            # A name of its own: GANAUDIT_VERSION, as a build script may set it, must not make every call print.
            envvar="GANAUDIT_SHOW_VERSION",
            show_envvar=False,
        ),
    ] = False,
) -> None:
    del version  # answered by its callback


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and leave the process with the exit code of the contract."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: Sequence[str]) -> int:
    """Return the exit code of one call; errors are written to stderr."""
    console = Console(debug="--debug" in arguments)
    try:
        outcome: Any = app(args=list(arguments), prog_name="ganaudit", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except GanauditError as error:
        return _told(console, error, error.exit_code, str(error))
    except (KeyboardInterrupt, typer.Abort):
        console.last(130, "interrupted; what was finished is kept and reused")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except typer.Exit as error:
        return error.exit_code
    except OSError as error:
        if error.errno not in _OF_PATHS or error.filename is None:
            return _unexpected(console, error)
        return _told(console, error, 2, f"{os.fspath(error.filename)}: {error.strerror}")
    except Exception as error:
        return _unexpected(console, error)


def _unexpected(console: Console, error: Exception) -> int:
    usage = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        console.say(usage() if usage else "")
        console.last(2, "no verb was given")
        return 2
    if usage is not None:  # click's own family: an unknown option, a missing argument
        context = getattr(error, "ctx", None)
        if context is not None:
            console.say(context.get_usage())
        return _told(console, error, 2, usage() or "usage; see --help")
    return _told(console, error, 4, f"internal: {type(error).__name__}: {error} (--debug shows where)")


def _told(console: Console, error: BaseException, code: int, message: str) -> int:
    if console.debug:
        traceback.print_exception(error)
    console.error(message)
    words = {2: "unusable input", 4: "internal error"}.get(code, "error")
    console.last(code, words)
    return code
