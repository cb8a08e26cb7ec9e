"""One pure function that judges a document by a policy; console, JSON, HTML and exit code all read its answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from ganaudit.document.baselines import Baseline, ChangedBaseline, content_digest
from ganaudit.document.errors import ConfigError, nearest
from ganaudit.document.gates import Gate, Policy, Verdict
from ganaudit.document.grounds import differing_fields
from ganaudit.document.keys import matching
from ganaudit.document.model import AuditDocument
from ganaudit.document.verdicts import Case, verdict_of
from ganaudit.document.waivers import idle_waivers, waived

__all__ = ["Judgement", "differing_fields", "exit_of", "judge", "targets"]


_MANY = 10


@dataclass(frozen=True, slots=True)
class Judgement:
    """All verdicts of one policy on one document, and the exit code they come to."""

    verdicts: tuple[Verdict, ...]
    exit_code: int
    """0 every blocking gate passed or is waived; 1 one failed; 3 one could not be decided, or none was evaluated."""
    summary: str
    """One line: verdict and counts."""
    remarks: tuple[str, ...] = ()
    """What a reader should know beside the verdicts: idle waivers, a baseline that is this very audit."""


def judge(
    document: AuditDocument,
    policy: Policy,
    baseline: AuditDocument | Baseline | None = None,
    today: date | None = None,
    replicates: Sequence[AuditDocument] = (),
) -> Judgement:
    """Return the verdict on every gate and the exit code.

    A gate passes when the whole interval lies on the good side of its limit (the limit itself is good), fails when it
    lies wholly on the bad side, and is inconclusive otherwise. A number without an interval is judged by its value
    and the message says so, unless the gate asks for a confidence. A confidence above that of the interval widens it
    where ``at_confidence`` can; else the gate is inconclusive. A gate on a number that is absent, has too few
    samples or cannot be compared with the baseline is missing or inconclusive, never passed.

    Errors: an interval of level L whose ends miss the truth equally often passes a bad number, and fails a good one,
    in at most (1 - L)/2 of audits: 2.5 % each at 95 %. A gate on a family gives a verdict on each slice. All slices
    must pass, so passing needs no correction (intersection-union); failing widens the interval for the number of
    slices (``policy.multiplicity``), so that one good family fails in at most (1 - L)/2 all slices together.

    ``baseline`` is another audit, or the file of an accepted one; against one that was changed since it was written
    nothing passes, whatever the level of the gate. ``replicates`` are further audits of the same plan
    with other seeds, for gates that ask for them. ``today`` decides whether waivers have expired (UTC today when not
    given). Raises ConfigError when a gate names a measure that no evaluator of the document declares.
    """
    _check_names(document, policy)
    day = today or datetime.now(UTC).date()
    asked = [(gate, *target) for gate in policy.gate for target in targets(gate, document)]
    verdicts = []
    for gate, entry, measure in asked:
        siblings = sum(other is gate for other, *_ in asked)
        comparisons = {"slices": siblings, "gates": len(asked), "none": 1}[policy.multiplicity]
        case = Case(gate, entry, measure, document, baseline, tuple(replicates), comparisons)
        verdicts.append(_settled(verdict_of(case), policy, document, day))
    remarks = [*_of_the_baseline(document, baseline), *_of_chance(verdicts, policy)]
    remarks += idle_waivers(policy, verdicts, document.subject.digest, day)
    answer = _judgement(tuple(verdicts), policy, tuple(remarks))
    if answer.exit_code == 0 and isinstance(baseline, ChangedBaseline) and any(gate.baseline for gate in policy.gate):
        # As with a document that was changed: a mild gate must not hide it.
        words = f"incomplete: the baseline was changed after it was written; {answer.summary}"
        return replace(answer, exit_code=3, summary=words)
    return answer


def exit_of(document: AuditDocument, judgement: Judgement | None) -> tuple[int, str]:
    """Return the exit code of an audit and the words for it; a failed gate outranks an audit that is incomplete.

    An audit is incomplete (3) when an evaluator failed, one asked for by name was not measured, or none was measured,
    and when its document is not as it was written.
    """
    broken = [r for r in document.results if r.status == "failed" or (r.requested and r.status == "not_assessable")]
    measured = sum(r.status == "measured" for r in document.results)
    asked = sum(r.status != "skipped" for r in document.results)
    counts = f"{measured} of {asked} evaluators measured"
    if judgement is not None and judgement.exit_code == 1:
        return 1, f"{judgement.summary}; {counts}"
    if broken or not measured or document.changed:
        holes = [f"{r.evaluator} {r.status.replace('_', ' ')}" for r in broken]
        holes += [] if measured else ["nothing was measured"]
        holes += ["the document was changed after it was written"] if document.changed else []
        names = ", ".join(holes)
        return 3, f"incomplete: {names}; {judgement.summary + '; ' if judgement else ''}{counts}"
    if judgement is not None:
        return judgement.exit_code, f"{judgement.summary}; {counts}"
    return 0, f"no policy was given, nothing was judged; {counts}"


def targets(gate: Gate, document: AuditDocument) -> Iterator[tuple[str, str]]:
    """Yield slice and measure of every number that a gate asks for; a plain gate has one, with an empty slice."""
    evaluator, _, key = gate.measure.partition("/")
    if not ("{" in key or "*" in key):
        yield "", gate.measure
        return
    result = document.result(evaluator)
    measured = [] if result is None else [m.key for m in result.measurements]
    found = {entry: one for one in measured if (entry := matching(key, one)) is not None}
    for entry in gate.slices or found:
        yield entry, f"{evaluator}/{found.get(entry, key)}"
    if not gate.slices and not found:
        yield "", gate.measure


def _check_names(document: AuditDocument, policy: Policy) -> None:
    known = document.measures()
    problems = []
    for gate in policy.gate:
        asked = [measure for _, measure in targets(gate, document)]
        declared = [m for m in asked if m in known or document.declared(m) or _is_pattern_of(m, known)]
        if not declared:
            problems.append(f"gate {gate.id!r}: no measure is called {gate.measure!r}; {nearest(gate.measure, known)}")
        elif any(_direction(document, m, known) not in ("lower", "higher") for m in declared):
            problems.append(f"gate {gate.id!r}: {gate.measure!r} has no better direction, so no limit can be set on it")
    if problems:
        raise ConfigError(problems)


def _is_pattern_of(measure: str, known: Sequence[str]) -> bool:
    return "*" in measure and any(matching(measure, name) is not None for name in known)


def _direction(document: AuditDocument, measure: str, known: Sequence[str]) -> str:
    found = document.measurement(measure)
    if found is not None:
        return found.better
    if _is_pattern_of(measure, known):
        measure = next(name for name in known if matching(measure, name) is not None)
    promised = document.declared(measure)
    return promised.better if promised is not None else "none"


def _settled(verdict: Verdict, policy: Policy, document: AuditDocument, today: date) -> Verdict:
    waivers = [w for w in policy.waiver if w.gate == verdict.gate]
    if verdict.outcome == "failed" and waivers:
        verdict = waived(verdict, waivers, document.subject.digest, today)
    return verdict.model_copy(update={"blocking": _blocks(verdict, policy)})


def _blocks(verdict: Verdict, policy: Policy) -> bool:
    levels = {"error": ("error",), "warn": ("error", "warn"), "never": ()}[policy.fail_on]
    if verdict.level not in levels:
        return False
    if verdict.outcome == "inconclusive":
        return policy.on_inconclusive == "error" or (policy.on_inconclusive == "warn" and policy.fail_on == "warn")
    return verdict.outcome in ("failed", "missing")


def _of_the_baseline(document: AuditDocument, baseline: AuditDocument | Baseline | None) -> list[str]:
    if isinstance(baseline, ChangedBaseline):
        return [baseline.told]
    last = baseline.last if isinstance(baseline, Baseline) else None
    untold = [words] if isinstance(baseline, Baseline) and (words := baseline.untold) else []
    digest = last.document if last else content_digest(baseline) if isinstance(baseline, AuditDocument) else None
    if digest is None or digest != content_digest(document):
        return untold
    return [*untold, "the baseline is this very audit: it was judged against itself"]


def _of_chance(verdicts: Sequence[Verdict], policy: Policy) -> list[str]:
    """Return how likely a false failure is where many numbers are judged without a correction for all of them."""
    judged = [v for v in verdicts if v.low is not None]
    # The slices of one gate are corrected for their number: together they fail by chance as often as one number.
    names = [v.gate for v in judged]
    alone = names if policy.multiplicity == "none" else list(dict.fromkeys(names))
    if policy.multiplicity == "gates" or len(alone) < _MANY:
        return []
    levels = {gate.id: max(0.95, gate.confidence or 0.0) for gate in policy.gate}
    chances = [(1 - levels[name]) / 2 for name in alone]
    at = f"{100 * levels[alone[0]]:g} %" if len(set(chances)) == 1 else "the confidence of each"
    return [
        f"{len(alone)} gates were judged by intervals: were each at its very limit, about {math.fsum(chances):.2g} of "
        f'them would fail by chance at {at}; multiplicity = "gates" holds the chance of any below '
        f"{100 * max(chances):g} %"
    ]


def _judgement(verdicts: tuple[Verdict, ...], policy: Policy, remarks: tuple[str, ...]) -> Judgement:
    counts = {
        outcome: sum(v.outcome == outcome for v in verdicts)
        for outcome in ("passed", "failed", "inconclusive", "missing", "waived")
    }
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "0 gates"
    if not verdicts:
        return Judgement((), 3, "incomplete: the policy has no gate", remarks)
    blocking = [v for v in verdicts if v.blocking]
    if any(v.outcome == "failed" for v in blocking):
        return Judgement(verdicts, 1, f"failed: {told}", remarks)
    # A policy none of whose gates met a number has judged nothing, however mild its gates are.
    nothing = policy.fail_on != "never" and counts["missing"] == len(verdicts)
    if blocking or nothing:
        return Judgement(verdicts, 3, f"incomplete: {told}", remarks)
    decided = counts["passed"] + counts["failed"] + counts["waived"]
    if decided < policy.min_gates:
        return Judgement(verdicts, 3, f"incomplete: {told}; min_gates asks for {policy.min_gates} decided", remarks)
    word = "passed" if counts["passed"] + counts["waived"] else "nothing passed, nothing blocks"
    return Judgement(verdicts, 0, f"{word}: {told}", remarks)
