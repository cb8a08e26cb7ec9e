"""Whether one shared threshold treats groups of samples alike: by class, by attribute, by tenths of a measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector, whole
from ganaudit.numerics.detection import Auc, auc
from ganaudit.numerics.intervals import Bounds, clopper_pearson

__all__ = [
    "CovariateErrors",
    "GroupErrors",
    "Rate",
    "RateGap",
    "errors_by_covariate",
    "group_errors",
    "holm",
    "rate_gap",
]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of independent samples with its Clopper-Pearson interval."""

    value: float
    count: int
    n: int
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class GroupErrors:
    """One group at the shared threshold."""

    group: int
    fpr: Rate | None
    """Share of the group's reals called generated; None for a group without reals."""
    tpr: Rate | None
    """Share of the group's fakes called generated; None for a group without fakes."""
    auc: Auc | None
    """Of the group's reals against its fakes; None with fewer than 2 on a side."""


@dataclass(frozen=True, slots=True)
class CovariateErrors:
    """Errors in bins of a measure that hold as many reals each."""

    edges: tuple[float, ...]
    """Inner edges, rising: bin b holds the measures from edge b - 1 up to, not including, edge b."""
    bins: tuple[GroupErrors, ...]
    """In the order of the measure, all of them; group = b."""


@dataclass(frozen=True, slots=True)
class RateGap:
    """How far groups differ in a rate, and whether chance would part them as far."""

    value: float
    """Greatest rate less least, 0 to 1; biased upwards, the more so the more and the smaller the groups."""
    lowest: int
    """The group with the least rate (the first, where several share it)."""
    highest: int
    """The group with the greatest rate (the first, where several share it)."""
    p_value: float
    """Of no difference at all, by permutation: the share of dealings with a gap as large, these samples included."""
    adjusted: dict[int, float]
    """Each group against all others: Fisher's exact two-sided p-value after Holm's correction over the groups."""
    left_out: tuple[int, ...]
    """Groups with too few samples to be judged."""


def group_errors(
    real: Tensor, real_groups: Tensor, fake: Tensor, fake_groups: Tensor, threshold: float, level: float = 0.95
) -> list[GroupErrors]:
    """Return the errors of every group at one ``threshold``, from scores (N,) and (M,) and whole group numbers of each.

    A sample is called generated when its score lies strictly below ``threshold``. Groups in rising order. Intervals
    are for one group each: of many groups, some miss.
    Raises ValueError when a side is not a vector of 1 or more finite scores, its groups are not as many whole numbers
    or ``level`` is not in (0, 1).
    """
    proportion(level, "level")
    reals, fakes = vector(real, "real", least=1), vector(fake, "fake", least=1)
    of_real, of_fake = _groups(real_groups, reals, "real"), _groups(fake_groups, fakes, "fake")
    found = []
    for group in torch.unique(torch.cat([of_real.cpu(), of_fake.cpu()])).tolist():
        mine, theirs = reals[of_real == group], fakes[of_fake == group]
        area = auc(mine, theirs) if min(len(mine), len(theirs)) >= 2 else None
        found.append(GroupErrors(group, _rate(mine, threshold, level), _rate(theirs, threshold, level), area))
    return found


def errors_by_covariate(
    real: Tensor,
    real_measure: Tensor,
    fake: Tensor,
    fake_measure: Tensor,
    threshold: float,
    bins: int = 10,
    level: float = 0.95,
) -> CovariateErrors:
    """Return the errors at ``threshold`` in bins of a measure of each sample (quality, say), tenths by default.

    The edges are order statistics of ``real_measure`` (N,) at equal mass; fakes beyond the outermost reals fall into
    the first or the last bin. Equal measures share a bin, so ties make bins fewer or uneven.
    Raises ValueError when a side or its measure is not a vector of finite numbers, a measure is not as long as its
    scores, there are fewer reals than ``bins``, ``bins`` is below 2 or ``level`` is not in (0, 1).
    """
    whole(bins, "bins", least=2)
    measures = vector(real_measure, "real_measure", least=bins), vector(fake_measure, "fake_measure", least=1)
    for measure, scores, name in zip(measures, (real, fake), ("real", "fake"), strict=True):
        if len(measure) != len(scores):
            raise ValueError(f"{name}_measure: found {len(measure)} numbers; allowed: {len(scores)}, one for a score")
    cuts = torch.arange(1, bins, device=measures[0].device) * len(measures[0]) // bins
    edges = torch.unique(measures[0].sort().values[cuts])
    edges = edges[edges > measures[0].min()]  # nothing lies below the least: such an edge would open an empty bin
    of_real, of_fake = (torch.searchsorted(edges.to(one.device), one.contiguous(), right=True) for one in measures)
    return CovariateErrors(tuple(edges.tolist()), tuple(group_errors(real, of_real, fake, of_fake, threshold, level)))


