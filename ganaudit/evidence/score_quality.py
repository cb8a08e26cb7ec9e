"""How far scores are from probabilities, and how far a discriminator knows its training reals, with null and range."""

from __future__ import annotations

from torch import Tensor

from ganaudit.document.model import Interval, Null
from ganaudit.evidence.score_sides import BOTH, Reading, ScoreSides, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.calibration import Calibration, calibration, reliability
from ganaudit.numerics.detection_intervals import resampled_bounds, resamples_for
from ganaudit.numerics.overfit import Overfit, discriminator_overfit

__all__ = ["calibration_error", "overfit_ratio", "quality"]

_BINS, _DRAWS = 15, 200

_COVERS = "the drawing of train reals, of test reals and of generated samples; not the training of the discriminator"


def calibration_error(found: Calibration, sides: ScoreSides, bins: int, draws: int) -> Reading:
    """Return the equal-mass calibration error of ``found``, with a bootstrap range and what chance alone makes of it.

    The null is the mean error of ``draws`` sets of labels drawn from the probabilities that the scores say.
    """
    chance = Null(
        value=found.equal_mass.expected,
        n=min(sides.sizes.values()),
        rule=f"what chance makes of a perfectly calibrated critic with these scores: mean of {draws} sets of labels "
        "drawn from the probabilities said",
    )

    def error(real: Tensor, fake: Tensor) -> float:
        curve = reliability(real, fake, bins)
        return float((curve.count * (curve.found - curve.said).abs()).sum() / curve.count.sum())

    ends = resampled_bounds(error, sides.real, sides.fake, sides.rng, 0.95, "centred", (0.0, 1.0))
    method = f"bootstrap width about the value, {resamples_for(sum(sides.sizes.values()))} resamples"
    at_n = f"{BOTH}, for the expected error at these n: the lift by chance is in it"
    around: Interval | str = "no resample moves the value: how it scatters cannot be seen"
    if ends is not None and ends.low < ends.high:
        around = interval_of(ends, method, at_n)
    return Reading(found.equal_mass.value, sides.sizes, around, chance)


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
    found = calibration(sides.real, sides.fake, sides.rng, _BINS, _DRAWS)
    error = calibration_error(found, sides, _BINS, _DRAWS)
    sizes = {"train": 0 if train is None else len(train), **sides.sizes}
    ratio = Reading(None, sizes, reason=f"needs 2 scores of train reals: {view.missing('scores/train')}")
    if train is not None and min(len(train), *sides.sizes.values()) > 1:
        null = None
        if len(sides.calibration) > 1:
            null = discriminator_overfit(sides.calibration, sides.real, sides.fake)
        sizes = {"train": len(train), "test": len(sides.real), "fake": len(sides.fake)}
        found_ratio = discriminator_overfit(train, sides.real, sides.fake)
        ratio = overfit_ratio(found_ratio, sizes, null, len(sides.calibration), "needs 2 calibration reals")
    return [("calibration-error", error), ("overfit", ratio)]
