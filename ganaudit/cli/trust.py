"""The option ``--trust-code``, and what the verbs do about code that they are told to trust."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["TrustCode", "short_name", "stdout_is_ours"]

TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        # One variable for all verbs: whom one trusts does not depend on what is done.
        envvar="GANAUDIT_TRUST_CODE",
        help="Run the Python code of subjects: PACKAGE.MODULE:FACTORY, pickled networks.",
    ),
]


def stdout_is_ours(trust_code: bool) -> contextlib.AbstractContextManager[object]:
    """Let what trusted code prints go to stderr: stdout is for the verb's own answer, one JSON value perhaps."""
    return contextlib.redirect_stdout(sys.stderr) if trust_code else contextlib.nullcontext()


def short_name(subject: str) -> str:
    """Return the last part of a subject's name, as a folder may be called: of ``a.module:make`` it is module-make."""
    module, colon, attribute = subject.partition(":")
    if colon and not Path(subject).exists():
        return re.sub(r"[^\w.-]+", "-", f"{module.rpartition('.')[2]}-{attribute}").strip(".-") or "subject"
    return Path(subject).stem
