"""Two-sided intervals; every one names the law or the approximation that it rests on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector, whole

__all__ = ["Bounds", "bootstrap", "clopper_pearson", "normal", "quantile_bounds", "student", "wilson"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The two ends of an interval, ``low <= high``; an end that the data cannot give is infinite."""

    low: float
    high: float


def wilson(successes: float, n: int, level: float) -> Bounds:
    """Return the score interval of a proportion, within [0, 1], from ``successes`` of ``n`` independent trials.

    The p with |successes/n - p| <= z sqrt(p (1 - p)/n), z the normal quantile at (1 + level)/2. Its coverage averages
    near ``level`` over p and may fall short at single p. Never of zero width.
    Raises ValueError when ``n`` is below 1, ``successes`` is not in 0..n or ``level`` is not in (0, 1).
    Source: Wilson 1927.
    """
    share = _successes(successes, n) / n
    z = _normal_quantile(level)
    scale = 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / scale
    reach = z / scale * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At 0 and n successes the end is exactly 0 or 1; rounding leaves it beside.
    low = 0.0 if successes == 0 else max(0.0, middle - reach)
    high = 1.0 if successes == n else min(1.0, middle + reach)
    return Bounds(low, high)


def clopper_pearson(successes: float, n: int, level: float) -> Bounds:
    """Return the exact interval of a proportion, within [0, 1], from ``successes`` of ``n`` independent trials.

    Beta quantiles: B((1 - level)/2; s, n - s + 1) and B((1 + level)/2; s + 1, n - s); 0 for s = 0 and 1 for s = n.
    Covers with probability ``level`` or more at every p. Never of zero width.
    Raises ValueError when ``n`` is below 1, ``successes`` is not in 0..n or ``level`` is not in (0, 1).
    Source: Clopper and Pearson 1934.
    """
    s = _successes(successes, n)
    tail = (1 - proportion(level, "level")) / 2
    low = 0.0 if s == 0 else float(special.betaincinv(s, n - s + 1, tail))
    high = 1.0 if s == n else float(special.betainccinv(s + 1, n - s, tail))
    return Bounds(low, high)


def student(values: Tensor, level: float) -> Bounds:
    """Return the t interval of the mean of ``values`` (N,), N >= 2, in their unit.

    mean ± t sd/sqrt(N), t Student's quantile at (1 + level)/2 with N - 1 degrees, sd with divisor N - 1. Exact for
    independent normal values, else good for large N; of zero width when all values are equal.
    Raises ValueError when there are fewer than 2 values, one is not finite or ``level`` is not in (0, 1).
    Source: Student 1908.
    """
    numbers = vector(values, "values", least=2)
    quantile = float(special.stdtrit(len(numbers) - 1, (1 + proportion(level, "level")) / 2))
    reach = quantile * float(numbers.std(correction=1)) / math.sqrt(len(numbers))
    mean = float(numbers.mean())
    return Bounds(mean - reach, mean + reach)


def normal(value: float, standard_error: float, level: float) -> Bounds:
    """Return ``value`` ± z ``standard_error``, z the normal quantile at (1 + level)/2.

    Exact for an unbiased normal estimate with a known standard error, else good for large samples.
    Raises ValueError when ``standard_error`` is below 0 or not finite, or ``level`` is not in (0, 1).
    """
    if not (0 <= standard_error < math.inf):
        raise ValueError(f"standard_error: found {standard_error}; allowed: 0 or more, finite")
    reach = _normal_quantile(level) * standard_error
    return Bounds(value - reach, value + reach)


def bootstrap(
    statistic: Callable[..., float],
    samples: Sequence[Tensor],
    resamples: int,
    rng: np.random.Generator,
    level: float,
) -> Bounds:
    """Return the percentile bootstrap interval of ``statistic(*samples)``, in its unit.

    The quantiles (1 - level)/2 and (1 + level)/2, interpolated linearly, of the statistic over ``resamples`` draws;
    in each draw the rows of every sample are drawn with replacement, independently of the other samples. First-order
    correct for smooth statistics of large samples; a statistic whose bias grows with repeated rows (a Fréchet
    distance, any count of neighbours) is shifted by it.
    Raises ValueError when ``samples`` is empty or holds an empty one, ``resamples`` is below 2 or ``level`` is not in
    (0, 1).
    Source: Efron 1979.
    """
    whole(len(samples), "samples", least=1)
    whole(min(len(sample) for sample in samples), "rows of a sample", least=1)
    tail = (1 - proportion(level, "level")) / 2
    values = np.empty(whole(resamples, "resamples", least=2))
    for position in range(resamples):
        values[position] = statistic(*(sample[_resample(len(sample), rng)] for sample in samples))
    low, high = np.quantile(values, [tail, 1 - tail])
    return Bounds(float(low), float(high))


def quantile_bounds(values: Tensor, k: int, level: float) -> Bounds:
    """Return order statistics of ``values`` (N,) around the quantile that the ``k``-th smallest of them estimates.

    That quantile is the one at p = k/(N + 1), the expected share below the k-th smallest. With B ~ Binomial(N, p) the
    low end is the l-th smallest for the largest l with P(B < l) <= (1 - level)/2, the high end the u-th smallest for
    the smallest u with P(B >= u) <= (1 - level)/2. Covers with probability ``level`` or more for any law. An end is
    infinite when N is too small to give it.
    Raises ValueError when ``k`` is not in 1..N, a value is not finite or ``level`` is not in (0, 1).
    Source: David and Nagaraja 2003, section 7.1.
    """
    numbers = vector(values, "values", least=1).sort().values
    n = len(numbers)
    p = whole(k, "k", least=1, most=n) / (n + 1)
    tail = (1 - proportion(level, "level")) / 2
    below = special.bdtr(np.arange(n), n, p)
    above = special.bdtrc(np.arange(n), n, p)
    low = int(np.count_nonzero(below <= tail))
    high = n - int(np.count_nonzero(above <= tail)) + 1
    return Bounds(
        float(numbers[low - 1]) if low >= 1 else -math.inf,
        float(numbers[high - 1]) if high <= n else math.inf,
    )


def _normal_quantile(level: float) -> float:
    return float(special.ndtri((1 + proportion(level, "level")) / 2))


def _successes(successes: float, n: int) -> float:
    whole(n, "n", least=1)
    if not 0 <= successes <= n:
        raise ValueError(f"successes: found {successes}; allowed: 0 to {n}")
    return float(successes)


def _resample(n: int, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.integers(0, n, size=n))
