"""Scores mapped so that they mean what they say, by a map that has not seen them: reported, never applied unasked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.numerics.arguments import vector, whole
from ganaudit.numerics.calibration import Calibration, calibration
from ganaudit.numerics.detection_costs import LikelihoodRatioCost, likelihood_ratio_cost

__all__ = ["Line", "Method", "Recalibrated", "platt", "recalibrated", "temperature"]

Method = Literal["temperature", "isotonic", "platt"]
_STEPS = 100  # of Newton's method: ten are the rule
_WIDEST = 1e6  # of the score's own size: a temperature further off is none


@dataclass(frozen=True, slots=True)
class Line:
    """The map slope·score + offset that makes scores log-likelihood ratios, as near as a line can."""

    slope: float
    """Above 1 the scores are too timid, below 1 too bold by that factor."""
    offset: float
    """In nats; what the slope leaves, above 0 where scores lean to generated."""
    slope_error: float
    """Standard error for fixed N and M; likewise of the offset."""
    offset_error: float


@dataclass(frozen=True, slots=True, eq=False)
class Recalibrated:
    """Scores after cross-fitted recalibration, log-likelihood ratios in nats, and what they are worth."""

    method: Method
    real: Tensor
    """(N,) float64, in the order given."""
    fake: Tensor
    """(M,) float64, in the order given."""
    temperature: float | None
    """Fitted to all samples; None for other maps."""
    line: Line | None
    """Platt scaling fitted to all samples; None for other maps."""
    calibration: Calibration
    cost: LikelihoodRatioCost


def temperature(real: Tensor, fake: Tensor) -> float | None:
    """Return the T > 0 for which score/T has the least log-loss, from scores (N,) and (M,); None if there is none.

    p = sigmoid(score/T), both sides counted alike. The log-loss is convex in 1/T; its one root of the derivative is
    found to 1e-10. Above 1 the critic is too bold, below 1 too timid, if its scores have no offset: an offset is not
    removed and moves T, upwards as a rule, whatever the slope is; see ``platt``. None where a step function beats every
    T (scores of 0 separate the sides fully), where the scores point the wrong way, or where all are 0.
    Raises ValueError when a side is not a vector of 2 or more finite scores.
    Source: Platt 1999; Guo et al. 2017, arXiv:1706.04599.
    """
    reals, fakes = vector(real, "real", least=2), vector(fake, "fake", least=2)
    size = max(float(reals.abs().max()), float(fakes.abs().max()))
    if size == 0:
        return None
    reals, fakes = reals / size, fakes / size  # between -1 and 1: no product overflows

    def slope(power: float) -> float:
        times = math.exp(power)
        of_reals, of_fakes = torch.sigmoid(-times * reals) * reals, torch.sigmoid(times * fakes) * fakes
        return float(of_fakes.mean() - of_reals.mean())

    ends = -math.log(_WIDEST), math.log(_WIDEST)
    if not slope(ends[0]) < 0 < slope(ends[1]):
        return None
    from scipy.optimize import brentq  # half a second to import, for audits that ask no discriminator

    return size / math.exp(float(brentq(slope, *ends, xtol=1e-10)))


def platt(real: Tensor, fake: Tensor) -> Line | None:
    """Return slope a and offset b for which a score + b has the least log-loss, from scores (N,) and (M,).

    p = sigmoid(a score + b), both sides counted alike: a factor and an offset, so that scores without a natural 0 are
    put right as well. Newton's method on the convex log-loss, steps halved until it falls; standard errors by the
    sandwich of curvature and scatter of each side's slopes, so that they hold for scores that no line puts right.
    None where there is no least one: all scores are equal, or some threshold separates the sides (ties allowed).
    Raises ValueError when a side is not a vector of 2 or more finite scores.
    Source: Platt 1999; White 1982 (sandwich).
    """
    reals, fakes = vector(real, "real", least=2), vector(fake, "fake", least=2)
    if float(reals.min()) >= float(fakes.max()) or float(fakes.min()) >= float(reals.max()):
        return None
    scores, n = torch.cat([reals, fakes]), len(reals)
    middle, scale = float(scores.mean()), float(scores.std())
    units = torch.stack([(scores - middle) / scale, torch.ones_like(scores)], 1)
    at, curvature, slopes = _least_loss(units, n)
    scatter = sum(len(side) * torch.cov(side.T) for side in (slopes[:n], slopes[n:]))
    inverse = torch.linalg.inv(curvature)
    # To slope and offset of raw scores.
    back = torch.tensor([[1 / scale, 0.0], [-middle / scale, 1.0]], dtype=units.dtype, device=units.device)
    slope, offset = (back @ at).tolist()
    errors = (back @ inverse @ scatter @ inverse @ back.T).diagonal().clamp(min=0).sqrt().tolist()
    return Line(slope, offset, errors[0], errors[1])


def _least_loss(units: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the least point of the log-loss, its curvature there and each row's part of the slope, (N + M, 2).

    ``units`` (N + M, 2) float64 holds the ``n`` reals first; a real counts 1/(2N), a fake 1/(2M).
    """
    signs, weights = torch.ones_like(units[:, 0]), torch.full_like(units[:, 0], 0.5 / (len(units) - n))
    signs[:n], weights[:n] = -1, 0.5 / n

    def loss(at: Tensor) -> float:
        return float(weights @ torch.nn.functional.softplus(signs * (units @ at)))

    def around(at: Tensor) -> tuple[Tensor, Tensor]:
        p = torch.sigmoid(units @ at)
        slopes = units * (weights * (p - (signs < 0).to(p.dtype)))[:, None]
        # The small number keeps the matrix regular where p rounds to 0 and 1; where the slope is 0 it changes nothing.
        return slopes, units.T @ (units * (weights * p * (1 - p))[:, None]) + 1e-12 * torch.eye(2).to(units)

    at = units.new_zeros(2)
    slopes, curvature = around(at)
    for _ in range(_STEPS):
        step, part = torch.linalg.solve(curvature, slopes.sum(0)), 1.0
        # Rounding of the loss must not halve the last steps, which are too short to show in it.
        while part > 1e-10 and loss(at - part * step) > loss(at) * (1 + 1e-12):
            part /= 2
        at = at - part * step
        small = float(slopes.sum(0).abs().max()) < 1e-12
        slopes, curvature = around(at)
        if small:
            break
    return at, curvature, slopes


