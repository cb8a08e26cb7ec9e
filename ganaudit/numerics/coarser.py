"""Samples with less in them: at half the size, and on the few levels that other samples keep to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["halved", "levels_of", "to_levels"]


def halved(x: Tensor) -> Tensor:
    """Return the means of 2 x 2 places of ``x`` (B, C, H, W), or of 2 of (B, C, T), float32; sides round up.

    What is left at a last odd place is the mean of those there are. Detail finer than two places is gone, whatever it
    was, and a mean of many places keeps its value.
    Raises ValueError for another number of axes.
    """
    if x.ndim not in (3, 4):
        raise ValueError(f"x: found shape {tuple(x.shape)}; allowed: (B, C, H, W) or (B, C, T)")
    values = x.to(torch.float32)
    if x.ndim == 4:
        return functional.avg_pool2d(values, 2, ceil_mode=True, count_include_pad=False)
    # Windows cut short at the end divide by what is in them in two dimensions, but not in one.
    return functional.avg_pool2d(values[:, :, None], (1, 2), ceil_mode=True, count_include_pad=False)[:, :, 0]


def levels_of(x: Tensor, most: int) -> Tensor | None:
    """Return the different values of ``x``, rising, or None where there are more than ``most`` or only one."""
    found = torch.unique(x)
    return found if 1 < len(found) <= most else None


def to_levels(x: Tensor, levels: Tensor) -> Tensor:
    """Return the nearest of ``levels`` (L,), rising, to every entry of ``x``; of two as near the lower.

    Raises ValueError when ``levels`` is empty or not rising.
    """
    if levels.ndim != 1 or not len(levels) or not bool((levels[1:] > levels[:-1]).all()):
        raise ValueError(f"levels: found {levels.tolist()[:5]}; allowed: one or more rising numbers")
    middles = (levels[1:].double() + levels[:-1].double()) / 2
    return levels[torch.searchsorted(middles, x.double())]
