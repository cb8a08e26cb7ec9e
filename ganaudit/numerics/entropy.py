"""Scores from a classifier's logits: inception scores, class entropy and class shares, with what sampling does to them.

Legend: p_i = softmax(logits_i) is the class law of sample i, C classes; pbar = mean_i p_i; H(p) = -sum_c p_c log p_c
with 0 log 0 = 0, in nats. log(inception score) = H(pbar) - mean_i H(p_i), the information that a sample's number
holds about its class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, whole
from ganaudit.numerics.intervals import Bounds, normal, student

__all__ = [
    "STUDENT_FROM",
    "ClassEntropies",
    "EntropyEstimate",
    "InceptionEstimate",
    "class_entropies",
    "class_shares",
    "inception_score",
    "inception_scores",
]

STUDENT_FROM = 5
"""The fewest splits whose spread gives the standard error of their mean; below it is the jackknife's."""
_BLOCK = 512  # rows whose laws stay in the processor's cache; larger ones take up to twice the time


@dataclass(frozen=True, slots=True)
class EntropyEstimate:
    """An entropy, or a difference of entropies, in nats."""

    value: float
    """With the bias that falls as 1/n and as 1/n^2 removed; by chance beyond the range of possible values."""
    standard_error: float
    """Of ``value``; what the correction of second order moved is in it."""
    second_order: float
    """How far the correction of order 1/n^2 moved ``value``: where that is much, samples are few for their classes."""
    plug_in: float
    """By the formula on the sample as it is, biased downwards."""
    plug_in_error: float
    """The standard error of ``plug_in`` about its own expectation."""

    def within(self, most: float, level: float) -> tuple[float, Bounds]:
        """Return the value, kept within 0 and ``most``, and its normal interval at a confidence in (0, 1), likewise.

        The interval is that of the value so kept: when all classes are found equally often, ``value`` lies above the
        greatest possible entropy by all of the correction, and an interval around it would end below no possible one.
        """
        value = min(max(self.value, 0.0), most)
        bounds = normal(value, self.standard_error, level)
        return value, Bounds(max(bounds.low, 0.0), min(bounds.high, most))


@dataclass(frozen=True, slots=True)
class ClassEntropies:
    """How evenly a sample spreads over classes, and how much of that each sample decides for itself."""

    marginal: EntropyEstimate
    """H(pbar): log C when all classes are equally frequent, 0 when one class is all."""
    information: EntropyEstimate
    """H(pbar) - mean H(p_i), the logarithm of the inception score without splits."""


@dataclass(frozen=True, slots=True, eq=False)
class InceptionEstimate:
    """The published inception score: the mean of the scores of the splits."""

    scores: Tensor
    """(S,) float64, between 1 and C."""
    standard_error: float
    """Of ``value`` about its expectation at this n and these splits."""

    @property
    def value(self) -> float:
        """The mean over splits."""
        return float(self.scores.mean())

    @property
    def spread(self) -> float:
        """The standard deviation over splits, divisor S: what peers print after the score. No standard error."""
        return float(self.scores.std(correction=0))

    @property
    def by_splits(self) -> bool:
        """Whether the standard error is that of a mean of independent splits, 5 or more; else that of a jackknife."""
        return len(self.scores) >= STUDENT_FROM

    def interval(self, level: float) -> Bounds:
        """Return the interval of the expected score at this n and these splits, at a confidence in (0, 1).

        Student's t over 5 or more splits, which randomly ordered samples make independent and equal in law; else
        normal for the logarithm, by the jackknife. The bias is in the value and in what the interval covers alike.
        """
        if self.by_splits:
            return student(self.scores, level)
        bounds = normal(math.log(self.value), self.standard_error / self.value, level)
        return Bounds(math.exp(bounds.low), math.exp(bounds.high))


