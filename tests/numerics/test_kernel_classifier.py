"""The kernel classifier against scikit-learn's kernel ridge, and its honesty on reals it has not seen."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from ganaudit.numerics.kernel_classifier import fitted_classifier


def states(n, d, seed, apart=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2, d))
    x[:, 1, 0] += apart
    return torch.from_numpy(x)


def test_scores_are_those_of_a_peer():
    known, asked = states(24, 3, 0, 1.0), states(7, 3, 1)[:, 0]
    found = fitted_classifier(known, np.random.default_rng(0), folds=4)
    theirs = np.zeros((7, 4, 2))
    for fold in range(4):
        used = (found.coefficients[fold] != 0).any(1).numpy()
        assert used.sum() == 36
        rows, target = found.rows.numpy()[used], np.tile(np.eye(2) - 0.5, (24, 1))[used]
        peer = KernelRidge(alpha=1e-2, kernel="rbf", gamma=1 / found.scale).fit(rows, target)
        theirs[:, fold] = peer.predict(asked.numpy())
        np.testing.assert_allclose(
            found.held_out.flatten(0, 1).numpy()[~used], peer.predict(found.rows.numpy()[~used]), atol=1e-9
        )
    np.testing.assert_allclose(found.scores(asked).numpy(), theirs, atol=1e-9)


def test_states_of_one_law_are_told_apart_no_better_than_by_chance():
    found = fitted_classifier(states(400, 3, 2), np.random.default_rng(0))
    right = (found.held_out.argmax(2) == torch.arange(2)).double().mean()
    assert abs(float(right) - 0.5) < 4 * np.sqrt(0.25 / 800)


def test_what_is_apart_is_seen_and_constants_are_not():
    found = fitted_classifier(states(100, 3, 3, 6.0), np.random.default_rng(0))
    assert float((found.held_out.argmax(2) == torch.arange(2)).double().mean()) > 0.97
    same = fitted_classifier(torch.ones(10, 2, 3), np.random.default_rng(0))
    assert bool(torch.isfinite(same.held_out).all())


def test_too_few_and_bad_samples_are_told():
    with pytest.raises(ValueError, match="known samples"):
        fitted_classifier(torch.zeros(3, 2, 2), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"known: found shape \(9, 1, 2\)"):
        fitted_classifier(torch.zeros(9, 1, 2), np.random.default_rng(0))
    with pytest.raises(ValueError, match="known"):
        fitted_classifier(torch.full((9, 2, 2), float("nan")), np.random.default_rng(0))
