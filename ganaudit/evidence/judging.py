"""Samples put before the subject's discriminator once more: which of them, and in what blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.evidence.view import View
from ganaudit.features.engine import BLOCK, GPU_BLOCK
from ganaudit.subjects.subject import Subject

__all__ = ["called_rightly", "chosen", "judged", "portions"]

_PORTION = 128  # samples in memory at once


def chosen(view: View, side: str, n: int, most: int, rng: np.random.Generator) -> list[int]:
    """Return at most ``most`` of the ``n`` sample numbers of a set, rising.

    Of a generator the first: they are draws, and whole blocks of them cost least. Others are drawn by ``rng``, since
    files are often sorted.
    """
    if n <= most:
        return list(range(n))
    if side == "fake" and view.subject.samples is None:
        return list(range(most))
    return sorted(int(i) for i in rng.permutation(n)[:most])


def called_rightly(scores: Tensor, threshold: float, side: Literal["fake", "real"]) -> list[int]:
    """Return which samples of one side, by raw scores (N,), are called what they are, rising.

    A score strictly below the threshold is called generated.
    """
    right = scores < threshold if side == "fake" else scores >= threshold
    return [int(i) for i in torch.nonzero(right)[:, 0]]


def portions(view: View, side: str, rows: list[int]) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield the samples ``rows`` of a declared node ``values/SIDE`` and their labels, some at a time."""
    for start in range(0, len(rows), _PORTION):
        yield view.values(side, rows[start : start + _PORTION])


def judged(subject: Subject, x: Tensor, labels: Tensor | None) -> Tensor:
    """Return the raw scores of ``x``, float64 (B,), in blocks of the size that evidence is made in.

    A program may take one size of batch only, and sums of another size round differently. Raises SubjectError as
    ``Subject.discriminate`` does.
    """
    block = subject.block or (BLOCK if subject.device == "cpu" else GPU_BLOCK)
    scores = []
    for start in range(0, len(x), block):
        rows = torch.arange(start, start + block).clamp(max=len(x) - 1)
        scores.append(subject.discriminate(x[rows], None if labels is None else labels[rows]))
    return torch.cat(scores)[: len(x)]
