"""The difference of two audits: what they rest on, gates that flipped, how far every number moved, what came and went.

Nothing here judges: a difference is told with the interval that chance gives it, or refused with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from ganaudit.document.details import Record
from ganaudit.document.differences import Difference, differences
from ganaudit.document.files import dumps
from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument, EvaluatorResult
from ganaudit.document.movements import Movement, movements
from ganaudit.document.pairs import draws_of, same_latents
from ganaudit.document.repeats import steady

__all__ = ["Audited", "Comparison", "Difference", "Flip", "Movement", "StatusChange", "WarningChange", "compare"]

_ORDER = ("worse", "better", "rose", "fell", "untold", "missing", "not comparable", "within", "equal")
_WORDS = {
    "worse": "worse",
    "better": "better",
    "rose": "risen",
    "fell": "fallen",
    "within": "within the band",
    "untold": "moved by an unknown error",
    "missing": "missing on one side",
    "not comparable": "not comparable",
}


class Audited(Record):
    """One of the two audits."""

    name: str
    """Of the subject."""
    subject: str
    """Digest of the subject."""
    reference: str
    """Name of the reference and the split."""
    seed: int | None
    samples: int | None
    started: str
    document: str
    """sha256 of the document as it is written."""


class Flip(Record):
    """A gate whose outcome is not the same in both; null where only the other audit was asked."""

    gate: str
    measure: str
    a: Verdict | None
    b: Verdict | None
    same_question: bool
    """Whether both were held against the same limit of the same number, at the same level."""


class StatusChange(Record):
    """An evaluator that has not the same status in both; null where an audit has no row for it."""

    evaluator: str
    a: str | None
    a_reason: str | None = None
    b: str | None
    b_reason: str | None = None


class WarningChange(Record):
    """A warning of one audit alone: in A it went away, in B it appeared."""

    only: Literal["a", "b"]
    evaluator: str | None
    """Null for a warning of the whole audit."""
    text: str


class Comparison(Record):
    """The difference of audit B from audit A."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )

    schema_: Literal["ganaudit.comparison/1"] = Field(default="ganaudit.comparison/1", alias="schema")
    a: Audited
    b: Audited
    empty: bool
    """Whether nothing differs but what any two runs of one plan on one machine differ in."""
    summary: str
    """One line."""
    altered: list[str]
    """Of each document that was changed after it was written, how that is known."""
    not_comparable: list[str]
    """Fields of comparability, other than options of single evaluators, that differ: no number can be compared."""
    differences: list[Difference]
    """What differs in what the audits rest on."""
    judged: Literal["both", "a", "b", "neither"]
    """Which audits carry verdicts."""
    flips: list[Flip]
    numbers: list[Movement]
    """Numbers that are not equal in both, what counts most first."""
    equal: list[str]
    """Numbers whose value and interval are equal in both, as ``evaluator/key``."""
    chance: FiniteFloat
    """How many differences would lie outside their intervals by chance, were every true difference 0."""
    statuses: list[StatusChange]
    warnings: list[WarningChange]
    details: list[str]
    """Evaluators whose tables, charts, notes or galleries differ; what they differ in stands in the two reports."""
    latents: int | None
    """The seed, where sample i of both audits was made from the same latent."""
    latents_reason: str
    """In words: that both were, or why not."""


def compare(a: AuditDocument, b: AuditDocument, altered: Sequence[str] = ()) -> Comparison:
    """Return the difference of audit ``b`` from audit ``a``; empty where they differ as two runs of one plan do.

    Two runs of one plan differ in ``started``, ``seconds``, the command and the record of a self-test, and in numbers
    that each run measures anew. Equal documents give equal records. ``altered`` tells of documents that were changed
    after they were written, as ``read_document`` says.
    """
    grounds = differences(a, b)
    alike = steady(_json(a)) == steady(_json(b)) and not grounds
    moved = [] if alike else movements(a, b)
    numbers = sorted((m for m in moved if m.movement != "equal"), key=_urgency)
    flips = _flips(a, b)
    statuses = _statuses(a, b)
    warnings = _warnings(a, b)
    details = [] if alike else _details(a, b)
    refused = [d.path for d in grounds if d.section == "comparability" and not d.path.startswith("evaluators.")]
    seed, why = same_latents(draws_of(a), draws_of(b))
    empty = not any((grounds, numbers, flips, statuses, warnings, details))
    return Comparison(
        a=_audited(a),
        b=_audited(b),
        empty=empty,
        summary="no difference" if empty else _summary(refused, flips, numbers, statuses, warnings),
        altered=list(altered),
        not_comparable=refused,
        differences=grounds,
        judged=_judged(a, b),
        flips=flips,
        numbers=numbers,
        equal=[m.measure for m in moved if m.movement == "equal"],
        chance=sum(1 - m.level for m in numbers if m.level is not None),
        statuses=statuses,
        warnings=warnings,
        details=details,
        latents=seed,
        latents_reason=why,
    )


