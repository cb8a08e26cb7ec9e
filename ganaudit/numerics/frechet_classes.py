"""The Fréchet distance class by class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import pair
from ganaudit.numerics.frechet import frechet_distance
from ganaudit.numerics.frechet_extrapolation import samples_needed
from ganaudit.numerics.frechet_inference import corrected_frechet_distance
from ganaudit.numerics.world import ALONE, World

__all__ = ["ClassDistance", "class_distances"]


@dataclass(frozen=True, slots=True)
class ClassDistance:
    """The distance between the reals and the fakes of one class."""

    label: int
    n_real: int
    n_fake: int
    distance: float | None
    """The plug-in distance; None with fewer than 2 samples on a side."""
    corrected: float | None
    """The distance without its bias; None where samples are too few for it."""
    standard_error: float | None
    """Of ``corrected``."""


def class_distances(
    real: Tensor,
    real_labels: Tensor,
    fake: Tensor,
    fake_labels: Tensor,
    rng: np.random.Generator,
    world: World = ALONE,
) -> list[ClassDistance]:
    """Return the Fréchet distance of every class that either side has, in the order of the labels.

    ``real`` (N, D) and ``fake`` (M, D) with labels (N,) and (M,), whole numbers. One class's rows are in memory at a
    time. Classes are shared out over ``world``. A class's plug-in distance carries the bias of its own, smaller n: hold
    it against other classes only at equal n, or use the corrected one.

    Raises ValueError when a shape is not (samples, features), the features differ in number, an entry is not finite or
    labels do not fit their side.
    """
    for labels, side, name in ((real_labels, real, "real_labels"), (fake_labels, fake, "fake_labels")):
        if labels.shape != (len(side),) or labels.is_floating_point():
            raise ValueError(
                f"{name}: found {tuple(labels.shape)} of {labels.dtype}; allowed: {(len(side),)} of whole numbers"
            )
    labels_of_both = (real_labels.cpu().numpy(), fake_labels.cpu().numpy())
    names = np.union1d(*labels_of_both).tolist()
    seeds = rng.integers(2**63, size=len(names))  # so that a class's chance does not depend on who computes it
    numbers = torch.zeros(len(names), 3, dtype=torch.float64)
    counts = [[int((labels == label).sum()) for labels in labels_of_both] for label in names]
    for i in world.mine(len(names)):
        if min(counts[i]) >= 2:
            one, other = (
                side[torch.from_numpy(np.flatnonzero(labels == names[i])).to(side.device)]
                for side, labels in zip((real, fake), labels_of_both, strict=True)
            )
            numbers[i] = torch.tensor(_distances(one, other, np.random.default_rng(seeds[i])), dtype=torch.float64)
    found = world.total(numbers).tolist()
    return [_row(label, *both, *of_class) for label, both, of_class in zip(names, counts, found, strict=True)]


def _distances(real: Tensor, fake: Tensor, rng: np.random.Generator) -> tuple[float, float, float]:
    real, fake = pair(real, fake, least=2)
    if min(len(real), len(fake)) < samples_needed(real.shape[1]):
        return frechet_distance(real, fake), math.nan, math.nan
    found = corrected_frechet_distance(real, fake, rng)
    return found.plug_in, found.value, found.standard_error


def _row(label: int, n_real: int, n_fake: int, distance: float, corrected: float, error: float) -> ClassDistance:
    if min(n_real, n_fake) < 2:
        return ClassDistance(label, n_real, n_fake, None, None, None)
    if math.isnan(corrected):
        return ClassDistance(label, n_real, n_fake, distance, None, None)
    return ClassDistance(label, n_real, n_fake, distance, corrected, error)
