"""Attacks carried from one linear critic to another at a known angle: what is carried is the cosine between them."""

import math

import numpy as np
import pytest
import torch

from ganaudit.attacks.accused import Accused, Group
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.gradient import Fgsm, Pgd
from ganaudit.attacks.threat import Budget, Threat
from ganaudit.attacks.transfer import crossed, noisy, rightly

N, P = 200, 50


def at_angle(angle, p=P, seed=0):
    """Two vectors of norm 2 and 3 with ``angle`` between them."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((p, 2)))
    return 2 * q[:, 0], 3 * (math.cos(angle) * q[:, 0] + math.sin(angle) * q[:, 1])


def samples(seed=1, n=N, p=P):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-0.5, 0.5, (n, p)))


def before(w, x, threshold, side="fake"):
    weights = torch.from_numpy(w)
    critic = Critic(lambda rows: rows.double() @ weights, threshold, -4.0, 4.0)
    return Accused(side, x, (Group(critic, torch.arange(len(x))),))


@pytest.mark.parametrize("side", ["fake", "real"])
@pytest.mark.parametrize("angle", [0.0, 0.6, math.pi / 2, 2.2])
def test_an_l2_step_carries_the_cosine_to_another_linear_critic(angle, side):
    first, second = at_angle(angle)
    x, radius, sign = samples(), 0.25, 1 if side == "fake" else -1
    # Thresholds beyond every score: each sample is called rightly and pushed the whole radius.
    mine = before(first, x, sign * 10.0, side)
    scores = x.numpy() @ second
    moved = scores + sign * radius * 3 * math.cos(angle)
    threshold = float(np.quantile(moved, 0.4)) + 1e-6
    found = crossed(mine, before(second, x, threshold, side), Fgsm(), Threat(Budget("l2", radius), -4, 4, side),
                    np.random.default_rng(0))  # fmt: skip
    expected = moved >= threshold if side == "fake" else moved < threshold
    assert np.array_equal(found.tried.numpy(), expected)
    assert 0.3 < expected.mean() < 0.7
    assert not found.made.any()


@pytest.mark.parametrize("angle", [0.0, 0.6, math.pi / 2, 2.2])
def test_a_linf_attack_carries_the_inner_product_with_the_signs(angle):
    first, second = at_angle(angle, seed=3)
    x, radius = samples(2), 0.1
    own = x.numpy() @ first
    limit = float(np.quantile(own, 0.9))
    moved = x.numpy() @ second + radius * (second @ np.sign(first))
    threshold = float(np.quantile(moved, 0.5)) + 1e-6
    threat = Threat(Budget("linf", radius), -4, 4, "fake")
    found = crossed(before(first, x, limit), before(second, x, threshold), Pgd(20), threat, np.random.default_rng(0))
    pushed = own < limit  # those called rightly are attacked, the others stay
    expected = np.where(pushed, moved, x.numpy() @ second) >= threshold
    assert np.array_equal(found.tried.numpy(), expected)
    assert np.array_equal(found.made.numpy(), ~pushed | (own + radius * np.abs(first).sum() >= limit))


def test_noise_moves_every_value_by_the_whole_budget_either_way():
    x, radius = samples(5, 400, 60), 0.1
    moved = noisy(x, Threat(Budget("linf", radius), -4, 4, "fake"), np.random.default_rng(3)) - x
    torch.testing.assert_close(moved.abs(), torch.full_like(x, radius))
    assert abs(float((moved > 0).double().mean()) - 0.5) < 4 * 0.5 / math.sqrt(x.numel())
    w = np.random.default_rng(4).standard_normal(60)
    spread = float(np.std(moved.numpy() @ w)) / (radius * np.linalg.norm(w))
    assert abs(spread - 1) < 4 / math.sqrt(2 * 400)  # four standard errors of a standard deviation


def test_noise_keeps_to_the_range_and_hangs_on_the_sample_alone():
    x, threat = samples(6), Threat(Budget("linf", 0.2), -0.5, 0.5, "fake")
    whole = noisy(x, threat, np.random.default_rng(3))
    assert float(whole.abs().max()) <= 0.5
    part = noisy(x[20:30], threat, np.random.default_rng(3))
    assert torch.equal(whole[20:30], part)


def test_the_same_discriminator_is_fooled_by_what_was_made_on_it():
    w, _ = at_angle(1.0)
    x = samples(7)
    limit = float(np.quantile(x.numpy() @ w, 0.8))
    mine = before(w, x, limit)
    found = crossed(mine, mine, Pgd(10), Threat(Budget("linf", 0.05), -4, 4, "fake"), np.random.default_rng(0))
    assert torch.equal(found.made, found.tried)
    assert torch.equal(rightly(mine), torch.from_numpy(x.numpy() @ w < limit))


def test_other_samples_are_refused():
    w, _ = at_angle(1.0)
    threat = Threat(Budget("linf", 0.05), -4, 4, "fake")
    with pytest.raises(ValueError, match="other samples"):
        crossed(before(w, samples(1), 0.0), before(w, samples(2), 0.0), Pgd(2), threat, np.random.default_rng(0))
