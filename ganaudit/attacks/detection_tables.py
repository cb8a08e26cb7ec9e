"""What attacks make of detection: areas, error rates and shares caught over the budget."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ganaudit.attacks.campaign import Campaign
from ganaudit.document.model import Axis, Curve, Rule, Series, Table
from ganaudit.numerics.detection import auc, equal_error_rate, false_positive_rate, true_positive_rate
from ganaudit.numerics.detection_curves import reals_needed, tpr_at_fpr
from ganaudit.numerics.detection_intervals import resampled_bounds
from ganaudit.numerics.intervals import Bounds, clopper_pearson

__all__ = ["detection_curve", "detection_table", "few_words"]

_RATE = 0.01
_RESAMPLES = 200
_SEED = 0
_UNIT = (0.0, 1.0)
Cell = str | int | float | None


def few_words(calibration: Tensor) -> str | None:
    """Return why no share caught at 1 % of false alarms is told, or None."""
    needed = reals_needed(_RATE)
    if len(calibration) >= needed:
        return None
    return f"TPR at 1 % FPR needs {needed:,} calibration reals, and there are {len(calibration):,}: it is not told."


def detection_table(fakes: Campaign, reals: Campaign, calibration: Tensor) -> Table:
    """Return AUC, EER and rates of detection under attack, by budget of the norm asked about and by who is attacked.

    Intervals at 95 %: AUC by DeLong, EER by the bootstrap, shares by Clopper-Pearson. The share caught at 1 % of false
    alarms has a column where the calibration reals are enough for it, see ``few_words``.
    """
    rare = few_words(calibration) is None
    columns = ["budget (share of the range)", "attacked", "AUC", "AUC, 95 %", "EER", "EER, 95 %",
               *(["TPR at 1 % FPR", "TPR at 1 % FPR, 95 %"] if rare else []),
               "TPR at the threshold", "TPR, 95 %", "FPR at the threshold", "FPR, 95 %"]  # fmt: skip
    rows: list[list[Cell]] = []
    for share in (0.0, *(share for share in fakes.pushed if share > 0)):
        fake, real = fakes.pushed.get(share, fakes.scores), reals.pushed.get(share, reals.scores)
        pairs = [("nothing", reals.scores, fakes.scores)] if share == 0 else [
            ("generated", reals.scores, fake), ("real", real, fakes.scores), ("both", real, fake),
        ]  # fmt: skip
        for name, one, other in pairs:
            told = [*_area(one, other), *_equal(one, other), *(_rare(calibration, other) if rare else [])]
            caught, accused = true_positive_rate(other, fakes.threshold), false_positive_rate(one, fakes.threshold)
            rows.append([share, name, *told, *_share(caught, len(other)), *_share(accused, len(one))])
    return Table(title=f"Detection under attack, {_how(fakes)}, {_rests_on(fakes, reals)}", columns=columns, rows=rows)


def detection_curve(fakes: Campaign, reals: Campaign, calibration: Tensor) -> Curve:
    """Return AUC, EER and the share caught over the budget, with generated samples attacked, and with both.

    Caught: at 1 % of false alarms where the calibration reals are enough for that, else at the threshold.
    """
    shares = [0.0, *(share for share in fakes.pushed if share > 0)]
    fake = [fakes.pushed.get(share, fakes.scores) for share in shares]
    both = [reals.pushed.get(share, reals.scores) for share in shares]
    kept = [reals.scores] * len(shares)
    series = []
    for name, real in (("generated attacked", kept), ("both attacked", both)):
        areas = [auc(one, other) for one, other in zip(real, fake, strict=True)]
        series.append(_band(f"AUC, {name}", shares, [a.value for a in areas], [a.interval(0.95) for a in areas]))
        errors = [equal_error_rate(one, other).value for one, other in zip(real, fake, strict=True)]
        ends = [_equal_bounds(one, other) for one, other in zip(real, fake, strict=True)]
        series.append(_band(f"EER, {name}", shares, errors, ends))
    rates = [tpr_at_fpr(calibration, other, _RATE) for other in fake]
    if few_words(calibration) is None:
        told = [rate for rate in rates if rate is not None]
        caught = "TPR at 1 % FPR, generated attacked"
        series.append(_band(caught, shares, [rate.value for rate in told], [rate.at_rate for rate in told]))
    else:
        found = [true_positive_rate(other, fakes.threshold) for other in fake]
        around = [_held(value, len(fakes.scores)) for value in found]
        series.append(_band("TPR at the threshold, generated attacked", shares, found, around))
    return Curve(
        title=f"Detection over the budget, {_how(fakes)}, {_rests_on(fakes, reals)}",
        x=Axis(title=f"{fakes.norm} norm of the change over the width of the range"),
        y=Axis(title="AUC, EER, TPR"),
        series=series,
        rules=[Rule(at=fakes.headline, label="headline")],
        points=True,
    )


def _band(name: str, x: list[float], y: list[float], ends: list[Bounds]) -> Series:
    return Series(name=name, x=x, y=y, low=[one.low for one in ends], high=[one.high for one in ends])


def _area(real: Tensor, fake: Tensor) -> tuple[Cell, Cell]:
    area = auc(real, fake)
    return area.value, _words(area.interval(0.95))


def _equal(real: Tensor, fake: Tensor) -> tuple[Cell, Cell]:
    return equal_error_rate(real, fake).value, _words(_equal_bounds(real, fake))


def _equal_bounds(real: Tensor, fake: Tensor) -> Bounds:
    """Return the bootstrap interval; where no resample moves the value, the rate is one of a share of n samples."""
    value = equal_error_rate(real, fake).value
    found = resampled_bounds(
        lambda r, f: equal_error_rate(r, f).value, real, fake, np.random.default_rng(_SEED), 0.95, "percentile", _UNIT,
        _RESAMPLES,
    )  # fmt: skip
    return found or _held(value, min(len(real), len(fake)))


def _rare(calibration: Tensor, fake: Tensor) -> tuple[Cell, Cell]:
    at = tpr_at_fpr(calibration, fake, _RATE)
    assert at is not None  # asked only where the reals are enough
    return at.value, _words(at.at_rate)


def _share(value: float, n: int) -> tuple[Cell, Cell]:
    return value, _words(_held(value, n))


def _held(value: float, n: int) -> Bounds:
    return clopper_pearson(round(value * n), n, 0.95)


def _words(ends: Bounds) -> str:
    return f"{ends.low:.3g} to {ends.high:.3g}"


def _how(fakes: Campaign) -> str:
    return fakes.norm if fakes.accused.differentiable else f"{fakes.norm}, by attacks that only ask for scores"


def _rests_on(fakes: Campaign, reals: Campaign) -> str:
    """Return in words that these numbers are of the samples attacked: at budget 0 others have them of all samples."""
    return f"of the {len(reals.scores)} reals and {len(fakes.scores)} generated samples attacked alone"
