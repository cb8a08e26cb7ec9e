"""Paths between a generator's latents: the samples along them, and how far these move for a small step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.document.errors import SubjectError
from ganaudit.evidence.judging import judged
from ganaudit.evidence.making import block_of_subject
from ganaudit.evidence.view import View
from ganaudit.numerics.interpolation import evenness, lerp, slerp
from ganaudit.numerics.path_length import on_levels, squared_distances
from ganaudit.subjects.mapping import Mapped, mapped
from ganaudit.subjects.subject import Subject

__all__ = ["IN_W", "PATHS", "LatentPaths", "Walks", "even_steps", "generated", "latent_paths"]

PATHS: dict[str, Callable[[Tensor, Tensor, Tensor | float], Tensor]] = {"slerp": slerp, "lerp": lerp}
IN_W = "lerp in w"
_PORTION = 64  # paths in memory at once


@dataclass(frozen=True, slots=True, eq=False)
class Walks:
    """N paths at T fractions."""

    steps: Tensor
    """Distances in features from each point to the next, (N, T - 1) float64."""
    scores: Tensor | None
    """(T, N) float64, where there is a discriminator to ask."""


@dataclass(frozen=True, slots=True, eq=False)
class LatentPaths:
    """N paths between latents of a subject's own law, none of them the audit's; both ends of one class."""

    view: View
    seed: int
    a: Tensor
    """(N, d)."""
    b: Tensor
    labels: Tensor | None
    failed: tuple[int, ...]
    """Numbers of the paths left out because the generator fails at an end of them."""
    quantised: int
    """How many of the samples at the starts lie on the levels of an 8-bit file with every value."""
    space: Mapped | str = "w was not asked for"
    """The generator in two parts, or why it has no w."""
    w: tuple[Tensor, Tensor] | None = None
    """Both ends in w, where there is one."""

    def __len__(self) -> int:
        return len(self.a)

    def samples(self, path: str, t: Tensor | float, some: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Return the samples at ``t`` of some paths, and whether the generator made each, (B,) bool."""
        share = t[some] if isinstance(t, Tensor) and t.ndim else t
        if path == IN_W:
            assert isinstance(self.space, Mapped)
            assert self.w is not None
            return generated(self.space.subject, lerp(self.w[0][some], self.w[1][some], share), None)
        z = PATHS[path](self.a[some], self.b[some], share)
        return generated(self.view.subject, z, None if self.labels is None else self.labels[some])

    def distances(self, path: str, t: Tensor, eps: Sequence[float], measure: str) -> tuple[Tensor, Tensor]:
        """Return squared distances of the samples at ``t`` (N,) and at t + eps, (len(eps), N), and who has them all.

        Of "features", extracted without any quantisation, or of "pixels", as shares of the width of the range.
        """
        found = torch.zeros(len(eps), len(self), dtype=torch.float64)
        fine = torch.ones(len(self), dtype=torch.bool)
        for some in _slices(len(self)):
            x, made = self.samples(path, t, some)
            start = self._measured(x, measure)
            for place, step in enumerate(eps):
                y, reached = self.samples(path, t + step, some)
                found[place, some] = squared_distances(start, self._measured(y, measure))
                made = made & reached
            fine[some] = made
        return found, fine

    def walked(self, path: str, t: Sequence[float], *, judge: bool) -> tuple[Walks, Tensor]:
        """Return what is seen at the fractions ``t`` of every path, and whether the generator made all of it."""
        steps = torch.zeros(len(self), len(t) - 1, dtype=torch.float64)
        scores = torch.zeros(len(t), len(self), dtype=torch.float64)
        fine = torch.ones(len(self), dtype=torch.bool)
        for some in _slices(len(self)):
            before: Tensor | None = None
            labels = None if self.labels is None else self.labels[some]
            for place, share in enumerate(t):
                x, made = self.samples(path, share, some)
                features = self.view.features_of(x, "none")
                if before is not None:
                    steps[some, place - 1] = squared_distances(before, features).sqrt()
                if judge:
                    scores[place, some] = judged(self.view.subject, x, labels)
                before, fine[some] = features, fine[some] & made
        return Walks(steps[fine], scores[:, fine] if judge else None), fine

    def scored(self, path: str, t: Sequence[float]) -> Tensor:
        """Return the scores (T, N) at the fractions ``t`` of the paths that the generator makes all of."""
        scores = torch.zeros(len(t), len(self), dtype=torch.float64)
        fine = torch.ones(len(self), dtype=torch.bool)
        for some in _slices(len(self)):
            labels = None if self.labels is None else self.labels[some]
            for place, share in enumerate(t):
                x, made = self.samples(path, share, some)
                scores[place, some] = judged(self.view.subject, x, labels)
                fine[some] = fine[some] & made
        return scores[:, fine]

    def _measured(self, x: Tensor, measure: str) -> Tensor:
        sample = self.view.subject.sample
        return x / (sample.high - sample.low) if measure == "pixels" else self.view.features_of(x, "none")


def latent_paths(view: View, seed: int, count: int) -> LatentPaths | str:
    """Return ``count`` paths between new latents by the subject's law, or why there are none.

    Paths at whose ends the generator fails are counted and left out.
    """
    subject = view.subject
    if subject.generator is None or subject.latent is None:
        return "the subject is a set of samples, 8 bits or not: there is no generator to walk through, at 0 latents"
    a, b = subject.latents(seed, 0, count), subject.latents(seed, count, count)
    labels = subject.labels(seed, 0, count)
    starts, fine = generated(subject, a, labels)
    fine = fine & generated(subject, b, labels)[1]
    if not bool(fine.any()):
        return f"the generator fails at an end of every one of {count} new paths (latents of seed {seed})"
    failed = tuple(torch.nonzero(~fine)[:, 0].tolist())
    levels = int(on_levels(starts[fine], subject.sample.low, subject.sample.high).sum())
    kept = None if labels is None else labels[fine]
    space = mapped(subject)
    w = None if isinstance(space, str) else (space.w(a[fine], kept), space.w(b[fine], kept))
    return LatentPaths(view, seed, a[fine], b[fine], kept, failed, levels, space, w)


def even_steps(walks: Walks) -> Tensor:
    """Return the evenness of each walk that moves, (M,)."""
    found = evenness(walks.steps)
    return found[~found.isnan()]


def _slices(n: int) -> list[slice]:
    return [slice(start, min(start + _PORTION, n)) for start in range(0, n, _PORTION)]


def generated(subject: Subject, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the samples of ``z`` and whether the generator made each; those it fails at are zeros.

    In blocks of the size that evidence is made in. A failing block is made again one by one, as only some may fail.
    """
    block = block_of_subject(subject)
    made: list[Tensor] = []
    fine: list[bool] = []
    for start in range(0, len(z), block):
        rows = torch.arange(start, min(start + block, len(z)))
        try:
            made.append(_block(subject, z, labels, rows, block))
            fine += [True] * len(rows)
        except SubjectError:
            for row in rows.tolist():
                try:
                    made.append(_block(subject, z, labels, torch.tensor([row]), block))
                    fine.append(True)
                except SubjectError:
                    made.append(torch.zeros(1, *subject.sample.shape))
                    fine.append(False)
    return torch.cat(made), torch.tensor(fine)


def _block(subject: Subject, z: Tensor, labels: Tensor | None, rows: Tensor, block: int) -> Tensor:
    padded = rows[torch.arange(block).clamp(max=len(rows) - 1)]
    return subject.generate(z[padded], None if labels is None else labels[padded])[: len(rows)]
