"""Roots, congruences and spectra of covariances: numpy's and SciPy's libraries for large ones on the CPU, else torch.

For 2048 features they take three quarters of torch's time on these steps; below a few hundred the difference is lost
in the rest.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg
import torch
from scipy.linalg import lapack
from torch import Tensor

__all__ = ["cholesky", "congruence", "eigenvalues", "nuclear_norm", "root_sum"]

_LARGE, _STEP = 512, 256
_DOUBT = 1e-10
"""The largest share of a sum of roots that rounding may reach before the slower, exact way is taken."""


def cholesky(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lower L with L L^T = ``matrix`` (..., D, D), symmetric float64, and whether it is clearly definite.

    Clearly: no squared pivot falls below 16 D eps times the largest diagonal entry, where it would be rounding. Where
    it is not, L is of no use.
    """
    if _is_large(matrix):
        # A symmetric matrix is its own transpose, which is what row-major memory is to LAPACK.
        made, info = lapack.dpotrf(matrix.numpy().T, lower=1, clean=1)
        lower, done = torch.from_numpy(made), torch.tensor(info == 0)
    else:
        lower, status = torch.linalg.cholesky_ex(matrix)
        done = status == 0
    least = 16 * matrix.shape[-1] * torch.finfo(matrix.dtype).eps * matrix.diagonal(dim1=-2, dim2=-1).amax(-1)
    return lower, done & (lower.diagonal(dim1=-2, dim2=-1).amin(-1).square() > least)


def congruence(lower: Tensor, matrix: Tensor) -> Tensor:
    """Return L^T S L for a lower triangular L and a symmetric S, (..., D, D); only its lower triangle counts."""
    if not _is_large(matrix):
        return lower.mT @ matrix @ lower
    # Zeros are left out block by block: a third of the work of two whole products. LAPACK's own routine for this does a
    # fifth less yet waits for all threads many times, which costs four times as much on a busy machine.
    root, symmetric, size = lower.numpy(), matrix.numpy(), len(matrix)
    product, made = np.empty((size, size)), np.empty((size, size))
    for start in range(0, size, _STEP):
        part = slice(start, start + _STEP)
        np.matmul(symmetric[:, start:], root[start:, part], out=product[:, part])
    for start in range(0, size, _STEP):
        part, until = slice(start, start + _STEP), slice(0, start + _STEP)
        np.matmul(product[start:, until].T, root[start:, part], out=made[until, part])
    result: Tensor = torch.from_numpy(made).mT
    return result


def eigenvalues(matrix: Tensor) -> Tensor:
    """Return the ascending eigenvalues (..., D) of a symmetric ``matrix`` (..., D, D), read from its lower triangle.

    A large matrix on the CPU is overwritten.
    """
    if not _is_large(matrix):
        found: Tensor = torch.linalg.eigvalsh(matrix)
        return found
    is_transposed = matrix.mT.is_contiguous()
    # Row-major memory is the transpose to LAPACK: our lower triangle is its upper one.
    values = scipy.linalg.eigh(
        matrix.numpy() if is_transposed else matrix.numpy().T,
        lower=is_transposed,
        eigvals_only=True,
        overwrite_a=True,
        check_finite=False,
        driver="ev",
    )
    return torch.from_numpy(values)


def root_sum(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of the square roots of ascending eigenvalues (..., K), and whether rounding leaves it its digits.

    An eigenvalue carries an error of about sqrt(K) eps times the largest one, e; its root one of e / (2 root), and of
    sqrt(e) where it should be 0. These must add up to no more than 1e-10 of the sum.
    """
    kept = values.clamp_min(0)
    noise = math.sqrt(values.shape[-1]) * torch.finfo(values.dtype).eps * kept[..., -1:]
    total = kept.sqrt().sum(-1)
    # Where all are 0 nothing is lost: 0/0 counts as 0.
    doubt = (noise / (2 * torch.maximum(kept, noise).sqrt())).nan_to_num().sum(-1)
    return total, doubt <= _DOUBT * total


def nuclear_norm(matrix: Tensor, rank: int) -> Tensor:
    """Return the sum of the singular values of ``matrix`` (K, L), float64, whose rank is ``rank`` at most; a scalar.

    By the eigenvalues of the smaller Gram matrix, a fraction of the cost of singular values, and by these where the
    squares have lost too many digits.
    """
    rank = min(rank, *matrix.shape)
    if rank == 0:
        return matrix.new_zeros(())
    gram = matrix.T @ matrix if matrix.shape[1] <= matrix.shape[0] else matrix @ matrix.T
    total, trusted = root_sum(eigenvalues(gram)[-rank:])
    if not trusted:
        total = torch.linalg.svdvals(matrix)[:rank].sum()
    return total


def _is_large(matrix: Tensor) -> bool:
    is_dense = matrix.ndim == 2 and (matrix.is_contiguous() or matrix.mT.is_contiguous())
    return is_dense and len(matrix) >= _LARGE and matrix.device.type == "cpu"
