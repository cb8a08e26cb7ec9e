"""Attacks that only ask for scores."""

import numpy as np
import pytest
import torch

from ganaudit.attacks.balls import Norm
from ganaudit.attacks.blackbox import RandomNoise, RandomSearch, Square
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.threat import Budget, Threat
from ganaudit.attacks.trial import attempt
from tests.attacks.critics import linear, samples, weights


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 192), (192,)])
def test_squares_beat_noise_without_gradients(norm: Norm, shape: tuple[int, ...]) -> None:
    x, w = samples(64, shape, 0, 1, inner=0.5), weights(192)
    with torch.no_grad():
        plain = linear(w, float(np.quantile(x.flatten(1).double().numpy() @ w, 0.95)), 0, 1)
    blind = Critic(lambda y: plain.score(y.detach()), plain.threshold, 0, 1, differentiable=False)
    threat = Threat(Budget(norm, {"linf": 0.03, "l2": 0.3}[norm]), 0, 1, "fake")
    gain = {}
    for attack in (RandomNoise(50), RandomSearch(150), Square(150)):
        outcome = attempt(blind, attack, x, threat, np.random.default_rng(0))
        assert outcome.backward == 0
        assert (outcome.norms <= threat.budget.radius * (1 + 1e-6)).all()
        gain[attack.id] = float((outcome.scores_after - outcome.scores_before).mean())
    assert gain["square"] > 1.2 * gain["random-noise"]
    assert gain["random-search"] > 1.2 * gain["random-noise"]


def test_squares_refuse_l1() -> None:
    x, threat = samples(3, (4,), 0, 1, inner=0.5), Threat(Budget("l1", 1.0), 0, 1, "fake")
    with pytest.raises(ValueError, match="square: found norm l1; allowed: linf, l2"):
        attempt(linear(weights(4), 9.0, 0, 1), Square(), x, threat, np.random.default_rng(0))
