"""``review.json``: comments and decisions, only ever appended, each holding the digest of the one before.

The chain shows that an entry was altered, put in or taken out of the middle. It is no proof of who wrote an entry: who
can write the file can write a whole new chain. Keep it in version control, or sign an export of it with a key.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ganaudit.document.details import Record
from ganaudit.document.digests import json_digest
from ganaudit.document.errors import DocumentError
from ganaudit.document.policy import problems_of

__all__ = [
    "SCHEMA",
    "Bound",
    "Comment",
    "Decision",
    "Entry",
    "Review",
    "Row",
    "linked",
    "parse_review",
    "review_schema",
    "review_text",
]

SCHEMA = "ganaudit.review/1"
_SHA256 = r"^sha256:[0-9a-f]{64}$"


class Bound(Record):
    """One thing that a decision is bound to, by its digest."""

    what: Literal["subject", "subject files", "document", "policy", "policy file", "report", "samples"]
    """Which part of the audit."""
    digest: str
    """sha256 of a file, of canonical JSON, or of the lines that sha256sum prints for a folder; or the word none."""
    words: str
    """What the digest is over, or why there is none."""
    files: dict[str, str] = Field(default_factory=dict)
    """sha256 of each file, where there are few."""


class Row(Record):
    """One row of the checklist."""

    id: str
    """Its name."""
    question: str
    """What is asked."""
    state: Literal["met", "unmet", "told"]
    """told: it keeps nobody from signing, and a reviewer must know it."""
    found: str
    """The answer, and why."""
    todo: str = ""
    """What to do about it where it is unmet."""


class _Entry(Record):
    number: int = Field(ge=1)
    """Its place in the file, from 1."""
    reviewer: str = Field(min_length=1)
    """Who says so: a name, no proof of identity."""
    role: str = ""
    """In which capacity."""
    time: str
    """UTC, ISO 8601, by the clock of the machine it was written on."""
    text: str
    """What they say."""
    before: str | None = Field(pattern=_SHA256)
    """Digest of the entry before; null for the first."""
    digest: str = Field(pattern=_SHA256)
    """sha256 over the canonical JSON of everything else in this entry."""


class Comment(_Entry):
    """A remark on the audit or on one gate of it."""

    kind: Literal["comment"] = "comment"
    """Which entry it is."""
    gate: str = ""
    """The gate it answers, or one slice of it as ``gate[slice]``; empty for a remark on the whole."""
    document: str = Field(pattern=_SHA256)
    """Digest of the document.json it was made on; it answers no gate of another one."""


class Decision(_Entry):
    """A reviewer's decision, and what it is bound to."""

    kind: Literal["decision"] = "decision"
    """Which entry it is."""
    decision: Literal["approve", "conditions", "reject"]
    """conditions: approved under the conditions that ``text`` lists."""
    bound: list[Bound]
    """What it is bound to."""
    checklist: list[Row]
    """As it stood when the decision was made."""
    acknowledged: list[str] = Field(default_factory=list)
    """Rows of the checklist that the reviewer knowingly accepts."""
    ganaudit: str
    """The version that made the checklist."""


Entry = Annotated[Comment | Decision, Field(discriminator="kind")]


class Review(Record):
    """All entries, the oldest first."""

    schema_: Literal["ganaudit.review/1"] = Field(default="ganaudit.review/1", alias="schema")
    entries: list[Entry] = Field(default_factory=list)
    """Comments and decisions."""

    @property
    def decisions(self) -> list[Decision]:
        """The decisions among the entries, the oldest first."""
        return [entry for entry in self.entries if isinstance(entry, Decision)]

    @property
    def comments(self) -> list[Comment]:
        """The comments among the entries, the oldest first."""
        return [entry for entry in self.entries if isinstance(entry, Comment)]

    @property
    def head(self) -> str | None:
        """Digest of the last entry, which stands for all of them; None where there is none."""
        return self.entries[-1].digest if self.entries else None


def linked(review: Review, kind: type[Comment] | type[Decision], content: dict[str, Any]) -> Comment | Decision:
    """Return a new entry with ``content`` that continues the chain of ``review``."""
    entry = content | {"kind": kind.model_fields["kind"].default, "number": len(review.entries) + 1}
    entry["before"] = review.head
    made = kind.model_validate(entry | {"digest": f"sha256:{'0' * 64}"})
    return made.model_copy(update={"digest": _digest_of(made.model_dump(mode="json"))})


def review_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``review.json``."""
    return Review.model_json_schema(by_alias=True, mode="serialization")


def review_text(review: Review) -> str:
    """Return the content of ``review.json``, equal for equal reviews."""
    return _text(review.model_dump(mode="json", by_alias=True))


def parse_review(text: str, where: str) -> Review:
    """Return the review in ``text``; raises DocumentError where one byte is not as it was written.

    Everything that JSON would overlook counts: blanks, the order of keys, a key that stands twice.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{where}: was changed, it is no JSON any more: {error}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise DocumentError(f"{where}: its schema is {schema!r}; this version of ganaudit reads {SCHEMA!r}")
    if _text(data) != text:
        raise DocumentError(f"{where}: was changed: it is not written as ganaudit writes it")
    entries = data.get("entries")
    _check_chain(entries if isinstance(entries, list) else [], where)
    try:
        return Review.model_validate(data)
    except ValidationError as error:
        raise DocumentError("\n".join(problems_of(error, where)[:5])) from None


def _check_chain(entries: Sequence[Any], where: str) -> None:
    before = None
    for number, entry in enumerate(entries, start=1):
        content = entry if isinstance(entry, dict) else {}
        if content.get("digest") != _digest_of(content):
            raise DocumentError(f"{where}: entry {number} was changed: its digest is not that of its content")
        if content.get("before") != before or content.get("number") != number:
            raise DocumentError(f"{where}: the chain breaks at entry {number}: an entry was put in, moved or taken out")
        before = content["digest"]


def _digest_of(entry: dict[str, Any]) -> str:
    return json_digest({key: value for key, value in entry.items() if key != "digest"})


def _text(data: Any) -> str:
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    # A file name need not be Unicode; its stray bytes are lone surrogates, which JSON can only hold escaped.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
