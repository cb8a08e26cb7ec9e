"""Alarms: numbers clear of their nulls; false ones no more often than promised, by simulation."""

import math

import numpy as np
import pytest

from ganaudit.document.alarms import YES_OR_NO, alarms, bar, departure
from ganaudit.document.model import Interval, Measurement, Null

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
