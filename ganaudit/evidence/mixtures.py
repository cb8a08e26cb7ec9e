"""Samples moved toward others, value by value, and what extractor and discriminator make of them on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganaudit.evidence.judging import judged
from ganaudit.evidence.view import View
from ganaudit.numerics.interpolation import lerp
from ganaudit.numerics.mixing import Pairing, paired
from ganaudit.numerics.randomness import uniforms

__all__ = ["Ends", "Mixtures", "ends", "mixtures", "noise", "scored", "unjudged"]

_PORTION = 64  # pairs in memory at once
_NOISE_STREAM = 7


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Samples from which, or to which, ways lead; read some at a time."""

    read: Callable[[list[int]], Tensor]
    """Their values by place, float32 in the subject's range."""
    features: Tensor
    """(N, D) of the audit's extractor."""
    labels: Tensor | None
    """(N,) where the discriminator is told the class."""

    def __len__(self) -> int:
        return len(self.features)

    def at(self, places: Tensor) -> Ends:
        """Return some of them, in another order."""
        numbers = places.tolist()
        return replace(
            self,
            read=lambda wanted: self.read([numbers[i] for i in wanted]),
            features=self.features[places],
            labels=None if self.labels is None else self.labels[places],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Mixtures:
    """P ways at T fractions, from the samples ``start`` to the samples ``end``."""

    start: Ends
    end: Ends
    features: Tensor
    """(T, P, D); the first and the last row are those of the ends."""
    scores: Tensor | None
    """(T, P) float64 raw scores, where there is a discriminator to ask."""

    def __len__(self) -> int:
        return len(self.start)


def ends(view: View, side: str, rows: Sequence[int]) -> Ends:
    """Return the samples ``rows`` of a declared node ``values/SIDE``."""
    numbers = list(rows)
    features, labels = [], []
    for start in range(0, len(numbers), _PORTION):
        x, told = view.values(side, numbers[start : start + _PORTION])
        features.append(view.features_of(x))
        labels += [] if told is None else [told]
    return Ends(
        lambda wanted: view.values(side, [numbers[i] for i in wanted])[0],
        torch.cat(features),
        torch.cat(labels) if labels else None,
    )


def noise(view: View, seed: int, like: Ends) -> Ends:
    """Return as many samples of noise, each value even over the range and by itself, with the classes of ``like``."""
    sample = view.subject.sample
    size = int(np.prod(sample.shape))

    def read(wanted: list[int]) -> Tensor:
        drawn = [uniforms(seed, _NOISE_STREAM, i, 1, size)[0] for i in wanted]
        unit = torch.from_numpy(np.stack(drawn)).float().view(-1, *sample.shape)
        return sample.low + (sample.high - sample.low) * unit

    places = list(range(len(like)))
    parts = [view.features_of(read(places[i : i + _PORTION])) for i in range(0, len(places), _PORTION)]
    return Ends(read, torch.cat(parts), like.labels)


def unjudged(view: View, sides: Sequence[Ends]) -> str | None:
    """Return why no discriminator can be asked about mixtures of these samples, or None."""
    subject, missing = view.subject, view.missing("scores/fake")
    if missing is not None or not subject.judges_labels:
        return missing
    for side in sides:
        if side.labels is None:
            return f"the discriminator is told the class, and {len(side)} samples to mix have no labels"
        if not bool(((side.labels >= 0) & (side.labels < subject.classes)).all()):
            found = f"{int(side.labels.min())} to {int(side.labels.max())}"
            return f"the discriminator knows the classes 0 to {subject.classes - 1}; the samples to mix have {found}"
    return None


def mixtures(
    view: View, start: Ends, end: Ends, t: Sequence[float], rule: Pairing, rng: np.random.Generator, *, judge: bool
) -> Mixtures:
    """Return the mixtures (1 - t) x + t y of pairs x of ``start`` and y of ``end``, chosen by ``rule``.

    With ``judge`` the discriminator scores them; where it is told the class, pairs are of one class.
    """
    told = start.labels is not None and end.labels is not None
    labels = (start.labels, end.labels) if told else None
    places = paired(start.features, end.features, rule, rng, labels)  # type: ignore[arg-type]
    first, second = start.at(places[0]), end.at(places[1])
    features = torch.empty(len(t), len(first), start.features.shape[1], dtype=start.features.dtype)
    features[0], features[-1] = first.features, second.features
    scores = torch.empty(len(t), len(first), dtype=torch.float64)
    for begin in range(0, len(first), _PORTION):
        some = list(range(begin, min(begin + _PORTION, len(first))))
        x, y = first.read(some), second.read(some)
        classes = None if second.labels is None else second.labels[some]
        for place, share in enumerate(t):
            mixed = lerp(x, y, share)
            if 0 < place < len(t) - 1:
                features[place, some] = view.features_of(mixed).to(features.dtype)
            if judge:
                scores[place, some] = judged(view.subject, mixed, classes)
    # By the sample at the end, so that way i of two mixtures with the same ends, each used once, leads to the same one.
    order = places[1].argsort(stable=True)
    return Mixtures(first.at(order), second.at(order), features[:, order], scores[:, order] if judge else None)


def scored(view: View, side: Ends) -> Tensor:
    """Return the raw scores (N,) float64 of the samples of ``side``."""
    parts = []
    for begin in range(0, len(side), _PORTION):
        some = list(range(begin, min(begin + _PORTION, len(side))))
        parts.append(judged(view.subject, side.read(some), None if side.labels is None else side.labels[some]))
    return torch.cat(parts)
