"""Promised rates against published ranks, SciPy's laws and simulated calibrations, with ties and without."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ganaudit.numerics.detection import conformal_threshold
from ganaudit.numerics.thresholds import (
    achieved,
    conformal_p_values,
    pac_rank,
    pac_size_needed,
    pac_threshold,
    rate_bounds,
    rate_upper,
    thresholds,
)


@pytest.mark.parametrize(
    ("n", "alpha", "rank"),
    [(1000, 0.05, 39), (1000, 0.01, 5), (10_000, 0.01, 84), (10_000, 0.001, 5), (5000, 0.001, 2)],
)
def test_published_ranks(n, alpha, rank):
    assert pac_rank(n, alpha) == rank


def test_published_sizes_and_quantiles():
    assert (pac_size_needed(0.01), pac_size_needed(0.001)) == (299, 2995)
    for n, rank, upper in ((1000, 50, 0.06176), (1000, 10, 0.01565), (10_000, 10, 0.00157), (100, 5, 0.0892)):
        assert rate_upper(n, rank) == pytest.approx(upper, abs=6e-5 if n == 100 else 6e-6)
        assert rate_upper(n, rank) == pytest.approx(stats.beta(rank, n + 1 - rank).ppf(0.95), abs=1e-9)
        bounds = rate_bounds(n, rank, 0.9)
        assert (bounds.low, bounds.high) == pytest.approx(stats.beta(rank, n + 1 - rank).interval(0.9), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 400), alpha=st.floats(0.005, 0.9), confidence=st.floats(0.5, 0.999))
def test_the_rank_is_the_last_one_that_keeps_the_promise(n, alpha, confidence):
    k = pac_rank(n, alpha, confidence)
    kept = stats.binom.sf(np.arange(n), n, alpha) >= confidence  # P(k or more reals below the alpha-quantile)
    margin = np.abs(stats.binom.sf(np.arange(n), n, alpha) - confidence).min()
    assert margin < 1e-12 or k == int(kept.sum())


@settings(max_examples=30, deadline=None)
@given(alpha=st.floats(0.01, 0.9), confidence=st.floats(0.5, 0.99))
def test_the_size_needed_is_the_least(alpha, confidence):
    n = pac_size_needed(alpha, confidence)
    assert pac_rank(n, alpha, confidence) >= 1
    assert n == 1 or pac_rank(n - 1, alpha, confidence) == 0


@pytest.mark.parametrize("decimals", [None, 1])
def test_promises_hold_over_calibration_draws(decimals):
    rng, runs, n, alpha = np.random.default_rng(0), 1500, 300, 0.05
    rates = {"conformal": [], "pac": []}
    together = 0
    for _ in range(runs):
        calibration = torch.from_numpy(rng.normal(size=n))
        calibration = calibration if decimals is None else calibration.round(decimals=decimals)
        found = thresholds(calibration, [alpha, 0.1], jointly=True)
        reach = 0.0 if decimals is None else 0.5 * 10**-decimals  # rounded scores below t are scores below t - reach
        together += all(stats.norm.cdf(t.value - reach) <= t.alpha for t in found if t.promise == "pac")
        for t in thresholds(calibration, [alpha]):
            rates[t.promise].append(stats.norm.cdf(t.value - reach))
    chance = math.sqrt(0.95 * 0.05 / runs)
    assert np.mean(np.array(rates["pac"]) <= alpha) >= 0.95 - 4 * chance
    assert together / runs >= 0.95 - 4 * chance
    law = stats.beta(15, n + 1 - 15)
    assert np.mean(rates["conformal"]) <= law.mean() + 4 * law.std() / math.sqrt(runs)
    if decimals is None:
        assert np.mean(rates["conformal"]) >= law.mean() - 4 * law.std() / math.sqrt(runs)
        kept = np.mean(np.array(rates["pac"]) <= alpha)
        exact = stats.binom.sf(pac_rank(n, alpha) - 1, n, alpha)
        assert abs(kept - exact) <= 4 * chance


def test_thresholds_are_order_statistics_and_say_when_there_is_none():
    scores = torch.tensor([3.0, 1.0, 2.0, 2.0, 5.0, 4.0, 9.0, 8.0, 7.0, 6.0] * 3)
    conformal, pac, none, nothing = thresholds(scores, [0.2, 0.01])
    assert conformal.rank == 6
    assert conformal.value == conformal_threshold(scores, 0.2) == 2.0
    assert conformal.tied == 6
    assert conformal.expected_rate == 6 / 31
    assert (pac.rank, pac.value, pac.confidence) == (pac_rank(30, 0.2), pac_threshold(scores, 0.2), 0.95)
    assert (none.value, none.rank, none.needed, none.expected_rate) == (None, 0, 99, None)
    assert (nothing.value, nothing.needed, nothing.tied) == (None, 299, 0)
    assert thresholds(scores, [0.2, 0.3], jointly=True)[1].confidence == pytest.approx(0.975, abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(
    calibration=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    scores=st.lists(st.integers(0, 9), min_size=1, max_size=10),
    alpha=st.sampled_from([0.05, 0.1, 0.2, 0.29, 0.5]),
)
def test_p_values_agree_with_the_conformal_threshold(calibration, scores, alpha):
    p = conformal_p_values(torch.tensor(calibration).double(), torch.tensor(scores).double())
    threshold = conformal_threshold(torch.tensor(calibration).double(), alpha)
    for score, value in zip(scores, p.tolist(), strict=True):
        assert value == (1 + sum(c <= score for c in calibration)) / (len(calibration) + 1)
        assert (value <= alpha + 1e-12) == (threshold is not None and score < threshold)


def test_the_count_on_test_reals_follows_its_law():
    rng, runs = np.random.default_rng(1), 1500
    p_values = []
    for _ in range(runs):
        threshold = thresholds(torch.from_numpy(rng.normal(size=99)), [0.1])[0]
        p_values.append(achieved(torch.from_numpy(rng.normal(size=80)), threshold).p_value)
    # A discrete p-value is below a with a chance of a at most; the sum of its two sides' tails is near 1.
    for a in (0.05, 0.2, 0.5):
        assert np.mean(np.array(p_values) <= a) <= a + 4 * math.sqrt(a * (1 - a) / runs)
    assert np.mean(np.array(p_values) <= 0.5) >= 0.35
    threshold = thresholds(torch.from_numpy(rng.normal(size=999)), [0.05])[0]
    shifted = achieved(torch.from_numpy(rng.normal(size=500) - 0.7), threshold)
    assert shifted.p_value < 1e-6
    assert shifted.bounds.low > 0.05
    assert shifted.rate == shifted.count / 500


def test_bad_input_is_refused_in_words():
    scores = torch.arange(10.0)
    with pytest.raises(ValueError, match="rates: found 0"):
        thresholds(scores, [])
    with pytest.raises(ValueError, match="alpha: found 5"):
        thresholds(scores, [5])
    with pytest.raises(ValueError, match=r"confidence: found 1\.0"):
        pac_threshold(scores, 0.1, 1.0)
    with pytest.raises(ValueError, match="threshold: found none; allowed: one from 99"):
        achieved(scores, thresholds(scores, [0.01])[0])
    with pytest.raises(ValueError, match="rank: found 11"):
        rate_upper(10, 11)
    assert pac_threshold(scores, 0.1) is None
