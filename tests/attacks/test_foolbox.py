"""Against foolbox on the same critics: ours are never the weaker, and the adapter hides no margin."""

import builtins
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganaudit import registry
from ganaudit.attacks.balls import NORMS, Norm
from ganaudit.attacks.critic import SIDES, Critic, Side
from ganaudit.attacks.gradient import Fgsm, Pgd
from ganaudit.attacks.minimal import covering, minimal_norms
from ganaudit.attacks.peer import FoolboxDdn, FoolboxFmn, FoolboxPgd
from ganaudit.attacks.threat import Attack, Budget, Threat
from ganaudit.attacks.trial import Counter, attempt
from ganaudit.data.digits import load_digits
from ganaudit.document.errors import ConfigError
from ganaudit.locations import reference_model
from ganaudit.subjects.directory import Directory
from ganaudit.subjects.loading import LoadOptions
from tests.attacks.critics import DUAL, RANGES, between, flat, linear, samples, threshold_for, weights

PGD_NORMS: tuple[Norm, ...] = ("linf", "l2")
# First steps of FMN in units of the range: its own default, and shorter ones; the best of each median counts.
STRIDES = (1.0, 0.2, 0.05)


def present() -> None:
    try:
        FoolboxPgd(1)(*_smallest(), np.random.default_rng(0))
    except ConfigError as error:
        pytest.skip(str(error))


def _smallest() -> tuple[Critic, Tensor, Threat]:
    critic = linear(weights(4), 0.0, 0.0, 1.0)
    return critic, torch.full((1, 1, 2, 2), 0.5), Threat(Budget("linf", 0.1), 0.0, 1.0, "fake")


def tried(critic: Critic, attack: Attack, x: Tensor, norm: Norm, radius: float, side: Side) -> Tensor:
    threat = Threat(Budget(norm, radius), critic.low, critic.high, side)
    return attempt(critic, attack, x, threat, np.random.default_rng(0)).fooled


def nearest(critic: Critic, attack: Attack, x: Tensor, norm: Norm, side: Side) -> Tensor:
    """Norms of what a minimal-norm attack of foolbox made, tested by the caller; infinite where it failed."""
    threat = Threat(Budget(norm, covering(norm, x, critic.high - critic.low)), critic.low, critic.high, side)
    outcome = attempt(critic, attack, x, threat, np.random.default_rng(0))
    right = ~critic.fooled_of(outcome.scores_before, side)
    return torch.where(right, torch.where(outcome.fooled, outcome.norms, torch.inf), 0.0)


def median(sizes: Tensor) -> float:
    return float(sizes.sort().values[len(sizes) // 2])


def network(seed: int, act: type[nn.Module], side: Side) -> tuple[Critic, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    body = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), act(), nn.Conv2d(8, 16, 3, 2, 1), act(), nn.Flatten(), nn.Linear(144, 1)
    ).eval()
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 2 / parameter[0].numel() ** 0.5)
    x = samples(48, (1, 12, 12), -1, 1, inner=1.0, seed=seed)
    threshold = float(body(x).detach().quantile(0.9 if side == "fake" else 0.1))
    return Critic(lambda y: body(y)[:, 0], threshold, -1.0, 1.0), x


@cache
def reference(side: Side) -> tuple[Critic, Tensor]:
    """The reference subject's discriminator, on 48 samples of its own or of the test split."""
    folder = reference_model("digits")
    assert folder is not None
    subject = Directory().load(folder, LoadOptions(network=lambda name: registry.find("networks", name)))
    body = subject.discriminator
    assert body is not None
    with torch.no_grad():
        x = subject.generate(subject.latents(0, 0, 48)) if side == "fake" else _digits()
        scores = body(x).flatten().double()
    threshold = float(scores.quantile(0.95 if side == "fake" else 0.05))
    return Critic(lambda y: body(y).flatten(), threshold, -1.0, 1.0), x


def _digits() -> Tensor:
    return load_digits().splits["test"].values(range(48), -1.0, 1.0)


def check_bounded(critic: Critic, x: Tensor, norm: Norm, side: Side, radii: tuple[float, ...]) -> None:
    for radius in radii:
        # Fooled and robust in whole samples: at most one sample may go the other way, at any budget.
        ours = int(tried(critic, Pgd(), x, norm, radius, side).sum())
        assert ours >= int(tried(critic, FoolboxPgd(), x, norm, radius, side).sum()) - 1
        assert ours >= int(tried(critic, Fgsm(), x, norm, radius, side).sum())


def check_minimal(critic: Critic, x: Tensor, norm: Norm, side: Side, steps: int = 40) -> None:
    ours = median(minimal_norms(critic, x, norm, side=side, steps=steps).norms)
    peers: list[Attack] = [FoolboxFmn(steps, stride) for stride in STRIDES]
    if norm == "l2":
        peers.append(FoolboxDdn(steps))
    theirs = {peer: median(nearest(critic, peer, x, norm, side)) for peer in peers}
    assert min(theirs.values()) < np.inf
    assert ours <= 1.01 * min(theirs.values()), theirs


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("norm", NORMS)
def test_linear_critics(norm: Norm, low: float, high: float, side: Side) -> None:
    present()
    x, w = samples(48, (1, 6, 6), low, high, inner=0.05 if norm == "l1" else 0.2), weights(36)
    scores = flat(x) @ w
    critic = linear(w, threshold_for(scores, side), low, high)
    distances = np.maximum(critic.margin_of(torch.from_numpy(scores), side).numpy(), 0) / np.linalg.norm(w, DUAL[norm])
    radius = between(distances, 0.5)
    if norm != "l1":  # foolbox's steps of l1 are the gradient itself, which is not the steepest there
        theirs = tried(critic, FoolboxPgd(random_start=False), x, norm, radius, side)
        assert np.array_equal(theirs.numpy(), distances <= radius)
    check_bounded(critic, x, norm, side, (0.5 * radius, radius, 1.5 * radius))
    check_minimal(critic, x, norm, side)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("act", [nn.SiLU, nn.LeakyReLU])
