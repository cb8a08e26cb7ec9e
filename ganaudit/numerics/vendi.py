"""The Vendi score: how many distinct samples a set is worth, from the eigenvalues of its similarity matrix.

Legend: K is the (N, N) matrix of similarities with K_ii = 1; lambda are the eigenvalues of K/N, shares that sum to 1;
H = -sum lambda log lambda. For the cosine similarity K = X X' with rows x_i of length 1, and K/N has the same non-zero
eigenvalues as C = X'X/N: whichever of the two is smaller is decomposed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, vector, whole
from ganaudit.numerics.intervals import Bounds, normal
from ganaudit.numerics.world import ALONE, World

__all__ = ["VendiEstimate", "cosine_spectrum", "effective_number", "kernel_spectrum", "vendi", "vendi_score"]

_BLOCK = 2**22  # entries held in float64 at once: 32 MiB
_NODES, _LOWEST, _HIGHEST = 128, 1e-16, 1e6  # of the integral over s in _left_out
_TOLERANCE = 1e-6  # of similarities kept in float32


@dataclass(frozen=True, slots=True, eq=False)
class VendiEstimate:
    """A Vendi score of order 1 with its standard error."""

    spectrum: Tensor
    """lambda, descending, float64."""
    n: int
    """Number of samples."""
    log_error: float
    """The standard error of the logarithm of the score, about its expectation at this n."""

    @property
    def value(self) -> float:
        """exp(H), between 1 and n."""
        return effective_number(self.spectrum)

    def interval(self, level: float) -> Bounds:
        """Return the interval of the expected score at this n, normal for its logarithm, within 1 and n."""
        bounds = normal(math.log(self.value), self.log_error, level)
        return Bounds(max(1.0, math.exp(bounds.low)), min(float(self.n), math.exp(bounds.high)))


def effective_number(shares: Tensor, q: float = 1.0) -> float:
    """Return the effective number of order ``q`` of ``shares`` (S,), from 1 to the number of shares above 0.

    (sum lambda^q)^(1/(1 - q)); exp(-sum lambda log lambda) at q = 1, the number of shares above 0 at q = 0, 1/max at
    infinity. It falls with q: a small q counts rare kinds nearly as much as frequent ones, a large q only the latter.
    Raises ValueError when a share is below 0 or not finite, they do not sum to 1 (to 1e-6), or ``q`` is below 0.
    Source: Hill 1973; Pasarkar and Dieng 2023, arXiv:2310.12952.
    """
    shares = vector(shares, "shares", least=1)
    total = float(shares.sum())
    if float(shares.min()) < 0 or abs(total - 1) > _TOLERANCE:
        raise ValueError(f"shares: found {float(shares.min()):g} as least, {total:g} as sum; allowed: 0 or more, sum 1")
    if not q >= 0:
        raise ValueError(f"q: found {q}; allowed: 0 or more, infinity included")
    logs = (shares[shares > 0] / total).log()
    if q == math.inf:
        return math.exp(-float(logs.max()))
    if q == 1:
        return math.exp(-float((logs.exp() * logs).sum()))
    return math.exp(float(torch.logsumexp(q * logs, dim=0)) / (1 - q))


def kernel_spectrum(kernel: Tensor) -> Tensor:
    """Return the eigenvalues of ``kernel`` (N, N) over N, descending, (N,) float64, shares that sum to 1.

    Raises ValueError when the matrix is not square, symmetric and of diagonal 1 (each to 1e-6), when an entry is not
    finite, or when an eigenvalue is below -1e-6 N: such a matrix holds no similarities of a common space.
    """
    values = matrix(kernel, "kernel", least=1).double()
    n = len(values)
    if values.shape[1] != n:
        raise ValueError(f"kernel: found shape {tuple(values.shape)}; allowed: as many columns as rows")
    if float((values - values.T).abs().max()) > _TOLERANCE or float((values.diagonal() - 1).abs().max()) > _TOLERANCE:
        raise ValueError(
            "kernel: found a matrix that is not symmetric or whose diagonal is not 1; allowed: similarities"
        )
    found = torch.linalg.eigvalsh((values + values.T) / (2 * n))
    if float(found[0]) < -_TOLERANCE:
        raise ValueError(f"kernel: found the eigenvalue {float(found[0]) * n:g}; allowed: 0 or more")
    return _shares(found)


def cosine_spectrum(features: Tensor, world: World = ALONE) -> Tensor:
    """Return the shares lambda of the cosine similarity of ``features`` (N, D), descending, float64, that sum to 1.

    There are min(N, D) of them or one more. A row of zeros has no direction: it counts as alike to every other row of
    zeros and unlike all else. Memory holds one square matrix of min(N, D) in float64 and a block of features beside
    them; ``world`` shares the product out.
    Raises ValueError when the shape is not (N, D), N is 0 or an entry is not finite.
    """
    return _shares(torch.linalg.eigvalsh(_Gram.of(features, world).matrix))


def vendi_score(features: Tensor, q: float = 1.0, world: World = ALONE) -> float:
    """Return the Vendi score of order ``q`` of ``features`` (N, D) under the cosine similarity, 1 to N.

    1 when all samples are alike, N when no two have anything in common. Strongly biased downwards: few samples can
    show few kinds, and for features of many directions the score grows with N to the end. So scores compare only at
    equal N, best with that of reals. Of non-negative features all cosines are high and the score is small.
    Raises ValueError as ``cosine_spectrum`` and ``effective_number`` do.
    Source: Friedman and Dieng 2023, arXiv:2210.02410.
    """
    return effective_number(cosine_spectrum(features, world), q)


def vendi(features: Tensor, rng: np.random.Generator, world: World = ALONE, most: int = 4096) -> VendiEstimate:
    """Return the Vendi score of order 1 of ``features`` (N, D), N >= 2, under the cosine similarity, with its error.

    The standard error is that of the delete-one jackknife, sqrt((n - 1)/n sum_i (H_-i - mean)^2), for H, which is the
    logarithm of the score: it covers the drawing of samples, not the bias. All H_-i come from one decomposition, see
    ``_left_out``; where N exceeds ``most``, the sum is taken from that many rows drawn by ``rng``. Where samples fall
    into few kinds the error comes out up to half too large: an interval then covers more than it says.
    Memory is that of ``cosine_spectrum``, a second square matrix and two of (``most``, min(N, D)).
    Raises ValueError as ``cosine_spectrum`` does, for fewer than 2 rows and for ``most`` below 2.
    Source: Efron and Stein 1981.
    """
    matrix(features[:2], "features", least=2)
    n = len(features)
    gram = _Gram.of(features, world)
    values, vectors = torch.linalg.eigh(gram.matrix)
    values = values.clamp_min(0)
    rows = np.arange(n) if n <= whole(most, "most", least=2) else np.sort(rng.permutation(n)[:most])
    squares = gram.squares(features, torch.from_numpy(rows), values, vectors)
    left = _left_out(values, squares, n)
    spread = float((left - left.mean()).square().sum()) / (len(left) if len(left) == n else len(left) - 1)
    return VendiEstimate(_shares(values), n, math.sqrt((n - 1) * spread))


@dataclass(frozen=True, slots=True, eq=False)
class _Gram:
    """The smaller of K/N and C = X'X/N."""

    matrix: Tensor
    dual: bool
    """Whether it is C. Rows of zeros then have a feature of their own, the last."""

    @classmethod
    def of(cls, features: Tensor, world: World) -> _Gram:
        matrix(features[:1], "features", least=1)  # its shape; entries are checked as they are read
        n, d = features.shape
        dual = d < n
        return cls((_dual(features, world) if dual else _primal(features, world)) / n, dual)

    def squares(self, features: Tensor, rows: Tensor, values: Tensor, vectors: Tensor) -> Tensor:
        """Return (x_i . u_k)^2 for some rows i and every eigenvector u_k of C, (rows, min(N, D))."""
        if not self.dual:
            # X = sqrt(N lambda) times the eigenvectors of K, up to a rotation that changes no product with them.
            return vectors[rows.to(vectors.device)].square() * (values * len(features))
        found = [_with_zeros(features[part.to(features.device)]) @ vectors for part in torch.split(rows, 1024)]
        return torch.cat(found).square()


