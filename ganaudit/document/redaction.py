"""What a document must not tell of the machine it was made on: home directory, user and host names, secrets.

Everything that is written from an audit is written from its document, so it is taken out once, before that is sealed.
"""

from __future__ import annotations

import getpass
import re
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ganaudit.document.model import AuditDocument

__all__ = [
    "Private",
    "as_told",
    "marked",
    "private_of_this_machine",
    "quoted",
    "redacted",
    "redacted_values",
    "shell_line",
]

_SHARED_NAMES = frozenset(
    {
        "admin",
        "ansible",
        "azureuser",
        "bamboo",
        "build",
        "builder",
        "circleci",
        "docker",
        "ec2-user",
        "gitlab-runner",
        "jenkins",
        "jovyan",
        "localhost",
        "main",
        "node",
        "python",
        "root",
        "runner",
        "sandbox",
        "service",
        "student",
        "test",
        "tester",
        "ubuntu",
        "user",
        "vagrant",
        "vscode",
        "worker",
    }
)
"""Accounts and hosts that tell nothing of anybody, and words that a report may need."""
_SHORTEST = 3
_CALLED = r"(?:token|secret|password|passwd|pwd|api[-_]?key|access[-_]?key|auth|credentials?)"
_VALUE = r"[^\s&\"',;]+"
_SECRETS = (
    # An option, a variable or a parameter of an address that is called after a secret, with its value.
    (re.compile(rf"(?i)(--[\w-]*{_CALLED})(\s+|=)(?!-){_VALUE}"), r"\1\2(withheld)"),
    (re.compile(rf"(?i)(?<![\w-])([\w-]*{_CALLED})(=){_VALUE}"), r"\1\2(withheld)"),
    (re.compile(rf"(?i)([?&](?:sig|signature|key))(=){_VALUE}"), r"\1\2(withheld)"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:]*:?[^\s/@]*@"), r"\1(withheld)@"),
    (re.compile(r"(?i)\bbearer\s+[\w.~+/-]{8,}=*"), "Bearer (withheld)"),
    (
        re.compile(
            r"\b(?:gh[opsur]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_\w{20,}|sk-[\w-]{20,}|AKIA[0-9A-Z]{16}"
            r"|xox[abprs]-[\w-]{10,}|eyJ[\w-]{10,}\.[\w-]+\.[\w-]*|AIza[\w-]{30,})"
        ),
        "(withheld)",
    ),
)
_STAND_INS = re.compile(r"~|\((?:user|host|withheld)\)")
_KEPT = frozenset({"key", "evaluator", "kind", "schema", "sha256", "digest", "file", "integrity"})
"""Names and digests by which a document is read; nothing of a machine is in them."""
_GIVEN = frozenset({"authors"})
"""Names that the plan gives on purpose: who may not approve alone is told by them."""


@dataclass(frozen=True)
class Private:
    """What must not be told."""

    home: str
    user: str
    host: str

    def redact(self, text: str) -> str:
        """Return ``text`` with the home directory as ``~``, names of user and host and what looks secret withheld."""
        for pattern, stand_in in self._rules:
            text = pattern.sub(stand_in, text)
        for pattern, form in _SECRETS:
            text = pattern.sub(form, text)
        return text

    @cached_property
    def _rules(self) -> list[tuple[re.Pattern[str], str]]:
        homes = {self.home.rstrip("/"), str(Path(self.home).resolve()).rstrip("/")} if self.home else set()
        homes.discard("")  # the root of all files is nobody's home
        rules = [
            (re.compile(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])"), "~")
            for home in sorted(homes, key=len, reverse=True)
        ]
        named = ((self.user, "(user)"), (self.host, "(host)"), (self.host.partition(".")[0], "(host)"))
        return rules + [
            (re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])"), stand_in)
            for name, stand_in in named
            if len(name) >= _SHORTEST and name.lower() not in _SHARED_NAMES
        ]


def as_told(told: Any, found: Any) -> Any:
    """Return ``found``, JSON values that are not redacted, with what ``told`` has for every text it may be redacted of.

    Another machine has other names to withhold, so what it made of a text can only be recognised: the same text, with
    something else in the place of each stand-in.
    """
    if isinstance(told, str) and isinstance(found, str):
        pattern = ".+".join(re.escape(part) for part in _STAND_INS.split(told))
        return told if re.fullmatch(pattern, found, re.DOTALL) else found
    if isinstance(told, dict) and isinstance(found, dict):
        return {key: as_told(told.get(key), value) for key, value in found.items()}
    if isinstance(told, list) and isinstance(found, list) and len(told) == len(found):
        return [as_told(one, other) for one, other in zip(told, found, strict=True)]
    return found


def private_of_this_machine() -> Private:
    """Return home directory, user and host name; empty where the machine does not tell."""
    try:
        home = str(Path.home())
    except RuntimeError:
        home = ""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = ""
    return Private(home, user, socket.gethostname())


def redacted(document: AuditDocument, private: Private) -> AuditDocument:
    """Return the document with every text redacted but names of evaluators and numbers, file names and digests."""
    return AuditDocument.model_validate(redacted_values(document.model_dump(mode="json", by_alias=True), private))


def shell_line(arguments: Sequence[str], private: Private) -> str:
    """Return a command as one types it, redacted; a path in the home directory is one again when it is typed."""
    return private.redact(" ".join(quoted(private.redact(argument)) for argument in arguments))


def quoted(argument: str) -> str:
    """Return an argument as a shell reads it; one in the home directory stays there."""
    # Between quotes a shell leaves the tilde as it is.
    return "~/" + shlex.quote(argument[2:]) if argument.startswith("~/") and argument != "~/" else shlex.quote(argument)


def marked(document: AuditDocument, changed: str | None) -> AuditDocument:
    """Return the document with ``changed``, how it is not as it was written, told in it: such a one never passes."""
    if changed is None:
        return document
    told = str(redacted_values(changed, private_of_this_machine()))
    return document.model_copy(update={"changed": told, "remarks": [*document.remarks, told]})


def redacted_values(value: Any, private: Private) -> Any:
    """Return JSON values with every text redacted but those by which a document is read."""
    if isinstance(value, str):
        return private.redact(value)
    if isinstance(value, dict):
        return {
            k: v if k in _GIVEN or (k in _KEPT and isinstance(v, str)) else redacted_values(v, private)
            for k, v in value.items()
        }
    return [redacted_values(one, private) for one in value] if isinstance(value, list) else value
