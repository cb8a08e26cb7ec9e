"""Shares of classes among samples that a fallible classifier read, and how far they are from other shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import stats

from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.intervals import Bounds, clopper_pearson, normal

__all__ = [
    "FEWEST",
    "Confusion",
    "Shares",
    "around_uniform",
    "fairness_discrepancy",
    "kl_divergence",
    "on_simplex",
    "scarcer",
    "scatter",
    "shares",
    "total_variation",
]

_Floats = npt.NDArray[np.float64]
_Counts = npt.NDArray[np.int64]
FEWEST = 10
"""Reals of a class that a column of the confusion needs."""
_EQUAL = 3.0  # standard errors within which two shares are taken as equal by the low end of an interval


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often a classifier says i of a real of class j: counts (K, K), said by rows, true by columns."""

    counts: _Counts

    @classmethod
    def of(cls, said: npt.ArrayLike, true: npt.ArrayLike, classes: int) -> Confusion:
        """Return the confusion of two rows of class numbers 0..classes - 1; raises ValueError for other numbers."""
        rows, columns = _numbers(said, classes, "said"), _numbers(true, classes, "true")
        if len(rows) != len(columns):
            raise ValueError(f"said: found {len(rows)} numbers; allowed: {len(columns)}, as many as true")
        return cls(np.bincount(rows * classes + columns, minlength=classes**2).reshape(classes, classes))

    @property
    def sizes(self) -> _Counts:
        """Reals of each class, (K,)."""
        found: _Counts = self.counts.sum(0)
        return found

    @property
    def right(self) -> int:
        """Reals that are called what they are."""
        return int(np.trace(self.counts))

    @cached_property
    def matrix(self) -> _Floats:
        """P(said i | true j), columns sum to 1; every class needs a real."""
        return np.asarray(self.counts / self.sizes, dtype=np.float64)

    @cached_property
    def inverse(self) -> _Floats:
        """Takes the shares of what is said to those of what is true; ask ``has_inverse`` first."""
        return np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)

    @property
    def is_full(self) -> bool:
        """Whether every class has the 10 reals that its column of the confusion needs."""
        return bool(self.sizes.min() >= FEWEST)

    @property
    def has_inverse(self) -> bool:
        """Whether true shares follow from what is said, beyond the noise of these counts.

        The least singular value of the matrix must exceed 2 sqrt(max_j (1 - |c_j|^2)/m_j), about the spectral norm of
        the noise of its entries: c_j is column j and m_j its number of reals. A classifier that answers at random, or
        never tells two classes apart, fails; one that is systematically wrong does not.
        """
        if not self.is_full:
            return False
        noise = ((1 - np.square(self.matrix).sum(0)) / self.sizes).max()
        least = np.linalg.svd(self.matrix, compute_uv=False)[-1]
        return bool(least > max(2 * np.sqrt(max(noise, 0.0)), 1e-6))


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Estimated shares of K classes, and draws of how far chance moves them."""

    values: _Floats
    """(K,), 0 to 1, with the sum 1."""
    plain: _Floats
    """(K,): C^-1 q before it is brought into 0..1."""
    errors: _Floats
    """(R, K): draws of plain less truth, by chance of the samples and of the reals behind the confusion."""
    counts: _Counts
    """(K,): how often each class is said."""
    is_corrected: bool
    """Whether the classifier's confusion was taken out."""

    @property
    def n(self) -> int:
        """Samples read."""
        return int(self.counts.sum())

    def bounds(self, level: float, together: bool = False) -> list[Bounds]:
        """Return an interval of each share, all of them at once by Bonferroni where ``together``.

        plain ± z times the standard error of the draws, each end at least as far out as that of Clopper and Pearson
        for what was said: a class that is never said has no draws to scatter. Within 0..1, and never past ``values``.
        Raises ValueError when ``level`` is not in (0, 1).
        """
        each = 1 - (1 - proportion(level, "level")) / (len(self.values) if together else 1)
        found = []
        for j, error in enumerate(self.errors.std(0)):
            exact, q = clopper_pearson(int(self.counts[j]), self.n, each), self.counts[j] / self.n
            reach = normal(float(self.plain[j]), float(error), each)
            low = min(reach.low, self.plain[j] - (q - exact.low), self.values[j])
            high = max(reach.high, self.plain[j] + (exact.high - q), self.values[j])
            found.append(Bounds(float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))))
        return found

    def total_variation_bounds(self, target: _Floats, level: float, target_errors: _Floats | None = None) -> Bounds:
        """Return an interval of TV(truth, target), within 0..1, that holds the plug-in value.

        Of d = sum |p - t|/2 the derivative in the direction h is sum sign(p - t) h/2 over classes that differ and
        sum |h|/2 over those that do not. The high end takes all classes as different. The low end takes those within
        3 standard errors of each other as equal, so that it reaches 0 where nothing differs. ``target_errors`` (R, K)
        are draws of the error of a target that is itself estimated.
        Raises ValueError when ``level`` is not in (0, 1).
        Source: Fang and Santos 2019 (directional derivatives).
        """
        tail = (1 - proportion(level, "level")) / 2
        h = self.errors if target_errors is None else self.errors - target_errors
        difference = self.values - target
        signed = h * np.where(difference < 0, -1.0, 1.0) / 2
        near = np.abs(difference) <= _EQUAL * h.std(0)
        value = total_variation(self.values, target)
        low = value - np.quantile(np.where(near, np.abs(h) / 2, signed).sum(1), 1 - tail)
        high = value - np.quantile(signed.sum(1), tail)
        return Bounds(float(min(max(low, 0.0), value)), float(max(min(high, 1.0), value)))

    def fairness_bounds(self, level: float) -> Bounds:
        """Return an interval of the fairness discrepancy, within 0..sqrt(1 - 1/K), that holds the plug-in value.

        By the derivative (p - u)/|p - u| of the length. Where the length is within 3 times its own scatter, the low
        end is the length less the upper quantile of the length of the error (triangle inequality).
        Raises ValueError when ``level`` is not in (0, 1).
        """
        tail = (1 - proportion(level, "level")) / 2
        value, lengths = fairness_discrepancy(self.values), np.linalg.norm(self.errors, axis=1)
        if value <= _EQUAL * float(np.sqrt(np.square(lengths).mean())):
            reach = float(np.quantile(lengths, 1 - 2 * tail))
            low, high = value - reach, value + reach
        else:
            along = self.errors @ ((self.values - 1 / len(self.values)) / value)
            low, high = value - np.quantile(along, 1 - tail), value - np.quantile(along, tail)
        most = float(np.sqrt(1 - 1 / len(self.values)))
        return Bounds(float(min(max(low, 0.0), value)), float(max(min(high, most), value)))


