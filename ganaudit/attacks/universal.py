"""One perturbation for all samples, judged on samples that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.accused import Accused
from ganaudit.attacks.balls import projected, steepest
from ganaudit.attacks.critic import Critic, ascent
from ganaudit.attacks.threat import Kind, Threat
from ganaudit.attacks.trial import Outcome, scored
from ganaudit.numerics.arguments import whole
from ganaudit.numerics.memory import in_parts

__all__ = ["Planted", "Universal", "alone"]


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """One perturbation, (1, ...), added to every sample: what ``Universal.fitted`` returns, as an attack."""

    delta: Tensor

    id: ClassVar[str] = "universal"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "One perturbation for all samples"

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return every sample plus the perturbation, clipped to the range. ValueError for another shape."""
        if x.shape[1:] != self.delta.shape[1:]:
            raise ValueError(f"x: found shape {tuple(x.shape)}; allowed: (samples, {_listed(self.delta.shape[1:])})")
        return (x + self.delta.to(x)).clamp(threat.low, threat.high)


@dataclass(frozen=True, slots=True)
class Universal:
    """One perturbation within the budget, by projected steps on the mean hinge of the margin.

    Falls along mean max(0, margin + slack) over the samples it is fitted on, slack the median |margin| before: with
    no slack it would stop where those samples just cross, and the next ones would not. Each of ``steps`` takes the
    gradient of all samples, in parts of ``batch``; a step is 2.5·radius/steps long, in the first half
    never below radius/10. The perturbation of the lowest
    hinge is kept (after Moosavi-Dezfooli et al. 2017 and Shafahi et al. 2020). Nothing is random.

    As an attack it is fitted crosswise: of the samples given, those at even places get the perturbation fitted on
    those at odd places, and the other way round, so that none is judged by a perturbation that has seen it. A single
    sample stays as it is (``alone`` counts them). For one perturbation for everything: ``fitted`` on other samples,
    then ``Planted``.
    ValueError for fewer than 1 step or a batch below 1.
    """

    steps: int = 40
    batch: int = 256

    id: ClassVar[str] = "universal"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "One perturbation for all samples"

    def __post_init__(self) -> None:
        whole(self.steps, "steps", 1)
        whole(self.batch, "batch", 1)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return each half of the samples with the perturbation of the other half."""
        if len(x) < 2:
            return x.clone()
        made = x.clone()
        for mine, other in ((0, 1), (1, 0)):
            made[mine::2] = self.fitted(critic, x[other::2], threat)(critic, x[mine::2], threat, rng)
        return made

    def fitted(self, critic: Critic, x: Tensor, threat: Threat) -> Planted:
        """Return the perturbation fitted on ``x`` (B, ...); ValueError for no samples."""
        whole(len(x), "samples to fit on", 1)
        delta = torch.zeros_like(x[:1])
        best, lowest = delta, float("inf")
        scores, batch = scored(critic, x, self.batch)
        slack = float(critic.margin_of(scores, threat.side).abs().nanmedian())
        for k in range(self.steps + 1):
            hinge, gradient, batch = self._hinge(critic, x, threat, delta, slack, batch)
            if hinge < lowest:
                best, lowest = delta, hinge
            if k == self.steps or not bool(gradient.any()):
                break
            # No box here: how far a value may move differs from sample to sample.
            step = steepest(gradient, threat.budget.norm, self._length(k, threat.budget.radius), None, None)
            delta = projected(delta + step.to(delta), threat.budget.norm, threat.budget.radius, None, None)
        if batch < self.batch:
            critic.told(f"{self.title}: batch halved from {self.batch} to {batch}: out of memory")
        return Planted(best)

    def _length(self, k: int, radius: float) -> float:
        plain = 2.5 * radius / self.steps
        return max(plain, radius / 10) if 2 * k < self.steps else plain

    def _hinge(
        self, critic: Critic, x: Tensor, threat: Threat, delta: Tensor, slack: float, batch: int
    ) -> tuple[float, Tensor, int]:
        """Return the mean hinge at ``delta``, the direction, (1, ...) float64, along which it falls, and the batch."""
        sums: list[float] = []
        gradient = torch.zeros_like(delta, dtype=torch.float64)

        def add(start: int, stop: int) -> None:
            part = x[start:stop]
            placed = (part + delta).clamp(threat.low, threat.high)
            margins, falling = ascent(critic, placed, threat.side)
            active = margins + slack > 0
            # What stands at a wall does not move any further: a clipped value has no gradient.
            free = (part + delta >= threat.low) & (part + delta <= threat.high)
            gradient.add_((falling.double() * free)[active].sum(0, keepdim=True))
            sums.append(float((margins + slack)[active].sum()))

        # Halved here, not by the caller: the perturbation is one for all samples that it is fitted on.
        batch = in_parts(len(x), batch, add)
        return sum(sums) / len(x), gradient, batch


def alone(mine: Accused, found: Outcome, threat: Threat) -> int:
    """Return how many samples of ``mine``, called rightly before ``found``, are the only such of their class.

    An attack that is fitted on other samples of the class leaves them as they are.
    """
    right = [
        int((~group.critic.fooled_of(found.scores_before[group.places], threat.side)).sum()) for group in mine.groups
    ]
    return right.count(1)


def _listed(shape: torch.Size) -> str:
    return ", ".join(str(size) for size in shape)
