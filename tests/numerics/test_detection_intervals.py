"""Intervals of costs and of resampled statistics: coverage of what theory gives, and laws that they must keep."""

import numpy as np
import pytest
import torch

from ganaudit.numerics.crossed_costs import crossed_detection_cost, crossed_likelihood_ratio_cost
from ganaudit.numerics.detection import equal_error_rate
from ganaudit.numerics.detection_costs import detection_cost, likelihood_ratio_cost
from ganaudit.numerics.detection_intervals import (
    actual_cost_bounds,
    likelihood_ratio_cost_bounds,
    resampled_bounds,
    resamples_for,
)
from ganaudit.numerics.intervals import clopper_pearson

COSTS = 0.05, 1.0, 10.0


def llrs(n, sign, rng, apart=1.0):
    """Log-likelihood ratios of two normal laws: N(±d²/2, d²)."""
    return torch.from_numpy(rng.standard_normal(n) * apart + sign * apart**2 / 2)


def covered(bounds, truth, runs, seed, n=300):
    rng = np.random.default_rng(seed)
    kept = 0
    for _ in range(runs):
        found = bounds(llrs(n, 1, rng), llrs(n, -1, rng))
        kept += found.low <= truth <= found.high
    return clopper_pearson(kept, runs, 0.9999)


def test_the_actual_cost_is_covered():
    # The cost of optimal scores at the optimal threshold is the least there is: 0.797241 (audit of two normals).
    chance = covered(lambda r, f: actual_cost_bounds(r, f, *COSTS, 0.95), 0.797241, 800, 1)
    assert chance.high >= 0.95
    assert chance.low > 0.9


def test_the_likelihood_ratio_cost_is_covered():
    chance = covered(lambda r, f: likelihood_ratio_cost_bounds(r, f, 0.95), 0.839253, 800, 2)
    assert chance.low <= 0.95 <= chance.high


@pytest.mark.parametrize(
    ("minimum", "crossed", "truth"),
    [
        (lambda r, f: detection_cost(r, f, *COSTS).minimum, crossed_detection_cost, 0.797241),
        (lambda r, f: likelihood_ratio_cost(r, f).minimum, crossed_likelihood_ratio_cost, 0.839253),
    ],
)
def test_a_fitted_minimum_is_held_between_its_fit_and_what_was_left_out(minimum, crossed, truth):
    """100 scores a side of normal laws 1 apart, where percentiles hold it in half of the draws at most."""
    rng, folds = np.random.default_rng(5), np.random.default_rng(6)

    def between(r, f):
        return resampled_bounds(minimum, r, f, rng, 0.95, "crossed", (0.0, 1.0), 40, crossed(r, f, folds))

    def percentile(r, f):
        return resampled_bounds(minimum, r, f, rng, 0.95, "percentile", (0.0, 1.0), 40)

    assert covered(between, truth, 60, 3, 100).high >= 0.95
    assert covered(percentile, truth, 60, 3, 100).high < 0.95


def test_crossed_ends_need_what_they_reach_up_to():
    one = torch.arange(9.0, dtype=torch.float64)
    with pytest.raises(ValueError, match="above: found none"):
        resampled_bounds(lambda r, f: float(r.mean()), one, one, np.random.default_rng(0), 0.95, "crossed")


def test_both_ends_lie_within_their_range_and_hold_the_value():
    rng = np.random.default_rng(0)
    real, fake = llrs(40, 1, rng, 4.0), llrs(40, -1, rng, 4.0)

    def cost(r, f):
        return detection_cost(r, f, *COSTS).minimum

    for ends in ("percentile", "crossed", "centred"):
        found = resampled_bounds(cost, real, fake, rng, 0.95, ends, (0.0, 1.0), above=0.2)
        assert 0 <= found.low <= cost(real, fake) <= found.high <= 1


def test_what_no_resample_moves_has_no_interval():
    rng = np.random.default_rng(0)
    apart = torch.linspace(1, 2, 20, dtype=torch.float64)
    assert resampled_bounds(lambda r, f: equal_error_rate(r, f).value, apart, -apart, rng, 0.95) is None


def test_costs_without_an_error_have_room_above():
    apart = torch.linspace(5, 6, 20, dtype=torch.float64)
    found = actual_cost_bounds(apart, -apart, *COSTS, 0.95)
    assert found.low == 0
    alone = clopper_pearson(0, 20, 0.95).high
    assert found.high == pytest.approx(np.hypot(alone, alone * 0.95 / 0.5))


def test_a_cost_is_joined_from_its_two_rates():
    rng = np.random.default_rng(2)
    real, fake = llrs(100, 1, rng), llrs(80, -1, rng)
    value = detection_cost(real, fake, *COSTS).actual
    found = actual_cost_bounds(real, fake, *COSTS, 0.95)
    at = detection_cost(real, fake, *COSTS).bayes_threshold
    false, missed = int((real < at).sum()), int((fake >= at).sum())
    ends = clopper_pearson(false, 100, 0.95), clopper_pearson(missed, 80, 0.95)
    low = value - np.sqrt((1.9 * (false / 100 - ends[0].low)) ** 2 + (missed / 80 - ends[1].low) ** 2)
    assert found.low == pytest.approx(max(0.0, low))


def test_fewer_resamples_of_more_scores():
    assert [resamples_for(n) for n in (1, 2_000, 4_000, 10**6)] == [500, 500, 250, 100]


def test_the_same_chance_gives_the_same_interval():
    real, fake = llrs(50, 1, np.random.default_rng(1)), llrs(50, -1, np.random.default_rng(2))
    one, two = (
        resampled_bounds(lambda r, f: float(r.mean() - f.mean()), real, fake, np.random.default_rng(3), 0.95)
        for _ in range(2)
    )
    assert one == two
    with pytest.raises(ValueError, match="level"):
        resampled_bounds(lambda r, f: float(r.mean()), real, fake, np.random.default_rng(3), 1.5)
