"""Ways between two good samples that lead through a poor one: what counts as poor, and how often chance does so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector, whole
from ganaudit.numerics.intervals import Bounds

__all__ = ["Cut", "broken", "chance_below", "poor_below", "predicted_share"]

_GRID = 2000


@dataclass(frozen=True, slots=True)
class Cut:
    """A score below which few reals lie: the ``rank``-th smallest of ``n`` scores of reals."""

    score: float
    rank: int
    n: int
    points: int
    """New reals that are looked at together."""

    @property
    def chance(self) -> float:
        """The chance that one or more of ``points`` new reals score below the cut, the drawing of the cut included."""
        return chance_below(self.rank, self.n, self.points)


def chance_below(rank: int, n: int, points: int) -> float:
    """Return the chance that a new draw of ``points`` lies below the ``rank``-th smallest of ``n``, all of one law.

    1 - prod_(i < points) (n + 1 - rank + i)/(n + 1 + i): the place of new draws among known ones, whatever the law is
    if it is continuous; ties make it smaller. rank/(n + 1) for one point.
    Raises ValueError when ``rank`` is not in 1..n or ``points`` is below 1.
    Source: order statistics, David and Nagaraja 2003; the law of a conformal threshold, Vovk et al. 2005.
    """
    if not 1 <= whole(rank, "rank", least=1) <= whole(n, "n", least=1):
        raise ValueError(f"rank: found {rank}; allowed: 1 to {n}")
    i = np.arange(whole(points, "points", least=1), dtype=np.float64)
    return float(-np.expm1(np.log1p(-rank / (n + 1 + i)).sum()))


def poor_below(scores: Tensor, points: int, chance: float) -> Cut:
    """Return the highest score of a real (n,) below which one of ``points`` new reals falls with at most ``chance``.

    The least of all scores where none keeps to that: ``Cut.chance`` is then larger.
    Raises ValueError when there is no score, one is not finite, or ``chance`` is not in (0, 1).
    """
    values = vector(scores, "scores", least=1).double().sort().values
    limit, n = proportion(chance, "chance"), len(values)
    rank = 1
    while rank < n and chance_below(rank + 1, n, points) <= limit:
        rank += 1
    return Cut(float(values[rank - 1]), rank, n, points)


def broken(scores: Tensor, cut: float) -> tuple[Tensor, Tensor]:
    """Return which paths have two good ends, and which of these a poor point between them, both (N,) bool.

    ``scores`` (T, N) along N paths, T of at least 3; poor is a score below ``cut``, good one that is not.
    Raises ValueError for another shape.
    """
    if scores.ndim != 2 or len(scores) < 3:
        raise ValueError(f"scores: found shape {tuple(scores.shape)}; allowed: (3 or more points, paths)")
    poor = scores < cut
    counted = ~(poor[0] | poor[-1])
    return counted, counted & poor[1:-1].any(0)


def predicted_share(cut: Cut, n: int, level: float = 0.95) -> Bounds:
    """Return the range that holds the share of ``n`` paths of unrelated reals that are broken, with ``level``.

    Quantiles of a binomial law whose chance, 1 - (1 - U)^points, is drawn with the cut: U, the mass of reals below it,
    has the beta law of (rank, n + 1 - rank). The mean over that law is taken at 2000 of its quantiles.
    Raises ValueError when ``n`` is below 1 or ``level`` is not in (0, 1).
    """
    tail = (1 - proportion(level, "level")) / 2
    mass = special.betaincinv(cut.rank, cut.n + 1 - cut.rank, (np.arange(_GRID) + 0.5) / _GRID)
    chance = -np.expm1(cut.points * np.log1p(-mass))
    counts = np.arange(whole(n, "n", least=1) + 1)
    below = special.bdtr(counts[:, None].astype(np.float64), n, chance).mean(1)
    return Bounds(int((below < tail).sum()) / n, int((below < 1 - tail).sum()) / n)
