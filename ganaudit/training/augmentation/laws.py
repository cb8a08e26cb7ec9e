"""What uniform draws between 0 and 1 become under other laws; a draw that was rounded to an end is kept inside."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["standard_normal", "whole_number"]

_LEAST = 2.0**-25


def whole_number(u: Tensor, count: int) -> Tensor:
    """Return uniform draws of 0..count - 1, int64, from those of 0..1; a ``u`` that was rounded to 1 is kept inside."""
    return (u * count).long().clamp_max(count - 1)


def standard_normal(u: Tensor) -> Tensor:
    """Return standard normal draws from uniform ones of 0..1, by the quantile function; within -+5.5."""
    n: Tensor = torch.special.ndtri(u.clamp(_LEAST, 1.0 - 2.0**-24))
    return n
