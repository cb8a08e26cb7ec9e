"""A classifier of features by linear discriminants: class means and one shrunken covariance, no chance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, whole

__all__ = ["ClassProbe"]

_SHRINKAGE = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class ClassProbe:
    """Says the class whose discriminant is greatest."""

    centre: Tensor
    scale: Tensor
    weights: Tensor
    """(D, K)."""
    constants: Tensor
    """(K,), -inf for a class without a row."""

    @classmethod
    def fitted(cls, features: Tensor, labels: Tensor, classes: int) -> ClassProbe:
        """Return the discriminants that ``features`` (N, D) with ``labels`` (N,), 0..classes - 1, give; float64.

        x^T S^-1 m_k - m_k^T S^-1 m_k/2 + ln(N_k/N), m the class means and S the covariance within classes with its
        diagonal raised by 1 %, of features brought to mean 0 and deviation 1 (constant ones to 0).
        Raises ValueError when a feature is not finite or labels are not as many numbers below ``classes``.
        Source: Fisher 1936; Friedman 1989 (regularised discriminant analysis).
        """
        x = matrix(features, "features", least=1).double().cpu()
        if labels.shape != (len(x),) or int(labels.min()) < 0:
            raise ValueError(f"labels: found shape {tuple(labels.shape)}; allowed: ({len(x)},), 0 or more")
        whole(int(labels.max()), "labels", least=0, most=classes - 1)
        centre, deviation = x.mean(0), x.std(0, correction=0)
        varies = deviation > 1e-9 * (1 + centre.abs())
        scale = torch.where(varies, 1 / deviation, torch.zeros_like(deviation))
        y, of = (x - centre) * scale, labels.long().cpu()
        counts = torch.bincount(of, minlength=classes).double()
        means = torch.zeros(classes, y.shape[1], dtype=torch.float64).index_add_(0, of, y)
        means /= counts.clamp(min=1)[:, None]
        inside = y - means[of]
        covariance = inside.T @ inside / len(y)
        # A diagonal of 0, of features without spread inside any class, would leave nothing to invert.
        covariance += torch.diag(_SHRINKAGE * covariance.diagonal() + 1e-6)
        weights = torch.linalg.solve(covariance, means.T)
        return cls(centre, scale, weights, (counts / len(y)).log() - (means * weights.T).sum(1) / 2)

    def said(self, features: Tensor) -> Tensor:
        """Return the class of each row of ``features`` (N, D), (N,) int64; the first of those that tie."""
        y = (features.double().cpu() - self.centre) * self.scale
        return (y @ self.weights + self.constants).argmax(1)
