"""Certificates against SciPy's beta and normal laws and the closed form of a linear critic."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.attacks.critic import Critic
from ganaudit.attacks.smoothing import (
    certified_rates,
    certify,
    largest_radius,
    lower_bound,
    smoothed_scores,
)

W = torch.tensor([3.0, 4.0])


def plane(threshold=0.0):
    return Critic(lambda x: x @ W, threshold, -10, 10)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("sigma", "share"), [(0.5, 0.997445), (1.0, 0.919243), (2.0, 0.758036)])
@pytest.mark.parametrize("sign", [1, -1])
def test_k12_linear_critic_is_certified_to_its_distance(sigma, share, sign):
    n, alpha = 100_000, 0.001
    found = certify(plane(), sign * torch.ones(1, 2), sigma, rng(), n=n, alpha=alpha, batch=20_000)
    assert found.called_real.tolist() == [sign == 1]
    deviation = math.sqrt(share * (1 - share) / n)
    assert float(found.share[0]) == pytest.approx(share, abs=5 * deviation)
    # A share's standard error is a radius's over the density there.
    error = sigma * deviation / stats.norm.pdf(1.4 / sigma)
    assert float(found.estimate[0]) == pytest.approx(1.4, abs=5 * error)
    # The bound stands 3.1 standard errors below, and holds but for alpha of the draws.
    slack = stats.norm.isf(alpha) * error
    assert 1.4 - slack - 5 * error <= float(found.radius[0]) <= 1.4


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_k12_within_one_percent(sigma):
    # A million draws: 3.1 standard errors are 0.7 % at sigma 0.5, 0.4 % at 1, 0.6 % at 2.
    radius = float(certify(plane(), torch.ones(1, 2), sigma, rng(), n=1_000_000, batch=100_000).radius[0])
    assert 1.4 * 0.99 <= radius <= 1.4


def test_k12_at_the_smallest_noise_is_capped_by_the_draws():
    # p = Phi(5.6) = 1 - 1e-8: all draws agree, and n of them prove sigma times 3.81 at most.
    n = 100_000
    found = certify(plane(), torch.ones(1, 2), 0.25, rng(), n=n, batch=20_000)
    assert found.share.tolist() == [1.0]
    assert found.estimate.tolist() == [math.inf]
    assert float(found.radius[0]) == pytest.approx(0.25 * stats.norm.isf(-math.expm1(math.log(0.001) / n)), rel=1e-9)
    assert float(found.radius[0]) < 1.4


def test_the_promise_is_kept_over_draws():
    # 400 certificates of one point, each from its own draws: above the exact radius in alpha of them at most.
    alpha, wrong = 0.05, 0
    x = torch.ones(1, 2)
    for seed in range(400):
        wrong += float(certify(plane(), x, 2.0, rng(seed), n0=10, n=500, alpha=alpha).radius[0]) > 1.4
    assert wrong <= stats.binom.ppf(0.9999, 400, alpha)
    assert wrong > 0


def test_on_the_boundary_it_abstains():
    found = certify(plane(), torch.zeros(1, 2), 1.0, rng(), n=1000)
    assert found.abstained.tolist() == [True]
    assert found.radius.tolist() == [0.0]
    assert found.accuracy(True, 0.0) == 0.0


def test_accuracy_counts_what_is_right_within_the_radius():
    x = torch.tensor([[1.0, 1.0], [2.0, 2.0], [-1.0, -1.0]])
    found = certify(plane(), x, 1.0, rng(), n=20_000)
    assert found.accuracy(True, 0.0) == pytest.approx(2 / 3)
    assert found.accuracy(True, 1.5) == pytest.approx(1 / 3)
    assert found.accuracy(False, 1.0) == pytest.approx(1 / 3)


def test_lower_bound_is_the_beta_quantile_and_covers():
    for s, n in ((1, 10), (55, 100), (100, 100), (99_741, 100_000)):
        assert lower_bound(s, n, 0.001) == pytest.approx(stats.beta.ppf(0.001, s, n - s + 1), rel=1e-9)
        low = lower_bound(s, n, 0.001)
        assert stats.binom.sf(s - 1, n, low) == pytest.approx(0.001, rel=1e-6)
    assert lower_bound(0, 10, 0.001) == 0.0


@pytest.mark.parametrize(("n", "radius"), [(1000, 2.463), (10_000, 3.199), (100_000, 3.812)])
def test_largest_radius_is_the_published_table(n, radius):
    assert largest_radius(1.0, n, 0.001) == pytest.approx(radius, abs=6e-4)  # printed to 3 digits
    exact = stats.norm.isf(-math.expm1(math.log(0.001) / n))
    assert largest_radius(0.25, n, 0.001) == pytest.approx(0.25 * exact, rel=1e-9)
    assert largest_radius(1.0, 5, 0.001) == 0.0


def test_a_critic_far_from_its_threshold_reaches_the_largest_radius():
    found = certify(plane(-1e6), torch.zeros(1, 2), 0.5, rng(), n=1000)
    assert float(found.radius[0]) == pytest.approx(largest_radius(0.5, 1000, 0.001))


def test_smoothed_scores_of_a_linear_critic_move_by_the_slope():
    x = torch.tensor([[1.0, 1.0], [0.0, -2.0]])
    n, sigma = 20_000, 0.5
    found = smoothed_scores(plane(), x, sigma, [0.0, 0.2, 0.6], rng(), n=n, alpha=0.001)
    scale = 5 * sigma
    score = x @ W
    # A sample quantile's standard error, here at most that at Phi(1.2), over sqrt(n); the bounds stand 3.3 of it out.
    error = scale * math.sqrt(0.885 * 0.115 / n) / stats.norm.pdf(1.2)
    assert (found.median - score).abs().max() < 5 * error
    for row, radius in enumerate(found.radii):
        assert bool((found.low[row] <= score - 5 * radius).all())
        assert bool((found.high[row] >= score + 5 * radius).all())
        assert float((score - 5 * radius - found.low[row]).max()) < 9 * error
        assert float((found.high[row] - score - 5 * radius).max()) < 9 * error


def test_order_statistics_are_the_tightest_that_cover():
    # The ranks by SciPy's binomial law, one by one.
    draws = []
    critic = Critic(lambda x: draws.append(x[:, 0].double()) or draws[-1], 0.0, -9, 9)
    n, alpha, radius = 200, 0.1, 0.4
    found = smoothed_scores(critic, torch.zeros(1, 1), 1.0, [radius], rng(), n=n, alpha=alpha)
    ordered = torch.cat(draws).sort().values
    low, high = stats.norm.cdf(-radius), stats.norm.cdf(radius)
    k = max(k for k in range(1, n + 1) if stats.binom.cdf(k - 1, n, low) <= alpha / 2)
    u = min(k for k in range(1, n + 1) if stats.binom.sf(k - 1, n, high) <= alpha / 2)
    assert float(found.low[0, 0]) == float(ordered[k - 1])
    assert float(found.high[0, 0]) == float(ordered[u - 1])
    assert float(found.median[0]) == float(ordered[n // 2 - 1])


def test_bounds_fail_no_more_often_than_promised():
    x, wrong = torch.ones(1, 2), 0
    for seed in range(400):
        found = smoothed_scores(plane(), x, 1.0, [0.5], rng(seed), n=200, alpha=0.1)
        wrong += float(found.low[0, 0]) > 7 - 2.5
    assert wrong <= stats.binom.ppf(0.9999, 400, 0.05)
    assert wrong > 0


def test_a_radius_beyond_the_draws_is_not_provable():
    found = smoothed_scores(plane(), torch.ones(1, 2), 0.1, [1.0], rng(), n=100)
    assert found.low.tolist() == [[-math.inf]]
    assert found.high.tolist() == [[math.inf]]
    assert certified_rates(found.low[0], found.high[0], 0.0) == (1.0, 0.0)


def test_certified_rates_of_gaussians_are_those_of_shifted_scores():
    # Reals about +1, fakes about -1 along w: within radius r every score can move by r |w|, and no more.
    generator = rng(4)
    real = torch.from_numpy(generator.normal(1, 1, (150, 2))).float()
    fake = torch.from_numpy(generator.normal(-1, 1, (150, 2))).float()
    radius, n = 0.3, 4000
    low = smoothed_scores(plane(), real, 0.5, [radius], rng(1), n=n).low[0]
    high = smoothed_scores(plane(), fake, 0.5, [radius], rng(2), n=n).high[0]
    fpr, tpr = certified_rates(low, high, 0.0)
    exact_fpr = float(((real @ W) - 5 * radius < 0).double().mean())
    exact_tpr = float(((fake @ W) + 5 * radius < 0).double().mean())
    # Never better than exact, and worse only by samples within the bounds' own slack, 9 standard errors at most.
    slack = 9 * 2.5 * math.sqrt(0.25 / n) / stats.norm.pdf(0.6)
    assert exact_fpr <= fpr <= float(((real @ W) - 5 * radius - slack < 0).double().mean())
    assert float(((fake @ W) + 5 * radius + slack < 0).double().mean()) <= tpr <= exact_tpr


def test_a_sample_does_not_depend_on_its_batch():
    x = torch.from_numpy(rng(7).normal(size=(3, 2))).float()
    every = certify(plane(), x, 1.0, rng(), n=500, batch=1000)
    one = certify(plane(), x[2:], 1.0, rng(), n=500, batch=77)
    assert float(one.share[0]) == float(every.share[2])


def test_bad_input_is_refused():
    x = torch.ones(1, 2)
    with pytest.raises(ValueError, match="sigma"):
        certify(plane(), x, 0.0, rng())
    with pytest.raises(ValueError, match="n0"):
        certify(plane(), x, 1.0, rng(), n0=0)
    with pytest.raises(ValueError, match="alpha"):
        certify(plane(), x, 1.0, rng(), alpha=1.0)
    with pytest.raises(ValueError, match="samples"):
        certify(plane(), x[:0], 1.0, rng())
    with pytest.raises(ValueError, match="radius"):
        smoothed_scores(plane(), x, 1.0, [-1.0], rng())
    with pytest.raises(ValueError, match="finite"):
        certify(Critic(lambda x: x.sum(1) * math.nan, 0.0, -1, 1), x, 1.0, rng())
    with pytest.raises(ValueError, match="fake_high"):
        certified_rates(torch.zeros(2), torch.zeros(0), 0.0)
