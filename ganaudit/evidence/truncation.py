"""A generator's latents brought towards the centre of their law, and the attributes of what it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ganaudit.evidence.latent_paths import generated
from ganaudit.evidence.making import block_of_subject
from ganaudit.evidence.standing_shares import Standing
from ganaudit.evidence.view import View
from ganaudit.numerics.class_shares import on_simplex, scatter, total_variation
from ganaudit.numerics.share_change import ShareChange, share_change

__all__ = ["Amplification", "Truncated", "amplification", "failed_words", "truncated"]

_FEWEST = 2  # latents, below which nothing varies
_FEWEST_READ = 3  # samples of a side, below which a jackknife has nothing left


@dataclass(frozen=True, slots=True, eq=False)
class Truncated:
    """What was read off samples of latents psi z, for the same z at every psi."""

    psi: float
    found: npt.NDArray[np.int64]
    """(N,), -1 where it cannot be told."""
    failed: tuple[int, ...]
    """Numbers of the latents, of those asked for, that the generator fails on at this psi or another: not in
    ``found``."""


def truncated(
    view: View,
    read: Callable[[Tensor], npt.NDArray[np.int64]] | None,
    factors: Sequence[float],
    samples: int,
    rng: np.random.Generator,
) -> list[Truncated] | str:
    """Return what ``read`` says at each of ``factors``, or in words why the sweep cannot be had.

    Latents are fresh draws and are scaled as they are: in the space of the law itself, not in one that a network maps
    them to. Labels of a conditional generator are those that it draws. A latent that the generator fails on at one
    factor is left out at all of them, so that the same ones are compared.
    """
    subject = None if view.missing("values/fake") is not None else view.subject
    if subject is None or subject.generator is None or subject.latent is None:
        return f"needs a generator with latents, {samples} of them; the subject has 0"
    if read is None:
        return f"needs a way to read the attribute off {samples} samples; labels came with the first samples alone"
    seed, block = int(rng.integers(2**31)), block_of_subject(subject)
    found, fine = np.full((len(factors), samples), -1, np.int64), np.ones((len(factors), samples), np.bool_)
    for at, psi in enumerate(factors):
        for start in range(0, samples, block):
            # Whole blocks: a program may take one batch size only.
            z, labels = subject.latents(seed, start, block), subject.labels(seed, start, block)
            x, made = generated(subject, psi * z, labels)
            count = min(block, samples - start)
            found[at, start : start + count] = read(x)[:count]
            fine[at, start : start + count] = made.numpy()[:count]
    kept = fine.all(0)
    if int(kept.sum()) < _FEWEST:
        least = int(fine.sum(1).argmin())
        return (
            f"the generator fails on {int((~fine[least]).sum())} of {samples} latents of seed {seed} at psi = "
            f"{factors[least]:g}; needs {_FEWEST} or more that it fails on at no psi, found {int(kept.sum())}"
        )
    failed = tuple(np.flatnonzero(~kept).tolist())
    return [Truncated(psi, row[kept], failed) for psi, row in zip(factors, found, strict=True)]


def failed_words(sweep: Sequence[Truncated]) -> str | None:
    """Return how many latents a sweep left out because the generator fails on them, and which; None for none."""
    failed = sweep[0].failed
    if not failed:
        return None
    count = len(failed) + len(sweep[0].found)
    return (
        f"the generator fails on {len(failed)} of {count} latents of the truncation sweep, the first of them latent "
        f"{failed[0]}; the others are used"
    )


@dataclass(frozen=True, slots=True)
class Amplification:
    """How far the shares are from the reals' at each factor, and how much further at the last than at the first."""

    distances: list[float]
    """TV from the shares of reals."""
    errors: list[float]
    """Their standard errors over the drawing of latents."""
    chance: float
    """TV of as many samples of a perfect generator, on average: the distances are too large by about as much."""
    change: ShareChange | None
    """None where fewer than 3 samples could be read at the first factor or the last."""


def amplification(
    sweep: Sequence[Truncated], by: Standing, rng: np.random.Generator, draws: int = 300
) -> Amplification:
    """Return the distances of a sweep, with a bootstrap that draws the same latents at every factor.

    The distances are not subtracted: TV counted on a few hundred samples is too large by chance where the shares are
    right, and hardly where they are wrong, so that a difference would come out too small.
    """
    found, confusion = np.stack([one.found for one in sweep]), by.reading.confusion
    n = found.shape[1]
    drawn = np.stack([_distances(found[:, rng.integers(n, size=n)], by) for _ in range(draws)])
    perfect = on_simplex(by.target + scatter(by.target, n, confusion, rng, len(by.targets)))
    ends = found[0], found[-1]
    change = None
    if min((end >= 0).sum() for end in ends) >= _FEWEST_READ:
        change = share_change(*ends, by.target, None if confusion is None else confusion.inverse)
    chance = float(np.abs(perfect - by.targets).sum(1).mean()) / 2
    return Amplification(_distances(found, by).tolist(), drawn.std(0).tolist(), chance, change)


def _distances(found: npt.NDArray[np.int64], by: Standing) -> npt.NDArray[np.float64]:
    values = []
    for row in found:
        counts = by.reading.counts(row)
        q = counts / max(int(counts.sum()), 1)
        p = q if by.reading.confusion is None else on_simplex(by.reading.confusion.inverse @ q)
        values.append(total_variation(p, by.target))
    return np.asarray(values)
