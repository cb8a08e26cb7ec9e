"""Scores from a classifier's logits: inception scores and class shares."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, whole

__all__ = ["class_shares", "inception_scores"]


def inception_scores(logits: Tensor, splits: int, order: Tensor | None = None) -> Tensor:
    """Return exp of the mean Kullback-Leibler divergence of each split, (splits,) float64, between 1 and C.

    For ``logits`` (N, C), p = softmax(logits): exp(mean_i sum_c p_ic (log p_ic - log mean_i p_ic)), all in float64.
    Split i holds the rows i N//splits up to (i + 1) N//splits of ``logits``, or of ``logits[order]`` when the
    permutation ``order`` (N) is given. A split's score is biased downwards, the more the fewer samples it holds, so
    scores compare only at equal N/splits. The published score is their mean, its spread their standard deviation with
    divisor ``splits``.

    Raises ValueError when the shape is not (N, C), an entry is not finite, ``splits`` is not in 1..N or ``order`` is
    not a permutation of the rows.
    Source: Salimans et al. 2016; Barratt and Sharma 2018 on its use.
    """
    rows = matrix(logits, "logits", least=1)
    n = len(rows)
    whole(splits, "splits", least=1, most=n)
    if order is not None:
        rows = rows[_permutation(order, n).to(rows.device)]
    log_shares = rows.double().log_softmax(dim=1)
    bounds = [i * n // splits for i in range(splits + 1)]
    pieces = [_score(log_shares[start:stop]) for start, stop in pairwise(bounds)]
    return torch.stack(pieces)


def class_shares(logits: Tensor) -> Tensor:
    """Return the share of samples whose largest logit is that of each class, (C,) float64, summing to 1.

    ``logits`` is (N, C); of equal largest logits the first class is taken.
    Raises ValueError when the shape is not (N, C) or an entry is not finite.
    """
    rows = matrix(logits, "logits", least=1)
    counts = torch.bincount(rows.argmax(dim=1), minlength=rows.shape[1])
    return counts.double() / len(rows)


def _permutation(order: Tensor, n: int) -> Tensor:
    rows = torch.as_tensor(order, dtype=torch.int64)
    if rows.shape != (n,) or not torch.equal(rows.sort().values, torch.arange(n, device=rows.device)):
        raise ValueError(f"order: found shape {tuple(rows.shape)}; allowed: each row number 0 to {n - 1} once")
    return rows


def _score(log_shares: Tensor) -> Tensor:
    # The logarithm of the mean share is taken without leaving logarithms: a class that underflows in every row would
    # give 0 * -inf.
    log_mean = log_shares.logsumexp(dim=0) - math.log(len(log_shares))
    divergences = (log_shares.exp() * (log_shares - log_mean)).sum(dim=1)
    return divergences.mean().exp()
