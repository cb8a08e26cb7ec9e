"""Attacks on a small convolutional discriminator against foolbox's, at equal steps and batch."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measuring import Worker, paired, record, serve
from ganaudit.attacks.balls import norms
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.gradient import Pgd
from ganaudit.attacks.minimal import MinimalNorm
from ganaudit.attacks.threat import Attack, Budget, Norm, Threat
from ganaudit.attacks.trial import attempt
from ganaudit.numerics.allocator import keep_memory

BATCH = 128
STEPS = 40
RADIUS = 16 / 255  # 8/255 of the range

Call = Callable[[], Tensor]
PGD = "pgd"
MINIMAL: dict[str, Norm] = {"LInfFMNAttack": "linf", "L2FMNAttack": "l2", "DDNAttack": "l2"}
"""foolbox's attacks of minimal norm, and the norm of each."""


def attacks(repeats: int = 9) -> list[dict[str, Any]]:
    """Return the rows for projected steps (linf) and for minimal norms (l2, linf).

    foolbox is called as its users call it, on two columns of the same margin, and the network's parameters ask for no
    gradients: it would else compute those as well. Each side works in a process of its own, as its user would run it:
    how ours keeps memory, as every audit does, does not help the peer. ``error``: share of samples still called rightly
    after ours minus after foolbox's, or our median norm over foolbox's minus 1; below 0: ours is the stronger.
    """
    return [_bounded(repeats), *(_minimal(name, repeats) for name in MINIMAL)]


class _Setting:
    """The network, the samples and both sides' attacks on them."""

    def __init__(self) -> None:
        body, self.x = _discriminator(), _samples()
        with torch.no_grad():
            threshold = float(body(self.x)[:, 0].quantile(0.95)) + 0.1
        self.critic = Critic(lambda y: body(y)[:, 0], threshold, -1.0, 1.0)
        self._peers = _Peers(body, self.x, threshold)

    def ours(self, name: str) -> Call:
        """Return our attack of the kind that ``name`` is."""
        if name == PGD:
            return self._called(Pgd(STEPS), Budget("linf", RADIUS))
        return self._called(MinimalNorm(STEPS), Budget(MINIMAL[name], 1.0))

    def tried(self) -> Call:
        """Return ours as an audit calls it: with all tests before and after."""
        threat = _threat(Budget("linf", RADIUS))
        return lambda: attempt(self.critic, Pgd(STEPS), self.x, threat, np.random.default_rng(0)).samples

    def peer(self, name: str) -> Call:
        """Return foolbox's attack ``name``."""
        return self._peers.pgd if name == PGD else self._peers.minimal(name)

    def _called(self, attack: Attack, budget: Budget) -> Call:
        return lambda: attack(self.critic, self.x, _threat(budget), np.random.default_rng(0))


def _threat(budget: Budget) -> Threat:
    return Threat(budget, -1.0, 1.0, "fake")


def serve_attack(who: str, name: str) -> None:
    """Attack when asked."""
    setting = _Setting()
    if who != "peer":
        keep_memory()
    serve({"ours": setting.ours, "peer": setting.peer, "tried": lambda _: setting.tried()}[who](name))


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

    def minimal(self, name: str) -> Call:
        attack = getattr(self._foolbox.attacks, name)(steps=STEPS)
        return lambda: attack(self._model, self._x, self._right, epsilons=None)[1]


def _bounded(repeats: int) -> dict[str, Any]:
    setting = _Setting()
    with _worker("ours", PGD) as ours, _worker("peer", PGD) as theirs, _worker("tried", PGD) as tried:
        pair, whole = paired(ours, theirs, repeats), paired(tried, theirs, repeats)
    error = _robust(setting.critic, setting.ours(PGD)()) - _robust(setting.critic, setting.peer(PGD)())
    more = {"ratio_with_all_tests_of_ours": round(whole.ratio, 3)}
    return record(_work("PGD, linf"), "foolbox PGD", pair, 1.0, error, **more)


def _minimal(name: str, repeats: int) -> dict[str, Any]:
    setting, norm = _Setting(), MINIMAL[name]
    with _worker("ours", name) as ours, _worker("peer", name) as theirs:
        pair = paired(ours, theirs, repeats)
    sizes = [_median(setting.critic, setting.x, made(), norm) for made in (setting.ours(name), setting.peer(name))]
    peer = "foolbox DDN" if name.startswith("DDN") else "foolbox FMN"
    return record(_work(f"minimal norm, {norm}"), peer, pair, 1.0, sizes[0] / sizes[1] - 1)


def _worker(who: str, name: str) -> Worker:
    return Worker("benchmarks.attacks", who=who, name=name)


def _work(what: str) -> str:
    return f"{what}, {STEPS} steps, batch {BATCH} of 1x32x32"


def _robust(critic: Critic, made: Tensor) -> float:
    return 1.0 - float(critic.fooled(made, "fake").double().mean())


def _median(critic: Critic, x: Tensor, made: Tensor, norm: Norm) -> float:
    sizes = torch.where(critic.fooled(made, "fake"), norms(made - x, norm), torch.inf)
    return float(sizes.quantile(0.5, interpolation="lower"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve_attack(**json.loads(sys.argv[1]))
    else:
        for row in attacks():
            print(row)
