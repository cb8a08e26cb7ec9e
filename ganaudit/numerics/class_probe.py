"""A classifier of features by ridge regression on class indicators: one solve, no chance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ganaudit.numerics.arguments import matrix, whole

__all__ = ["ClassProbe"]

_RIDGE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class ClassProbe:
    """Says the class whose regression is greatest."""

    centre: Tensor
    scale: Tensor
    weights: Tensor
    """(D + 1, K), the last row the constants."""

    @classmethod
    def fitted(cls, features: Tensor, labels: Tensor, classes: int) -> ClassProbe:
        """Return the probe that ``features`` (N, D) with ``labels`` (N,), 0..classes - 1, give; float64.

        Features are brought to mean 0 and deviation 1 (constant ones to 0), then regressed on the K indicators with a
        ridge of N/1000.
        Raises ValueError when a feature is not finite or labels are not as many numbers below ``classes``.
        """
        x = matrix(features, "features", least=1).double().cpu()
        if labels.shape != (len(x),) or int(labels.min()) < 0:
            raise ValueError(f"labels: found shape {tuple(labels.shape)}; allowed: ({len(x)},), 0 or more")
        whole(int(labels.max()), "labels", least=0, most=classes - 1)
        centre, deviation = x.mean(0), x.std(0, correction=0)
        varies = deviation > 1e-9 * (1 + centre.abs())
        scale = torch.where(varies, 1 / deviation, torch.zeros_like(deviation))
        design = _design(x, centre, scale)
        goals = functional.one_hot(labels.long(), classes).double()
        gram = design.T @ design + _RIDGE * len(x) * torch.eye(design.shape[1], dtype=torch.float64)
        return cls(centre, scale, torch.linalg.solve(gram, design.T @ goals))

    def said(self, features: Tensor) -> Tensor:
        """Return the class of each row of ``features`` (N, D), (N,) int64; the first of those that tie."""
        return (_design(features.double().cpu(), self.centre, self.scale) @ self.weights).argmax(1)


def _design(x: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    return torch.cat([(x - centre) * scale, torch.ones(len(x), 1, dtype=torch.float64)], dim=1)
