"""How a value stands against its null, in plain words: one wording for all evaluators."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

from ganaudit.document.alarms import departure
from ganaudit.document.model import Interval, Measurement

__all__ = ["against_null", "side_of_null", "stands"]

_LEVEL = 0.05
_TAIL = _LEVEL / 2  # as the ends of a null leave out on either side


def side_of_null(measurement: Measurement) -> Literal["above", "below", "equal"]:
    """Return on which side of its null a value lies, or "equal" where it cannot be told from it at 5 %.

    The p-value of the null decides where a test was made. Else the distance over both standard errors together,
    (v - v0)/(s^2 + s0^2)^(1/2), is held against the normal quantile: two ranges may overlap and their numbers still be
    apart. A value without interval counts as known. Raises ValueError without value or null.
    """
    value, null = measurement.value, measurement.null
    if value is None or null is None:
        raise ValueError(f"{measurement.key}: has no value or no null to compare")
    if null.p_value is not None:
        apart = null.p_value <= _LEVEL
    else:
        known = Interval(low=value, high=value, method="known", covers="nothing")
        held = measurement if measurement.interval else measurement.model_copy(update={"interval": known})
        far, least = departure(held, "either") or 0.0, NormalDist().inv_cdf(1 - _TAIL)
        # A range that ends at the other number holds it, whatever rounding makes of the quotient. So does one that is
        # cut at a bound, as no number lies beyond: halves need no care here for that.
        apart = far > least and not math.isclose(far, least)
    if not apart:
        return "equal"
    return "above" if value > null.value else "below"


def stands(measurement: Measurement) -> str:
    """Return "is below", "is above" or "cannot be told from": how a value stands to its null, by ``side_of_null``."""
    return {"below": "is below", "above": "is above", "equal": "cannot be told from"}[side_of_null(measurement)]


def against_null(measurement: Measurement, named: str, stand_in: str, digits: str = ".4g") -> str | None:
    """Return a sentence that compares a value with its null by ``side_of_null``; None where it has no value or no null.

    ``stand_in`` says what the null is of, as in "real samples". Where either has no spread and no test was made the two
    numbers are given and nothing is concluded from them.
    """
    value, null, interval = measurement.value, measurement.null, measurement.interval
    if value is None or null is None:
        return None
    shown = f"{null.value:{digits}}" if null.low is None else f"{null.value:{digits}} ({null.low:{digits}} to "
    shown += "" if null.high is None else f"{null.high:{digits}})"
    at = "" if null.n == measurement.n else f" at n = {null.n} instead of {measurement.n}"
    if interval is None or (null.p_value is None and (null.low is None or null.high is None)):
        lacks = "Neither has" if interval is None and null.low is None else "Only one of them has"
        return f"{named} is {value:{digits}}; that of {stand_in} is {shown}{at}. {lacks} an interval to compare by."
    own = f"{value:{digits}} ({interval.low:{digits}} to {interval.high:{digits}})"
    tested = "" if null.p_value is None else f" (p-value {null.p_value:.2g})"
    return f"{named}, {own}, {stands(measurement)} the {shown} of {stand_in}{at}{tested}."
