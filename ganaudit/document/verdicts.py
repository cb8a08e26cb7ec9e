"""The answer to one gate on one number: held against a limit, its null, or a baseline and its anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ganaudit.document.baselines import Baseline, BaselineEntry
from ganaudit.document.bounds import Bounds, bounds, bounds_against, n_that_decides, widening
from ganaudit.document.confidence import at_confidence, quantile
from ganaudit.document.gates import Gate, Verdict
from ganaudit.document.grounds import differing_fields, differing_machines
from ganaudit.document.keys import part
from ganaudit.document.model import AuditDocument, Measurement, Null
from ganaudit.document.pairs import Draws, draws_of, pair_of
from ganaudit.document.replicates import replicate_problems, replicated

__all__ = ["Case", "null_limit", "verdict_of"]

_USUAL = 0.95
"""The confidence of intervals and of the ranges of nulls where nothing else is said."""
_WORST_FIRST = ("failed", "missing", "inconclusive", "passed")


@dataclass(frozen=True, slots=True)
class Case:
    """One gate on one number, and everything the answer may need."""

    gate: Gate
    entry: str
    """The slice; empty for a plain gate."""
    measure: str
    document: AuditDocument
    baseline: AuditDocument | Baseline | None
    replicates: tuple[AuditDocument, ...]
    comparisons: int
    """For how many comparisons at once a failure must hold."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a number is held against."""

    limit: float
    words: str = ""
    around: Bounds | None = None
    """The range to judge by, where it is not the number's own."""
    held: float | None = None
    anchor: float | None = None


def verdict_of(case: Case) -> Verdict:
    """Return the verdict on one gate and one number; whether it blocks and is waived is settled by the judge."""
    gate, found = case.gate, case.document.measurement(case.measure)
    if found is None or found.value is None:
        return _plain(case, "missing", _why_missing(case, found))
    if found.n < gate.min_n:
        return _plain(case, "inconclusive", f"rests on n = {found.n}; the gate asks for at least {gate.min_n}", found)
    if gate.replicates > 1:
        over = _over_replicates(case)
        if isinstance(over, Verdict):
            return over
        found = over
    if gate.baseline:
        return _against_baseline(case, found)
    if gate.null:
        return _against_null(case, found)
    assert gate.limit is not None
    surer = _surer(case, found, found, gate.limit)
    return surer if isinstance(surer, Verdict) else _compared(case, surer, _Ground(gate.limit))


def _over_replicates(case: Case) -> Measurement | Verdict:
    """Return the number as the mean over replicates, or the verdict that says why it cannot be."""
    documents = (case.document, *case.replicates)
    found = case.document.measurement(case.measure)
    asked = case.gate.replicates
    if len(documents) < asked:
        message = f"the gate asks for {asked} replicates; {len(documents)} given (--replicate DOCUMENT, other seeds)"
        return _plain(case, "inconclusive", message, found)
    problems = replicate_problems(documents, case.measure)
    if problems:
        return _plain(case, "missing", "its replicates do not belong together: " + "; ".join(problems), found)
    over, level = replicated(documents, case.measure, case.gate.confidence), case.gate.confidence or 0.0
    if over.interval is not None and over.interval.level < level:
        own = [one for document in documents if (one := document.measurement(case.measure)) is not None]
        told = next(problem for one in own if (problem := at_confidence(one, level)[1]))
        return _plain(case, "inconclusive", f"the gate asks for confidence {level:g}; one of its audits {told}", found)
    return over


def null_limit(gate: Gate, found: Measurement, null: Null) -> float:
    """Return the worst value that a gate on the null lets pass."""
    lower = found.better == "lower"
    worse = null.value * gate.ratio if lower == (null.value >= 0.0) else null.value / gate.ratio
    return worse + gate.margin if lower else worse - gate.margin


