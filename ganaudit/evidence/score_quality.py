"""How far scores are from probabilities, and how far a discriminator knows its training reals: defined here once.

Two evaluators show each of the two, so that key, definition, chance, interval and null must not part.
"""

from __future__ import annotations

from torch import Tensor

from ganaudit.document.model import Interval, Null
from ganaudit.document.spec import MeasurementSpec
from ganaudit.evidence.score_sides import BOTH, Reading, ScoreSides, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.calibration import Calibration, calibration, reliability
from ganaudit.numerics.detection_intervals import resampled_bounds, resamples_for
from ganaudit.numerics.overfit import Overfit, discriminator_overfit

__all__ = ["BINS", "DRAWS", "calibration_error", "calibration_error_spec", "overfit_ratio", "overfit_spec", "quality"]

BINS, DRAWS = 15, 200
"""Bins of the calibration error and sets of labels drawn for its null, where no option says otherwise."""

_COVERS = "the drawing of train reals, of test reals and of generated samples; not the training of the discriminator"


def calibration_error_spec(key: str) -> MeasurementSpec:
    """Return what is promised of the calibration error under ``key``."""
    return MeasurementSpec(
        key=key,
        title="Expected calibration error",
        meaning="Mean distance between the probability said and the share of reals found; chance lifts it.",
        unit="probability",
        better="lower",
        bounds=(0.0, 1.0),
        estimator="L1 over bins of equal mass, p = sigmoid(score), sides of equal weight; biased upwards at finite n",
    )


def overfit_spec(key: str) -> MeasurementSpec:
    """Return what is promised of the overfit ratio under ``key``."""
    return MeasurementSpec(
        key=key,
        title="Overfit ratio r_v",
        meaning="0: unseen reals score as train reals do; 1: they score as generated samples do.",
        unit="ratio of score gaps",
        better="lower",
        estimator="(mean train - mean test) / (mean train - mean generated), biased by O(1/n)",
    )


def calibration_error(sides: ScoreSides, view: View, bins: int, draws: int) -> tuple[Calibration, Reading]:
    """Return all of calibration, and its equal-mass error with a bootstrap range and what chance alone makes of it.

    The null is the mean error of ``draws`` sets of labels drawn from the probabilities that the scores say. Chance is
    the number's own, not the evaluator's.
    """
    chance = view.chance("calibration-error")
    found = calibration(sides.real, sides.fake, chance, bins, draws)
    null = Null(
        value=found.equal_mass.expected,
        n=min(sides.sizes.values()),
        of="a calibrated critic",
        rule=f"what chance makes of a perfectly calibrated critic with these scores: mean of {draws} sets of labels "
        "drawn as the scores say, at these numbers of both sides",
    )

    def error(real: Tensor, fake: Tensor) -> float:
        curve = reliability(real, fake, bins)
        return float(curve.weight @ (curve.found - curve.said).abs())

    ends = resampled_bounds(error, sides.real, sides.fake, chance, 0.95, "centred", (0.0, 1.0))
    method = f"bootstrap width about the value, {resamples_for(sum(sides.sizes.values()))} resamples"
    covers = (
        f"{BOTH}; for the error in {bins} bins of equal mass that is expected at these n: the lift by chance is in it, "
        "errors that cancel within a bin are not"
    )
    around: Interval | str = "no resample moves the value: how it scatters cannot be seen"
    if ends is not None and ends.low < ends.high:
        around = interval_of(ends, method, covers)
    return found, Reading(found.equal_mass.value, sides.sizes, around, null)


def overfit_ratio(found: Overfit, sizes: dict[str, int], null: Overfit | None, stand_in: int, why_not: str) -> Reading:
    """Return r_v with Fieller's interval; ``null`` is the same with ``stand_in`` unseen reals in place of train reals.

    ``why_not`` says why there is no null.
    """
    held: Null | str = why_not if null is None else null.reason or why_not
    if null is not None and null.ratio is not None and null.bounds is not None:
        rule = f"{stand_in} calibration reals in place of train reals"
        held = Null(value=null.ratio, low=null.bounds.low, high=null.bounds.high, n=stand_in, rule=rule)
    around = None if found.bounds is None else interval_of(found.bounds, "Fieller", _COVERS)
    reason = None if found.reason is None else f"{found.reason}; found {sizes['fake']} generated samples"
    return Reading(found.ratio, sizes, around, held, reason)


def quality(sides: ScoreSides, train: Tensor | None, view: View) -> list[tuple[str, Reading]]:
    """Return calibration error and overfit; evaluators of their own say more of both."""
    _, error = calibration_error(sides, view, BINS, DRAWS)
    sizes = {"train": 0 if train is None else len(train), **sides.sizes}
    lacks = view.missing("scores/train") or f"there are {sizes['train']}"
    ratio = Reading(None, sizes, reason=f"needs 2 scores of train reals: {lacks}")
    if train is not None and min(len(train), *sides.sizes.values()) > 1:
        held, null = sides.calibration, None
        if held is not None:
            null = discriminator_overfit(held, sides.real, sides.fake)
        sizes = {"train": len(train), "test": len(sides.real), "fake": len(sides.fake)}
        found = discriminator_overfit(train, sides.real, sides.fake)
        why_not = f"needs 2 calibration reals in place of train reals: {sides.lacks}"
        ratio = overfit_ratio(found, sizes, null, 0 if held is None else len(held), why_not)
    return [("calibration-error", error), ("overfit", ratio)]
