"""Attacks on a generator against closed forms of linear generators, quadratic critics and least squares."""

import math

import numpy as np
import pytest
import torch

from ganaudit.attacks.critic import Critic
from ganaudit.attacks.latent import reach, reach_gap, shell, smallest_step, to_shell, worst_quality

D, P = 12, 40


def matrices(seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(P, D))), torch.from_numpy(rng.normal(size=P))


def linear_generator(a):
    return lambda z: z.double() @ a.T


def latents(n=20, d=D, seed=3):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


def rng():
    return np.random.default_rng(11)


@pytest.mark.parametrize(("c", "t0"), [(1.0, 0.0), (1e-3, 0.0), (1e3, 50.0)])
def test_smallest_step_of_a_linear_pair_is_margin_over_slope(c, t0):
    a, w = matrices()
    critic = Critic(lambda x: c * (x @ w) + t0, c * 10.0 + t0, -100, 100)
    z = latents()
    found = smallest_step(linear_generator(a), critic, z, batch=7)
    exact = (10.0 - z @ a.T @ w).abs() / (a.T @ w).norm()
    # The first crossing is at most 5 % too far; 20 halvings leave 1e-6 of it.
    torch.testing.assert_close(found.lengths, exact, rtol=2e-6, atol=0)
    torch.testing.assert_close(found.relative, found.lengths / math.sqrt(D))
    assert torch.equal(found.called_real, z @ a.T @ w >= 10.0)
    assert 0 < int(found.called_real.sum()) < len(z)
    before, after = z @ a.T @ w - 10.0, found.latents @ a.T @ w - 10.0
    assert (after.abs() < 2e-6 * before.abs() + 1e-9).all()


def test_smallest_step_to_a_sphere():
    # Score -|z|^2, called real within radius 3: the smallest step goes straight to the sphere.
    critic = Critic(lambda x: -x.square().sum(1), -9.0, -100, 100)
    z = latents(30, d=8)
    found = smallest_step(lambda z: z, critic, z)
    torch.testing.assert_close(found.lengths, (z.norm(dim=1) - 3).abs(), rtol=1e-3, atol=0)


def test_an_ellipsoid_is_crossed_where_lagrange_says():
    # Called real where sum k_i z_i^2 < 1, from outside; the nearest point by a multiplier, found by bisection.
    k = torch.linspace(0.5, 2.0, 5).double()
    critic = Critic(lambda x: -(k * x.square()).sum(1), -1.0, -100, 100)
    z = latents(40, d=5)
    z = z[(k * z.square()).sum(1) > 1.2]
    assert len(z) > 20
    exact = []
    for point in z:
        low, high = 0.0, 1e4
        for _ in range(200):
            middle = (low + high) / 2
            inside = float((k * (point / (1 + middle * k)).square()).sum()) < 1
            low, high = (low, middle) if inside else (middle, high)
        exact.append(float((point - point / (1 + high * k)).norm()))
    found = smallest_step(lambda z: z, critic, z).lengths
    exact = torch.tensor(exact, dtype=torch.float64)
    assert bool((found > exact * (1 - 1e-9)).all())
    # The sphere's radius moves in steps of 5 %.
    assert float((found / exact).max()) < 1.05


def test_where_no_verdict_can_turn_nothing_is_found():
    critic = Critic(lambda x: torch.tanh(x).sum(1), 1e3, -100, 100)
    z = latents(4)
    found = smallest_step(lambda z: z, critic, z)
    assert torch.isinf(found.lengths).all()
    assert torch.equal(found.latents, z)


def test_worst_quality_of_a_linear_pair_lies_on_the_outer_shell():
    a, w = matrices()
    critic = Critic(lambda x: x @ w, 0.0, -100, 100)
    found = worst_quality(linear_generator(a), critic, D, rng(), starts=10, batch=4)
    exact = -float((a.T @ w).norm()) * (math.sqrt(D) + 3 / math.sqrt(2))
    assert found.scores.numpy() == pytest.approx(exact, rel=1e-3)
    assert (found.scores >= exact * (1 + 1e-6)).all()
    torch.testing.assert_close(found.latents.double() @ a.T @ w, found.scores, rtol=1e-6, atol=1e-5)
    assert (found.start_scores > found.scores).all()


