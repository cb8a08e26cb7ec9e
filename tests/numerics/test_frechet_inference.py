"""Bias removal, influences and standard errors against simulation, finite differences and brute force."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from benchmarks.coverage_frechet import Setting, audited, coverage
from ganaudit.numerics.frechet import frechet_distance
from ganaudit.numerics.frechet_extrapolation import samples_needed
from ganaudit.numerics.frechet_inference import (
    Side,
    Transport,
    corrected_frechet_distance,
    estimated_frechet_distance,
)
from ganaudit.numerics.moments import GroupedMoments, Moments
from tests.numerics.test_moments import blocks, gathered, in_worlds


def draw(rng, n, d, shift=0.0, scale=1.0):
    return torch.from_numpy(rng.standard_normal((n, d)) * scale + shift)


def influences(real, fake):
    transport = Transport.between(Moments.of(real), Moments.of(fake))
    return transport.real_influences([(0, real)]), transport.fake_influences([(0, fake)])


@pytest.mark.parametrize("constant", [False, True])
def test_the_maps_carry_one_gaussian_to_the_other_and_back(constant):
    rng = np.random.default_rng(0)
    real, fake = draw(rng, 40, 5), draw(rng, 30, 5, 0.2, 1.5)
    if constant:
        fake[:, 3] = 1.0
    one, other = Moments.of(real), Moments.of(fake)
    transport = Transport.between(one, other)
    assert torch.allclose(transport.there, transport.there.T)
    if constant:
        # No map brings a constant feature to life; the others are carried all the same.
        carried = transport.back @ one.covariance @ transport.back
        torch.testing.assert_close(carried, other.covariance, rtol=1e-4, atol=1e-4)
        return
    torch.testing.assert_close(transport.there @ other.covariance @ transport.there, one.covariance)
    torch.testing.assert_close(transport.back @ one.covariance @ transport.back, other.covariance)


def test_influences_are_the_derivative_of_the_distance_in_a_samples_weight():
    # Weight each sample by w, differentiate the distance of the weighted Gaussians numerically in each weight.
    rng = np.random.default_rng(0)
    real, fake = (
        draw(rng, 30, 3),
        draw(rng, 25, 3, 0.5, 1.3)
        @ torch.tensor([[1.0, 0.4, 0.0], [0.0, 1.0, 0.2], [0.0, 0.0, 1.0]], dtype=torch.float64),
    )

    def weighted(x, w):
        w = w / w.sum()
        mean = (w[:, None] * x).sum(0)
        return mean, ((w[:, None] * (x - mean)).T @ (x - mean))

    def distance(wr, wf):
        from scipy.linalg import sqrtm

        (mr, sr), (mf, sf) = weighted(real, wr), weighted(fake, wf)
        root = np.real(sqrtm((sr @ sf).numpy()))
        return float((mr - mf).square().sum() + sr.trace() + sf.trace()) - 2 * float(np.trace(root))

    of_real, of_fake = influences(real, fake)
    h = 1e-6
    for ours, side in ((of_real, 0), (of_fake, 1)):
        n = len(ours)
        for i in range(0, n, 7):
            w = [torch.ones(30, dtype=torch.float64), torch.ones(25, dtype=torch.float64)]
            up, down = [v.clone() for v in w], [v.clone() for v in w]
            up[side][i] += h * n
            down[side][i] -= h * n
            slope = (distance(*up) - distance(*down)) / (2 * h)
            # The product uses the divisor n - 1 for covariances, the weighted form n: equal up to 1/n.
            assert float(ours[i]) == pytest.approx(slope, rel=3 / n, abs=3 / n * float(ours.abs().max()))


def test_influences_sum_to_zero_and_swap_sides():
    rng = np.random.default_rng(1)
    real, fake = draw(rng, 80, 5), draw(rng, 60, 5, 0.3, 1.4)
    of_real, of_fake = influences(real, fake)
    assert abs(float(of_real.sum())) < 1e-9
    assert abs(float(of_fake.sum())) < 1e-9
    swapped_real, swapped_fake = influences(fake, real)
    torch.testing.assert_close(of_real, swapped_fake)
    torch.testing.assert_close(of_fake, swapped_real)


def test_an_outlier_has_the_largest_influence_and_removing_it_does_what_it_says():
    rng = np.random.default_rng(2)
    real, fake = draw(rng, 500, 4), draw(rng, 400, 4, 0.1)
    fake[17] = 6.0
    _, of_fake = influences(real, fake)
    assert int(of_fake.argmax()) == 17
    without = torch.cat([fake[:17], fake[18:]])
    moved = frechet_distance(real, fake) - frechet_distance(real, without)
    assert moved == pytest.approx(float(of_fake[17]) / 400, rel=0.3)


def test_other_samples_of_one_law_are_off_by_their_mean_influence():
    rng = np.random.default_rng(3)
    real, fake = Moments.of(draw(rng, 4000, 3)), Moments.of(draw(rng, 3000, 3, 0.2, 1.3))
    transport = Transport.between(real, fake)
    assert transport.first_order(real, fake) == 0
    step = 1e-4
    push = torch.tensor([[0.3, 0.1, 0.0], [0.1, -0.2, 0.4], [0.0, 0.4, 0.5]], dtype=torch.float64)
    for sign in (1, -1):
        moved = [
            Moments.from_statistics(m.n, m.mean + step * sign * d, m.covariance + step * sign * d * push)
            for m, d in ((real, 1.0), (fake, -2.0))
        ]
        change = frechet_distance(*moved) - frechet_distance(real, fake)
        # The rest is of second order in the step; the Hessian is of order 1 at covariances of order 1.
        assert transport.first_order(*moved) == pytest.approx(change, abs=100 * step**2)


@pytest.mark.parametrize(
    "setting",
    [
        Setting(16, 500, 500, 0.0, 1.0),
        Setting(16, 500, 500, 0.03, 1.05),
        Setting(64, 100, 100, 0.1, 1.1),
        Setting(16, 400, 150, 0.1, 1.1),
        Setting(32, None, 150, 0.0, 1.0),
    ],
    ids=["equal", "unequal laws", "few samples", "unequal sizes", "published reals"],
)
def test_the_corrected_value_is_unbiased_and_the_intervals_hold(setting):
    audits = 60
    found = coverage(setting, audits, seed=1)
    # Off by chance, or by a quarter of a standard deviation, which costs a 95 % interval less than 1 % of coverage.
    assert abs(found.bias) <= 4 / math.sqrt(audits) + 0.25
    # The bar is 92 to 98 %; a count below this has probability 1e-4 even at 92 %.
    least = binom.ppf(1e-4, audits, 0.92) / audits
    assert found.corrected >= least
    assert found.infinity >= least
    # Too wide would hold always: the error must be that of the values themselves, to the chance in a spread.
    assert 1 - 4 / math.sqrt(2 * audits) <= found.error_ratio <= 1.25 * (1 + 4 / math.sqrt(2 * audits))
    # An interval of the same width around the plug-in distance misses: its bias is many standard errors.
    assert found.raw <= 0.5


def test_the_error_of_equal_laws_is_that_of_the_second_order():
    # For standard normal samples E h^2 = D + D/4 + D (D - 1)/8: the squared means, the variances, the covariances.
    d, n, rng = 16, 400, np.random.default_rng(4)
    kernel = d + d / 4 + d * (d - 1) / 8
    expected = 2 * kernel * (2 / n) ** 2 * 16 / 15
    sides = []
    for seed in range(2):
        x = draw(rng, n, d)
        sides.append(Side.of(x, gathered(x, 16, seed), rng))
    found = estimated_frechet_distance(*sides, same_law=True)
    assert found.real_influences is None
    # Mean squares of three sets of 400 pairs; the kurtosis of h is below 15, that of a squared normal variable.
    assert found.standard_error**2 == pytest.approx(expected, rel=4 * math.sqrt(14 / 400))


def test_samples_outside_the_core_count():
    # With 40 times as many reals as fakes the reals add next to nothing to the error of the first order.
    rng = np.random.default_rng(5)
    fake = draw(rng, 100, 2, 1.0)
    few = corrected_frechet_distance(draw(rng, 100, 2), fake, rng)
    many = corrected_frechet_distance(draw(rng, 4000, 2), fake, rng)
    assert many.standard_error < 0.85 * few.standard_error
    assert len(many.real_influences) == 4000
    assert many.thinned.sizes[-1] == 100


def test_published_reals_add_no_variance_of_first_order():
    rng = np.random.default_rng(6)
    fake = draw(rng, 300, 4, 0.5)
    groups = GroupedMoments.groups_for(300, 4)
    side = Side.of(fake, gathered(fake, groups), rng)
    published = Side.drawn(Moments.from_statistics(None, torch.zeros(4), torch.eye(4)), 300, groups, rng)
    found = estimated_frechet_distance(published, side)
    assert found.real_influences is None
    first = float(found.fake_influences.square().sum() / 299 / 300)
    assert found.standard_error == pytest.approx(math.sqrt(first), rel=0.2)
    assert found.plug_in == frechet_distance(published.published, side.moments.total)


@pytest.mark.parametrize("size", [2, 3])
def test_a_world_of_several_processes_estimates_the_same(size):
    rng = np.random.default_rng(7)
    real, fake = draw(rng, 120, 3), draw(rng, 90, 3, 0.3)

    def estimate(world):
        sides = []
        for seed, x in enumerate((real, fake)):
            made = GroupedMoments.gather(blocks(x, 50, len(x) - 50), len(x), 8, np.random.default_rng(seed), world, 90)
            chance = np.random.default_rng(seed)
            side = Side.of(x, made, chance)
            sides.append(Side(side.moments, side.rows, lambda x=x: blocks(x, 30, 30, len(x) - 60)))
        return estimated_frechet_distance(*sides, world)

    (alone,) = in_worlds(1, estimate)
    for found in in_worlds(size, estimate):
        assert found.value == pytest.approx(alone.value, rel=1e-9)
        assert found.standard_error == pytest.approx(alone.standard_error, rel=1e-9)
        torch.testing.assert_close(found.real_influences, alone.real_influences)


def test_too_few_samples_are_refused_with_the_number_needed():
    rng = np.random.default_rng(0)
    needed = samples_needed(64)
    with pytest.raises(ValueError, match=f"{needed} or more"):
        corrected_frechet_distance(draw(rng, needed - 1, 64), draw(rng, 200, 64), rng)
    assert math.isfinite(corrected_frechet_distance(draw(rng, needed, 64), draw(rng, 200, 64), rng).value)


def test_a_constant_feature_gives_finite_numbers():
    rng = np.random.default_rng(0)
    real, fake = draw(rng, 100, 3), draw(rng, 100, 3)
    fake[:, 1] = 2.0
    nothing = corrected_frechet_distance(torch.ones(60, 3), torch.ones(70, 3), rng)
    assert (nothing.value, nothing.standard_error) == (0.0, 0.0)
    found = corrected_frechet_distance(real, fake, rng)
    assert math.isfinite(found.value)
    assert math.isfinite(found.standard_error)


def test_an_audit_with_chance_of_its_own_is_repeatable():
    setting = Setting(4, 80, 60, 0.1, 1.1)
    first, second = (audited(setting, np.random.default_rng(8)) for _ in range(2))
    assert first.value == second.value
    assert first.standard_error == second.standard_error
