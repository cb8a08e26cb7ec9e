"""First and second moments of features, gathered whole or in parts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix

__all__ = ["Moments"]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sample count, mean and scatter of features; parts merge into the moments of the whole.

    ``merge`` is commutative and associative up to float64 rounding, so batches and worlds may come in any order.
    """

    n: int
    """Number of samples, 1 or more."""
    mean: Tensor
    """Mean of every feature, (D,), float64."""
    scatter: Tensor
    """Sum over samples of (x - mean)(x - mean)^T, (D, D), float64, symmetric."""

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Return the moments of ``features`` (N, D), any real dtype, N >= 1.

        Two passes in float64: the mean first, then the products of what is left, so a large common offset costs no
        digits. Raises ValueError when the shape is not (N, D), N is 0 or an entry is not finite.
        """
        values = matrix(features, "features", least=1).double()
        mean = values.mean(dim=0)
        centred = values - mean
        scatter = centred.T @ centred
        return cls(len(values), mean, (scatter + scatter.T) / 2)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of samples together.

        With d = other.mean - mean: n = n1 + n2, mean = mean1 + d n2/n, scatter = S1 + S2 + d d^T n1 n2/n.
        Raises ValueError when the numbers of features differ. Source: Chan, Golub and LeVeque 1979.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"other: found {len(other.mean)} features; allowed: {len(self.mean)}, as in self")
        n = self.n + other.n
        shift = other.mean - self.mean
        mean = self.mean + shift * (other.n / n)
        scatter = self.scatter + other.scatter + torch.outer(shift, shift) * (self.n * other.n / n)
        return Moments(n, mean, scatter)

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance, (D, D) float64: scatter / (n - 1).

        Raises ValueError when n < 2.
        """
        if self.n < 2:
            raise ValueError(f"covariance: found {self.n} samples; allowed: 2 or more")
        return self.scatter / (self.n - 1)
