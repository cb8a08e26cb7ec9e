"""Paired areas against pair loops, exact invariance, and the rate of false alarms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ganaudit.numerics.detection import auc
from ganaudit.numerics.detection_comparison import auc_difference


def wins(real, fake):
    return ((real[:, None] > fake[None, :]).double() + 0.5 * (real[:, None] == fake[None, :]).double()).numpy()


small = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=10).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64)
)


@settings(max_examples=80, deadline=None)
@given(real=small, fake=small)
def test_the_error_is_delongs_from_covariances_of_placements(real, fake):
    tables = [wins(real[:, critic], fake[:, critic]) for critic in (0, 1)]
    found = auc_difference((real[:, 0], fake[:, 0]), (real[:, 1], fake[:, 1]))
    assert found.value == pytest.approx(tables[0].mean() - tables[1].mean(), abs=1e-12)
    # DeLong's own form: the contrast (1, -1) of the two covariance matrices.
    by_real = np.cov([table.mean(axis=1) for table in tables], ddof=1)
    by_fake = np.cov([table.mean(axis=0) for table in tables], ddof=1)
    whole = by_real / len(real) + by_fake / len(fake)
    variance = whole[0, 0] + whole[1, 1] - 2 * whole[0, 1]
    assert found.standard_error == pytest.approx(math.sqrt(max(0.0, variance)), abs=1e-7)
    back = auc_difference((real[:, 1], fake[:, 1]), (real[:, 0], fake[:, 0]))
    assert (back.value, back.standard_error) == (-found.value, found.standard_error)


def test_other_fakes_add_their_own_scatter():
    rng = np.random.default_rng(0)
    real, one, two = (torch.from_numpy(rng.normal(size=shape)) for shape in ((40, 2), 25, 60))
    found = auc_difference((real[:, 0], one), (real[:, 1], two), same_fakes=False)
    first, second = wins(real[:, 0], one), wins(real[:, 1], two)
    variance = (first.mean(1) - second.mean(1)).var(ddof=1) / 40
    variance += first.mean(0).var(ddof=1) / 25 + second.mean(0).var(ddof=1) / 60
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert found.value == pytest.approx(first.mean() - second.mean(), abs=1e-14)
    with pytest.raises(ValueError, match=r"second fake: found 60 samples; allowed: 25"):
        auc_difference((real[:, 0], one), (real[:, 1], two))


def test_no_scale_or_offset_of_either_critic_changes_a_bit():
    rng = np.random.default_rng(1)
    real, fake = torch.from_numpy(rng.normal(1, 1, (300, 2))), torch.from_numpy(rng.normal(size=(200, 2)))
    plain = auc_difference((real[:, 0], fake[:, 0]), (real[:, 1], fake[:, 1]))
    for scale in (1e-3, 1.0, 1e3):
        for offset in (-50.0, 0.0, 50.0):
            moved = [scale * side[:, 0] + offset for side in (real, fake)]
            assert auc_difference(tuple(moved), (real[:, 1], fake[:, 1])) == plain
            assert auc(*moved) == auc(real[:, 0], fake[:, 0])


@pytest.mark.parametrize("same", [True, False])
def test_equal_critics_raise_few_false_alarms_and_the_interval_covers(same):
    rng, runs, n = np.random.default_rng(2), 1000, 120
    alarms = covered = 0
    truth = stats.norm.cdf(1.2 / math.sqrt(2)) - stats.norm.cdf(0.6 / math.sqrt(2))
    for _ in range(runs):
        shared, other = rng.normal(size=(n, 1)), rng.normal(size=(n, 1))
        real = torch.from_numpy((shared + rng.normal(size=(n, 2))) / math.sqrt(2))
        fake = torch.from_numpy((other + rng.normal(size=(n, 2))) / math.sqrt(2))
        if not same:
            fake = torch.from_numpy(rng.normal(size=(n, 2)))
        first = (real[:, 0] + 1.2, fake[:, 0])
        alarms += auc_difference(first, (real[:, 1] + 1.2, fake[:, 1]), same_fakes=same).p_value < 0.05
        bounds = auc_difference(first, (real[:, 1] + 0.6, fake[:, 1]), same_fakes=same).interval(0.95)
        covered += bounds.low <= truth <= bounds.high
    reach = 4 * math.sqrt(0.05 * 0.95 / runs)
    assert abs(alarms / runs - 0.05) <= reach
    assert abs(covered / runs - 0.95) <= reach


def test_without_scatter_it_claims_no_more_than_the_numbers_bear():
    low, high = torch.arange(20.0), torch.arange(20.0) + 100
    same = auc_difference((high, low), (high, low))
    assert (same.value, same.z, same.p_value) == (0.0, None, 1.0)
    assert same.interval(0.95).low < 0 < same.interval(0.95).high
    apart = auc_difference((high, low), (low, high))
    assert (apart.value, apart.standard_error) == (1.0, 0.0)
    assert apart.p_value == pytest.approx(2 * math.exp(-10))
    assert 0.5 < apart.interval(0.95).low < apart.interval(0.95).high == 1.0
    with pytest.raises(ValueError, match="second real: found 3"):
        auc_difference((high, low), (high[:3], low))
