"""The smallest change that makes a critic err, sample by sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.balls import DUALS, Norm, norms
from ganaudit.attacks.bracket import Bracket
from ganaudit.attacks.critic import Critic, Side, ascent
from ganaudit.attacks.threat import Budget, Kind, Threat
from ganaudit.attacks.trial import Counter, Outcome, checked, quantised, scored
from ganaudit.numerics.arguments import whole
from ganaudit.numerics.memory import in_parts

__all__ = ["MinimalNorm", "covering", "minimal_norms"]

_SWING = 0.1
_GROWTH = 1.2
_OVERSHOOT = 1.02
_FIRST_STEP = 0.7
_FADING = 0.03


@dataclass(frozen=True, slots=True)
class MinimalNorm:
    """The smallest change found: a ball that shrinks on success and grows on failure, then a bracket.

    After FMN (Pintor et al. 2021): the radius of each sample starts at margin/|gradient|_dual, its distance to the
    boundary if the critic were linear, and grows until the sample is fooled, which half way through is tried in the
    furthest corner; from then on it turns about the smallest
    radius that worked, by 10 % at first and by 1 % at the end. Steps are a share of that radius, from 0.7 down to 0.02,
    and are projected on ball and box exactly, so that neither the unit of the score nor that of the values matters.
    The crossing between the sample and the best change is then closed in on (``Bracket``), to 2^-``rounds`` of the
    norm.

    Passes: ``steps`` backward, the same and at most ``rounds`` + 5 more forward, mostly 4 or 5. ValueError for
    fewer than 1 step or 0 rounds.
    """

    steps: int = 40
    rounds: int = 16

    id: ClassVar[str] = "minimal-norm"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "Smallest change that crosses"

    def __post_init__(self) -> None:
        whole(self.steps, "steps", 1)
        whole(self.rounds, "rounds", 0)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return each sample just beyond the boundary, or unchanged where no way across was found.

        The budget's radius is not looked at, its norm is.
        """
        found, clean = self._search(critic, x, _unbounded(threat, x))
        return self._tightened(critic, x, found, clean, threat.side)

    def _search(self, critic: Critic, x: Tensor, threat: Threat) -> tuple[_Nearest, Tensor]:
        norm, best, now = threat.budget.norm, _Nearest(x), x
        radius, clean = torch.zeros_like(best.sizes), best.margins
        for k in range(self.steps):
            margins, gradient = ascent(critic, now, threat.side)
            clean = margins if k == 0 else clean
            sizes = norms(now - x, norm)
            crossed = _crossed(margins, threat.side)
            best.offer(now, sizes, margins, crossed)
            known = torch.isfinite(best.sizes)
            swing, share = _SWING * 0.1 ** (k / self.steps), _FIRST_STEP * _FADING ** (k / self.steps)
            first = sizes + _OVERSHOOT * margins.abs() / _dual(gradient, norm)
            if norm == "l1":  # coordinates come to their walls, which the tangent does not know
                first = torch.maximum(first, radius * _GROWTH)
            grown = torch.where(known, radius * (1 + swing), first)
            shrunk = torch.minimum(radius, best.sizes) * (1 - swing)
            radius = torch.minimum(torch.where(crossed, shrunk, grown), best.sizes).clamp(max=threat.budget.radius)
            # The best point along the gradient (l1) is the way across; smaller steps could not keep up with the ball.
            length = torch.where(known, share, 1.0) if norm == "l1" else share
            now = threat.step(x, now, gradient, length * radius, radius)
            if k == self.steps // 2:
                now = torch.where(_along(known, x), now, _corner(now, gradient, threat))
        with torch.no_grad():
            margins = critic.margin(now, threat.side)
        best.offer(now, norms(now - x, norm), margins, _crossed(margins, threat.side))
        return best, clean

    def _tightened(self, critic: Critic, x: Tensor, found: _Nearest, clean: Tensor, side: Side) -> Tensor:
        best = found.samples
        bracket = Bracket(clean, found.margins, (found.sizes > 0) & torch.isfinite(found.sizes), self.rounds)
        origin = x.double()
        way = found.samples.double() - origin
        while bracket.open:
            share = bracket.next()
            tried = (origin + _along(share, x) * way).to(x.dtype)
            with torch.no_grad():
                margins = critic.margin(tried, side)
            crossed = _crossed(margins, side)
            bracket.shrink(share, margins, crossed)
            # Every round of a sample still open lies below its best; one that is done repeats its last.
            best = torch.where(_along(crossed, x), tried, best)
        return best


