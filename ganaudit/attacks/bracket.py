"""The place where a margin changes its sign on a line, for many lines at once."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Bracket"]

_PULL = 0.01
_DOUBT = 0.1
_SLACK = 4


class Bracket:
    """Where between 0 and 1 a margin crosses, closed in on to 2^-rounds of the line.

    Interpolate, truncate, project (Oliveira & Takahashi 2020): the next place is the zero of the parabola through both
    ends and the end before them (Brent 1973), moved towards the middle by a tenth of how far it lies from the chord's,
    at least by a quarter of the width aimed at, so that two places close the bracket from both sides, and never so far
    from the middle that bisection would have been faster by more than 4 rounds. Without a third place, or where the
    parabola has no zero in between, it is the chord's, moved by 0.01·width^2 or, if less, as far as it lies from the
    nearer end; an end that stays twice running counts half there (Illinois rule), else a curved margin would draw all
    places to one side. At most ``rounds`` + 4 places in all;
    mostly 3 where the margin is smooth. The places depend on the margins through their ratios alone.
    """

    def __init__(self, at_zero: Tensor, at_one: Tensor, crosses: Tensor, rounds: int) -> None:
        """Take the margins (B,) at both ends, and which lines cross at all; the others are closed from the start."""
        self._low = torch.zeros_like(at_zero)
        self._high = torch.ones_like(at_zero)
        self._at_low, self._at_high = at_zero, at_one  # as the chord counts them
        self._margins = (at_zero, at_one)
        self._before = (torch.full_like(at_zero, torch.nan), torch.full_like(at_zero, torch.nan))  # place and margin
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
        bent = self._parabola()
        inside = (bent > self._low) & (bent < self._high)  # False where there is no third place
        guess = torch.where(inside, bent, chord)
        near = torch.minimum(chord - self._low, self._high - chord)
        pull = torch.where(inside, _DOUBT * (bent - chord).abs(), torch.minimum(near, _PULL * width.square()))
        pull = pull.clamp(min=aim / 2)
        away = middle - guess
        pulled = guess + away.sign() * torch.minimum(pull, away.abs())
        # The brackets of bisection from here would end with room to spare; so far may the place lie off the middle.
        room = (aim * 2.0 ** (self._rounds + _SLACK - self._done) - width / 2).clamp(min=0)
        place = middle + (pulled - middle).clamp(-room, room)
        return torch.where(self._going(), place, self._high)

    def _parabola(self) -> Tensor:
        """Return the zero of the place as a quadratic of the margin, through three places; NaN before there are."""
        (a, b), c = (self._low, self._high), self._before[0]
        at_a, at_b, at_c = *self._margins, self._before[1]
        return (
            a * at_b * at_c / ((at_a - at_b) * (at_a - at_c))
            + b * at_a * at_c / ((at_b - at_a) * (at_b - at_c))
            + c * at_a * at_b / ((at_c - at_a) * (at_c - at_b))
        )

    def shrink(self, place: Tensor, margins: Tensor, crossed: Tensor) -> None:
        """Take what was found at ``place``."""
        going = self._going()
        above, below = going & crossed, going & ~crossed
        at_low, at_high = self._margins
        gone, at_gone = self._before
        self._before = (
            torch.where(above, self._high, torch.where(below, self._low, gone)),
            torch.where(above, at_high, torch.where(below, at_low, at_gone)),
        )
        self._margins = torch.where(below, margins, at_low), torch.where(above, margins, at_high)
        self._high, self._at_high = torch.where(above, place, self._high), torch.where(above, margins, self._at_high)
        self._low, self._at_low = torch.where(below, place, self._low), torch.where(below, margins, self._at_low)
        self._at_low = torch.where(above & (self._last > 0), self._at_low / 2, self._at_low)
        self._at_high = torch.where(below & (self._last < 0), self._at_high / 2, self._at_high)
        self._last = above.double() - below.double()
        self._done += 1
