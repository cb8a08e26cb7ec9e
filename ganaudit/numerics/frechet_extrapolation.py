"""The Fréchet distance at fewer samples, and what it says of endless ones: a line in 1/n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ganaudit.numerics.arguments import whole
from ganaudit.numerics.frechet import frechet_distances
from ganaudit.numerics.moments import GroupedMoments
from ganaudit.numerics.world import ALONE, World

__all__ = ["BiasLine", "Thinned", "samples_needed", "thinned_distances"]

_POINTS, _WIDE_POINTS, _WIDE = 6, 4, 256  # a distance costs the cube of the features: few points where they are wide


@dataclass(frozen=True, slots=True)
class BiasLine:
    """The straight line through mean distances over 1/n."""

    intercept: float
    """Its value at 1/n = 0, in the squared unit of the features."""
    slope: float
    """Times 1/n it is the bias at n samples of each side."""
    r_squared: float
    """The share of the variation of the mean distances that the line takes up, with the weights of its fit; 1 where
    there is none."""
    noise: float
    """As ``Thinned.noise``, for the intercept."""


@dataclass(frozen=True, slots=True)
class Thinned:
    """Mean Fréchet distances between subsets of both sides, all of one size."""

    groups: int
    """G, the number of groups of each side."""
    counts: tuple[int, ...]
    """How many groups the subsets hold, ascending; the last is G, the one before it G - 1."""
    sizes: tuple[int, ...]
    """Samples of each side."""
    values: tuple[float, ...]
    """Mean distances, in the squared unit of the features."""

    @property
    def jackknifed(self) -> float:
        """The distance without the part of its bias that falls as 1/n, in the squared unit of the features.

        fd(n) - (G - 1)(mean fd(n - n/G) - fd(n)): leaving a group out of both sides raises the bias by 1/(G - 1) of it,
        and the mean over all groups lets the first-order noise drop out. What is left over of a term in 1/n^2 is
        -G/(G - 1) of it.
        Source: Quenouille 1956; group jackknife.
        """
        fewer, at_all = self.values[-2:]
        return at_all - (self.groups - 1) * (fewer - at_all)

    @property
    def noise(self) -> float:
        """The variance of second order of ``jackknifed`` over that of the distance itself: G/(G - 1)."""
        return self._noise([0.0] * (len(self.counts) - 2) + [1.0 - self.groups, float(self.groups)])

    @property
    def line(self) -> BiasLine | None:
        """The weighted least-squares line of the distances over 1/n; None for fewer than three sizes.

        Weights n^2: first-order noise drops out of the means, and what scatters about the line falls as 1/n.
        Source: Chong and Forsyth 2020, arXiv:1911.07023, who thin the generated side only.
        """
        if len(self.sizes) < 3:
            return None
        n = torch.tensor(self.sizes, dtype=torch.float64)
        x, y, weights = 1 / n, torch.tensor(self.values, dtype=torch.float64), n.square() / n.square().sum()
        dx, dy = x - (weights * x).sum(), y - (weights * y).sum()
        slopes = weights * dx / (weights * dx.square()).sum()
        intercepts = weights - slopes * (weights * x).sum()
        slope, spread = float(slopes @ y), float(weights @ dy.square())
        missed = float(weights @ (dy - slope * dx).square())
        share = 1.0 if spread == 0 else 1 - missed / spread
        return BiasLine(float(intercepts @ y), slope, share, self._noise(intercepts.tolist()))

    def _noise(self, coefficients: Sequence[float]) -> float:
        """Return G^2 sum over g != h of w_gh^2, w_gh the weight that the products of groups g and h get in all."""
        weights = torch.zeros(self.groups, self.groups, dtype=torch.float64)
        for count, coefficient in zip(self.counts, coefficients, strict=True):
            runs = _runs(self.groups, count)
            for run in runs:
                inside = torch.zeros(self.groups, dtype=torch.float64)
                inside[list(run)] = 1
                weights += coefficient / len(runs) / count**2 * torch.outer(inside, inside)
        return self.groups**2 * float(weights.fill_diagonal_(0).square().sum())


def samples_needed(features: int, sizes: int = 2) -> int:
    """Return the fewest samples a side must have for ``thinned_distances`` at this many sizes, 2 or 3.

    About 1.2 to 1.3 per feature, and for three sizes 2 where features are many; 50 at least.
    """
    whole(sizes, "sizes", least=2, most=3)
    n = 50
    while len(_counts(n, GroupedMoments.groups_for(n, features), features)) < sizes:
        n += 1
    return n


def thinned_distances(real: GroupedMoments, fake: GroupedMoments, world: World = ALONE) -> Thinned:
    """Return mean Fréchet distances between unions of groups of both sides, of the same groups on each.

    Both sides must be gathered with the same number of groups and the same core, so that subsets have one size n on
    both. For Gaussian features the expected distance is then a + b/n to leading order in D, for any two covariances and
    any n above D: the trace of the root depends on D/n_real and D/n_fake through
    [(1 + D z/n_real)(1 + D z/n_fake)]^(1/2), which is linear where the two agree. Cutting one side alone bends the
    curve. Up to 7 sizes, 5 above 256 features; the mean at k of G groups is over the G runs of k groups in a circle, in
    which each group counts the same. The distances are shared out over ``world``.

    Raises ValueError when the sides differ in groups, sizes or features, or have fewer than two groups.
    Source: free multiplicative convolution of two Wishart laws, Voiculescu; S = S_0/((1 + D z/n_real)(1 + D z/n_fake)).
    """
    groups = len(real.groups)
    if groups < 2 or [g.n for g in real.groups] != [g.n for g in fake.groups]:
        found = [[g.n for g in side.groups] for side in (real, fake)]
        raise ValueError(
            f"found groups of {found[0]} reals and {found[1]} fakes; allowed: 2 or more, equal on both sides"
        )
    n = real.core.n
    assert n is not None
    counts = _counts(n, groups, real.core.features)
    runs = [_runs(groups, count) for count in counts]
    jobs = [run for same in runs for run in same]
    values = torch.zeros(len(jobs), dtype=torch.float64)
    mine = list(world.mine(len(jobs)))
    if mine:
        values[mine] = frechet_distances(real, fake, [jobs[job] for job in mine])
    means = torch.split(world.total(values), [len(same) for same in runs])
    sizes = tuple(round(n * count / groups) for count in counts)
    return Thinned(groups, counts, sizes, tuple(float(part.mean()) for part in means))


def _counts(n: int, groups: int, features: int) -> tuple[int, ...]:
    """Return how many groups subsets hold: all, all but one, and down to a quarter while samples outnumber features."""
    if groups == 1:
        return (1,)
    points = _POINTS if features <= _WIDE else _WIDE_POINTS
    least = next(k for k in range(groups // 4, groups + 1) if k >= groups - 1 or n // groups * k >= features + 2)
    spaced = {round(least + (groups - least) * i / (points - 1)) for i in range(points)}
    return tuple(sorted(spaced | {groups - 1, groups}))


def _runs(groups: int, count: int) -> list[tuple[int, ...]]:
    starts = range(groups) if count < groups else range(1)
    return [tuple((start + i) % groups for i in range(count)) for start in starts]