def _dual(features: Tensor, world: World) -> Tensor:
    n, d = features.shape
    total = torch.zeros(d + 1, d + 1, dtype=torch.float64, device=features.device)
    parts = list(_parts(n, d))
    for number in world.mine(len(parts)):
        rows = _with_zeros(matrix(features[parts[number]], "features", least=1))
        total.addmm_(rows.T, rows)
    return world.total(total)


def _primal(features: Tensor, world: World) -> Tensor:
    n, d = features.shape
    parts = list(_parts(d, n))
    # Scaled by its largest entry, a row's square can neither overflow nor vanish.
    scales = torch.zeros(n, 1, dtype=torch.float64, device=features.device)
    for columns in parts:
        part = matrix(features[:, columns], "features", least=1).double()
        torch.maximum(scales, part.abs().amax(dim=1, keepdim=True), out=scales)
    scales[scales == 0] = 1
    total = torch.zeros(n, n, dtype=torch.float64, device=features.device)
    for number in world.mine(len(parts)):
        part = features[:, parts[number]].detach().double() / scales
        total.addmm_(part, part.T)
    total = world.total(total)
    zero = total.diagonal() == 0
    lengths = torch.where(zero, 1.0, total.diagonal().sqrt())
    total = total / lengths[:, None] / lengths[None, :]
    total[zero[:, None] & zero[None, :]] = 1
    return total


