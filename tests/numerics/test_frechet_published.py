"""Samples that stand in for published statistics: the right moments, the law of real subsets, intervals that hold."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from ganaudit.numerics.frechet_inference import Side, Transport, estimated_frechet_distance
from ganaudit.numerics.frechet_published import drawn_groups, drawn_rows
from ganaudit.numerics.moments import GroupedMoments, Moments


def published(n, d, rng, known=True):
    mixed = rng.standard_normal((d, d))
    found = Moments.of(torch.from_numpy(rng.standard_normal((n, d)) @ mixed + 3.0))
    return Moments.from_statistics(n if known else None, found.mean, found.covariance)


@pytest.mark.parametrize(("n", "core", "groups"), [(60, 60, 4), (60, 57, 4), (60, 53, 4), (900, 80, 8)])
def test_the_sample_has_the_published_moments(n, core, groups):
    rng = np.random.default_rng(0)
    known = published(n, 5, rng)
    made = drawn_groups(known, core, groups, rng)
    assert [made.core.n, made.total.n, len(made.groups)] == [core, n, groups]
    torch.testing.assert_close(made.total.mean, known.mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(made.total.scatter, known.scatter, rtol=1e-9, atol=1e-9)


def test_a_constant_feature_stays_constant():
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.standard_normal((80, 3)))
    x[:, 1] = 2.0
    found = Moments.of(x)
    known = Moments.from_statistics(80, found.mean, found.covariance)
    made = drawn_groups(known, 50, 4, rng)
    torch.testing.assert_close(made.total.scatter, known.scatter, rtol=1e-9, atol=1e-9)
    assert float(made.core.covariance[1].abs().max()) < 1e-12
    assert float((drawn_rows(known, 7, rng)[:, 1] - 2.0).abs().max()) < 1e-9


def test_its_groups_are_as_those_of_a_sample_dealt_at_random():
    # Of k samples out of n with fixed moments: E mean = mean, E scatter = (k - 1)/(n - 1) of the whole, and by
    # symmetry Cov(mean) = S/k (1 - k/n), whichever the law.
    rng, n, k, draws = np.random.default_rng(2), 40, 8, 2000
    known = published(n, 2, rng)
    first = [drawn_groups(known, 16, 2, rng).groups[0] for _ in range(draws)]
    means = torch.stack([group.mean for group in first])
    spread = known.covariance / k * (1 - k / n)
    assert (means.mean(0) - known.mean).abs().max() < 5 * math.sqrt(float(spread.diagonal().max()) / draws)
    torch.testing.assert_close(torch.cov(means.T), spread, rtol=0.2, atol=0.2 * float(spread.diagonal().max()))
    scatters = torch.stack([group.scatter for group in first]).mean(0)
    expected = known.scatter * (k - 1) / (n - 1)
    # A scatter of 7 degrees is off by sqrt(2/7) of itself, its mean over 2000 by 1.2 %; five of these.
    torch.testing.assert_close(scatters, expected, rtol=0.06, atol=0.06 * float(expected.diagonal().max()))


def test_numbers_that_do_not_fit_are_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match="core"):
        drawn_groups(published(60, 4, rng), 61, 4, rng)
    with pytest.raises(ValueError, match="core"):
        drawn_groups(published(60, 4, rng), 3, 4, rng)


def test_the_variance_of_normal_influences_is_that_of_simulated_ones():
    rng = np.random.default_rng(4)
    real, fake = published(500, 4, rng), published(400, 4, rng)
    transport = Transport.between(real, fake)
    of_real, of_fake = transport.normal_variances()
    for expected, side, influences in (
        (of_real, real, transport.real_influences),
        (of_fake, fake, transport.fake_influences),
    ):
        n = side.n
        rows = torch.cat([drawn_rows(side, n, rng) for _ in range(40)])
        parts = [influences([(0, part)]) for part in torch.split(rows, n)]
        found = float(torch.cat(parts).square().mean())
        # 16,000 squares of quadratic forms, whose kurtosis is at most 15.
        assert found == pytest.approx(expected, rel=5 * math.sqrt(14 / len(rows)))


@pytest.mark.parametrize(
    ("d", "n", "m", "shift", "scale"),
    [(16, 300, 300, 0.0, 1.0), (16, 150, 400, 0.1, 1.1), (32, 100, 150, 0.0, 1.0), (8, 2000, 200, 0.05, 1.05)],
    ids=["equal", "fewer reals", "hardly more reals than features", "many reals"],
)
def test_the_interval_holds_the_truth_about_the_law_behind_the_statistics(d, n, m, shift, scale):
    audits, inside, values, errors, plain = 60, 0, [], [], []
    rng, truth = np.random.default_rng(5), d * (shift**2 + (1 - scale) ** 2)
    core = min(n, m)
    groups = GroupedMoments.groups_for(core, d)
    for _ in range(audits):
        real = Moments.of(torch.from_numpy(rng.standard_normal((n, d))))
        known = Moments.from_statistics(n, real.mean, real.covariance)
        fake = torch.from_numpy(rng.standard_normal((m, d)) * scale + shift)
        moments = GroupedMoments.gather([(0, fake)], m, groups, rng, core=core)
        found = estimated_frechet_distance(Side.drawn(known, core, groups, rng), Side.of(fake, moments, rng))
        bounds = found.interval(0.95)
        inside += bounds.low <= truth <= bounds.high
        values.append(found.value)
        errors.append(found.standard_error)
        plain.append((found.plug_in, found.plug_in_error))
    # As in the coverage of sampled sides: 1e-4 for a count so low at 92 %.
    assert inside >= binom.ppf(1e-4, audits, 0.92)
    spread = np.std(values, ddof=1)
    assert abs(np.mean(values) - truth) / spread <= 4 / math.sqrt(audits) + 0.25
    for error, of in ((errors, values), ([e for _, e in plain], [v for v, _ in plain])):
        ratio = math.sqrt(np.mean(np.square(error))) / np.std(of, ddof=1)
        assert 1 - 4 / math.sqrt(2 * audits) <= ratio <= 1.25 * (1 + 4 / math.sqrt(2 * audits))
