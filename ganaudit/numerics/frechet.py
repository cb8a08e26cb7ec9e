"""The Fréchet distance between Gaussians fitted to features, and its bias."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from ganaudit.numerics.arguments import bounded, whole
from ganaudit.numerics.frechet_units import groups_in_unit, moments_in_unit, unit_of
from ganaudit.numerics.moments import GroupedMoments, Moments
from ganaudit.numerics.symmetric import cholesky, congruence, eigenvalues, nuclear_norm, root_sum

__all__ = ["Divisor", "frechet_bias", "frechet_distance", "frechet_distances"]

_BATCHED = 128

Divisor: TypeAlias = Literal["n - 1", "n"]


def frechet_distance(
    real: Tensor | Moments, fake: Tensor | Moments, divisors: tuple[Divisor, Divisor] = ("n - 1", "n - 1")
) -> float:
    """Return the squared 2-Wasserstein distance between the Gaussians fitted to ``real`` and ``fake``.

    |mean_r - mean_f|^2 + tr S_r + tr S_f - 2 tr (S_r S_f)^(1/2); the squared unit of the features, from 0 up.
    ``divisors`` are those of the covariances of reals and of fakes. Each side is features (N, D) or their moments. The
    plug-in estimate: biased upwards, by about ``frechet_bias`` when the two laws agree.

    The trace of the root is the sum of the singular values of B^T A for any roots A A^T = S_r and B B^T = S_f: no
    matrix root, nothing complex. Of moments with a definite covariance, A is the Cholesky factor, which ``Moments``
    keeps, and the squares of the singular values are the eigenvalues of A^T S_f A. Of features no more than D in
    number, A^T is the centred features over the square root of n - 1, so that the product is a small Gram matrix and no
    rounding comes in from the null space; it needs no more samples than two.

    Raises ValueError when a shape is not (samples, features), the features differ in number, a side has fewer than 2
    samples, an entry is not finite or of size 1e100 or more, or the divisor is n for moments that do not tell it.
    Source: Dowson and Landau 1982; Heusel et al. 2017 (FID).
    """
    one, other = _fitted(real, "real"), _fitted(fake, "fake")
    unit = unit_of((one.trace, other.trace))
    if unit != 1:
        # Beyond it products of variances leave float64 or vanish.
        return frechet_distance(_in_unit(real, unit), _in_unit(fake, unit), divisors) * unit * unit
    a, b = (_share(side, divisor) for side, divisor in zip((real, fake), divisors, strict=True))
    if one.mean.shape != other.mean.shape:
        raise ValueError(f"fake: found {len(other.mean)} features; allowed: {len(one.mean)}, as in real")
    # The distance of the covariances is a squared norm; rounding alone can carry the difference below 0.
    traces = a * one.trace + b * other.trace - 2 * math.sqrt(a * b) * _overlap(one, other)
    return float((one.mean - other.mean).square().sum() + traces.clamp_min(0))


def frechet_distances(real: GroupedMoments, fake: GroupedMoments, sets: Sequence[Sequence[int]]) -> Tensor:
    """Return the Fréchet distances (J,) between J unions of groups of both sides, of the same groups on each.

    The same numbers as ``frechet_distance`` of the unions, float64 on the CPU; up to 128 features all at once.
    Raises ValueError as ``frechet_distance`` does.
    """
    if real.core.features > _BATCHED or real.core.features != fake.core.features:
        return torch.tensor([frechet_distance(real.union(s), fake.union(s)) for s in sets], dtype=torch.float64)
    unit = unit_of(side.core.scatter.trace() / side.core.degrees for side in (real, fake))
    if unit != 1:
        return frechet_distances(groups_in_unit(real, unit), groups_in_unit(fake, unit), sets) * unit * unit
    (real_means, real_covariances), (fake_means, fake_covariances) = real.unions(sets), fake.unions(sets)
    lower, definite = cholesky(real_covariances)
    lower = torch.where(definite[:, None, None], lower, 0.0)
    overlaps, trusted = root_sum(eigenvalues(congruence(lower, fake_covariances)))
    traces = (real_covariances + fake_covariances).diagonal(dim1=1, dim2=2).sum(1)
    found = (real_means - fake_means).square().sum(1) + (traces - 2 * overlaps).clamp_min(0)
    for number in (~(definite & trusted)).nonzero()[:, 0].tolist():
        found[number] = frechet_distance(real.union(sets[number]), fake.union(sets[number]))
    return found.cpu()


def frechet_bias(covariance: Tensor, n_real: int | None, n_fake: int | None) -> float:
    """Return the expected Fréchet distance between samples of one and the same Gaussian, to first order in 1/n.

    For eigenvalues l of ``covariance`` (D, D) and each sampled side of n samples:
    sum_i l_i/n + sum_ij (l_i l_j + [i = j] l_i^2) / (2 (l_i + l_j) (n - 1)).
    For l = s2 throughout this is s2 (D/n + D(D + 1)/(4(n - 1))). None for a side means that its moments are exact.
    The first part is the variance of the mean; the second is the Bures metric (1/2) sum_ij dS_ij^2/(l_i + l_j) at the
    covariance, averaged over the Wishart law of dS. For sides of one size the next order vanishes as D grows, down to
    n = D; for others it is about (D/n_real - D/n_fake)^2 D/32 times the mean eigenvalue. For features near Gaussian.
    A covariance of few samples has its eigenvalues spread, which lowers the sum. The squared unit of the features, from
    0 up.

    Raises ValueError when ``covariance`` is not square or a side has fewer than 2 samples.
    Source: derived from the second-order expansion; compare Chong and Forsyth 2020 on the bias of FID.
    """
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ValueError(f"covariance: found shape {tuple(covariance.shape)}; allowed: (features, features)")
    values = eigenvalues(covariance.detach().double().clone()).clamp_min(0)
    largest = float(values[-1])
    if largest > 0:  # in its unit no product of two leaves float64 or vanishes
        values = values / largest
    sums = values[:, None] + values[None, :]
    # Where both eigenvalues vanish neither side varies, so the pair adds nothing; 1 only keeps 0/0 away.
    pairs = torch.where(sums > 0, torch.outer(values, values) / torch.where(sums > 0, sums, 1.0), 0.0)
    spread = float(pairs.sum() / 2 + values.sum() / 4)
    trace = float(values.sum())
    sides = [whole(n, name, least=2) for n, name in ((n_real, "n_real"), (n_fake, "n_fake")) if n is not None]
    return (largest or 1.0) * math.fsum(trace / n + spread / (n - 1) for n in sides)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One side's Gaussian: by its moments, or by its centred rows where there are no more of them than features."""

    mean: Tensor
    trace: Tensor
    moments: Moments | None
    rows: Tensor | None

    @property
    def rank(self) -> int:
        if self.rows is not None:
            return len(self.rows) - 1
        assert self.moments is not None
        return self.moments.rank

    @property
    def root(self) -> Tensor:
        """A with A A^T = the covariance over the square of ``scale``."""
        if self.rows is not None:
            return self.rows.T
        assert self.moments is not None
        return self.moments.root.matrix

    @property
    def scale(self) -> float:
        return 1.0 if self.rows is None else 1 / math.sqrt(len(self.rows) - 1)


