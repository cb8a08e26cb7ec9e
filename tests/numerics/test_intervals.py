"""Intervals against scipy.stats, exact coverage and simulated coverage."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ganaudit.numerics.intervals import (
    Bounds,
    bootstrap,
    clopper_pearson,
    normal,
    quantile_bounds,
    student,
    wilson,
)

LEVELS = [0.8, 0.95, 0.99]


def within_noise(hits, runs, expected):
    """Whether a simulated coverage lies within 4 binomial standard errors of the expected."""
    return abs(hits / runs - expected) <= 4 * math.sqrt(expected * (1 - expected) / runs)


def holds(bounds, truth):
    return bounds.low <= truth <= bounds.high


@pytest.mark.parametrize(("function", "method"), [(wilson, "wilson"), (clopper_pearson, "exact")])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 40), (40, 40), (13, 40), (1, 5000)])
def test_proportions_are_those_of_scipy(function, method, level, successes, n):
    peer = stats.binomtest(successes, n).proportion_ci(level, method)
    bounds = function(successes, n, level)
    assert (bounds.low, bounds.high) == pytest.approx((peer.low, peer.high), rel=1e-9, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 400), share=st.floats(0, 1), level=st.floats(0.5, 0.999))
def test_proportions_hold_the_estimate_in_the_unit_interval_with_a_width(n, share, level):
    successes = round(n * share)
    for function in (wilson, clopper_pearson):
        bounds, mirrored = function(successes, n, level), function(n - successes, n, level)
        assert 0 <= bounds.low <= successes / n <= bounds.high <= 1
        assert bounds.low < bounds.high
        assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((bounds.low, bounds.high), abs=1e-12)


@pytest.mark.parametrize("n", [7, 40])
@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.97])
def test_clopper_pearson_covers_at_every_share(n, p):
    masses = stats.binom.pmf(range(n + 1), n, p)
    for level in LEVELS:
        coverage = sum(mass for s, mass in enumerate(masses) if holds(clopper_pearson(s, n, level), p))
        assert coverage >= level


@pytest.mark.parametrize("function", [wilson, clopper_pearson])
def test_simulated_coverage_of_proportions_is_the_exact_one(function):
    rng = np.random.default_rng(0)
    n, p, level, runs = 60, 0.2, 0.95, 4000
    bounds = [function(s, n, level) for s in range(n + 1)]
    exact = sum(stats.binom.pmf(s, n, p) for s in range(n + 1) if holds(bounds[s], p))
    hits = sum(holds(bounds[s], p) for s in rng.binomial(n, p, size=runs))
    assert within_noise(hits, runs, exact)
    # At a single p the score interval's coverage steps around the level, by about one atom of the binomial.
    assert exact >= level - stats.binom.pmf(range(n + 1), n, p).max() / 2


def test_wilson_covers_on_average_over_shares():
    rng = np.random.default_rng(1)
    n, level, runs = 100, 0.9, 6000
    shares = rng.uniform(size=runs)
    hits = sum(holds(wilson(int(s), n, level), p) for s, p in zip(rng.binomial(n, shares), shares, strict=True))
    assert within_noise(hits, runs, level)


@pytest.mark.parametrize("level", LEVELS)
def test_student_and_normal_are_those_of_scipy(level):
    values = np.random.default_rng(2).normal(size=9) * 3 + 5
    peer = stats.t.interval(level, 8, loc=values.mean(), scale=stats.sem(values))
    bounds = student(torch.from_numpy(values), level)
    assert (bounds.low, bounds.high) == pytest.approx(peer, rel=1e-12)
    bounds = normal(-2.0, 0.3, level)
    assert (bounds.low, bounds.high) == pytest.approx(stats.norm.interval(level, -2.0, 0.3), rel=1e-12)
    assert normal(1.5, 0.0, level) == Bounds(1.5, 1.5)


def test_student_and_normal_cover():
    rng = np.random.default_rng(3)
    n, level, runs = 5, 0.9, 4000
    draws = rng.normal(loc=2.0, scale=3.0, size=(runs, n))
    hits = sum(holds(student(torch.from_numpy(row), level), 2.0) for row in draws)
    assert within_noise(hits, runs, level)
    hits = sum(holds(normal(float(row.mean()), 3 / math.sqrt(n), level), 2.0) for row in draws)
    assert within_noise(hits, runs, level)


def test_bootstrap_of_a_mean_covers_as_its_law_says():
    rng = np.random.default_rng(4)
    n, level, runs = 25, 0.9, 400
    hits = 0
    for _ in range(runs):
        sample = torch.from_numpy(rng.normal(size=n))
        hits += holds(bootstrap(lambda x: float(x.mean()), [sample], 199, rng, level), 0.0)
    # The resampled mean has the standard deviation sd sqrt((n - 1)/n)/sqrt(n) and a normal quantile for Student's.
    z = stats.norm.ppf((1 + level) / 2) * math.sqrt((n - 1) / n)
    assert within_noise(hits, runs, 1 - 2 * stats.t.sf(z, n - 1))


def test_bootstrap_resamples_each_side_on_its_own():
    rng = np.random.default_rng(5)
    seen = []

    def statistic(a, b):
        seen.append((a.tolist(), b.tolist()))
        return float(a.mean() - b.mean())

    a, b = torch.arange(6.0), torch.arange(6.0)
    bounds = bootstrap(statistic, [a, b], 200, rng, 0.95)
    assert len(seen) == 200
    assert any(x != y for x, y in seen)
    assert all(set(x) | set(y) <= set(range(6)) for x, y in seen)
    # The difference of two independent resampled means: variance 2 · (35/12)/6.
    reach = stats.norm.ppf(0.975) * math.sqrt(2 * 35 / 12 / 6)
    assert bounds.high - bounds.low == pytest.approx(2 * reach, rel=4 * 1.4 / math.sqrt(200))
    again = bootstrap(statistic, [a, b], 200, np.random.default_rng(5), 0.95)
    assert again == bounds


@pytest.mark.parametrize(("n", "k"), [(200, 10), (200, 101), (50, 49)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_quantile_bounds_cover_and_no_closer_ends_would(n, k, level):
    rng = np.random.default_rng(6)
    values = torch.from_numpy(rng.permutation(np.arange(1.0, n + 1)))
    bounds = quantile_bounds(values, k, level)
    assert bounds.low <= k <= bounds.high
    law, tail = stats.binom(n, k / (n + 1)), (1 - level) / 2
    low = 0 if math.isinf(bounds.low) else int(bounds.low)
    high = n + 1 if math.isinf(bounds.high) else int(bounds.high)
    assert law.cdf(low - 1) <= tail < law.cdf(low)
    assert law.sf(high - 1) <= tail < law.sf(high - 2)
    runs, p = 3000, k / (n + 1)
    exact = law.cdf(high - 1) - law.cdf(low - 1)
    assert exact >= level
    draws = np.sort(rng.uniform(size=(runs, n)), axis=1)
    hits = sum(holds(quantile_bounds(torch.from_numpy(row), k, level), p) for row in draws)
    assert within_noise(hits, runs, exact)


def test_quantile_bounds_of_few_values_are_infinite():
    assert quantile_bounds(torch.tensor([1.0, 2.0]), 1, 0.95) == Bounds(-math.inf, math.inf)
    assert quantile_bounds(torch.arange(30.0), 1, 0.95).low == -math.inf


def test_bad_arguments_are_refused():
    x, rng = torch.arange(4.0), np.random.default_rng(0)
    calls = [
        lambda: wilson(5, 4, 0.95),
        lambda: wilson(0, 0, 0.95),
        lambda: clopper_pearson(-1, 4, 0.95),
        lambda: clopper_pearson(1, 4, 1.0),
        lambda: student(x[:1], 0.95),
        lambda: student(x[None], 0.95),
        lambda: normal(0.0, -1.0, 0.95),
        lambda: normal(0.0, math.nan, 0.95),
        lambda: quantile_bounds(x, 0, 0.95),
        lambda: quantile_bounds(x, 5, 0.95),
        lambda: bootstrap(lambda a: 0.0, [x], 1, rng, 0.95),
        lambda: bootstrap(lambda: 0.0, [], 10, rng, 0.95),
        lambda: bootstrap(lambda a: 0.0, [x[:0]], 10, rng, 0.95),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"found .*allowed"):
            call()
