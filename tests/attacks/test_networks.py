"""Curved critics without a closed form: order of strength, and the schedule of the paper."""

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.attacks.balls import NORMS, Norm
from ganaudit.attacks.blackbox import RandomNoise, RandomSearch
from ganaudit.attacks.critic import SIDES, Critic, Side
from ganaudit.attacks.gradient import Apgd, Fgsm, Pgd, checkpoints
from ganaudit.attacks.minimal import minimal_norms
from ganaudit.attacks.threat import Attack, Budget, Threat
from ganaudit.attacks.trial import Outcome, attempt
from tests.attacks.critics import samples

RADII: dict[Norm, float] = {"linf": 0.05, "l2": 0.5, "l1": 3.0}


def network(side: Side) -> tuple[Critic, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 16, 3, 2, 1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(144, 1),
    ).eval()
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 2 / parameter[0].numel() ** 0.5)
    x = samples(64, (1, 12, 12), -1, 1, inner=1.0)
    scores = layers(x).detach()[:, 0]
    threshold = float(scores.quantile(0.9 if side == "fake" else 0.1))
    return Critic(lambda y: layers(y)[:, 0], threshold, -1.0, 1.0), x


def tried(critic: Critic, attack: Attack, x: torch.Tensor, norm: Norm, side: Side, factor: float = 1.0) -> Outcome:
    threat = Threat(Budget(norm, factor * RADII[norm]), -1.0, 1.0, side)
    return attempt(critic, attack, x, threat, np.random.default_rng(0))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("norm", NORMS)
def test_the_stronger_attack_is_stronger(norm: Norm, side: Side) -> None:
    critic, x = network(side)
    share = {}
    for attack in (RandomNoise(), RandomSearch(100), Fgsm(), Pgd(), Pgd(20, restarts=3), Apgd()):
        share[attack] = float(tried(critic, attack, x, norm, side).fooled.double().mean())
    assert share[Pgd()] > share[RandomNoise()] + 0.1
    slack = 1 / len(x) + 1e-9
    assert share[Pgd()] >= share[Fgsm()]
    assert share[Pgd()] >= share[RandomSearch(100)] - slack
    assert abs(share[Apgd()] - share[Pgd()]) <= slack
    assert abs(share[Pgd(20, restarts=3)] - share[Pgd()]) <= slack
    norms = minimal_norms(critic, x, norm, side=side).norms
    assert abs(float((norms <= RADII[norm]).double().mean()) - share[Pgd()]) <= 2 * slack


@pytest.mark.parametrize("norm", NORMS)
def test_success_grows_with_the_budget_up_to_everything(norm: Norm) -> None:
    critic, x = network("fake")
    fooled = [tried(critic, Pgd(20), x, norm, "fake", factor).fooled for factor in (0.0, 0.3, 1.0, 3.0)]
    sizes = [int(found.sum()) for found in fooled]
    assert sizes == sorted(sizes)
    assert sizes[0] == int(critic.fooled(x, "fake").sum())
    whole = Threat(Budget("linf", 2.0), -1.0, 1.0, "fake")
    assert attempt(critic, Pgd(), x, whole, np.random.default_rng(0)).fooled.all()


def test_stopping_early_changes_who_is_robust_in_nothing() -> None:
    critic, x = network("fake")
    full, early = (tried(critic, Pgd(30, stop_when_fooled=stop), x, "linf", "fake") for stop in (False, True))
    assert torch.equal(full.fooled, early.fooled)
    assert early.backward < full.backward
    assert (full.scores_after >= early.scores_after - 1e-6).all()


def test_margins_fall_in_every_restart() -> None:
    critic, x = network("fake")
    one, three = (tried(critic, Pgd(10, restarts=n), x, "l2", "fake") for n in (1, 3))
    assert (three.scores_after >= one.scores_after - 1e-6).all()


def test_checkpoints_are_the_papers() -> None:
    assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99]
