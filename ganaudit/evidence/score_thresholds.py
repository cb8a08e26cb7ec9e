"""What thresholds promise and what they do: for one rate as measurements, for several as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Interval, Null, Slider, Table
from ganaudit.evidence.score_sides import Reading, ScoreSides, interval_of
from ganaudit.numerics.detection import false_positive_rate, roc, true_positive_rate
from ganaudit.numerics.detection_curves import reals_needed, tpr_at_fpr
from ganaudit.numerics.intervals import clopper_pearson, quantile_bounds
from ganaudit.numerics.thresholds import Threshold, achieved, rate_bounds, thresholds

__all__ = ["at_threshold", "caught_at_rate", "operating_points", "threshold_table"]

_COLUMNS = [
    "rate allowed",
    "promise",
    "threshold",
    "rank among calibration reals",
    "rate expected",
    "range of the rate (95 % of calibration draws)",
    "achieved on test reals",
    "interval",
    "p-value",
    "generated samples caught",
]
_STEPS = 40
_STRICT = (0.001, 0.01, 0.05, 0.1)
_POINTS = [
    "threshold",
    "false positive rate",
    "true positive rate",
    "precision if half are generated",
    "what lies here",
]
_HELD = "the drawing of {} samples, the threshold held fixed"


def at_threshold(threshold: Threshold, sides: ScoreSides) -> tuple[Reading, Reading, Reading]:
    """Return the threshold, the share of test reals that it calls generated, and that of generated samples."""
    sizes = {"calibration": len(sides.calibration)}, {"real": len(sides.real)}, {"fake": len(sides.fake)}
    if threshold.value is None:
        reason = _too_few(threshold)
        one, other, last = (Reading(None, size, reason=reason) for size in sizes)
        return one, other, last
    kept = achieved(sides.real, threshold)
    own = interval_of(kept.bounds, "Clopper-Pearson", _HELD.format("test real"))
    null = Null(value=kept.rate, low=own.low, high=own.high, n=kept.n, rule=f"{kept.n} test reals in place of "
                "generated samples")  # fmt: skip
    return (
        Reading(
            threshold.value,
            sizes[0],
            _quantile_interval(sides.calibration, threshold.rank),
            "a threshold is set on reals alone: there is no generated side to replace",
        ),
        Reading(kept.rate, sizes[1], own, _law(threshold)),
        _caught(sides.fake, threshold.value, sizes[2], null),
    )


def caught_at_rate(sides: ScoreSides, alpha: float) -> Reading:
    """Return the share of generated samples called generated where a share ``alpha`` of reals is, if reals suffice."""
    sizes = {"calibration": len(sides.calibration), "fake": len(sides.fake)}
    found = tpr_at_fpr(sides.calibration, sides.fake, alpha)
    if found is None:
        reason = (
            f"a rate of {100 * alpha:g} % needs {reals_needed(alpha)} calibration reals, for 10 of them below the "
            f"threshold; there are {len(sides.calibration)}, and the rate would be luck"
        )
        return Reading(None, sizes, reason=reason)
    below = int((sides.real < found.threshold).sum())
    share = clopper_pearson(below, len(sides.real), 0.95)
    return Reading(
        found.value,
        sizes,
        interval_of(
            found.at_rate,
            "Clopper-Pearson for generated samples, order statistics for reals, joined",
            "the drawing of calibration reals and of generated samples; not the training of the discriminator",
        ),
        Null(value=below / len(sides.real), low=share.low, high=share.high, n=len(sides.real),
             rule=f"{len(sides.real)} test reals in place of generated samples"),
    )  # fmt: skip


def threshold_table(sides: ScoreSides, rates: Sequence[float], confidence: float) -> Table:
    """Return each rate's conformal and PAC threshold with its promise, and what it does to test reals and fakes."""
    rows = [_row(t, sides) for t in thresholds(sides.calibration, sorted(rates, reverse=True), confidence)]
    return Table(title="Thresholds: what they promise and what they do", columns=_COLUMNS, rows=rows)


