import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from ganaudit.attacks.balls import NORMS, Norm
from ganaudit.attacks.critic import SIDES, Critic, Side
from ganaudit.attacks.masking import masking_panel, planted_panel
from ganaudit.attacks.panel import Panel, share_row
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


def test_chance_in_a_layer_is_said_alone() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 1, bias=False), nn.Flatten(0))
    with torch.no_grad():
        network[2].weight.copy_(W[None])
    torch.manual_seed(0)
    found = panel(Critic(network, tau(), -1, 1), network=network.train())
    # No other check is made: whatever asks again finds the same chance.
    assert {row.name for row in found.rows} == failed(found) == {"same input, same score", "evaluation mode"}
    assert found.verdict == "chance"
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


def test_an_attack_that_crosses_is_proof_that_the_threshold_can_be() -> None:
    """No sample of the other side lies beyond it, yet the whole range does: the row is made, and passes."""
    low = X[raw(X) < tau()]
    whole = {row.name: row for row in panel(Critic(raw, tau(), -1, 1), other=low).rows}["the whole range fools"]
    assert whole.passed
    assert whole.value == 0.0


def test_a_constant_critic_is_no_masked_one() -> None:
    flat = panel(Critic(lambda x: 0 * raw(x) + 0.5, 0.7, -1, 1), other=X)
    assert flat.verdict == "constant"
    assert failed(flat) == {"scores differ"}
    # Flat where the samples lie, and beyond the threshold elsewhere: hidden, not constant.
    hides = panel(Critic(lambda x: torch.relu(raw(x) - 2 * raw(X).max()), 1e-3, -1, 1))
    assert hides.verdict == "masked"


def test_no_radius_no_panel() -> None:
    with pytest.raises(ValueError, match=r"radius: found 0.0; allowed: above 0"):
        masking_panel(Critic(raw, 0.0, -1, 1), X, Threat(Budget("l2", 0.0), -1, 1, "fake"), np.random.default_rng(0))


def test_too_few_samples_decide_nothing() -> None:
    """At n = 8 one sample is an eighth: rows that allow it are open, and no panel is sound."""
    threat = Threat(Budget("linf", RADII["linf"]), -1, 1, "fake")
    found = masking_panel(Critic(raw, tau(), -1, 1), X[:8], threat, np.random.default_rng(0))
    assert found.verdict == "weakened"
    rows = {row.name: row for row in found.rows}
    for name in ("gradients", "many steps, one step, noise", "gradients beat random search", "the whole range fools"):
        assert rows[name].passed is None
        assert rows[name].few == 8
        assert "not decidable at n = 8: 19 samples" in rows[name].words
        assert name in found.undecided
    assert rows["same input, same score"].passed
    # What is plain at 8 samples is still said.
    hard = Critic(lambda x: torch.sigmoid(1000 * (raw(x) - tau())), 0.5, -1, 1)
    assert masking_panel(hard, X[:8], threat, np.random.default_rng(0)).verdict == "masked"


@pytest.mark.parametrize("n", [1, 8, 18, 19, 29, 30, 64, 199, 200, 1000])
def test_a_row_passes_where_the_interval_leaves_out_the_effect(n: int) -> None:
    """Against the Clopper-Pearson bound of SciPy: a row that passes excludes 15 % at 95 %, one-sided."""
    limit = max(0.005, 1 / n) + 1e-12
    for k in range(min(n, 12) + 1):
        row = share_row("r", k / n, n, limit, "words", voids=True)
        bound = stats.binomtest(k, n, alternative="less").proportion_ci(0.95, "exact").high
        assert row.passed == (False if k / n > limit else True if bound <= 0.15 else None)
        assert (row.few is None) == (row.passed is not None)


def test_the_whole_range_allows_no_sample() -> None:
    """One sample of 96 sits where no gradient is left, on a plateau: one unfooled is enough to fail."""

    def hides(x: Tensor) -> Tensor:
        return torch.where((x.detach() - X[0]).abs().flatten(1).amax(1) <= 1e-6, raw(x).detach(), raw(x))

    found = {row.name: row for row in panel(Critic(hides, float(raw(X[:1])) + 0.1, -1, 1)).rows}
    whole = found["the whole range fools"]
    assert whole.value == pytest.approx(1 / 96)
    assert whole.limit == 0.0
    assert whole.passed is False


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0)])
@pytest.mark.parametrize("norm", NORMS)
def test_a_radius_that_rounding_swallows_is_refused_and_the_least_is_sound(norm: Norm, low: float, high: float) -> None:
    x = (X + 1) / 2 * (high - low) + low
    unit = float(np.spacing(np.float32(np.nextafter(np.float32(high), np.float32(0)))))
    least = 10 * unit * (8 if norm == "l2" else 1)
    rng = np.random.default_rng(0)
    critic = Critic(lambda y: y.flatten(1).double() @ W.double(), 0.0, low, high)
    scores = critic.scores(x)
    # A threshold that some samples can cross within so little.
    critic = Critic(critic.score, float(scores.max()) + 1e-3 * unit, low, high)
    with pytest.raises(ValueError, match=r"lost in rounding to float32; allowed: .* or more"):
        masking_panel(critic, x, Threat(Budget(norm, 0.99 * least), low, high, "fake"), rng)
    found = masking_panel(critic, x, Threat(Budget(norm, 1.01 * least), low, high, "fake"), rng)
    assert found.verdict != "masked", failed(found)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("norm", NORMS)
def test_a_planted_critic_is_sound(norm: Norm, side: Side) -> None:
    found = planted_panel(X[:32], Threat(Budget(norm, RADII[norm]), -1, 1, side), np.random.default_rng(0))
    assert found.verdict == "sound", failed(found)