def recalibrated(
    real: Tensor,
    fake: Tensor,
    rng: np.random.Generator,
    method: Method = "isotonic",
    folds: int = 5,
    bins: int = 15,
    draws: int = 200,
) -> Recalibrated | None:
    """Return cross-fitted recalibrated scores and their calibration, from scores (N,) and (M,).

    Each side is dealt evenly into ``folds`` parts with ``rng``; the map for a part is fitted to the others. isotonic:
    least squares under a rising map, between samples linear, its probabilities kept within 1/(n + 2) and
    (n + 1)/(n + 2) of n samples fitted so that no ratio is infinite; its ends still rest on few samples. temperature,
    platt: see there; None where a part has none. The maps of different folds share samples: errors of the numbers are
    slightly understated, and scores of different folds may swap ranks.
    Raises ValueError when a side holds fewer than 2 ``folds`` finite scores, ``folds`` is below 2, ``method`` is
    another word, or as ``calibration`` does.
    Source: Zadrozny and Elkan 2002 (isotonic).
    """
    whole(folds, "folds", least=2)
    reals, fakes = vector(real, "real", least=2 * folds), vector(fake, "fake", least=2 * folds)
    if method not in _MAPS:
        raise ValueError(f"method: found {method!r}; allowed: 'temperature', 'isotonic' or 'platt'")
    real_fold, fake_fold = (torch.from_numpy(_dealt(len(s), folds, rng)).to(s.device) for s in (reals, fakes))
    new_real, new_fake = torch.empty_like(reals), torch.empty_like(fakes)
    mapped = _MAPS[method]
    for fold in range(folds):
        mine, theirs = real_fold == fold, fake_fold == fold
        after = mapped(reals[~mine], fakes[~theirs], torch.cat([reals[mine], fakes[theirs]]))
        if after is None:
            return None
        new_real[mine], new_fake[theirs] = after[: int(mine.sum())], after[int(mine.sum()) :]
    return Recalibrated(
        method,
        new_real,
        new_fake,
        temperature(reals, fakes) if method == "temperature" else None,
        platt(reals, fakes) if method == "platt" else None,
        calibration(new_real, new_fake, rng, bins, draws),
        likelihood_ratio_cost(new_real, new_fake),
    )


def _dealt(n: int, folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    dealt: npt.NDArray[np.int64] = rng.permutation(np.arange(n) % folds)
    return dealt


def _scaled(reals: Tensor, fakes: Tensor, scores: Tensor) -> Tensor | None:
    found = temperature(reals, fakes)
    return None if found is None else scores / found


def _moved(reals: Tensor, fakes: Tensor, scores: Tensor) -> Tensor | None:
    found = platt(reals, fakes)
    return None if found is None else found.slope * scores + found.offset


def _isotonic(reals: Tensor, fakes: Tensor, scores: Tensor) -> Tensor | None:
    from sklearn.isotonic import IsotonicRegression  # a second to import, for audits that ask no discriminator

    n, m = len(reals), len(fakes)
    labels = np.concatenate([np.ones(n), np.zeros(m)])
    curve = IsotonicRegression(y_min=1 / (n + m + 2), y_max=(n + m + 1) / (n + m + 2), out_of_bounds="clip")
    weights = np.concatenate([np.full(n, 0.5 / n), np.full(m, 0.5 / m)])
    curve.fit(torch.cat([reals, fakes]).cpu().numpy(), labels, weights)
    return torch.logit(torch.from_numpy(curve.predict(scores.cpu().numpy())).to(scores.device))


_MAPS = {"temperature": _scaled, "isotonic": _isotonic, "platt": _moved}
