"""Alarms: numbers clear of their nulls; false ones no more often than promised, by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from ganaudit.document.alarms import YES_OR_NO, alarms, bar, departure, departures
from ganaudit.document.model import DeclaredMeasurement, Interval, Measurement, Null

from .documents import document, result


def number(value, half, null, null_half=None, key="a", level=0.95):
    ends = (None, None) if null_half is None else (null - null_half, null + null_half)
    return Measurement(
        key=key,
        title=key,
        value=value,
        interval=Interval(low=value - half, high=value + half, level=level, method="m", covers="c"),
        n=10,
        unit="u",
        better="lower",
        null=Null(value=null, low=ends[0], high=ends[1], n=10, rule="r"),
    )


def test_the_distance_is_in_standard_errors_and_has_the_sign_of_the_watched_side():
    one = number(3.0, 1.959964, 0.0, 1.959964)
    assert departure(one, "above") == pytest.approx(3 / math.sqrt(2), rel=1e-6)
    assert departure(one, "below") == pytest.approx(-3 / math.sqrt(2), rel=1e-6)
    assert departure(number(-3.0, 1.959964, 0.0), "either") == pytest.approx(3.0, rel=1e-6)
    assert departure(number(3.0, 2.575829, 0.0, level=0.99), "above") == pytest.approx(3.0, rel=1e-6)
    assert departure(number(1.0, 0.0, 0.0), "above") == math.inf
    assert departure(number(1.0, 0.0, 1.0), "above") == 0.0
    assert departure(one.model_copy(update={"null": None, "null_reason": "none"}), "above") is None


Z = stats.norm.ppf(0.975)


def ranged(value, ends, null, null_ends=(None, None), key="a"):
    found = number(value, 0.0, null, None, key)
    around = found.interval.model_copy(update={"low": ends[0], "high": ends[1]})
    stand_in = found.null.model_copy(update={"low": null_ends[0], "high": null_ends[1]})
    return found.model_copy(update={"interval": around, "null": stand_in})


@pytest.mark.parametrize("error", [0.005, 0.02, 0.05, 0.2])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_range_cut_at_a_bound_keeps_the_standard_error_it_was_made_of(error, mirrored):
    """value ± z s, cut to 0..1: the half towards the null shows less than z s where it was cut."""
    value, null = 0.98, 0.99
    ends = max(0.0, value - Z * error), min(1.0, value + Z * error)
    side = "below"
    if mirrored:
        value, null, ends, side = 1 - value, 1 - null, (1 - ends[1], 1 - ends[0]), "above"
    one = ranged(value, ends, null)
    assert departure(one, side, (0.0, 1.0)) == pytest.approx(0.01 / error)
    assert (departure(one, side) > 0.0101 / error) == (Z * error > 0.02)  # without the bounds it is taken for short
    # A null cut at its bound likewise.
    turned = ranged(null, (null, null), value, ends)
    other = {"below": "above", "above": "below"}[side]
    assert departure(turned, other, (0.0, 1.0)) == pytest.approx(0.01 / error)


def test_a_range_that_is_short_on_one_side_for_good_reasons_counts_by_the_half_that_faces_the_null():
    exact = stats.binomtest(3, 500).proportion_ci(method="exact")
    one = ranged(3 / 500, (exact.low, exact.high), 0.0)
    assert exact.high - 0.006 > 2 * (0.006 - exact.low)
    assert departure(one, "above", (0.0, 1.0)) == pytest.approx(0.006 / (0.006 - exact.low) * Z)
    # A count that may be 0 and no more than it is: the half on the bound is the longer one, and stays.
    assert departure(ranged(3.0, (0.0, 3.0), 0.0), "above", (0.0, None)) == pytest.approx(Z)


def test_cut_halves_lose_no_alarm():
    """A range cut at the bound holds a null that lies within: it was no alarm before, at whatever number of numbers."""
    rng = np.random.default_rng(3)
    cut = 0
    for _ in range(3000):
        (value, null), ends = rng.beta(0.3, 0.3, 2).tolist(), rng.exponential(0.2, 4).tolist()
        one = ranged(
            value, (max(0.0, value - ends[0]), min(1.0, value + ends[1])),
            null, (max(0.0, null - ends[2]), min(1.0, null + ends[3])),
        )  # fmt: skip
        before, now = departure(one, "either"), departure(one, "either", (0.0, 1.0))
        cut += now < before
        assert now <= before
        assert (now > bar("either", 1)) == (before > bar("either", 1))
    assert cut > 200


def test_the_bounds_are_those_that_the_document_declares():
    promised = DeclaredMeasurement(
        key="a-{kind}", title="t", unit="u", better="higher", meaning="m", least=0.0, most=1.0
    )
    one = ranged(0.98, (0.90, 1.0), 0.99, key="a-x")
    watched = {"e/a-x": "below", "e/absent": "above"}
    told = departures(document(result(one, evaluator="e", declares=[promised])), watched)
    silent = departures(document(result(one, evaluator="e", declares=[])), watched)
    assert told == {"e/a-x": pytest.approx(0.01 / 0.08 * Z)}
    assert silent == {"e/a-x": pytest.approx(0.01 / 0.02 * Z)}


def test_a_verdict_is_certain_and_other_numbers_without_an_interval_are_not():
    one = number(1.0, 0.0, 0.0, 0.0).model_copy(update={"interval": None, "interval_reason": "a verdict"})
    assert departure(one, "above") is None
    verdict = one.model_copy(update={"unit": YES_OR_NO})
    assert departure(verdict, "above") == math.inf
    assert departure(verdict.model_copy(update={"value": 0.0}), "above") == 0.0
    (alarm,) = alarms(document(results=[result(verdict, evaluator="e")]), {"e/a": "above", "e/b": "above"})
    assert (alarm.measure, alarm.value, alarm.null) == ("e/a", 1.0, 0.0)


def test_no_more_false_alarms_than_promised_over_all_numbers_together():
    rng = np.random.default_rng(0)
    watched = {"e/a": "above", "e/b": "below", "e/c": "either", "e/d": "above"}
    runs, raised = 400, 0
    for _ in range(runs):
        found = [
            number(v, 1.96, v0, 1.96, key) for key, v, v0 in zip("abcd", *rng.standard_normal((2, 4)), strict=True)
        ]
        raised += bool(alarms(document(result(*found, evaluator="e")), watched))
    # At 5 %: 20 of 400 expected; 36 is passed with probability 0.0005.
    assert raised <= 36
    assert raised > 3  # and it is not mute: below 4 with probability 1e-6


def test_only_watched_numbers_count_and_the_level_is_shared():
    found = [number(2.5, 1.96, 0.0, key="a"), number(9.0, 1.96, 0.0, key="b")]
    one = document(result(*found, evaluator="e"))
    assert [a.measure for a in alarms(one, {"e/a": "above"})] == ["e/a"]
    many = {"e/a": "above"} | {f"e/x{i}": "above" for i in range(20)}
    assert alarms(one, many) == []  # 2.5 standard errors do not stand out among 21 numbers
    (alarm,) = alarms(one, {"e/b": "above"})
    assert (alarm.value, alarm.null) == (9.0, 0.0)


def test_the_bar_is_the_normal_quantile_at_the_shared_level():
    # Abramowitz and Stegun, table 26.1: P(Z > 1.644854) = 0.05, P(Z > 2.575829) = 0.005.
    assert bar("above", 1) == pytest.approx(1.644854, abs=1e-6)
    assert bar("either", 5) == bar("below", 10) == pytest.approx(2.575829, abs=1e-6)
    for numbers, level in ((0, 0.05), (3, 1.0)):
        with pytest.raises(ValueError, match="numbers, level"):
            bar("above", numbers, level)
