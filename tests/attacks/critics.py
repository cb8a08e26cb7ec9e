"""Critics whose worst case is known, and that worst case by another method than the attacks'."""

import math

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize
from torch import Tensor

from ganaudit.attacks.critic import Critic, Side

Array = npt.NDArray[np.float64]

RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
DUAL = {"linf": 1, "l2": 2, "l1": np.inf}


def samples(n: int, shape: tuple[int, ...], low: float, high: float, inner: float, seed: int = 0) -> Tensor:
    """Uniform samples in the middle share ``inner`` of the range."""
    unit = np.random.default_rng(seed).random((n, *shape))
    return torch.from_numpy(low + (high - low) * (0.5 + inner * (unit - 0.5))).float()


def weights(p: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal(p)


def linear(w: Array, threshold: float, low: float, high: float, b: float = 0.0) -> Critic:
    w_ = torch.from_numpy(w)
    return Critic(lambda x: x.flatten(1).double() @ w_ + b, threshold, low, high)


def flat(x: Tensor) -> Array:
    return x.flatten(1).double().numpy()


def threshold_for(scores: Array, side: Side, share: float = 0.1) -> float:
    """A threshold that already misjudges about ``share`` of the samples, half way between two scores."""
    ordered = np.sort(scores)
    at = int((1 - share) * len(ordered)) if side == "fake" else int(share * len(ordered))
    return float((ordered[at - 1] + ordered[at]) / 2)


def between(distances: Array, share: float) -> float:
    """A radius half way across the widest gap between distances near the quantile ``share``."""
    ordered = np.sort(distances[distances > 0])
    at = int(share * len(ordered))
    near = ordered[max(at - 4, 0) : at + 5]
    gap = int(np.argmax(np.diff(near)))
    return float((near[gap] + near[gap + 1]) / 2)


def best_linear(x: Array, w: Array, norm: str, radius: float, low: float, high: float) -> Array:
    """The largest w·y over ball and box around rows of ``x``: by coordinate, by a multiplier, by a linear program."""
    if norm == "linf":
        return np.where(w > 0, np.minimum(x + radius, high), np.maximum(x - radius, low)) @ w
    one = _best_l2 if norm == "l2" else _best_l1
    return np.array([one(row, w, radius, low, high) for row in x])


def _best_l2(x: Array, w: Array, radius: float, low: float, high: float) -> float:
    def delta(t: float) -> Array:
        return np.clip(x + t * w, low, high) - x

    most = 4 * (high - low) / np.abs(w).min()
    if np.linalg.norm(delta(most)) <= radius:
        return float(w @ (x + delta(most)))
    t = optimize.brentq(lambda t: np.linalg.norm(delta(t)) - radius, 0, most, xtol=1e-15, rtol=1e-14)
    return float(w @ (x + delta(t)))


def _best_l1(x: Array, w: Array, radius: float, low: float, high: float) -> float:
    p = len(x)
    bounds = [(0, high - v) for v in x] + [(0, v - low) for v in x]
    found = optimize.linprog(np.concatenate([-w, w]), A_ub=np.ones((1, 2 * p)), b_ub=[radius], bounds=bounds)
    return float(w @ x - found.fun)


def bowl(centre: Array, curvature: Array, threshold: float, low: float, high: float) -> Critic:
    """D(x) = -1/2 sum a_i (x_i - c_i)^2, a concave quadratic."""
    c, a = torch.from_numpy(centre), torch.from_numpy(curvature)
    return Critic(lambda x: -0.5 * ((x.flatten(1).double() - c).square() * a).sum(1), threshold, low, high)


def best_bowl(x: Array, centre: Array, curvature: Array, norm: str, radius: float) -> Array:
    """The largest score of ``bowl`` in a ball: coordinates apart (linf), by the secular equation (l2)."""
    gap = centre - x
    if radius == 0:
        return -0.5 * (gap**2) @ curvature
    if norm == "linf":
        left = np.maximum(np.abs(gap) - radius, 0)
        return -0.5 * (left**2) @ curvature
    scores = []
    for row in gap:
        if np.linalg.norm(row) <= radius:
            scores.append(0.0)
            continue

        def delta(m: float, row: Array = row) -> Array:
            return curvature * row / (curvature + m)

        m = optimize.brentq(lambda m: np.linalg.norm(delta(m)) - radius, 0, 1e9, xtol=1e-14)
        scores.append(-0.5 * float(curvature @ (row - delta(m)) ** 2))
    return np.array(scores)


def covers(found: float, exact: float, n: int) -> bool:
    return math.isclose(found, exact, abs_tol=0.5 / n)
