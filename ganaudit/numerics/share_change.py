"""How much further from a target the shares of classes lie after a change, without the bias of a plug-in distance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganaudit.numerics.intervals import Bounds, normal

__all__ = ["ShareChange", "share_change"]

_Floats = npt.NDArray[np.float64]
_Labels = npt.NDArray[np.int64]
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class ShareChange:
    """A difference of two squared distances, and the same as a distance."""

    squared: float
    """|p' - q|² - |p - q|² of shares p before, p' after, and q, the target; unbiased."""
    error: float
    """Its standard error by a jackknife over the samples; where the shares do not move it errs to the large side."""

    @property
    def value(self) -> float:
        """The root of ``squared`` with its sign: the distance moved, where the shares lay on the target before."""
        return _root(self.squared)

    def interval(self, level: float) -> Bounds:
        """Return the interval of ``value``: the normal one of ``squared``, whose ends go the same way."""
        reach = normal(self.squared, self.error, level)
        return Bounds(_root(reach.low), _root(reach.high))


def share_change(before: _Labels, after: _Labels, target: _Floats, inverse: _Floats | None = None) -> ShareChange:
    """Return how much further from ``target`` (K,) the shares of ``after`` lie than those of ``before``.

    ``before`` and ``after`` (N,): class numbers read off the same samples before and after, -1 where none could be
    read; these are left out of their side. With ``inverse`` (K, K), that of a classifier's confusion, its errors are
    taken out. Each squared distance is the U-statistic sum_{i != j} (x_i - q)·(x_j - q) / (n (n - 1)) of the columns
    x_i, unbiased where sum (p_c - q_c)² of counted shares is too large by the variance of p; an error of the target
    itself drops out of the difference. ValueError for sides of different lengths, or with fewer than 3 read.
    """
    if len(before) != len(after):
        raise ValueError(f"after: found {len(after)} samples; allowed: {len(before)}, as many as before")
    columns = np.eye(len(target)) if inverse is None else np.asarray(inverse).T
    whole, parts = zip(*(_squared(found, columns, target) for found in (before, after)), strict=True)
    left = parts[1] - parts[0]
    n = len(left)
    return ShareChange(whole[1] - whole[0], math.sqrt((n - 1) / n * float(((left - left.mean()) ** 2).sum())))


def _squared(found: _Labels, columns: _Floats, target: _Floats) -> tuple[float, _Floats]:
    """Return the squared distance, and (N,) what it is without each of the samples."""
    read = found >= 0
    m = int(read.sum())
    if m < _FEWEST:
        raise ValueError(f"samples: found {m} that could be read; allowed: {_FEWEST} or more")
    rows = np.zeros((len(found), len(target)))
    rows[read] = columns[found[read]] - target
    own = (rows**2).sum(1)
    total, squares = rows.sum(0), float(own.sum())
    whole = (float(total @ total) - squares) / (m * (m - 1))
    without = (((total - rows) ** 2).sum(1) - (squares - own)) / ((m - 1) * (m - 2))
    return whole, np.where(read, without, whole)


def _root(squared: float) -> float:
    return math.copysign(math.sqrt(abs(squared)), squared)
