"""Small movements of a whole sample, searched exhaustively: shift and rotation, or delay, speed and gain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.critic import Critic, Side
from ganaudit.attacks.gradient import Best
from ganaudit.attacks.threat import Budget, Kind, Threat
from ganaudit.numerics.arguments import whole

__all__ = ["Movement", "Spatial", "Worst", "mirrored", "moved", "unbounded"]


@dataclass(frozen=True, slots=True)
class Movement:
    """One point of the grid; a default moves nothing."""

    right: float = 0.0
    """Pixels for images, samples of time (a delay) for waveforms; ``down`` is for images alone."""
    down: float = 0.0
    degrees: float = 0.0
    """Counter-clockwise as the picture is seen, about its middle."""
    speed: float = 1.0
    """Above 1: played faster, about the middle of the waveform."""
    gain: float = 1.0
    """Factor about the middle of the range."""


@dataclass(frozen=True, slots=True, eq=False)
class Worst:
    """The worst movement of each of B samples."""

    samples: Tensor
    margins: Tensor
    """Lowest margins, (B,) float64, in the score's unit."""
    movements: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class Spatial:
    """The worst case over a grid of movements, for each sample by itself (after Engstrom et al. 2019).

    Images: every pair of shifts of at most ``shift`` pixels, ``shifts`` values along each axis, times ``angles``
    rotations of at most ``degrees``. Waveforms: ``delays`` shifts of at most ``delay`` of the length, times
    ``speeds`` rates within 1 ± ``speed``, times three gains within ± ``decibels``. Bilinear (linear in time), edges
    mirrored about the outermost value, clipped to the range. Exhaustive: no gradients, one forward pass per point of
    the grid, nothing is random. The grid is the budget: no norm of the change is kept, so that the caller's ball has
    to be the whole range, ``unbounded``. ValueError for a count that is even or below 1 (no point that moves nothing)
    and for a reach that is negative, or 90 degrees, a whole length or a standstill.
    """

    shift: float = 3.0
    shifts: int = 7
    degrees: float = 10.0
    angles: int = 5
    delay: float = 0.01
    delays: int = 5
    speed: float = 0.02
    speeds: int = 3
    decibels: float = 1.0

    id: ClassVar[str] = "spatial"
    kind: ClassVar[Kind] = "black-box"
    title: ClassVar[str] = "Worst small shift and rotation"
    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("shifts", "angles", "delays", "speeds"):
            count = whole(getattr(self, name), name, 1)
            if count % 2 == 0:
                raise ValueError(f"{name}: found {count}; allowed: an odd number, with one that moves nothing")
        for name, most in (("shift", math.inf), ("degrees", 90.0), ("delay", 1.0), ("speed", 1.0), ("decibels", 60.0)):
            reach = getattr(self, name)
            if not 0 <= reach < most:
                raise ValueError(f"{name}: found {reach}; allowed: 0 or more, below {most:g}")

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return for each sample the movement of lowest margin; the sample itself is one of them."""
        return self.search(critic, x, threat.side).samples

    def search(self, critic: Critic, x: Tensor, side: Side) -> Worst:
        """Return the worst movement of each sample of ``x`` (B, C, H, W) or (B, C, T), and its margin."""
        grid = self.grid(x)
        best = Best(x)
        chosen = torch.zeros(len(x), dtype=torch.long, device=x.device)
        with torch.no_grad():
            for position, movement in enumerate(grid):
                candidate = moved(x, movement, critic.low, critic.high)
                chosen[best.offer(candidate, critic.margin(candidate, side))] = position
        return Worst(best.samples, best.margins, tuple(grid[int(position)] for position in chosen))

    def grid(self, x: Tensor) -> tuple[Movement, ...]:
        """Return the movements tried on samples like ``x``, the one that moves nothing first."""
        if _waveforms(x):
            gains = [10 ** (level / 20) for level in _even(self.decibels, 3 if self.decibels else 1)]
            points = [
                Movement(right=round(late * x.shape[2]), speed=1 + rate, gain=gain)
                for late, rate, gain in product(_even(self.delay, self.delays), _even(self.speed, self.speeds), gains)
            ]
        else:
            shifts = _even(self.shift, self.shifts)
            points = [
                Movement(right, down, degrees)
                for degrees, down, right in product(_even(self.degrees, self.angles), shifts, shifts)
            ]
        return tuple(dict.fromkeys([Movement(), *points]))

    def stated(self, x: Tensor) -> str:
        """Return the grid for samples like ``x`` in words."""
        count = len(self.grid(x))
        if _waveforms(x):
            return (
                f"{count} points: {self.delays} delays up to {round(self.delay * x.shape[2])} samples of time, "
                f"{self.speeds} speeds within ±{self.speed:.3g}, 3 gains within ±{self.decibels:g} dB"
            )
        return (
            f"{count} points: {self.shifts} x {self.shifts} shifts up to {self.shift:g} px, "
            f"{self.angles} rotations up to {self.degrees:g} degrees"
        )


def unbounded(low: float, high: float, side: Side) -> Threat:
    """Return the threat of an attack that keeps its own budget: every sample of the range is allowed."""
    return Threat(Budget("linf", high - low), low, high, side)


def moved(x: Tensor, movement: Movement, low: float, high: float) -> Tensor:
    """Return ``x`` (B, C, H, W) or (B, C, T) after ``movement``, clipped to [low, high].

    Value at p: the bilinear value of ``x`` at the place that the movement takes to p; places outside are mirrored
    about the outermost value. Shifts by whole pixels are exact. ValueError for another number of axes.
    """
    if movement == Movement():
        return x
    places, weights = _sources(x, movement)
    flat = x.flatten(2)
    made = torch.zeros_like(flat)
    for place, weight in zip(places, weights, strict=True):
        made += flat[:, :, place] * weight.to(flat)
    if movement.gain != 1:  # left out otherwise: it would round what is exact
        middle = (low + high) / 2
        made = middle + movement.gain * (made - middle)
    return made.clamp(low, high).view_as(x)


def mirrored(places: Tensor, size: int) -> Tensor:
    """Return ``places`` reflected about 0 and ``size`` - 1 until they lie between."""
    if size == 1:
        return torch.zeros_like(places)
    period = 2 * (size - 1)
    folded = places.remainder(period)
    return torch.minimum(folded, period - folded)


def _sources(x: Tensor, movement: Movement) -> tuple[list[Tensor], list[Tensor]]:
    if _waveforms(x):
        size = x.shape[2]
        middle = (size - 1) / 2
        time = torch.arange(size, dtype=torch.float64, device=x.device)
        floor, part = _split((time - movement.right - middle) * movement.speed + middle, size)
        return [floor, (floor + 1).clamp(max=size - 1)], [1 - part, part]
    height, width = x.shape[2:]
    down, right = torch.meshgrid(
        torch.arange(height, dtype=torch.float64, device=x.device) - (height - 1) / 2 - movement.down,
        torch.arange(width, dtype=torch.float64, device=x.device) - (width - 1) / 2 - movement.right,
        indexing="ij",
    )
    turn = math.radians(movement.degrees)
    # The rows of a picture grow downwards, so that counter-clockwise as seen is this sign.
    row, row_part = _split(math.cos(turn) * down + math.sin(turn) * right + (height - 1) / 2, height)
    column, column_part = _split(math.cos(turn) * right - math.sin(turn) * down + (width - 1) / 2, width)
    places, weights = [], []
    for below, beside in product((0, 1), (0, 1)):
        rows = (row + below).clamp(max=height - 1)
        columns = (column + beside).clamp(max=width - 1)
        places.append((rows * width + columns).flatten())
        share = (row_part if below else 1 - row_part) * (column_part if beside else 1 - column_part)
        weights.append(share.flatten())
    return places, weights


def _split(places: Tensor, size: int) -> tuple[Tensor, Tensor]:
    inside = mirrored(places, size)
    floor = inside.floor()
    return floor.long(), inside - floor


def _even(reach: float, count: int) -> list[float]:
    """Return ``count`` values from -reach to reach, 0 exactly in the middle."""
    half = count // 2
    return [reach * step / half if half else 0.0 for step in range(-half, half + 1)]


def _waveforms(x: Tensor) -> bool:
    if x.ndim not in (3, 4):
        raise ValueError(
            f"x: found shape {tuple(x.shape)}; allowed: images (B, channels, height, width), "
            "waveforms (B, channels, time)"
        )
    return x.ndim == 3
