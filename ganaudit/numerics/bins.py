"""Cells of feature space, how two sets of samples fill them, and which cells differ beyond chance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import matrix, proportion, whole
from ganaudit.numerics.intervals import Bounds

__all__ = [
    "BinTest",
    "assigned",
    "benjamini_hochberg",
    "centres",
    "jensen_shannon",
    "js_bounds",
    "js_null",
    "two_shares",
]

_STEPS, _STARTS = 50, 2


@dataclass(frozen=True, slots=True, eq=False)
class BinTest:
    """The two shares of every bin, compared."""

    real: npt.NDArray[np.int64]
    """Reals in each bin, (K,); ``fake`` likewise."""
    fake: npt.NDArray[np.int64]
    z: npt.NDArray[np.float64]
    """(K,): above 0 where the bin holds more of the fakes than of the reals."""
    p_values: npt.NDArray[np.float64]
    adjusted: npt.NDArray[np.float64]
    """After Benjamini and Hochberg: rejecting those below a keeps the expected share of false ones at a."""


def centres(x: Tensor, bins: int, rng: np.random.Generator) -> Tensor:
    """Return the k-means centres of ``x`` (N, D), (``bins``, D) float64, started by ``rng``.

    Raises ValueError when an entry is not finite, or ``bins`` is below 1 or above N.
    Source: Lloyd 1982; Arthur and Vassilvitskii 2007.
    """
    from sklearn.cluster import KMeans  # a second to import, and few audits ask
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    x = matrix(x, "x", least=1)
    whole(bins, "bins", least=1, most=len(x))
    rows = x.double().cpu().numpy()
    distinct = min(bins, len(np.unique(rows, axis=0)))
    model = KMeans(distinct, n_init=_STARTS, max_iter=_STEPS, random_state=int(rng.integers(2**31)))
    with threadpool_limits(1, user_api="openmp"):  # threads add up in any order, and a centre may fall either way
        model.fit(rows)
    return torch.from_numpy(np.asarray(model.cluster_centers_, dtype=np.float64))


def assigned(blocks: Iterable[tuple[int, Tensor]], at: Tensor) -> npt.NDArray[np.int64]:
    """Return the number of the nearest centre of every row, (N,), for blocks (first row, rows) and centres (K, D)."""
    lengths = at.square().sum(1)
    found = [(lengths - 2 * rows.double().cpu() @ at.T).argmin(1).numpy() for _, rows in blocks]
    return np.concatenate(found).astype(np.int64) if found else np.empty(0, np.int64)


def two_shares(real: npt.NDArray[np.int64], fake: npt.NDArray[np.int64]) -> BinTest:
    """Return the test of K pairs of shares, from counts (K,) of each side.

    z = (f - r)/sqrt(s (1 - s) (1/N + 1/M)) with s the share of both sides together; 0 for a bin without samples.
    Raises ValueError when the shapes differ or a side is empty.
    Source: Richardson and Weiss 2018, arXiv:1805.12462, with the sign kept; Benjamini and Hochberg 1995.
    """
    if real.shape != fake.shape or real.ndim != 1:
        raise ValueError(f"fake: found counts of shape {fake.shape}; allowed: {real.shape}, as real")
    n, m = whole(int(real.sum()), "real", least=1), whole(int(fake.sum()), "fake", least=1)
    both = (real + fake) / (n + m)
    spread = np.sqrt(both * (1 - both) * (1 / n + 1 / m))
    z = np.divide(fake / m - real / n, spread, out=np.zeros(len(real)), where=spread > 0)
    p_values = special.erfc(np.abs(z) / math.sqrt(2))
    return BinTest(real, fake, z, p_values, benjamini_hochberg(p_values))


def benjamini_hochberg(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return p-values corrected for the false discovery rate, in the order given: min over j >= i of K p_(j)/j.

    Raises ValueError when one is not in 0..1.
    Source: Benjamini and Hochberg 1995.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or bool(((p < 0) | (p > 1) | np.isnan(p)).any()):
        raise ValueError(f"p_values: found {p}; allowed: a row of numbers from 0 to 1")
    order = np.argsort(-p, kind="stable")
    stepped = np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1)) if len(p) else p
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def jensen_shannon(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the Jensen-Shannon divergence in nats of shares (..., K), 0 to ln 2."""
    middle = (p + q) / 2
    # Where the middle is 0 so are both, and the ratio counts nothing.
    safe = np.where(middle > 0, middle, 1)
    both = special.xlogy(p, p / safe) + special.xlogy(q, q / safe)
    return np.asarray(np.clip(both.sum(-1) / 2, 0, math.log(2)), dtype=np.float64)


def js_null(bins: int, n: int, m: int, level: float) -> tuple[float, Bounds]:
    """Return mean and quantiles of the divergence of n and m samples of one law in K bins.

    8/(1/n + 1/m) times it is about chi-square with K - 1 degrees, so the mean is (K - 1)(1/n + 1/m)/8. Good where most
    bins expect 5 samples or more. Raises ValueError when ``bins`` is below 2 or ``level`` not in (0, 1).
    """
    degrees, unit = whole(bins, "bins", least=2) - 1, (1 / n + 1 / m) / 8
    tail = (1 - proportion(level, "level")) / 2
    low, high = (2 * float(special.gammaincinv(degrees / 2, at)) * unit for at in (tail, 1 - tail))
    return degrees * unit, Bounds(low, high)


def js_bounds(
    real: npt.NDArray[np.int64], fake: npt.NDArray[np.int64], rng: np.random.Generator, level: float, draws: int = 999
) -> Bounds:
    """Return the bootstrap interval of the divergence that these numbers of samples show on average, in nats.

    Draws are multinomial around both sides' shares. They lie too high by as much as the divergence itself does, so
    their quantiles are moved down by the mean excess. It always holds the plug-in value.
    Raises ValueError when ``level`` is not in (0, 1).
    """
    tail = (1 - proportion(level, "level")) / 2
    drawn = [rng.multinomial(side.sum(), side / side.sum(), size=draws) / side.sum() for side in (real, fake)]
    value = float(jensen_shannon(real / real.sum(), fake / fake.sum()))
    found = jensen_shannon(*drawn)
    low, high = np.quantile(found, [tail, 1 - tail]) - (found.mean() - value)
    return Bounds(float(min(max(low, 0.0), value)), float(max(min(high, math.log(2)), value)))
