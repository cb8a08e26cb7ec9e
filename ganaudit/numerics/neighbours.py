"""Nearest neighbours in feature space: precision, recall, density and coverage, with ties decided exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, pair, whole

__all__ = ["Boundary", "Neighbourhood", "expected_coverage", "neighbourhood", "radii"]

Boundary: TypeAlias = Literal["<", "<="]

_BOUNDARIES = ("<", "<=")
_DIRECT_ENTRIES = 2**22  # float64 differences held at once: 32 MiB


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """Precision, recall, density and coverage, and the samples that each counts.

    A ball is centred on a sample and reaches to its k-th neighbour on its own side.
    """

    precision: float
    """Share of fakes inside the ball of some real, 0 to 1."""
    recall: float
    """Share of reals inside the ball of some fake, 0 to 1."""
    density: float
    """Mean number of balls of reals that hold a fake, over k; 0 to N/k, near 1 when the laws agree."""
    coverage: float
    """Share of reals whose own ball holds some fake, 0 to 1."""
    fake_inside: Tensor
    """Which fakes ``precision`` counts, (M,) bool."""
    real_inside: Tensor
    """Which reals ``recall`` counts, (N,) bool."""
    fake_counts: Tensor
    """Balls of reals that hold each fake, (M,) int64; ``density`` is their mean over k."""
    real_covered: Tensor
    """Which reals ``coverage`` counts, (N,) bool."""


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """Samples in float64 with what bounds of their squared distances are made of."""

    rows: Tensor
    centred: Tensor
    norms: Tensor

    @classmethod
    def of(cls, rows: Tensor, centre: Tensor) -> _Points:
        centred = rows - centre
        return cls(rows, centred, centred.square().sum(dim=1))

    def __getitem__(self, part: slice) -> _Points:
        return _Points(self.rows[part], self.centred[part], self.norms[part])

    def __len__(self) -> int:
        return len(self.rows)


def radii(x: Tensor, k: int, block: int = 512) -> Tensor:
    """Return the Euclidean distance of every sample to its ``k``-th nearest other sample, (N,) float64.

    ``x`` is (N, D), the unit that of the features. A copy elsewhere in ``x`` counts as a neighbour at distance
    exactly 0. Every radius is the root of a sum of squared differences, never of an expanded product. Memory holds a
    few (block, N) matrices in float64 beside the features; ``block`` changes no result.

    Raises ValueError when the shape is not (N, D), an entry is not finite, ``k`` is not in 1..N-1 or ``block`` is
    below 1.
    """
    x = matrix(x, "x", least=2)
    whole(k, "k", least=1, most=len(x) - 1)
    whole(block, "block", least=1)
    unique, inverse = torch.unique(x.double(), dim=0, return_inverse=True)
    squares = _squared_radii(unique, x.double(), k, block)
    # numpy's root is correctly rounded; torch's vectorised one can be off in the last bit.
    return torch.from_numpy(np.sqrt(squares.cpu().numpy())).to(x.device)[inverse]


def neighbourhood(real: Tensor, fake: Tensor, k: int, boundary: Boundary = "<", block: int = 512) -> Neighbourhood:
    """Return precision, recall, density and coverage of ``fake`` (M, D) against ``real`` (N, D) with ``k`` neighbours.

    A sample is inside a ball when its distance to the centre is below the radius; with ``boundary`` "<=" also when
    the two are equal. Distances that tie are decided as their sums of squared differences compare, so copies lie at
    distance exactly 0 and constant features are inside nothing under "<" and inside everything under "<=".

    Precision and recall have no value that holds for equal laws; density is then near 1, and coverage has the
    expectation ``expected_coverage``. Memory holds a few (block, max(N, M)) matrices in float64 beside the features;
    ``block`` changes no result.

    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite,
    ``k`` is not in 1..min(N, M)-1, ``boundary`` is neither "<" nor "<=" or ``block`` is below 1.
    Source: Kynkäänniemi et al. 2019 (precision, recall; "<="); Naeem et al. 2020 (density, coverage; "<").
    """
    real, fake = pair(real, fake, least=2)
    whole(k, "k", least=1, most=min(len(real), len(fake)) - 1)
    whole(block, "block", least=1)
    if boundary not in _BOUNDARIES:
        raise ValueError(f"boundary: found {boundary!r}; allowed: {', '.join(map(repr, _BOUNDARIES))}")
    # Copies are decided once: a generator that returns one image would else make every pair a tie.
    reals, real_of, real_copies = torch.unique(real.double(), dim=0, return_inverse=True, return_counts=True)
    fakes, fake_of = torch.unique(fake.double(), dim=0, return_inverse=True)
    real_limits = _squared_radii(reals, real.double(), k, block)
    fake_limits = _squared_radii(fakes, fake.double(), k, block)
    counts, inside, covered = _memberships(reals, fakes, real_copies, real_limits, fake_limits, boundary, block)
    return _summary(counts[fake_of], inside[real_of], covered[real_of], k)


def expected_coverage(n_real: int, n_fake: int, k: int) -> float:
    """Return the expected coverage when reals and fakes come from one law, 0 to 1.

    1 - prod_{i=1..k} (N - i)/(N + M - i), with N = ``n_real`` and M = ``n_fake``: exact for every law without ties,
    by exchangeability.
    Raises ValueError when ``n_real`` is below 2, ``n_fake`` is below 1 or ``k`` is not in 1..N-1.
    Source: Naeem et al. 2020, lemma 2.
    """
    whole(n_real, "n_real", least=2)
    whole(n_fake, "n_fake", least=1)
    missed = 1.0
    for i in range(1, whole(k, "k", least=1, most=n_real - 1) + 1):
        missed *= (n_real - i) / (n_real + n_fake - i)
    return 1 - missed


def _summary(fake_counts: Tensor, real_inside: Tensor, real_covered: Tensor, k: int) -> Neighbourhood:
    fake_inside = fake_counts > 0
    return Neighbourhood(
        precision=_share(fake_inside),
        recall=_share(real_inside),
        density=int(fake_counts.sum()) / (k * len(fake_counts)),
        coverage=_share(real_covered),
        fake_inside=fake_inside,
        real_inside=real_inside,
        fake_counts=fake_counts,
        real_covered=real_covered,
    )


def _share(members: Tensor) -> float:
    return int(members.sum()) / len(members)


def _memberships(
    reals: Tensor,
    fakes: Tensor,
    real_copies: Tensor,
    real_limits: Tensor,
    fake_limits: Tensor,
    boundary: Boundary,
    block: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the balls of reals around each fake (copies count each), the reals in a fake's ball, the reals covered."""
    centre = reals.mean(dim=0)
    real_points, fake_points = _Points.of(reals, centre), _Points.of(fakes, centre)
    counts = torch.zeros(len(fakes), dtype=torch.int64, device=fakes.device)
    inside = torch.zeros(len(reals), dtype=torch.bool, device=reals.device)
    covered = torch.zeros_like(inside)
    for rows in _blocks(len(reals), block):
        points = real_points[rows]
        bounds = _squared_bounds(points, fake_points)
        in_real = _within(bounds, real_limits[rows, None], points, fake_points, boundary)
        in_fake = _within(bounds, fake_limits[None, :], points, fake_points, boundary)
        counts += (in_real * real_copies[rows, None]).sum(dim=0)
        inside[rows] = in_fake.any(dim=1)
        covered[rows] = in_real.any(dim=1)
    return counts, inside, covered


