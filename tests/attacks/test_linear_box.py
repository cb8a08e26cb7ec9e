"""Linear critics whose samples lie at the walls of their range: the best point is known by other solvers."""

import numpy as np
import pytest

from ganaudit.attacks.balls import NORMS, Norm
from ganaudit.attacks.critic import SIDES, Side
from ganaudit.attacks.gradient import Apgd, Fgsm, Pgd
from ganaudit.attacks.minimal import MinimalNorm, minimal_norms
from ganaudit.attacks.threat import Attack, Budget, Threat
from ganaudit.attacks.trial import attempt
from tests.attacks.critics import (
    RANGES,
    best_linear,
    flat,
    linear,
    samples,
    threshold_for,
    weights,
)

ATTACKS: tuple[Attack, ...] = (
    Fgsm(),
    Pgd(),
    Pgd(12, restarts=3),
    Pgd(20, stop_when_fooled=True),
    Apgd(20),
    MinimalNorm(),
)
N = 64


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("norm", NORMS)
def test_with_the_box_active_too(norm: Norm, low: float, high: float, side: Side) -> None:
    x, w = samples(40, (1, 4, 6), low, high, inner=1.0, seed=3), weights(24)
    x.flatten(1)[:, ::3] = high  # saturated pixels, as generators make them
    radius = {"linf": 0.06, "l2": 0.35, "l1": 1.4}[norm] * (high - low)
    sign = 1.0 if side == "fake" else -1.0
    best = sign * best_linear(flat(x), sign * w, norm, radius, low, high)
    threshold = threshold_for(best, side, 0.5)
    critic, threat = linear(w, threshold, low, high), Threat(Budget(norm, radius), low, high, side)
    exact = best >= threshold if side == "fake" else best < threshold
    for attack in ATTACKS:
        outcome = attempt(critic, attack, x, threat, rng())
        assert np.array_equal(outcome.fooled.numpy(), exact), attack
    near = attempt(critic, Pgd(), x, threat, rng()).scores_after.numpy()
    gap = np.abs(best - flat(x) @ w)
    untouched = critic.fooled(x, side).numpy()
    np.testing.assert_array_less(np.abs(near - best)[~untouched], 0.01 * gap[~untouched] + 1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_minimal_norms_with_the_box_active(norm: Norm) -> None:
    x, w = samples(30, (24,), 0, 1, inner=1.0, seed=4), weights(24)
    threshold = float(np.quantile(flat(x) @ w, 0.9)) + 0.5
    found = minimal_norms(linear(w, threshold, 0, 1), x, norm, side="fake")
    assert found.fooled.all()
    # At the true minimal norm the best score in ball and box is the threshold: a little less cannot, this much can.
    for i, size in enumerate(found.norms.tolist()):
        row = flat(x)[i : i + 1]
        assert best_linear(row, w, norm, size * (1 + 1e-6) + 1e-6, 0, 1)[0] >= threshold
        if size > 0:
            assert best_linear(row, w, norm, size * 0.99, 0, 1)[0] < threshold
