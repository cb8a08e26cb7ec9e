"""What a critic knows by heart: planted ratios, simulated coverage, and invariance."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.numerics.overfit import discriminator_overfit


def sides(rng, n, means, spreads=(1.0, 1.0, 1.0)):
    return tuple(torch.from_numpy(rng.normal(m, s, k)) for m, s, k in zip(means, spreads, n, strict=True))


@pytest.mark.parametrize(
    ("means", "spreads"),
    [((2.0, 1.0, 0.0), (1.0, 2.0, 1.0)), ((1.0, 1.0, 0.0), (1.0, 1.0, 3.0)), ((1, -0.5, 0), (1, 1, 1))],
)
def test_the_interval_covers_the_planted_ratio(means, spreads):
    rng, runs, covered = np.random.default_rng(0), 1500, 0
    truth = (means[0] - means[1]) / (means[0] - means[2])
    told = 0
    for _ in range(runs):
        found = discriminator_overfit(*sides(rng, (100, 80, 120), means, spreads))
        if found.bounds is not None:
            told += 1
            covered += found.bounds.low <= truth <= found.bounds.high
            assert found.bounds.low <= found.ratio <= found.bounds.high
    assert told > 0.8 * runs
    # Normal quantiles for 79 degrees of freedom lose .003.
    assert covered / told >= 0.947 - 4 * math.sqrt(0.05 * 0.95 / told)
    assert covered / told <= 0.95 + 4 * math.sqrt(0.05 * 0.95 / told) or told < runs


def test_the_interval_solves_its_definition():
    found = discriminator_overfit(*(s for s in sides(np.random.default_rng(1), (40, 30, 50), (1.0, 0.6, 0.0))))
    train, unseen, fake = sides(np.random.default_rng(1), (40, 30, 50), (1.0, 0.6, 0.0))
    z = stats.norm.ppf(0.975)
    for r in (found.bounds.low, found.bounds.high):
        # The contrast of means (1 - r, -1, r) has independent parts.
        value = (1 - r) * train.mean() - unseen.mean() + r * fake.mean()
        variance = (1 - r) ** 2 * train.var() / 40 + unseen.var() / 30 + r**2 * fake.var() / 50
        assert abs(float(value)) / math.sqrt(variance) == pytest.approx(z, rel=1e-9)


def test_without_a_scale_there_is_no_ratio():
    found = discriminator_overfit(*sides(np.random.default_rng(2), (100, 100, 100), (0.0, 0.0, 0.0)))
    assert (found.ratio, found.bounds) == (None, None)
    assert "score alike" in found.reason
    constant = discriminator_overfit(torch.zeros(5), torch.zeros(5), torch.zeros(5))
    assert constant.ratio is None
    assert (constant.sign, constant.seen_over_unseen.value) == (0.0, 0.5)


def test_signs_ranks_and_invariance():
    train, unseen, fake = sides(np.random.default_rng(3), (60, 50, 70), (1.5, 0.5, -1.0))
    plain = discriminator_overfit(train, unseen, fake)
    assert plain.sign == pytest.approx(float(torch.sign(train).mean()), abs=1e-12)
    assert plain.sign_bounds.low < plain.sign < plain.sign_bounds.high
    assert plain.means == pytest.approx([float(s.mean()) for s in (train, unseen, fake)])
    moved = discriminator_overfit(*(1000 * s - 50 for s in (train, unseen, fake)))
    assert moved.ratio == pytest.approx(plain.ratio, rel=1e-9)
    assert (moved.bounds.low, moved.bounds.high) == pytest.approx((plain.bounds.low, plain.bounds.high), rel=1e-9)
    assert moved.seen_over_unseen == plain.seen_over_unseen
    exact = discriminator_overfit(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.5]), torch.tensor([0.0, 0.0]))
    assert (exact.ratio, exact.bounds.low, exact.bounds.high, exact.sign) == (0.5, 0.5, 0.5, 1.0)
    assert exact.sign_bounds.low < 0
    with pytest.raises(ValueError, match="unseen: found 1 samples"):
        discriminator_overfit(train, unseen[:1], fake)
