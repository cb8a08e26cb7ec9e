"""Latents of a subject and its generator as attacks on it need it: differentiable, one class at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.accused import accused, padded
from ganaudit.attacks.critic import Critic
from ganaudit.subjects.subject import Subject

__all__ = ["Drawn", "Portion", "drawn", "generation"]

Generate = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Portion:
    """Latents of one class, or all of an unconditional generator."""

    generate: Generate
    critic: Critic
    z: Tensor
    """(n, d), on the subject's device."""
    label: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """New latents of a subject, by class."""

    portions: tuple[Portion, ...]
    dimension: int

    def first(self, count: int) -> Drawn:
        """Return at most ``count`` latents, from each class in turn of its size."""
        total = sum(len(one.z) for one in self.portions)
        kept = []
        left = min(count, total)
        for one in self.portions:
            share = min(left, max(1, round(count * len(one.z) / total)))
            left -= share
            if share:
                kept.append(Portion(one.generate, one.critic, one.z[:share], one.label))
        return Drawn(tuple(kept), self.dimension)


def drawn(subject: Subject, count: int, threshold: float, rng: np.random.Generator) -> Drawn:
    """Return ``count`` latents by the subject's own law, that are none of the audit's, with labels by its law."""
    assert subject.latent is not None
    seed = int(rng.integers(2**31))
    z, labels = subject.latents(seed, 0, count).to(subject.device), subject.labels(seed, 0, count)
    parts = [(None, torch.arange(count))] if labels is None else [
        (c, torch.nonzero(labels == c)[:, 0]) for c in sorted(set(labels.tolist()))
    ]  # fmt: skip
    portions = []
    for label, places in parts:
        generate = generation(subject, label)
        with torch.no_grad():
            x = generate(z[places[:2]])
        told = None if label is None or not subject.judges_labels else torch.full((len(x),), label)
        critic = accused(subject, x, told, "fake", threshold).groups[0].critic
        portions.append(Portion(generate, critic, z[places], label))
    return Drawn(tuple(portions), subject.latent.size)


def generation(subject: Subject, label: int | None) -> Generate:
    """Return the generator as a differentiable function of latents (B, d), of one class where it takes classes.

    Samples are float32, unclipped, on the subject's device.
    """
    network = subject.generator
    assert network is not None

    def make(z: Tensor) -> Tensor:
        given = z[:, :, None, None] if subject.spatial_latent else z
        if label is None:
            made: Tensor = network(given)
        else:
            made = network(given, torch.full((len(z),), label, dtype=torch.int64, device=z.device))
        return made.float()

    return lambda z: padded(make, z, subject.block)
