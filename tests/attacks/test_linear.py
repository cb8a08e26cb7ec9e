"""Linear critics: robust accuracy and minimal norms are known to the sample (B3; K08, K09, K11)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ganaudit.attacks.balls import NORMS, Norm, norms
from ganaudit.attacks.blackbox import RandomNoise
from ganaudit.attacks.critic import SIDES, Side
from ganaudit.attacks.gradient import Apgd, Fgsm, Pgd
from ganaudit.attacks.minimal import MinimalNorm, minimal_norms
from ganaudit.attacks.threat import Attack, Budget, Threat
from ganaudit.attacks.trial import attempt
from tests.attacks.critics import (
    DUAL,
    RANGES,
    between,
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
def test_robust_accuracy_is_the_closed_form(norm: Norm, low: float, high: float, side: Side) -> None:
    # The samples lie close together, so that the box never binds, not even where one coordinate takes all (l1).
    x, w = samples(N, (1, 8, 8), low, high, inner=0.05 if norm == "l1" else 0.2), weights(64)
    scores = flat(x) @ w
    threshold = threshold_for(scores, side)
    margins = threshold - scores if side == "fake" else scores - threshold
    distances = np.maximum(margins, 0) / np.linalg.norm(w, DUAL[norm])
    assert distances.max() < 0.4 * (high - low)
    critic = linear(w, threshold, low, high)
    for share in (0.3, 0.7):
        radius = between(distances, share)
        exact = int((distances > radius).sum())
        threat = Threat(Budget(norm, radius), low, high, side)
        for attack in ATTACKS:
            outcome = attempt(critic, attack, x, threat, rng())
            assert int((~outcome.fooled).sum()) == exact, attack
            assert np.array_equal(~outcome.fooled.numpy(), distances > radius), attack
            if attack.id != "minimal-norm":
                assert (outcome.norms <= radius * (1 + 1e-6)).all()
    found = minimal_norms(critic, x, norm, side=side)
    assert found.fooled.all()
    # 16 bisections, and float32 samples: each value is off by up to half a unit in the last place of the range's end.
    slack = 64 * np.spacing(np.float32(max(abs(low), abs(high))))
    np.testing.assert_allclose(found.norms.numpy(), distances, rtol=2**-15, atol=float(slack))


@pytest.mark.parametrize("offset", [-50.0, 0.0, 50.0])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_unit_and_zero_of_the_score_change_nothing(factor: float, offset: float) -> None:
    x, w = samples(N, (3, 4, 4), -1, 1, inner=0.3), weights(48)
    plain = linear(w, threshold_for(flat(x) @ w, "fake"), -1, 1)
    distances = (plain.threshold - flat(x) @ w) / np.abs(w).sum()
    threat = Threat(Budget("linf", between(distances, 0.5)), -1, 1, "fake")
    moved = replace(
        plain, score=lambda x: plain.score(x) * factor + offset, threshold=plain.threshold * factor + offset
    )
    for attack in (*ATTACKS, RandomNoise()):
        first = attempt(plain, attack, x, threat, rng())
        second = attempt(moved, attack, x, threat, rng())
        assert torch.equal(first.fooled, second.fooled), attack
        assert torch.equal(first.fooled_quantised, second.fooled_quantised), attack
    tight, tight_moved = (minimal_norms(critic, x, "linf", side="fake").norms for critic in (plain, moved))
    torch.testing.assert_close(tight, tight_moved, rtol=2**-15, atol=1e-6)


@pytest.mark.parametrize(("factor", "offset"), [(1e-3, 50.0), (1e3, -50.0)])
def test_a_critic_in_float32_too(factor: float, offset: float) -> None:
    """50 + D/1000 in float32 keeps D to 0.004: the radius lies in a gap wider than that."""
    x, w = samples(N, (1, 8, 8), -1, 1, inner=0.3), weights(64)
    w32 = torch.from_numpy(w).float()
    plain = linear(w, threshold_for(flat(x) @ w, "fake"), -1, 1)
    moved = replace(
        plain, score=lambda x: x.flatten(1) @ w32 * factor + offset, threshold=plain.threshold * factor + offset
    )
    distances = (plain.threshold - flat(x) @ w) / np.abs(w).sum()
    radius = between(distances, 0.5)
    assert np.abs(distances - radius).min() * np.abs(w).sum() > 0.01
    threat = Threat(Budget("linf", radius), -1, 1, "fake")
    for attack in ATTACKS:
        assert np.array_equal(attempt(moved, attack, x, threat, rng()).fooled.numpy(), distances <= radius), attack


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("norm", NORMS)
def test_the_whole_range_fools_always(norm: Norm, side: Side) -> None:
    """K11: a ball that holds the box leaves no sample, as long as the box reaches across the threshold."""
    x, w = samples(N, (1, 8, 8), -1, 1, inner=1.0), weights(64)
    critic = linear(w, 0.0, -1, 1)
    radius = {"linf": 2.0, "l2": 16.0, "l1": 128.0}[norm]
    for attack in ATTACKS:
        assert attempt(critic, attack, x, Threat(Budget(norm, radius), -1, 1, side), rng()).fooled.all(), attack


@pytest.mark.parametrize("norm", NORMS)
def test_waveforms(norm: Norm) -> None:
    x, w = samples(N, (1, 300), -1, 1, inner=0.05), weights(300)
    threshold = threshold_for(flat(x) @ w, "fake")
    distances = np.maximum(threshold - flat(x) @ w, 0) / np.linalg.norm(w, DUAL[norm])
    radius = between(distances, 0.5)
    assert radius < 0.6
    for attack in ATTACKS:
        outcome = attempt(linear(w, threshold, -1, 1), attack, x, Threat(Budget(norm, radius), -1, 1, "fake"), rng())
        assert np.array_equal(outcome.fooled.numpy(), distances <= radius), attack


def test_noise_is_far_weaker() -> None:
    x, w = samples(N, (3, 16, 16), 0, 1, inner=0.5), weights(768)
    critic = linear(w, threshold_for(flat(x) @ w, "fake"), 0, 1)
    threat = Threat(Budget("linf", 0.01), 0, 1, "fake")
    before = torch.from_numpy(flat(x) @ w)
    moved = attempt(critic, RandomNoise(20), x, threat, rng()).scores_after - before
    steered = attempt(critic, Pgd(), x, threat, rng()).scores_after - before
    # The best of 20 normals lies 1.87 spreads out; a spread is radius·|w|_2/sqrt(3), the steered step radius·|w|_1.
    one = 0.01 * np.linalg.norm(w) / 3**0.5
    open_ = ~critic.fooled(x, "fake")
    assert float(moved[open_].mean()) == pytest.approx(1.87 * one, rel=0.15)
    assert float(steered[open_].min()) == pytest.approx(0.01 * np.abs(w).sum(), rel=1e-4)


def test_two_gaussians_have_the_robust_accuracy_of_their_law() -> None:
    """N(-a·1, I) fakes and D = sum x: robust accuracy at linf radius e is Phi(sqrt(p)·(a - e))."""
    from scipy.stats import norm as normal

    p, n, a = 16, 4000, 0.5
    x = torch.from_numpy(np.random.default_rng(5).standard_normal((n, p)) - a).float()
    critic = linear(np.ones(p), 0.0, -20, 20)
    for radius in (0.25, 0.5, 0.75):
        outcome = attempt(critic, Pgd(10), x, Threat(Budget("linf", radius), -20, 20, "fake"), rng(), batch=n)
        exact = normal.cdf(p**0.5 * (a - radius))
        assert abs(outcome.robust_accuracy - exact) < 4 * (exact * (1 - exact) / n) ** 0.5
        assert (norms(outcome.samples - x, "linf") <= radius * (1 + 1e-6)).all()