def _squared_radii(queries: Tensor, x: Tensor, k: int, block: int) -> Tensor:
    """Return the squared distance of each query, itself a row of ``x``, to its k-th neighbour beside itself."""
    centre = x.mean(dim=0)
    query_points, points = _Points.of(queries, centre), _Points.of(x, centre)
    values = torch.empty(len(queries), dtype=torch.float64, device=x.device)
    for rows in _blocks(len(queries), block):
        part = query_points[rows]
        low, high = _squared_bounds(part, points)
        # The query itself is at distance 0, which nothing undercuts: beside itself, the k-th is the (k + 1)-th of all.
        reach = _smallest(high, k + 1)[:, None]
        first, second = (low <= reach).nonzero(as_tuple=True)
        exact = torch.full_like(low, torch.inf)
        exact[first, second] = _direct_squares(part, points, first, second)
        values[rows] = _smallest(exact, k + 1)
    return values


def _smallest(values: Tensor, k: int) -> Tensor:
    # topk for few neighbours takes a twentieth of kthvalue's time on rows of thousands.
    return values.topk(k, dim=1, largest=False).values.amax(dim=1)


def _squared_bounds(a: _Points, b: _Points) -> tuple[Tensor, Tensor]:
    """Return bounds of what ``_direct_squares`` gives for every pair, two (len(a), len(b)) matrices."""
    # |x|^2 + |y|^2 - 2 x.y costs one product but rounds by up to about (D + 5) eps (|x|^2 + |y|^2), with centring and
    # the direct sum's own rounding about (2 D + 10) eps: more than the gap between near ties, and a copy gets a
    # distance above or below 0. So it only ever bounds a distance; whoever finds a limit between the bounds asks
    # _direct_squares. Centring keeps the norms, and with them the bounds' gap, small.
    slack = torch.finfo(torch.float64).eps * (2 * a.rows.shape[1] + 16)
    norms = a.norms[:, None] + b.norms[None, :]
    middle = torch.addmm(norms, a.centred, b.centred.T, alpha=-2)
    norms *= slack
    return middle - norms, middle + norms


def _within(bounds: tuple[Tensor, Tensor], limits: Tensor, a: _Points, b: _Points, boundary: Boundary) -> Tensor:
    low, high = bounds
    inside = high < limits
    first, second = ((low <= limits) & ~inside).nonzero(as_tuple=True)
    squares = _direct_squares(a, b, first, second)
    open_limits = limits.expand_as(low)[first, second]
    inside[first, second] = squares < open_limits if boundary == "<" else squares <= open_limits
    return inside


def _direct_squares(a: _Points, b: _Points, first: Tensor, second: Tensor) -> Tensor:
    """Return the sum of squared differences of each pair (a[first], b[second]), the same for a pair in every call."""
    # numpy adds the entries of a contiguous row in one order; torch's order may depend on how many rows there are and
    # on the threads, and then equal distances would differ in the last bit.
    left, right = a.rows.cpu().numpy(), b.rows.cpu().numpy()
    i, j = first.cpu().numpy(), second.cpu().numpy()
    squares = np.empty(len(i))
    for part in _blocks(len(i), max(1, _DIRECT_ENTRIES // left.shape[1])):
        differences = left[i[part]] - right[j[part]]
        squares[part] = np.square(differences, out=differences).sum(axis=1)
    return torch.from_numpy(squares).to(first.device)


def _blocks(length: int, block: int) -> Iterator[slice]:
    return (slice(start, min(start + block, length)) for start in range(0, length, block))
