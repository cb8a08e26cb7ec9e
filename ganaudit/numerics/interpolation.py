"""Ways from one sample or latent to another, and what is read off the values along them.

A path is T points at the fractions t_0 = 0 < ... < t_(T-1) = 1; scores along N paths are (T, N).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import matrix, proportion, whole
from ganaudit.numerics.intervals import Bounds

__all__ = ["chance_of_dip", "crossings", "curvature", "dips", "evenness", "fractions", "lerp", "share_range", "slerp"]

_PARALLEL = 1e-7  # sine of the angle below which the arc and the chord are one


def fractions(points: int) -> list[float]:
    """Return ``points`` fractions from 0 to 1 at equal distance; raises ValueError for fewer than 3."""
    last = whole(points, "points", least=3) - 1
    return [i / last for i in range(points)]


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """Return the points a + (b - a) t of the chords from rows of ``a`` to rows of ``b``, (N, ...); exact at 0 and 1.

    ``t`` is a number or one for each row, (N,). Between independent samples of one law the variance at t is
    (1 - t)^2 + t^2 of that of the ends, half of it in the middle.
    """
    share = _rowwise(t, a)
    return a * (1 - share) + b * share


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """Return points of the great-circle arcs from rows of ``a`` to rows of ``b``, (N, D), dtype of ``a``.

    (sin((1 - t)θ) a + sin(tθ) b)/sin θ, θ the angle between the two, in float64. Rows of one length keep it; between
    rows of other lengths the length moves from one to the other. Where the two point the same or the opposite
    way, the chord stands in.
    ``t`` is a number or one for each row, (N,). Source: Shoemake 1985; White 2016, arXiv:1609.04468.
    """
    start, end, share = a.double(), b.double(), _rowwise(t, a).double()
    sizes = (start.norm(dim=1) * end.norm(dim=1)).clamp(min=torch.finfo(torch.float64).tiny)
    angle = ((start * end).sum(1) / sizes).clamp(-1, 1).acos()[:, None]
    sine = angle.sin()
    safe = torch.where(sine > _PARALLEL, sine, 1.0)
    arc = (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / safe
    return torch.where(sine > _PARALLEL, arc, start * (1 - share) + end * share).to(a.dtype)


def evenness(steps: Tensor) -> Tensor:
    """Return the mean over the largest of the lengths of the steps of each path, (N,) float64, from ``steps`` (N, S).

    1 where all steps are equal, 1/S where all of the way is one jump; NaN for a path that does not move.
    Raises ValueError when ``steps`` is no matrix of finite numbers or one is below 0.
    """
    lengths = matrix(steps, "steps", least=1).double()
    if float(lengths.min()) < 0:
        raise ValueError(f"steps: found {float(lengths.min()):g}; allowed: 0 or more")
    return lengths.mean(1) / lengths.amax(1)


def curvature(scores: Tensor, t: Sequence[float]) -> Tensor:
    """Return max_t |s(t) - chord(t)| over the range of s for each path, (N,) float64, from ``scores`` (T, N).

    The chord runs straight from the first score to the last. 0 for a straight line and for scores that stay as they
    are; at most 1.
    Raises ValueError when ``scores`` is not (T, N) with one row for each of ``t``.
    """
    values, share = _along(scores, t)
    chord = values[0] * (1 - share) + values[-1] * share
    extent = values.amax(0) - values.amin(0)
    bend = (values - chord).abs().amax(0)
    # A straight line leaves rounding: what is below it is no bend.
    rounding = 4 * torch.finfo(torch.float64).eps * values.abs().amax(0)
    return torch.where(bend > rounding, bend / torch.where(extent > 0, extent, 1.0), 0.0).clamp(max=1)


def crossings(scores: Tensor, t: Sequence[float], threshold: float) -> Tensor:
    """Return where each path first reaches ``threshold`` from below, (N,) float64, from ``scores`` (T, N).

    Linear between neighbouring points, so exact for a score that is linear along the path:
    (threshold - s(0))/(s(1) - s(0)). NaN for a path that does not start below the threshold or never reaches it.
    Raises ValueError as ``curvature`` does.
    """
    values, share = _along(scores, t)
    reached = values >= threshold
    first = reached.double().argmax(0)
    found = reached.any(0) & (first > 0)
    after = first.clamp(min=1)
    rows = torch.arange(values.shape[1])
    low, high = values[after - 1, rows], values[after, rows]
    start, end = share[after - 1, 0], share[after, 0]
    # On paths that cross, low < threshold <= high.
    at = start + (end - start) * (threshold - low) / torch.where(found, high - low, 1.0)
    return torch.where(found, at, torch.nan)


def dips(scores: Tensor, cut: float) -> Tensor:
    """Return whether a point between the two ends of each path lies below ``cut``, (N,) bool, from scores (T, N)."""
    return (scores[1:-1] < cut).any(0)


def chance_of_dip(share: float, points: int) -> float:
    """Return the chance that at least one of ``points`` independent draws lies in a tail of mass ``share``."""
    return -float(np.expm1(whole(points, "points", least=1) * np.log1p(-min(share, 1.0)))) if share < 1 else 1.0


def share_range(n: int, p: float, level: float) -> Bounds:
    """Return the range that holds the share of successes among ``n`` trials of chance ``p`` with at least ``level``.

    The binomial quantiles at (1 - level)/2 and (1 + level)/2 over ``n``.
    Raises ValueError when ``n`` is below 1 or ``level`` is not in (0, 1).
    """
    tail = (1 - proportion(level, "level")) / 2
    below = special.bdtr(np.arange(whole(n, "n", least=1) + 1), n, p)
    return Bounds(int((below < tail).sum()) / n, int((below < 1 - tail).sum()) / n)


def _along(scores: Tensor, t: Sequence[float]) -> tuple[Tensor, Tensor]:
    if scores.ndim != 2 or len(scores) != len(t):
        raise ValueError(f"scores: found shape {tuple(scores.shape)}; allowed: ({len(t)}, paths), a row for each t")
    return scores.double(), torch.tensor(list(t), dtype=torch.float64)[:, None]


def _rowwise(t: Tensor | float, like: Tensor) -> Tensor:
    share = torch.as_tensor(t, dtype=like.dtype, device=like.device)
    return share.view(-1, *[1] * (like.ndim - 1)) if share.ndim else share
