"""The kernel distance (squared maximum mean discrepancy, MMD^2), all of it from one sweep over the pairs.

A sweep goes through the kernel matrices of real with real, fake with fake and real with fake tile by tile. Of each tile
it keeps row sums, and for any sets of weights w the forms sum_ij w_i k_ij w_j: a subset's estimate and that under a
relabelling of the samples are both such forms. So memory holds a few tiles beside the features, whatever their number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.numerics.arguments import pair, whole
from ganaudit.numerics.kernels import Kernel, Polynomial
from ganaudit.numerics.sweep import Tile, across, within
from ganaudit.numerics.world import ALONE, World

__all__ = ["KernelDistance", "PermutationTest", "kernel_distance", "kernel_distance_subsets", "permutation_test"]

Indices: TypeAlias = Tensor | npt.NDArray[np.integer]

_CUBIC = Polynomial()
_BLOCK = 1024
_DIRECT_SHARE = 0.5  # of a sweep's products: below it subsets are cheaper one by one
_ROUNDING = 1e-12  # of the kernel's mean: relabellings that differ by less from the observed value are ties


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """An unbiased MMD^2 and its standard error; the unit of the kernel."""

    value: float
    """May be below 0: the estimate is unbiased and the truth may be 0."""
    standard_error: float


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """Whether two sets of samples may come from one distribution."""

    p_value: float
    """(1 + relabellings whose MMD^2 is the observed one or more) / (1 + relabellings), in (0, 1]."""
    exceeding: int
    """How many of them."""
    observed: float
    relabelled: Tensor
    """MMD^2 of every relabelling, (P,) float64."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Row sums of the three kernel matrices, and forms of given weights; no sample is ever paired with itself."""

    real: Tensor
    """Of each real over the other reals, (N,) float64."""
    fake: Tensor
    """Of each fake over the other fakes, (M,)."""
    real_fake: Tensor
    """Of each real over the fakes, (N,)."""
    fake_real: Tensor
    """Of each fake over the reals, (M,)."""
    forms: Tensor
    """(3, P) float64: real with real, fake with fake, real with fake, of each set of weights."""


def kernel_distance(
    real: Tensor, fake: Tensor, kernel: Kernel = _CUBIC, block: int = _BLOCK, world: World = ALONE
) -> KernelDistance:
    """Return the unbiased MMD^2 between all of ``real`` (N, D) and all of ``fake`` (M, D), with its standard error.

    sum_{i!=j} k(x_i, x_j)/(N(N-1)) + sum_{i!=j} k(y_i, y_j)/(M(M-1)) - 2 sum_ij k(x_i, y_j)/(NM).
    Unbiased whatever the laws; values below 0 are to be expected when they agree. The standard error is that of the
    two-sample delete-one jackknife, sqrt((N-1)/N sum_i (T_-i - mean)^2 + the same over the fakes), computed in closed
    form from row sums. Its square is biased upwards: slightly where the laws differ, and by up to a factor of 2 where
    they agree, for the leading term then vanishes. Memory holds a few (block, block) matrices in float64 beside the
    features; ``block`` and ``world`` change nothing else but rounding.

    Raises ValueError when a shape is not (samples, features), the features differ in number, a side has fewer than 3
    samples, an entry is not finite, or ``block`` is below 1.
    Source: Gretton et al. 2012, lemma 6; Arvesen 1969 (jackknife of two-sample U-statistics).
    """
    real, fake = pair(real, fake, least=3)
    sums = _swept(kernel, real, fake, None, whole(block, "block", least=1), world)
    value = _mmd2(sums.real.sum(), sums.fake.sum(), sums.real_fake.sum(), len(real), len(fake))
    variance = _jackknife_variance(sums.real, sums.real_fake, len(fake))
    variance += _jackknife_variance(sums.fake, sums.fake_real, len(real))
    return KernelDistance(float(value), math.sqrt(variance))


