"""Norm balls, met with the box of allowed values: exact projections, norms and steepest steps, sample by sample."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

__all__ = ["DUALS", "NORMS", "Norm", "norms", "projected", "steepest", "walked"]

Norm = Literal["linf", "l2", "l1"]

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")

DUALS: dict[Norm, float] = {"linf": 1.0, "l2": 2.0, "l1": math.inf}
"""Order of the dual norm: what a linear critic's weights are measured in."""

_ROUNDS = 64
_BLOCKED = 1e-6  # of the gradient: so little of it may be free, and a step is no longer than that allows
_SHORT = 1e-6  # of the radius: rounding in float32 alone leaves so much


def norms(delta: Tensor, norm: Norm) -> Tensor:
    """Return the norm of each row of ``delta`` (B, ...), (B,) float64."""
    flat = delta.flatten(1)
    if norm == "linf":
        return flat.abs().amax(1).double()
    size: Tensor = torch.linalg.vector_norm(flat, ord=1 if norm == "l1" else 2, dim=1, dtype=torch.float64)
    return size


def projected(delta: Tensor, norm: Norm, radius: float | Tensor, low: Tensor | None, high: Tensor | None) -> Tensor:
    """Return the point of ball and box that is nearest to ``delta`` (B, ...) in the Euclidean sense.

    ``radius``: one number or (B,). ``low`` <= 0 <= ``high``, shaped like ``delta``: the box around the sample; None
    for no box. l1: the threshold of soft shrinking by sorting (Duchi et al. 2008), with the box by sorting both ends
    of each coordinate's slope. l2: each coordinate is scaled by one factor and clipped; the factor rises over the set
    of clipped coordinates until that set stands still. linf: two clippings.
    """
    flat = delta.flatten(1)
    size = _sizes(radius, flat)
    if low is not None and high is not None:
        room = torch.where(flat >= 0, high.flatten(1), -low.flatten(1)).clamp(min=0)
    else:
        room = torch.full_like(flat, math.inf)
    reach = flat.abs()
    if norm == "linf":
        reach = torch.minimum(torch.minimum(reach, room), size)
    elif norm == "l2":
        reach = _nearest_l2(reach, size, room)
    else:
        reach = _nearest_l1(reach, size, room)
    return torch.copysign(reach, flat).view_as(delta)


def steepest(gradient: Tensor, norm: Norm, radius: float | Tensor, low: Tensor | None, high: Tensor | None) -> Tensor:
    """Return the step of at most ``radius`` that gains most along ``gradient`` (B, ...).

    linf: the sign. l2: the gradient over its norm. l1: the whole step into the largest coordinate. With a box
    (``low`` <= 0 <= ``high``, how far each coordinate may still move): l2 takes the norm over the coordinates that can
    move, and the others push on against their wall, which a projection needs to see; l1 fills coordinates in the order
    of their gradients, each as far as its wall, which is exact for a linear critic.
    A gradient of zeros gives a step of zeros. The gradient's size does not matter.
    """
    flat = gradient.flatten(1)
    size = _sizes(radius, flat)
    # The largest entry first, so that squares neither overflow nor vanish.
    flat = flat / flat.abs().amax(1, keepdim=True).clamp(min=torch.finfo(flat.dtype).tiny)
    room = None
    if low is not None and high is not None:
        room = torch.where(flat >= 0, high.flatten(1), -low.flatten(1)).clamp(min=0)
    if norm == "linf":
        step = size * flat.sign()
    elif norm == "l2":
        free = flat if room is None else flat * (room > 0)
        step = size * flat / free.norm(dim=1, keepdim=True).clamp(min=1e-6)
    else:
        step = _filled(flat, size, room)
    return step.view_as(gradient)


def walked(x: Tensor, now: Tensor, gradient: Tensor, length: Tensor, radius: Tensor, low: float, high: float) -> Tensor:
    """Return ``now`` moved by ``length`` along ``gradient`` in l2, and the point of ball and range nearest to that.

    (B, ...); ``length`` and ``radius`` float64, one or (B,). What ``steepest`` and ``projected`` give with the box of a
    range that is the same for every value, in fewer passes over memory: only samples whose way back into the ball
    meets a wall go through the general projection.
    """
    along, at, origin = gradient.flatten(1), now.flatten(1), x.flatten(1)
    middle, half = (high + low) / 2, (high - low) / 2
    # Which values can move at all along the gradient.
    free = along * ((at - middle).mul_(along.sign()) < half)
    slope = torch.maximum(_lengths(free), _BLOCKED * _lengths(along))
    pace = (length.reshape(-1, 1) / slope).masked_fill_(slope == 0, 0).clamp_(max=torch.finfo(x.dtype).max)
    way = torch.addcmul(at, along, pace.to(x.dtype)).sub_(origin)
    size = radius.reshape(-1, 1)
    reach = (origin + way).clamp_(low, high).sub_(origin)
    share = torch.where(_lengths(reach) > size, size / _lengths(way), 1.0)
    placed = torch.addcmul(origin, way, share.to(x.dtype)).clamp_(low, high)
    short = (share < 1) & (_lengths(placed - origin) < size * (1 - _SHORT))
    rows = torch.nonzero(short[:, 0])[:, 0]
    if len(rows):
        back, start = way[rows], origin[rows]
        room = (half - (start - middle).mul_(back.sign())).clamp_(min=0)
        least = _nearest_l2(back.abs(), size.expand(len(x), 1)[rows].to(x.dtype), room)
        placed[rows] = torch.copysign(least, back).add_(start).clamp_(low, high)
    return placed.view_as(x)


