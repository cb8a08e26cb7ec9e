"""Invariance gaps of scores whose change is planted."""

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.numerics.detection import auc
from ganaudit.numerics.invariance import copies_auc, invariance


def test_planted_changes():
    plain = torch.arange(10.0)
    found = invariance(plain, plain - 3, 2.0)
    assert found.gap == 1.5
    assert found.signed == -1.5
    assert found.bounds.low == found.bounds.high == 1.5
    # Pairs in which the plain score is larger, by hand: a > b - 3, ties half; no sample against its own copy.
    wins = np.mean([(a > b - 3) + (a == b - 3) / 2 for a in range(10) for b in range(10) if a != b])
    assert found.auc.value == pytest.approx(wins)
    assert found.blindness == pytest.approx(2 - 2 * wins)
    ends = found.auc.interval(0.95)
    assert found.blindness_bounds.low == pytest.approx(1 - abs(2 * ends.high - 1))
    assert found.signed_bounds.low == found.signed_bounds.high == -1.5


def test_a_blind_critic_and_one_that_sees_all():
    plain = torch.arange(5.0)
    assert invariance(plain, plain, 1.0).gap == 0
    assert invariance(plain, plain, 1.0).blindness == 1
    assert invariance(plain, plain - 100, 1.0).blindness == 0
    swapped = invariance(plain, plain.flip(0), 1.0)
    assert swapped.signed == 0
    assert swapped.gap == pytest.approx(2.4)


def test_the_area_is_that_of_copies_of_others():
    """Copies a hair below their own samples: of others as many lie above as below."""
    plain = torch.from_numpy(np.random.default_rng(0).normal(size=40))
    found = copies_auc(plain, plain - 1e-9)
    assert found.value == 0.5
    assert found.standard_error == 0.0
    ends = found.interval(0.95)  # 20 disjoint pairs, of which half are won
    assert (ends.low, ends.high) == pytest.approx(stats.binomtest(10, 20).proportion_ci(method="exact"))
    apart = copies_auc(plain, plain - 100).interval(0.95)
    assert (apart.low, apart.high) == pytest.approx(stats.binomtest(20, 20).proportion_ci(method="exact"))
    blind = invariance(plain, plain - 1e-9, 1.0)
    assert blind.blindness_bounds.high == 1.0
    assert blind.blindness_bounds.low == pytest.approx(2 * ends.low)


def test_the_error_of_the_area_is_that_of_leaving_samples_out_with_their_copies():
    rng = np.random.default_rng(1)
    before, after = torch.from_numpy(rng.normal(size=300)), torch.from_numpy(rng.normal(size=300))
    after = (before + after - 1).round(decimals=1)  # ties too
    before = before.round(decimals=1)
    kept = [torch.arange(300) != i for i in range(300)]
    parts = np.array([copies_auc(before[some], after[some]).value for some in kept])
    jackknife = np.sqrt(299 / 300 * ((parts - parts.mean()) ** 2).sum())
    assert copies_auc(before, after).standard_error == pytest.approx(jackknife, rel=0.01)


@pytest.mark.parametrize("rho", [-0.8, 0.0, 0.95])
def test_intervals_hold_the_area_however_copies_go_with_their_samples(rho):
    """Normal scores and copies d lower, correlated by rho: the area is Phi(d/2^(1/2)). DeLong's misses at both ends."""
    rng, n, runs, d = np.random.default_rng(2), 150, 600, 0.3
    truth, held, delong = stats.norm.cdf(d / np.sqrt(2)), 0, 0
    for _ in range(runs):
        x = rng.standard_normal(n)
        y = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal(n) - d
        ends, other = (f(torch.from_numpy(x), torch.from_numpy(y)).interval(0.95) for f in (copies_auc, auc))
        held += ends.low <= truth <= ends.high
        delong += other.low <= truth <= other.high
    slack = 4 * np.sqrt(0.95 * 0.05 / runs)
    assert abs(held / runs - 0.95) < slack
    assert (abs(delong / runs - 0.95) < slack) == (rho == 0)


def test_the_range_of_the_signed_gap_is_students():
    rng = np.random.default_rng(3)
    before, after = rng.normal(size=50), rng.normal(1, 2, 50)
    found = invariance(torch.from_numpy(before), torch.from_numpy(after), 2.0)
    ends = stats.ttest_1samp((after - before) / 2, 0).confidence_interval(0.95)
    assert (found.signed_bounds.low, found.signed_bounds.high) == pytest.approx((ends.low, ends.high))


@pytest.mark.parametrize("spread", [0.0, -1.0, float("inf"), float("nan")])
def test_a_spread_that_is_none_is_refused(spread):
    with pytest.raises(ValueError, match="spread: found"):
        invariance(torch.ones(3), torch.ones(3), spread)


def test_scores_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="changed: found 2 scores; allowed: 3"):
        invariance(torch.ones(3), torch.ones(2), 1.0)
