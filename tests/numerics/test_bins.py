"""Bins of feature space: nulls and a dropped mode in closed form, peers for the corrections."""

import numpy as np
import pytest
import torch
from scipy import spatial, stats

from ganaudit.numerics.bins import (
    assigned,
    benjamini_hochberg,
    centres,
    jensen_shannon,
    js_bounds,
    js_null,
    two_shares,
)


def test_null_share_of_bins_and_none_after_correction():
    """K16: 2 to 8 % of 100 bins at |z| > 1.96, none after Benjamini and Hochberg; K25: JS about (K-1)(1/n+1/m)/8."""
    rng, n = np.random.default_rng(0), 10_000
    law = rng.dirichlet(np.full(100, 5.0))
    raw, corrected, js = [], [], []
    for _ in range(40):
        real, fake = rng.multinomial(n, law), rng.multinomial(n, law)
        found = two_shares(real, fake)
        raw.append((np.abs(found.z) > 1.96).mean())
        corrected.append((found.adjusted <= 0.05).any())
        js.append(jensen_shannon(real / n, fake / n))
    assert 0.02 < np.mean(raw) < 0.08
    assert np.sum(corrected) <= 6  # at most 5 % expected: 2 of 40
    mean, bounds = js_null(100, n, n, 0.95)
    assert mean == pytest.approx(0.00248, abs=1e-5)
    assert np.mean(js) == pytest.approx(mean, rel=0.05)
    assert np.mean([(bounds.low <= one <= bounds.high) for one in js]) >= 0.85


def test_a_dropped_mode_has_its_z_and_lifts_the_others():
    """K16: z of the dropped one 32.4 within 1 (reals over fakes), of the nine others -2.56 within 1."""
    rng, n = np.random.default_rng(1), 10_000
    real = rng.multinomial(n, np.full(10, 0.1))
    fake = rng.multinomial(n, np.append(np.full(9, 1 / 9), 0.0))
    z = two_shares(real, fake).z
    assert -z[9] == pytest.approx(32.4, abs=1)
    # Each of the nine has a standard error near 1, so their mean is known to a third.
    assert -z[:9].mean() == pytest.approx(-2.56, abs=1)


def test_z_is_that_of_the_chi_square_of_a_two_by_two_table():
    found = two_shares(np.array([30, 70, 0]), np.array([60, 140, 0]) + np.array([25, 0, 0]))
    table = np.array([[30, 70], [85, 140]])
    chi = stats.chi2_contingency(table, correction=False)
    assert found.z[0] ** 2 == pytest.approx(chi.statistic)
    assert found.p_values[0] == pytest.approx(chi.pvalue)
    assert found.z[0] > 0
    assert (found.z[2], found.p_values[2]) == (0.0, 1.0)


def test_corrections_and_divergence_agree_with_a_peer():
    rng = np.random.default_rng(2)
    p = rng.uniform(size=30) ** 3
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p), abs=1e-12)
    a, b = rng.dirichlet(np.ones(8)), rng.dirichlet(np.ones(8))
    assert jensen_shannon(a, b) == pytest.approx(spatial.distance.jensenshannon(a, b) ** 2, abs=1e-12)
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(np.log(2))


def test_interval_of_the_divergence_covers_its_mean():
    rng, n = np.random.default_rng(3), 800
    a, b = rng.dirichlet(np.full(12, 4.0)), rng.dirichlet(np.full(12, 4.0))
    drawn = [jensen_shannon(rng.multinomial(n, a) / n, rng.multinomial(n, b) / n) for _ in range(4000)]
    hits = 0
    for _ in range(150):
        bounds = js_bounds(rng.multinomial(n, a), rng.multinomial(n, b), rng, 0.95, draws=300)
        hits += bounds.low <= np.mean(drawn) <= bounds.high
    assert hits >= 135  # of 95 % expected; 150 such audits give fewer in 1 %


def test_centres_find_clusters_and_rows_their_nearest():
    rng = np.random.default_rng(4)
    middles = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    x = torch.from_numpy(np.repeat(middles, 50, axis=0) + rng.normal(scale=0.3, size=(200, 2)))
    at = centres(x, 4, np.random.default_rng(0))
    found = assigned([(0, x[:120]), (120, x[120:])], at)
    by_hand = [int(np.argmin([np.square(np.subtract(row, c)).sum() for c in at.tolist()])) for row in x.tolist()]
    assert found.tolist() == by_hand
    assert sorted(np.bincount(found).tolist()) == [50, 50, 50, 50]
    assert torch.equal(at, centres(x, 4, np.random.default_rng(0)))


def test_equal_rows_make_one_bin():
    assert len(centres(torch.ones(20, 3), 5, np.random.default_rng(0))) == 1


def test_refuses():
    with pytest.raises(ValueError, match="as real"):
        two_shares(np.ones(3, np.int64), np.ones(2, np.int64))
    with pytest.raises(ValueError, match="from 0 to 1"):
        benjamini_hochberg([0.5, 1.5])
    with pytest.raises(ValueError, match="bins"):
        js_null(1, 10, 10, 0.95)
