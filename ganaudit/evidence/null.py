"""Which real samples stand in for generated ones, so that every statistic has its real-against-real value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.numerics.randomness import generator

__all__ = ["NullDesign", "null_design", "rows"]

_PREFERENCE = {"test": ("train", "calibration"), "train": ("test", "calibration"), "calibration": ("test", "train")}


@dataclass(frozen=True, slots=True, eq=False)
class NullDesign:
    """Two disjoint sets of reals and the rule that made them; None when there are too few."""

    fake: Samples | None
    """The reals that stand in for the generated samples."""
    real: Samples | None
    rule: str
    halves: tuple[np.ndarray, np.ndarray] | None = None
    """Where both are parts of the audited split: the rows of it that are ``fake`` and those that are ``real``."""


def rows(n: int, count: int, seed: int, name: str) -> np.ndarray:
    """Return ``count`` of 0..n in ascending order, drawn without replacement from (seed, name)."""
    drawn = generator(seed, name).permutation(n)[:count]
    return np.sort(drawn)


def null_design(reference: Reference, against: str, n_fake: int, seed: int) -> NullDesign:
    """Return the null: another split against the audited one, at the size of the generated side where it reaches.

    The first of the other splits that has ``n_fake`` samples serves, else the largest. Where the audited split is all
    there is, two halves of it are compared, and the rule says at which size.
    """
    if reference.statistics is not None:
        return NullDesign(None, None, "the reference is a mean and a covariance: there are no reals to compare")
    real = reference.split(against)
    others = [name for name in _PREFERENCE.get(against, ()) if name in reference.splits]
    usable = [name for name in others if len(reference.splits[name]) >= min(n_fake, len(real) // 2)]
    if usable:
        full = [name for name in usable if len(reference.splits[name]) >= n_fake]
        name = full[0] if full else max(usable, key=lambda s: len(reference.splits[s]))
        pool = reference.splits[name]
        count = min(n_fake, len(pool))
        chosen = pool.take(rows(len(pool), count, seed, f"null/{name}"), f"{name} (null)")
        short = "" if count == n_fake else f", fewer than the {n_fake} generated"
        return NullDesign(chosen, real, f"{count} {name} reals against {len(real)} {against} reals{short}")
    half = len(real) // 2
    if half < 2:
        return NullDesign(None, None, f"{len(real)} reals are too few to compare with each other")
    order = generator(seed, "null/halves").permutation(len(real))
    first, second = np.sort(order[: min(half, n_fake)]), np.sort(order[half:])
    return NullDesign(
        real.take(first, "half (null)"),
        real.take(second, "other half (null)"),
        f"{len(first)} of the {len(real)} {against} reals against {len(second)} others of them: there is no second set",
        (first, second),
    )
