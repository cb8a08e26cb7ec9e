"""Attacks on a generator: small steps that turn a verdict, latents of poor quality, and samples it should not reach.

A generator is a function from latents (B, d) to samples (B, ...), differentiable, that treats every row by itself. The
prior is standard normal; its typical shell is where nearly all of it lies, at radius sqrt(d) ± 3/sqrt(2). Searches do
``batch`` latents at once, or fewer where these do not fit into memory, which the ``room`` they are given remembers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.critic import Critic
from ganaudit.numerics.arguments import matrix, whole
from ganaudit.numerics.memory import Room

__all__ = [
    "LatentSteps",
    "Reach",
    "ReachGap",
    "WorstQuality",
    "reach",
    "reach_gap",
    "shell",
    "smallest_step",
    "to_shell",
    "worst_quality",
]

Generate = Callable[[Tensor], Tensor]
Objective = Callable[[Tensor, Tensor], Tensor]
"""Latents (B, d) and the numbers of their rows (B,) to one number each (B,), to be made small."""

_DOING = "searching latents"
_FIRST, _SECOND = 0.8, 0.95  # decay of the mean gradient and of its mean square
_SHRINK = 0.05
_STRIDE = 0.05  # of the radius of the shell
_PACE = 0.2
_TINY = 1e-300
_FURTHEST = 2.0  # in radii of the shell: beyond, a latent has left the prior


@dataclass(frozen=True, slots=True, eq=False)
class LatentSteps:
    """The smallest step found from each of N latents to one of the other verdict."""

    lengths: Tensor
    """L2 lengths (N,) float64; infinite where no step of at most 2·sqrt(d) was found. Upper bounds of the smallest."""
    relative: Tensor
    """Lengths over sqrt(d), the typical length of a latent: 0.1 is a tenth of the way to the middle."""
    latents: Tensor
    """Where the steps end, (N, d); the start where none was found."""
    called_real: Tensor
    """The verdict at the start, (N,) bool."""


@dataclass(frozen=True, slots=True, eq=False)
class WorstQuality:
    """Latents of the shell with the lowest score, one from each start."""

    latents: Tensor
    """(starts, d), within the shell."""
    scores: Tensor
    """(starts,) float64, in the score's unit."""
    start_scores: Tensor
    """Scores where the search began: ordinary latents, to compare with, (starts,) float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How near a generator comes to each of N targets."""

    distances: Tensor
    """Root mean square over the values of a sample, (N,) float64, in the unit of the values. Upper bounds."""
    latents: Tensor
    """(N, d), within the shell."""


@dataclass(frozen=True, slots=True)
class ReachGap:
    """Targets from outside the domain against those from inside."""

    ratio: float | None
    """Median distance outside over inside; near 1: the generator reaches what it should not. None over a zero."""
    auc: float
    """Share of pairs in which the target inside is the nearer, ties as half; 0.5: no gap."""


def shell(dimension: int) -> tuple[float, float]:
    """Return the radii, sqrt(d) ± 3/sqrt(2) and no less than 0, between which a normal latent lies.

    A latent's radius has a standard deviation near 1/sqrt(2), so that this is ± 3 of them: 99.7 % for large d.
    """
    middle = math.sqrt(whole(dimension, "dimension", 1))
    return max(0.0, middle - 3 / math.sqrt(2)), middle + 3 / math.sqrt(2)


def to_shell(z: Tensor) -> Tensor:
    """Return the point of the typical shell nearest to each row of ``z`` (B, d).

    From the very middle, where all are equally near, the one on the first axis.
    """
    inner, outer = shell(z.shape[1])
    size = z.double().norm(dim=1, keepdim=True)
    axis = torch.zeros_like(z)
    axis[:, 0] = 1
    direction = torch.where(size > 0, z.double() / size.clamp(min=_TINY), axis.double())
    return torch.where((size >= inner) & (size <= outer), z, (direction * size.clamp(inner, outer)).to(z.dtype))