class _Nearest:
    """The crossing of smallest norm seen so far, for each of B samples."""

    def __init__(self, x: Tensor) -> None:
        self.samples = x
        self.sizes = torch.full((len(x),), math.inf, dtype=torch.float64, device=x.device)
        self.margins = torch.full_like(self.sizes, math.nan)

    def offer(self, samples: Tensor, sizes: Tensor, margins: Tensor, crossed: Tensor) -> None:
        """Take over those of ``samples`` that crossed with less."""
        better = crossed & (sizes < self.sizes)
        if not bool(better.any()):
            return
        self.samples = torch.where(_along(better, samples), samples, self.samples)
        self.sizes = torch.where(better, sizes, self.sizes)
        self.margins = torch.where(better, margins, self.margins)


def minimal_norms(
    critic: Critic,
    x: Tensor,
    norm: Norm,
    *,
    side: Side,
    steps: int = 40,
    rounds: int = 16,
    batch: int = 256,
) -> Outcome:
    """Return the smallest change found for each sample ``x`` (B, ...) that makes the critic err, within its range.

    ``norms``: an upper bound of the true minimal norm (exact for a linear critic, up to 2^-rounds of itself, where the
    range does not bind), 0 where the sample is called wrongly as it stands, infinite where none was found; such
    samples stay as they were. ``fooled``: where one was found. No random numbers. Raises ValueError as ``attempt``.
    """
    threat = Threat(Budget(norm, covering(norm, x, critic.high - critic.low)), critic.low, critic.high, side)
    x = checked(x, threat, batch)
    counter = Counter(critic)
    attack = MinimalNorm(steps, rounds)
    before, first = scored(counter.critic, x, batch)
    wrong = critic.fooled_of(before, side)
    samples = x.clone()

    def change(start: int, stop: int) -> None:
        found = attack(counter.critic, x[start:stop], threat, np.random.default_rng(0))
        samples[start:stop] = torch.where(_along(wrong[start:stop], x), x[start:stop], found)

    fitted = in_parts(len(x), first, change)
    # Tested in the very batches they were found in: another shape may move a score that lies on the boundary.
    after, fitted = scored(counter.critic, samples, fitted)
    stored, fitted = scored(counter.critic, quantised(samples, critic.low, critic.high), fitted)
    fooled = critic.fooled_of(after, side)
    return Outcome(
        fooled=fooled,
        fooled_quantised=fooled & critic.fooled_of(stored, side),
        norms=torch.where(fooled, norms(samples.double() - x.double(), norm), math.inf),
        scores_before=before,
        scores_after=after,
        samples=samples,
        forward=counter.forward,
        backward=counter.backward,
        notes=() if fitted == batch else (f"batch halved from {batch} to {fitted}: out of memory",),
    )


def _along(mask: Tensor, x: Tensor) -> Tensor:
    return mask.view(-1, *[1] * (x.ndim - 1))


def _corner(now: Tensor, gradient: Tensor, threat: Threat) -> Tensor:
    """Return the corner of the range along the gradient: as far as anything can go."""
    moved = torch.where(gradient > 0, threat.high, now)
    return torch.where(gradient < 0, threat.low, moved)


def covering(norm: Norm, x: Tensor, span: float) -> float:
    """Return the radius from which on a ball around any sample holds the whole range of width ``span``."""
    p = x[0].numel()
    return {"linf": span, "l2": span * math.sqrt(p), "l1": span * p}[norm]


def _unbounded(threat: Threat, x: Tensor) -> Threat:
    norm = threat.budget.norm
    return Threat(Budget(norm, covering(norm, x, threat.high - threat.low)), threat.low, threat.high, threat.side)


def _crossed(margins: Tensor, side: Side) -> Tensor:
    return margins <= 0 if side == "fake" else margins < 0


def _dual(gradient: Tensor, norm: Norm) -> Tensor:
    size: Tensor = torch.linalg.vector_norm(gradient.flatten(1), ord=DUALS[norm], dim=1, dtype=torch.float64)
    return size.clamp(min=torch.finfo(torch.float64).tiny)
