"""The verdict in words, derived once from a document; every report says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ganaudit.document.gates import Verdict
from ganaudit.document.keys import family
from ganaudit.document.model import AuditDocument, EvaluatorResult

__all__ = ["OUTCOMES", "Gap", "Summary", "broken", "gaps", "summarise"]

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
    """Return the verdict in words; the outcome is the one that ``exit_of`` turns into the exit code."""
    verdicts = sorted(document.verdicts, key=lambda v: (OUTCOMES.index(v.outcome), not v.blocking))
    unsettled = [v for v in verdicts if v.outcome in ("failed", "missing", "inconclusive")]
    unsettled.sort(key=lambda v: not v.blocking)
    holes = _holes(document)
    outcome = _outcome(document, {v.outcome for v in unsettled if v.blocking}, bool(holes))
    return Summary(
        outcome=outcome,
        word=_word(outcome, bool(document.verdicts)),
        sentence="; ".join([*_counts(document, sum(not v.blocking for v in unsettled)), *holes]),
        open=tuple(unsettled),
        settled=tuple(v for v in verdicts if v.outcome in ("waived", "passed")),
    )


def _word(outcome: str, judged: bool) -> str:
    if outcome != "unjudged":
        return outcome
    return "nothing passed, nothing blocks" if judged else "not judged"


def broken(document: AuditDocument) -> list[EvaluatorResult]:
    """Return the evaluators that leave an audit incomplete: those that failed or were asked for by name in vain."""
    return [r for r in document.results if r.status == "failed" or (r.requested and r.status == "not_assessable")]


def _outcome(
    document: AuditDocument, blocking: set[str], holed: bool
) -> Literal["passed", "failed", "incomplete", "unjudged"]:
    if "failed" in blocking:
        return "failed"
    if blocking or holed:
        return "incomplete"
    return "passed" if any(v.outcome in ("passed", "waived") for v in document.verdicts) else "unjudged"


def _counts(document: AuditDocument, harmless: int) -> list[str]:
    if not document.verdicts:
        return [] if document.policy is not None else ["no policy was configured: nothing was judged"]
    counts = [(o, sum(v.outcome == o for v in document.verdicts)) for o in OUTCOMES]
    total = len(document.verdicts)
    told = f"{total} gate{'s' if total != 1 else ''}: " + ", ".join(f"{n} {outcome}" for outcome, n in counts if n)
    return [told, f"{harmless} of them not blocking under this policy"] if harmless else [told]


def _holes(document: AuditDocument) -> list[str]:
    holes = []
    mild = document.policy is not None and document.policy.get("fail_on") == "never"
    if document.policy is not None and not document.verdicts:
        holes.append("the policy has no gate, so nothing was judged")
    elif document.verdicts and not mild and all(v.outcome == "missing" for v in document.verdicts):
        holes.append("no gate met a number")
    least = 0 if document.policy is None else document.policy.get("min_gates", 0)
    decided = sum(v.outcome in ("passed", "failed", "waived") for v in document.verdicts)
    if document.verdicts and isinstance(least, int) and decided < least:
        holes.append(f"{decided} of the {least} gates that min_gates asks for were decided")
    holes += [
        f"{r.evaluator} failed" if r.status == "failed" else f"{r.evaluator} was asked for and is not assessable"
        for r in broken(document)
    ]
    if document.changed:
        holes.append("the document was changed after it was written")
    if not any(r.status == "measured" for r in document.results):
        holes.append("nothing was measured")
    return holes


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
    families = [d.key for d in result.declares]
    found = {family(m.key, families) for m in result.measurements}
    named = [(m.key, m.title, m.reason or "") for m in result.measurements if m.value is None]
    named += [(d.key, d.title, "declared, but not reported") for d in result.declares if d.key not in found]
    return [Gap(result.evaluator, title, "no value", reason, result.requested, key) for key, title, reason in named]
