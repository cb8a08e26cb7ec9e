"""How sure a gap between groups is: simultaneous intervals, and what chance alone would show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector, whole
from ganaudit.numerics.intervals import Bounds
from ganaudit.numerics.worst import share_bounds

__all__ = ["Chance", "Gap", "chance_of_worst", "gap"]


@dataclass(frozen=True, slots=True)
class Chance:
    """A statistic when the same flags are dealt to the samples at random."""

    mean: float
    usual: Bounds
    """Holds a share ``level`` of the dealings, tails equal."""
    p_value: float
    """Share of the dealings with a statistic as large, these samples included."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The greatest rate of a group less the least."""

    value: float
    bounds: Bounds
    """Holds the gap of the groups' true rates: Clopper-Pearson intervals that hold together (Bonferroni); wide."""
    chance: Chance
    n: int
    """Samples in the groups that are judged."""


def gap(
    called: Tensor,
    groups: Tensor,
    rng: np.random.Generator,
    permutations: int = 9999,
    least: int = 10,
    level: float = 0.95,
) -> Gap | None:
    """Return the gap between groups in the share of ``called`` (N,), flags; None with fewer than 2 groups.

    ``groups`` (N,) are whole numbers; those with fewer than ``least`` samples are left out of everything. By chance
    the gap is above 0 even where no group differs; ``chance`` says by how much, from ``permutations`` dealings drawn
    exactly (multivariate hypergeometric, group sizes fixed).
    Raises ValueError when ``called`` is not a vector of 0 and 1, lengths differ, ``permutations`` or ``least`` is
    below 1 or ``level`` is not in (0, 1).
    Source: Fisher 1935; Phipson and Smyth 2010 (the p-value).
    """
    flags = _flags(called)
    whole(permutations, "permutations", least=1)
    whole(len(groups), "groups", least=len(flags), most=len(flags))
    _, at, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    kept = sizes >= whole(least, "least", least=1)
    if int(kept.sum()) < 2:
        return None
    n = sizes[kept].cpu().numpy()
    hits = torch.bincount(at, flags, minlength=len(sizes)).round().long()[kept].cpu().numpy()
    bounds = share_bounds([int(h) for h in hits], [int(s) for s in n], level)
    apart = Bounds(
        max(0.0, max(b.low for b in bounds) - min(b.high for b in bounds)),
        max(b.high for b in bounds) - min(b.low for b in bounds),
    )
    dealt = rng.multivariate_hypergeometric(n, int(hits.sum()), size=permutations) / n
    value = float((hits / n).max() - (hits / n).min())
    return Gap(value, apart, _chance(dealt.max(axis=1) - dealt.min(axis=1), value, level), int(n.sum()))


def chance_of_worst(
    called: Tensor,
    memberships: Sequence[tuple[Tensor, Tensor]],
    rng: np.random.Generator,
    permutations: int = 999,
    level: float = 0.95,
) -> Chance:
    """Return what the greatest rate of ``called`` (N,) over overlapping groups is when the flags are dealt at random.

    Each of ``memberships`` is one way to group: which samples it groups (numbers into 0..N-1), and the group of each,
    0 or more; -1 for none. The dealings move one sample's flag in all groupings at once.
    Raises ValueError when ``called`` is not a vector of 0 and 1, no sample is grouped or ``permutations`` is below 1.
    """
    flags = _flags(called).cpu().numpy()
    whole(permutations, "permutations", least=1)
    ways = []
    for rows, groups in memberships:
        inside = (groups >= 0).cpu().numpy()
        of = groups.cpu().numpy()[inside]
        if len(of):
            ways.append((rows.cpu().numpy()[inside], of, np.bincount(of)))
    whole(len(ways), "memberships", least=1)

    def worst(dealt: np.ndarray) -> float:
        rates = (np.bincount(of, dealt[rows])[size > 0] / size[size > 0] for rows, of, size in ways)
        return max(float(rate.max()) for rate in rates)

    found = np.array([worst(rng.permutation(flags)) for _ in range(permutations)])
    return _chance(found, worst(flags), level)


def _chance(dealt: np.ndarray, value: float, level: float) -> Chance:
    tail = (1 - proportion(level, "level")) / 2
    low, high = np.quantile(dealt, [tail, 1 - tail])
    p_value = (1 + int((dealt >= value).sum())) / (1 + len(dealt))
    return Chance(float(dealt.mean()), Bounds(float(low), float(high)), p_value)


def _flags(called: Tensor) -> Tensor:
    flags = vector(called, "called", least=1)
    if not bool(((flags == 0) | (flags == 1)).all()):
        raise ValueError("called: found numbers other than 0 and 1; allowed: 0, 1, False, True")
    return flags
