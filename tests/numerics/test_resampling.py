"""Resampling by the score on two points, where the law that must come out is known."""

import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.resampling import metropolis_acceptance, metropolis_chain, rejection_acceptance

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


def test_bad_input_is_refused_in_words():
    with pytest.raises(ValueError, match="epsilon: found -1"):
        rejection_acceptance(SCORES, epsilon=-1)
    with pytest.raises(ValueError, match="gamma: found nan"):
        rejection_acceptance(SCORES, gamma=math.nan)
    with pytest.raises(ValueError, match="proposed: found 1 scores; allowed: 2"):
        metropolis_acceptance(SCORES, SCORES[:1])
    with pytest.raises(ValueError, match="length: found 0"):
        metropolis_chain(SCORES, 0, np.random.default_rng(0))
