"""What an attacker may do: a norm, a radius in the unit of the samples, the range of values and the side attacked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.balls import NORMS, Norm, norms, projected, steepest, walked
from ganaudit.attacks.chance import Draws
from ganaudit.attacks.critic import SIDES, Critic, Side

__all__ = ["Attack", "Box", "Budget", "Kind", "Norm", "Threat", "least_radius"]

Kind = Literal["white-box", "black-box", "baseline"]
_LOST = 0.1  # of a change: what rounding a value inwards, by one unit in its last place, may cost at most
Box = tuple[Tensor, Tensor]
"""The least and the greatest allowed value of every coordinate."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A ball around each sample; ValueError for an unknown norm and for a radius that is negative or infinite."""

    norm: Norm
    radius: float
    """In the unit of the samples' values: 8/255 of the range is 8/255·(high - low)."""

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise ValueError(f"norm: found {self.norm!r}; allowed: {', '.join(NORMS)}")
        if not (math.isfinite(self.radius) and self.radius >= 0):
            raise ValueError(f"radius: found {self.radius}; allowed: 0 or more, finite")

    def project(self, delta: Tensor, radius: float | Tensor | None = None) -> Tensor:
        """Return the nearest point of the ball to each row of ``delta`` (B, ...); ``radius``: one, or (B,)."""
        return projected(delta, self.norm, self.radius if radius is None else radius, None, None)

    def norms(self, delta: Tensor) -> Tensor:
        """Return the norm of each row of ``delta`` (B, ...), (B,) float64."""
        return norms(delta, self.norm)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Return the direction of norm 1 that gains most along ``gradient`` (B, ...); zeros where it is zero."""
        return steepest(gradient, self.norm, 1.0, None, None)


@dataclass(frozen=True, slots=True)
class Threat:
    """A budget, the range of values, and the side attacked; ValueError for an empty range or an unknown side."""

    budget: Budget
    low: float
    high: float
    side: Side

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"range: found {self.low} to {self.high}; allowed: finite, low below high")
        if self.side not in SIDES:
            raise ValueError(f"side: found {self.side!r}; allowed: {', '.join(SIDES)}")

    def box(self, x: Tensor, radius: float | Tensor | None = None) -> Box | None:
        """Return the allowed values of each coordinate, ball and range together; None for norms whose ball is no box.

        ``radius``: one, or (B,); a walk around the same samples asks once.
        """
        if self.budget.norm != "linf":
            return None
        reach = _column(self.budget.radius if radius is None else radius, x)
        return (x - reach).clamp_(min=self.low), (x + reach).clamp_(max=self.high)

    def within(self, x: Tensor, candidate: Tensor, radius: float | Tensor | None = None) -> Tensor:
        """Return the allowed sample nearest to ``candidate``: in the ball around ``x`` and in the range.

        ``x`` itself lies in the range. Up to the rounding of one addition; ``allowed`` has none.
        """
        size = self.budget.radius if radius is None else radius
        box = self.box(x, radius)
        if box is not None:
            return torch.clamp(candidate, *box)
        moved = projected(candidate - x, self.budget.norm, size, self.low - x, self.high - x)
        return (x + moved).clamp(self.low, self.high)

    def allowed(self, x: Tensor, candidate: Tensor) -> Tensor:
        """Return ``candidate`` projected on the ball, clipped to the range and rounded *towards* ``x``.

        Rounding inwards costs the attacker at most one unit in the last place of each value, and keeps every norm of
        the change within the radius (up to the projection's own rounding in float64). What is no number stays where
        ``x`` was.
        """
        origin = x.double()
        wanted = torch.where(torch.isfinite(candidate), candidate, x).double() - origin
        moved = projected(wanted, self.budget.norm, self.budget.radius, self.low - origin, self.high - origin)
        placed = (origin + moved).to(x.dtype).clamp(self.low, self.high)
        too_far = (placed.double() - origin).abs() > moved.abs()
        return torch.where(too_far, torch.nextafter(placed, x), placed)

    def step(
        self,
        x: Tensor,
        now: Tensor,
        gradient: Tensor,
        length: float | Tensor,
        radius: float | Tensor | None = None,
        box: Box | None = None,
    ) -> Tensor:
        """Return ``now`` moved by the steepest step of ``length`` along ``gradient``, brought back within ``x``'s ball.

        ``box``: what :meth:`box` gives for ``x`` and ``radius``, where it is known already.
        Coordinates at a wall of the range do not count towards the length, so that none of the step is lost there.
        l1 goes towards the best point of ball and box along the gradient, by the share length/radius of the way (Frank
        & Wolfe 1956): a projected step would spread over coordinates that the best point leaves alone.
        """
        size = self.budget.radius if radius is None else radius
        if self.budget.norm == "l1":
            best = x + steepest(gradient, "l1", size, self.low - x, self.high - x)
            share = (_column(length, x) / _column(size, x).clamp(min=torch.finfo(x.dtype).tiny)).clamp(max=1)
            moved = torch.where(_zero(gradient), 0, share) * (best - now)
        elif self.budget.norm == "linf":
            moved = gradient.sign().mul_(_column(length, x))
            if box is not None:
                return torch.clamp(moved.add_(now), *box)
        else:
            pace, reach = (torch.as_tensor(value, dtype=torch.float64, device=x.device) for value in (length, size))
            return walked(x, now, gradient, pace, reach, self.low, self.high)
        return self.within(x, now + moved, radius)

    def anywhere(self, x: Tensor, draws: Draws) -> Tensor:
        """Return a random point of the ball around each sample, uniform before it is clipped to the range."""
        p = x[0].numel()
        if self.budget.norm == "linf":
            delta = (2 * draws.uniform(p) - 1) * self.budget.radius
        else:
            spread = draws.normal(p) if self.budget.norm == "l2" else draws.exponential(p) * _signs(draws.uniform(p))
            size = norms(spread, self.budget.norm).clamp(min=torch.finfo(torch.float64).tiny)
            share = draws.uniform(1).double()[:, 0].pow(1 / p)
            delta = spread * (self.budget.radius * share / size).to(spread.dtype)[:, None]
        return self.within(x, x + delta.to(x.dtype).view_as(x))


def least_radius(norm: Norm, x: Tensor, low: float, high: float) -> float:
    """Return the smallest radius that means anything to samples ``x`` (B, ...) from ``low`` to ``high``, in their unit.

    Values are stored with so many digits: next to the end of the range that lies further from 0 they are one unit in
    the last place apart, and a change is rounded inwards. From ten such units on that costs an attacker at most a tenth
    of the change. linf: of every value; l2: of every value at once, which takes the root of their number as much; l1:
    of one value.
    """
    top = torch.tensor(max(abs(low), abs(high)), dtype=x.dtype)
    unit = float(top - torch.nextafter(top, torch.zeros_like(top)))
    return unit / _LOST * (math.sqrt(x[0].numel()) if norm == "l2" else 1.0)


class Attack(Protocol):
    """One attack; its options are the fields of its class.

    A method ``check()``, where it has one, raises an error of ganaudit's that says what it lacks. ValueError from a
    call: not for this norm.
    """

    id: ClassVar[str]
    kind: ClassVar[Kind]
    title: ClassVar[str]

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return changed samples, shaped like ``x`` (B, ...); the caller clips them and tests them again."""
        ...


def _column(value: float | Tensor, x: Tensor) -> Tensor:
    """Return one number per sample, or one for all, in the shape that multiplies ``x``."""
    return torch.as_tensor(value, dtype=x.dtype, device=x.device).view(-1, *[1] * (x.ndim - 1))


def _zero(gradient: Tensor) -> Tensor:
    return (gradient == 0).flatten(1).all(1).view(-1, *[1] * (gradient.ndim - 1))


def _signs(uniform: Tensor) -> Tensor:
    return torch.where(uniform < 0.5, -1.0, 1.0)