@pytest.mark.parametrize("norm", PGD_NORMS)
def test_convolutional_critics(norm: Norm, act: type[nn.Module], side: Side) -> None:
    present()
    critic, x = network(0, act, side)
    check_bounded(critic, x, norm, side, (0.01, 0.03, 0.1) if norm == "linf" else (0.1, 0.3, 1.0))
    check_minimal(critic, x, norm, side)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("norm", PGD_NORMS)
def test_the_reference_subject(norm: Norm, side: Side) -> None:
    present()
    critic, x = reference(side)
    radii = tuple(k / 255 * 2 for k in (1, 2, 4, 8)) if norm == "linf" else (0.15, 0.3, 0.6)
    check_bounded(critic, x, norm, side, radii)
    check_minimal(critic, x, norm, side)


@pytest.mark.parametrize("attack", [FoolboxPgd(), FoolboxFmn(), FoolboxDdn()], ids=lambda attack: attack.id)
@pytest.mark.parametrize(("factor", "offset"), [(1e-3, 50.0), (1e3, -50.0), (1e6, 0.0)])
def test_unit_and_zero_of_the_score_change_nothing(attack: Attack, factor: float, offset: float) -> None:
    """Finding 2: with a cross-entropy of the raw scores x1000, foolbox calls 0.9 of them robust."""
    present()
    norm: Norm = "linf" if attack.id == "foolbox-pgd" else "l2"
    x, w = samples(64, (1, 6, 6), -1, 1, inner=0.3), weights(36)
    plain = linear(w, threshold_for(flat(x) @ w, "fake"), -1, 1)
    moved = replace(
        plain, score=lambda y: plain.score(y) * factor + offset, threshold=plain.threshold * factor + offset
    )
    distances = np.maximum(plain.threshold - flat(x) @ w, 0) / np.linalg.norm(w, DUAL[norm])
    if attack.id == "foolbox-pgd":
        radius = between(distances, 0.75)
        found = [tried(critic, attack, x, norm, radius, "fake") for critic in (plain, moved)]
        assert torch.equal(found[0], found[1])
        assert np.array_equal(found[0].numpy(), distances <= radius)
    else:
        found = [nearest(critic, attack, x, norm, "fake") for critic in (plain, moved)]
        # A verdict on the boundary may turn by rounding, and with it one step of at most 5 % of the norm.
        torch.testing.assert_close(found[0], found[1], rtol=0.05, atol=0)
        assert torch.isfinite(found[0]).all()


def test_parameters_and_torchs_own_generator_are_left_alone() -> None:
    present()
    critic, x = network(0, nn.SiLU, "fake")
    body = nn.Sequential(nn.Flatten(), nn.Linear(144, 1)).eval()
    critic = replace(critic, score=lambda y: body(y)[:, 0])
    before = torch.random.get_rng_state()
    threat = Threat(Budget("l2", 0.5), -1.0, 1.0, "fake")
    for attack in (FoolboxPgd(3), FoolboxFmn(3), FoolboxDdn(3)):
        counter = Counter(critic)
        one, two = (attack(counter.critic, x, threat, np.random.default_rng(5)) for _ in range(2))
        assert torch.equal(one, two)
        assert (counter.forward, counter.backward) == (2 * 4 * len(x), 2 * 3 * len(x))
    assert all(parameter.grad is None for parameter in body.parameters())
    assert torch.equal(before, torch.random.get_rng_state())


def test_waveforms() -> None:
    present()
    x, w = samples(32, (1, 100), -1, 1, inner=0.2), weights(100)
    critic = linear(w, threshold_for(flat(x) @ w, "fake"), -1, 1)
    check_minimal(critic, x, "l2", "fake")
    check_bounded(critic, x, "linf", "fake", (0.02,))


def test_options_and_norms_are_checked() -> None:
    critic, x, threat = _smallest()
    for made in (FoolboxPgd, FoolboxFmn, FoolboxDdn):
        with pytest.raises(ValueError, match="steps: found 0"):
            made(0)
        assert registry.find("attacks", made.id) is made
    with pytest.raises(ValueError, match="max_stepsize: found -1"):
        FoolboxFmn(max_stepsize=-1)
    for gamed in (FoolboxFmn, FoolboxDdn):
        with pytest.raises(ValueError, match="gamma: found 1"):
            gamed(gamma=1)
    with pytest.raises(ValueError, match="norm: found 'linf'; allowed for foolbox-ddn: l2"):
        FoolboxDdn()(critic, x, threat, np.random.default_rng(0))


@pytest.mark.parametrize("words", ["No module named 'foolbox'", "Bad git executable.\nThe git executable must be ..."])
def test_without_foolbox_it_says_what_to_install(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = builtins.__import__

    def refusing(name: str, *args: object, **more: object) -> object:
        if name == "foolbox":
            raise ImportError(words)
        return honest(name, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(ConfigError, match=r"foolbox-pgd: foolbox .*pip install 'ganaudit\[foolbox\]'.*git on the PATH"):
        FoolboxPgd()(*_smallest(), np.random.default_rng(0))
