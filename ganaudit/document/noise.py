"""How near to perfect a limit can be: the measured noise floor, and the policies that ask for less than it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ganaudit.document.baselines import Baseline, BaselineEntry
from ganaudit.document.bounds import bounds_against
from ganaudit.document.confidence import at_confidence, student
from ganaudit.document.gates import Gate, Policy
from ganaudit.document.grounds import differing_fields
from ganaudit.document.judge import judge, targets
from ganaudit.document.model import AuditDocument, Measurement
from ganaudit.document.pairs import draws_of, pair_of
from ganaudit.document.replicates import replicate_problems
from ganaudit.document.verdicts import null_limit

__all__ = ["Floor", "Remark", "difference_floor", "floor_of", "lint_policy"]

_SOON = 14
"""Days before its end from which a waiver is spoken of."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The best that a number can be asked for at its n, and where that comes from."""

    value: float
    why: str


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing about a policy that would mislead."""

    gate: str
    """The gate's id; empty for the policy as a whole."""
    level: Literal["error", "warning"]
    message: str
    undecidable: bool = False
    """Whether it is that the gate asks for a confidence that its number cannot have, so that it never decides."""


def floor_of(found: Measurement) -> Floor | None:
    """Return the limit below which (above which, where higher is better) not even real data would pass at this n.

    Real against real gives the null v0 in [l0, h0]; a generator as good as the data has that value and this interval's
    half-width w, and passes a limit only when v0 + w (v0 - w) is on its good side. The floor is the worse of that and
    of the null's own end. None without a null or a value.
    """
    null, interval = found.null, found.interval
    if null is None or found.value is None or found.better not in ("lower", "higher"):
        return None
    if found.better == "lower":
        half = 0.0 if interval is None else max(0.0, interval.high - found.value)
        ends = [null.value + half, *([] if null.high is None else [null.high])]
        value = max(ends)
    else:
        half = 0.0 if interval is None else max(0.0, found.value - interval.low)
        ends = [null.value - half, *([] if null.low is None else [null.low])]
        value = min(ends)
    at = f"n = {null.n}" if null.n == found.n else f"n = {null.n} (the number itself has n = {found.n})"
    reaches = f"and the interval reaches {half:.3g} further"
    if value in (null.high, null.low) and value != null.value + (half if found.better == "lower" else -half):
        reaches = f"and may come out as {value:.4g}"
    return Floor(value, f"real against real is {null.value:.4g} at {at}, {reaches}")


def difference_floor(found: Measurement, again: Sequence[Measurement] = ()) -> Floor | None:
    """Return the least margin at which the same generator, audited twice, would pass against itself.

    The half-widths of both intervals add in squares: w 2^(1/2). With replicates the spread over their R seeds is
    measured as well, t(R - 1) s 2^(1/2), and the larger of the two is the floor. None without either.
    """
    floors = []
    if found.interval is not None and found.value is not None:
        lower = found.better == "lower"
        half = found.interval.high - found.value if lower else found.value - found.interval.low
        floors.append(Floor(max(0.0, half) * math.sqrt(2), "the intervals of two audits add in squares"))
    values = [m.value for m in (found, *again) if m.value is not None]
    if len(values) > 2:
        mean = math.fsum(values) / len(values)
        deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
        reach = student(0.95, len(values) - 1) * deviation * math.sqrt(2)
        floors.append(Floor(reach, f"measured over {len(values)} seeds"))
    return max(floors, key=lambda f: f.value, default=None)


def lint_policy(
    policy: Policy,
    document: AuditDocument,
    baseline: AuditDocument | Baseline | None = None,
    today: date | None = None,
    replicates: Sequence[AuditDocument] = (),
) -> list[Remark]:
    """Return what is wrong with a policy for audits such as ``document``, errors first.

    Errors are limits and margins beyond the noise floor: they fail, or never decide, whatever the generator is.
    Raises ConfigError as ``judge`` does.
    """
    judgement = judge(document, policy, baseline, today, replicates)
    remarks = [Remark("", "warning", text) for text in judgement.remarks]
    remarks += _of_the_whole(policy, today)
    for gate in policy.gate:
        for entry, measure in targets(gate, document):
            found = document.measurement(measure)
            if found is None or found.value is None:
                remarks.append(Remark(gate.id, "warning", f"{measure} is not measured here: the gate would be missing"))
                continue
            again = _again(document, replicates, measure)
            named = f"{gate.id}[{entry}]" if entry else gate.id
            found, lacks = at_confidence(found, gate.confidence)
            if lacks:
                asks = f"it asks for confidence {gate.confidence:.12g}, and {found.key} {lacks}: it never decides"
                remarks.append(Remark(named, "error", asks, undecidable=True))
            half = _paired_half(document, baseline, measure, found)
            remarks += [Remark(named, level, text) for level, text in _of_a_gate(gate, found, again, half)]
            remarks += [Remark(named, "warning", text) for text in _of_the_bounds(gate, found, document, measure)]
    return sorted(remarks, key=lambda r: r.level != "error")