def kernel_distance_subsets(
    real: Tensor,
    fake: Tensor,
    subsets: Sequence[tuple[Indices, Indices]],
    kernel: Kernel = _CUBIC,
    block: int = _BLOCK,
    world: World = ALONE,
) -> Tensor:
    """Return the unbiased MMD^2 of every subset, (len(subsets),) float64.

    Each of ``subsets`` holds distinct row numbers into ``real`` (N, D) and into ``fake`` (M, D), two or more each; the
    estimate is that of ``kernel_distance`` on those rows. The mean over random subsets of 1000 is the published Kernel
    Inception Distance; the values of overlapping subsets depend on each other, so their spread is no standard error.
    Where the subsets together hold more pairs than the sets themselves, one sweep serves them all.

    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite,
    a subset holds fewer than 2 rows of a side or one of them twice, or ``block`` is below 1.
    Source: Bińkowski et al. 2018.
    """
    real, fake = pair(real, fake, least=2)
    whole(block, "block", least=1)
    chosen = [(_row_numbers(a, len(real)), _row_numbers(b, len(fake))) for a, b in subsets]
    counts = [(len(a), len(b)) for a, b in chosen]
    for position, count in enumerate(counts):
        whole(min(count), f"subset {position}: rows of a side", least=2)
    apart = sum((n + m) ** 2 for n, m in counts)
    if apart < _DIRECT_SHARE * (len(real) + len(fake)) ** 2:
        parts = [
            _swept(kernel, real[a.to(real.device)], fake[b.to(fake.device)], None, block, world) for a, b in chosen
        ]
        sums = [(s.real.sum(), s.fake.sum(), s.real_fake.sum()) for s in parts]
        return torch.tensor(
            [float(_mmd2(*s, *count)) for s, count in zip(sums, counts, strict=True)], dtype=torch.float64
        )
    weights = _indicators([a for a, _ in chosen], real), _indicators([b for _, b in chosen], fake)
    forms = _swept(kernel, real, fake, weights, block, world).forms.cpu()
    n, m = (torch.tensor([count[side] for count in counts], dtype=torch.float64) for side in (0, 1))
    return forms[0] / (n * (n - 1)) + forms[1] / (m * (m - 1)) - 2 * forms[2] / (n * m)


def permutation_test(
    real: Tensor,
    fake: Tensor,
    rng: np.random.Generator,
    permutations: int = 999,
    kernel: Kernel = _CUBIC,
    block: int = _BLOCK,
    world: World = ALONE,
) -> PermutationTest:
    """Return the permutation test of MMD^2 between ``real`` (N, D) and ``fake`` (M, D), both kept at their sizes.

    The observed value among those of random relabellings of all N + M samples. Exact: where both come from one
    distribution, P(p <= a) <= a for every a, for any kernel and any n. All relabellings are forms of one sweep.

    Raises ValueError as ``kernel_distance`` does, and when ``permutations`` is below 1.
    Source: Gretton et al. 2012, section 5; Phipson and Smyth 2010 on the 1 that is added.
    """
    real, fake = pair(real, fake, least=3)
    n, m, count = len(real), len(fake), whole(permutations, "permutations", least=1)
    labels = np.zeros((n + m, count + 1), dtype=bool)
    labels[:n, 0] = True  # as they are, then relabelled
    for column in range(1, count + 1):
        labels[rng.permutation(n + m)[:n], column] = True
    marks = torch.from_numpy(labels)
    weights = marks[:n].to(real.device), marks[n:].to(fake.device)
    sums = _swept(kernel, real, fake, weights, whole(block, "block", least=1), world)
    # Of all pairs of samples under one label (11), one under each (10), none (00), from forms and row sums alone.
    ones = sums.forms[0] + sums.forms[1] + 2 * sums.forms[2]
    rows = torch.cat([sums.real + sums.real_fake, sums.fake + sums.fake_real])
    mixed = (torch.cat(weights).double() * rows[:, None]).sum(0) - ones
    values = _mmd2(ones, rows.sum() - 2 * mixed - ones, mixed, n, m).cpu()
    observed, relabelled = float(values[0]), values[1:]
    scale = float(rows.abs().sum()) / (n + m) ** 2
    exceeding = int((relabelled >= observed - _ROUNDING * scale).sum())
    return PermutationTest((1 + exceeding) / (1 + count), exceeding, observed, relabelled)


