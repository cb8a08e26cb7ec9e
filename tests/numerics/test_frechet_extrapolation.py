"""Thinned distances against loops over the rows; the line against numpy; its noise and the law behind it by chance."""

import itertools
import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.frechet import frechet_distance
from ganaudit.numerics.frechet_extrapolation import Thinned, samples_needed, thinned_distances
from ganaudit.numerics.moments import GroupedMoments
from tests.numerics.test_moments import gathered, in_worlds, members


def sampled(n, d, seed, scale=1.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d))) * scale


def test_values_are_mean_distances_between_subsets_of_the_rows():
    real, fake = sampled(103, 4, 1), sampled(80, 4, 2, 1.3)
    found = thinned_distances(gathered(real, 8, 1, core=80), gathered(fake, 8, 2))
    of_real, of_fake = members(103, 8, 80, 1)[0], members(80, 8, 80, 2)[0]
    assert found.counts[-2:] == (7, 8)
    for count, size, value in zip(found.counts, found.sizes, found.values, strict=True):
        runs = [[(start + i) % 8 for i in range(count)] for start in range(8)]
        expected = [
            frechet_distance(
                *(x[np.concatenate([rows[g] for g in run])] for x, rows in ((real, of_real), (fake, of_fake)))
            )
            for run in runs
        ]
        assert value == pytest.approx(np.mean(expected), rel=1e-9)
        assert size == count * 10


def test_the_jackknife_is_that_over_groups_and_the_line_is_numpys():
    found = thinned_distances(gathered(sampled(96, 3, 1), 8, 1), gathered(sampled(96, 3, 2, 1.2), 8, 2))
    assert found.jackknifed == pytest.approx(8 * found.values[-1] - 7 * found.values[-2], rel=1e-12)
    n = np.array(found.sizes)
    slope, intercept = np.polyfit(1 / n, found.values, 1, w=n)
    assert found.line.slope == pytest.approx(slope, rel=1e-9)
    assert found.line.intercept == pytest.approx(intercept, rel=1e-9)
    weights = n**2 / (n**2).sum()
    missed = (weights * (np.array(found.values) - intercept - slope / n) ** 2).sum()
    spread = (weights * (np.array(found.values) - (weights * found.values).sum()) ** 2).sum()
    assert found.line.r_squared == pytest.approx(1 - missed / spread, rel=1e-9)


def test_constant_sides_lie_on_a_line_without_slope():
    ones = gathered(torch.ones(60, 2), 4)
    line = thinned_distances(ones, ones).line
    assert (line.intercept, line.slope, line.r_squared) == (0, 0, 1)


def test_two_sizes_make_no_line():
    # 14 of 16 groups of 4 or 5 samples would hold too few for 64 features.
    sides = [gathered(sampled(70, 64, seed), 16, seed) for seed in (1, 2)]
    found = thinned_distances(*sides)
    assert found.counts == (15, 16)
    assert found.line is None


def test_the_noise_of_both_estimates_is_that_of_a_squared_mean():
    # |mean of group means|^2 is the pure second-order statistic, for which both claims are exact.
    rng = np.random.default_rng(3)
    groups, counts, draws = 8, (3, 5, 7, 8), 1000
    estimates = []
    for _ in range(draws):
        means = rng.normal(size=groups)
        runs = {k: [[(s + i) % groups for i in range(k)] for s in range(groups)] for k in counts}
        values = tuple(float(np.mean([means[run].mean() ** 2 for run in runs[k]])) for k in counts)
        thinned = Thinned(groups, counts, tuple(10 * k for k in counts), values)
        estimates.append((values[-1], thinned.jackknifed, thinned.line.intercept))
    whole, jackknifed, intercept = np.array(estimates).T
    assert thinned.noise == pytest.approx(groups / (groups - 1), rel=1e-12)
    # The square of a normal variable has kurtosis 15, a form of many less: a variance of it has this relative error.
    error = math.sqrt(14 / draws)
    for found, claimed in ((jackknifed, thinned.noise), (intercept, thinned.line.noise)):
        assert found.var() / whole.var() == pytest.approx(claimed, rel=4 * math.sqrt(2) * error)
        assert abs(found.mean()) <= 4 * found.std() / math.sqrt(draws)


@pytest.mark.parametrize("n", [80, 130, 400])
def test_with_equal_sizes_the_distance_is_a_line_down_to_the_features(n):
    # Two laws that differ, D = 64, and n from 1.25 D: D/4 per sample and side for the covariances, times both scales.
    d, scale, draws = 64, 1.2, 12
    truth = d * (scale - 1) ** 2
    lines = []
    for seed in range(draws):
        real, fake = sampled(n, d, 2 * seed), sampled(n, d, 2 * seed + 1, scale)
        lines.append(thinned_distances(gathered(real, 16, seed), gathered(fake, 16, seed + 99)))
    values = np.array([found.jackknifed for found in lines])
    assert abs(values.mean() - truth) <= 4 * values.std(ddof=1) / math.sqrt(draws)
    assert min(found.line.r_squared for found in lines) >= 0.99
    # D (1 + s^2) for the means and s D^2/2 for the trace of the root; the next order is smaller by about 2/D.
    slope = np.mean([found.line.slope for found in lines])
    assert slope == pytest.approx(d * (1 + scale**2) + scale * d**2 / 2, rel=4 / d)


def test_cutting_one_side_alone_bends_the_curve():
    d, n = 64, 80
    real = GroupedMoments((gathered(sampled(5000, d, 1), 1).total,))
    fake = gathered(sampled(n, d, 2), 16)
    at = {
        k: np.mean([frechet_distance(real.total, fake.union(np.arange(k) + s)) for s in range(17 - k)])
        for k in (14, 15, 16)
    }
    one_sided = at[16] - 15 * (at[15] - at[16])
    # The second-order term D g^2/32 with g = D/n is left over, against a standard deviation of D/(2 n) = 0.4.
    assert one_sided < -0.4


def test_a_world_of_several_processes_finds_the_same():
    real, fake = gathered(sampled(96, 3, 1), 8, 1), gathered(sampled(96, 3, 2, 1.2), 8, 2)
    alone = thinned_distances(real, fake)
    for found in in_worlds(3, lambda world: thinned_distances(real, fake, world)):
        assert found.sizes == alone.sizes
        assert found.values == pytest.approx(alone.values, rel=1e-12)


@pytest.mark.parametrize("features", [1, 2, 40, 64, 300, 2048])
def test_the_samples_needed_are_the_fewest_that_give_groups(features):
    n = samples_needed(features)
    assert GroupedMoments.groups_for(n, features) > 1
    assert n == 50 or GroupedMoments.groups_for(n - 1, features) == 1
    assert n <= max(50, 1.3 * features + 5)


def test_sides_with_other_groups_are_refused():
    real, fake = gathered(sampled(96, 3, 1), 8), gathered(sampled(90, 3, 2), 8)
    for one, other in itertools.permutations((real, fake)):
        with pytest.raises(ValueError, match=r"found groups of .*allowed"):
            thinned_distances(one, other)
    single = gathered(sampled(96, 3, 1), 1)
    with pytest.raises(ValueError, match="2 or more"):
        thinned_distances(single, single)
