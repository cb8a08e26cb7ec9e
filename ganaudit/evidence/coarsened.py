"""Where the difference lies that a network finds: tests again with less in the samples of both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ganaudit.document.model import Detail, Note, Table
from ganaudit.numerics.coarser import halved, levels_of, to_levels
from ganaudit.numerics.convolutional import convolutional_test
from ganaudit.numerics.probe import HeldOut

__all__ = ["Sides", "coarsened"]

_FEW = 64  # levels; of a photograph's 256 hardly one stays unused
_HALVINGS = 2
_LEAST = 4  # places of an axis, below which there is no picture left


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Two sides as the levels of a file, as many of each, and what they gave as they are."""

    real: Tensor
    fake: Tensor
    found: HeldOut


def coarsened(sides: Sides, null: Sides | None, rng: np.random.Generator) -> list[Detail]:
    """Return a table of tests of both sides as they are and with less in them, and in words what that says.

    On the levels of the reals, where these have few; at half of the size, and at half of that. The null is two sides of
    reals done alike.
    """
    whole = _row("as they are", sides.found, None if null is None else null.found)
    rows: list[list[str | int | float | None]] = [whole]
    found: dict[str, HeldOut] = {}
    for name, (real, fake) in _lesser(sides.real, sides.fake).items():
        found[name] = convolutional_test(real, fake, rng)
        usual = None if null is None else convolutional_test(*_lesser(null.real, null.fake, sides.real)[name], rng)
        rows.append(_row(name, found[name], usual))
    if not found:
        return []
    columns = ["samples", "held out", "accuracy", "low", "high", "p-value", "reals: held out", "reals: accuracy",
               "reals: low", "reals: high"]  # fmt: skip
    table = Table(title="Where the difference lies: the test again with less in both sides", columns=columns, rows=rows)
    return [table, Note(text=_told(sides.found, found))]


def _lesser(real: Tensor, fake: Tensor, levelled: Tensor | None = None) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Return both sides with less in them, by what was done; on the levels of ``levelled``, the reals as default."""
    made = {}
    levels = levels_of(real if levelled is None else levelled, _FEW)
    if levels is not None:
        made[f"on the {len(levels)} levels of the reals"] = (to_levels(real, levels), to_levels(fake, levels))
    for halving in range(1, _HALVINGS + 1):
        real, fake = halved(real), halved(fake)
        if max(real.shape[2:]) < _LEAST:
            break
        made[f"at 1/{2**halving} of the size"] = (real, fake)
    return made


def _row(name: str, found: HeldOut, usual: HeldOut | None) -> list[str | int | float | None]:
    of_reals = [None] * 4 if usual is None else [usual.n, usual.accuracy, usual.bounds.low, usual.bounds.high]
    return [name, found.n, found.accuracy, found.bounds.low, found.bounds.high, found.p_value, *of_reals]


def _told(whole: HeldOut, found: Mapping[str, HeldOut]) -> str:
    parts = [f"{name} {one.accuracy:.3g}" for name, one in found.items()]
    least = min(found, key=lambda name: found[name].accuracy)
    text = f"The held-out accuracy is {whole.accuracy:.3g} as the samples are; {', '.join(parts)}. "
    if whole.bounds.low > found[least].bounds.high:
        what = "the very levels of the values" if least.startswith("on") else "detail finer than that"
        return text + (
            f"Much of what tells the sides apart is gone {least}: it lies in {what}, as storage, magnifying or "
            "rounding of the reals leave it, and need not be what an eye sees."
        )
    return text + "What tells the sides apart, if anything does, is no matter of fine detail: it is there all along."
