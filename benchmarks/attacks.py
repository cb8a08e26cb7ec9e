"""Attacks on a small convolutional discriminator against foolbox's, at equal steps and batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measuring import paired, record
from ganaudit.attacks.balls import norms
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.gradient import Pgd
from ganaudit.attacks.minimal import MinimalNorm
from ganaudit.attacks.threat import Attack, Budget, Norm, Threat
from ganaudit.attacks.trial import attempt

BATCH = 128
STEPS = 40
RADIUS = 16 / 255  # 8/255 of the range

Peer = Callable[[], Tensor]


def attacks(repeats: int = 9) -> list[dict[str, Any]]:
    """Return the rows for projected steps (linf) and for minimal norms (l2, linf).

    foolbox is called as its users call it, on two columns of the same margin, and the network's parameters ask for no
    gradients: it would else compute those as well. ``error``: share of samples still called rightly after ours minus
    after foolbox's, or our median norm over foolbox's minus 1; below 0: ours is the stronger.
    """
    body, x = _discriminator(), _samples()
    with torch.no_grad():
        threshold = float(body(x)[:, 0].quantile(0.95)) + 0.1
    critic = Critic(lambda y: body(y)[:, 0], threshold, -1.0, 1.0)
    peers = _Peers(body, x, threshold)
    work = f"{{}}, {STEPS} steps, batch {BATCH} of 1x32x32"
    linf, l2 = "minimal norm, linf", "minimal norm, l2"
    return [
        _bounded(work.format("PGD, linf"), critic, x, peers.pgd, repeats),
        _minimal(work.format(linf), "foolbox FMN", critic, x, "linf", peers.minimal("LInfFMNAttack"), repeats),
        _minimal(work.format(l2), "foolbox FMN", critic, x, "l2", peers.minimal("L2FMNAttack"), repeats),
        _minimal(work.format(l2), "foolbox DDN", critic, x, "l2", peers.minimal("DDNAttack"), repeats),
    ]


def _discriminator() -> nn.Module:
    torch.manual_seed(0)
    layers = []
    for taken, made in ((1, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(taken, made, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 1)).eval().requires_grad_(False)


def _samples() -> Tensor:
    unit = np.random.default_rng(0).random((BATCH, 1, 32, 32), dtype=np.float32)
    return torch.from_numpy(1.6 * unit - 0.8)


class _Columns(nn.Module):
    def __init__(self, body: nn.Module, threshold: float) -> None:
        super().__init__()
        self.body, self.threshold = body, threshold

    def forward(self, x: Tensor) -> Tensor:
        margin = self.threshold - self.body(x)[:, 0]
        return torch.stack([-margin, margin], 1)


class _Peers:
    """foolbox's attacks on the margin of generated samples."""

    def __init__(self, body: nn.Module, x: Tensor, threshold: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import foolbox
        self._foolbox = foolbox
        self._model = foolbox.PyTorchModel(_Columns(body, threshold).eval(), bounds=(-1, 1), device=x.device)
        self._x, self._right = x, torch.ones(len(x), dtype=torch.long)

    def pgd(self) -> Tensor:
        attack = self._foolbox.attacks.LinfPGD(steps=STEPS, rel_stepsize=0.1)
        attack.get_loss_fn = lambda model, _: lambda y: (lambda u: (u[:, 0] - u[:, 1]).sum())(model(y))
        return attack(self._model, self._x, self._right, epsilons=RADIUS)[1]

    def minimal(self, name: str) -> Peer:
        attack = getattr(self._foolbox.attacks, name)(steps=STEPS)
        return lambda: attack(self._model, self._x, self._right, epsilons=None)[1]


def _bounded(work: str, critic: Critic, x: Tensor, theirs: Peer, repeats: int) -> dict[str, Any]:
    threat = Threat(Budget("linf", RADIUS), -1.0, 1.0, "fake")
    ours = _called(Pgd(STEPS), critic, x, threat)
    pair = paired(ours, theirs, repeats)
    error = _robust(critic, ours()) - _robust(critic, theirs())
    tried = paired(lambda: attempt(critic, Pgd(STEPS), x, threat, np.random.default_rng(0)), theirs, 1, warm=False)
    return record(work, "foolbox PGD", pair, 1.0, error, ratio_with_all_tests_of_ours=round(tried.ratio, 3))


def _minimal(work: str, peer: str, critic: Critic, x: Tensor, norm: Norm, theirs: Peer, repeats: int) -> dict[str, Any]:
    ours = _called(MinimalNorm(STEPS), critic, x, Threat(Budget(norm, 1.0), -1.0, 1.0, "fake"))
    pair = paired(ours, theirs, repeats)
    error = _median(critic, x, ours(), norm) / _median(critic, x, theirs(), norm) - 1
    return record(work, peer, pair, 1.0, error)


def _called(attack: Attack, critic: Critic, x: Tensor, threat: Threat) -> Peer:
    return lambda: attack(critic, x, threat, np.random.default_rng(0))


def _robust(critic: Critic, made: Tensor) -> float:
    return 1.0 - float(critic.fooled(made, "fake").double().mean())


def _median(critic: Critic, x: Tensor, made: Tensor, norm: Norm) -> float:
    sizes = torch.where(critic.fooled(made, "fake"), norms(made - x, norm), torch.inf)
    return float(sizes.quantile(0.5, interpolation="lower"))


if __name__ == "__main__":
    for row in attacks():
        print(row)
