"""Operations on signals (B, C, T); ``u`` (B, n) holds uniform draws of 0..1, the law of each is in its docstring."""

from __future__ import annotations

import torch
from torch import Tensor

from ganaudit.training.augmentation.laws import whole_number
from ganaudit.training.augmentation.moves import rolled

__all__ = ["gain", "polarity", "shift"]


def polarity(x: Tensor, u: Tensor) -> Tensor:
    """Return each signal with its sign changed with probability 1/2, all channels alike; the ear does not hear it."""
    return torch.where((u[:, 0] < 0.5).view(-1, 1, 1), -x, x)


def shift(x: Tensor, u: Tensor, share: float) -> Tensor:
    """Return each signal moved in time around the circle of its length T.

    The move is uniform over the whole numbers -r..r, r = ``share`` of T rounded half up.
    """
    reach = int(share * x.shape[2] + 0.5)
    return rolled(x, whole_number(u[:, 0], 2 * reach + 1) - reach)


def gain(x: Tensor, u: Tensor, least: float) -> Tensor:
    """Return each signal times a factor uniform in least..1, which cannot leave the range."""
    return x * (least + (1.0 - least) * u[:, 0]).to(x.dtype).view(-1, 1, 1)
