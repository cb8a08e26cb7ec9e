"""What a project accepted: the numbers of accepted audits, the first or a later one as the anchor, the last to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from ganaudit.document.details import Record
from ganaudit.document.digests import json_digest
from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.errors import nearest
from ganaudit.document.grounds import MACHINE
from ganaudit.document.model import AuditDocument, Comparability, Interval, Measurement
from ganaudit.document.pairs import Draws, draws_of

__all__ = [
    "BASELINE_SCHEMA",
    "Baseline",
    "BaselineEntry",
    "BaselineNumber",
    "ChangedBaseline",
    "NoBaseline",
    "altered_entries",
    "content_digest",
    "entry_of",
]

BASELINE_SCHEMA = "ganaudit.baseline/1"
_OF_THE_JUDGEMENT = {"integrity", "policy", "verdicts", "remarks", "changed"}


class BaselineNumber(Record):
    """One accepted number."""

    value: FiniteFloat
    interval: Interval | None = None
    n: int
    sizes: dict[str, int] = Field(default_factory=dict)
    unit: str
    better: Literal["lower", "higher", "target", "none"]
    volatile: bool = False
    error_parts: ErrorParts | None = None
    """By which the next audit tells which of its errors it shares."""


class BaselineEntry(Record):
    """One accepted audit: its numbers, what they rest on, who accepted it and why."""

    accepted: str
    """UTC, ISO 8601."""
    author: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    anchor: bool = False
    """Whether the drift is summed from here on."""
    document: str
    """Digest of the audit's content, without what a policy said of it."""
    name: str
    """The subject's name."""
    subject: str
    """Digest of the subject."""
    reference: str
    """Digest of the reference."""
    comparability: Comparability
    environment: dict[str, Any]
    """What times depend on."""
    draws: Draws
    """What its samples were drawn from."""
    numbers: dict[str, BaselineNumber]
    """By ``<evaluator>/<key>``."""
    digest: str | None = None
    """sha256 over the canonical JSON of everything else in this entry; entries of early versions have none."""

    def sealed(self) -> BaselineEntry:
        """Return the entry with the digest of everything else in it, by which a later change is told."""
        return self.model_copy(update={"digest": _digest_of(self.model_dump(mode="json", by_alias=True))})

    def measurement(self, measure: str) -> Measurement | None:
        """Return the number of that name as a measurement, or None."""
        found = self.numbers.get(measure)
        if found is None:
            return None
        return Measurement(
            key=measure.partition("/")[2],
            title=measure,
            value=found.value,
            interval=found.interval,
            interval_reason=None if found.interval else "the baseline keeps none",
            n=found.n,
            sizes=found.sizes,
            error_parts=found.error_parts,
            unit=found.unit,
            better=found.better,
            null_reason="a baseline keeps no null",
            volatile=found.volatile,
        )


class Baseline(Record):
    """Everything a project accepted under one name, oldest first; nothing is ever taken out."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )

    schema_: Literal["ganaudit.baseline/1"] = Field(default="ganaudit.baseline/1", alias="schema")
    name: str
    entries: list[BaselineEntry] = Field(default_factory=list)

    @property
    def last(self) -> BaselineEntry | None:
        """The audit to hold the next one against, or None."""
        return self.entries[-1] if self.entries else None

    @property
    def anchor(self) -> BaselineEntry | None:
        """The audit from which the drift is summed: the last one accepted as an anchor, or None."""
        return next((entry for entry in reversed(self.entries) if entry.anchor), None)

    @property
    def absence(self) -> str:
        """In words that nothing is accepted, and what to do."""
        return f"no baseline yet: nothing is accepted as {self.name!r}; `ganaudit baseline accept` starts it"

    @property
    def untold(self) -> str | None:
        """In words that entries have no digest of themselves, as those of early versions do not, or None."""
        bare = [str(number) for number, entry in enumerate(self.entries, start=1) if entry.digest is None]
        if not bare:
            return None
        which = f"entry {bare[0]} has" if len(bare) == 1 else f"entries {', '.join(bare)} have"
        return (
            f"baseline {self.name!r}: {which} no digest, as an early version of ganaudit wrote none: whether anything "
            "in there was changed since cannot be told"
        )

    def with_entry(self, entry: BaselineEntry) -> Baseline:
        """Return the baseline with one more accepted audit, sealed; the first is the anchor in any case.

        Entries that have a digest must be as they were accepted: they are sealed anew, as this version writes them.
        """
        new = entry if self.entries else entry.model_copy(update={"anchor": True})
        # One without a digest is left so: nobody knows whether it is as it was accepted.
        held = [old.sealed() if old.digest is not None else old for old in self.entries]
        return self.model_copy(update={"entries": [*held, new.sealed()]})


class NoBaseline(Baseline):
    """A name under which nothing is accepted yet, and what a reader needs to tell a first run from a misspelling."""

    store: str
    """The folder that was looked in."""
    others: tuple[str, ...] = ()
    """Names that it holds."""

    @property
    def absence(self) -> str:
        """In words that nothing is accepted, the names nearest to the one asked for, and what to do."""
        near = f"; {nearest(self.name, self.others)}" if self.others else ""
        found = f"no baseline yet: nothing is accepted as {self.name!r} in {self.store}{near}"
        return f"{found}; `ganaudit baseline accept` starts it"


class ChangedBaseline(Baseline):
    """A baseline, or an audit given for one, that is not as it was written: nothing in it is believed."""

    told: str
    """What was changed, in words."""

    @property
    def absence(self) -> str:
        """In words what was changed, and what to do."""
        return self.told


def altered_entries(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a phrase on every entry of a baseline, as read from its file, that is not as it was accepted."""
    altered, is_sealed = [], False
    for number, row in enumerate(rows, start=1):
        named = f"entry {number} ({row.get('name')}, accepted {row.get('accepted')} by {row.get('author')})"
        says, has = row.get("digest"), _digest_of(row)
        if says is not None and says != has:
            altered.append(f"{named}: its digest says {says}, its content has {has}")
        elif says is None and is_sealed:
            # Entries are only ever added at the end, and all that are added have one.
            altered.append(f"{named}: its digest was taken out")
        is_sealed = is_sealed or says is not None
    return altered


def _digest_of(row: dict[str, Any]) -> str:
    return json_digest({key: value for key, value in row.items() if key != "digest"})


def content_digest(document: AuditDocument) -> str:
    """Return sha256 over what an audit found, as canonical JSON, whatever any policy said of it."""
    return json_digest(document.model_dump(mode="json", by_alias=True, exclude=_OF_THE_JUDGEMENT))


def entry_of(document: AuditDocument, *, author: str, reason: str, accepted: str, anchor: bool) -> BaselineEntry:
    """Return what a baseline keeps of an audit: every number that has a value."""
    numbers = {
        f"{result.evaluator}/{m.key}": BaselineNumber(
            value=m.value,
            interval=m.interval,
            n=m.n,
            sizes=m.sizes,
            unit=m.unit,
            better=m.better,
            volatile=m.volatile,
            error_parts=m.error_parts,
        )
        for result in document.results
        for m in result.measurements
        if m.value is not None
    }
    return BaselineEntry(
        accepted=accepted,
        author=author,
        reason=reason,
        anchor=anchor,
        document=content_digest(document),
        name=document.subject.name,
        subject=document.subject.digest,
        reference=document.reference.digest,
        comparability=document.comparability,
        environment={field: getattr(document.environment, field) for field in MACHINE},
        draws=draws_of(document),
        numbers=numbers,
    )
