"""First and second moments of features, gathered whole, in parts or in random groups, or taken from a publication."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.numerics.arguments import LARGEST, bounded, matrix, whole
from ganaudit.numerics.symmetric import cholesky
from ganaudit.numerics.world import ALONE, World

__all__ = ["GroupedMoments", "Moments", "Root"]

_LEAST_GROUPED = 50  # samples below which groups hold next to nothing
_SPARE = 1.1  # samples per feature that a set must keep when a group is left out
_SYMMETRIC = 1e-6  # published statistics are often float32
_NEGATIVE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """A matrix A with A A^T = S for a covariance S."""

    matrix: Tensor
    """(D, K) float64, K the rank of S."""
    lower: bool
    """Whether it is the lower triangular factor of a clearly definite S, K = D."""

    @property
    def rank(self) -> int:
        """K, the number of columns."""
        return self.matrix.shape[1]


@dataclass(frozen=True, eq=False)
class Moments:
    """Sample count, mean and scatter of features; parts merge into the moments of the whole.

    ``merge`` is commutative and associative up to float64 rounding, so batches and worlds may come in any order.
    """

    n: int | None
    """Number of samples, 1 or more; None for published statistics that do not tell it."""
    mean: Tensor
    """Mean of every feature, (D,), float64."""
    scatter: Tensor
    """Sum over samples of (x - mean)(x - mean)^T, (D, D), float64, symmetric; the covariance where n is not known."""

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Return the moments of ``features`` (N, D), any real dtype, N >= 1.

        Two passes in float64: the mean first, then the products of what is left, so a large common offset costs no
        digits. Raises ValueError when the shape is not (N, D), N is 0 or an entry is not finite or of size 1e100 or
        more.
        """
        values = bounded(features, "features", least=1).double()
        mean = values.mean(dim=0)
        centred = values - mean
        scatter = centred.T @ centred
        return cls(len(values), mean, (scatter + scatter.T) / 2)

    @classmethod
    def from_statistics(cls, n: int | None, mean: Tensor, covariance: Tensor) -> Moments:
        """Return the moments with a published ``mean`` (D,) and ``covariance`` (D, D) of divisor n - 1.

        ``n`` is None where the publication does not tell it: such moments cannot merge, and count as exact.
        Raises ValueError when the shapes do not fit, an entry is not finite, the covariance is not symmetric within
        1e-6 of its largest entry or has an eigenvalue below -1e-6 of its largest, ``n`` is below 2, or features of such
        moments would reach 1e100.
        """
        if n is not None:
            whole(n, "n", least=2)
        if mean.ndim != 1 or len(mean) < 1:
            raise ValueError(f"mean: found shape {tuple(mean.shape)}; allowed: (features,)")
        if covariance.shape != (len(mean), len(mean)):
            raise ValueError(f"covariance: found shape {tuple(covariance.shape)}; allowed: {(len(mean), len(mean))}")
        mean, covariance = mean.detach().double(), matrix(covariance, "covariance", least=1).double()
        if not bool(torch.isfinite(mean).all()):
            raise ValueError("mean: found NaN or infinity; allowed: finite numbers")
        size = max(float(mean.abs().max()), math.sqrt(float(covariance.abs().max())))
        if not size < LARGEST:
            raise ValueError(f"moments: found those of features of size {size:g}; allowed: below 1e100")
        gap, largest = float((covariance - covariance.T).abs().max()), float(covariance.abs().max())
        if gap > _SYMMETRIC * largest:
            raise ValueError(
                f"covariance: found entries that differ by {gap:g} from their mirror image, the largest entry is "
                f"{largest:g}; allowed: a symmetric matrix"
            )
        moments = cls(n, mean, (covariance + covariance.T) / 2 * (1 if n is None else n - 1))
        moments._check_definite()
        return moments

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of samples together.

        With d = other.mean - mean: n = n1 + n2, mean = mean1 + d n2/n, scatter = S1 + S2 + d d^T n1 n2/n.
        Raises ValueError when the numbers of features differ or a number of samples is not known.
        Source: Chan, Golub and LeVeque 1979.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"other: found {len(other.mean)} features; allowed: {len(self.mean)}, as in self")
        return _union([self, other])

    @property
    def features(self) -> int:
        """D, the number of features."""
        return len(self.mean)

    @property
    def degrees(self) -> int:
        """What the scatter is to be divided by: n - 1, and 1 where n is not known. Raises ValueError when n < 2."""
        if self.n is None:
            return 1
        if self.n < 2:
            raise ValueError(f"covariance: found {self.n} samples; allowed: 2 or more")
        return self.n - 1

    @property
    def rank(self) -> int:
        """The largest rank the covariance can have: D, or n - 1 where that is less."""
        return self.features if self.n is None else min(self.features, self.n - 1)

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance, (D, D) float64: scatter / (n - 1).

        Raises ValueError when n < 2.
        """
        return self.scatter / self.degrees

    @cached_property
    def root(self) -> Root:
        """A root of the covariance, computed once: the Cholesky factor, or where there is none the eigenvectors'.

        Eigenvalues beyond ``rank`` and below D eps times the largest are rounding, and left out.
        Raises ValueError when n < 2.
        """
        if self.rank == self.features:
            lower, definite = cholesky(self.scatter, self.degrees)
            if definite:
                return Root(lower, lower=True)
        values, vectors = torch.linalg.eigh(self.scatter)
        noise = self.features * torch.finfo(values.dtype).eps * float(values[-1])
        kept = values > max(noise, 0.0)
        kept[: self.features - self.rank] = False
        return Root(vectors[:, kept] * (values[kept] / self.degrees).sqrt(), lower=False)

    def _check_definite(self) -> None:
        if self.root.lower:
            return
        values = torch.linalg.eigvalsh(self.scatter) / self.degrees
        if float(values[0]) < -_NEGATIVE * float(values.abs().max()):
            raise ValueError(
                f"covariance: found an eigenvalue of {float(values[0]):g}, the largest is {float(values[-1]):g}; "
                "allowed: none below 0 but for rounding"
            )


@dataclass(frozen=True, eq=False)
class GroupedMoments:
    """The moments of random groups of one side, so that the moments of many subsets follow from one pass over it.

    Memory is one scatter per group, however many samples there are.
    """

    groups: tuple[Moments, ...]
    """The groups; sizes differ by 1 at most, and are the same for every side that was gathered with this core."""
    rest: Moments | None = None
    """The samples outside the core, None when there are none."""

    @staticmethod
    def groups_for(n: int, features: int) -> int:
        """Return how many groups a core of ``n`` samples is worth: 4 to 16, fewer where a scatter is large; else 1.

        1 when too few samples would be left without a group: fewer than 1.1 for each feature. Then only the total
        is of use.
        """
        whole(features, "features", least=1)
        fewest = 16 if features <= 256 else 8 if features <= 1024 else 4
        most = 16 if features <= 1024 else 8
        for groups in (4, 8, 16):
            if fewest <= groups <= most and n >= _LEAST_GROUPED and n - -(-n // groups) >= _SPARE * features:
                return groups
        return 1

    @classmethod
    def gather(
        cls,
        blocks: Iterable[tuple[int, Tensor]],
        n: int,
        groups: int,
        rng: np.random.Generator,
        world: World = ALONE,
        core: int | None = None,
    ) -> GroupedMoments:
        """Return the moments of ``groups`` random groups of ``core`` of n samples, and of the rest, in one pass.

        ``blocks`` yields (number of the first row, rows (B, D)) over all rows, the same on every process; each process
        of ``world`` takes its share of them and all end with the same moments. One permutation of 0..n-1 from ``rng``,
        which must be in the same state on all, deals the first ``core`` samples (all when None) to the groups in turn.
        Sums are float64, each block about its own mean; any division into blocks and processes gives the same to
        rounding.

        Raises ValueError, on all processes, when the blocks do not hold each of the n rows once and in order, differ in
        width or hold an entry that is not finite or of size 1e100 or more, or when there are more groups than samples
        in the core.
        """
        core = whole(n if core is None else core, "core", least=1, most=whole(n, "n", least=1))
        whole(groups, "groups", least=1, most=core)
        owner = np.full(n, groups)
        owner[rng.permutation(n)[:core]] = np.arange(core) % groups
        sums: list[_Sums] = []
        largest = 0.0
        for number, (start, rows) in enumerate(_in_order(blocks, n)):
            sums = sums or [_Sums(rows) for _ in range(groups + (core < n))]
            if number % world.size == world.rank:
                largest = max(largest, _largest(rows))
                _absorb(sums, owner[start : start + len(rows)], rows)
        # Told to all: a process that stopped alone would leave the others waiting.
        if float(world.total(sums[0].mean.new_tensor([not largest < math.inf]))) > 0:
            raise ValueError("features: found NaN or infinity; allowed: finite numbers")
        if float(world.total(sums[0].mean.new_tensor([not largest < LARGEST]))) > 0:
            raise ValueError("features: found a feature of size 1e100 or more; allowed: below 1e100")
        found = tuple(part.over(world) for part in sums)
        return cls(found[:groups], found[groups] if core < n else None)

    @cached_property
    def core(self) -> Moments:
        """The moments of all groups together."""
        return self.union(range(len(self.groups)))

    @cached_property
    def total(self) -> Moments:
        """The moments of all samples."""
        return self.core if self.rest is None else self.core.merge(self.rest)

    def union(self, numbers: Iterable[int]) -> Moments:
        """Return the moments of the samples of the groups with these numbers together."""
        return _union([self.groups[number] for number in numbers])

    def unions(self, sets: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return the means (J, D) and covariances (J, D, D) of J unions of groups at once; for few features."""
        counts = torch.tensor(
            [_known(group) for group in self.groups], dtype=torch.float64, device=self.core.mean.device
        )
        inside = torch.zeros(len(sets), len(self.groups), dtype=torch.float64, device=counts.device)
        for row, numbers in zip(inside, sets, strict=True):
            row[list(numbers)] = 1
        # About the mean of all, so that a large common offset costs no digits.
        shifts = torch.stack([group.mean for group in self.groups]) - self.core.mean
        squares = torch.stack([group.scatter for group in self.groups])
        squares = squares + counts[:, None, None] * shifts[:, :, None] * shifts[:, None, :]
        n = inside @ counts
        middle = (inside * counts) @ shifts / n[:, None]
        scatters = torch.tensordot(inside, squares, dims=1) - n[:, None, None] * middle[:, :, None] * middle[:, None, :]
        return self.core.mean + middle, scatters / (n - 1)[:, None, None]