def inception_scores(logits: Tensor, splits: int, order: Tensor | None = None, block: int = _BLOCK) -> Tensor:
    """Return exp of the mean Kullback-Leibler divergence of each split, (splits,) float64, between 1 and C.

    For ``logits`` (N, C): exp(H(pbar) - mean_i H(p_i)) = exp(mean_i sum_c p_ic (log p_ic - log pbar_c)), all in
    float64. Split i holds the rows i N//splits up to (i + 1) N//splits of ``logits``, or of ``logits[order]`` when the
    permutation ``order`` (N) is given. A split's score is biased downwards, the more the fewer samples it holds, so
    scores compare only at equal N/splits. The published score is their mean, its spread their standard deviation with
    divisor ``splits``. Memory holds a few (block, C) matrices beside the logits; ``block`` changes nothing but
    rounding.

    Raises ValueError when the shape is not (N, C), an entry is not finite, ``splits`` is not in 1..N, ``order`` is
    not a permutation of the rows or ``block`` is below 1.
    Source: Salimans et al. 2016; Barratt and Sharma 2018 on its use.
    """
    pieces = [_sums(logits, rows, block) for rows in _splits(logits, splits, order)]
    # The divergence is not below 0, its rounding may be.
    return torch.stack([(piece.entropy() - piece.entropies.mean()).clamp_min(0).exp() for piece in pieces])


def inception_score(logits: Tensor, splits: int, order: Tensor | None = None, block: int = _BLOCK) -> InceptionEstimate:
    """Return the mean of ``inception_scores`` with its standard error.

    Of 5 splits or more that of a mean, sd/sqrt(S) with divisor S - 1: splits of randomly ordered samples are
    independent and equal in law. Of fewer, that of the delete-one jackknife within every split. A bootstrap over
    samples would cost hundreds of scores, and its resamples repeat rows: they are less even than the sample, so their
    scores lie lower by about the bias.
    Raises ValueError as ``inception_scores`` does, and for fewer than 5 splits one of which holds below 3 samples.
    """
    scores = inception_scores(logits, splits, order, block)
    if splits >= STUDENT_FROM:
        return InceptionEstimate(scores, float(scores.std(correction=1)) / math.sqrt(splits))
    parts = list(_splits(logits, splits, order))
    whole(min(len(rows) for rows in parts), "samples of a split", least=3)
    errors = [_estimates(logits, rows, block).information.plug_in_error for rows in parts]
    # The error of a score is that of its logarithm times the score; splits share no sample.
    squares = [(float(score) * error) ** 2 for score, error in zip(scores, errors, strict=True)]
    return InceptionEstimate(scores, math.sqrt(sum(squares)) / splits)


def class_entropies(logits: Tensor, block: int = _BLOCK) -> ClassEntropies:
    """Return H(pbar) and H(pbar) - mean H(p_i) of ``logits`` (N, C), N >= 3, in nats, with their bias removed.

    To first order E H(pbar) = H - sum_c Var(p_c)/pbar_c / (2 n): for certain classes that is the term of Miller and
    Madow, (C - 1)/(2 n). It is added with the sample variance (divisor N - 1); the jackknife then removes what is left
    in order 1/n^2, t - (n - 1)^2/(2 n - 1) (mean_i t_-i - t) for t_-i the value without sample i. The variance is that
    of the jackknife, (n - 1)/n sum_i (t_-i - mean)^2, and never below 2 b^2/C for a first-order bias b: equally
    frequent classes leave only terms of second order, which the jackknife does not see when all counts are equal. The
    square of what the second order moved is added to it, for where samples are few for their classes (below about two
    for each class that is reached) the value still lies too low.

    Memory holds a few (block, C) matrices in float64 beside the logits; ``block`` changes nothing but rounding.
    Raises ValueError when the shape is not (N, C), N is below 3, an entry is not finite or ``block`` is below 1.
    Source: Miller 1955; Quenouille 1956; Schucany, Gray and Owen 1971.
    """
    return _estimates(_shaped(logits, least=3), torch.arange(len(logits)), block)