def rate_gap(
    called: Tensor, groups: Tensor, rng: np.random.Generator, permutations: int = 9999, least: int = 10
) -> RateGap | None:
    """Return how far groups differ in the share of ``called`` (N,), flags of one side's samples; None below 2 groups.

    ``groups`` (N,) are whole numbers; groups with fewer than ``least`` samples are left out of everything. The
    permutation law given the group sizes is drawn exactly (multivariate hypergeometric), ``permutations`` times.
    Raises ValueError when ``called`` is not a vector of 0 and 1, ``groups`` are not as many whole numbers, or
    ``permutations`` or ``least`` is below 1.
    Source: Fisher 1935; Phipson and Smyth 2010 (the p-value); Holm 1979.
    """
    flags = vector(called, "called", least=1)
    if not bool(((flags == 0) | (flags == 1)).all()):
        raise ValueError("called: found numbers other than 0 and 1; allowed: 0, 1, False, True")
    whole(permutations, "permutations", least=1)
    whole(least, "least", least=1)
    numbers, at, sizes = torch.unique(_groups(groups, flags, "called"), return_inverse=True, return_counts=True)
    counts = torch.bincount(at, flags).round().long()
    kept = sizes >= least
    if int(kept.sum()) < 2:
        return None
    of = [int(number) for number in numbers[kept]]
    n, hits = sizes[kept].cpu().numpy(), counts[kept].cpu().numpy()
    rates = hits / n
    dealt = rng.multivariate_hypergeometric(n, int(hits.sum()), size=permutations) / n
    gaps = dealt.max(axis=1) - dealt.min(axis=1)
    gap = float(rates.max() - rates.min())
    # Dealt rates are the same divisions, so equal gaps are equal to the bit.
    p_value = (1 + int((gaps >= gap).sum())) / (1 + permutations)
    adjusted = dict(zip(of, holm(_against_rest(hits, n)), strict=True))
    left_out = tuple(int(number) for number in numbers[~kept])
    return RateGap(gap, of[int(rates.argmin())], of[int(rates.argmax())], p_value, adjusted, left_out)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected so that reporting those below a keeps P(any false report) <= a, in the order given.

    The i-th smallest of m becomes the greatest of (m + 1 - j) p_(j), j <= i, at most 1.
    Raises ValueError when one is not in 0..1.
    Source: Holm 1979.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p_values: found {list(p_values)}; allowed: each from 0 to 1")
    adjusted, reached = [0.0] * len(p_values), 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = reached
    return adjusted


def _against_rest(hits: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> list[float]:
    from scipy.stats import fisher_exact  # half a second to import, for audits that ask no discriminator

    tables = [
        np.array([[hit, size - hit], [hits.sum() - hit, (sizes.sum() - size) - (hits.sum() - hit)]])
        for hit, size in zip(hits, sizes, strict=True)
    ]
    return [min(1.0, float(fisher_exact(table).pvalue)) for table in tables]


def _rate(scores: Tensor, threshold: float, level: float) -> Rate | None:
    if len(scores) == 0:
        return None
    count = int((scores < threshold).sum())
    return Rate(count / len(scores), count, len(scores), clopper_pearson(count, len(scores), level))


def _groups(groups: Tensor, scores: Tensor, name: str) -> Tensor:
    if groups.is_floating_point() or groups.is_complex() or groups.shape != scores.shape:
        raise ValueError(
            f"groups of {name}: found {groups.dtype} of shape {tuple(groups.shape)}; "
            f"allowed: whole numbers, {len(scores)} of them"
        )
    return groups.to(scores.device).long()
