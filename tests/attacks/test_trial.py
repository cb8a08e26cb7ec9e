from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganaudit.attacks.blackbox import RandomNoise, RandomSearch, Square
from ganaudit.attacks.critic import Critic, Side, ascent
from ganaudit.attacks.gradient import Apgd, Fgsm, Pgd
from ganaudit.attacks.minimal import MinimalNorm, minimal_norms
from ganaudit.attacks.threat import Attack, Budget, Kind, Threat
from ganaudit.attacks.trial import attempt, quantised, strongest
from tests.attacks.critics import linear, samples, weights

THREAT = Threat(Budget("linf", 0.1), 0.0, 1.0, "fake")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@dataclass(frozen=True)
class Liar:
    """Returns what no rule allows."""

    id: ClassVar[str] = "liar"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "Liar"
    value: float = float("inf")

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        return torch.full_like(x, self.value)


def critic_of(low: float = 0.0, high: float = 1.0, p: int = 12) -> Critic:
    return linear(weights(p), 1.0, low, high)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e9, -3.0])
def test_what_an_attack_returns_is_not_trusted(value: float) -> None:
    x = samples(20, (3, 2, 2), 0, 1, inner=1.0)
    outcome = attempt(critic_of(), Liar(value), x, THREAT, rng())
    assert (outcome.norms <= 0.1 * (1 + 1e-12)).all()
    assert ((outcome.samples >= 0) & (outcome.samples <= 1)).all()
    assert torch.equal(outcome.fooled, critic_of().fooled(outcome.samples, "fake"))
    assert torch.equal(outcome.scores_after, critic_of().scores(outcome.samples))


def test_samples_called_wrongly_are_not_attacked() -> None:
    x = samples(40, (12,), 0, 1, inner=1.0)
    critic = critic_of()
    wrong = critic.fooled(x, "fake")
    assert 0 < int(wrong.sum()) < 40
    outcome = attempt(critic, Pgd(5), x, THREAT, rng())
    assert (outcome.norms[wrong] == 0).all()
    assert outcome.fooled[wrong].all()
    assert torch.equal(outcome.samples[wrong], x[wrong])
    left = 40 - int(wrong.sum())
    # 5 gradients, and one score at the end; before, after and as stored each one score more for all.
    assert outcome.backward == 5 * left
    assert outcome.forward == 6 * left + 3 * 40


def test_the_threshold_belongs_to_the_reals() -> None:
    critic = Critic(lambda x: x.flatten(1).sum(1), 0.5, 0.0, 1.0)
    x = torch.tensor([[0.5], [0.25], [0.75]])
    assert critic.fooled(x, "fake").tolist() == [True, False, True]
    assert critic.fooled(x, "real").tolist() == [False, True, False]
    assert critic.margin(x, "fake").tolist() == [0.0, 0.25, -0.25]
    assert critic.margin(x, "real").tolist() == [0.0, -0.25, 0.25]
    # 0.1 in float32 lies above 0.1: compared as they stand, not after rounding the threshold.
    near = Critic(lambda x: x[:, 0], 0.1, 0.0, 1.0)
    assert near.fooled(torch.tensor([[0.1]]), "fake").tolist() == [True]
    assert near.fooled(torch.tensor([[0.1]]), "real").tolist() == [False]