def _against_null(case: Case, found: Measurement) -> Verdict:
    null, gate = found.null, case.gate
    if null is None:
        return _plain(case, "missing", f"compares with its null and has none: {found.null_reason}", found)
    limit = null_limit(gate, found, null)
    worse = limit - gate.margin if found.better == "lower" else limit + gate.margin
    spread = 0.0 if null.low is None or null.high is None else (null.high - null.low) / 2
    spread *= abs(worse / null.value) if null.value else 1.0
    # The range of a null is of 95 %, and is taken for that of a normal law wherever it counts.
    spread *= quantile(max(_USUAL, gate.confidence or 0.0)) / quantile(_USUAL)
    words = f" (its null {null.value:.6g}"
    words += f" times {gate.ratio:g}" if gate.ratio != 1.0 else ""
    words += f" with margin {gate.margin:g}" if gate.margin else ""
    words += f", of n = {null.n} instead of {found.n})" if null.n != found.n else ")"
    surer = _surer(case, found, found, limit)
    if isinstance(surer, Verdict):
        return surer
    return _compared(case, surer, _Ground(limit, words, bounds(surer, spread), held=null.value))


def _against_baseline(case: Case, found: Measurement) -> Verdict:
    baseline, gate = case.baseline, case.gate
    if baseline is None:
        return _plain(case, "missing", "compares with a baseline and none was given (--baseline DOCUMENT)", found)
    if isinstance(baseline, AuditDocument):
        if gate.anchor_margin is not None:
            message = "compares with an anchor; an audit has none: give a baseline (ganaudit baseline accept)"
            return _plain(case, "missing", message, found)
        return _against(case, found, baseline, "baseline", gate.margin)
    last, anchor = baseline.last, baseline.anchor
    if last is None or anchor is None:
        return _plain(case, "missing", baseline.absence, found)
    verdict = _against(case, found, last, "baseline", gate.margin)
    if gate.anchor_margin is None:
        return verdict
    drifted = _against(case, found, anchor, "anchor", gate.anchor_margin)
    worst, other = sorted((verdict, drifted), key=lambda v: _WORST_FIRST.index(v.outcome))
    message = worst.message if worst.outcome == "passed" else f"{worst.message}; {other.message}"
    return worst.model_copy(update={"held": verdict.held, "anchor": drifted.held, "message": message})


def _against(case: Case, found: Measurement, held: AuditDocument | BaselineEntry, named: str, margin: float) -> Verdict:
    reference = held.measurement(case.measure)
    if reference is None or reference.value is None:
        return _plain(case, "missing", f"was not measured in the {named}", found)
    evaluator = case.measure.partition("/")[0]
    differing = differing_fields(case.document, held, evaluator, f"the {named}")
    differing += differing_machines(case.document, held, f"the {named}") if found.volatile else []
    if differing:
        message = f"is not comparable with the {named}; they differ in " + "; ".join(differing)
        return _plain(case, "missing", message, found)
    limit = reference.value + (margin if found.better == "lower" else -margin)
    pair = pair_of(_draws(held), draws_of(case.document), reference, found)
    words = f" ({named} with margin {margin:g}{', the shared samples taken into account' if pair else ''})"
    surer, other = _surer(case, found, found, limit), _surer(case, found, reference, limit, f"the {named}")
    for one in (surer, other):
        if isinstance(one, Verdict):
            return one
    assert isinstance(surer, Measurement)
    assert isinstance(other, Measurement)
    return _compared(case, surer, _Ground(limit, words, bounds_against(surer, other, pair), held=reference.value))


def _surer(case: Case, found: Measurement, held: Measurement, limit: float, whose: str = "it") -> Measurement | Verdict:
    """Return ``held``, the number or what it is held against, at the confidence asked for, or the verdict where not."""
    made, problem = at_confidence(held, case.gate.confidence)
    if not problem:
        return made
    message = f"the gate asks for confidence {case.gate.confidence:.12g}; {whose} {problem}"
    return _plain(case, "inconclusive", message, found).model_copy(update={"limit": limit})


def _why_missing(case: Case, found: Measurement | None) -> str:
    document, measure = case.document, case.measure
    if found is not None:
        return f"has no value: {found.reason}"
    result = document.result(measure.partition("/")[0])
    if result is None or result.status == "measured":
        promised = document.declared(measure)
        asked = [] if result is None or promised is None else result.measurements
        kin = [m.key for m in asked if promised is not None and part(promised.key, m.key)]
        named = f"its slice {case.entry} " if case.entry else ""
        return f"{named}was not measured; of its kind were {', '.join(kin)}" if kin else f"{named}was not measured"
    return f"was not measured: {result.evaluator} is {result.status.replace('_', ' ')}: {result.reason}"


