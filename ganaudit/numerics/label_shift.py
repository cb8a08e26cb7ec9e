"""How large a share of samples are in a known state, from a classifier that errs at known rates (label shift)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import proportion
from ganaudit.numerics.intervals import Bounds, clopper_pearson

__all__ = ["Share", "misfit", "resolution", "shares", "state_share"]


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The share of one state, or of several together, among samples, corrected for the errors of a classifier."""

    value: float
    """May lie outside 0..1 by chance."""
    resolution: float
    """See ``resolution``."""
    centre: float
    """The share after pseudo-counts, the middle of its intervals."""
    error: float
    """Standard error: of the unlabelled samples and of the error rates of the classifier."""
    n: int
    """Unlabelled samples."""
    weights: Tensor
    """(K,) what each answer counts for the share: a row of the inverse confusion, or a sum of them."""

    def interval(self, level: float) -> Bounds:
        """Return the interval of the share, within 0..1; ValueError for a bad ``level``.

        centre -+ z error, after pseudo-counts as in Lang and Reiczigel's interval of a prevalence; it holds the value
        cut to 0..1. It is never narrower at 0 or 1 than a classifier without errors leaves it that names none or all.
        """
        reach = float(special.ndtri((1 + proportion(level, "level")) / 2)) * self.error
        value = min(1.0, max(0.0, self.value))
        none, everything = (clopper_pearson(count, self.n, level) for count in (0, self.n))
        low = min(value, everything.low, max(0.0, self.centre - reach))
        high = max(value, none.high, min(1.0, self.centre + reach))
        return Bounds(low, high)


def shares(answers: Tensor, confusion: Tensor) -> Tensor:
    """Return the shares (K,) of K states from the mean ``answers`` (K,) of a classifier, C^-1 q, float64.

    ``confusion[k, j]`` is the mean answer k to samples in state j; its columns sum to 1, and so do the shares. For two
    states this is Rogan and Gladen's (q + specificity - 1)/(sensitivity + specificity - 1). A share may lie outside
    0..1 by chance. Raises ValueError when the shapes do not fit or the confusion has no inverse.
    Source: Rogan and Gladen 1978; Lipton et al. 2018, arXiv:1802.03916 (BBSE).
    """
    return _inverse(confusion) @ answers.double()


def resolution(confusion: Tensor, states: Sequence[int]) -> float:
    """Return how plainly a classifier tells ``states`` from all others, 0 (not at all) to 1.

    1/(max w - min w) for w the sum of their rows of C^-1: an answer changes their share by no more than the inverse of
    it. For one of two states it is Youden's J, sensitivity + specificity - 1, in size. 0 for no inverse.
    """
    inverse, problem = torch.linalg.inv_ex(confusion.double())
    if int(problem) or not bool(torch.isfinite(inverse).all()):
        return 0.0
    weights = inverse[list(states)].sum(0)
    return 1.0 / float(weights.max() - weights.min())


def state_share(answers: Tensor, known: Tensor, states: Sequence[int], level: float = 0.95) -> Share:
    """Return the share of ``states``, of K together, among samples with ``answers`` (N, K), float64.

    ``known`` (M, K, K): ``known[i, j, k]`` is the answer k to known sample i put into state j, by a classifier that was
    not fitted to it. Answers are rows that sum to 1, such as votes. The error takes both as drawn: unlabelled samples
    independent of known ones, and the states of one known sample as they go together. For it K pseudo-samples of each
    answer are added to the known ones, one each, and z^2 to the unlabelled, as Lang and Reiczigel do, so that rates of
    0 or 1 are not taken as certain.

    Raises ValueError when a shape does not fit, a side is empty or the mean confusion has no inverse.
    Source: Lipton et al. 2018, arXiv:1802.03916; Lang and Reiczigel 2014, Prev. Vet. Med. 113.
    """
    n, k = answers.shape
    if known.ndim != 3 or known.shape[1:] != (k, k) or not n or not len(known):
        raise ValueError(
            f"known: found shape {tuple(known.shape)} for answers {tuple(answers.shape)}; allowed: (M, K, K) and (N, K)"
        )
    answers, known = answers.double(), known.double()
    z = float(special.ndtri((1 + proportion(level, "level")) / 2))
    confusion = known.mean(0).T
    exact = _inverse(confusion)[list(states)].sum(0)
    # Pseudo-samples: one known one with each answer in every state, z^2 unlabelled ones with all answers alike.
    pseudo = torch.eye(k, dtype=torch.float64)
    many, more = len(known) + k, n + z * z
    inverse = _inverse((known.sum(0).T + 1) / many)
    middle = (answers.sum(0) + z * z / k) / more
    weights, near = inverse[list(states)].sum(0), inverse @ middle
    spread = (answers @ weights).square().sum() + z * z / k * weights.square().sum()
    of_answers = (spread / more - (weights @ middle).square()) / more
    told = torch.cat([(known @ weights) @ near, pseudo @ weights])
    of_known = told.var(correction=0) / many
    error = math.sqrt(max(0.0, float(of_answers)) + float(of_known))
    value = float(exact @ answers.mean(0))
    return Share(value, resolution(confusion, states), float(weights @ middle), error, n, exact)