def test_memory_that_runs_out_halves_the_batch() -> None:
    x = samples(37, (12,), 0, 1, inner=1.0)
    plain = critic_of()

    def small(y: Tensor) -> Tensor:
        if len(y) > 5:
            raise torch.OutOfMemoryError("no room")
        return plain.score(y)

    whole = attempt(plain, Pgd(4, restarts=2), x, THREAT, rng())
    halved = attempt(replace(plain, score=small), Pgd(4, restarts=2), x, THREAT, rng(), batch=32)
    torch.testing.assert_close(halved.samples, whole.samples, rtol=0, atol=1e-6)
    assert torch.equal(halved.fooled, whole.fooled)
    assert halved.notes == ("batch halved from 32 to 4: out of memory",)
    assert minimal_norms(replace(plain, score=small), x, "l2", side="fake", batch=32).notes == halved.notes

    def none(y: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        attempt(replace(plain, score=none), Pgd(4), x, THREAT, rng())


@pytest.mark.parametrize(
    "attack", [Pgd(4, restarts=3), Apgd(6, restarts=2), RandomNoise(3), RandomSearch(9), Square(9)]
)
def test_a_sample_does_not_depend_on_its_batch(attack: Attack) -> None:
    x = samples(23, (1, 4, 4), 0, 1, inner=1.0)
    critic = critic_of(p=16)
    found = [attempt(critic, attack, x, THREAT, rng(), batch=batch).samples for batch in (1, 7, 64)]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(found[0], found[2], rtol=0, atol=1e-6)
    backwards = attempt(critic, attack, x.flip(0), THREAT, rng()).samples.flip(0)
    torch.testing.assert_close(backwards, found[2], rtol=0, atol=1e-6)
    if attack.kind != "white-box":
        other = attempt(critic, attack, x, THREAT, np.random.default_rng(1)).samples
        assert not torch.equal(other, found[2])


def test_levels_of_a_file() -> None:
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        levels = torch.linspace(low, high, 256).view(1, 1, 16, 16)
        torch.testing.assert_close(quantised(levels, low, high), levels, rtol=0, atol=1e-6 * (high - low))
        off = levels + 0.4 * (high - low) / 255
        torch.testing.assert_close(quantised(off.clamp(max=high), low, high), levels, rtol=0, atol=1e-6 * (high - low))
    wave = (torch.arange(-32768, 32768).double() / 32768).float().view(1, 1, -1)
    assert torch.equal(quantised(wave, -1.0, 1.0), wave)
    assert quantised(torch.ones(1, 1, 1), -1.0, 1.0).item() == 32767 / 32768


def test_rounding_to_levels_can_undo_an_attack() -> None:
    """A step of a third of a level crosses the threshold and is lost in the file; a whole level is not."""
    x = torch.full((4, 1, 2, 2), 100 / 255)
    critic = Critic(lambda x: x.flatten(1).double().sum(1), float(x[0].double().sum()) + 0.8 / 255, 0.0, 1.0)
    third, whole = (
        attempt(critic, Fgsm(), x, Threat(Budget("linf", size / 255), 0.0, 1.0, "fake"), rng())
        for size in (1 / 3, 1.01)
    )
    assert third.fooled.all()
    assert not third.fooled_quantised.any()
    assert whole.fooled_quantised.all()


@pytest.mark.parametrize("side", ["fake", "real"])
@pytest.mark.parametrize("size", [0.1, 0.4, 0.9, 2.5])
def test_what_rounding_alone_turns_is_not_counted(size: float, side: Side) -> None:
    """Samples off the levels of a file and near the threshold, which rounding carries across it by itself."""
    x = samples(400, (1, 8, 8), 0, 1, inner=0.02)
    w = weights(64)
    scores = x.flatten(1).double().numpy() @ w
    critic = linear(w, float(np.median(scores)), 0.0, 1.0)
    threat = Threat(Budget("linf", size / 255), 0.0, 1.0, side)
    for attack in (RandomNoise(3), Pgd(5)):
        found = attempt(critic, attack, x, threat, rng())
        assert not (found.fooled_quantised & ~found.fooled).any()
        rounded = critic.fooled(quantised(found.samples, 0.0, 1.0), side)
        # The case must tell: without the first test some would count that nothing fooled.
        assert size > 0.5 or (rounded & ~found.fooled).any()
        assert torch.equal(found.fooled_quantised, rounded & found.fooled)


def test_the_union_of_attacks() -> None:
    x = samples(30, (12,), 0, 1, inner=1.0)
    critic = critic_of()
    weak, strong = (attempt(critic, attack, x, THREAT, rng()) for attack in (RandomNoise(2), Pgd(10)))
    both = strongest([weak, strong])
    assert torch.equal(both.fooled, weak.fooled | strong.fooled)
    assert both.forward == weak.forward + strong.forward
    assert torch.equal(critic.fooled(both.samples, "fake"), both.fooled)
    assert torch.equal(both.norms, THREAT.budget.norms(both.samples.double() - x.double()))
    with pytest.raises(ValueError, match="outcomes: found none"):
        strongest([])


def test_networks_stay_as_they_were() -> None:
    network = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)).eval()
    critic = Critic(network, 10.0, 0.0, 1.0)
    x = samples(9, (12,), 0, 1, inner=1.0)
    for attack in (Fgsm(), Pgd(3), Apgd(5), MinimalNorm(3)):
        outcome = attempt(critic, attack, x, THREAT, rng())
        assert not outcome.samples.requires_grad
    assert not x.requires_grad
    assert not network.training
    assert all(p.requires_grad and p.grad is None for p in network.parameters())


