"""Whether generated samples lie nearer to changed reals than to reals, beside held-out reals in their place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ganaudit.document.model import Detail, Table
from ganaudit.evidence.leak_tables import span
from ganaudit.evidence.leaks import Asked, Looked, one_changed
from ganaudit.numerics.augmented_distance import AugmentedDistance, augmented_distances

__all__ = ["distance_table"]

Cell = str | int | float | None


def distance_table(
    asked: Sequence[Asked], fake: Looked, held: Tensor | None, named: tuple[str, str], rng: np.random.Generator
) -> list[Detail]:
    """Return distances to reals and to half changed ones, by operation; nothing where a side has fewer than 2 rows.

    ``held`` (H, D) are held-out reals, described as samples are, in place of the generated ones; None where there are
    none. ``named``: the split of the reals that were changed, and in words where ``held`` is from or why it is None.
    All rows rest on one draw of every side, so that they differ by the operation alone.
    """
    made = {one.operation.name: one.copies.described for one in asked if one.copies is not None}
    plain = next((states[:, 0] for states in made.values()), None)
    if plain is None or min(len(plain), len(fake.described)) < 2:
        return []
    changed = {name: one_changed(states, rng) for name, states in made.items()}
    draw = int(rng.integers(2**63))
    found = augmented_distances(plain, changed, fake.described, np.random.default_rng(draw))
    null: dict[str, AugmentedDistance] = {}
    if held is not None:
        null = augmented_distances(plain, changed, held, np.random.default_rng(draw))
    cells = [[name, *_cells(one), *_of_reals(null.get(name))] for name, one in found.items()]
    columns = [
        "operation", "n", "to reals", "to reals, half changed", "difference", "95 %", "n of held-out reals",
        "theirs to reals", "their difference", "their 95 %",
    ]  # fmt: skip
    side, where = named
    told = "" if side == "test" else f" and {side} reals"
    title = f"Fréchet distance of generated samples{told} (coarse places, 16 directions)"
    title += f"; a difference above 0: nearer to changed data; held-out reals: {where}"
    return [Table(title=title, columns=columns, rows=cells)]


def _cells(one: AugmentedDistance) -> list[Cell]:
    return [one.n, one.plain, one.augmented, one.difference, span(one.bounds)]


def _of_reals(one: AugmentedDistance | None) -> list[Cell]:
    return [None, None, None, ""] if one is None else [one.n, one.plain, one.difference, span(one.bounds)]
