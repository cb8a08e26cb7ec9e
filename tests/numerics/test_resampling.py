"""Resampling by the score on two points, where the law that must come out is known."""

import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.resampling import (
    area_left,
    effective_share,
    metropolis_acceptance,
    metropolis_chain,
    metropolis_rate,
    rejection_acceptance,
    shares_by_score,
)

FAKES = np.array([0.8, 0.2])
SCORES = torch.log(torch.tensor([0.5, 0.5], dtype=torch.float64) / torch.from_numpy(FAKES))


def test_rejection_keeps_two_fifths_and_gives_the_law_of_the_reals():
    kept = FAKES * rejection_acceptance(SCORES).numpy()
    assert kept.sum() == pytest.approx(0.4, abs=1e-12)
    np.testing.assert_allclose(kept / kept.sum(), [0.5, 0.5], atol=1e-12)


def test_rejection_is_its_published_formula():
    scores = torch.linspace(-30, 3, 40, dtype=torch.float64)
    for gamma, epsilon in ((0.0, 1e-6), (-2.0, 1e-6), (3.0, 0.1)):
        d = scores.numpy() - 3
        f = d - np.log(1 - np.exp(d - epsilon))
        found = rejection_acceptance(scores, gamma, epsilon)
        np.testing.assert_allclose(found.numpy(), 1 / (1 + np.exp(-(f - gamma))), rtol=1e-8)
    assert float(rejection_acceptance(scores)[-1]) == 1.0
    assert torch.equal(rejection_acceptance(torch.zeros(3)), torch.ones(3, dtype=torch.float64))


def test_metropolis_has_the_law_of_the_reals():
    moves = np.array([[float(metropolis_acceptance(SCORES[[i]], SCORES[[j]])) for j in (0, 1)] for i in (0, 1)])
    step = FAKES[None, :] * moves
    step += np.diag(1 - step.sum(axis=1))
    np.testing.assert_allclose(np.array([0.5, 0.5]) @ step, [0.5, 0.5], atol=1e-12)
    scores = SCORES[torch.tensor([0] * 8 + [1] * 2)]
    length = 40_000
    visited = metropolis_chain(scores, length, np.random.default_rng(0))
    share = float((visited >= 8).double().mean())
    # Two states, leaving at .2 and .8 · .25: correlation .6 at lag 1, hence (1 + .6)/(1 - .6) times the variance.
    assert abs(share - 0.5) <= 4 * 0.5 * math.sqrt(4 / length) + 5 / length


def test_two_points_are_accepted_at_the_known_rates():
    scores = SCORES[torch.tensor([0] * 8 + [1] * 2)]
    # Half the time at each point; from the unlikely one 8 of 10 proposals are taken with chance .25, the others always.
    assert metropolis_rate(scores) == pytest.approx(0.5 * 1 + 0.5 * (0.8 * 0.25 + 0.2), abs=1e-12)
    assert shares_by_score(scores).tolist() == pytest.approx([0.5 / 8] * 8 + [0.25] * 2, abs=1e-12)
    assert effective_share(scores) == pytest.approx(1 / (10 * (8 / 16**2 + 2 / 4**2)), abs=1e-12)


def test_rates_are_those_of_every_pair_written_out():
    scores = torch.from_numpy(np.random.default_rng(1).normal(0, 3, 40).round(1))
    shares = np.exp(scores.numpy() - 3) / np.exp(scores.numpy() - 3).sum()
    accepted = np.minimum(1, np.exp(scores.numpy()[None, :] - scores.numpy()[:, None]))
    assert metropolis_rate(scores) == pytest.approx(float(shares @ accepted.mean(1)), rel=1e-12)
    assert metropolis_rate(scores + 800) == pytest.approx(metropolis_rate(scores), rel=1e-12)
    assert effective_share(torch.zeros(7)) == pytest.approx(1.0)
    assert effective_share(torch.tensor([0.0, 2000.0])) == pytest.approx(0.5)


def test_the_area_left_is_that_of_weighted_pairs_and_a_half_for_the_right_ratios():
    rng = np.random.default_rng(2)
    real, fake = rng.normal(1, 1, 30).round(1), rng.normal(0, 1, 50).round(1)
    pairs = (real[:, None] > fake) + (real[:, None] == fake) / 2
    expected = float((pairs * np.exp(fake) / np.exp(fake).sum()).sum(1).mean())
    assert area_left(torch.from_numpy(real), torch.from_numpy(fake)) == pytest.approx(expected, rel=1e-12)
    n = 100_000
    ratios = [torch.from_numpy(rng.normal(mean, 1, n)) - 0.5 for mean in (1.0, 0.0)]  # log-ratios of unit normals
    # The weights have a second moment of e: the area scatters by less than sqrt((1/12 + e/4)/n).
    assert abs(area_left(*ratios) - 0.5) < 5 * math.sqrt(0.77 / n)
    assert area_left(*(2 * one for one in ratios)) < 0.4


def test_bad_input_is_refused_in_words():
    with pytest.raises(ValueError, match="epsilon: found -1"):
        rejection_acceptance(SCORES, epsilon=-1)
    with pytest.raises(ValueError, match="gamma: found nan"):
        rejection_acceptance(SCORES, gamma=math.nan)
    with pytest.raises(ValueError, match="proposed: found 1 scores; allowed: 2"):
        metropolis_acceptance(SCORES, SCORES[:1])
    with pytest.raises(ValueError, match="length: found 0"):
        metropolis_chain(SCORES, 0, np.random.default_rng(0))
