"""The exact test of McNemar against every throw of the coins, and its law where nothing is to be found."""

import itertools

import numpy as np
import pytest
from scipy import stats

from ganaudit.numerics.paired import mcnemar


@pytest.mark.parametrize(("first", "second"), [(9, 0), (0, 9), (4, 3), (1, 1), (7, 2), (0, 1)])
def test_the_p_value_is_that_of_every_throw_of_as_many_coins(first, second):
    n = first + second
    heads = [sum(coins) for coins in itertools.product((0, 1), repeat=n)]
    # A throw is as uneven or more where its rarer side is no larger.
    share = np.mean([min(k, n - k) <= min(first, second) for k in heads])
    assert mcnemar(first, second) == pytest.approx(share, abs=1e-12)


def test_no_sample_that_differs_says_nothing_and_large_counts_hold():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(700, 600) == pytest.approx(stats.binomtest(600, 1300).pvalue, rel=1e-9)


def test_where_both_are_chance_it_is_small_no_more_often_than_it_says():
    rng = np.random.default_rng(0)
    found = np.array([mcnemar(k, 20 - k) for k in rng.binomial(20, 0.5, 4000)])
    for level in (0.01, 0.05, 0.2):
        # Four deviations of the share of 4000 draws.
        assert np.mean(found <= level) <= level + 4 * np.sqrt(level * (1 - level) / 4000)


def test_counts_below_zero_are_refused():
    with pytest.raises(ValueError, match="second"):
        mcnemar(1, -1)