def test_critics_without_gradients_or_with_broken_ones() -> None:
    x = samples(6, (12,), 0, 1, inner=0.1)
    with pytest.raises(ValueError, match="found one without gradients"):
        ascent(replace(critic_of(), differentiable=False), x, "fake")
    margins, gradient = ascent(Critic(lambda y: torch.zeros(len(y)), 1.0, 0.0, 1.0), x, "fake")
    assert (gradient == 0).all()
    assert margins.tolist() == [1.0] * 6
    rooted = Critic(lambda y: (y - y.detach()).square().sum(1).sqrt(), 1.0, 0.0, 1.0)  # 0/0 at every point
    assert torch.isfinite(ascent(rooted, x, "fake")[1]).all()
    lost = attempt(Critic(lambda y: y.sum(1) * float("nan"), 0.0, 0.0, 1.0), Pgd(2), x, THREAT, rng())
    assert not lost.fooled.any()
    assert "6 of 6 scores after the attack are no finite numbers; they count as not fooled" in lost.notes


def test_what_is_refused() -> None:
    critic = critic_of()
    for x, words in (
        (torch.full((3, 12), 1.5), r"x: found values from 1.5 to 1.5; allowed: 0 to 1"),
        (torch.full((3, 12), float("nan")), "x: found values from nan to nan"),
        (torch.zeros(0, 12), "one sample or more"),
    ):
        with pytest.raises(ValueError, match=words):
            attempt(critic, Fgsm(), x, THREAT, rng())
    with pytest.raises(ValueError, match="batch: found 0"):
        attempt(critic, Fgsm(), torch.zeros(1, 12), THREAT, rng(), batch=0)
    with pytest.raises(ValueError, match=r"critic: found scores of shape \(2, 12\); allowed: \(2,\)"):
        attempt(Critic(lambda x: x, 0.0, 0.0, 1.0), Fgsm(), torch.zeros(2, 12), THREAT, rng())
    with pytest.raises(ValueError, match="threshold: found NaN"):
        Critic(lambda x: x, float("nan"), 0.0, 1.0)
    for make in (lambda: Pgd(0), lambda: Apgd(5, restarts=0), lambda: Square(1), lambda: RandomNoise(0)):
        with pytest.raises(ValueError, match="found"):
            make()


def test_a_budget_of_nothing_changes_nothing() -> None:
    x = samples(20, (1, 4, 3), 0, 1, inner=1.0)
    for norm in ("linf", "l2", "l1"):
        threat = Threat(Budget(norm, 0.0), 0.0, 1.0, "fake")
        for attack in (Fgsm(), Pgd(3, restarts=2), Apgd(3), RandomNoise(2), RandomSearch(3), MinimalNorm(3)):
            outcome = attempt(critic_of(), attack, x, threat, rng())
            assert torch.equal(outcome.samples, x), attack
            assert torch.equal(outcome.fooled, critic_of().fooled(x, "fake"))
