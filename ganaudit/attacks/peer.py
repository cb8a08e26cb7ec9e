"""Attacks of foolbox behind the same contract, as a cross-check: it sees the raw margin, and its result is not trusted.

foolbox wants one column per class and takes a cross-entropy of them. A large score then ends the gradient: of a linear
critic with scores x1000 its own robust accuracy is 0.89 where the truth is 0.25. Here it is given the columns (-u, u)
of the raw margin u, in the unit of the largest clean margin of the batch.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ganaudit.attacks.critic import Critic, Side, ascent
from ganaudit.attacks.threat import Kind, Norm, Threat
from ganaudit.document.errors import ConfigError
from ganaudit.numerics.arguments import whole

__all__ = ["FoolboxDdn", "FoolboxFmn", "FoolboxPgd"]

_GENERATED = {"fake": 1, "real": 0}  # the column of the right answer; equal columns are read as the first, "real"
_PGD: dict[Norm, str] = {
    "linf": "LinfProjectedGradientDescentAttack",
    "l2": "L2ProjectedGradientDescentAttack",
    "l1": "L1ProjectedGradientDescentAttack",
}
_FMN: dict[Norm, str] = {"linf": "LInfFMNAttack", "l2": "L2FMNAttack", "l1": "L1FMNAttack"}


@dataclass(frozen=True, slots=True)
class FoolboxPgd:
    """foolbox's projected gradient steps on the raw margin.

    A step is max(2.5/steps, 1/10) of the radius; foolbox's own 1/30 cannot cross the ball in 40 steps. The last point
    is returned, as foolbox does. Its random start is one draw for a whole batch. Passes: ``steps`` + 1 forward,
    ``steps`` backward. ValueError for fewer than 1 step; ConfigError when foolbox is not installed.
    """

    steps: int = 40
    random_start: bool = True

    id: ClassVar[str] = "foolbox-pgd"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "Projected gradient steps of foolbox"

    def __post_init__(self) -> None:
        whole(self.steps, "steps", 1)

    def check(self) -> None:
        """Raise ConfigError when foolbox is not installed."""
        _foolbox(self.id)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return foolbox's last point for each sample."""
        made = getattr(_foolbox(self.id).attacks, _PGD[threat.budget.norm])
        attack = made(steps=self.steps, rel_stepsize=max(2.5 / self.steps, 0.1), random_start=self.random_start)
        right = _GENERATED[threat.side]

        def loss_fn(model: Any, _: Any) -> Any:
            def loss(inputs: Any) -> Any:
                columns = model(inputs)
                return (columns[:, 1 - right] - columns[:, right]).sum()

            return loss

        attack.get_loss_fn = loss_fn
        return _run(self.id, attack, critic, x, threat, rng, epsilon=threat.budget.radius / _span(critic))


@dataclass(frozen=True, slots=True)
class FoolboxFmn:
    """foolbox's fast minimum norm attack (Pintor et al. 2021), whose loss is a difference of columns: the margin.

    The budget's radius is not looked at, its norm is. ``max_stepsize`` is the first step in the Euclidean norm, in
    units of the range; foolbox's default 1 does not suit every size of sample, so try several. Samples for which it
    finds nothing stay. In l2 foolbox 3.3.4 divides a norm by itself where it should project, and so never projects:
    at its default step it returns 12 times the true distance on a linear critic. Passes: ``steps`` + 1 forward,
    ``steps`` backward. ValueError for fewer than 1 step, a step that is not positive and a gamma outside 0 to 1;
    ConfigError when foolbox is not installed.
    """

    steps: int = 100
    max_stepsize: float = 1.0
    gamma: float = 0.05

    id: ClassVar[str] = "foolbox-fmn"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "Fast minimum norm of foolbox"

    def __post_init__(self) -> None:
        whole(self.steps, "steps", 1)
        if not self.max_stepsize > 0:
            raise ValueError(f"max_stepsize: found {self.max_stepsize}; allowed: above 0")
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma: found {self.gamma}; allowed: above 0, below 1")

    def check(self) -> None:
        """Raise ConfigError when foolbox is not installed."""
        _foolbox(self.id)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return the nearest point beyond the boundary that foolbox came across."""
        made = getattr(_foolbox(self.id).attacks, _FMN[threat.budget.norm])
        attack = made(steps=self.steps, max_stepsize=self.max_stepsize, gamma=self.gamma)
        return _run(self.id, attack, critic, x, threat, rng)


@dataclass(frozen=True, slots=True)
class FoolboxDdn:
    """foolbox's decoupled direction and norm attack (Rony et al. 2019), l2 alone.

    Its loss is a cross-entropy, of which it takes the direction alone: that of the margin, as long as the margin's
    unit keeps it from ending, which the adapter's does. Passes as ``FoolboxFmn``. ValueError for fewer than 1 step
    and for another norm; ConfigError when foolbox is not installed.
    """

    steps: int = 100
    gamma: float = 0.05

    id: ClassVar[str] = "foolbox-ddn"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "Decoupled direction and norm of foolbox"

    def __post_init__(self) -> None:
        whole(self.steps, "steps", 1)
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma: found {self.gamma}; allowed: above 0, below 1")

    def check(self) -> None:
        """Raise ConfigError when foolbox is not installed."""
        _foolbox(self.id)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return the nearest point beyond the boundary that foolbox came across."""
        if threat.budget.norm != "l2":
            raise ValueError(f"norm: found {threat.budget.norm!r}; allowed for {self.id}: l2")
        attack = _foolbox(self.id).attacks.DDNAttack(steps=self.steps, gamma=self.gamma)
        return _run(self.id, attack, critic, x, threat, rng)


