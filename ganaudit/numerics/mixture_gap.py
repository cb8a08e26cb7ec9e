"""How much better a mixture about the generated samples explains reals it was fitted to than reals it never saw."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.numerics.arguments import bounded, whole
from ganaudit.numerics.intervals import Bounds, normal

__all__ = ["MixtureGap", "mixture_gap"]

_FLOOR = 1e-4  # of the mean squared distance for each feature: no width becomes 0, at which the density has no bound


@dataclass(frozen=True, slots=True)
class MixtureGap:
    """Mean log density of fitted reals less that of unseen ones."""

    value: float
    """Nats for each feature; above 0 also for independent samples, since the widths were fitted to one side."""
    bounds: Bounds
    """Normal, at 95 %: of the drawing of both sets of reals, for the mixture as it stands."""
    train: float
    """Mean log density of the train reals for each feature, up to a constant."""
    held: float


def mixture_gap(fake: Tensor, train: Tensor, held: Tensor, rounds: int = 20) -> MixtureGap | None:
    """Return the gap of log densities under a mixture of normal laws about ``fake`` (n, D), or None without spread.

    p(x) = 1/n sum_i N(x; f_i, v_i I), the widths v_i fitted to ``train`` (N, D) by ``rounds`` steps of expectation
    maximisation; then mean log p over ``train`` less that over ``held`` (M, D), over D. A copy of a train real gets the
    least width, 1e-4 of the mean squared distance of a train real to its nearest centre over D, and lifts the first
    mean alone. None where all train reals and centres are one point: there is no scale.
    In the manner of FLD, which fits the widths by gradient steps and scales the gap by 100.

    Distances are expanded products in float64; memory and cost are those of an (N, n) matrix.
    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite or
    ``rounds`` is below 1.
    Source: Jiralerspong et al. 2023, arXiv:2302.04440.
    """
    sides = [bounded(s, name, least=2) for s, name in ((fake, "fake"), (train, "train"), (held, "held"))]
    if len({side.shape[1] for side in sides}) > 1:
        raise ValueError(f"features: found {[side.shape[1] for side in sides]} of fake, train, held; allowed: one")
    centre = sides[1].double().mean(dim=0)
    centres, fitted, others = (side.double() - centre for side in sides)
    features = centres.shape[1]
    squares = _squares(fitted, centres)
    scale = float(squares.mean()) / features
    if scale == 0:
        return None
    nearest = float(squares.amin(dim=1).mean()) / features
    floor = _FLOOR * (nearest if nearest > _FLOOR * scale else scale)
    widths = torch.full((len(centres),), max(nearest, floor), dtype=torch.float64, device=squares.device)
    for _ in range(whole(rounds, "rounds", least=1)):
        shares = _terms(squares, widths, features).softmax(dim=1)
        mass = shares.sum(dim=0)
        found = (shares * squares).sum(dim=0) / (features * mass)
        # A centre that explains no real has nothing to fit its width to.
        widths = torch.where(mass > 1e-12, found, widths).clamp_min(floor)
    densities = [
        (_terms(s, widths, features).logsumexp(dim=1) - math.log(len(centres))) / features
        for s in (squares, _squares(others, centres))
    ]
    means = [float(d.mean()) for d in densities]
    error = math.sqrt(sum(float(d.var(correction=1)) / len(d) for d in densities))
    value = means[0] - means[1]
    return MixtureGap(value, normal(value, error, 0.95), means[0], means[1])


def _terms(squares: Tensor, widths: Tensor, features: int) -> Tensor:
    """Return the log density of each component, (N, n), up to the constant of the normal law."""
    return -squares / (2 * widths) - features / 2 * widths.log()


def _squares(x: Tensor, y: Tensor) -> Tensor:
    norms = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)
    return torch.addmm(norms, x, y.T, alpha=-2).clamp_min_(0)
