"""Latents whose samples come nearest to given ones: descent through a generator from several starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganaudit.numerics.arguments import whole

__all__ = ["Inversion", "inverted", "within_law"]

_RATE = 0.15
_FIRST, _SECOND = 0.9, 0.99
_TINY = 1e-12

Loss = Callable[[Tensor, Tensor], Tensor]
"""Latents (B, d) and the numbers of their targets (B,) to one number 0 or more each, differentiable in the latents."""


@dataclass(frozen=True, slots=True, eq=False)
class Inversion:
    """The best latent found for each of N targets."""

    latents: Tensor
    """(N, d)."""
    errors: Tensor
    """The loss there, (N,) float64: upper bounds of the least one."""
    by_start: Tensor
    """The least loss found from each start, (N, S) float64: alike where the search does not depend on it."""
    at_start: Tensor
    """The loss at each start, (N, S) float64."""


def within_law(z: Tensor, law: Literal["normal", "uniform"]) -> Tensor:
    """Return ``z`` (B, d) brought back to where latents of the law lie: farther out a generator is not asked.

    Of a normal law a length of at most sqrt(d) + 3/sqrt(2), which 99.9 % of latents keep for large d; of a uniform one
    every coordinate in -1..1.
    """
    if law == "uniform":
        return z.clamp(-1, 1)
    most = math.sqrt(z.shape[1]) + 3 / math.sqrt(2)
    kept: Tensor = z * (most / z.norm(dim=1, keepdim=True).clamp(min=most))
    return kept


def inverted(
    loss: Loss, starts: Tensor, *, steps: int, law: Literal["normal", "uniform"], batch: int = 64
) -> Inversion:
    """Return the latents with the least ``loss`` found from ``starts`` (N, S, d), S for each of N targets.

    Adam (decays 0.9 and 0.99) with a rate that falls from 0.15 to 0 as a half cosine, ``steps`` steps, each brought
    back by ``within_law``; the best point of each way is kept, and of the S ways of a target the best. A gradient that
    is not finite does not move its latent. A search may stop short, so errors are compared only at equal effort.
    N S (``steps`` + 1) forward and backward passes. Nothing is drawn: chance lies in the starts.
    Raises ValueError when ``starts`` is not (N, S, d), ``steps`` is below 1 or the loss has no gradient.
    Source: Zhu et al. 2016, arXiv:1609.03552, section 2 (projection by optimisation); Kingma and Ba 2014 (Adam).
    """
    if starts.ndim != 3 or not starts.numel():
        raise ValueError(f"starts: found shape {tuple(starts.shape)}; allowed: (targets, starts, d), none of them 0")
    whole(steps, "steps", least=1)
    n, several, d = starts.shape
    z, rows = starts.flatten(0, 1), torch.arange(n, device=starts.device).repeat_interleave(several)
    parts = [_descended(loss, z[at : at + batch], rows[at : at + batch], steps, law) for at in range(0, len(z), batch)]
    latents, errors, first = (torch.cat(column) for column in zip(*parts, strict=True))
    errors = errors.view(n, several)
    best = errors.argmin(1)
    picked = torch.arange(n, device=starts.device)
    return Inversion(latents.view(n, several, d)[picked, best], errors[picked, best], errors, first.view(n, several))


def _descended(
    loss: Loss, start: Tensor, rows: Tensor, steps: int, law: Literal["normal", "uniform"]
) -> tuple[Tensor, Tensor, Tensor]:
    now, best = start, start
    least = torch.full((len(start),), math.inf, dtype=torch.float64, device=start.device)
    first = least
    mean, square = torch.zeros_like(start), torch.zeros_like(start)
    for step in range(steps + 1):
        values, slope = _slope(loss, now, rows)
        first = values if step == 0 else first
        nearer = values < least
        least, best = torch.where(nearer, values, least), torch.where(nearer[:, None], now, best)
        mean = _FIRST * mean + (1 - _FIRST) * slope
        square = _SECOND * square + (1 - _SECOND) * slope.square()
        ahead = mean / (1 - _FIRST ** (step + 1))
        size = (square / (1 - _SECOND ** (step + 1))).sqrt() + _TINY
        rate = _RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        now = within_law(now - rate * ahead / size, law)
    return best, least, first


def _slope(loss: Loss, z: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        leaf = z.detach().requires_grad_(True)
        values = loss(leaf, rows)
        if not values.requires_grad:
            raise ValueError("loss: found values without gradients; allowed: those of a differentiable generator")
        (slope,) = torch.autograd.grad(values.sum(), leaf)
    found = values.detach().double()
    return torch.where(found.isfinite(), found, math.inf), torch.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
