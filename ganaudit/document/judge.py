"""One pure function that judges a document by a policy; console, JSON, HTML and exit code all read its answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from ganaudit.document.errors import ConfigError, nearest
from ganaudit.document.gates import Gate, Policy, Verdict, Waiver
from ganaudit.document.keys import part
from ganaudit.document.model import AuditDocument, Measurement

__all__ = ["Judgement", "differing_fields", "exit_of", "judge"]

_MACHINE = ("platform", "processor", "device", "threads")
_OUT_OF_REACH = 1e6
"""Widths of the interval in its distance from the limit beyond which no sample size would decide."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All verdicts of one policy on one document, and the exit code they come to."""

    verdicts: tuple[Verdict, ...]
    exit_code: int
    """0 every blocking gate passed or is waived; 1 one failed; 3 one could not be decided, or none was evaluated."""
    summary: str
    """One line: verdict and counts."""


@dataclass(frozen=True, slots=True)
class _Range:
    low: float
    high: float
    is_interval: bool


def judge(
    document: AuditDocument,
    policy: Policy,
    baseline: AuditDocument | None = None,
    today: date | None = None,
) -> Judgement:
    """Return the verdict on every gate and the exit code.

    A gate passes when the whole interval lies on the good side of its limit (the limit itself is good), fails when it
    lies wholly on the bad side, and is inconclusive otherwise. A number without an interval is judged by its value
    and the message says so, unless the gate asks for a confidence. A gate on a number that is absent, has too few
    samples or cannot be compared with the baseline is missing or inconclusive, never passed.

    ``today`` decides whether waivers have expired (UTC today when not given).
    Raises ConfigError when a gate names a measure that no evaluator of the document declares.
    """
    _check_names(document, policy)
    day = today or datetime.now(UTC).date()
    verdicts = []
    for gate in policy.gate:
        verdict = _verdict(gate, document, baseline)
        verdicts.append(_settled(verdict, gate, policy, document, day))
    return _judgement(tuple(verdicts), policy)


def exit_of(document: AuditDocument, judgement: Judgement | None) -> tuple[int, str]:
    """Return the exit code of an audit and the words for it; a failed gate outranks an audit that is incomplete.

    An audit is incomplete (3) when an evaluator failed, one asked for by name was not measured, or none was measured.
    """
    broken = [r for r in document.results if r.status == "failed" or (r.requested and r.status == "not_assessable")]
    measured = sum(r.status == "measured" for r in document.results)
    asked = sum(r.status != "skipped" for r in document.results)
    counts = f"{measured} of {asked} evaluators measured"
    if judgement is not None and judgement.exit_code == 1:
        return 1, f"{judgement.summary}; {counts}"
    if broken or not measured:
        names = ", ".join(f"{r.evaluator} {r.status.replace('_', ' ')}" for r in broken) or "nothing was measured"
        return 3, f"incomplete: {names}; {judgement.summary + '; ' if judgement else ''}{counts}"
    if judgement is not None:
        return judgement.exit_code, f"{judgement.summary}; {counts}"
    return 0, f"no policy was given, nothing was judged; {counts}"


def _check_names(document: AuditDocument, policy: Policy) -> None:
    known = document.measures()
    named = {gate.measure for gate in policy.gate if gate.measure in known or document.declared(gate.measure)}
    problems = [
        f"gate {gate.id!r}: no measure is called {gate.measure!r}; {nearest(gate.measure, known)}"
        for gate in policy.gate
        if gate.measure not in named
    ]
    problems += [
        f"gate {gate.id!r}: {gate.measure!r} has no better direction, so no limit can be set on it"
        for gate in policy.gate
        if gate.measure in named and _direction(document, gate.measure) not in ("lower", "higher")
    ]
    if problems:
        raise ConfigError(problems)


def _direction(document: AuditDocument, measure: str) -> str:
    found = document.measurement(measure)
    if found is not None:
        return found.better
    promised = document.declared(measure)
    return promised.better if promised is not None else "none"


def differing_fields(document: AuditDocument, baseline: AuditDocument, evaluator: str) -> list[str]:
    """Return the fields in which two audits' numbers of one evaluator rest on different ground, each with both values.

    The options of the other evaluators do not matter to it.
    """
    ours, theirs = (_ground(d, evaluator) for d in (document, baseline))
    return [
        f"{key} ({theirs.get(key)!r} in the baseline, {ours.get(key)!r} here)"
        for key in sorted(set(ours) | set(theirs))
        if ours.get(key) != theirs.get(key)
    ]


def _differing_machines(document: AuditDocument, baseline: AuditDocument) -> list[str]:
    """Return in what the machines of two audits differ: a time of one says nothing of the other."""
    ours, theirs = document.environment, baseline.environment
    return [
        f"{field} ({getattr(theirs, field)!r} in the baseline, {getattr(ours, field)!r} here)"
        for field in _MACHINE
        if getattr(ours, field) != getattr(theirs, field)
    ]


