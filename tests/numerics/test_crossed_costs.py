"""Costs on left-out folds: against a loop over single folds, and above the least cost of the laws on average."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import isotonic_regression

from ganaudit.numerics.crossed_costs import crossed_detection_cost, crossed_likelihood_ratio_cost
from ganaudit.numerics.detection_costs import detection_cost, likelihood_ratio_cost


def sides(n, m, seed, d=1.0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal(n) + d), torch.from_numpy(rng.standard_normal(m))


def folds(n, rng):
    place = rng.permutation(n) % 10
    return [np.flatnonzero(place == k) for k in range(10)]


def left_out(scores, rows):
    every = np.arange(len(scores))
    return scores[~np.isin(every, rows)], scores[rows]


def test_the_cost_is_that_of_a_loop_over_thresholds():
    real, fake = (x.numpy() for x in sides(57, 43, 0))
    rng = np.random.default_rng(3)
    parts = list(zip(folds(57, rng), folds(43, rng), strict=True))
    false = missed = 0
    for a, b in parts:
        (kept, left), (known, unseen) = left_out(real, a), left_out(fake, b)
        tried = [*np.unique(np.concatenate([kept, known])), math.inf]
        costs = [1 * 0.95 * (kept < t).mean() + 10 * 0.05 * (known >= t).mean() for t in tried]
        at = tried[int(np.argmin(costs))]
        false, missed = false + (left < at).sum(), missed + (unseen >= at).sum()
    expected = (0.95 * false / 57 + 0.5 * missed / 43) / 0.5
    found = crossed_detection_cost(*map(torch.from_numpy, (real, fake)), np.random.default_rng(3))
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_likelihood_ratio_cost_is_that_of_a_step_function_by_hand():
    real, fake = (x.numpy() for x in sides(31, 44, 1))
    rng = np.random.default_rng(4)
    parts = list(zip(folds(31, rng), folds(44, rng), strict=True))
    costs = [0.0, 0.0]
    for a, b in parts:
        (kept, left), (known, unseen) = left_out(real, a), left_out(fake, b)
        ends = np.array([min(kept.min(), known.min()) - 1, max(kept.max(), known.max()) + 1])
        x = np.concatenate([ends, kept, ends, known])
        y = np.concatenate([np.ones(len(kept) + 2), np.zeros(len(known) + 2)])
        levels = np.unique(x)
        share = np.array([y[x == v].mean() for v in levels])
        fitted = isotonic_regression(share, weights=[(x == v).sum() for v in levels]).x
        odds = np.log(fitted / (1 - fitted)) - math.log((len(kept) + 2) / (len(known) + 2))
        for side, scores, sign in ((0, left, -1), (1, unseen, 1)):
            for score in scores:
                below = np.flatnonzero(levels <= score)
                costs[side] += math.log2(1 + math.exp(sign * odds[below[-1] if len(below) else 0]))
    found = crossed_likelihood_ratio_cost(*map(torch.from_numpy, (real, fake)), np.random.default_rng(4))
    assert found == pytest.approx((costs[0] / 31 + costs[1] / 44) / 2, abs=1e-9)


def test_they_lie_above_the_least_cost_where_the_fit_lies_below():
    """Truth: 0.797241 and 0.839253 for laws 1 apart."""
    rng, found = np.random.default_rng(7), []
    for seed in range(40):
        real, fake = sides(80, 80, seed)
        found.append((
            detection_cost(real, fake).minimum, crossed_detection_cost(real, fake, rng),
            likelihood_ratio_cost(real, fake).minimum, crossed_likelihood_ratio_cost(real, fake, rng),
        ))  # fmt: skip
    fitted, crossed, least, above = np.mean(found, 0)
    assert fitted < 0.797241 < crossed
    assert least < 0.839253 < above


@pytest.mark.parametrize("crossed", [crossed_detection_cost, crossed_likelihood_ratio_cost])
def test_few_scores_and_unit_of_the_score(crossed):
    real, fake = sides(4, 3, 2)
    assert math.isfinite(crossed(real, fake, np.random.default_rng(0)))
    moved = crossed(real * 1e-3 + 50, fake * 1e-3 + 50, np.random.default_rng(0))
    assert moved == pytest.approx(crossed(real, fake, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="real"):
        crossed(real[:1], fake, np.random.default_rng(0))
