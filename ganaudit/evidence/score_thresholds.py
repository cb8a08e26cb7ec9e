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

__all__ = ["at_threshold", "caught_at_rate", "no_thresholds", "operating_points", "threshold_table"]

_COLUMNS = [
    "FPR promised, at most",
    "FPR achieved",
    "low (95 %)",
    "high",
    "promise holds",
    "law over calibration",
    "its mean",
    "its 95 % range",
    "p-value",
    "threshold",
    "rank",
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
    sizes = _sizes(sides)
    if threshold.value is None or sides.calibration is None:
        return _without(_too_few(threshold), sides)
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


def no_thresholds(sides: ScoreSides, needed: int, promise: str) -> tuple[Reading, Reading, Reading]:
    """Return the same three without calibration reals, of which a threshold for ``promise`` takes ``needed``."""
    return _without(f"{promise} needs {needed} calibration reals: {sides.lacks}", sides)


def caught_at_rate(sides: ScoreSides, alpha: float) -> Reading:
    """Return the share of generated samples called generated where a share ``alpha`` of reals is, if reals suffice.

    The threshold is set on calibration reals or, where they are too few for it, on test reals: either has not seen the
    generated samples that are counted. The other stands in for these in the null.
    """
    held, n, needed = sides.calibration, len(sides.real), reals_needed(alpha)
    known = 0 if held is None else len(held)
    setting, name, others, other = sides.real, "test", held, "calibration"
    if held is not None and not known < needed <= n:
        setting, name, others, other = held, "calibration", sides.real, "test"
    sizes = {"real" if name == "test" else name: len(setting), "fake": len(sides.fake)}
    found = tpr_at_fpr(setting, sides.fake, alpha)
    if found is None:
        reason = (
            f"a rate of {100 * alpha:g} % needs {needed} reals of one split, for 10 of them below the threshold; there "
            f"are {known} for calibration and {n} for test, and the rate would be luck"
        )
        return Reading(None, sizes, reason=reason)
    null: Null | str = sides.no_null
    if others is not None:
        below = int((others < found.threshold).sum())
        share = clopper_pearson(below, len(others), 0.95)
        null = Null(value=below / len(others), low=share.low, high=share.high, n=len(others),
                    rule=f"{len(others)} {other} reals in place of generated samples")  # fmt: skip
    return Reading(
        found.value,
        sizes,
        interval_of(
            found.at_rate,
            "Clopper-Pearson for generated samples, order statistics for reals, joined",
            f"the drawing of {name} reals, which set the threshold, and of generated samples; not the training of the "
            "discriminator",
        ),
        null,
    )


def threshold_table(sides: ScoreSides, calibration: Tensor, rates: Sequence[float], confidence: float) -> Table:
    """Return each rate's conformal and PAC threshold with its promise, and what it does to test reals and fakes."""
    rows = [_row(t, sides) for t in thresholds(calibration, sorted(rates, reverse=True), confidence)]
    n, m = len(calibration), len(sides.real)
    title = f"Thresholds from {n} calibration reals: FPR promised, and achieved on {m} test reals"
    return Table(title=title, columns=_COLUMNS, rows=rows)


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
        return [threshold.alpha, None, None, None, promise, f"needs {threshold.needed} calibration reals",
                *[None] * (len(_COLUMNS) - 6)]  # fmt: skip
    law, kept = rate_bounds(threshold.n, threshold.rank, 0.95), achieved(sides.real, threshold)
    tied = f", {threshold.tied} tied" if threshold.tied > 1 else ""
    return [
        threshold.alpha,
        kept.rate,
        kept.bounds.low,
        kept.bounds.high,
        promise,
        _beta(threshold),
        threshold.expected_rate,
        f"{law.low:.4g} to {law.high:.4g}",
        kept.p_value,
        threshold.value,
        f"{threshold.rank} of {threshold.n}{tied}",
        true_positive_rate(sides.fake, threshold.value),
    ]


def _beta(threshold: Threshold) -> str:
    return f"Beta({threshold.rank}, {threshold.n + 1 - threshold.rank})"


def _law(threshold: Threshold) -> Null:
    expected, law = threshold.expected_rate, rate_bounds(threshold.n, threshold.rank, 0.95)
    assert expected is not None  # there is a threshold
    promise = "on average"
    if threshold.confidence is not None:
        promise = f"with confidence {threshold.confidence:g} over the drawing of calibration reals"
    return Null(
        value=expected,
        low=law.low,
        high=law.high,
        n=threshold.n,
        of=_beta(threshold),
        rule=f"promised: at most {threshold.alpha:g} {promise}. The rate expected of reals exchangeable with "
        f"calibration; the range is over the drawing of calibration reals, by the law {_beta(threshold)}",
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


def _sizes(sides: ScoreSides) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    n = 0 if sides.calibration is None else len(sides.calibration)
    return {"calibration": n}, {"real": len(sides.real)}, {"fake": len(sides.fake)}


def _without(reason: str, sides: ScoreSides) -> tuple[Reading, Reading, Reading]:
    first, second, third = (Reading(None, size, reason=reason) for size in _sizes(sides))
    return first, second, third


def _too_few(threshold: Threshold) -> str:
    sure = "" if threshold.confidence is None else f" with confidence {threshold.confidence:g}"
    return (
        f"a false positive rate of {threshold.alpha:g}{sure} needs {threshold.needed} calibration reals; there are "
        f"{threshold.n}"
    )