def smallest_step(
    generate: Generate,
    critic: Critic,
    z: Tensor,
    *,
    steps: int = 60,
    halvings: int = 20,
    batch: int = 256,
    room: Room | None = None,
) -> LatentSteps:
    """Return the smallest step from each latent of ``z`` (N, d) that turns the critic's verdict on its sample.

    Steps along the gradient to where the tangent crosses, at most sqrt(d)/20 long each, until the verdict turns; then
    normalised gradient steps on a sphere around the latent, which shrinks by 5 % where the verdict has turned and grows
    by 5 % where it has not (after Rony et al. 2019); then ``halvings`` of the segment from the latent to the nearest
    turned point. Either way: a sample called generated is pushed up, one called real down. Steps depend on the
    gradient's direction and on distances alone, and nothing is random; where the gradient is zero at the latent,
    nothing is found. Exact for a linear generator under a linear critic, m/||A^T w||₂. ``steps`` + 1 forward and
    backward passes, ``halvings`` + 1 forward.

    ValueError for latents that are no finite matrix, counts below 1, and for a critic that is not differentiable.
    """
    matrix(z, "z", 1)
    whole(steps, "steps", 1)
    whole(halvings, "halvings", 0)
    _differentiable(critic)
    found: list[tuple[Tensor, Tensor, Tensor]] = []

    def step(start: int, stop: int) -> None:
        found.append(_stepped(generate, critic, z.detach()[start:stop], steps, halvings))

    (room or Room()).parts(_DOING, len(z), step, batch=whole(batch, "batch", 1))
    lengths, latents, real = (torch.cat(column) for column in zip(*found, strict=True))
    return LatentSteps(lengths, lengths / math.sqrt(z.shape[1]), latents, real)


def worst_quality(
    generate: Generate,
    critic: Critic,
    dimension: int,
    rng: np.random.Generator,
    *,
    starts: int = 32,
    steps: int = 100,
    batch: int = 256,
    device: torch.device | str = "cpu",
    room: Room | None = None,
) -> WorstQuality:
    """Return latents of the typical shell whose samples the critic scores lowest: holes of the generator.

    ``starts`` normal latents brought to the shell, then ``steps`` of momentum over each start's own mean gradient
    size, falling from sqrt(d)/5 to 0, brought back to the shell after each; the lowest point of each start is kept.
    A score is a critic's own view: look at the samples before calling them poor. ``starts``·(``steps`` + 1) forward
    and backward passes.

    ValueError for counts below 1 and for a critic that is not differentiable.
    """
    whole(starts, "starts", 1)
    _differentiable(critic)
    draws = rng.standard_normal((starts, whole(dimension, "dimension", 1)), dtype=np.float32)
    z = to_shell(torch.from_numpy(draws).to(device))

    def score(latents: Tensor, rows: Tensor) -> Tensor:
        return critic.scores(generate(latents))

    latents, lowest, first = _lowest(score, z, steps, batch, room)
    return WorstQuality(latents, lowest, first)


