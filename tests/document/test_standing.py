"""A value against its null: the errors of the words over draws, and tests that decide where ranges do not."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from ganaudit.document.model import Interval, Measurement, Null
from ganaudit.document.standing import against_null, side_of_null, stands
from ganaudit.evidence.coverage_words import in_words


def number(value, half, null, null_half, **more):
    around = None if half is None else Interval(low=value - half, high=value + half, method="m", covers="c")
    ends = {} if null_half is None else {"low": null - null_half, "high": null + null_half}
    return Measurement(
        key="k", title="T", value=value, interval=around, interval_reason="none", n=100, unit="1", better="lower",
        null=Null(value=null, n=100, rule="r", **ends, **more),
    )  # fmt: skip


def test_equal_numbers_are_told_apart_in_five_of_a_hundred_draws():
    rng, runs, s, s0 = np.random.default_rng(0), 4000, 0.7, 1.3
    pairs = zip(rng.normal(5, s, runs), rng.normal(5, s0, runs), strict=True)
    found = [side_of_null(number(v, 1.959964 * s, v0, 1.959964 * s0)) for v, v0 in pairs]
    assert abs(np.mean([f != "equal" for f in found]) - 0.05) < 4 * math.sqrt(0.05 * 0.95 / runs)
    assert abs(found.count("above") - found.count("below")) < 4 * math.sqrt(0.05 * runs)


@pytest.mark.parametrize(
    ("p_value", "words"), [(0.0002, "is above"), (0.05, "is above"), (0.06, "cannot be told from")]
)
def test_a_test_decides_and_not_the_ranges(p_value, words):
    wide, apart = number(2.0, 5.0, 1.0, 5.0, p_value=p_value), number(2.0, 0.1, 1.0, 0.1, p_value=p_value)
    assert stands(wide) == stands(apart) == words
    assert stands(number(0.5, 5.0, 1.0, 5.0, p_value=0.001)) == "is below"
    told = against_null(wide, "The gap", "random groups")
    assert f"{words} the" in told
    assert f"(p-value {p_value:.2g})" in told


@pytest.mark.parametrize("p_value", [0.001, 0.024, 0.026, 0.049, 0.051, 0.5, 0.976, 1.0])
def test_the_sentence_of_coverage_says_what_the_rule_says(p_value):
    """One rule for words and page: between 2.5 and 5 % they said the opposite of each other."""
    discrepancy = number(0.0577, 0.04, 0.0428, 0.014, p_value=p_value)
    chance = SimpleNamespace(p_value=p_value)
    by = SimpleNamespace(reading=SimpleNamespace(name="class"), discrepancy_chance=chance)
    told = in_words(discrepancy, by, [], None, [])
    assert ("is above" in told, "cannot be told from" in told) == (p_value <= 0.05, p_value > 0.05)
    assert stands(discrepancy) in told


@pytest.mark.parametrize("value", [1.0, 2.0, 0.03, 16.0, 23.0])
def test_a_range_that_ends_at_its_null_is_not_apart_from_it_by_rounding(value):
    assert side_of_null(number(value, value, 0.0, None)) == "equal"
    assert side_of_null(number(value, value * (1 - 1e-6), 0.0, None)) == "above"


def test_a_test_decides_where_the_null_has_no_spread():
    assert "is above the 1" in against_null(number(2.0, 0.5, 1.0, None, p_value=0.01), "It", "noise")
    assert "Only one of them has" in against_null(number(2.0, 0.5, 1.0, None), "It", "noise")


def test_without_value_or_null_there_is_no_side():
    bare = number(2.0, 0.5, 1.0, 0.5).model_copy(update={"null": None})
    with pytest.raises(ValueError, match="k: has no value or no null"):
        side_of_null(bare)