class _Sums:
    """The running moments of one group; each part is merged in place, so a sweep holds one scatter per group."""

    def __init__(self, like: Tensor) -> None:
        self.n = 0
        self.mean = torch.zeros(like.shape[1], dtype=torch.float64, device=like.device)
        self.scatter = torch.zeros(like.shape[1], like.shape[1], dtype=torch.float64, device=like.device)

    def add(self, rows: Tensor) -> None:
        values = rows.double()
        mean = values.mean(dim=0)
        shift, total = mean - self.mean, self.n + len(values)
        # The merge's outer product rides along as one more row: the scatter is read and written once.
        bridge = shift * math.sqrt(self.n * len(values) / total)
        parts = torch.cat([values - mean, bridge[None]])
        self.scatter.addmm_(parts.T, parts)
        self.mean += shift * (len(values) / total)
        self.n = total

    def over(self, world: World) -> Moments:
        """Return the moments of what all processes have added."""
        n, mean, scatter = self.n, self.mean, self.scatter
        if world.size > 1:
            counts = world.total(torch.tensor([float(n)], dtype=torch.float64, device=mean.device))
            n = round(float(counts))
            mean = world.total(mean * self.n) / n
            shift = self.mean - mean
            scatter = world.total(scatter.addr_(shift, shift, alpha=self.n))
        return Moments(n, mean, (scatter + scatter.T) / 2)


