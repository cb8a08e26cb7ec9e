"""Samples moved toward others: which goes to which, how far the mixtures lie from reals, and how alike the ways are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import pair
from ganaudit.numerics.detection import auc
from ganaudit.numerics.frechet import frechet_distance
from ganaudit.numerics.intervals import Bounds
from ganaudit.numerics.moments import Moments

__all__ = [
    "Curve",
    "Pairing",
    "Similarity",
    "auc_curve",
    "frechet_curve",
    "jackknife_similarity",
    "paired",
    "similarity",
]

Pairing = Literal["random", "nearest", "transport"]
Curve = Callable[[Tensor, Tensor], Tensor]
"""From the pairs and the fresh reals that are kept, as their numbers, to the values at every t, (T,)."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """How alike the way from generated samples to reals is to the way from reals to reals."""

    value: float
    """1 for the same curve, 0 for one as far off as that of noise, or farther."""
    bounds: Bounds | None
    """95 %; None where no group of pairs moves the value."""


def paired(
    fake: Tensor, real: Tensor, rule: Pairing, rng: np.random.Generator, labels: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Return the numbers of the fakes and of the reals that make pairs, (P,) int64 each, the fakes rising.

    ``fake`` (M, D) and ``real`` (N, D) are features. ``random``: min(M, N) pairs, no sample twice. ``transport``: as
    many, with the least sum of squared distances. ``nearest``: each fake and the nearest real, which may serve others
    too. With ``labels`` of both, pairs are made within a class, and samples of a class of one side only stay out.
    Raises ValueError when a side is not a matrix of 1 or more finite rows, or the features differ in number.
    """
    fakes, reals = pair(fake.double(), real.double(), least=1)
    if labels is None:
        parts = [(torch.arange(len(fakes)), torch.arange(len(reals)))]
    else:
        shared = sorted(set(labels[0].tolist()) & set(labels[1].tolist()))
        parts = [(torch.nonzero(labels[0] == c)[:, 0], torch.nonzero(labels[1] == c)[:, 0]) for c in shared]
    found = [_paired(fakes, reals, a, b, rule, rng) for a, b in parts]
    if not found:
        return torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    first, second = (torch.cat(side) for side in zip(*found, strict=True))
    order = first.argsort(stable=True)
    return first[order], second[order]


def frechet_curve(mixed: Tensor, fresh: Tensor) -> Curve:
    """Return the Fréchet distance of ``fresh`` features (N, D) and ``mixed`` ones at each t, (T, P, D).

    For two independent samples of one law it is not 0 between the ends: mixing shrinks the variance to (1 - t)^2 + t^2
    of it, and FD(t) = (1 - sqrt((1 - t)^2 + t^2))^2 tr S, 0.0858 tr S in the middle.
    """

    def distances(pairs: Tensor, reals: Tensor) -> Tensor:
        kept = fresh[reals].double()
        side = Moments.of(kept) if len(kept) > kept.shape[1] else kept  # few rows go by their small Gram matrix
        return torch.tensor([frechet_distance(side, step[pairs].double()) for step in mixed], dtype=torch.float64)

    return distances


def auc_curve(scores: Tensor, fresh: Tensor) -> Curve:
    """Return the chance that a score of ``fresh`` reals (N,) lies above one of the mixtures at each t, (T, P)."""
    return lambda pairs, reals: torch.tensor(
        [auc(fresh[reals], step[pairs]).value for step in scores], dtype=torch.float64
    )


def similarity(fake: Tensor, null: Tensor, noise: Tensor, t: Sequence[float]) -> float | None:
    """Return 1 - (area between ``fake`` and ``null``)/(area between ``noise`` and ``null``), not below 0.

    Curves over ``t``, (T,): what is mixed into reals are generated samples, other reals, and noise. Areas are those of
    the absolute difference, by the trapezoidal rule. None where noise goes the way of reals: there is no scale.
    """
    at = torch.tensor(list(t), dtype=torch.float64)
    own, largest = (float(torch.trapezoid((curve - null).abs().double(), at)) for curve in (fake, noise))
    return max(0.0, 1 - own / largest) if largest > 0 else None


def jackknife_similarity(
    curves: tuple[Curve, Curve, Curve], pairs: int, fresh: int, t: Sequence[float], groups: int = 10
) -> Similarity | None:
    """Return the similarity of the ``curves`` (generated, real, noise) with an interval; None as ``similarity``.

    A tenth of the pairs and of the fresh reals is left out at a time, the same in all curves (delete-a-group
    jackknife): value ± q se, se^2 = (G - 1)/G sum_g (s_g - mean)^2, q Student's quantile with G - 1 degrees, cut to
    [0, 1]. No bootstrap, since a Fréchet distance of repeated rows is too large.
    Source: Shao and Tu 1995, section 2.3.
    """

    def of(some: Tensor, reals: Tensor) -> float | None:
        return similarity(curves[0](some, reals), curves[1](some, reals), curves[2](some, reals), t)

    value = of(torch.arange(pairs), torch.arange(fresh))
    if value is None:
        return None
    groups = min(groups, pairs, fresh)
    found = [of(_without(pairs, g, groups), _without(fresh, g, groups)) for g in range(groups)]
    parts = np.array([one for one in found if one is not None])
    count = len(parts)
    error = math.sqrt((count - 1) / count * float(((parts - parts.mean()) ** 2).sum())) if count > 1 else 0.0
    if error == 0:
        return Similarity(value, None)
    reach = float(special.stdtrit(count - 1, 0.975)) * error
    return Similarity(value, Bounds(max(0.0, value - reach), min(1.0, value + reach)))


def _without(n: int, group: int, groups: int) -> Tensor:
    """Return the numbers 0..n but for every ``groups``-th, from ``group`` on."""
    numbers = torch.arange(n)
    return numbers[numbers % groups != group]


def _paired(
    fakes: Tensor, reals: Tensor, a: Tensor, b: Tensor, rule: Pairing, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    if rule == "random":
        n = min(len(a), len(b))
        return a[torch.from_numpy(rng.permutation(len(a))[:n])], b[torch.from_numpy(rng.permutation(len(b))[:n])]
    costs = torch.cdist(fakes[a], reals[b]).square()
    if rule == "nearest":
        return a, b[costs.argmin(1)]
    from scipy.optimize import linear_sum_assignment  # takes a while to import

    rows, columns = linear_sum_assignment(costs.numpy())
    return a[torch.from_numpy(rows)], b[torch.from_numpy(columns)]
