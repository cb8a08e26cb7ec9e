"""The kernel distance (squared maximum mean discrepancy, MMD^2) with a polynomial kernel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, pair, whole

__all__ = ["KernelDistance", "kernel_distance", "kernel_distance_subsets", "polynomial_kernel"]

Indices: TypeAlias = Tensor | npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """An unbiased MMD^2 and its standard error; the unit of the kernel."""

    value: float
    """May be below 0: the estimate is unbiased and the truth may be 0."""
    standard_error: float


@dataclass(frozen=True, slots=True)
class _Kernel:
    degree: int
    gamma: float | None
    coef0: float

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        products = x.double() @ y.double().T
        # Dividing by D is exact where multiplying by a rounded 1/D is not, so constant features give exact values.
        scaled = products.div_(x.shape[1]) if self.gamma is None else products.mul_(self.gamma)
        return scaled.add_(self.coef0).pow_(self.degree)


def polynomial_kernel(x: Tensor, y: Tensor, degree: int = 3, gamma: float | None = None, coef0: float = 1.0) -> Tensor:
    """Return the matrix of (gamma <x_i, y_j> + coef0)^degree, (N, M) float64, of ``x`` (N, D) and ``y`` (M, D).

    ``gamma`` None stands for 1/D. Degree 3 with the other defaults is the kernel of the Kernel Inception Distance.
    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite
    or ``degree`` is below 1.
    Source: Bińkowski et al. 2018.
    """
    x, y = matrix(x, "x", least=1), matrix(y, "y", least=1)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"y: found {y.shape[1]} features; allowed: {x.shape[1]}, as in x")
    return _Kernel(whole(degree, "degree", least=1), gamma, coef0)(x, y)


def kernel_distance(
    real: Tensor,
    fake: Tensor,
    degree: int = 3,
    gamma: float | None = None,
    coef0: float = 1.0,
    block: int = 1024,
) -> KernelDistance:
    """Return the unbiased MMD^2 between all of ``real`` (N, D) and all of ``fake`` (M, D), with its standard error.

    sum_{i!=j} k(x_i, x_j)/(N(N-1)) + sum_{i!=j} k(y_i, y_j)/(M(M-1)) - 2 sum_ij k(x_i, y_j)/(NM).
    Unbiased whatever the laws; values below 0 are to be expected when they agree. The standard error is that of the
    two-sample delete-one jackknife, sqrt((N-1)/N sum_i (T_-i - mean)^2 + the same over the fakes), computed in closed
    form from row sums; its square is biased slightly upwards. Memory holds a few (block, block) matrices in float64
    beside the features; ``block`` changes nothing else but rounding.

    Raises ValueError when a shape is not (samples, features), the features differ in number, a side has fewer than 3
    samples, an entry is not finite, or ``degree`` or ``block`` is below 1.
    Source: Gretton et al. 2012, lemma 6; Arvesen 1969 (jackknife of two-sample U-statistics).
    """
    real, fake = pair(real, fake, least=3)
    kernel = _Kernel(whole(degree, "degree", least=1), gamma, coef0)
    whole(block, "block", least=1)
    within_real = _within_sums(kernel, real, block)
    within_fake = _within_sums(kernel, fake, block)
    across_real, across_fake = _across_sums(kernel, real, fake, block)
    value = _mmd2(within_real.sum(), within_fake.sum(), across_real.sum(), len(real), len(fake))
    variance = _jackknife_variance(within_real, across_real, len(fake)) + _jackknife_variance(
        within_fake, across_fake, len(real)
    )
    return KernelDistance(float(value), math.sqrt(variance))


def kernel_distance_subsets(
    real: Tensor,
    fake: Tensor,
    subsets: Sequence[tuple[Indices, Indices]],
    degree: int = 3,
    gamma: float | None = None,
    coef0: float = 1.0,
) -> Tensor:
    """Return the unbiased MMD^2 of every subset, (len(subsets),) float64.

    Each of ``subsets`` holds row numbers into ``real`` (N, D) and into ``fake`` (M, D), two or more each; the estimate
    is that of ``kernel_distance`` on those rows. The mean over random subsets of 1000 is the published Kernel
    Inception Distance; the values of overlapping subsets depend on each other, so their spread is no standard error.

    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite,
    a subset holds fewer than 2 rows of a side, or ``degree`` is below 1.
    Source: Bińkowski et al. 2018.
    """
    real, fake = pair(real, fake, least=2)
    kernel = _Kernel(whole(degree, "degree", least=1), gamma, coef0)
    values = torch.empty(len(subsets), dtype=torch.float64)
    for position, (real_rows, fake_rows) in enumerate(subsets):
        whole(min(len(real_rows), len(fake_rows)), f"subset {position}: rows of a side", least=2)
        values[position] = _subset_mmd2(kernel, real[_row_numbers(real_rows)], fake[_row_numbers(fake_rows)])
    return values


def _row_numbers(rows: Indices) -> Tensor:
    return torch.as_tensor(rows, dtype=torch.int64)


def _subset_mmd2(kernel: _Kernel, real: Tensor, fake: Tensor) -> Tensor:
    within_real = _within_sums(kernel, real, len(real)).sum()
    within_fake = _within_sums(kernel, fake, len(fake)).sum()
    return _mmd2(within_real, within_fake, kernel(real, fake).sum(), len(real), len(fake))


def _mmd2(within_real: Tensor, within_fake: Tensor, across: Tensor, n: int, m: int) -> Tensor:
    return within_real / (n * (n - 1)) + within_fake / (m * (m - 1)) - 2 * across / (n * m)


def _blocks(length: int, block: int) -> Iterator[slice]:
    return (slice(start, min(start + block, length)) for start in range(0, length, block))


def _within_sums(kernel: _Kernel, x: Tensor, block: int) -> Tensor:
    """Return the row sums of the kernel of ``x`` with itself without its diagonal; tiles above it serve twice."""
    sums = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for rows in _blocks(len(x), block):
        tile = kernel(x[rows], x[rows]).fill_diagonal_(0)
        sums[rows] += tile.sum(dim=1)
        for columns in _blocks(len(x), block):
            if columns.start > rows.start:
                tile = kernel(x[rows], x[columns])
                sums[rows] += tile.sum(dim=1)
                sums[columns] += tile.sum(dim=0)
    return sums


def _across_sums(kernel: _Kernel, x: Tensor, y: Tensor, block: int) -> tuple[Tensor, Tensor]:
    row_sums = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    column_sums = torch.zeros(len(y), dtype=torch.float64, device=y.device)
    for rows in _blocks(len(x), block):
        for columns in _blocks(len(y), block):
            tile = kernel(x[rows], y[columns])
            row_sums[rows] += tile.sum(dim=1)
            column_sums[columns] += tile.sum(dim=0)
    return row_sums, column_sums


def _jackknife_variance(within: Tensor, across: Tensor, others: int) -> float:
    """Return the variance from leaving out each sample of one side; terms that stay the same cancel."""
    n = len(within)
    left_within = (within.sum() - 2 * within) / ((n - 1) * (n - 2))
    left_across = (across.sum() - across) / ((n - 1) * others)
    left = left_within - 2 * left_across
    return float((left - left.mean()).square().sum() * ((n - 1) / n))