def test_worst_quality_finds_a_hole_and_its_start_is_ordinary():
    # Quality drops near one latent only, as far out as latents are.
    hole = torch.zeros(D)
    hole[0] = math.sqrt(D)
    critic = Critic(lambda x: -torch.exp(-(x - hole).square().sum(1) / 8), -0.5, -10, 10)
    found = worst_quality(lambda z: z, critic, D, rng(), starts=16)
    assert float(found.scores.min()) == pytest.approx(-1, abs=1e-3)
    assert float(found.start_scores.min()) > -0.5


def test_batches_change_nothing():
    a, w = matrices()
    critic = Critic(lambda x: torch.sin(x @ w), 0.5, -100, 100)
    one = worst_quality(linear_generator(a), critic, D, rng(), starts=9, steps=10)
    many = worst_quality(linear_generator(a), critic, D, rng(), starts=9, steps=10, batch=2)
    torch.testing.assert_close(one.scores, many.scores, rtol=1e-4, atol=1e-4)


def test_reach_is_the_residual_of_least_squares():
    a, _ = matrices()
    z = to_shell(latents(6))
    noise = torch.from_numpy(np.random.default_rng(5).normal(size=(6, P)))
    basis = np.linalg.qr(a.numpy())[0]
    away = noise - noise @ torch.from_numpy(basis @ basis.T)
    found = reach(linear_generator(a), z @ a.T + away, D, rng(), starts=2, steps=300, batch=5)
    exact = away.norm(dim=1) / math.sqrt(P)
    assert bool((found.distances >= exact * (1 - 1e-9)).all())
    assert float((found.distances / exact).max()) < 1.001
    torch.testing.assert_close(found.latents.double(), z, atol=0.05, rtol=0)


def test_reach_stays_within_the_shell():
    # Target far out: the nearest allowed latent lies in its direction on the outer sphere.
    target = torch.zeros(1, D).double()
    target[0, 3] = 20
    found = reach(lambda z: z.double(), target, D, rng())
    exact = (20 - shell(D)[1]) / math.sqrt(D)
    assert float(found.distances[0]) == pytest.approx(exact, rel=1e-3)
    inner, outer = shell(D)
    assert inner * (1 - 1e-6) <= float(found.latents.norm()) <= outer * (1 + 1e-6)


def test_reach_gap_counts_pairs():
    gap = reach_gap(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0]))
    assert gap.auc == pytest.approx((1 + 0.5 + 0 + 1 + 1 + 1) / 6)
    assert gap.ratio == pytest.approx(3 / 2)
    assert reach_gap(torch.zeros(3), torch.ones(3)).ratio is None


def test_shell_holds_nearly_all_of_the_prior():
    inner, outer = shell(256)
    radii = latents(20000, d=256).norm(dim=1)
    inside = float(((radii >= inner) & (radii <= outer)).double().mean())
    assert inside == pytest.approx(0.9973, abs=0.002)
    assert shell(2)[0] == 0.0


def test_to_shell_goes_straight_out_or_in():
    z = torch.tensor([[0.1] + [0.0] * 15, [0.0] * 16, [100.0] * 16, [1.0] * 16]).double()
    inner, outer = shell(16)
    found = to_shell(z)
    assert found.norm(dim=1).tolist() == pytest.approx([inner, inner, outer, 4.0])
    assert torch.equal(found[3], z[3])
    torch.testing.assert_close(found[2], z[2] * outer / 400)


def test_bad_input_is_refused():
    critic = Critic(lambda x: x.sum(1), 0.0, -1, 1)
    with pytest.raises(ValueError, match="NaN"):
        smallest_step(lambda z: z, critic, torch.full((2, 3), torch.nan))
    with pytest.raises(ValueError, match="without gradients"):
        smallest_step(lambda z: z.detach(), critic, latents())
    blind = Critic(critic.score, 0.0, -1, 1, differentiable=False)
    with pytest.raises(ValueError, match="gradients"):
        worst_quality(lambda z: z, blind, 4, rng())
    with pytest.raises(ValueError, match="targets"):
        reach(lambda z: z, torch.zeros(2, 5), 4, rng())
    with pytest.raises(ValueError, match="starts"):
        reach(lambda z: z, torch.zeros(2, 4), 4, rng(), starts=0)
