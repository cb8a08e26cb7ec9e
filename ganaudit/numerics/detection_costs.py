"""What wrong verdicts cost, for scores read as log-likelihood ratios of real against generated.

The sigmoid critic of a GAN that saw as many reals as fakes has such scores, log p(x | real)/p(x | fake) in nats. The
minima say what the ranking is worth; what lies above them is the price of scores that do not mean what they say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector
from ganaudit.numerics.ranks import counts_below, pooled

__all__ = ["DetectionCost", "LikelihoodRatioCost", "bayes_threshold", "detection_cost", "likelihood_ratio_cost"]


@dataclass(frozen=True, slots=True)
class DetectionCost:
    """The expected cost of verdicts, as a share of that of the better verdict without a detector."""

    minimum: float
    """At the best threshold for these samples (minDCF), 0 to 1; biased downwards, as that threshold is chosen here."""
    best_threshold: float
    """The lowest threshold that reaches it; infinite where calling everything generated is cheapest."""
    actual: float
    """At ``bayes_threshold`` (actDCF); above 1 the detector is worse than none."""
    bayes_threshold: float
    """The threshold that is best when scores are log-likelihood ratios."""


@dataclass(frozen=True, slots=True)
class LikelihoodRatioCost:
    """The cost of scores as log-likelihood ratios over all priors and costs, in bits."""

    value: float
    """Cllr: 0 is certain and right, 1 is no information; above 1 the scores mislead."""
    minimum: float
    """Cllr after the best rising map of the scores for these samples, 0 to 1; biased downwards, as that is fitted."""

    @property
    def calibration_loss(self) -> float:
        """``value - minimum``, 0 or more up to rounding: what a rising map of the scores would save."""
        return self.value - self.minimum


def bayes_threshold(prior_fake: float = 0.05, cost_real: float = 1.0, cost_fake: float = 10.0) -> float:
    """Return the log-likelihood ratio below which calling a sample generated is cheaper, in nats.

    log(cost_fake π/(cost_real (1 - π))) with π = ``prior_fake``, the share of generated samples where the detector is
    used; ``cost_real`` of a real called generated, ``cost_fake`` of a fake let through. The defaults are ASVspoof 5's.
    Raises ValueError when ``prior_fake`` is not in (0, 1) or a cost is not above 0 and finite.
    """
    real_weight, fake_weight = _weights(prior_fake, cost_real, cost_fake)
    return math.log(fake_weight / real_weight)


def detection_cost(
    real: Tensor, fake: Tensor, prior_fake: float = 0.05, cost_real: float = 1.0, cost_fake: float = 10.0
) -> DetectionCost:
    """Return the normalised detection cost at the best and at the Bayes threshold, from scores (N,) and (M,).

    C(t) = (cost_real (1 - π) FPR(t) + cost_fake π FNR(t))/min(cost_real (1 - π), cost_fake π), arguments as of
    ``bayes_threshold``. The minimum is over every distinct score and infinity. Does not change with N/M.
    Raises ValueError as ``bayes_threshold`` does, and when a side is not a vector of 1 or more finite scores.
    Source: Delgado et al. 2024 (ASVspoof 5 evaluation plan), with spoofed = generated.
    """
    reals, fakes = vector(real, "real", least=1), vector(fake, "fake", least=1)
    real_weight, fake_weight = _weights(prior_fake, cost_real, cost_fake)
    least = min(real_weight, fake_weight)
    thresholds, false_positives, true_positives = counts_below(reals, fakes)
    misses = 1 - true_positives.double() / len(fakes)
    costs = (real_weight * false_positives.double() / len(reals) + fake_weight * misses) / least
    best, at = int(costs.argmin()), math.log(fake_weight / real_weight)
    fpr, fnr = int((reals < at).sum()) / len(reals), int((fakes >= at).sum()) / len(fakes)
    actual = (real_weight * fpr + fake_weight * fnr) / least
    return DetectionCost(float(costs[best]), float(thresholds[best]), actual, at)


def likelihood_ratio_cost(real: Tensor, fake: Tensor) -> LikelihoodRatioCost:
    """Return Cllr and its minimum in bits, from scores (N,) and (M,) read as log-likelihood ratios in nats.

    Cllr = (mean over reals of log2(1 + e^-s) + mean over fakes of log2(1 + e^s))/2; for N = M that is the log-loss of
    sigmoid(s) over ln 2. The minimum takes for s in each block of ``pooled`` the log of its share of the reals over
    its share of the fakes. Does not change with N/M.
    Raises ValueError when a side is not a vector of 1 or more finite scores.
    Source: Brümmer and du Preez 2006.
    """
    reals, fakes = vector(real, "real", least=1), vector(fake, "fake", least=1)
    soft = torch.nn.functional.softplus
    value = float(soft(-reals).mean() + soft(fakes).mean()) / (2 * math.log(2))
    blocks = pooled(reals, fakes)
    of_reals = blocks.reals.double() / len(reals)
    of_fakes = blocks.fakes.double() / len(fakes)
    # log2(1 + e^-s) = log2(1 + f/r); a block without reals or without fakes is sure, and costs nothing.
    costs = torch.special.xlog1py(of_reals, of_fakes / of_reals) + torch.special.xlog1py(of_fakes, of_reals / of_fakes)
    sure = (blocks.reals == 0) | (blocks.fakes == 0)
    minimum = float(torch.where(sure, 0.0, costs).sum()) / (2 * math.log(2))
    return LikelihoodRatioCost(value, minimum)


def _weights(prior_fake: float, cost_real: float, cost_fake: float) -> tuple[float, float]:
    prior = proportion(prior_fake, "prior_fake")
    for cost, name in ((cost_real, "cost_real"), (cost_fake, "cost_fake")):
        if not 0 < cost < math.inf:
            raise ValueError(f"{name}: found {cost}; allowed: above 0, finite")
    return cost_real * (1 - prior), cost_fake * prior
