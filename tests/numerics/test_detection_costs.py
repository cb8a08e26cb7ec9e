"""Costs against loops over thresholds, two normal laws in closed form and scikit-learn's log-loss."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from ganaudit.numerics.detection_costs import bayes_threshold, detection_cost, likelihood_ratio_cost

scores = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=15).map(torch.tensor)


def ratios(n, d, seed):
    rng = np.random.default_rng(seed)
    return tuple(torch.from_numpy(d * rng.normal(mean, 1, n) - d**2 / 2) for mean in (d, 0.0))


@settings(max_examples=60, deadline=None)
@given(real=scores, fake=scores, prior=st.floats(0.01, 0.99), cost=st.floats(0.1, 20))
def test_costs_are_the_loop_over_thresholds(real, fake, prior, cost):
    def at(t):
        fpr, fnr = np.mean([s < t for s in real.tolist()]), np.mean([s >= t for s in fake.tolist()])
        return (2 * (1 - prior) * fpr + cost * prior * fnr) / min(2 * (1 - prior), cost * prior)

    found = detection_cost(real, fake, prior, 2.0, cost)
    cuts = [*sorted(set(real.tolist() + fake.tolist())), math.inf]
    assert found.minimum == pytest.approx(min(at(t) for t in cuts), abs=1e-12)
    assert at(found.best_threshold) == pytest.approx(found.minimum, abs=1e-12)
    assert (
        found.bayes_threshold
        == bayes_threshold(prior, 2.0, cost)
        == pytest.approx(math.log(cost * prior / (2 * (1 - prior))))
    )
    assert found.actual == pytest.approx(at(found.bayes_threshold), abs=1e-12)
    assert found.minimum <= min(1 + 1e-12, found.actual + 1e-12)


@pytest.mark.parametrize(("d", "least"), [(1, 0.797241), (2, 0.425745), (3, 0.181424)])
def test_two_normals_against_the_closed_form(d, least):
    def cost(x):
        return (0.95 * stats.norm.cdf(x - d) + 0.5 * stats.norm.sf(x)) / 0.5

    assert optimize.minimize_scalar(cost, bounds=(-3, 6), method="bounded").fun == pytest.approx(least, abs=1e-6)
    n = 100_000
    found = detection_cost(*ratios(n, d, 0))
    # Each rate is within 4 sqrt(1/(4 n)); the weights are 1.9 and 1.
    assert found.minimum == pytest.approx(least, abs=2.9 * 4 * math.sqrt(0.25 / n))
    assert found.actual == pytest.approx(least, abs=2.9 * 4 * math.sqrt(0.25 / n))
    scaled = detection_cost(*(side + 3 for side in ratios(n, d, 0)))
    assert scaled.minimum == pytest.approx(found.minimum)
    assert scaled.actual > found.actual + 0.1


@pytest.mark.parametrize(("d", "bits"), [(1, 0.839253), (2, 0.514056), (3, 0.240021)])
def test_cllr_of_two_normals(d, bits):
    n = 100_000
    real, fake = ratios(n, d, 1)
    found = likelihood_ratio_cost(real, fake)
    spread = math.hypot(*(float(torch.nn.functional.softplus(s).std()) for s in (-real, fake))) / (2 * math.log(2))
    assert found.value == pytest.approx(bits, abs=4 * spread / math.sqrt(n))
    # Pooling fits O(n^(1/3)) blocks: its gain over the truth is of that order over n.
    assert 0 <= found.calibration_loss <= 20 * n ** (1 / 3) / n
    assert likelihood_ratio_cost(real + 2, fake + 2).minimum == pytest.approx(found.minimum, abs=1e-12)
    assert likelihood_ratio_cost(real + 2, fake + 2).value > found.value + 0.05


@settings(max_examples=60, deadline=None)
@given(real=scores, fake=scores)
def test_cllr_is_the_log_loss_and_its_minimum_that_of_isotonic_regression(real, fake):
    found = likelihood_ratio_cost(real, fake)
    labels = np.array([1] * len(real) + [0] * len(fake))
    weights = np.where(labels == 1, 0.5 / len(real), 0.5 / len(fake))
    both = torch.cat([real, fake]).double().numpy()
    as_bits = log_loss(labels, special.expit(both), sample_weight=weights, labels=[0, 1]) / math.log(2)
    assert found.value == pytest.approx(as_bits, abs=1e-9)
    fitted = IsotonicRegression().fit_transform(both, labels, sample_weight=weights)
    named = np.where(labels == 1, fitted, 1 - fitted)
    assert found.minimum == pytest.approx(-(weights * np.log2(named)).sum(), abs=1e-6)
    assert 0 <= found.minimum <= 1 + 1e-12


def test_ends_and_refusals():
    real, fake = torch.tensor([5.0, 6.0]), torch.tensor([-5.0, 0.0])
    assert likelihood_ratio_cost(real, fake).minimum == 0.0
    assert detection_cost(real, fake).minimum == 0.0
    assert likelihood_ratio_cost(torch.zeros(3), torch.zeros(2)).value == 1.0
    assert math.isfinite(likelihood_ratio_cost(-1e4 * real, fake).value)
    assert bayes_threshold() == pytest.approx(math.log(10 * 0.05 / 0.95))
    with pytest.raises(ValueError, match="cost_real: found -1"):
        bayes_threshold(cost_real=-1)
    with pytest.raises(ValueError, match="prior_fake: found 1"):
        detection_cost(real, fake, prior_fake=1)
    with pytest.raises(ValueError, match="fake: found 0 samples"):
        likelihood_ratio_cost(real, torch.empty(0))
