"""What the processes of a run tell each other: means of gradients, and whether to stop. No wrapper of networks.

A wrapper that averages gradients as they come is wrong where a parameter has no part in a penalty, and where a network
is passed twice before one descent. One flat sum after each phase is right for any number of passes and any order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganaudit.evidence.ranks import Ranks

__all__ = ["any_of", "mean_over"]


def mean_over(ranks: Ranks, tensors: list[Tensor]) -> list[Tensor]:
    """Return the mean over all processes of each tensor, by one sum over all of them laid end to end."""
    if ranks.size == 1 or not tensors:
        return tensors
    flat = ranks.total(torch.cat([t.reshape(-1) for t in tensors])) / ranks.size
    return [part.view_as(t) for part, t in zip(torch.split(flat, [t.numel() for t in tensors]), tensors, strict=True)]


def any_of(ranks: Ranks, told: bool) -> bool:
    """Return whether any process was told: all must stop at one step, or they would wait for each other for ever."""
    return told if ranks.size == 1 else bool(ranks.total(torch.tensor([float(told)])).item())