def _ground(document: AuditDocument, evaluator: str) -> dict[str, Any]:
    fields = dict(document.comparability.fields)
    evaluators = fields.pop("evaluators", {})
    return {**fields, f"options of {evaluator}": evaluators.get(evaluator)}


def _verdict(gate: Gate, document: AuditDocument, baseline: AuditDocument | None) -> Verdict:
    found = document.measurement(gate.measure)
    if found is None or found.value is None:
        return _plain(gate, "missing", _why_missing(gate, document, found))
    if found.n < gate.min_n:
        return _plain(gate, "inconclusive", f"rests on n = {found.n}; the gate asks for at least {gate.min_n}", found)
    if not gate.baseline:
        assert gate.limit is not None
        return _unsure(gate, found, found, gate.limit) or _compared(gate, found, gate.limit, 0.0)
    return _against_baseline(gate, found, document, baseline)


def _against_baseline(
    gate: Gate, found: Measurement, document: AuditDocument, baseline: AuditDocument | None
) -> Verdict:
    if baseline is None:
        return _plain(gate, "missing", "compares with a baseline and none was given (--baseline DOCUMENT)", found)
    reference = baseline.measurement(gate.measure)
    if reference is None or reference.value is None:
        return _plain(gate, "missing", "was not measured in the baseline", found)
    differing = differing_fields(document, baseline, gate.measure.partition("/")[0])
    differing += _differing_machines(document, baseline) if found.volatile else []
    if differing:
        message = "is not comparable with the baseline; they differ in " + "; ".join(differing)
        return _plain(gate, "missing", message, found)
    limit = reference.value + (gate.margin if found.better == "lower" else -gate.margin)
    unsure = _unsure(gate, found, found, limit) or _unsure(gate, found, reference, limit)
    return unsure or _compared(gate, found, limit, _half_width(reference))


def _unsure(gate: Gate, found: Measurement, held: Measurement, limit: float) -> Verdict | None:
    """Return the verdict where ``held``, the number or its baseline, lacks the confidence asked for, else None."""
    interval = held.interval
    if gate.confidence is None or (interval is not None and interval.level >= gate.confidence):
        return None
    whose = "it" if held is found else "the baseline"
    has = "no interval" if interval is None else f"an interval of confidence {interval.level:g}"
    reason = f" ({held.interval_reason})" if interval is None and held.interval_reason else ""
    message = f"the gate asks for confidence {gate.confidence:g}; {whose} has {has}{reason}"
    return _plain(gate, "inconclusive", message, found).model_copy(update={"limit": limit})


def _why_missing(gate: Gate, document: AuditDocument, found: Measurement | None) -> str:
    if found is not None:
        return f"has no value: {found.reason}"
    result = document.result(gate.measure.partition("/")[0])
    if result is None or result.status == "measured":
        promised = document.declared(gate.measure)
        asked = [] if result is None or promised is None else result.measurements
        kin = [m.key for m in asked if promised is not None and part(promised.key, m.key)]
        return f"was not measured; of its kind were {', '.join(kin)}" if kin else "was not measured"
    return f"was not measured: {result.evaluator} is {result.status.replace('_', ' ')}: {result.reason}"


def _half_width(measurement: Measurement) -> float:
    interval = measurement.interval
    return 0.0 if interval is None else (interval.high - interval.low) / 2


def _range(found: Measurement, spread: float) -> _Range:
    assert found.value is not None
    if found.interval is None:
        return _Range(found.value, found.value, is_interval=False)
    # A value beyond its own interval, as a bootstrap may give, is judged too: a gate never passes on a bad value.
    low, high = min(found.interval.low, found.value), max(found.interval.high, found.value)
    if spread:
        # Two audits are independent draws: the width of their difference adds in squares.
        low = found.value - math.hypot(found.value - low, spread)
        high = found.value + math.hypot(high - found.value, spread)
    return _Range(low, high, is_interval=True)


def _compared(gate: Gate, found: Measurement, limit: float, spread: float) -> Verdict:
    assert found.value is not None
    around = _range(found, spread)
    lower_is_better = found.better == "lower"
    good = around.high <= limit if lower_is_better else around.low >= limit
    bad = around.low > limit if lower_is_better else around.high < limit
    outcome = "passed" if good else "failed" if bad else "inconclusive"
    word = "at most" if lower_is_better else "at least"
    shown = f"{found.value:.6g}"
    if around.is_interval:
        shown += f" [{around.low:.6g}, {around.high:.6g}]"
    message = f"{shown}, asked for {word} {limit:.6g}"
    if gate.baseline:
        message += f" (baseline with margin {gate.margin:g})"
    if not around.is_interval:
        message += "; judged by the value alone: it has no interval"
    if found.volatile:
        message += "; caution: each run measures it anew, and another machine or load would give another verdict"
    needed = _n_needed(found, around, limit) if outcome == "inconclusive" else None
    if outcome == "inconclusive":
        message += "; the interval straddles the limit"
        message += f", about n = {needed} would decide" if needed else "; no n in reach would: the value is the limit"
    return Verdict(
        gate=gate.id,
        measure=gate.measure,
        level=gate.level,
        outcome=outcome,
        blocking=False,
        value=found.value,
        low=around.low if around.is_interval else None,
        high=around.high if around.is_interval else None,
        limit=limit,
        direction="lower" if lower_is_better else "higher",
        n=found.n,
        n_needed=needed,
        message=message,
    )


