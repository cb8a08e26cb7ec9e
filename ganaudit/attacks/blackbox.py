"""Attacks that only ask for scores: squares, local random search, and plain noise as the baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.balls import norms
from ganaudit.attacks.chance import Draws
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.gradient import Best
from ganaudit.attacks.threat import Kind, Threat
from ganaudit.numerics.arguments import proportion, whole

__all__ = ["RandomNoise", "RandomSearch", "Square"]

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_SPAN = 10000
_CORNERS = 4
"""Uniform numbers that place two windows."""


@dataclass(frozen=True, slots=True)
class RandomNoise:
    """The best of some random points of the ball: what chance alone does.

    White noise moves a linear critic by about radius·|w|_2/√3 where a gradient moves it by radius·|w|_1 (linf), so a
    gradient attack that does no better is broken. ``tries`` forward passes. ValueError for fewer than 1.
    """

    tries: int = 10

    id: ClassVar[str] = "random-noise"
    kind: ClassVar[Kind] = "baseline"
    title: ClassVar[str] = "Random noise"

    def __post_init__(self) -> None:
        whole(self.tries, "tries", 1)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return for each sample the random point of lowest margin."""
        best, draws = Best(x), Draws(rng, x)
        for _ in range(self.tries):
            _try(critic, threat.anywhere(x, draws), threat, best)
        return best.samples