def _json(document: AuditDocument) -> Any:
    return document.model_dump(mode="json", by_alias=True)


def _audited(document: AuditDocument) -> Audited:
    plan, reference = document.plan, document.reference
    seed, samples = (value if isinstance(value, int) else None for value in (plan.get("seed"), plan.get("samples")))
    return Audited(
        name=document.subject.name,
        subject=document.subject.digest,
        reference=f"{reference.name} ({reference.against})",
        seed=seed,
        samples=samples,
        started=document.started,
        document="sha256:" + hashlib.sha256(dumps(document).encode("utf-8", "surrogatepass")).hexdigest(),
    )


def _urgency(movement: Movement) -> tuple[int, float]:
    # Of the numbers that moved alike, the one furthest out of its band comes first.
    half = 0.0 if movement.low is None or movement.high is None else (movement.high - movement.low) / 2
    distance = abs(movement.difference or 0.0) / half if half else 0.0
    return _ORDER.index(movement.movement), -distance


def _judged(a: AuditDocument, b: AuditDocument) -> Literal["both", "a", "b", "neither"]:
    if a.verdicts and b.verdicts:
        return "both"
    return "a" if a.verdicts else "b" if b.verdicts else "neither"


def _flips(a: AuditDocument, b: AuditDocument) -> list[Flip]:
    ours, theirs = ({_gate(v): v for v in document.verdicts} for document in (a, b))
    found = []
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(name), theirs.get(name)
        if one is not None and other is not None and one.outcome == other.outcome:
            continue
        held = one or other
        assert held is not None
        same = one is not None and other is not None and _question(one) == _question(other)
        found.append(Flip(gate=name, measure=held.measure, a=one, b=other, same_question=same))
    return sorted(found, key=lambda flip: flip.b is None or flip.b.outcome != "failed")


def _gate(verdict: Verdict) -> str:
    return getattr(verdict, "name", verdict.gate)


def _question(verdict: Verdict) -> tuple[Any, ...]:
    return verdict.measure, verdict.limit, verdict.level, verdict.direction


def _statuses(a: AuditDocument, b: AuditDocument) -> list[StatusChange]:
    found = []
    for name in _evaluators(a, b):
        one, other = a.result(name), b.result(name)
        status = [None if r is None else r.status for r in (one, other)]
        if status[0] != status[1]:
            reasons = [None if r is None else r.reason for r in (one, other)]
            change = StatusChange(evaluator=name, a=status[0], a_reason=reasons[0], b=status[1], b_reason=reasons[1])
            found.append(change)
    return found


def _warnings(a: AuditDocument, b: AuditDocument) -> list[WarningChange]:
    sides = [
        dict.fromkeys([*((None, w) for w in d.warnings), *((r.evaluator, w) for r in d.results for w in r.warnings)])
        for d in (a, b)
    ]
    return [
        WarningChange(only=only, evaluator=evaluator, text=text)
        for only, ours, theirs in (("b", sides[1], sides[0]), ("a", sides[0], sides[1]))
        for evaluator, text in ours
        if (evaluator, text) not in theirs
    ]


def _details(a: AuditDocument, b: AuditDocument) -> list[str]:
    def shown(result: EvaluatorResult | None) -> Any:
        return None if result is None else steady([d.model_dump(mode="json") for d in result.details])

    return [name for name in _evaluators(a, b) if shown(a.result(name)) != shown(b.result(name))]


def _evaluators(a: AuditDocument, b: AuditDocument) -> list[str]:
    return list(dict.fromkeys([*(r.evaluator for r in a.results), *(r.evaluator for r in b.results)]))


def _summary(
    refused: list[str],
    flips: list[Flip],
    numbers: list[Movement],
    statuses: list[StatusChange],
    warnings: list[WarningChange],
) -> str:
    counts = [(_WORDS[kind], sum(m.movement == kind for m in numbers)) for kind in _ORDER if kind != "equal"]
    told = [f"{n} {'number' if n == 1 else 'numbers'} {words}" for words, n in counts if n]
    if refused:
        told.insert(0, f"not comparable: the audits differ in {', '.join(refused)}")
    if flips:
        told.append(f"{len(flips)} gate{'s' if len(flips) != 1 else ''} flipped")
    if statuses:
        told.append(f"{len(statuses)} evaluator{'s' if len(statuses) != 1 else ''} of another status")
    appeared, gone = (sum(w.only == only for w in warnings) for only in ("b", "a"))
    passed = [(appeared, "appeared"), (gone, "went away")]
    told += [f"{n} warning{'s' if n != 1 else ''} {did}" for n, did in passed if n]
    return "; ".join(told) or "no number, verdict or warning differs; what the audits rest on or show does"
