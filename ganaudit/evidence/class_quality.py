"""Fidelity class by class: who is reached by generated samples, and whose own look like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.document.model import Null
from ganaudit.evidence.attributes import Reading
from ganaudit.evidence.judging import chosen
from ganaudit.evidence.view import View
from ganaudit.numerics.intervals import Bounds
from ganaudit.numerics.kernel import KernelDistance, kernel_distance
from ganaudit.numerics.neighbours import neighbourhood
from ganaudit.numerics.support import Support, closeness, collisions, support
from ganaudit.numerics.worst import Worst, worst_rate

__all__ = [
    "FEWEST",
    "ClassQuality",
    "Reached",
    "by_class",
    "flipped",
    "reached",
    "recall_of_others",
    "repeats",
    "worst_recall",
]

FEWEST = 10
"""Reals of a class below which it is judged by no rate."""
_PAIRS = 10
_OF_KERNEL, _MOST_KERNELS = 8, 64
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """Which reals lie within the balls of the other side's samples, and which of those lie within the reals'."""

    rows: _Numbers
    """Numbers of the reals, and of the other side's samples."""
    other_rows: _Numbers
    recalled: npt.NDArray[np.bool_]
    covered: npt.NDArray[np.bool_]
    precise: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ClassQuality:
    """One class."""

    reals: int
    recalled: int
    covered: int
    fakes: int
    precise: int
    distance: KernelDistance | None
    """None with fewer than 8 samples on a side, or beyond 64 classes."""


def reached(view: View, real: str, fake: str, neighbours: int, most: int, rng: np.random.Generator) -> Reached | None:
    """Return what as many samples of ``fake`` as of ``real``, at most ``most``, reach; None with too few of them."""
    sides = view[f"features/{real}"], view[f"features/{fake}"]
    n = min(most, *(len(side) for side in sides))
    if n <= neighbours:
        return None
    rows = np.sort(rng.permutation(len(sides[0]))[:n])
    others = np.asarray(_some(view, fake, len(sides[1]), n, rng))
    found = neighbourhood(
        sides[0][torch.from_numpy(rows)], sides[1][torch.from_numpy(others)], neighbours, world=view.world
    )
    return Reached(rows, others, _array(found.real_inside), _array(found.real_covered), _array(found.fake_inside))


def worst_recall(found: Reached, labels: _Numbers, classes: int, level: float) -> tuple[Worst, list[int]] | None:
    """Return the greatest share of a class's reals that is out of reach, and the classes judged; None below 2 classes.

    ``labels`` are those of all reals, -1 for none.
    """
    of = labels[found.rows]
    sizes = np.bincount(of[of >= 0], minlength=classes)
    judged = [int(c) for c in np.flatnonzero(sizes >= FEWEST)]
    if len(judged) < 2:
        return None
    missed = [int((~found.recalled[of == c]).sum()) for c in judged]
    return worst_rate(missed, [int(sizes[c]) for c in judged], level), judged


def by_class(view: View, found: Reached, labels: _Numbers, reading: Reading) -> list[ClassQuality]:
    """Return every class: reals by their label, generated samples by what was read off them."""
    of, classes = labels[found.rows], len(reading.values)
    read = np.full(max(int(found.other_rows.max()), int(reading.fake_rows.max(initial=0))) + 1, -1, np.int64)
    read[reading.fake_rows] = reading.fake
    other = read[found.other_rows]
    features = view["features/real"], view["features/fake"]
    rows = []
    for c in range(classes):
        mine, theirs = of == c, other == c
        real = features[0][torch.from_numpy(found.rows[mine])]
        fake = features[1][torch.from_numpy(found.other_rows[theirs])]
        enough = min(len(real), len(fake)) >= _OF_KERNEL and classes <= _MOST_KERNELS
        rows.append(
            ClassQuality(
                int(mine.sum()), int(found.recalled[mine].sum()), int(found.covered[mine].sum()),
                int(theirs.sum()), int(found.precise[theirs].sum()),
                kernel_distance(real, fake) if enough else None,
            )
        )  # fmt: skip
    return rows


def recall_of_others(
    view: View, other: Reached | None, labels: _Numbers, names: Sequence[str]
) -> tuple[Null | None, list[float | None]]:
    """Return the recall of the worst class by other reals, and that of every class."""
    rates: list[float | None] = [None] * len(names)
    # Two halves of one split have labels of their own, which no class was read by.
    if other is None or len(view["features/null-real"]) != len(labels):
        return None, rates
    of = labels[other.rows]
    for c in np.unique(of[of >= 0]):
        rates[int(c)] = float(other.recalled[of == c].mean())
    found = worst_recall(other, labels, len(names), 0.95)
    if found is None:
        return None, rates
    usual, at = flipped(found[0].bounds), found[1][found[0].at]
    rule = f"{view.null_rule}; {len(other.other_rows)} for {len(other.rows)}; the worst there is {names[at]}"
    return Null(value=1 - found[0].value, low=usual.low, high=usual.high, n=len(other.other_rows), rule=rule), rates


def repeats(
    view: View, fake: str, most: int, rng: np.random.Generator, within: float | None = None
) -> tuple[Support, float, int] | str:
    """Return what close pairs of a side say of its support, the distance that is close, and the samples compared.

    Close is what the 10 closest pairs among as many reals are, at ``within`` where that is known.
    """
    real, others = view["features/real"], view[f"features/{fake}"]
    n = min(most, len(real), len(others))
    if n * (n - 1) // 2 < 10 * _PAIRS:
        return f"needs 15 samples of each side; there are {n}"
    if within is None:
        within = closeness(real[torch.from_numpy(np.sort(rng.permutation(len(real))[:n]))], _PAIRS)
    rows = torch.tensor(_some(view, fake, len(others), n, rng))
    return support(n, collisions(others[rows], within)), within, n


def flipped(bounds: Bounds) -> Bounds:
    """Return the bounds of 1 less what ``bounds`` hold."""
    return Bounds(1 - bounds.high, 1 - bounds.low)


def _some(view: View, side: str, n: int, most: int, rng: np.random.Generator) -> list[int]:
    if side == "fake" and view.missing("values/fake") is None:
        return chosen(view, side, n, most, rng)
    return sorted(int(i) for i in rng.permutation(n)[:most])


def _array(flags: Tensor) -> npt.NDArray[np.bool_]:
    return np.asarray(flags.cpu().numpy(), dtype=np.bool_)
