"""What can be read off the samples of a built-in set, real or generated: attributes whose law is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Attribute", "Oracle"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing that a sample shows."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Oracle:
    """Reads attributes off samples by a written rule, without a trained classifier; a field of a ``Reference``."""

    name: str
    attributes: tuple[Attribute, ...]
    """Where there are several, the last one combines the others: the finest modes that are told apart."""
    read: Callable[[npt.NDArray[Any]], npt.NDArray[np.int64]]
    """Takes images uint8 (N, H, W, C), or waves (N, 1, T) in -1..1, and returns places in the values of each attribute,
    (N, attributes); -1 where it cannot tell."""
