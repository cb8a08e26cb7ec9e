"""The Fréchet distance between Gaussians fitted to features, and its bias."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganaudit.numerics.arguments import pair, whole
from ganaudit.numerics.moments import Moments

__all__ = ["frechet_bias", "frechet_distance", "frechet_distance_from_moments"]


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Return the squared 2-Wasserstein distance between the Gaussians fitted to ``real`` (N, D) and ``fake`` (M, D).

    |mean_r - mean_f|^2 + tr S_r + tr S_f - 2 tr (S_r S_f)^(1/2), covariances with divisor n - 1; the squared unit of
    the features, from 0 up. The plug-in estimate: biased upwards, by about ``frechet_bias`` when the two laws agree.

    With more samples than features on both sides the moments are used. Otherwise a covariance is singular, and the
    trace of the root is taken as the sum of singular values of X Y^T (X, Y: centred features over the square root of
    n - 1), which holds the same non-zero values and no rounding noise from the null space; it needs no more samples
    than two.

    Raises ValueError when a shape is not (samples, features), the features differ in number, a side has fewer than 2
    samples or an entry is not finite.
    Source: Dowson and Landau 1982; Heusel et al. 2017 (FID).
    """
    real, fake = pair(real, fake, least=2)
    if min(len(real), len(fake)) > real.shape[1]:
        return frechet_distance_from_moments(Moments.of(real), Moments.of(fake))
    real_mean, real_factor = _factor(real)
    fake_mean, fake_factor = _factor(fake)
    traces = real_factor.square().sum() + fake_factor.square().sum()
    overlap = torch.linalg.svdvals(real_factor @ fake_factor.T).sum()
    return _distance(real_mean - fake_mean, traces, overlap)


def frechet_distance_from_moments(real: Moments, fake: Moments) -> float:
    """Return the Fréchet distance between the Gaussians with the given moments, covariances with divisor n - 1.

    The same quantity and units as ``frechet_distance``. tr (S_r S_f)^(1/2) is the sum of the square roots of the
    eigenvalues of R S_f R with R R = S_r: symmetric throughout, so no complex root can arise. A covariance of n
    samples has rank n - 1 at most; eigenvalues beyond that rank are rounding and are left out.

    Raises ValueError when the features differ in number or a side has fewer than 2 samples.
    """
    if real.mean.shape != fake.mean.shape:
        raise ValueError(f"fake: found {len(fake.mean)} features; allowed: {len(real.mean)}, as in real")
    real_covariance, fake_covariance = real.covariance, fake.covariance
    features = len(real.mean)
    values, vectors = torch.linalg.eigh(real_covariance)
    rank = min(features, real.n - 1)
    root = vectors[:, features - rank :] * values[features - rank :].clamp_min(0).sqrt()
    inner = torch.linalg.eigvalsh(root.T @ fake_covariance @ root)
    overlap = inner[rank - min(rank, fake.n - 1) :].clamp_min(0).sqrt().sum()
    traces = real_covariance.trace() + fake_covariance.trace()
    return _distance(real.mean - fake.mean, traces, overlap)


def frechet_bias(covariance: Tensor, n_real: int | None, n_fake: int | None) -> float:
    """Return the expected Fréchet distance between samples of one and the same Gaussian, to first order in 1/n.

    For eigenvalues l of ``covariance`` (D, D) and each sampled side of n samples:
    sum_i l_i/n + sum_ij (l_i l_j + [i = j] l_i^2) / (2 (l_i + l_j) (n - 1)).
    For l = s2 throughout this is s2 (D/n + D(D + 1)/(4(n - 1))). None for a side means that its moments are exact.
    The first part is the variance of the mean; the second is the Bures metric (1/2) sum_ij dS_ij^2/(l_i + l_j) at the
    covariance, averaged over the Wishart law of dS. The next order is smaller by about D/n: meant for n well above D,
    and for features near Gaussian. The squared unit of the features, from 0 up.

    Raises ValueError when ``covariance`` is not square or a side has fewer than 2 samples.
    Source: derived from the second-order expansion; compare Chong and Forsyth 2020 on the bias of FID.
    """
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ValueError(f"covariance: found shape {tuple(covariance.shape)}; allowed: (features, features)")
    values = torch.linalg.eigvalsh(covariance.detach().double()).clamp_min(0)
    sums = values[:, None] + values[None, :]
    # Where both eigenvalues vanish neither side varies, so the pair adds nothing; 1 only keeps 0/0 away.
    pairs = torch.where(sums > 0, torch.outer(values, values) / torch.where(sums > 0, sums, 1.0), 0.0)
    spread = float(pairs.sum() / 2 + values.sum() / 4)
    trace = float(values.sum())
    sides = [whole(n, name, least=2) for n, name in ((n_real, "n_real"), (n_fake, "n_fake")) if n is not None]
    return math.fsum(trace / n + spread / (n - 1) for n in sides)


def _factor(features: Tensor) -> tuple[Tensor, Tensor]:
    values = features.double()
    mean = values.mean(dim=0)
    factor = (values - mean) / math.sqrt(len(values) - 1)
    if len(values) > values.shape[1]:
        # Q of a QR step has orthonormal columns and changes no singular value of the product: R is enough, and small.
        factor = torch.linalg.qr(factor, mode="r").R
    return mean, factor


def _distance(shift: Tensor, traces: Tensor, overlap: Tensor) -> float:
    # The distance of the covariances is a squared norm; rounding alone can carry the difference below 0.
    return float(shift.square().sum() + (traces - 2 * overlap).clamp_min(0))