def _in_unit(side: Tensor | Moments, unit: float) -> Tensor | Moments:
    return moments_in_unit(side, unit) if isinstance(side, Moments) else side.double() / unit


def _fitted(side: Tensor | Moments, name: str) -> _Fitted:
    if isinstance(side, Tensor):
        values = bounded(side, name, least=2)
        if len(values) <= values.shape[1]:
            mean = values.mean(dim=0, dtype=torch.float64)
            rows = values - mean  # one pass: the difference is float64, whatever the features are
            return _Fitted(mean, torch.linalg.vector_norm(rows).square() / (len(rows) - 1), None, rows)
        side = Moments.of(values)
    return _Fitted(side.mean, side.scatter.trace() / side.degrees, side, None)


def _share(side: Tensor | Moments, divisor: Divisor) -> float:
    """Return what the covariance with divisor n - 1 is multiplied by."""
    if divisor == "n - 1":
        return 1.0
    n = len(side) if isinstance(side, Tensor) else side.n
    if n is None:
        raise ValueError("divisor: found n for moments that do not tell their n; allowed: n - 1, as they stand")
    return (n - 1) / n


def _overlap(one: _Fitted, other: _Fitted) -> Tensor:
    """Return tr (S_r S_f)^(1/2)."""
    rank = min(one.rank, other.rank)
    for a, b in ((one.moments, other.moments), (other.moments, one.moments)):
        if a is not None and b is not None and a.root.lower:
            values = eigenvalues(congruence(a.root.matrix, b.scatter)) / b.degrees
            total, trusted = root_sum(values[-rank:])
            if not trusted:
                total = torch.linalg.svdvals(b.root.matrix.T @ a.root.matrix).sum()
            return total
    return one.scale * other.scale * nuclear_norm(other.root.T @ one.root, rank)
