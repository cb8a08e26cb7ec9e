"""Ranking and thresholds against pair loops, simulation and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from ganaudit.numerics.detection import (
    Auc,
    auc,
    calibration_size_needed,
    conformal_rank,
    conformal_rate,
    conformal_threshold,
    equal_error_rate,
    false_positive_rate,
    roc,
    true_positive_rate,
)
from ganaudit.numerics.intervals import clopper_pearson

scores = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=12).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


def normals(n, seed, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=n) + shift)


def wins(real, fake):
    return (real[:, None] > fake[None, :]).double() + 0.5 * (real[:, None] == fake[None, :]).double()


@settings(max_examples=80, deadline=None)
@given(real=scores, fake=scores)
def test_auc_is_the_pair_loop_and_its_error_is_delongs(real, fake):
    found, pairs = auc(real, fake), wins(real, fake)
    assert found.value == pytest.approx(float(pairs.mean()), rel=1e-14)
    variance = float(pairs.mean(dim=1).var() / len(real) + pairs.mean(dim=0).var() / len(fake))
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-7, abs=1e-8)
    assert auc(fake, real).value == pytest.approx(1 - found.value, abs=1e-15)
    assert auc(2 * real + 1, 2 * fake + 1) == found


def test_auc_agrees_with_scikit_learn():
    real, fake = normals(300, 0, 0.7).round(decimals=1), normals(200, 1).round(decimals=1)
    labels = [1] * len(real) + [0] * len(fake)
    assert auc(real, fake).value == pytest.approx(roc_auc_score(labels, torch.cat([real, fake]).numpy()), rel=1e-12)


def test_delongs_error_is_the_spread_over_samples():
    rng = np.random.default_rng(2)
    runs = [auc(*(torch.from_numpy(rng.normal(size=n) + m) for n, m in ((60, 1.0), (90, 0.0)))) for _ in range(1500)]
    values = np.array([run.value for run in runs])
    truth = stats.norm.cdf(1 / math.sqrt(2))
    spread = values.std(ddof=1)
    assert abs(values.mean() - truth) <= 4 * spread / math.sqrt(len(values))
    mean_variance = np.mean([run.standard_error**2 for run in runs])
    # Relative standard error of a variance from R near-normal values: sqrt(2/R).
    assert abs(mean_variance / spread**2 - 1) <= 4 * math.sqrt(2 / len(runs)) + 1 / 60


def test_delongs_error_of_two_normals_is_the_exact_binormal_one():
    found = [auc(normals(500, seed, 1.0), normals(500, 1000 + seed)).standard_error for seed in range(100)]
    # The published value to six digits; the mean of 100 scatters by a tenth of what one does.
    assert abs(np.mean(found) - 0.014939) <= 4 * np.std(found, ddof=1) / 10 + 5e-6


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_auc_intervals_cover(shift):
    rng = np.random.default_rng(3)
    truth, level, runs = stats.norm.cdf(shift / math.sqrt(2)), 0.9, 1500
    covered = 0
    for _ in range(runs):
        real, fake = (torch.from_numpy(rng.normal(size=n) + m) for n, m in ((150, shift), (120, 0.0)))
        bounds = auc(real, fake).interval(level)
        covered += bounds.low <= truth <= bounds.high
    assert abs(covered / runs - level) <= 4 * math.sqrt(level * (1 - level) / runs)


@pytest.mark.parametrize(
    ("real", "fake", "value"),
    [([3.0, 4.0, 5.0], [0.0, 1.0], 1.0), ([0.0, 1.0], [3.0, 4.0, 5.0], 0.0), ([1.0, 1.0], [1.0, 1.0, 1.0], 0.5)],
)
def test_degenerate_separations_keep_a_width(real, fake, value):
    found = auc(torch.tensor(real), torch.tensor(fake))
    assert (found.value, found.standard_error) == (value, 0.0)
    bounds = found.interval(0.95)
    assert bounds == clopper_pearson(2 * value, 2, 0.95)
    assert 0 <= bounds.low <= value <= bounds.high <= 1
    assert bounds.high - bounds.low > 0.5


def test_the_interval_for_full_separation_covers_a_truth_just_below_it():
    rng = np.random.default_rng(4)
    shift, n, level, runs = 3.0, 20, 0.95, 1000
    truth, missed, separated = stats.norm.cdf(shift / math.sqrt(2)), 0, 0
    for _ in range(runs):
        real, fake = (torch.from_numpy(rng.normal(size=n) + m) for m in (shift, 0.0))
        found = auc(real, fake)
        if found.value == 1:
            bounds = found.interval(level)
            separated += 1
            missed += not bounds.low <= truth <= bounds.high
    assert separated > 0
    assert missed <= runs * (1 - level) / 2


@settings(max_examples=60, deadline=None)
@given(level=st.floats(0.5, 0.999), wins=st.integers(0, 5000), error=st.floats(0, 0.5), n=st.integers(2, 50))
def test_auc_intervals_stay_in_the_unit_interval(level, wins, error, n):
    bounds = Auc(wins / 5000, error, n, n + 3).interval(level)
    assert 0 <= bounds.low <= bounds.high <= 1


@settings(max_examples=60, deadline=None)
@given(real=scores, fake=scores)
def test_roc_runs_from_corner_to_corner_over_the_area_of_auc(real, fake):
    curve = roc(real, fake)
    assert (float(curve.fpr[0]), float(curve.tpr[0])) == (0.0, 0.0)
    assert (float(curve.fpr[-1]), float(curve.tpr[-1])) == (1.0, 1.0)
    for threshold, fpr, tpr in zip(curve.thresholds.tolist(), curve.fpr.tolist(), curve.tpr.tolist(), strict=True):
        assert fpr == false_positive_rate(real, threshold)
        assert tpr == true_positive_rate(fake, threshold)
    assert float(torch.trapezoid(curve.tpr, curve.fpr)) == pytest.approx(auc(real, fake).value, abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(real=scores, fake=scores)
def test_equal_error_rate_is_the_best_vertex(real, fake):
    n, m = len(real), len(fake)
    best = None
    for threshold in [*sorted(set(real.tolist() + fake.tolist())), math.inf]:
        wrong_real = sum(s < threshold for s in real.tolist())
        wrong_fake = sum(s >= threshold for s in fake.tolist())
        gap = abs(wrong_real * m - wrong_fake * n)
        if best is None or gap < best[0]:
            best = gap, (wrong_real / n + wrong_fake / m) / 2, threshold
    found = equal_error_rate(real, fake)
    assert found.value == pytest.approx(best[1], abs=1e-15)
    assert found.threshold == best[2]


def test_equal_error_rate_of_two_normals():
    found = equal_error_rate(normals(20_000, 5, 2.0), normals(20_000, 6))
    truth = stats.norm.cdf(-1)
    # The mean of two independent shares of n each, at the crossing.
    assert abs(found.value - truth) <= 4 * math.sqrt(truth * (1 - truth) / 2 / 20_000)
    assert equal_error_rate(normals(50, 5, 50.0), normals(50, 6)).value == 0


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.05), (30, 0.1), (9, 0.1), (57, 0.2)])
def test_the_conformal_rate_is_k_over_n_plus_one(n, alpha):
    rng = np.random.default_rng(7)
    k, runs = math.floor(alpha * (n + 1) + 1e-9), 6000
    expected = k / (n + 1)
    below = 0
    for _ in range(runs):
        values = rng.normal(size=n + 1)
        below += values[n] < conformal_threshold(torch.from_numpy(values[:n]), alpha)
    assert expected <= alpha
    assert abs(below / runs - expected) <= 4 * math.sqrt(expected * (1 - expected) / runs)


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.05), (299, 0.05), (50, 0.3)])
def test_the_conformal_rate_of_a_threshold_follows_its_law(n, alpha):
    # Uniform scores: the rate of a threshold is the threshold itself, so no test sample is needed.
    rng = np.random.default_rng(n)
    draws = 4000
    rates = np.array(
        [conformal_threshold(torch.from_numpy(rng.random(n)), alpha) for _ in range(draws)], dtype=np.float64
    )
    expected, law = conformal_rate(n, alpha, 0.9)
    assert abs(rates.mean() - expected) < 4 * rates.std() / math.sqrt(draws)
    inside = ((rates >= law.low) & (rates <= law.high)).mean()
    assert abs(inside - 0.9) < 4 * math.sqrt(0.9 * 0.1 / draws)
    assert conformal_rank(n, alpha) == round(expected * (n + 1))


def test_the_conformal_guarantee_holds_under_ties():
    rng = np.random.default_rng(8)
    runs, alpha = 6000, 0.2
    below = 0
    for _ in range(runs):
        values = rng.integers(0, 4, size=31).astype(float)
        below += values[30] < conformal_threshold(torch.from_numpy(values[:30]), alpha)
    assert below / runs <= alpha + 4 * math.sqrt(alpha * (1 - alpha) / runs)


def test_the_conformal_threshold_is_an_order_statistic():
    calibration = torch.tensor([5.0, 1.0, 3.0, 2.0, 4.0, 9.0, 8.0, 7.0, 6.0])
    assert conformal_threshold(calibration, 0.1) == 1.0
    assert conformal_threshold(calibration, 0.35) == 3.0
    assert conformal_threshold(calibration, 0.09) is None
    # 0.29 · 100 is 28.999... in binary.
    assert conformal_threshold(torch.arange(1.0, 100.0), 0.29) == 29.0


@pytest.mark.parametrize("alpha", [0.5, 0.3, 0.1, 0.05, 0.07, 0.01, 0.001, 0.9])
def test_the_size_needed_is_the_least_that_gives_a_threshold(alpha):
    n = calibration_size_needed(alpha)
    assert conformal_threshold(torch.arange(float(n)), alpha) is not None
    if n > 1:
        assert conformal_threshold(torch.arange(float(n - 1)), alpha) is None


def test_rates_count_strictly_below():
    values = torch.tensor([1.0, 2.0, 2.0, 3.0])
    assert false_positive_rate(values, 2.0) == 0.25
    assert true_positive_rate(values, math.inf) == 1.0


def test_bad_arguments_are_refused():
    x = torch.tensor([1.0, 2.0])
    for real, fake in ((x[:1], x), (x, x[:1]), (x[None], x), (x, x * math.nan)):
        with pytest.raises(ValueError, match=r"found .*allowed"):
            auc(real, fake)
    for alpha in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="alpha: found"):
            conformal_threshold(x, alpha)
    with pytest.raises(ValueError, match="level: found 95"):
        auc(x, x).interval(95)
