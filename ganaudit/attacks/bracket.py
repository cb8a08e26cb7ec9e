"""The place where a margin changes its sign on a line, for many lines at once."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Bracket"]

_PULL = 0.01
_SLACK = 4


class Bracket:
    """Where between 0 and 1 a margin crosses, closed in on to 2^-rounds of the line.

    Interpolate, truncate, project (Oliveira & Takahashi 2020): the next place is the zero of the chord, moved towards
    the middle by 0.01·width^2, at least by half the width aimed at, and never so far from the middle that bisection
    would have been faster by more than 4 rounds. An end that stays twice running counts half in the chord (Illinois
    rule), else a curved margin would draw all places to one side. At most ``rounds`` + 4 places in all; a handful
    where the margin is smooth. The places depend on the margins through their ratios alone.
    """

    def __init__(self, at_zero: Tensor, at_one: Tensor, crosses: Tensor, rounds: int) -> None:
        """Take the margins (B,) at both ends, and which lines cross at all; the others are closed from the start."""
        self._low = torch.zeros_like(at_zero)
        self._high = torch.ones_like(at_zero)
        self._at_low, self._at_high = at_zero, at_one
        self._crosses = crosses
        self._last = torch.zeros_like(at_zero)  # +1: the upper end moved last, -1: the lower
        self._rounds, self._done = rounds, 0

    @property
    def open(self) -> bool:
        """Whether any line is not yet known closely enough."""
        return self._done < self._rounds + _SLACK and bool(self._going().any())

    def _going(self) -> Tensor:
        return self._crosses & (self._high - self._low > 2.0**-self._rounds)

    def next(self) -> Tensor:
        """Return the place to try on each line, (B,) float64; on a closed one its known crossing."""
        width = self._high - self._low
        middle = (self._low + self._high) / 2
        chord = self._low + width * (self._at_low / (self._at_low - self._at_high))
        chord = torch.where(torch.isfinite(chord), chord, middle)
        aim = 2.0 ** -(self._rounds + 1)
        away = middle - chord
        pulled = chord + away.sign() * torch.minimum(torch.clamp(_PULL * width.square(), min=aim), away.abs())
        # The brackets of bisection from here would end with room to spare; so far may the place lie off the middle.
        room = (aim * 2.0 ** (self._rounds + _SLACK - self._done) - width / 2).clamp(min=0)
        place = middle + (pulled - middle).clamp(-room, room)
        return torch.where(self._going(), place, self._high)

    def shrink(self, place: Tensor, margins: Tensor, crossed: Tensor) -> None:
        """Take what was found at ``place``."""
        going = self._going()
        above, below = going & crossed, going & ~crossed
        self._high, self._at_high = torch.where(above, place, self._high), torch.where(above, margins, self._at_high)
        self._low, self._at_low = torch.where(below, place, self._low), torch.where(below, margins, self._at_low)
        self._at_low = torch.where(above & (self._last > 0), self._at_low / 2, self._at_low)
        self._at_high = torch.where(below & (self._last < 0), self._at_high / 2, self._at_high)
        self._last = above.double() - below.double()
        self._done += 1
