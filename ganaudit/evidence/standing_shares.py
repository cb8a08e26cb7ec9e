"""Shares of an attribute among generated samples, beside those of the reals and what chance makes of a perfect one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganaudit.evidence.attributes import Reading
from ganaudit.numerics.class_shares import Shares, fairness_discrepancy, on_simplex, scatter, shares, total_variation
from ganaudit.numerics.intervals import Bounds

__all__ = ["Chance", "Standing", "standing"]

_DRAWS = 999
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chance:
    """What a statistic is when generated samples have the reals' own shares and are read with the same errors."""

    mean: float
    usual: Bounds
    """The middle 95 %."""
    p_value: float
    """Share of draws as large as the value, itself included."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """One attribute: its shares, those it is held against, and both under chance alone."""

    reading: Reading
    shares: Shares
    target: _Floats
    target_errors: _Floats | None
    """None for the shares of a training set as it is."""
    perfect: _Floats
    """(R, K): shares of as many samples of a perfect generator."""
    targets: _Floats
    """(R, K) or (1, K): the shares that each of those is held against."""
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
        lengths = np.linalg.norm(self.perfect - 1 / len(self.target), axis=1)
        return _chance(lengths, fairness_discrepancy(self.shares.values))

    def missing(self, below: float) -> tuple[list[int], Bounds]:
        """Return the values whose share is less than ``below`` times the target's, and an interval of their number.

        Low are those whose whole interval lies below, high those of which some of it does; the intervals hold together.
        """
        limits = below * self.target
        found = np.flatnonzero((self.shares.values < limits) & (self.target > 0))
        bounds = self.shares.bounds(0.95, together=True)
        sure = sum(one.high < limit for one, limit in zip(bounds, limits, strict=True))
        may = sum(one.low < limit for one, limit in zip(bounds, limits, strict=True))
        return [int(j) for j in found], Bounds(float(min(sure, len(found))), float(max(may, len(found))))

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
    perfect = on_simplex(target + scatter(target, found.n, reading.confusion, rng, _DRAWS))
    targets = target[None] if errors is None else on_simplex(target + scatter(target, total, None, rng, _DRAWS))
    stand_in = reading.counts(reading.stand_in)
    plain = stand_in / max(int(stand_in.sum()), 1)
    real = plain if reading.confusion is None else on_simplex(reading.confusion.inverse @ plain)
    return Standing(reading, found, target, errors, perfect, targets, real)


def _chance(drawn: _Floats, value: float) -> Chance:
    low, high = np.quantile(drawn, [0.025, 0.975])
    as_large = (1 + int((drawn >= value).sum())) / (1 + len(drawn))
    return Chance(float(drawn.mean()), Bounds(float(low), float(high)), as_large)
