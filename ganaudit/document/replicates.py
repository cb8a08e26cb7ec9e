"""One number over several audits of other seeds: their mean, with an interval that covers the seeds too."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ganaudit.document.confidence import at_confidence, student
from ganaudit.document.grounds import differing_fields, differing_machines
from ganaudit.document.model import AuditDocument, Interval, Measurement

__all__ = ["replicate_problems", "replicated"]


def replicate_problems(documents: Sequence[AuditDocument], measure: str) -> list[str]:
    """Return why audits are no replicates of the first in one number; empty where they are.

    Replicates audit one subject by one plan and differ in the seed alone.
    """
    first, evaluator = documents[0], measure.partition("/")[0]
    problems = []
    for i, other in enumerate(documents[1:], start=2):
        named = f"replicate {i}"
        if other.subject.digest != first.subject.digest:
            problems.append(f"{named} is of another subject ({other.subject.digest} against {first.subject.digest})")
        problems += [f"{named} differs in {field}" for field in differing_fields(first, other, evaluator, named)]
        found = other.measurement(measure)
        if found is None or found.value is None:
            problems.append(f"{named} has no value of {measure}")
        elif found.volatile:
            problems += [f"{named} differs in {field}" for field in differing_machines(first, other, named)]
    seeds = [document.plan.get("seed") for document in documents]
    doubled = sorted({str(seed) for seed in seeds if seeds.count(seed) > 1})
    if doubled:
        problems.append(f"seeds must differ between replicates; used twice: {', '.join(doubled)}")
    return problems


def replicated(documents: Sequence[AuditDocument], measure: str, confidence: float | None = None) -> Measurement:
    """Return one number as the mean over replicates, n and all else as in the first audit.

    Interval: the hull of two. Student's t over the R values, mean +- t(R - 1) s/R^(1/2) with divisor R - 1, covers the
    seeds; the mean of the audits' own intervals covers the real samples too, which replicates share and no number of
    seeds averages out. Audits need ``replicate_problems`` to be empty. Without own intervals the first stands alone.
    Both are of ``confidence`` where that is more than the audits' own and ``at_confidence`` makes their intervals so.
    """
    found = [held for held in (document.measurement(measure) for document in documents) if held is not None]
    values = [held.value for held in found if held.value is not None]
    r = len(values)
    found = [at_confidence(held, confidence)[0] for held in found]
    first = found[0]
    mean = math.fsum(values) / r
    level = first.interval.level if first.interval else max(0.95, confidence or 0.0)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (r - 1))
    half = student(level, r - 1) * deviation / math.sqrt(r)
    low, high = mean - half, mean + half
    own = [held.interval for held in found if held.interval is not None and held.interval.level == level]
    if len(own) == r:
        low = min(low, math.fsum(interval.low for interval in own) / r)
        high = max(high, math.fsum(interval.high for interval in own) / r)
    covers = f"the seeds, over {r} audits" + (f"; and {own[0].covers}" if len(own) == r else "")
    interval = Interval(low=low, high=high, level=level, method="Student's t over replicates", covers=covers)
    # The error of a mean over seeds is not that of the first audit: it goes together with no other's.
    changed = {"value": mean, "interval": interval, "interval_reason": None, "error_parts": None}
    return first.model_copy(update=changed)