def shares(counts: npt.ArrayLike, confusion: Confusion | None, rng: np.random.Generator, draws: int = 999) -> Shares:
    """Return the shares of K classes of which each was said ``counts`` (K,) times.

    Without a confusion q = counts/n. With one, p = C^-1 q (for two classes that is Rogan and Gladen's estimate), then
    the nearest shares in 0..1 with the sum 1. The ``draws`` are C^-1 (q* - q - sum_j p_j (c_j* - c_j)) for multinomial
    q* and columns c_j*: the first-order error, the confusion's included. Draws are taken around counts with 1/K added
    to each, so that a class never said scatters too.
    Raises ValueError when nothing was counted or the confusion is of other classes or has no inverse.
    Source: Rogan and Gladen 1978; Lipton et al. 2018, arXiv:1802.03916 (BBSE); Teo et al. 2023 (CLEAM).
    """
    given = np.asarray(counts, dtype=np.int64)
    n = whole(int(given.sum()), "counts", least=1)
    if given.ndim != 1 or given.min() < 0:
        raise ValueError(f"counts: found shape {given.shape}, least {given.min()}; allowed: (K,), 0 or more")
    q = given / n
    if confusion is None:
        return Shares(q, q, scatter(q, n, None, rng, draws), given, False)
    if confusion.counts.shape != (len(given), len(given)) or not confusion.has_inverse:
        raise ValueError(f"confusion: found {confusion.counts.shape}; allowed: {2 * (len(given),)} with an inverse")
    plain = confusion.inverse @ q
    values = on_simplex(plain)
    return Shares(values, plain, scatter(values, n, confusion, rng, draws), given, True)


