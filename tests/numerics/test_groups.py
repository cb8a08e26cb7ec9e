"""Groups at one threshold against loops, SciPy's exact tests and simulated levels."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from ganaudit.numerics.groups import errors_by_covariate, group_errors, holm, rate_gap


def test_each_group_is_its_own_loop():
    rng = np.random.default_rng(0)
    real, fake = torch.from_numpy(rng.normal(1, 1, 300)), torch.from_numpy(rng.normal(size=200))
    of_real, of_fake = torch.from_numpy(rng.integers(0, 4, 300)), torch.from_numpy(rng.integers(1, 5, 200))
    found = {one.group: one for one in group_errors(real, of_real, fake, of_fake, 0.2)}
    assert list(found) == [0, 1, 2, 3, 4]
    assert (found[0].tpr, found[0].auc, found[4].fpr) == (None, None, None)
    for group in (1, 2, 3):
        mine, theirs = real[of_real == group], fake[of_fake == group]
        for rate, scores in ((found[group].fpr, mine), (found[group].tpr, theirs)):
            count = sum(s < 0.2 for s in scores.tolist())
            assert (rate.count, rate.n, rate.value) == (count, len(scores), count / len(scores))
            exact = stats.binomtest(count, len(scores)).proportion_ci(0.95, "exact")
            assert (rate.bounds.low, rate.bounds.high) == pytest.approx((exact.low, exact.high), abs=1e-9)
        labels = [1] * len(mine) + [0] * len(theirs)
        assert found[group].auc.value == pytest.approx(roc_auc_score(labels, torch.cat([mine, theirs]).numpy()))
    whole = sum(one.fpr.count for one in found.values() if one.fpr)
    assert whole == int((real < 0.2).sum())


@settings(max_examples=60, deadline=None)
@given(
    real=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=4, max_size=40),
    fake=st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 20)), min_size=1, max_size=20),
    bins=st.integers(2, 4),
)
def test_bins_hold_what_their_edges_say(real, fake, bins):
    real, fake = torch.tensor(real).double(), torch.tensor(fake).double()
    found = errors_by_covariate(real[:, 0], real[:, 1], fake[:, 0], fake[:, 1], 5.0, bins)
    ends = [-math.inf, *found.edges, math.inf]
    assert [one.group for one in found.bins] == list(range(len(found.edges) + 1))
    assert len(found.bins) <= bins
    for one in found.bins:
        low, high = ends[one.group], ends[one.group + 1]
        for rate, side in ((one.fpr, real), (one.tpr, fake)):
            inside = [score for score, measure in side.tolist() if low <= measure < high]
            assert (rate.n if rate else 0) == len(inside)
            assert (rate.count if rate else 0) == sum(score < 5 for score in inside)
        assert one.fpr is not None


def test_tenths_hold_as_many_reals_each():
    rng = np.random.default_rng(1)
    real, measure = torch.from_numpy(rng.normal(size=1000)), torch.from_numpy(rng.normal(size=1000))
    found = errors_by_covariate(real, measure, real[:50], measure[:50] + 100, 0.0)
    assert [one.fpr.n for one in found.bins] == [100] * 10
    assert [one.tpr is None for one in found.bins] == [True] * 9 + [False]


def test_the_permutation_law_is_that_of_all_dealings():
    called, groups = torch.tensor([1, 1, 0, 0, 1, 0, 0]), torch.tensor([0, 0, 0, 1, 1, 2, 2])
    gaps = []
    for dealing in permutations(called.tolist()):
        rates = [np.mean([c for c, g in zip(dealing, groups.tolist(), strict=True) if g == k]) for k in range(3)]
        gaps.append(max(rates) - min(rates))
    found = rate_gap(called, groups, np.random.default_rng(0), 20_000, least=1)
    exact = np.mean(np.array(gaps) >= found.value - 1e-12)
    assert found.value == pytest.approx(2 / 3)
    assert (found.lowest, found.highest) == (2, 0)
    assert abs(found.p_value - exact) <= 4 * math.sqrt(exact * (1 - exact) / 20_000) + 1e-4
    pairs = [stats.fisher_exact(t).pvalue for t in ([[2, 1], [1, 3]], [[1, 1], [2, 3]], [[0, 2], [3, 2]])]
    assert list(found.adjusted.values()) == pytest.approx(holm(pairs))


def test_equal_groups_are_seldom_found_to_differ_and_unlike_ones_are():
    rng, runs, alarms, named = np.random.default_rng(2), 400, 0, 0
    groups = torch.from_numpy(np.repeat([3, 5, 9], [40, 100, 160]))
    for _ in range(runs):
        found = rate_gap(torch.from_numpy(rng.random(300) < 0.2), groups, rng, 199)
        alarms += found.p_value <= 0.05
        named += min(found.adjusted.values()) <= 0.05
    reach = 4 * math.sqrt(0.05 * 0.95 / runs)
    assert alarms / runs <= 0.05 + reach
    assert named / runs <= 0.05 + reach
    assert alarms > 0
    rates = np.repeat([0.6, 0.1, 0.1], [40, 100, 160])
    found = rate_gap(torch.from_numpy(rng.random(300) < rates), groups, rng)
    assert found.p_value == 1e-4
    assert found.highest == 3
    assert found.adjusted[3] < 0.001


def test_small_groups_are_left_out_and_one_group_has_no_gap():
    rng = np.random.default_rng(3)
    groups = torch.tensor([0] * 20 + [1] * 20 + [2] * 9)
    called = torch.tensor([False] * 20 + [True, False] * 10 + [True] * 9)
    found = rate_gap(called, groups, rng)
    assert (found.left_out, found.value, found.highest, sorted(found.adjusted)) == ((2,), 0.5, 1, [0, 1])
    assert rate_gap(called[:29], torch.tensor([0] * 20 + [1] * 9), rng) is None
    assert rate_gap(called, groups, rng, least=1).left_out == ()


def test_holm_on_a_worked_example():
    # m = 4, sorted .005 .01 .03 .04: 4·.005, 3·.01, 2·.03, then the running greatest.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    with pytest.raises(ValueError, match="p_values"):
        holm([1.2])


def test_bad_input_is_refused_in_words():
    rng, s, g = np.random.default_rng(0), torch.arange(6.0), torch.arange(6)
    with pytest.raises(ValueError, match=r"groups of real: found torch\.float32"):
        group_errors(s, s, s, g, 0.0)
    with pytest.raises(ValueError, match=r"groups of fake: found torch\.int64 of shape \(5,\)"):
        group_errors(s, g, s, g[:5], 0.0)
    with pytest.raises(ValueError, match="called: found numbers other than 0 and 1"):
        rate_gap(s, g, rng)
    with pytest.raises(ValueError, match="real_measure: found 6 samples; allowed: 10 or more"):
        errors_by_covariate(s, s, s, s, 0.0)
    with pytest.raises(ValueError, match="fake_measure: found 5 numbers; allowed: 6"):
        errors_by_covariate(s, s, s, s[:5], 0.0, bins=3)
