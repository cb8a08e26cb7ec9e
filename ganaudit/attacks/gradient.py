"""White-box attacks inside a ball: one step, projected steps with restarts, and steps that set their own length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.chance import Draws
from ganaudit.attacks.critic import Critic, ascent
from ganaudit.attacks.threat import Box, Kind, Norm, Threat
from ganaudit.numerics.arguments import whole

__all__ = ["Apgd", "Best", "Fgsm", "Pgd", "checkpoints"]

_FAR = 1e6
_MOMENTUM = 0.75
_PROGRESS = 0.75


class Best:
    """The sample of lowest margin seen so far, for each of B samples."""

    def __init__(self, x: Tensor) -> None:
        self.samples = x
        self.margins = torch.full((len(x),), math.inf, dtype=torch.float64, device=x.device)

    def offer(self, samples: Tensor, margins: Tensor, rows: Tensor | None = None) -> Tensor:
        """Take over those of ``samples`` (at ``rows``) whose margin is lower; return which, a bool for each row.

        A margin that is no number is never lower.
        """
        if rows is None:
            better = margins < self.margins
            self.margins = torch.where(better, margins, self.margins)
            column = better.view(-1, *[1] * (samples.ndim - 1))
            # Mostly all of them are better: then nothing needs to be copied.
            self.samples = samples if bool(better.all()) else torch.where(column, samples, self.samples)
            return better
        better = margins < self.margins[rows]
        self.margins, self.samples = self.margins.clone(), self.samples.clone()
        self.margins[rows[better]] = margins[better]
        self.samples[rows[better]] = samples[better]
        return better


@dataclass(frozen=True, slots=True)
class Fgsm:
    """One step along the gradient to the edge of the ball.

    The best point of ball and box for the critic's tangent, so exact for a linear critic, with the box active as
    well. linf: x + radius·sign(gradient), clipped (Goodfellow et al. 2015). One forward and one backward pass.
    """

    id: ClassVar[str] = "fgsm"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "One gradient step"

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return the samples moved once; one whose gradient is zero stays."""
        _, gradient = ascent(critic, x, threat.side)
        return to_edge(x, gradient, threat)