def scatter(truth: _Floats, n: int, confusion: Confusion | None, rng: np.random.Generator, draws: int) -> _Floats:
    """Return draws (R, K) of the first-order error of ``shares`` of n samples when the true shares are ``truth``."""
    said = truth if confusion is None else np.clip(confusion.matrix @ truth, 0, None)
    errors = _drawn(said * n, n, rng, draws)
    if confusion is None:
        return errors
    for j, share in enumerate(truth):
        if share > 0:
            errors -= share * _drawn(confusion.counts[:, j].astype(np.float64), int(confusion.sizes[j]), rng, draws)
    return np.asarray(errors @ confusion.inverse.T, dtype=np.float64)


def around_uniform(seen: _Floats, n: int, errors: _Floats) -> _Floats:
    """Return draws (R, K) of shares as far from uniform ones as the law may be of which n draws have the shares seen.

    The distance of ``seen`` from uniform shares is too large by chance: its square is so by (1 - |seen|^2)/(n - 1) on
    average, which is taken off. Each of ``errors`` (R, K) moves what is left along the same direction, since only that
    moves a distance.
    Equal to ``seen`` for large n; uniform shares where ``seen`` are exactly those.
    """
    apart = seen - 1 / len(seen)
    length = float(np.linalg.norm(apart))
    if not length:
        return np.repeat(seen[None], len(errors), axis=0)
    along = apart / length
    true = np.sqrt(max(0.0, length**2 - float(1 - np.square(seen).sum()) / max(n - 1, 1)))
    return np.asarray(1 / len(seen) + (true + errors @ along)[:, None] * along, dtype=np.float64)


def scarcer(counts: _Counts, n: int, others: _Counts) -> _Floats:
    """Return for each of K classes the chance of ``counts`` or fewer of n where both sides are drawn from one law.

    ``others`` (K,) are the counts of the other side. Given how many both sides have together, the count of one is
    hypergeometric, whatever the law: exact at any size, and close to exp(-e) for none where e are expected of many.
    Source: Fisher 1935, one-sided.
    """
    total = int(others.sum())
    return np.asarray(stats.hypergeom.cdf(counts, n + total, counts + others, n), dtype=np.float64)


def on_simplex(values: _Floats) -> _Floats:
    """Return the nearest points (..., K) with entries of 0 or more and the sum 1.

    Source: Held, Wolfe and Crowder 1974.
    """
    ordered = -np.sort(-values, axis=-1)
    over = (np.cumsum(ordered, axis=-1) - 1) / np.arange(1, values.shape[-1] + 1)
    kept = np.maximum((ordered > over).sum(-1, keepdims=True) - 1, 0)
    return np.asarray(np.maximum(values - np.take_along_axis(over, kept, axis=-1), 0), dtype=np.float64)


def total_variation(p: _Floats, t: _Floats) -> float:
    """Return half the sum of |p - t|, 0 to 1."""
    return float(np.abs(p - t).sum() / 2)


def kl_divergence(p: _Floats, t: _Floats) -> float:
    """Return sum p ln(p/t) in nats, 0 or more; infinite where p has a class that t lacks."""
    at = p > 0
    if bool((t[at] <= 0).any()):
        return float("inf")
    return max(0.0, float((p[at] * np.log(p[at] / t[at])).sum()))


def fairness_discrepancy(p: _Floats) -> float:
    """Return |p - u|_2 for uniform shares u: 0 to sqrt(1 - 1/K). Source: Choi et al. 2020, arXiv:1910.12008."""
    return float(np.linalg.norm(p - 1 / len(p)))


def _drawn(counts: _Floats, n: int, rng: np.random.Generator, draws: int) -> _Floats:
    law = (counts + 1 / len(counts)) / (counts.sum() + 1)
    return np.asarray(rng.multinomial(n, law, size=draws) / n - law, dtype=np.float64)


def _numbers(values: npt.ArrayLike, classes: int, name: str) -> _Counts:
    found = np.asarray(values, dtype=np.int64)
    if found.ndim != 1 or (len(found) and not (found.min() >= 0 and found.max() < classes)):
        raise ValueError(f"{name}: found shape {found.shape}; allowed: class numbers 0 to {classes - 1}, one row")
    return found
