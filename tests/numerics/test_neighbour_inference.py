"""Intervals from halves: statistics against the exact sweep on the same rows, scatter against repeated draws."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks.coverage_neighbours import CASES, coverage
from ganaudit.numerics.neighbour_inference import STATISTICS, HalfScatter, _Squares, _statistics, half_scatter
from ganaudit.numerics.neighbours import neighbourhood


def sampled(n, d, seed, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) + shift)


def swept(real, fake, k, boundary):
    found = neighbourhood(real, fake, k, boundary)
    return [found.precision, found.recall, found.density, found.coverage, found.accuracy_real, found.accuracy_fake,
            float(found.realism.median())]  # fmt: skip


@pytest.mark.parametrize("boundary", ["<", "<="])
@pytest.mark.parametrize("ties", [False, True])
def test_statistics_of_a_half_are_those_of_the_sweep(boundary, ties):
    rng = np.random.default_rng(0)
    real, fake = (torch.from_numpy(rng.normal(size=(n, 3)) + 1e3) for n in (40, 30))
    if ties:
        real, fake = real.round(), fake.round()
    rows = [torch.from_numpy(np.stack([rng.permutation(n)[: n // 2] for _ in range(6)])) for n in (40, 30)]
    found = _statistics(_Squares.of(real, fake), *rows, 3, boundary)
    for position in range(6):
        expected = swept(real[rows[0][position]], fake[rows[1][position]], 3, boundary)
        # Realism is a root of a quotient of rounded squares; the rest are counts.
        assert found[position, :6].tolist() == pytest.approx(expected[:6], rel=1e-15)
        assert float(found[position, 6]) == pytest.approx(expected[6], rel=1e-6)


def test_the_variance_of_halves_is_unbiased():
    rng = np.random.default_rng(1)
    n, k = 40, 2
    single = np.array([swept(*(torch.from_numpy(rng.normal(size=(n // 2, 2))) for _ in range(2)), k, "<")
                       for _ in range(500)])  # fmt: skip
    scatters = [half_scatter(*(torch.from_numpy(rng.normal(size=(n, 2))) for _ in range(2)), k, "<", rng, draws=8)
                for _ in range(300)]  # fmt: skip
    estimates = torch.stack([s.variances for s in scatters]).numpy()
    for position, name in enumerate(STATISTICS[:6]):
        truth = single[:, position].var(ddof=1)
        kurtosis = stats.kurtosis(single[:, position], fisher=False)
        truth_error = truth * math.sqrt((kurtosis - 1) / len(single))
        error = math.hypot(truth_error, estimates[:, position].std(ddof=1) / math.sqrt(len(scatters)))
        assert abs(estimates[:, position].mean() - truth) <= 4 * error, name
    means = torch.stack([s.means for s in scatters]).numpy()
    for position, name in enumerate(STATISTICS[:6]):
        error = math.hypot(single[:, position].std() / math.sqrt(500), means[:, position].std() / math.sqrt(300))
        assert abs(means[:, position].mean() - single[:, position].mean()) <= 4 * error, name


def test_an_interval_of_a_share_is_wilsons_at_the_effective_n():
    variances = torch.full((7,), 2 * 0.25 / 50, dtype=torch.float64)  # twice the binomial variance of 50 at 1/2
    scatter = HalfScatter(
        torch.full((7,), 0.5, dtype=torch.float64), variances, {"real": 50, "fake": 50}, 10**6, torch.zeros(0, 7)
    )
    found = scatter.interval("precision", 0.5, {"real": 100, "fake": 100}, 0.95)
    expected = stats.binomtest(25, 50).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-5)
    density = scatter.interval("density", 2.0, {"real": 100, "fake": 100}, 0.95)
    half = stats.norm.ppf(0.975) * 2.0 / 0.5 * math.sqrt(0.01) * math.sqrt(0.5)
    assert (density.low, density.high) == pytest.approx((2 - half, 2 + half), rel=1e-5)
    few = HalfScatter(scatter.means, scatter.variances, scatter.halves, 10, scatter.differences)
    wider = few.interval("density", 2.0, {"real": 100, "fake": 100}, 0.95)
    assert wider.high - 2 == pytest.approx(half * stats.t.ppf(0.975, 10) / stats.norm.ppf(0.975), rel=1e-5)


def test_limits_have_intervals_or_none():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = half_scatter(torch.ones(30, 4), torch.ones(30, 4), 2, "<", np.random.default_rng(0))
        sizes = {"real": 30, "fake": 30}
        found = constant.interval("precision", 0.0, sizes, 0.95)
        assert found.low == 0.0
        assert 0 < found.high < 0.2
        assert constant.interval("density", 0.0, sizes, 0.95) is None
        copies = half_scatter(sampled(30, 4, 2), sampled(30, 4, 2), 2, "<", np.random.default_rng(0))
        assert copies.interval("realism", math.inf, sizes, 0.95) is None
        assert all(math.isfinite(copies.interval(name, 0.5, sizes, 0.95).high) for name in STATISTICS[:6])


def test_only_a_pool_of_large_sets_is_looked_at():
    real, fake = sampled(900, 3, 3), sampled(300, 3, 4)
    found = half_scatter(real, fake, 3, "<", np.random.default_rng(0), draws=5, most=100)
    assert found.halves == {"real": 100, "fake": 33}


def test_bad_arguments_are_refused():
    x, rng = sampled(12, 2, 5), np.random.default_rng(0)
    with pytest.raises(ValueError, match="k: found 6; allowed: 1 to 5"):
        half_scatter(x, x, 6, "<", rng)
    with pytest.raises(ValueError, match="draws: found 1"):
        half_scatter(x, x, 2, "<", rng, draws=1)
    with pytest.raises(ValueError, match="statistic: found 'fid'"):
        half_scatter(x, x, 2, "<", rng).interval("fid", 0.5, {"real": 12, "fake": 12}, 0.95)


def test_intervals_cover_as_often_as_they_say():
    rows = coverage(audits=80, seed=0, cases=CASES[:1])
    for row in [row for row in rows if row["statistic"] in ("precision", "recall", "coverage")]:
        # 4 standard errors below 92 %, the least that the full run asks for.
        least = 0.92 - 4 * math.sqrt(0.92 * 0.08 / row["audits"])
        assert row["covered"] >= least, row


def test_errors_by_halving_add_up_to_the_variance_of_the_interval_and_cancel_between_equals():
    rng = np.random.default_rng(4)
    real, fake = (torch.from_numpy(rng.normal(m, 1.0, size=(120, 3))) for m in (0.0, 0.6))
    sizes = {"real": 120, "fake": 120}
    one = half_scatter(real, fake, 3, "<", np.random.default_rng(1))
    again = half_scatter(real, fake, 3, "<", np.random.default_rng(1))
    for statistic, value in (("precision", 0.8), ("density", 0.9)):
        errors = one.errors(statistic, value, sizes)
        assert errors == again.errors(statistic, value, sizes)
        ends = one.interval(statistic, value, sizes, 0.95)
        half = (ends.high - ends.low) / 2
        expected = (half / stats.t.ppf(0.975, one.draws)) ** 2
        # Wilson's interval of a share is a little narrower than the normal one of its variance.
        assert sum(e * e for e in errors) == pytest.approx(expected, rel=1e-9 if statistic == "density" else 0.1)
    apart = half_scatter(real, fake + 100, 3, "<", np.random.default_rng(1))
    assert apart.errors("precision", 0.0, sizes) is None
    with pytest.raises(ValueError, match="fid"):
        one.errors("fid", 0.5, sizes)
