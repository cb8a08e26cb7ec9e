"""How far a sample moves for a small step of the latent: the path length, its trimming, and whether it is one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import vector
from ganaudit.numerics.intervals import Bounds, student

__all__ = ["PathLength", "on_levels", "path_length", "plateau", "squared_distances"]

_NEAR = 1e-3  # of a level; float32 tells values near 1 apart to 3e-5 of one


@dataclass(frozen=True, slots=True)
class PathLength:
    """E d(x(t), x(t + eps))/eps^2 over N paths, in the unit of the distance d."""

    value: float
    """The mean over all paths."""
    trimmed: float
    """The mean of those between the percentiles 1 and 99, as peers trim: lower for a heavy upper tail."""
    bounds: Bounds | None
    """Student's interval of ``value`` at 95 %, cut at 0, which no squared speed is below; None for one path alone."""
    n: int


def path_length(distances: Tensor, eps: float) -> PathLength:
    """Return the path length from the distances (N,) of two points ``eps`` apart on each of N paths.

    With a distance that is a squared norm it tends to E |dx/dt|^2 as eps falls. Trimmed: percentiles are sample values,
    the lower of two at 1 % and the higher at 99 %, and both are kept.
    Raises ValueError when ``distances`` is not a vector of 1 or more finite numbers or ``eps`` is not above 0.
    Source: Karras et al. 2019, arXiv:1812.04948, section 4.1; trimming as in stylegan2-ada and torch-fidelity.
    """
    if not 0 < eps < math.inf:
        raise ValueError(f"eps: found {eps}; allowed: above 0, finite")
    values = vector(distances, "distances", least=1) / eps**2
    low = np.quantile(values.numpy(), 0.01, method="lower")
    high = np.quantile(values.numpy(), 0.99, method="higher")
    kept = values[(values >= low) & (values <= high)]
    bounds = None
    if len(values) > 1:
        ends = student(values, 0.95)
        bounds = Bounds(max(0.0, ends.low), ends.high)
    return PathLength(float(values.mean()), float(kept.mean()), bounds, len(values))


def plateau(values: Mapping[float, float], eps: float, tolerance: float) -> list[float]:
    """Return the steps around ``eps``, rising, whose values differ from that at ``eps`` by at most ``tolerance`` of it.

    ``values`` by step, ``eps`` among them. Only an unbroken run counts; a run of ``eps`` alone is no plateau: too long
    steps cut corners, and too short ones show the rounding of the network.
    """
    steps = sorted(values)
    at, own = steps.index(eps), values[eps]

    def near(step: float) -> bool:
        return abs(values[step] - own) <= tolerance * abs(own)

    first, last = at, at
    while first > 0 and near(steps[first - 1]):
        first -= 1
    while last + 1 < len(steps) and near(steps[last + 1]):
        last += 1
    return steps[first : last + 1]


def on_levels(x: Tensor, low: float, high: float) -> Tensor:
    """Return of each of ``x`` (N, ...) whether all its values lie on the 256 levels of an 8-bit file, (N,) bool.

    Levels from ``low`` to ``high``, within a thousandth of one. Small steps of such samples are 0 or a whole level:
    they have no path length. A sample whose values are all at an end of the range lies on levels too.
    Raises ValueError when ``low < high`` does not hold.
    """
    if not low < high:
        raise ValueError(f"low, high: found {low}, {high}; allowed: low below high")
    levels = (x.double() - low).flatten(1) * (255 / (high - low))
    return ((levels - levels.round()).abs() <= _NEAR).all(1)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared Euclidean distances (N,) float64 of the rows of ``a`` and ``b``, (N, ...)."""
    return torch.sub(a.double(), b.double()).flatten(1).square().sum(1)