def _largest(rows: Tensor) -> float:
    """Return the size of the largest entry; infinite where one is no number."""
    if not bool(torch.isfinite(rows).all()):
        return math.inf
    if rows.dtype != torch.float64 or not rows.numel():
        return 0.0  # no other type comes near the limit
    low, high = torch.aminmax(rows)
    return max(-float(low), float(high))


def _in_order(blocks: Iterable[tuple[int, Tensor]], n: int) -> Iterator[tuple[int, Tensor]]:
    """Yield ``blocks``; raises ValueError unless they are rows 0 to n - 1, each once, all of one width."""
    seen, width = 0, None
    for start, rows in blocks:
        if start != seen or start + len(rows) > n:
            until = start + len(rows)
            raise ValueError(f"blocks: found rows {start} to {until} after {seen} of {n}; allowed: each once")
        if rows.ndim != 2 or (width is not None and rows.shape[1] != width):
            raise ValueError(f"blocks: found shape {tuple(rows.shape)}; allowed: (rows, features), as before")
        seen, width = seen + len(rows), rows.shape[1]
        yield start, rows.detach()
    if seen != n:
        raise ValueError(f"blocks: found {seen} rows; allowed: {n}")


def _absorb(sums: Sequence[_Sums], owners: npt.NDArray[np.int64], rows: Tensor) -> None:
    for number, part in enumerate(sums):
        mine = np.flatnonzero(owners == number)
        if len(mine) == len(rows):
            part.add(rows)
        elif len(mine):
            part.add(rows[torch.from_numpy(mine).to(rows.device)])


def _union(parts: Sequence[Moments]) -> Moments:
    """Return the moments of all samples of ``parts``: about the common mean, one more product for all parts' means."""
    if len(parts) == 1:
        return parts[0]
    counts = [_known(part) for part in parts]
    n = sum(counts)
    weights = torch.tensor(counts, dtype=torch.float64, device=parts[0].mean.device)
    # About the first mean, so that a large common offset costs no digits.
    shifts = torch.stack([part.mean - parts[0].mean for part in parts])
    middle = (weights @ shifts) / n
    apart = (shifts - middle) * weights.sqrt()[:, None]
    scatter = torch.addmm(parts[0].scatter, apart.T, apart)
    for part in parts[1:]:
        scatter += part.scatter
    return Moments(n, parts[0].mean + middle, scatter)


def _known(moments: Moments) -> int:
    if moments.n is None:
        raise ValueError("found moments whose number of samples is not known; allowed: moments that tell it")
    return moments.n
