"""Minimal costs of detection judged on samples that they were not fitted to: what a fitted minimum hides."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import vector
from ganaudit.numerics.detection_costs import detection_cost
from ganaudit.numerics.ranks import pooled

__all__ = ["crossed_detection_cost", "crossed_likelihood_ratio_cost"]

_FOLDS = 10


def crossed_detection_cost(
    real: Tensor,
    fake: Tensor,
    rng: np.random.Generator,
    prior_fake: float = 0.05,
    cost_real: float = 1.0,
    cost_fake: float = 10.0,
) -> float:
    """Return the detection cost at thresholds that are best for nine tenths of the scores, on the tenth left out.

    Arguments and unit as of ``detection_cost``; scores (N,) and (M,). On average above the cost at the best threshold
    of the laws, as the minimum on the samples themselves is below it. Raises ValueError as that does, and with fewer
    than 2 scores of a side.
    """
    weights = cost_real * (1 - prior_fake), cost_fake * prior_fake
    false_positives = misses = 0
    reals, fakes = vector(real, "real", least=2), vector(fake, "fake", least=2)
    for (kept, left), (known, unseen) in zip(_folds(reals, rng), _folds(fakes, rng), strict=True):
        threshold = detection_cost(kept, known, prior_fake, cost_real, cost_fake).best_threshold
        false_positives += int((left < threshold).sum())
        misses += int((unseen >= threshold).sum())
    rates = false_positives / len(reals), misses / len(fakes)
    return (weights[0] * rates[0] + weights[1] * rates[1]) / min(weights)


def crossed_likelihood_ratio_cost(real: Tensor, fake: Tensor, rng: np.random.Generator) -> float:
    """Return Cllr in bits after a rising map fitted to nine tenths of the scores, on the tenth left out.

    Scores (N,) and (M,). The map gives each block of ``pooled`` the log of its share of the reals over its share of
    the fakes, with one real and one fake added at either end, which keeps it finite (Brümmer and du Preez 2013);
    between blocks it is that of the block below. On average above the least cost of the laws. Raises ValueError when a
    side is not a vector of 2 or more finite scores.
    """
    reals, fakes = vector(real, "real", least=2), vector(fake, "fake", least=2)
    soft, costs = torch.nn.functional.softplus, [0.0, 0.0]
    for (kept, left), (known, unseen) in zip(_folds(reals, rng), _folds(fakes, rng), strict=True):
        starts, ratios = _rising(kept, known)
        for side, scores, sign in ((0, left, -1.0), (1, unseen, 1.0)):
            at = (torch.searchsorted(starts, scores, right=True) - 1).clamp(min=0)
            costs[side] += float(soft(sign * ratios[at]).sum())
    return (costs[0] / len(reals) + costs[1] / len(fakes)) / (2 * math.log(2))


def _rising(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return where each block starts, rising, and its log-likelihood ratio."""
    every = torch.cat([real, fake])
    ends = torch.stack([every.min() - 1, every.max() + 1])
    blocks = pooled(torch.cat([ends, real]), torch.cat([ends, fake]))
    ratios = (blocks.reals.double() / (len(real) + 2)).log() - (blocks.fakes.double() / (len(fake) + 2)).log()
    return blocks.lowest, ratios


def _folds(scores: Tensor, rng: np.random.Generator) -> list[tuple[Tensor, Tensor]]:
    """Return (scores kept, scores left out) for each fold, in an order drawn."""
    folds = min(_FOLDS, len(scores))
    place = torch.from_numpy(rng.permutation(len(scores)) % folds)
    made = [(scores[place != k], scores[place == k]) for k in range(folds)]
    return made + [(scores, scores[:0])] * (_FOLDS - folds)
