"""A generator's latents brought towards the centre of their law, and the attributes of what it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ganaudit.document.errors import SubjectError
from ganaudit.evidence.making import block_of_subject
from ganaudit.evidence.standing_shares import Standing
from ganaudit.evidence.view import View
from ganaudit.numerics.class_shares import on_simplex, total_variation

__all__ = ["Amplification", "Truncated", "amplification", "truncated"]


@dataclass(frozen=True, slots=True, eq=False)
class Truncated:
    """What was read off samples of latents psi z, for the same z at every psi."""

    psi: float
    found: npt.NDArray[np.int64]
    """(N,), -1 where it cannot be told."""


def truncated(
    view: View,
    read: Callable[[Tensor], npt.NDArray[np.int64]] | None,
    factors: Sequence[float],
    samples: int,
    rng: np.random.Generator,
) -> list[Truncated] | str:
    """Return what ``read`` says at each of ``factors``, or in words why the sweep cannot be had.

    Latents are fresh draws and are scaled as they are: in the space of the law itself, not in one that a network maps
    them to. Labels of a conditional generator are those that it draws.
    """
    subject = None if view.missing("values/fake") is not None else view.subject
    if subject is None or subject.generator is None or subject.latent is None:
        return f"needs a generator with latents, {samples} of them; the subject has 0"
    if read is None:
        return f"needs a way to read the attribute off {samples} samples; labels came with the first samples alone"
    seed, block = int(rng.integers(2**31)), block_of_subject(subject)
    sweep = []
    for psi in factors:
        parts = []
        for start in range(0, samples, block):
            try:
                z, labels = subject.latents(seed, start, block), subject.labels(seed, start, block)
                parts.append(read(subject.generate(psi * z, labels)))
            except SubjectError as error:
                return f"the generator failed at psi = {psi:g}, latents {start} to {start + block} of {seed}: {error}"
        sweep.append(Truncated(psi, np.concatenate(parts)[:samples]))
    return sweep


@dataclass(frozen=True, slots=True)
class Amplification:
    """How far the shares are from the reals' at each factor, and how far the last moves from the first."""

    distances: list[float]
    """TV from the shares of reals."""
    errors: list[float]
    """Standard errors over the drawing of latents; ``error`` likewise."""
    change: float
    """Distance at the last factor less that at the first."""
    error: float


def amplification(
    sweep: Sequence[Truncated], by: Standing, rng: np.random.Generator, draws: int = 300
) -> Amplification:
    """Return the distances of a sweep, with a bootstrap that draws the same latents at every factor.

    At equal n the upward bias of the distances is about the same at all factors, and drops out of the change.
    """
    found = np.stack([one.found for one in sweep])
    distances = _distances(found, by)
    n = found.shape[1]
    drawn = np.stack([_distances(found[:, rng.integers(n, size=n)], by) for _ in range(draws)])
    change = drawn[:, -1] - drawn[:, 0]
    return Amplification(
        distances.tolist(), drawn.std(0).tolist(), float(distances[-1] - distances[0]), float(change.std())
    )


def _distances(found: npt.NDArray[np.int64], by: Standing) -> npt.NDArray[np.float64]:
    values = []
    for row in found:
        counts = by.reading.counts(row)
        q = counts / max(int(counts.sum()), 1)
        p = q if by.reading.confusion is None else on_simplex(by.reading.confusion.inverse @ q)
        values.append(total_variation(p, by.target))
    return np.asarray(values)
