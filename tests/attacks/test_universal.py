"""One perturbation against the closed form of a linear critic, and its honesty on unseen samples."""

import numpy as np
import pytest
import torch

from ganaudit.attacks.accused import Accused, Group
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.threat import Budget, Threat
from ganaudit.attacks.trial import attempt
from ganaudit.attacks.universal import Planted, Universal, alone

D = 24
ORDERS = {"linf": 1, "l2": 2, "l1": np.inf}


def samples(n=60, seed=0, low=0.3, high=0.7):
    return torch.from_numpy(np.random.default_rng(seed).uniform(low, high, (n, 1, 4, 6)))


def weights(seed=1):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 4, 6)))


def linear(threshold, c=1.0, t0=0.0):
    w = weights()
    return Critic(lambda x: c * (x.double() * w).flatten(1).sum(1) + t0, c * threshold + t0, 0, 1)


def middle(x):
    return float((x * weights()).flatten(1).sum(1).median())


@pytest.mark.parametrize("side", ["fake", "real"])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_linear_critic_gives_the_dual_norm(norm, side):
    x = samples()
    threat = Threat(Budget(norm, 0.1), 0, 1, side)  # the box is too far to matter
    # Far out of reach, so that no sample is beyond the hinge before the end.
    critic = linear(middle(x) + (5 if side == "fake" else -5))
    delta = Universal(steps=10).fitted(critic, x, threat).delta
    dual = np.linalg.norm(weights().flatten().numpy(), ORDERS[norm])
    gain = float((delta * weights()).sum()) * (1 if side == "fake" else -1)
    assert gain == pytest.approx(0.1 * dual, rel=1e-6)
    assert float(threat.budget.norms(delta)) <= 0.1 * (1 + 1e-9)


@pytest.mark.parametrize(("c", "t0"), [(1e-3, 0.0), (1e3, 0.0), (1.0, 50.0)])
def test_robust_accuracy_is_exact_and_free_of_the_scores_unit(c, t0):
    x = samples(200)
    threshold = float((x * weights()).flatten(1).sum(1).quantile(0.8))
    threat = Threat(Budget("linf", 0.05), 0, 1, "fake")
    margins = threshold - (x * weights()).flatten(1).sum(1).numpy()
    exact = np.mean(margins > 0.05 * np.abs(weights().numpy()).sum())
    found = attempt(linear(threshold, c, t0), Universal(steps=5), x, threat, np.random.default_rng(0))
    assert found.robust_accuracy == pytest.approx(exact, abs=1 / 200)
    assert 0.05 < exact < 0.7


def test_the_box_is_counted_in():
    # Where half the samples stand at the wall, the coordinate gains only for the other half.
    x = torch.full((4, 1, 1, 2), 0.5, dtype=torch.float64)
    x[:3, ..., 0] = 1.0
    critic = Critic(lambda x: 1.5 * x[:, 0, 0, 0] + x[:, 0, 0, 1], 5.0, 0, 1)
    threat = Threat(Budget("l1", 0.3), 0, 1, "fake")
    delta = Universal(steps=20).fitted(critic, x, threat).delta.flatten()
    # Mean gain per unit: 1.5/4 through the first value, 1 through the second.
    assert delta[1] == pytest.approx(0.3)


def test_halves_are_attacked_by_each_other():
    x = samples(9)
    threat = Threat(Budget("l2", 0.2), 0, 1, "fake")
    # Not linear, so that the perturbation depends on the samples it was fitted on.
    w = weights()
    critic = Critic(lambda x: torch.sin((x * w).flatten(1)).sum(1), 3.0, 0, 1)
    attack = Universal(steps=6)
    made = attack(critic, x, threat, np.random.default_rng(0))
    odd = attack.fitted(critic, x[1::2], threat)
    even = attack.fitted(critic, x[0::2], threat)
    assert not torch.equal(odd.delta, even.delta)
    torch.testing.assert_close(made[0::2], (x[0::2] + odd.delta).clamp(0, 1))
    torch.testing.assert_close(made[1::2], (x[1::2] + even.delta).clamp(0, 1))


def test_the_batch_changes_nothing():
    x = samples(30)
    threat = Threat(Budget("linf", 0.05), 0, 1, "fake")
    w = weights()
    critic = Critic(lambda x: torch.sin(3 * (x * w).flatten(1)).sum(1), 3.0, 0, 1)
    one = Universal(steps=8).fitted(critic, x, threat).delta
    many = Universal(steps=8, batch=7).fitted(critic, x, threat).delta
    torch.testing.assert_close(one, many, atol=1e-12, rtol=0)


def test_memory_that_runs_out_is_told_with_the_batch_that_fitted():
    x = samples(40)
    plain = linear(middle(x) + 0.2)

    def small(y):
        # Scores alone, without a tape, fit: it is the fitting that does not.
        if y.requires_grad and len(y) > 5:
            raise torch.OutOfMemoryError("no room")
        return plain.score(y)

    threat = Threat(Budget("linf", 0.02), 0, 1, "fake")
    whole = attempt(plain, Universal(8), x, threat, np.random.default_rng(0))
    halved = attempt(Critic(small, plain.threshold, 0, 1), Universal(8), x, threat, np.random.default_rng(0))
    assert whole.notes == ()
    assert halved.notes == ("One perturbation for all samples: batch halved from 256 to 4: out of memory",)
    torch.testing.assert_close(halved.samples, whole.samples, rtol=0, atol=1e-9)


def test_a_single_sample_stays():
    x = samples(1)
    threat = Threat(Budget("linf", 0.1), 0, 1, "fake")
    assert torch.equal(Universal()(linear(9), x, threat, np.random.default_rng(0)), x)


def test_a_campaign_says_that_it_could_not_be_made_where_every_class_has_one_sample():
    def of(*groups):
        x = samples(sum(len(places) for places in groups))
        critic = linear(middle(samples()) + 5)  # out of reach
        return Accused("fake", x, tuple(Group(critic, torch.tensor(places), c) for c, places in enumerate(groups)))

    threat, rng = Threat(Budget("linf", 0.1), 0, 1, "fake"), np.random.default_rng
    apart = of([0], [1], [2])
    found = apart.attempt(Universal(steps=4), threat, rng(0))
    assert (alone(apart, found, threat), found.backward) == (3, 0)
    some = of([0, 3, 4], [1], [2])
    found = some.attempt(Universal(steps=4), threat, rng(0))
    assert alone(some, found, threat) == 2
    assert found.backward > 0
    assert torch.equal(found.samples[[1, 2]], some.x[[1, 2]])
    assert not torch.equal(found.samples[[0, 3, 4]], some.x[[0, 3, 4]])


def test_bad_input_is_refused():
    threat = Threat(Budget("linf", 0.1), 0, 1, "fake")
    with pytest.raises(ValueError, match="steps"):
        Universal(steps=0)
    with pytest.raises(ValueError, match="samples to fit on"):
        Universal().fitted(linear(0), samples(0), threat)
    with pytest.raises(ValueError, match="1, 4, 6"):
        Planted(torch.zeros(1, 1, 4, 6))(linear(0), torch.zeros(2, 1, 5, 5), threat, np.random.default_rng(0))
    blind = Critic(lambda x: x.flatten(1).sum(1), 99.0, 0, 1, differentiable=False)
    with pytest.raises(ValueError, match="gradients"):
        Universal().fitted(blind, samples(4), threat)