def operating_points(sides: ScoreSides, marked: Sequence[Threshold]) -> Table:
    """Return what thresholds along the ROC curve do to both sides, with a slider that stands on the first marked one.

    The thresholds are scores at equal steps of the sum of both rates, the highest that call no more than 0.1, 1, 5 and
    10 % of test reals generated, and the ``marked`` ones that there are. Precision is TPR/(TPR + FPR): the share of
    generated among the samples called so where every second sample is generated; None where none is called so.
    """
    labels: dict[float, str] = {}
    for threshold in marked:
        if threshold.value is not None:
            named = "conformal" if threshold.confidence is None else "PAC"
            label = f"{named}: {threshold.alpha:g} {_promise(threshold)}"
            labels[threshold.value] = f"{labels[threshold.value]}; {label}" if threshold.value in labels else label
    values = sorted({*_along(sides.real, sides.fake), *labels})
    rows = [_point(value, labels.get(value, ""), sides) for value in values]
    start = values.index(next(iter(labels))) if labels else len(values) // 2
    return Table(
        title="Operating points: what a threshold does to test reals and generated samples",
        columns=_POINTS,
        rows=rows,
        slider=Slider(label="Threshold: a sample that scores below it is called generated", start=start, marks=4),
    )


def _along(real: Tensor, fake: Tensor) -> list[float]:
    """Return finite thresholds at equal steps along the ROC curve, and those where few reals are called generated."""
    curve = roc(real, fake)
    steps = torch.linspace(0, 2, _STEPS, dtype=torch.float64)
    even = torch.searchsorted(curve.fpr + curve.tpr, steps).clamp(max=len(curve.fpr) - 1)
    strict = torch.searchsorted(curve.fpr, torch.tensor(_STRICT, dtype=torch.float64), right=True) - 1
    chosen = curve.thresholds[torch.cat([even, strict])]
    return chosen[chosen.isfinite()].tolist()


def _point(value: float, label: str, sides: ScoreSides) -> list[str | int | float | None]:
    fpr, tpr = false_positive_rate(sides.real, value), true_positive_rate(sides.fake, value)
    return [value, fpr, tpr, tpr / (tpr + fpr) if tpr + fpr > 0 else None, label]


def _promise(threshold: Threshold) -> str:
    return "on average" if threshold.confidence is None else f"in {threshold.confidence:.0%} of draws"


def _row(threshold: Threshold, sides: ScoreSides) -> list[str | int | float | None]:
    promise = _promise(threshold)
    if threshold.value is None:
        return [threshold.alpha, promise, f"needs {threshold.needed} reals", *[None] * (len(_COLUMNS) - 3)]
    law, kept = rate_bounds(threshold.n, threshold.rank, 0.95), achieved(sides.real, threshold)
    tied = f", {threshold.tied} tied" if threshold.tied > 1 else ""
    return [
        threshold.alpha,
        promise,
        threshold.value,
        f"{threshold.rank} of {threshold.n}{tied}",
        threshold.expected_rate,
        f"{law.low:.4g} to {law.high:.4g}",
        kept.rate,
        f"{kept.bounds.low:.4g} to {kept.bounds.high:.4g}",
        kept.p_value,
        true_positive_rate(sides.fake, threshold.value),
    ]


def _law(threshold: Threshold) -> Null:
    expected, law = threshold.expected_rate, rate_bounds(threshold.n, threshold.rank, 0.95)
    assert expected is not None  # there is a threshold
    k, promise = threshold.rank, "on average"
    if threshold.confidence is not None:
        promise = f"with confidence {threshold.confidence:g} over the drawing of calibration reals"
    return Null(
        value=expected,
        low=law.low,
        high=law.high,
        n=threshold.n,
        rule=f"promised: at most {threshold.alpha:g} {promise}. The rate expected of reals exchangeable with "
        "calibration; the range is over the drawing of calibration reals, by the law "
        f"Beta({k}, {threshold.n + 1 - k})",
    )


def _caught(fake: Tensor, threshold: float, sizes: dict[str, int], null: Null) -> Reading:
    bounds = clopper_pearson(int((fake < threshold).sum()), len(fake), 0.95)
    own = interval_of(bounds, "Clopper-Pearson", _HELD.format("generated"))
    return Reading(true_positive_rate(fake, threshold), sizes, own, null)


def _quantile_interval(calibration: Tensor, k: int) -> Interval | str:
    bounds = quantile_bounds(calibration, k, 0.95)
    if not (np.isfinite(bounds.low) and np.isfinite(bounds.high)):
        return "too few calibration reals lie below the threshold for a bound on both sides"
    return interval_of(
        bounds,
        "order statistics (binomial)",
        "the drawing of calibration reals, for the score quantile the threshold estimates",
    )


def _too_few(threshold: Threshold) -> str:
    sure = "" if threshold.confidence is None else f" with confidence {threshold.confidence:g}"
    return (
        f"a false positive rate of {threshold.alpha:g}{sure} needs {threshold.needed} calibration reals; there are "
        f"{threshold.n}"
    )