def misfit(unlabelled: Tensor, known: Tensor, values: Tensor, above: float = -math.inf) -> tuple[float, float]:
    """Return how far scores (N,) are from mixtures of known ones, and how often chance alone takes them as far.

    The Kolmogorov distance, 0..1, of ``unlabelled`` to the scores ``known`` (M, K) of known samples in K states, mixed
    by ``values`` (K,) cut to 0..1; and the p-value of Kolmogorov's law at N M/(N + M). Of several mixtures (V, K) that
    of the largest p-value counts. Shares fitted to the same samples make it too large, so that a small one means what
    it says; shares that are off by chance make it too small, so hand over all that may be meant.
    With ``above`` only scores above it are held against each other, on both sides: a few strangers among many samples
    hardly move the law of all, but they are most of those that a classifier takes for changed. M is then at most what
    unequal weights leave of it, (sum w)^2/sum w^2. 0 and 1 where either side has none of them.
    Raises ValueError when a side is empty. Source: Smirnov 1939; Kish 1965 (weights).
    """
    if not len(unlabelled) or not len(known):
        raise ValueError(f"scores: found {len(unlabelled)} and {len(known)} samples; allowed: 1 or more")
    several = values.double().clamp(0, 1).reshape(-1, known.shape[1])
    found = [_misfit(unlabelled, known, mixed / mixed.sum(), above) for mixed in several]
    return max(found, key=lambda one: (one[1], -one[0]))


def _misfit(unlabelled: Tensor, known: Tensor, mixed: Tensor, above: float) -> tuple[float, float]:
    weights = (mixed / len(known)).expand(known.shape)[known > above]
    ours, theirs = unlabelled[unlabelled > above].double(), known[known > above].double()
    total = float(weights.sum())
    if not len(ours) or not total > 0:
        return 0.0, 1.0
    at = torch.cat([ours, theirs]).sort().values
    distance = float((_below(ours, at) - _below(theirs, at, weights / total)).abs().max())
    n, m = len(ours), min(len(known), total**2 / float(weights.square().sum()))
    return distance, float(special.kolmogorov(distance * math.sqrt(n * m / (n + m))))


def _below(scores: Tensor, at: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the share of ``scores``, or of their weights, at or below each of ``at``."""
    order = scores.double().argsort()
    each = torch.full(order.shape, 1 / len(order), dtype=torch.float64) if weights is None else weights[order]
    reached = torch.cat([torch.zeros(1, dtype=torch.float64), each.cumsum(0)])
    return reached[torch.searchsorted(scores.double()[order], at, right=True)]


def _inverse(confusion: Tensor) -> Tensor:
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"confusion: found shape {tuple(confusion.shape)}; allowed: (K, K)")
    inverse: Tensor
    inverse, problem = torch.linalg.inv_ex(confusion.double())
    if int(problem):
        raise ValueError("confusion: the answers do not tell the states apart; allowed: a matrix with an inverse")
    return inverse
