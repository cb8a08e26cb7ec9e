"""The processes that share one piece of work: an argument of every sweep, so that the formulas stay pure.

A sweep cuts its work into numbered parts, does those that ``World.mine`` names, and sums what all have found. The parts
do not depend on how many processes there are, so the result differs by the rounding of one float64 sum at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

__all__ = ["ALONE", "World"]


class World(Protocol):
    """Processes that run the same code on the same data."""

    rank: int
    """This process, 0 to ``size`` - 1."""
    size: int
    """How many processes there are."""

    def mine(self, parts: int) -> Iterator[int]:
        """Yield the numbers of the parts, of 0 to ``parts`` - 1, that this process does."""

    def total(self, values: Tensor) -> Tensor:
        """Return the element-wise sum over all processes; every process must call it, in the same order."""

    def least(self, values: Tensor) -> Tensor:
        """Return the element-wise minimum over all processes; every process must call it, in the same order."""


class _Alone:
    rank = 0
    size = 1

    def mine(self, parts: int) -> Iterator[int]:
        return iter(range(parts))

    def total(self, values: Tensor) -> Tensor:
        return values

    def least(self, values: Tensor) -> Tensor:
        return values


ALONE: World = _Alone()
"""One process that does everything itself."""