def _row_numbers(rows: Indices, n: int) -> Tensor:
    numbers = torch.as_tensor(rows, dtype=torch.int64)
    if len(numbers) and (
        int(numbers.min()) < 0 or int(numbers.max()) >= n or len(set(numbers.tolist())) < len(numbers)
    ):
        raise ValueError(f"subset: found row numbers that repeat or lie outside 0 to {n - 1}; allowed: each once")
    return numbers


def _indicators(chosen: Sequence[Tensor], side: Tensor) -> Tensor:
    """Return which rows of ``side`` each subset holds, (N, subsets) bool."""
    made = torch.zeros(len(side), len(chosen), dtype=torch.bool)
    for column, rows in enumerate(chosen):
        made[rows, column] = True
    return made.to(side.device)


def _swept(
    kernel: Kernel, real: Tensor, fake: Tensor, weights: tuple[Tensor, Tensor] | None, block: int, world: World
) -> _Sums:
    """Go through all tiles once."""

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=real.device)

    n, m = len(real), len(fake)
    sums = _Sums(zeros(n), zeros(m), zeros(n), zeros(m), zeros(3, weights[0].shape[1] if weights else 0))
    tiles = [*within("real", n, block), *within("fake", m, block), *across(n, m, block)]
    for number in world.mine(len(tiles)):
        tile = tiles[number]
        left, right = (fake if tile.side == "fake" else real), (real if tile.side == "real" else fake)
        values = kernel(left[tile.rows].double(), right[tile.columns].double())
        if tile.on_diagonal:
            values.fill_diagonal_(0)
        _add_rows(sums, tile, values)
        if weights is not None:
            _add_forms(sums, tile, values, weights)
    return _Sums(*(world.total(part) for part in (sums.real, sums.fake, sums.real_fake, sums.fake_real, sums.forms)))


def _add_rows(sums: _Sums, tile: Tile, values: Tensor) -> None:
    if tile.side == "across":
        sums.real_fake[tile.rows] += values.sum(dim=1)
        sums.fake_real[tile.columns] += values.sum(dim=0)
        return
    own = sums.real if tile.side == "real" else sums.fake
    own[tile.rows] += values.sum(dim=1)
    if not tile.on_diagonal:  # tiles above the diagonal serve twice
        own[tile.columns] += values.sum(dim=0)


def _add_forms(sums: _Sums, tile: Tile, values: Tensor, weights: tuple[Tensor, Tensor]) -> None:
    left = weights[1 if tile.side == "fake" else 0][tile.rows].double()
    right = weights[0 if tile.side == "real" else 1][tile.columns].double()
    forms = ((values @ right) * left).sum(dim=0)
    row = {"real": 0, "fake": 1, "across": 2}[tile.side]
    sums.forms[row] += forms if tile.on_diagonal or tile.side == "across" else 2 * forms


def _mmd2(within_real: Tensor, within_fake: Tensor, between: Tensor, n: int, m: int) -> Tensor:
    return within_real / (n * (n - 1)) + within_fake / (m * (m - 1)) - 2 * between / (n * m)


def _jackknife_variance(own: Tensor, others: Tensor, count: int) -> float:
    """Return the variance from leaving out each sample of one side; terms that stay the same cancel."""
    n = len(own)
    left_within = (own.sum() - 2 * own) / ((n - 1) * (n - 2))
    left_across = (others.sum() - others) / ((n - 1) * count)
    left = left_within - 2 * left_across
    return float((left - left.mean()).square().sum() * ((n - 1) / n))
