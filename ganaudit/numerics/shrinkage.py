"""Rates of many small groups, drawn towards their common mean as far as their own counts leave it open."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["shrunken_rates"]


def shrunken_rates(counts: npt.ArrayLike, sizes: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return (c_j + s m)/(n_j + s) for ``counts`` c of ``sizes`` n, both (K,): rates by an empirical-Bayes Beta law.

    m is the rate of all groups together. s is the weight of that law in samples: with v the variance of the rates
    between groups, what is left of their weighted scatter when the binomial part is taken out, s = m (1 - m)/v - 1.
    Where nothing is left all groups get m.
    Raises ValueError when shapes differ, a size is below 1 or a count is not in 0..size.
    Source: Kleinman 1973 (moments of the Beta-binomial law).
    """
    c, n = np.asarray(counts, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    if c.shape != n.shape or c.ndim != 1 or not len(c) or n.min() < 1 or bool(((c < 0) | (c > n)).any()):
        raise ValueError(f"counts: found {c} of {n}; allowed: K counts, each from 0 to its size of 1 or more")
    mean, total = c.sum() / n.sum(), n.sum()
    inside = mean * (1 - mean)
    spread = (n * np.square(c / n - mean)).sum()
    # E spread = inside (K - 1) + v (N - sum n^2/N - (K - 1)).
    room = total - np.square(n).sum() / total - (len(n) - 1)
    between = (spread - inside * (len(n) - 1)) / room if room > 0 else 0.0
    if between <= 0:
        return np.full(len(n), mean)
    weight = max(inside / between - 1, 0.0)
    return np.asarray((c + weight * mean) / (n + weight), dtype=np.float64)
