"""How far an unbiased MMD^2 scatters: its variance to second order, and an interval that holds near 0 as well."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import proportion
from ganaudit.numerics.intervals import Bounds

__all__ = ["Scatter", "SideSums", "largest_eigenvalue", "scatter"]

_ROUNDING = 1e-13  # of what it is made of: a smaller difference is 0
_MOST_DEGREES = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class SideSums:
    """What the sums over one side's kernel matrices leave to know."""

    own: Tensor
    """Of each sample over the others of its side, (N,) float64."""
    others: Tensor
    """Of each sample over the other side, (N,) float64."""
    squares: float
    """Sum of squared entries of the side with itself, without the diagonal."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """The variance of an unbiased MMD^2, in squared kernel units, and what its interval needs beside it."""

    first_order: float
    """The part that vanishes where the two laws agree, 0 or more."""
    second_order: float
    """The part that stays, 0 or more."""
    steepest: float
    """The largest first-order variance that a unit of MMD^2 can have here, in kernel units."""
    degrees: float
    """Degrees of freedom of the variance, by the kurtosis of what each sample contributes; few for heavy tails."""

    @property
    def standard_error(self) -> float:
        """The square root of the whole variance."""
        return math.sqrt(self.first_order + self.second_order)

    def interval(self, value: float, level: float) -> Bounds:
        """Return the score interval of the true MMD^2 at a confidence in (0, 1), given its estimate.

        All t with (value - t)^2 <= q^2 (second_order + s max(t, 0)), q Student's quantile. The first-order variance is
        taken at the t in question, since it falls to 0 with MMD^2: it is <D, C D> for D the difference of the two mean
        embeddings and C a covariance operator, hence s |D|^2 with s at most ``steepest``. s is first_order/value where
        the value stands out from the second-order scatter. Where it does not, the direction of D is not known either,
        and s is at least w/2 of ``steepest``, w = min(1, (2 second_order/value^2)^2). At t = 0 the second order alone
        counts, so 0 is excluded as often as promised.
        Raises ValueError when ``level`` is not in (0, 1).
        """
        q = float(special.stdtrit(min(self.degrees, _MOST_DEGREES), (1 + proportion(level, "level")) / 2))
        slope = self._slope(value)
        flat = q * math.sqrt(self.second_order)
        low, high = value - flat, value + flat
        middle = value + q**2 * slope / 2
        square = slope * value + q**2 * slope**2 / 4 + self.second_order
        if square >= 0:
            reach = q * math.sqrt(square)
            high = max(high, middle + reach)
            low = middle - reach if low > 0 else low
        return Bounds(min(low, value), max(high, value))

    def _slope(self, value: float) -> float:
        if value <= 0:
            return self.steepest / 2 if self.first_order == 0 else self.steepest
        unknown = min(1.0, (2 * self.second_order / value**2) ** 2) / 2
        return max(unknown * self.steepest, min(self.first_order / value, self.steepest))


def scatter(real: SideSums, fake: SideSums, squares: float, steepest: float) -> Scatter:
    """Return the variance of the unbiased MMD^2 of which these are the sums, (N,) reals and (M,) fakes, 4 or more each.

    With z_r, z_f, z_rf the mean squares of the doubly centred kernels, the second order is
    2 z_r/(N (N - 1)) + 2 z_f/(M (M - 1)) + 4 z_rf/(N M) and the first 4 g_r/N + 4 g_f/M, where g_r is the variance over
    x of E k(x, x') - E k(x, y): that of u_i = own_i/(N - 2) - others_i/M less z_r/(N - 2) + z_rf/M, which the noise in
    u adds. Each part is unbiased before it is cut off at 0. ``squares`` is the sum of squared entries of real with
    fake; ``steepest`` is 4 (l_r/N + l_f/M), l the ``largest_eigenvalue`` of a side.
    Source: Hoeffding 1948; Sutherland and Deka 2019, arXiv:1906.02104 (for equal sizes).
    """
    n, m = len(real.own), len(fake.own)
    z_real, z_fake, z_both = _within(real), _within(fake), _between(real.others, fake.others, squares)
    g_real, real_noise = _projection(real, m, z_real, z_both)
    g_fake, fake_noise = _projection(fake, n, z_fake, z_both)
    first = 4 * max(g_real, 0.0) / n + 4 * max(g_fake, 0.0) / m
    second = (
        2 * max(z_real, 0.0) / (n * (n - 1)) + 2 * max(z_fake, 0.0) / (m * (m - 1)) + 4 * max(z_both, 0.0) / (n * m)
    )
    noise = 16 * (real_noise / n**2 + fake_noise / m**2)
    degrees = 2 * (first + second) ** 2 / noise if noise > 0 else math.inf
    return Scatter(first, second, steepest, max(degrees, 1.0))


def largest_eigenvalue(matrix: Tensor) -> float:
    """Return the largest eigenvalue of a covariance operator from a kernel matrix (R, R) of samples, 0 or more.

    That of the doubly centred matrix over R; biased upwards, the more so the fewer samples against directions.
    """
    centred = matrix - matrix.mean(dim=0) - matrix.mean(dim=1)[:, None] + matrix.mean()
    return max(0.0, float(torch.linalg.eigvalsh((centred + centred.T) / 2)[-1]) / len(matrix))


def _within(side: SideSums) -> float:
    """Return the unbiased E k~^2 = E k(x, x')^2 - 2 E k(x, x') k(x, x'') + (E k)^2 of one side."""
    n, total, by_row = len(side.own), float(side.own.sum()), float(side.own.square().sum())
    pairs, triples = n * (n - 1), n * (n - 1) * (n - 2)
    square = side.squares / pairs
    shared = (by_row - side.squares) / triples
    apart = (total**2 - 4 * by_row + 2 * side.squares) / (triples * (n - 3))
    return _beyond_rounding(square - 2 * shared + apart, square)


def _between(real: Tensor, fake: Tensor, squares: float) -> float:
    """Return the unbiased mean square of the doubly centred kernel of real with fake, from the sums of its rows."""
    n, m = len(real), len(fake)
    total, by_row, by_column = float(real.sum()), float(real.square().sum()), float(fake.square().sum())
    square = squares / (n * m)
    in_row = (by_row - squares) / (n * m * (m - 1))
    in_column = (by_column - squares) / (n * m * (n - 1))
    apart = (total**2 - by_row - by_column + squares) / (n * m * (n - 1) * (m - 1))
    return _beyond_rounding(square - in_row - in_column + apart, square)


def _projection(side: SideSums, count: int, z_own: float, z_both: float) -> tuple[float, float]:
    """Return the variance of what each sample contributes, and the variance of that variance."""
    n = len(side.own)
    own_means, other_means = side.own / (n - 2), side.others / count
    u = own_means - other_means
    deviations = u - u.mean()
    variance = float(deviations.square().sum()) / (n - 1)
    rounding = _ROUNDING * float((own_means.abs() + other_means.abs()).max())
    variance = variance if variance > rounding**2 else 0.0
    fourth = float(deviations.pow(4).mean())
    return variance - z_own / (n - 2) - z_both / count, max(0.0, fourth - variance**2 * (n - 3) / (n - 1)) / n


def _beyond_rounding(difference: float, scale: float) -> float:
    return 0.0 if abs(difference) <= _ROUNDING * scale else difference