@dataclass(frozen=True, slots=True)
class Pgd:
    """Projected gradient steps, with restarts (Madry et al. 2018).

    The first start is the sample itself, the others are random points of the ball. A step is 2.5·radius/steps long,
    in the first half never below radius/10, so that every start can cross the whole ball; l1 takes the Frank-Wolfe
    lengths 2·radius/(k + 2). For each sample the point of lowest margin of all steps and starts is kept. Passes:
    ``restarts``·(``steps`` + 1) forward, ``restarts``·``steps`` backward. ValueError for fewer than 1 step or restart.
    """

    steps: int = 40
    restarts: int = 1
    stop_when_fooled: bool = False
    """Stop with a sample once it has crossed: faster, with the same robust accuracy, but its score is not the worst."""

    id: ClassVar[str] = "pgd"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "Projected gradient steps"

    def __post_init__(self) -> None:
        whole(self.steps, "steps", 1)
        whole(self.restarts, "restarts", 1)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return for each sample the point of lowest margin."""
        best = Best(x)
        draws = Draws(rng, x) if self.restarts > 1 else None
        for restart in range(self.restarts):
            start = x if restart == 0 or draws is None else threat.anywhere(x, draws)
            self._walk(critic, x, start, threat, best)
        return best.samples

    def _walk(self, critic: Critic, x: Tensor, start: Tensor, threat: Threat, best: Best) -> None:
        rows, now = None, start
        box = threat.box(x)
        for k in range(self.steps):
            if self.stop_when_fooled:
                rows, now, box = self._going(rows, now, x, threat, best, box)
                if not len(now):
                    return
            margins, gradient = ascent(critic, now, threat.side)
            best.offer(now, margins, rows)
            length = self.length(k, threat.budget.radius, threat.budget.norm)
            now = threat.step(x if rows is None else x[rows], now, gradient, length, box=box)
        with torch.no_grad():
            best.offer(now, critic.margin(now, threat.side), rows)

    def _going(
        self, rows: Tensor | None, now: Tensor, x: Tensor, threat: Threat, best: Best, box: Box | None
    ) -> tuple[Tensor | None, Tensor, Box | None]:
        """Return the rows that are not fooled yet, None while that is all of them, where they are, and their box."""
        left = best.margins if rows is None else best.margins[rows]
        open_ = left > 0 if threat.side == "fake" else left >= 0
        if bool(open_.all()):
            return rows, now, box
        kept = torch.nonzero(open_)[:, 0] if rows is None else rows[open_]
        return kept, now[open_], threat.box(x[kept])

    def length(self, k: int, radius: float, norm: Norm) -> float:
        """Return the length of step ``k``, counted from 0."""
        if norm == "l1":
            return 2 * radius / (k + 2)
        plain = 2.5 * radius / self.steps
        return max(plain, radius / 10) if 2 * k < self.steps else plain


@dataclass(frozen=True, slots=True)
class Apgd:
    """Gradient steps with momentum that halve their own length (after Croce & Hein 2020, on the raw margin).

    The length starts at twice the radius (l1: at the radius). At the paper's checkpoints it is halved for a sample
    that gained in fewer than 3/4 of the steps since the last one, or that has neither gained nor been halved there; a
    halved sample goes on from its best point. Starts as in ``Pgd``; the point of lowest margin is kept. Passes as
    ``Pgd``. ValueError for fewer than 1 step or restart.
    """

    steps: int = 50
    restarts: int = 1

    id: ClassVar[str] = "apgd"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "Gradient steps that set their own length"

    def __post_init__(self) -> None:
        whole(self.steps, "steps", 1)
        whole(self.restarts, "restarts", 1)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return for each sample the point of lowest margin."""
        overall = Best(x)
        draws = Draws(rng, x) if self.restarts > 1 else None
        for restart in range(self.restarts):
            start = x if restart == 0 or draws is None else threat.anywhere(x, draws)
            found = self._walk(critic, x, start, threat)
            overall.offer(found.samples, found.margins)
        return overall.samples

    def _walk(self, critic: Critic, x: Tensor, start: Tensor, threat: Threat) -> Best:
        best = Best(start)
        now, before = start, start
        margins, gradient = ascent(critic, now, threat.side)
        best.offer(now, margins)
        at_best = gradient
        # Of the way to the best point along the gradient (l1) all is the most.
        first = 1.0 if threat.budget.norm == "l1" else 2.0
        pace = _Pace(len(x), first * threat.budget.radius, self.steps, x.device)
        for k in range(self.steps):
            target = threat.step(x, now, gradient, pace.length)
            share = 1.0 if k == 0 else _MOMENTUM
            moved = threat.within(x, now + share * (target - now) + (1 - share) * (now - before))
            last = margins
            before, now = now, moved
            if k + 1 == self.steps:
                with torch.no_grad():
                    best.offer(now, critic.margin(now, threat.side))
                break
            margins, gradient = ascent(critic, now, threat.side)
            better = _along(best.offer(now, margins), x)
            at_best = torch.where(better, gradient, at_best)
            halved = _along(pace.after(k + 1, margins < last, best.margins), x)
            now, before = torch.where(halved, best.samples, now), torch.where(halved, best.samples, before)
            gradient = torch.where(halved, at_best, gradient)
            margins = torch.where(halved.flatten(), best.margins, margins)
        return best


class _Pace:
    """The length of each sample's step, halved at the checkpoints."""

    def __init__(self, n: int, length: float, steps: int, device: torch.device) -> None:
        self.length = torch.full((n,), length, device=device)
        self._marks = checkpoints(steps)
        self._mark = 0
        self._gains = torch.zeros(n, device=device)
        self._just_halved = torch.ones(n, dtype=torch.bool, device=device)
        self._lowest = torch.full((n,), math.inf, dtype=torch.float64, device=device)

    def after(self, step: int, gained: Tensor, lowest: Tensor) -> Tensor:
        """Return which samples were halved after ``step`` steps, (B,) bool."""
        self._gains += gained
        if step not in self._marks[1:]:
            return torch.zeros_like(gained)
        since = step - self._mark
        halved = self._gains < _PROGRESS * since
        halved |= ~self._just_halved & (lowest >= self._lowest)
        self.length = torch.where(halved, self.length / 2, self.length)
        self._just_halved, self._lowest, self._mark = halved, lowest.clone(), step
        self._gains.zero_()
        return halved


def checkpoints(steps: int) -> list[int]:
    """Return the steps after which ``Apgd`` looks at its progress: shares 0, 0.22, then ever closer, of ``steps``.

    p(j+1) = p(j) + max(p(j) - p(j-1) - 0.03, 0.06), rounded up (Croce & Hein 2020, section 3).
    """
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return sorted({math.ceil(round(share * steps, 9)) for share in shares if share <= 1})


def to_edge(x: Tensor, gradient: Tensor, threat: Threat) -> Tensor:
    """Return the point of ball and box that gains most along ``gradient``; a zero gradient leaves ``x``."""
    size = threat.budget.radius
    if threat.budget.norm == "l2":
        # The projection of a point far along the gradient is the maximiser: every coordinate t·gradient or its wall.
        size *= _FAR
    return threat.step(x, x, gradient, size)


def _along(mask: Tensor, x: Tensor) -> Tensor:
    return mask.view(-1, *[1] * (x.ndim - 1))
