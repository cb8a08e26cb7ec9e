"""How a value stands against its null, in plain words: one wording for all evaluators."""

from __future__ import annotations

from ganaudit.document.model import Interval, Measurement, Null

__all__ = ["against_null", "place"]

_TAIL = 0.025  # as the ends of a null leave out on either side


def place(interval: Interval, null: Null) -> str:
    """Return "is below", "is above" or "cannot be told from": whether an interval and that of a null lie apart."""
    low, high = (null.value if end is None else end for end in (null.low, null.high))
    if interval.high < low:
        return "is below"
    return "is above" if interval.low > high else "cannot be told from"


def against_null(
    measurement: Measurement, named: str, stand_in: str, digits: str = ".4g", p_value: float | None = None
) -> str | None:
    """Return a sentence that compares a value with its null; None where it has no value or no null.

    ``stand_in`` says what the null is of, as in "real samples". ``p_value`` is the chance of a value as large or larger
    under the null, where a test gives it: it then decides, at 2.5 % on either side, and not whether two intervals lie
    apart, which asks for more. Where either has no spread the two numbers are given and nothing is concluded from them.
    """
    value, null, interval = measurement.value, measurement.null, measurement.interval
    if value is None or null is None:
        return None
    shown = f"{null.value:{digits}}" if null.low is None else f"{null.value:{digits}} ({null.low:{digits}} to "
    shown += "" if null.high is None else f"{null.high:{digits}})"
    at = "" if null.n == measurement.n else f" at n = {null.n} instead of {measurement.n}"
    if interval is None or null.low is None or null.high is None:
        lacks = "Neither has" if interval is None and null.low is None else "Only one of them has"
        return f"{named} is {value:{digits}}; that of {stand_in} is {shown}{at}. {lacks} an interval to compare by."
    own = f"{value:{digits}} ({interval.low:{digits}} to {interval.high:{digits}})"
    if p_value is None:
        return f"{named}, {own}, {place(interval, null)} the {shown} of {stand_in}{at}."
    return f"{named}, {own}, {_tested(p_value)} the {shown} of {stand_in}{at} (p-value {p_value:.2g})."


def _tested(p_value: float) -> str:
    if p_value >= 1 - _TAIL:
        return "is below"
    return "is above" if p_value <= _TAIL else "cannot be told from"
