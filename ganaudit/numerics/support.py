"""How many distinct samples a source has, from how often two of its samples are as good as the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import matrix, proportion, whole

__all__ = ["Support", "closeness", "collisions", "support"]

_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Support:
    """What the birthday paradox says of the number of equally likely samples."""

    pairs: int
    """Pairs looked at."""
    collisions: int
    """Pairs that are as good as the same."""
    at_least: float
    """The lower limit of the support size."""
    estimate: float | None
    """Pairs over collisions; None without a collision."""


def support(samples: int, collisions: int, level: float = 0.95) -> Support:
    """Return the support size that ``collisions`` among all pairs of ``samples`` independent samples speak for.

    Of N equally likely samples a pair is equal with probability 1/N, so N is about s (s - 1)/2 over the collisions.
    (Half of all sets of s have one where s^2 = 2 N ln 2.) The limit puts the upper Poisson limit in their place,
    one-sided. Where some samples are likelier, it is the size of the even source that would repeat itself as often:
    less than the number of samples there are. Many collisions of one sample are not independent: the limit is then
    somewhat high. Raises ValueError when there are fewer than 2 samples, collisions are not among their pairs or
    ``level`` is not in (0, 1).
    Source: Arora and Zhang 2017, arXiv:1706.08224; Garwood 1936.
    """
    pairs = whole(samples, "samples", least=2) * (samples - 1) // 2
    found = whole(collisions, "collisions", least=0, most=pairs)
    most = float(special.gammaincinv(found + 1, proportion(level, "level")))
    return Support(pairs, found, max(1.0, pairs / most), pairs / found if found else None)


def closeness(x: Tensor, pairs: int) -> float:
    """Return the distance within which ``pairs`` pairs of ``x`` (N, D) lie, Euclidean: the pairs-th least of all.

    Raises ValueError when ``x`` has an entry that is not finite, or fewer pairs than that.
    """
    x = matrix(x, "x", least=2).double()
    whole(pairs, "pairs", least=1, most=len(x) * (len(x) - 1) // 2)
    least = torch.empty(0, dtype=torch.float64)
    for distances in _upper(x):
        least = torch.cat([least, distances]).topk(min(pairs, len(least) + len(distances)), largest=False).values
    return float(least.max())


def collisions(x: Tensor, within: float) -> int:
    """Return how many pairs of ``x`` (N, D) are at most ``within`` apart; raises ValueError as ``closeness`` does."""
    x = matrix(x, "x", least=2).double()
    return sum(int((distances <= within).sum()) for distances in _upper(x))


def _upper(x: Tensor) -> Iterator[Tensor]:
    """Yield the distances of all pairs, each once, some at a time."""
    for start in range(0, len(x), _BLOCK):
        rows = x[start : start + _BLOCK]
        # Differences, not products: equal rows are at distance 0 exactly.
        distances = torch.cdist(rows, x[start:], compute_mode="donot_use_mm_for_euclid_dist")
        later = torch.arange(len(x) - start) > torch.arange(len(rows))[:, None]
        yield distances[later]