@dataclass(frozen=True, slots=True)
class RandomSearch:
    """Steps in random directions, kept when the margin falls.

    A direction is random signs on a random share of the coordinates (linf), white noise (l2) or one coordinate (l1);
    its length falls from the radius to a tenth of it. ``queries`` forward passes. ValueError for fewer than 1.
    """

    queries: int = 200

    id: ClassVar[str] = "random-search"
    kind: ClassVar[Kind] = "black-box"
    title: ClassVar[str] = "Random search"

    def __post_init__(self) -> None:
        whole(self.queries, "queries", 1)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return for each sample the point of lowest margin."""
        best, draws = Best(x), Draws(rng, x)
        _try(critic, x, threat, best)
        for k in range(self.queries - 1):
            length = threat.budget.radius * 10 ** (-k / self.queries)
            moved = best.samples + length * self._direction(x, threat, draws)
            _try(critic, threat.within(x, moved), threat, best)
        return best.samples

    def _direction(self, x: Tensor, threat: Threat, draws: Draws) -> Tensor:
        p = x[0].numel()
        if threat.budget.norm == "l1":
            found = draws.uniform(2)
            at = (found[:, :1] * p).long().clamp(max=p - 1)
            made = torch.zeros(len(x), p, device=x.device).scatter(1, at, torch.where(found[:, 1:] < 0.5, -1.0, 1.0))
        elif threat.budget.norm == "l2":
            noise = draws.normal(p)
            made = noise / noise.norm(dim=1, keepdim=True)
        else:
            found = draws.uniform(p + 1)
            # One number gives both: within the share, its lower half is -1 and its upper half +1.
            share = found[:, :1]
            made = torch.where(found[:, 1:] < share / 2, -1.0, 1.0) * (found[:, 1:] < share)
        return made.to(x.dtype).view_as(x)


@dataclass(frozen=True, slots=True)
class Square:
    """Square windows of constant sign, kept when the margin falls (Andriushchenko et al. 2020); linf and l2.

    linf starts from vertical stripes at ±radius, and one try sets a window to ±radius in each channel. l2 starts from
    tiles, and one try empties one window and spends its part of the radius on a bump in another. A window's area falls
    from ``share`` of the sample by the paper's schedule. On waveforms (B, C, T) and vectors (B, p) a window is a
    segment. ``queries`` forward passes. ValueError for l1, fewer than 2 queries, or a share outside (0, 1).
    """

    queries: int = 200
    share: float = 0.3

    id: ClassVar[str] = "square"
    kind: ClassVar[Kind] = "black-box"
    title: ClassVar[str] = "Square windows"

    def __post_init__(self) -> None:
        whole(self.queries, "queries", 2)
        proportion(self.share, "share")

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return for each sample the point of lowest margin."""
        if threat.budget.norm == "l1":
            raise ValueError("square: found norm l1; allowed: linf, l2")
        best, draws, frame = Best(x), Draws(rng, x), _framed(x)
        _try(critic, x, threat, best)
        start = self._start(frame, threat, draws)
        now = Best(x)  # walks on from the stripes, even where they are worse than the sample itself
        _try(critic, threat.within(x, x + start.view_as(x)), threat, now)
        numbers = draws.uniform(self.queries, _CORNERS + frame.shape[1])
        for k in range(2, self.queries):
            delta = (now.samples - x).view_as(frame)
            side = self._side(k, frame)
            moved = self._moved(delta, numbers[:, k], side, threat)
            _try(critic, threat.within(x, x + moved.view_as(x)), threat, now)
        best.offer(now.samples, now.margins)
        return best.samples

    def _start(self, frame: Tensor, threat: Threat, draws: Draws) -> Tensor:
        _, channels, height, width = frame.shape
        if threat.budget.norm == "linf":
            tile_h, tile_w = height, 1 if height > 1 else max(width // 32, 1)
        else:
            tile_h, tile_w = max(height // 5, 1), max(width // (5 if height > 1 else 32), 1)
        rows, columns = -(-height // tile_h), -(-width // tile_w)
        signs = torch.where(draws.uniform(channels, rows, columns) < 0.5, -1.0, 1.0)
        full = signs.repeat_interleave(tile_h, 2).repeat_interleave(tile_w, 3)[:, :, :height, :width].to(frame.dtype)
        if threat.budget.norm == "linf":
            return full * threat.budget.radius
        return full * (threat.budget.radius / math.sqrt(channels * height * width))

    def _side(self, k: int, frame: Tensor) -> tuple[int, int]:
        height, width = frame.shape[2:]
        passed = sum(k / self.queries * _SPAN > mark for mark in _HALVINGS)
        share = self.share / 2**passed
        if height == 1:
            return 1, min(max(round(share * width), 1), width)
        side = min(max(round(math.sqrt(share * height * width)), 1), min(height, width))
        return side, side

    def _moved(self, delta: Tensor, numbers: Tensor, side: tuple[int, int], threat: Threat) -> Tensor:
        radius = threat.budget.radius
        signs = torch.where(numbers[:, _CORNERS:] < 0.5, -1.0, 1.0).to(delta.dtype)[:, :, None, None]
        window, bump = _window(delta, numbers[:, :2], side)
        if threat.budget.norm == "linf":
            return torch.where(window, signs * radius, delta)
        donor, _ = _window(delta, numbers[:, 2:4], side)
        kept = torch.where(window | donor, 0, delta)
        left = (radius**2 - norms(kept, "l2").square()).clamp(min=0).sqrt().to(delta.dtype)
        old = torch.where(window, delta, 0)
        fresh = _unit(bump * signs) + _unit(old)
        return kept + _unit(fresh) * left[:, None, None, None]


def _try(critic: Critic, samples: Tensor, threat: Threat, best: Best) -> None:
    with torch.no_grad():
        best.offer(samples, critic.margin(samples, threat.side))


def _framed(x: Tensor) -> Tensor:
    """Return ``x`` as (B, C, H, W); waveforms and vectors have height 1."""
    if x.ndim == 4:
        return x
    return x.reshape(len(x), x.shape[1] if x.ndim == 3 else 1, 1, -1)


def _window(delta: Tensor, numbers: Tensor, side: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return a window at a random place of each sample (B, 1, H, W) bool, and a bump that fills it."""
    axes, slopes = [], []
    for axis, length in enumerate(side):
        size = delta.shape[2 + axis]
        first = (numbers[:, axis] * (size - length + 1)).long().clamp(max=size - length)
        offset = torch.arange(size, device=delta.device)[None] - first[:, None]
        inside = (offset >= 0) & (offset < length)
        axes.append(inside)
        slopes.append(torch.where(inside, 1 + torch.minimum(offset, length - 1 - offset), 0).to(delta.dtype))
    window = axes[0][:, None, :, None] & axes[1][:, None, None, :]
    return window, slopes[0][:, None, :, None] * slopes[1][:, None, None, :]


def _unit(delta: Tensor) -> Tensor:
    size = norms(delta, "l2").clamp(min=torch.finfo(torch.float32).tiny).to(delta.dtype)
    return delta / size[:, None, None, None]
