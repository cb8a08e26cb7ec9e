"""Shares of an attribute among generated samples, beside those of the reals and what chance makes of a perfect one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import stats

from ganaudit.evidence.attributes import Reading
from ganaudit.numerics.class_shares import (
    Shares,
    around_uniform,
    fairness_discrepancy,
    on_simplex,
    scarcer,
    scatter,
    shares,
    total_variation,
)
from ganaudit.numerics.groups import holm
from ganaudit.numerics.intervals import Bounds

__all__ = ["Chance", "Standing", "standing"]

_DRAWS = 999
# That any mode is said to be scarcer beyond chance where none is: an alarm counts a number of modes as certain, beside
# some thirty other numbers that may be wrong in 5 % of audits together.
_FALSE = 0.001
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chance:
    """What a statistic is when generated samples and reals are drawn from one law and read with the same errors."""

    mean: float
    usual: Bounds
    """The middle 95 %."""
    p_value: float
    """Share of draws as large as the value, itself included."""


@dataclass(frozen=True, eq=False)
class Standing:
    """One attribute: its shares, those it is held against, and both under chance alone."""

    reading: Reading
    shares: Shares
    target: _Floats
    target_errors: _Floats | None
    """None for the shares of a training set as it is."""
    perfect: _Floats
    """(R, K): shares of as many samples of a perfect generator, one that draws from the law of the reals."""
    targets: _Floats
    """(R, K): shares of as many other reals of that law, which each of those is held against."""
    fair: _Floats
    """(R, K): of a perfect generator too, of a law as far from uniform shares as the reals' own may be."""
    stand_in: _Floats
    """Shares of the reals that stand in for generated samples."""

    @property
    def unread(self) -> float:
        """Share of the generated samples looked at that could not be read."""
        return float((self.reading.fake < 0).mean())

    @property
    def discrepancy(self) -> float:
        """TV of the shares from the target."""
        return total_variation(self.shares.values, self.target)

    @property
    def discrepancy_bounds(self) -> Bounds:
        """Its 95 % interval."""
        return self.shares.total_variation_bounds(self.target, 0.95, self.target_errors)

    @property
    def discrepancy_chance(self) -> Chance:
        """What chance makes of it."""
        return _chance(np.abs(self.perfect - self.targets).sum(1) / 2, self.discrepancy)

    @property
    def fairness_chance(self) -> Chance:
        """What chance makes of the distance to uniform shares."""
        lengths = np.linalg.norm(self.fair - 1 / len(self.target), axis=1)
        return _chance(lengths, fairness_discrepancy(self.shares.values))

    def missing(self, below: float) -> tuple[list[int], Bounds]:
        """Return the values whose share is less than ``below`` times the target's, and an interval of their number.

        Low are those of them that chance cannot explain (``beyond_chance``), which says that they are scarcer than
        among reals and not by how much; high those whose share may lie below, by intervals that hold together.
        """
        limits = below * self.target
        found = np.flatnonzero((self.shares.values < limits) & (self.target > 0))
        bounds = self.shares.bounds(0.95, together=True)
        may = sum(one.low < limit for one, limit in zip(bounds, limits, strict=True))
        sure = int(self.beyond_chance[found].sum())
        return [int(j) for j in found], Bounds(float(sure), float(max(may, len(found))))

    @cached_property
    def beyond_chance(self) -> npt.NDArray[np.bool_]:
        """(K,): the values shown so seldom as one law of both sides shows none of them in 99.9 % of cases (Holm).

        Of what is read as it is by Fisher's exact test of the two counts. Behind a classifier's confusion by the
        binomial law of what would be said at the reals' shares and by the z of the corrected share against draws of
        both sides, the larger p-value of the two.
        """
        counts, n = self.shares.counts, self.shares.n
        known = self.target > 0
        if self.reading.confusion is None or not self.shares.is_corrected:
            p = scarcer(counts, n, self.reading.target)
        else:
            said = np.clip(self.reading.confusion.matrix @ self.target, 0, 1)
            spread = np.maximum((self.perfect - self.targets).std(0), np.finfo(np.float64).tiny)
            z = (self.shares.plain - self.target) / spread
            p = np.maximum(stats.binom.cdf(counts, n, said), stats.norm.cdf(z))
        # A value that no real has cannot be scarcer than among reals: it is no test.
        beyond = np.zeros(len(p), dtype=np.bool_)
        beyond[known] = np.asarray(holm(p[known].tolist())) <= _FALSE
        return beyond

    def missing_chance(self, below: float) -> Chance:
        """Return what chance makes of the number of missing values."""
        counts = ((self.perfect < below * self.targets) & (self.targets > 0)).sum(1).astype(np.float64)
        return _chance(counts, float(len(self.missing(below)[0])))


def standing(reading: Reading, rng: np.random.Generator) -> Standing | None:
    """Return where the shares stand; None where none of the generated samples could be read, or no real."""
    counts, total = reading.counts(reading.fake), int(reading.target.sum())
    if not counts.sum() or not total:
        return None
    found = shares(counts, reading.confusion, rng, _DRAWS)
    target = reading.target / total
    errors = None if reading.is_fixed else scatter(target, total, None, rng, _DRAWS)
    drawn = scatter(target, found.n, reading.confusion, rng, _DRAWS)
    # A training set is a draw too: a perfect generator knows the law behind it, and not which shares came out.
    of_target = scatter(target, total, None, rng, _DRAWS)
    fair = on_simplex(around_uniform(target, total, of_target) + drawn)
    perfect, targets = on_simplex(target + drawn), on_simplex(target + of_target)
    stand_in = reading.counts(reading.stand_in)
    plain = stand_in / max(int(stand_in.sum()), 1)
    real = plain if reading.confusion is None else on_simplex(reading.confusion.inverse @ plain)
    return Standing(reading, found, target, errors, perfect, targets, fair, real)


def _chance(drawn: _Floats, value: float) -> Chance:
    low, high = np.quantile(drawn, [0.025, 0.975])
    as_large = (1 + int((drawn >= value).sum())) / (1 + len(drawn))
    return Chance(float(drawn.mean()), Bounds(float(low), float(high)), as_large)
