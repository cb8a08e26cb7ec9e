"""How far the shares of an attribute are from the reals' and from uniform ones, as measurements with their nulls."""

from __future__ import annotations

from ganaudit.document.model import Interval, Measurement, Null
from ganaudit.document.spec import EvaluatorSpec
from ganaudit.evidence.standing_shares import Chance, Standing
from ganaudit.numerics.class_shares import fairness_discrepancy, total_variation
from ganaudit.numerics.intervals import Bounds

__all__ = ["discrepancy_measurement", "fairness_measurement", "interval_of", "null_of"]

_COVERS = "the drawing of generated samples, and of the reals that the classifier's errors are known from"


def discrepancy_measurement(spec: EvaluatorSpec, by: Standing | None, why: str, no_null: str | None) -> Measurement:
    """Return ``class-discrepancy``: TV of the shares from the reals', or ``why`` there is none; of ``by``'s attribute.

    The interval is of the distance from the very shares of the training set; the null draws both sides, since those of
    a training set are themselves a draw.
    """
    key = "class-discrepancy"
    if by is None:
        return spec.measurement(key, None, {"fake": 0}, reason=why, null_reason=no_null)
    told = f"{by.reading.stand_in_name}, read alike, give {total_variation(by.stand_in, by.target):.4g}"
    made = spec.measurement(
        key,
        by.discrepancy,
        {"fake": by.shares.n},
        interval=interval_of(by.discrepancy_bounds, "bootstrap, by directional derivative", _COVERS),
        null=null_of(by.discrepancy_chance, by, told) if no_null is None else None,
        null_reason=no_null,
    )
    return _named(made, by)


def fairness_measurement(spec: EvaluatorSpec, by: Standing | None, why: str, no_null: str | None) -> Measurement:
    """Return ``fairness-discrepancy``: L2 of the shares from uniform ones, or ``why`` there is none."""
    key = "fairness-discrepancy"
    if by is None:
        return spec.measurement(key, None, {"fake": 0}, reason=why, null_reason=no_null)
    told = f"{by.reading.stand_in_name}, read alike, give {fairness_discrepancy(by.stand_in):.4g}"
    made = spec.measurement(
        key,
        fairness_discrepancy(by.shares.values),
        {"fake": by.shares.n},
        interval=interval_of(by.shares.fairness_bounds(0.95), "bootstrap, by derivative", _COVERS),
        null=null_of(by.fairness_chance, by, told) if no_null is None else None,
        null_reason=no_null,
    )
    return _named(made, by)


def null_of(chance: Chance, by: Standing, told: str) -> Null:
    """Return what chance alone gives as the null of a number of ``by``; ``told`` is added to its rule."""
    rule = (
        f"{by.shares.n} samples and {by.reading.target_name}, both drawn from one law, read with the same errors, 999 "
        f"times; as large or larger in a share of {chance.p_value:.4g} (p-value); {told}"
    )
    of = "shares of the target"
    return Null(
        value=chance.mean,
        low=chance.usual.low,
        high=chance.usual.high,
        n=by.shares.n,
        of=of,
        rule=rule,
        p_value=chance.p_value,
    )


def interval_of(bounds: Bounds, method: str, covers: str) -> Interval:
    """Return a 95 % interval as the document has it."""
    return Interval(low=bounds.low, high=bounds.high, level=0.95, method=method, covers=covers)


def _named(made: Measurement, by: Standing) -> Measurement:
    """Return the measurement with the attribute in its title: what a classifier of the user's own reads is no class."""
    name = by.reading.name
    if name == "class":
        return made
    of = made.title.replace("class shares", f"shares of {name}")
    return made.model_copy(update={"title": of if of != made.title else f"{of}, shares of {name}"})