def _with_zeros(rows: Tensor) -> Tensor:
    """Return rows of length 1 in float64 with one more feature, in which rows of zeros lie."""
    values = rows.detach().double()
    scales = values.abs().amax(dim=1, keepdim=True)
    zero = scales == 0
    values = values / torch.where(zero, 1.0, scales)
    lengths = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    return torch.cat([values / torch.where(zero, 1.0, lengths), zero.double()], dim=1)


def _left_out(values: Tensor, squares: Tensor, n: int) -> Tensor:
    """Return H without sample i for every row of ``squares``, (rows,) float64.

    Without x the matrix is C - x x'/n, up to its trace. Its H needs no decomposition: for T large
    -l log l = int_0^T log(l + s) ds - (l + T) log(l + T) + T, summed over eigenvalues the integrand is log det(C + s),
    and log det(C - x x'/n + s) - log det(C + s) = log(1 - x'(C + s)^-1 x/n). The integral over log s runs on
    Gauss-Legendre nodes; the last terms are expanded to second order in 1/T. Together good to about 1e-12.
    """
    nodes, weights = (torch.from_numpy(v).to(values) for v in np.polynomial.legendre.leggauss(_NODES))
    reach = math.log(_HIGHEST / _LOWEST) / 2
    s = (nodes * reach).exp() * math.sqrt(_HIGHEST * _LOWEST)
    # A row alone in its direction takes all of it along at s = 0: leverage 1, which rounding may exceed.
    leverage = (squares @ (1 / (values[:, None] + s[None, :])) / n).clamp_max(1 - torch.finfo(values.dtype).eps)
    lost = -torch.log1p(-leverage) @ (weights * reach * s)
    lost -= (math.log(_HIGHEST) + 1) / n + (2 * (squares @ values) / n - 1 / n**2) / (2 * _HIGHEST)
    scale = n / (n - 1)
    return scale * (-torch.xlogy(values, values).sum() - lost) - math.log(scale)


def _shares(values: Tensor) -> Tensor:
    """Return eigenvalues, descending, as shares of their sum; what cannot be told from rounding is 0."""
    values = values.flip(0)
    values = torch.where(values > len(values) * torch.finfo(values.dtype).eps * values[0], values, 0)
    return values / values.sum()


def _parts(length: int, width: int) -> Iterator[slice]:
    """Return parts of at most ``_BLOCK`` entries; they depend on the shape alone."""
    step = max(1, _BLOCK // width)
    return (slice(start, min(start + step, length)) for start in range(0, length, step))
