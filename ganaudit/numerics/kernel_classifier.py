"""A classifier of the states of samples by kernel ridge regression, cross-fitted: cheap, and fitted in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import whole

__all__ = ["KernelClassifier", "fitted_classifier"]

_RIDGE = 1e-2
_PAIRS = 1000
_BLOCK = 1024


@dataclass(frozen=True, slots=True, eq=False)
class KernelClassifier:
    """One classifier for each fold of the known samples, fitted to the others."""

    rows: Tensor
    """(M K, D) float64: all known samples in all states."""
    scale: float
    """Squared distance at which the kernel has fallen to 1/e."""
    coefficients: Tensor
    """(F, M K, K); 0 for the samples of the fold itself."""
    held_out: Tensor
    """(M, K, K) float64: scores of known sample i in state j by the classifier that was not fitted to it."""

    def scores(self, x: Tensor) -> Tensor:
        """Return the scores (N, F, K) that the classifier of each fold gives ``x`` (N, D); the highest is its answer.

        About the chance of each state less 1/K. The scores of one sample do not depend on the others.
        """
        folds, count, states = self.coefficients.shape
        flat = self.coefficients.transpose(0, 1).reshape(count, folds * states)
        wide = x.double()
        parts = [_kernel(wide[a : a + _BLOCK], self.rows, self.scale) @ flat for a in range(0, len(wide), _BLOCK)]
        return torch.cat(parts).view(len(x), folds, states)


def fitted_classifier(known: Tensor, rng: np.random.Generator, folds: int = 5) -> KernelClassifier:
    """Return the classifier of the states of ``known`` (M, K, D): sample i in state j, features D.

    For each of ``folds`` parts of the samples, ridge regression of the one-hot states less 1/K in the space of the
    kernel exp(-|x - y|^2/s), s the median squared distance of known samples, ridge 0.01. A sample is held out in all
    its states at once. Work: ``folds`` solutions of M K unknowns.

    Raises ValueError when ``known`` is no (M, K, D) with M of at least ``folds`` and K of at least 2, or holds other
    than finite numbers.
    Source: kernel ridge regression, Saunders et al. 1998.
    """
    if known.ndim != 3 or known.shape[1] < 2 or not bool(torch.isfinite(known).all()):
        raise ValueError(f"known: found shape {tuple(known.shape)}; allowed: (samples, 2 or more states, features)")
    samples, states, _ = known.shape
    whole(samples, "known samples", least=whole(folds, "folds", least=2))
    rows = known.double().flatten(0, 1)
    scale = _scale(rows, rng)
    gram = _kernel(rows, rows, scale)
    target = (torch.eye(states, dtype=torch.float64) - 1 / states).repeat(samples, 1)
    dealt = torch.from_numpy(rng.permutation(np.arange(samples) % folds)).repeat_interleave(states)
    coefficients = torch.zeros(folds, len(rows), states, dtype=torch.float64)
    held_out = torch.empty_like(target)
    for fold in range(folds):
        fitted, asked = (dealt != fold).nonzero()[:, 0], (dealt == fold).nonzero()[:, 0]
        lower = torch.linalg.cholesky(gram[fitted][:, fitted] + _RIDGE * torch.eye(len(fitted), dtype=torch.float64))
        found = torch.cholesky_solve(target[fitted], lower)
        coefficients[fold, fitted] = found
        held_out[asked] = gram[asked][:, fitted] @ found
    return KernelClassifier(rows, scale, coefficients, held_out.view(samples, states, states))


def _scale(rows: Tensor, rng: np.random.Generator) -> float:
    """Return the median squared distance between rows, of pairs that differ; 1 where none do."""
    some = rows[torch.from_numpy(rng.permutation(len(rows))[:_PAIRS])]
    distances = torch.nn.functional.pdist(some).square()
    distances = distances[distances > 0]
    return float(distances.median()) if len(distances) else 1.0


def _kernel(a: Tensor, b: Tensor, scale: float) -> Tensor:
    squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    return torch.exp(-squares.clamp_min(0) / scale)