def reach(
    generate: Generate,
    targets: Tensor,
    dimension: int,
    rng: np.random.Generator,
    *,
    starts: int = 4,
    steps: int = 200,
    batch: int = 256,
    room: Room | None = None,
) -> Reach:
    """Return the least distance from the generator's samples to each of ``targets`` (N, ...), over the typical shell.

    Root mean square over a sample's values, searched as in ``worst_quality`` from ``starts`` latents, the same ones
    for every target. A search may stop short, so that a distance is an upper bound: compare targets from outside the
    domain with targets from inside it at equal effort (``reach_gap``), after Pasquini et al. 2019. N·``starts``·
    (``steps`` + 1) forward and backward passes.

    ValueError for no targets, counts below 1, and samples of another shape than the targets.
    """
    whole(len(targets), "targets", 1)
    whole(starts, "starts", 1)
    draws = rng.standard_normal((starts, whole(dimension, "dimension", 1)), dtype=np.float32)
    begin = to_shell(torch.from_numpy(draws).to(targets.device))
    wanted = targets.detach().double()

    def distance(latents: Tensor, rows: Tensor) -> Tensor:
        made = generate(latents)
        if made.shape[1:] != wanted.shape[1:]:
            raise ValueError(
                f"targets: found shape {tuple(wanted.shape)}; allowed: (targets, ...) as the samples, "
                f"{tuple(made.shape[1:])}"
            )
        return (made.double() - wanted[rows // starts]).flatten(1).square().mean(1)

    latents, squares, _ = _lowest(distance, begin.repeat(len(targets), 1), steps, batch, room)
    best = squares.view(-1, starts).argmin(1)
    rows = torch.arange(len(targets), device=best.device)
    return Reach(squares.view(-1, starts)[rows, best].sqrt(), latents.view(len(targets), starts, -1)[rows, best])


def reach_gap(inside: Tensor, outside: Tensor) -> ReachGap:
    """Return how much farther targets from ``outside`` (M,) the domain are than those from ``inside`` (N,) it.

    Distances of ``reach``, found with the same starts and steps. ValueError for no distances on a side.
    """
    whole(len(inside), "inside", 1)
    whole(len(outside), "outside", 1)
    near, far = inside.double()[:, None], outside.double()[None]
    auc = float((near < far).double().mean() + (near == far).double().mean() / 2)
    middle = float(inside.double().quantile(0.5))
    return ReachGap(float(outside.double().quantile(0.5)) / middle if middle > 0 else None, auc)


class _Verdicts:
    """The critic's verdicts on the samples of latents, and which of them differ from those at the start."""

    def __init__(self, generate: Generate, critic: Critic, start: Tensor) -> None:
        self._generate, self._critic, self._dtype = generate, critic, start.dtype
        with torch.no_grad():
            self.called_real = ~critic.fooled_of(self._score(start), "real")
        self.towards = torch.where(self.called_real, -1.0, 1.0).double()

    def _score(self, latents: Tensor) -> Tensor:
        return self._critic.scores(self._generate(latents.to(self._dtype)))

    def _of(self, scores: Tensor) -> Tensor:
        return torch.where(
            self.called_real, self._critic.fooled_of(scores, "real"), self._critic.fooled_of(scores, "fake")
        )

    def turned(self, latents: Tensor) -> Tensor:
        """Return which samples have another verdict than at the start, (B,) bool."""
        with torch.no_grad():
            return self._of(self._score(latents))

    def slope(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return which have turned, unit directions towards the other verdict, and the tangent's distance to it."""
        scores, gradient, sizes = _slope(lambda z, _: self._score(z), latents)
        gap = (self._critic.threshold - scores).abs() / sizes.clamp(min=_TINY)
        return self._of(scores), gradient * self.towards[:, None], gap


def _stepped(generate: Generate, critic: Critic, z: Tensor, steps: int, halvings: int) -> tuple[Tensor, Tensor, Tensor]:
    verdicts = _Verdicts(generate, critic, z)
    origin = z.double()
    typical = math.sqrt(z.shape[1])
    best = torch.full((len(z),), math.inf, dtype=torch.float64, device=z.device)
    now = end = origin
    radius = torch.zeros_like(best)
    for step in range(steps + 1):
        crossed, direction, gap = verdicts.slope(now)
        length = (now - origin).norm(dim=1)
        nearer = crossed & (length < best)
        best, end = torch.where(nearer, length, best), torch.where(nearer[:, None], now, end)
        radius = torch.where(crossed, best * (1 - _SHRINK), radius * (1 + _SHRINK))
        stride = ((1 + _SHRINK) * gap).clamp(max=_STRIDE * typical)
        pace = 0.5 * (1 + math.cos(math.pi * step / (steps + 1))) * radius
        ever = torch.isfinite(best)
        pull = now - origin + torch.where(ever, pace, stride)[:, None] * direction
        size = pull.norm(dim=1)
        radius = torch.where(ever, radius, size).clamp(max=_FURTHEST * typical)
        now = origin + pull * (radius / size.clamp(min=_TINY))[:, None]
    step_taken = end - origin
    step_taken = _halved(lambda share: verdicts.turned(origin + share * step_taken), z, halvings) * step_taken
    lengths = torch.where(torch.isfinite(best), step_taken.norm(dim=1), math.inf)
    return lengths, (origin + step_taken).to(z.dtype), verdicts.called_real


def _halved(turned: Callable[[Tensor], Tensor], z: Tensor, halvings: int) -> Tensor:
    """Return the least share (B, 1) of the way at which ``turned``, known to hold at 1, was seen to hold."""
    low = torch.zeros(len(z), 1, dtype=torch.float64, device=z.device)
    high = torch.ones_like(low)
    for _ in range(halvings):
        middle = (low + high) / 2
        crossed = turned(middle)[:, None]
        low, high = torch.where(crossed, low, middle), torch.where(crossed, middle, high)
    return high


def _lowest(
    objective: Objective, z: Tensor, steps: int, batch: int, room: Room | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the lowest points (N, d) found from ``z``, their values and the values at ``z``, (N,) float64."""
    whole(steps, "steps", 1)
    rows = torch.arange(len(z), device=z.device)
    found: list[tuple[Tensor, Tensor, Tensor]] = []

    def descend(start: int, stop: int) -> None:
        found.append(_descended(objective, z[start:stop], rows[start:stop], steps))

    (room or Room()).parts(_DOING, len(z), descend, batch=whole(batch, "batch", 1))
    latents, lowest, first = (torch.cat(column) for column in zip(*found, strict=True))
    return latents, lowest, first


def _descended(objective: Objective, z: Tensor, rows: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    now, best = z, z
    lowest = torch.full((len(z),), math.inf, dtype=torch.float64, device=z.device)
    first = lowest
    mean = torch.zeros_like(z, dtype=torch.float64)
    square = torch.zeros_like(lowest)
    for step in range(steps + 1):
        values, direction, sizes = _slope(lambda latents, _: objective(latents, rows), now)
        first = values if step == 0 else first
        better = values < lowest
        lowest, best = torch.where(better, values, lowest), torch.where(better[:, None], now, best)
        # One second moment for each latent, not for each coordinate: the direction stays the gradient's own, which
        # the shell's curvature needs to come to rest where the gradient stands upright on it.
        mean = _FIRST * mean + (1 - _FIRST) * direction * sizes[:, None]
        square = _SECOND * square + (1 - _SECOND) * sizes.square()
        size = (square / (1 - _SECOND ** (step + 1))).sqrt().clamp(min=_TINY)
        pace = _PACE * math.sqrt(z.shape[1]) * 0.5 * (1 + math.cos(math.pi * step / steps))
        moved = now.double() - pace * (mean / (1 - _FIRST ** (step + 1))) / size[:, None]
        now = to_shell(moved.to(z.dtype))
    return best, lowest, first


def _slope(objective: Objective, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return values (B,), unit directions of ascent (B, d) and the gradients' sizes (B,), all float64."""
    with torch.enable_grad():
        leaf = z.detach().requires_grad_(True)
        values = objective(leaf, torch.arange(len(z), device=z.device))
        if not values.requires_grad:
            raise ValueError("generate: found samples without gradients; allowed: a differentiable generator")
        (found,) = torch.autograd.grad(values.sum(), leaf, allow_unused=True)
    gradient = torch.zeros_like(z) if found is None else found
    wide = torch.nan_to_num(gradient.double(), nan=0.0, posinf=0.0, neginf=0.0)
    sizes = wide.norm(dim=1)
    return values.detach().double(), wide / sizes.clamp(min=_TINY)[:, None], sizes


def _differentiable(critic: Critic) -> None:
    if not critic.differentiable:
        raise ValueError("critic: found one without gradients; allowed: a differentiable one")
