"""Rows of a panel of checks, when so few samples decide one, and what follows from all of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["DECIDES", "POINT", "REPEATS", "VARIES", "Panel", "Row", "Verdict", "share_row"]

Verdict = Literal["sound", "weakened", "masked", "chance", "constant"]

REPEATS = "same input, same score"
VARIES = "scores differ"
"""Checks without which no other can be read: where one of them fails no other is made."""

POINT = 0.005
"""Half a percentage point: what a share may move before a row fails, or one sample where that is more."""

_EFFECT = 0.15
_MISSED = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One check."""

    name: str
    passed: bool | None
    """None where the check could not be made."""
    value: float | None
    limit: float | None
    """The row passes up to this value, itself included."""
    words: str
    voids: bool
    """Whether a failure makes the robustness numbers void, rather than weaker."""
    few: int | None = None
    """How many samples there were, where they were too few to decide it."""


def share_row(name: str, value: float, n: int, limit: float, words: str, *, voids: bool) -> Row:
    """Return the row of ``value``, a share of ``n`` samples, that may be ``limit``.

    It passes only where so many samples would hardly have shown so little (probability 5 % at most, by the binomial
    law) had 15 % of all samples misbehaved: from 19 samples on where none does, from 30 where one does. Fewer decide
    nothing but a failure.
    """
    if value > limit:
        return Row(name, False, value, limit, words, voids)
    if _missed(round(value * n), n) <= _MISSED:
        return Row(name, True, value, limit, words, voids)
    needed = next(m for m in itertools.count(n + 1) if _missed(round(value * n), m) <= _MISSED)
    words += f"; not decidable at n = {n}: {needed} samples called rightly would do"
    return Row(name, None, value, limit, words, voids, few=n)


def _missed(k: int, n: int) -> float:
    """Return the chance of ``k`` or fewer of ``n`` where the effect is there."""
    return sum(math.comb(n, i) * _EFFECT**i * (1 - _EFFECT) ** (n - i) for i in range(min(k, n) + 1))


DECIDES = next(n for n in itertools.count(1) if _missed(0, n) <= _MISSED)
"""Samples from which on a check decides where none of them misleads it: 19."""


@dataclass(frozen=True, slots=True)
class Panel:
    """All checks of one critic and what follows from them."""

    rows: tuple[Row, ...]
    forward: int
    """Samples sent through the critic; ``backward``: gradients of samples taken."""
    backward: int
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """``masked`` when a row that voids has failed, ``weakened`` when any other failed or was not made.

        ``chance`` where the same samples score differently when asked twice, ``constant`` where all samples score the
        same: nothing was learnt of gradients then.
        """
        broken = {row.name for row in self.rows if row.passed is False and row.voids}
        if broken & {REPEATS, VARIES}:
            return "chance" if REPEATS in broken else "constant"
        if broken:
            return "masked"
        return "sound" if all(row.passed for row in self.rows) else "weakened"

    @property
    def undecided(self) -> tuple[str, ...]:
        """The rows whose failure would void the numbers and for which there were too few samples."""
        return tuple(row.name for row in self.rows if row.voids and row.few is not None)