def _again(document: AuditDocument, replicates: Sequence[AuditDocument], measure: str) -> list[Measurement]:
    if not replicates or replicate_problems((document, *replicates), measure):
        return []
    return [found for r in replicates if (found := r.measurement(measure)) is not None]


def _of_the_whole(policy: Policy, today: date | None) -> list[Remark]:
    remarks = []
    blocking = {"error": ("error",), "warn": ("error", "warn"), "never": ()}[policy.fail_on]
    if not any(gate.level in blocking for gate in policy.gate):
        remarks.append(Remark("", "warning", f"no gate blocks: fail_on is {policy.fail_on!r} and none is that severe"))
    for waiver in policy.waiver:
        days = None if today is None else (waiver.expires - today).days
        if days is not None and 0 <= days <= _SOON:
            remarks.append(Remark(waiver.gate, "warning", f"the waiver of {waiver.owner} expires in {days} days"))
    return remarks


def _of_the_bounds(gate: Gate, found: Measurement, document: AuditDocument, measure: str) -> list[str]:
    declared = document.declared(measure)
    if gate.limit is None or declared is None:
        return []
    end = declared.most if found.better == "lower" else declared.least
    if end is None or (gate.limit < end if found.better == "lower" else gate.limit > end):
        return []
    return [f"limit {gate.limit:g} can never fail: {found.key} cannot be worse than {end:g}"]


def _paired_half(
    document: AuditDocument, baseline: AuditDocument | Baseline | None, measure: str, found: Measurement
) -> float | None:
    """Return how far a number may lie from the baseline's by chance where both share samples, else None."""
    held = baseline.last if isinstance(baseline, Baseline) else baseline
    reference = None if held is None else held.measurement(measure)
    if held is None or reference is None or reference.value is None or found.value is None:
        return None
    reference, _ = at_confidence(reference, None if found.interval is None else found.interval.level)
    draws = held.draws if isinstance(held, BaselineEntry) else draws_of(held)
    pair = pair_of(draws, draws_of(document), reference, found)
    if pair is None or differing_fields(document, held, measure.partition("/")[0]):
        return None
    around = bounds_against(found, reference, pair)
    return around.high - found.value if found.better == "lower" else found.value - around.low


def _of_the_null(gate: Gate, found: Measurement) -> list[tuple[Literal["error", "warning"], str]]:
    """Return whether a generator as good as the data could pass a gate on the null."""
    null, interval = found.null, found.interval
    if not gate.null or null is None or found.value is None or found.better not in ("lower", "higher"):
        return []
    lower = found.better == "lower"
    own = 0.0 if interval is None else interval.high - found.value if lower else found.value - interval.low
    spread = 0.0 if null.low is None or null.high is None else (null.high - null.low) / 2
    reach = math.hypot(max(0.0, own), spread) if interval is not None else 0.0
    allowed = abs(null_limit(gate, found, null) - null.value)
    if allowed >= reach > 0.0 or reach == 0.0:
        return []
    message = f"it allows {allowed:.4g} beyond the null of {found.key}, and chance alone moves it by {reach:.4g}"
    return [("error", f"{message}: not even real data would pass; give a margin or a ratio above that")]


def _of_a_gate(
    gate: Gate, found: Measurement, again: Sequence[Measurement], pair_half: float | None
) -> list[tuple[Literal["error", "warning"], str]]:
    told: list[tuple[Literal["error", "warning"], str]] = []
    lower = found.better == "lower"
    if gate.limit is not None:
        floor = floor_of(found)
        if floor is not None and (gate.limit < floor.value if lower else gate.limit > floor.value):
            side = "below" if lower else "above"
            message = f"limit {gate.limit:g} is {side} the noise floor {floor.value:.4g} of {found.key}: {floor.why}"
            told.append(("error", f"{message}; not even real data would pass. Ask for less, or audit more samples"))
    told += _of_the_null(gate, found)
    floor = (
        difference_floor(found, again) if pair_half is None else Floor(pair_half, "as the audits at hand share samples")
    )
    for name, margin in (("margin", gate.margin), ("anchor_margin", gate.anchor_margin)):
        if gate.baseline and floor is not None and margin is not None and margin < floor.value:
            message = f"{name} {margin:g} is below the noise floor {floor.value:.4g} of a difference of {found.key}"
            told.append(("error", f"{message} ({floor.why}): the same generator would not pass against itself"))
    if gate.min_n > found.n:
        told.append(("warning", f"min_n = {gate.min_n} is more than the {found.n} samples of this audit"))
    if found.interval is None and gate.confidence is None:
        told.append(("warning", f"{found.key} has no interval ({found.interval_reason}): its value alone decides"))
    if found.volatile and not gate.baseline:
        told.append(("warning", f"{found.key} is measured anew by each run: a limit on it holds for one machine only"))
    return told