def _lengths(flat: Tensor) -> Tensor:
    found: Tensor = torch.linalg.vector_norm(flat, dim=1, keepdim=True, dtype=torch.float64)
    return found


def _sizes(radius: float | Tensor, flat: Tensor) -> Tensor:
    if isinstance(radius, Tensor):
        return radius.to(flat).reshape(-1, 1)
    return torch.full((len(flat), 1), radius, dtype=flat.dtype, device=flat.device)


def _nearest_l2(reach: Tensor, size: Tensor, room: Tensor) -> Tensor:
    # sum min(t a, b)^2 = r^2 in the factor t. From below: each round solves for t over the coordinates not yet at
    # their wall; a larger t only brings more to the wall, so that no round leaves the ball and the last is exact.
    inside = torch.minimum(reach, room)
    over = inside.norm(dim=1, keepdim=True) > size
    if not bool(over.any()):
        return inside
    factor = size / reach.norm(dim=1, keepdim=True).clamp(min=torch.finfo(reach.dtype).tiny)
    scaled = reach * factor
    walled = scaled >= room
    if not bool((walled & over).any()):
        return torch.where(over, scaled, inside)
    for _ in range(_ROUNDS):
        taken = torch.where(walled, room, 0).square().sum(1, keepdim=True)
        free = torch.where(walled, 0, reach).square().sum(1, keepdim=True)
        left = (size.square() - taken).clamp(min=0)
        factor = torch.maximum(factor, (left / free.clamp(min=torch.finfo(reach.dtype).tiny)).sqrt())
        grown = walled | (reach * factor >= room)
        if bool((grown == walled).all()):
            break
        walled = grown
    return torch.where(over, torch.minimum(reach * factor, room), inside)


def _nearest_l1(reach: Tensor, size: Tensor, room: Tensor) -> Tensor:
    # h(s) = sum clip(a - s, 0, b) falls in s: coordinate i slopes from s = a down to s = a - b. Walk the ends of all
    # slopes from the largest s down until h reaches the radius.
    inside = torch.minimum(reach, room)
    over = inside.double().sum(1, keepdim=True) > size
    if not bool(over.any()):
        return inside
    a, b = reach.double(), room.double()
    ends = torch.cat([a, (a - b).clamp(min=0)], 1)
    turns = torch.cat([torch.ones_like(a), -torch.ones_like(a)], 1)
    ends, order = ends.sort(dim=1, descending=True)
    slopes = turns.gather(1, order).cumsum(1)
    gains = (ends[:, :-1] - ends[:, 1:]) * slopes[:, :-1]
    height = torch.cat([torch.zeros_like(ends[:, :1]), gains.cumsum(1)], 1)
    last = (torch.searchsorted(height, size.double(), right=True) - 1).clamp(0, ends.shape[1] - 1)
    slope = slopes.gather(1, last).clamp(min=1)
    cut = ends.gather(1, last) - (size.double() - height.gather(1, last)) / slope
    shrunk = torch.minimum((a - cut.clamp(min=0)).clamp(min=0), b).to(reach.dtype)
    return torch.where(over, shrunk, inside)


def _filled(flat: Tensor, size: Tensor, room: Tensor | None) -> Tensor:
    if room is None:
        best = flat.abs().argmax(1, keepdim=True)
        return torch.zeros_like(flat).scatter(1, best, size * flat.gather(1, best).sign())
    order = flat.abs().argsort(dim=1, descending=True, stable=True)
    walls = torch.where(flat == 0, 0, room).gather(1, order).double()
    before = walls.cumsum(1) - walls
    taken = torch.minimum((size.double() - before).clamp(min=0), walls).to(flat.dtype)
    return torch.zeros_like(flat).scatter(1, order, taken) * flat.sign()
