import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganaudit.attacks.balls import NORMS, Norm
from ganaudit.attacks.critic import SIDES, Critic, Side
from ganaudit.attacks.masking import Panel, masking_panel
from ganaudit.attacks.threat import Budget, Threat
from tests.attacks.critics import samples, weights

W = torch.from_numpy(weights(64)).float()
X = samples(96, (1, 8, 8), -1, 1, inner=0.4)
RADII: dict[Norm, float] = {"linf": 0.04, "l2": 0.3, "l1": 1.0}


def raw(x: Tensor) -> Tensor:
    return x.flatten(1) @ W


def panel(critic: Critic, norm: Norm = "linf", side: Side = "fake", **options: object) -> Panel:
    threat = Threat(Budget(norm, RADII[norm]), -1, 1, side)
    return masking_panel(critic, X, threat, np.random.default_rng(0), **options)  # type: ignore[arg-type]


def tau(side: Side = "fake") -> float:
    return float(raw(X).quantile(0.9 if side == "fake" else 0.1))


def failed(found: Panel) -> set[str]:
    return {row.name for row in found.rows if row.passed is False}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("norm", NORMS)
def test_the_raw_critic_is_sound(norm: Norm, side: Side) -> None:
    found = panel(Critic(raw, tau(side), -1, 1), norm, side)
    assert found.verdict == "sound", failed(found)
    assert all(row.passed for row in found.rows)
    assert found.forward > 0
    assert found.backward > 0


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_so_it_is_in_any_unit(factor: float) -> None:
    assert panel(Critic(lambda x: raw(x) * factor, tau() * factor, -1, 1)).verdict == "sound"


@pytest.mark.parametrize("slope", [50.0, 1000.0])
def test_a_saturated_sigmoid_masks(slope: float) -> None:
    """K10: probabilities in place of logits; every sample could be fooled, and gradients are zero."""
    found = panel(Critic(lambda x: torch.sigmoid(slope * (raw(x) - tau())), 0.5, -1, 1))
    assert found.verdict == "masked"
    assert {"gradients", "the whole range fools", "margins move"} <= failed(found)


def test_a_gentle_sigmoid_does_not() -> None:
    assert panel(Critic(lambda x: torch.sigmoid(raw(x) - tau()), 0.5, -1, 1)).verdict == "sound"


def test_steps_for_scores_mask() -> None:
    found = panel(Critic(lambda x: (raw(x) * 4).round() / 4, tau(), -1, 1))
    assert found.verdict == "masked"
    assert "gradients" in failed(found)


def test_a_gradient_that_leads_astray_masks() -> None:
    """Forwards the critic, backwards its negative: noise and search do better than gradients."""
    found = panel(Critic(lambda x: 2 * raw(x).detach() - raw(x), tau(), -1, 1))
    assert found.verdict == "masked"
    assert {"margins move", "gradients beat random search", "the whole range fools"} <= failed(found)


def test_chance_in_a_layer_weakens() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 1, bias=False), nn.Flatten(0))
    with torch.no_grad():
        network[2].weight.copy_(W[None])
    torch.manual_seed(0)
    found = panel(Critic(network, tau(), -1, 1), network=network.train())
    assert {"same input, same score", "evaluation mode"} <= failed(found)
    assert found.verdict != "sound"
    assert panel(Critic(network, tau(), -1, 1), network=network.eval()).verdict == "sound"


def test_without_gradients_only_black_boxes_speak() -> None:
    found = panel(Critic(lambda x: raw(x).detach(), tau(), -1, 1, differentiable=False))
    assert found.verdict == "weakened"
    assert [row.passed for row in found.rows] == [True, None]
    assert found.backward == 0


def test_a_threshold_nothing_reaches_proves_nothing() -> None:
    critic = Critic(raw, 1e6, -1, 1)
    whole = {row.name: row for row in panel(critic, other=X).rows}["the whole range fools"]
    assert whole.passed is None
    assert "nothing says it can be crossed" in whole.words
    reached = {row.name: row for row in panel(Critic(raw, tau(), -1, 1), other=X).rows}["the whole range fools"]
    assert reached.passed


def test_no_radius_no_panel() -> None:
    with pytest.raises(ValueError, match=r"radius: found 0.0; allowed: above 0"):
        masking_panel(Critic(raw, 0.0, -1, 1), X, Threat(Budget("l2", 0.0), -1, 1, "fake"), np.random.default_rng(0))
