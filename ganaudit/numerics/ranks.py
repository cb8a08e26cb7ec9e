"""Counts of scores against scores: whole numbers, so that what is decided by order is free of rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector

__all__ = ["Blocks", "counts_below", "doubled_ranks", "pooled", "written"]


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Scores pooled until the share of reals rises from block to block; all three (B,), on the CPU, rising score."""

    lowest: Tensor
    """The lowest score of each block, float64."""
    reals: Tensor
    """Reals in each block, int64."""
    fakes: Tensor
    """Fakes in each block, int64."""


def doubled_ranks(scores: Tensor, others: Tensor) -> Tensor:
    """Return twice the number of ``others`` (M,) below each of ``scores`` (N,) plus once the number equal, int64."""
    ordered, scores = others.sort().values, scores.contiguous()  # a column of a matrix would be copied with a warning
    return torch.searchsorted(ordered, scores) + torch.searchsorted(ordered, scores, right=True)


def counts_below(reals: Tensor, fakes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return every distinct score and infinity as thresholds, with the reals and the fakes strictly below each."""
    scores = torch.unique(torch.cat([reals, fakes]))
    thresholds = torch.cat([scores, scores.new_tensor([math.inf])])
    return (
        thresholds,
        torch.searchsorted(reals.sort().values, thresholds),
        torch.searchsorted(fakes.sort().values, thresholds),
    )


def pooled(real: Tensor, fake: Tensor) -> Blocks:
    """Return the blocks of the isotonic regression of "is real" on the score, from scores (N,) and (M,).

    Pool-adjacent-violators over the distinct scores, each weighed by its samples. The ends of the blocks are the
    vertices of the convex hull of the ROC curve, and a block's reals against its fakes, over N/M, is the likelihood
    ratio that no monotone map of the score can better on these samples.

    Raises ValueError when a side is not a vector of 1 or more finite scores.
    Source: Ayer et al. 1955; Fawcett and Niculescu-Mizil 2007.
    """
    from scipy.optimize import isotonic_regression  # half a second to import, for audits that ask no discriminator

    reals, fakes = vector(real, "real", least=1).cpu(), vector(fake, "fake", least=1).cpu()
    thresholds, below_real, below_fake = counts_below(reals, fakes)
    n_real, n_fake = below_real.diff().numpy(), below_fake.diff().numpy()
    weights = (n_real + n_fake).astype(np.float64)
    starts = isotonic_regression(n_real / weights, weights=weights).blocks[:-1]
    return Blocks(
        thresholds[:-1][torch.from_numpy(np.asarray(starts))],
        torch.from_numpy(np.add.reduceat(n_real, starts)),
        torch.from_numpy(np.add.reduceat(n_fake, starts)),
    )


def written(share: float, name: str) -> Fraction:
    """Return a share as the number that it is written as; raises ValueError unless it lies strictly in (0, 1).

    0.29 · 100 is 28.999... in binary, and its floor would lose a score.
    """
    return Fraction(repr(proportion(share, name)))
