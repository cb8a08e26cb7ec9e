"""The verdict in words, derived once from a document; every report says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument, EvaluatorResult

__all__ = ["OUTCOMES", "Gap", "Summary", "gaps", "summarise"]

OUTCOMES = ("failed", "missing", "inconclusive", "waived", "passed")
"""Every outcome of a gate, what needs attention first."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the verdicts of a document come to."""

    outcome: Literal["passed", "failed", "incomplete", "unjudged"]
    word: str
    """The verdict in one or two words."""
    sentence: str
    """The verdict with its counts and whatever weakens it."""
    open: tuple[Verdict, ...]
    """Gates that failed, are missing or inconclusive; blocking ones first."""
    settled: tuple[Verdict, ...]
    """Gates that are waived or passed, waived ones first."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was declared and has no number."""

    evaluator: str
    title: str
    status: str
    reason: str
    requested: bool
    key: str = ""
    """The number that is missing, where the evaluator itself was measured."""


def summarise(document: AuditDocument) -> Summary:
    """Return the verdict in words: the exit-code rules of ``judge``, plus evaluators that were asked for and failed."""
    verdicts = sorted(document.verdicts, key=lambda v: (OUTCOMES.index(v.outcome), not v.blocking))
    unsettled = sorted(
        (v for v in verdicts if v.outcome in ("failed", "missing", "inconclusive")), key=lambda v: not v.blocking
    )
    broken = [r.evaluator for r in document.results if r.requested and r.status == "failed"]
    outcome = _outcome(document, unsettled, broken)
    return Summary(
        outcome=outcome,
        word={"unjudged": "not judged"}.get(outcome, outcome),
        sentence=_sentence(document, unsettled, broken),
        open=tuple(unsettled),
        settled=tuple(v for v in verdicts if v.outcome in ("waived", "passed")),
    )


def _outcome(
    document: AuditDocument, unsettled: list[Verdict], broken: list[str]
) -> Literal["passed", "failed", "incomplete", "unjudged"]:
    blocking = {v.outcome for v in unsettled if v.blocking}
    if "failed" in blocking:
        return "failed"
    if blocking or broken or (document.policy is not None and not document.verdicts):
        return "incomplete"
    return "passed" if document.verdicts else "unjudged"


def _sentence(document: AuditDocument, unsettled: list[Verdict], broken: list[str]) -> str:
    parts = []
    if document.verdicts:
        counts = [(o, sum(v.outcome == o for v in document.verdicts)) for o in OUTCOMES]
        told = ", ".join(f"{n} {outcome}" for outcome, n in counts if n)
        total = len(document.verdicts)
        parts.append(f"{total} gate{'s' if total != 1 else ''}: {told}")
        harmless = sum(not v.blocking for v in unsettled)
        if harmless:
            parts.append(f"{harmless} of them not blocking under this policy")
    elif document.policy is not None:
        parts.append("the policy has no gate, so nothing was judged")
    else:
        parts.append("no policy was configured: nothing was judged")
    if broken:
        parts.append(f"{_and(broken)} {'was' if len(broken) == 1 else 'were'} asked for and failed")
    return "; ".join(parts)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def gaps(document: AuditDocument) -> list[Gap]:
    """Return everything that was declared and has no number, with the reason; failures first."""
    order = ("failed", "not_assessable", "skipped")
    whole = [
        Gap(r.evaluator, r.title, r.status, r.reason or "", r.requested)
        for status in order
        for r in document.results
        if r.status == status
    ]
    return whole + [gap for r in document.results if r.status == "measured" for gap in _missing_numbers(r)]


def _missing_numbers(result: EvaluatorResult) -> list[Gap]:
    found = {m.key for m in result.measurements}
    named = [(m.key, m.title, m.reason or "") for m in result.measurements if m.value is None]
    named += [(d.key, d.title, "declared, but not reported") for d in result.declares if d.key not in found]
    return [Gap(result.evaluator, title, "no value", reason, result.requested, key) for key, title, reason in named]
