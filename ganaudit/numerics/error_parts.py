"""Errors of a statistic by group of samples, from the influence of every sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganaudit.numerics.arguments import vector, whole
from ganaudit.numerics.randomness import generator

__all__ = ["GROUPS", "SCHEME", "grouped_errors"]

GROUPS = 50
SCHEME = f"influences, {GROUPS} random groups by the number of samples"
"""What groups are equal in two audits: those of sides with equally many samples in one order."""


def grouped_errors(influences: Tensor, groups: int = GROUPS) -> list[float]:
    """Return what each group of samples adds to the error of a statistic, (G,), in the statistic's unit.

    With psi_i the influence of sample i of N, so that the statistic is the truth plus the mean of psi to first order,
    group g adds t_g = sum over i in g of (psi_i - mean psi)/N, scaled by (G/(G - 1))^(1/2): the sum of squares is
    unbiased for the variance of the mean of psi, var(psi)/N, with G - 1 degrees of freedom. G is ``groups``, or N where
    that is less. Samples are put into groups at random by N alone, whatever their order: two statistics of the same N
    samples have equal groups, and the sum of products of their errors estimates their covariance.

    Raises ValueError when ``influences`` is no vector of 2 or more finite numbers or ``groups`` is below 2.
    Source: the random group estimator, Wolter 2007, chapter 2.
    """
    psi = vector(influences, "influences", least=2).cpu()
    n = len(psi)
    count = min(whole(groups, "groups", least=2), n)
    order = torch.from_numpy(generator(n, "error parts").permutation(n))
    # Chunks of a random order whose sizes differ by 1 at most.
    group = torch.empty(n, dtype=torch.int64)
    group[order] = torch.arange(n) * count // n
    totals = torch.zeros(count, dtype=torch.float64).index_add_(0, group, psi - psi.mean())
    scaled: list[float] = (totals / n * math.sqrt(count / (count - 1))).tolist()
    return scaled