def _foolbox(wanted: str) -> Any:
    try:
        with warnings.catch_warnings():
            # foolbox 3.3.4, the last one, imports a name that SciPy has moved; nothing used here needs it.
            warnings.filterwarnings("ignore", r"Please import `\w+` from the `scipy\.ndimage`", DeprecationWarning)
            import foolbox
    except ImportError as error:
        raise ConfigError(
            f"{wanted}: foolbox cannot be imported ({str(error).strip().splitlines()[0]}); "
            "pip install 'ganaudit[foolbox]', and have the program git on the PATH, which foolbox asks for"
        ) from None
    return foolbox


def _run(
    wanted: str, attack: Any, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator, **more: Any
) -> Tensor:
    """Return what ``attack`` makes of ``x``, run on samples from 0 to 1, which foolbox's step sizes are meant for."""
    foolbox = _foolbox(wanted)
    low, span = critic.low, _span(critic)
    unit = ((x.detach() - low) / span).clamp(0, 1)
    adapter = _Columns(critic, threat.side, _largest(critic, x, threat.side)).eval()
    model = foolbox.PyTorchModel(adapter, bounds=(0, 1), device=x.device)
    right = torch.full((len(x),), _GENERATED[threat.side], device=x.device)
    # foolbox draws from torch's own generator, which is given back as it was.
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(int(rng.integers(2**63)))
        made: Tensor = attack.run(model, unit, foolbox.criteria.Misclassification(right), **more)
    return x + (made.detach() - unit) * span


def _span(critic: Critic) -> float:
    return critic.high - critic.low


def _largest(critic: Critic, x: Tensor, side: Side) -> float:
    with torch.no_grad():
        margins = critic.margin(x, side).abs()
    known = margins[torch.isfinite(margins) & (margins > 0)]
    return float(known.max()) if len(known) else 1.0


class _Columns(nn.Module):
    """Columns ("real", "generated") whose difference is twice the margin over ``unit``.

    Gradients come from ``ascent``: foolbox calls ``backward``, which would else write into the critic's parameters.
    """

    def __init__(self, critic: Critic, side: Side, unit: float) -> None:
        super().__init__()
        self._critic = critic
        self._side: Side = side
        self._unit = unit

    def forward(self, samples: Tensor) -> Tensor:
        critic, span = self._critic, _span(self._critic)
        x = critic.low + samples.detach() * span
        if samples.requires_grad:
            margins, falling = ascent(critic, x, self._side)
            slope = falling * (-span / self._unit)
            inner = (samples * slope).flatten(1).sum(1)
            tangent = inner - inner.detach()  # nothing, with the margin's gradient
        else:
            margins, tangent = critic.margin(x, self._side), samples.new_zeros(len(samples))
        right = (margins / self._unit).to(samples.dtype) + tangent
        real = -right if self._side == "fake" else right
        return torch.stack([real, -real], dim=1)