def _n_needed(found: Measurement, around: _Range, limit: float) -> int | None:
    """Return about the n at which the interval would leave the limit, its width shrinking with the root of n."""
    assert found.value is not None
    distance = abs(found.value - limit)
    half = around.high - found.value if limit > found.value else found.value - around.low
    # On both sides of the division by a tiny distance lies an overflow; an n beyond reach is none.
    if half <= 0.0 or half >= _OUT_OF_REACH * distance:
        return None
    return math.ceil(found.n * (half / distance) ** 2)


def _plain(gate: Gate, outcome: str, message: str, found: Measurement | None = None) -> Verdict:
    return Verdict.model_validate(
        {
            "gate": gate.id,
            "measure": gate.measure,
            "level": gate.level,
            "outcome": outcome,
            "blocking": False,
            "value": found.value if found else None,
            "low": found.interval.low if found and found.interval else None,
            "high": found.interval.high if found and found.interval else None,
            "limit": gate.limit,
            "n": found.n if found else None,
            "message": f"{gate.measure}: {message}",
        }
    )


def _settled(verdict: Verdict, gate: Gate, policy: Policy, document: AuditDocument, today: date) -> Verdict:
    waivers = [w for w in policy.waiver if w.gate == gate.id]
    if verdict.outcome == "failed" and waivers:
        verdict = _waived(verdict, waivers, document, today)
    return verdict.model_copy(update={"blocking": _blocks(verdict, policy)})


def _waived(verdict: Verdict, waivers: Sequence[Waiver], document: AuditDocument, today: date) -> Verdict:
    """Return the verdict waived by the first waiver that holds, else failed with what is wrong with each."""
    problems = [_waiver_problem(waiver, verdict, document, today) for waiver in waivers]
    if None not in problems:
        told = "; ".join(dict.fromkeys(p for p in problems if p))
        return verdict.model_copy(update={"message": f"{verdict.message}; {told}"})
    waiver = waivers[problems.index(None)]
    message = f"{verdict.message}; waived by {waiver.owner} until {waiver.expires.isoformat()}: {waiver.reason}"
    return verdict.model_copy(update={"outcome": "waived", "message": message})


def _waiver_problem(waiver: Waiver, verdict: Verdict, document: AuditDocument, today: date) -> str | None:
    assert verdict.value is not None
    lower_is_better = verdict.direction == "lower"
    if waiver.subject != document.subject.digest:
        return "its waiver is for another subject"
    if today > waiver.expires:
        return f"its waiver expired on {waiver.expires.isoformat()}"
    if verdict.value > waiver.ceiling if lower_is_better else verdict.value < waiver.ceiling:
        return f"its waiver covers values {'up' if lower_is_better else 'down'} to {waiver.ceiling:g}"
    return None


def _blocks(verdict: Verdict, policy: Policy) -> bool:
    levels = {"error": ("error",), "warn": ("error", "warn"), "never": ()}[policy.fail_on]
    if verdict.level not in levels:
        return False
    if verdict.outcome == "inconclusive":
        return policy.on_inconclusive == "error" or (policy.on_inconclusive == "warn" and policy.fail_on == "warn")
    return verdict.outcome in ("failed", "missing")


def _judgement(verdicts: tuple[Verdict, ...], policy: Policy) -> Judgement:
    counts = {
        outcome: sum(v.outcome == outcome for v in verdicts)
        for outcome in ("passed", "failed", "inconclusive", "missing", "waived")
    }
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "0 gates"
    if not verdicts:
        return Judgement((), 3, "incomplete: the policy has no gate")
    blocking = [v for v in verdicts if v.blocking]
    if any(v.outcome == "failed" for v in blocking):
        return Judgement(verdicts, 1, f"failed: {told}")
    # A policy none of whose gates met a number has judged nothing, however mild its gates are.
    nothing = policy.fail_on != "never" and counts["missing"] == len(verdicts)
    if blocking or nothing:
        return Judgement(verdicts, 3, f"incomplete: {told}")
    return Judgement(verdicts, 0, f"passed: {told}")
