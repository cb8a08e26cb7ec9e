"""Whether generated samples lie nearer to the reals of the training than unseen reals do."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import bounded, vector, whole
from ganaudit.numerics.detection import auc, calibration_size_needed, conformal_threshold
from ganaudit.numerics.distances import DEFAULT_MEMORY
from ganaudit.numerics.intervals import Bounds, clopper_pearson
from ganaudit.numerics.nearest import nearest
from ganaudit.numerics.sweep import distinct
from ganaudit.numerics.world import ALONE, World

__all__ = [
    "Caught",
    "CopyingTest",
    "Toward",
    "cell_centres",
    "copy_threshold",
    "copying_test",
    "members_caught",
    "toward",
]

_FIT_ROWS = 5000  # rows that cells are fitted on: more move the centres by next to nothing
_STARTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Toward:
    """Where each of n samples lies to the train reals."""

    distance: Tensor
    """To the nearest train real, (n,) float64; exactly 0 for a copy."""
    nearest: Tensor
    """Which train real that is, (n,) int64."""
    ratio: Tensor
    """That distance over the mean distance to the next nearest ones, (n,) float64, 0 to 1; 0 for a copy."""
    is_authentic: Tensor
    """Whether that train real has another train real strictly nearer than the sample, (n,) bool."""


@dataclass(frozen=True, slots=True)
class CopyingTest:
    """Ranks of distances to train reals, generated against unseen reals, averaged over cells."""

    value: float
    """C_T: far below 0 where generated samples lie nearer to train reals than unseen reals do; scales with sqrt(n)."""
    bounds: Bounds
    """Of its expectation at these n."""
    cells: tuple[tuple[int, int, int, float], ...]
    """Number of a cell, its generated samples, its unseen reals and its rank score Z, of the cells that count."""
    left_out: int
    """Generated samples in cells that do not count."""


@dataclass(frozen=True, slots=True)
class Caught:
    """The share of members whose score is above all but a share of those of non-members."""

    value: float
    bounds: Bounds
    """Clopper-Pearson at 95 %, of the drawing of members at this threshold."""


def toward(
    x: Tensor, train: Tensor, spacing: Tensor, k: int, memory: int = DEFAULT_MEMORY, world: World = ALONE
) -> Toward:
    """Return where each of ``x`` (n, D) lies to ``train`` (N, D), given ``spacing`` (N,).

    ``spacing`` is the distance of each train real to its nearest other (``neighbours.radii`` of 1). The ratio is
    d_1/mean(d_2 .. d_k) of the distances to the k nearest distinct train reals: near 1 where a sample lies among
    several, 0 at a copy, whatever the density there. With one distinct train real alone it is 1, at a copy 0.
    Authentic is d_1 > spacing of the nearest; the share of it has no fixed null (0.38 in 2 and 0.78 in 32 dimensions
    for normal laws).

    Raises ValueError as ``nearest`` does, when ``k`` is below 2 or ``spacing`` is not one number for each train real.
    Source: Alaa et al. 2022, arXiv:2102.08921 (authenticity).
    """
    if spacing.shape != (len(train),):
        raise ValueError(f"spacing: found shape {tuple(spacing.shape)}; allowed: ({len(train)},)")
    found = nearest(x, train, whole(k, "k", least=2), memory, world)
    first = found.distances[:, 0]
    others = found.distances[:, 1:]
    ratio = first / others.mean(dim=1) if others.shape[1] else (first > 0).double()
    numbers = found.numbers[:, 0]
    return Toward(first, numbers, ratio, spacing[numbers] < first)


def copy_threshold(held: Tensor, share: float) -> float | None:
    """Return the ratio at or below which a sample counts as a copy, or None when ``held`` (m,) are too few.

    The j-th smallest of the ratios of unseen reals, j = floor(share (m + 1)): an unseen real has chance j/(m + 1), at
    most ``share`` where no ratios tie, to be at or below it. 0 where as many unseen reals are copies themselves.
    Raises ValueError when ``held`` is not a vector of finite numbers or ``share`` is not in (0, 1).
    """
    return conformal_threshold(held, share)


def cell_centres(train: Tensor, cells: int, rng: np.random.Generator) -> Tensor:
    """Return the centres (C, D) float64 of at most ``cells`` cells of ``train`` (N, D), by k-means.

    Fitted on 5000 rows where there are more; as many cells as there are distinct rows where they are fewer.
    Raises ValueError when the shape is not (N, D), an entry is not finite or ``cells`` is below 1.
    """
    rows = bounded(train, "train", least=1)
    if len(rows) > _FIT_ROWS:
        rows = rows[torch.from_numpy(np.sort(rng.permutation(len(rows))[:_FIT_ROWS])).to(rows.device)]
    x = rows.double().cpu()
    count = min(whole(cells, "cells", least=1), len(distinct(x).copies))
    if count == 1:
        return x.mean(dim=0, keepdim=True)
    from sklearn.cluster import KMeans  # a second to import, for audits that ask no memorisation

    fitted = KMeans(count, n_init=_STARTS, random_state=int(rng.integers(2**31))).fit(x.numpy())
    return torch.from_numpy(np.ascontiguousarray(fitted.cluster_centers_, dtype=np.float64))


def copying_test(
    fake: Tensor, held: Tensor, fake_cells: Tensor, held_cells: Tensor, least: int = 20, level: float = 0.95
) -> CopyingTest:
    """Return C_T from the distances to the nearest train real of generated (n,) and unseen (m,) samples.

    In a cell of n' generated and m' unseen samples Z = (U - n'm'/2 + 1/2)/sqrt(n'm'(n' + m' + 1)/12), U the pairs in
    which the generated sample lies farther (ties half). C_T is the mean of Z weighted by m', over the cells with at
    least ``least`` samples of both; where there is none, all samples are one cell. For one law Z is near N(0, 1) and
    C_T, with K cells of equal mass, near N(0, 1/K). The least value, where all generated samples are copies in one
    cell, is -(nm/2 - 1/2)/sqrt(nm(n + m + 1)/12). The interval joins DeLong's of each cell's U (MOVER); it covers the
    drawing of both sets, for given train reals and cells.

    Raises ValueError when a side has fewer than 2 distances, one is not finite, or the cells do not fit.
    Source: Meehan, Chaudhuri and Dasgupta 2020, arXiv:2004.05675; Zou and Donner 2008 (joining intervals).
    """
    sides = vector(fake, "fake", least=2), vector(held, "held", least=2)
    if fake_cells.shape != fake.shape or held_cells.shape != held.shape:
        raise ValueError(
            f"cells: found {tuple(fake_cells.shape)} and {tuple(held_cells.shape)}; allowed: one for each distance"
        )
    whole(least, "least", least=2)
    count = 1 + int(max(fake_cells.max(), held_cells.max()))
    sizes = [torch.bincount(cells, minlength=count) for cells in (fake_cells, held_cells)]
    kept = torch.nonzero((sizes[0] >= least) & (sizes[1] >= least))[:, 0].tolist()
    parts = [(c, sides[0][fake_cells == c], sides[1][held_cells == c]) for c in kept] or [(0, *sides)]
    total = sum(len(held) for _, _, held in parts)
    value, below, above, rows = 0.0, 0.0, 0.0, []
    for cell, fakes, helds in parts:
        area = auc(fakes, helds)
        ends = area.interval(level)
        score, low, high = (_rank_score(share, len(fakes), len(helds)) for share in (area.value, ends.low, ends.high))
        weight = len(helds) / total
        value += weight * score
        below += (weight * (score - low)) ** 2
        above += (weight * (high - score)) ** 2
        rows.append((cell, len(fakes), len(helds), score))
    left_out = len(fake) - sum(len(fakes) for _, fakes, _ in parts)
    return CopyingTest(value, Bounds(value - math.sqrt(below), value + math.sqrt(above)), tuple(rows), left_out)


def members_caught(members: Tensor, others: Tensor, share: float) -> Caught | None:
    """Return the share of ``members`` (N,) above the score that at most ``share`` of non-members reach.

    The threshold is the split-conformal one of ``others`` (M,); None below 10/share of them, where it would rest on
    fewer than ten scores. A higher score means member; one equal to the threshold does not count.
    Raises ValueError when a side is no vector of finite scores or ``share`` is not in (0, 1).
    Source: Carlini et al. 2022, arXiv:2112.03570 (the true positive rate at a low false positive rate).
    """
    scores, rest = vector(members, "members", least=1), vector(others, "others", least=1)
    if len(rest) < 10 * (calibration_size_needed(share) + 1):
        return None
    threshold = conformal_threshold(-rest, share)
    assert threshold is not None  # ten times as many as it needs
    count = int((-scores < threshold).sum())
    return Caught(count / len(scores), clopper_pearson(count, len(scores), 0.95))


def _rank_score(share: float, n: int, m: int) -> float:
    """Return Z of the share of pairs in which the generated sample lies farther."""
    return (n * m * (share - 0.5) + 0.5) / math.sqrt(n * m * (n + m + 1) / 12)