def class_shares(logits: Tensor) -> Tensor:
    """Return the share of samples whose largest logit is that of each class, (C,) float64, summing to 1.

    ``logits`` is (N, C); of equal largest logits the first class is taken.
    Raises ValueError when the shape is not (N, C) or an entry is not finite.
    """
    rows = matrix(logits, "logits", least=1)
    counts = torch.bincount(rows.argmax(dim=1), minlength=rows.shape[1])
    return counts.double() / len(rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """What the entropies of a set of samples rest on."""

    mass: Tensor
    """sum_i p_i, (C,)."""
    squares: Tensor
    """sum_i p_i^2, (C,)."""
    entropies: Tensor
    """H(p_i), (N,)."""

    def entropy(self) -> Tensor:
        return _entropy(self.mass / len(self.entropies))


def _sums(logits: Tensor, rows: Tensor, block: int) -> _Sums:
    mass = torch.zeros(logits.shape[1], dtype=torch.float64, device=logits.device)
    squares = torch.zeros_like(mass)
    entropies = []
    for laws in _laws(logits, rows, block):
        mass += laws.sum(dim=0)
        squares += laws.square().sum(dim=0)
        entropies.append(_entropy(laws))
    return _Sums(mass, squares, torch.cat(entropies))


def _laws(logits: Tensor, rows: Tensor, block: int) -> Iterator[Tensor]:
    """Yield the class laws of some rows, at most ``block`` at once, so that no copy of all logits is ever made."""
    for part in torch.split(rows, whole(block, "block", least=1)):
        yield matrix(logits[part.to(logits.device)], "logits", least=1).double().softmax(dim=1)


def _entropy(laws: Tensor) -> Tensor:
    # xlogy is 0 at 0: a class that underflows in every row adds nothing.
    return -torch.xlogy(laws, laws).sum(dim=-1)


def _estimates(logits: Tensor, rows: Tensor, block: int) -> ClassEntropies:
    n, sums = len(rows), _sums(logits, rows, block)
    entropy, bias = _marginal(sums.mass, sums.squares, n)
    left_entropies, left_biases = [], []
    for laws in _laws(logits, rows, block):
        # What is left of a class that only this sample reached is rounding, of either sign.
        mass, squares = (sums.mass - laws).clamp_min(0), (sums.squares - laws.square()).clamp_min(0)
        left, left_bias = _marginal(mass, squares, n - 1)
        left_entropies.append(left)
        left_biases.append(left_bias)
    left, left_bias = torch.cat(left_entropies), torch.cat(left_biases)
    within = sums.entropies.mean()
    left_within = (sums.entropies.sum() - sums.entropies) / (n - 1)
    floor = math.sqrt(2 / logits.shape[1]) * float(bias)
    return ClassEntropies(
        marginal=_jackknifed(entropy, bias, left, left_bias, floor),
        information=_jackknifed(entropy - within, bias, left - left_within, left_bias, floor),
    )


def _marginal(mass: Tensor, squares: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return H(pbar) and the first-order size of its bias, sum_c Var(p_c)/pbar_c / (2 n), over the last dimension."""
    mean = mass / n
    # p <= 1 makes the sum of squares at most that of p; rounding in classes that no one reaches may not, and a class
    # without any mass adds nothing.
    ratios = torch.minimum(squares, mass) / mass.clamp_min(torch.finfo(mass.dtype).tiny) - mean
    return _entropy(mean), ratios.clamp_min_(0).sum(dim=-1) / (2 * (n - 1))


def _jackknifed(plug_in: Tensor, bias: Tensor, left: Tensor, left_bias: Tensor, floor: float) -> EntropyEstimate:
    n = len(left)
    first, left_first = plug_in + bias, left + left_bias
    moved = float(left_first.mean() - first) * (n - 1) ** 2 / (2 * n - 1)
    error = max(_jackknife_error(left_first), floor)
    return EntropyEstimate(
        value=float(first) - moved,
        standard_error=math.hypot(error, moved),
        second_order=-moved,
        plug_in=float(plug_in),
        plug_in_error=_jackknife_error(left),
    )


def _jackknife_error(left: Tensor) -> float:
    n = len(left)
    return math.sqrt(float((left - left.mean()).square().sum()) * (n - 1) / n)


def _splits(logits: Tensor, splits: int, order: Tensor | None) -> Iterator[Tensor]:
    """Return the row numbers of every split."""
    n = len(_shaped(logits, least=1))
    whole(splits, "splits", least=1, most=n)
    rows = torch.arange(n) if order is None else _permutation(order, n)
    return (rows[start:stop] for start, stop in pairwise(i * n // splits for i in range(splits + 1)))


def _shaped(logits: Tensor, least: int) -> Tensor:
    """Return the logits when shape and number of rows will do; their entries are checked block by block."""
    matrix(logits[:least], "logits", least)
    return logits


def _permutation(order: Tensor, n: int) -> Tensor:
    rows = torch.as_tensor(order, dtype=torch.int64).cpu()
    if rows.shape != (n,) or not torch.equal(rows.sort().values, torch.arange(n)):
        raise ValueError(f"order: found shape {tuple(rows.shape)}; allowed: each row number 0 to {n - 1} once")
    return rows