def _draws(held: AuditDocument | BaselineEntry) -> Draws:
    return held.draws if isinstance(held, BaselineEntry) else draws_of(held)


def _compared(case: Case, found: Measurement, ground: _Ground) -> Verdict:
    assert found.value is not None
    limit, lower = ground.limit, found.better == "lower"
    around = ground.around or bounds(found)
    level = found.interval.level if found.interval else _USUAL
    surer = around.widened(widening(level, case.comparisons))
    outcome: Literal["passed", "failed", "inconclusive"] = "inconclusive"
    if around.is_good(limit, lower):
        outcome = "passed"
    elif surer.is_bad(limit, lower):
        outcome = "failed"
    needed = None
    if outcome == "inconclusive" and not case.gate.null:
        # What fails must do so at the wider range: on the bad side it is that which has to leave the limit.
        is_worse = found.value > limit if lower else found.value < limit
        needed = n_that_decides(found.n, surer if is_worse else around, limit)
    declared = case.document.declared(case.measure)
    if declared is not None and around.is_interval:  # what is shown: the verdict is that of the whole range
        around = around.within(declared.least, declared.most)
    return Verdict(
        gate=case.gate.id,
        slice=case.entry,
        measure=case.measure,
        level=case.gate.level,
        outcome=outcome,
        blocking=False,
        value=found.value,
        low=around.low if around.is_interval else None,
        high=around.high if around.is_interval else None,
        limit=limit,
        direction="lower" if lower else "higher",
        n=found.n,
        n_needed=needed,
        held=ground.held,
        message=_message(case, found, ground, around, outcome, needed),
    )


def _message(case: Case, found: Measurement, ground: _Ground, around: Bounds, outcome: str, needed: int | None) -> str:
    lower = found.better == "lower"
    message = f"{found.value:.6g}"
    if around.is_interval:
        message += f" [{around.low:.6g}, {around.high:.6g}]"
        if ground.around:
            message += f" {'with' if around.has_held else 'without'} the chance of what it is held against"
        level = found.interval.level if found.interval else _USUAL
        message += f" at confidence {level:g}" if level != _USUAL else ""
    message += f", asked for {'at most' if lower else 'at least'} {ground.limit:.6g}{ground.words}"
    if case.gate.replicates > 1:
        message += f"; the mean over {1 + len(case.replicates)} audits"
    if not around.is_interval:
        message += "; judged by the value alone"
        unsure = f"{around.high - around.value:.4g}"
        message += (
            f" against a limit known to \N{PLUS-MINUS SIGN} {unsure}: it has no interval, its own chance is left out"
            if around.has_held
            else ": it has no interval"
        )
    if found.volatile:
        message += "; caution: each run measures it anew, and another machine or load would give another verdict"
    return message if outcome != "inconclusive" else message + _undecided(case, ground, around, lower, needed)


def _undecided(case: Case, ground: _Ground, around: Bounds, lower: bool, needed: int | None) -> str:
    """Return why nothing was decided and about the n that would decide, where that can be told."""
    if around.is_bad(ground.limit, lower):
        why = f"; on the bad side, but not once {case.comparisons} numbers are judged at once"
    else:
        why = "; the interval straddles the limit" if around.is_interval else "; the limit is not known well enough"
    if case.gate.null:
        return f"{why}; more samples may decide, how many cannot be told: the null moves with n too"
    if needed is None:
        return f"{why}; no n in reach would: the value is the limit"
    return f"{why}, about n = {needed} {'in both audits ' if case.gate.baseline else ''}would decide"


def _plain(case: Case, outcome: str, message: str, found: Measurement | None = None) -> Verdict:
    return Verdict.model_validate(
        {
            "gate": case.gate.id,
            "slice": case.entry,
            "measure": case.measure,
            "level": case.gate.level,
            "outcome": outcome,
            "blocking": False,
            "value": found.value if found else None,
            "low": found.interval.low if found and found.interval else None,
            "high": found.interval.high if found and found.interval else None,
            "limit": case.gate.limit,
            "n": found.n if found else None,
            "message": f"{case.measure}: {message}",
        }
    )
