"""Quadratic critics: the best score in a ball is known by a secular equation, and nothing about them is linear."""

import numpy as np
import pytest
import torch

from ganaudit.attacks.balls import Norm
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.gradient import Apgd, Fgsm, Pgd
from ganaudit.attacks.minimal import minimal_norms
from ganaudit.attacks.threat import Budget, Threat
from ganaudit.attacks.trial import attempt
from tests.attacks.critics import best_bowl, bowl, flat, samples, threshold_for

N, P = 80, 20


def setting() -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    return samples(N, (P,), -1, 1, inner=0.6), rng.uniform(-0.5, 0.5, P), rng.uniform(0.2, 3.0, P)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_best_point_of_the_ball(norm: Norm) -> None:
    x, centre, curvature = setting()
    radius = {"linf": 0.1, "l2": 0.5}[norm]
    best = best_bowl(flat(x), centre, curvature, norm, radius)
    threshold = threshold_for(best, "fake", 0.5)
    critic, threat = bowl(centre, curvature, threshold, -5, 5), Threat(Budget(norm, radius), -5, 5, "fake")
    for attack in (Pgd(), Apgd(), Pgd(restarts=2)):
        outcome = attempt(critic, attack, x, threat, np.random.default_rng(0))
        assert np.array_equal(outcome.fooled.numpy(), best >= threshold), attack
        untouched = critic.fooled(x, "fake").numpy()
        climb = best - critic.score(x).numpy()
        lost = (best - outcome.scores_after.numpy())[~untouched] / climb[~untouched]
        assert lost.max() < 0.02, attack
        assert lost.min() > -1e-5, attack
    one = attempt(critic, Fgsm(), x, threat, np.random.default_rng(0)).fooled
    assert int(one.sum()) <= int((best >= threshold).sum())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_minimal_norms_reach_the_best_score(norm: Norm) -> None:
    x, centre, curvature = setting()
    threshold = -0.4
    found = minimal_norms(bowl(centre, curvature, threshold, -5, 5), x, norm, side="fake")
    assert found.fooled.all()
    start = best_bowl(flat(x), centre, curvature, "linf", 0.0)
    for i, size in enumerate(found.norms.tolist()):
        row = flat(x)[i : i + 1]
        if start[i] >= threshold:
            assert size == 0
            continue
        assert best_bowl(row, centre, curvature, norm, size * (1 + 1e-6) + 1e-6)[0] >= threshold
        assert best_bowl(row, centre, curvature, norm, size * 0.97)[0] < threshold


def test_away_from_the_centre_of_a_round_bowl() -> None:
    """Real to generated: the score falls fastest straight away from the centre, by closed form."""
    x, centre, _ = setting()
    away = np.linalg.norm(flat(x) - centre, axis=1)
    threshold = -0.5 * (away.max() + 0.3) ** 2
    critic = bowl(centre, np.ones(P), float(threshold), -5, 5)
    found = minimal_norms(critic, x, "l2", side="real")
    np.testing.assert_allclose(found.norms.numpy(), away.max() + 0.3 - away, rtol=1e-3)
    radius = float(np.median(away.max() + 0.3 - away))
    outcome = attempt(critic, Pgd(), x, Threat(Budget("l2", radius), -5, 5, "real"), np.random.default_rng(0))
    assert np.array_equal(outcome.fooled.numpy(), away + radius > away.max() + 0.3)


def test_more_than_one_step_is_needed() -> None:
    """The gradient turns along the way where curvatures differ much, so that one step falls short."""
    x, centre, curvature = setting()
    steep = curvature**3
    radius = 0.5
    best = best_bowl(flat(x), centre, steep, "l2", radius)
    critic = bowl(centre, steep, threshold_for(best, "fake", 0.6), -5, 5)
    threat = Threat(Budget("l2", radius), -5, 5, "fake")
    one, many = (attempt(critic, a, x, threat, np.random.default_rng(0)).fooled for a in (Fgsm(), Apgd(100)))
    assert int(one.sum()) < int(many.sum())
    assert abs(int(many.sum()) - int((best >= critic.threshold).sum())) <= 1


def test_what_no_norm_reaches_is_infinite() -> None:
    x = samples(5, (P,), -1, 1, inner=0.5)
    found = minimal_norms(Critic(lambda x: -x.flatten(1).square().sum(1) - 1, 0.0, -1, 1), x, "l2", side="fake")
    assert torch.isinf(found.norms).all()
    assert not found.fooled.any()
    assert torch.equal(found.samples, x)
