"""Samples of one side put before a subject's discriminator, as the attacks need them: scalar critics with gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.critic import Critic, Side
from ganaudit.attacks.threat import Attack, Threat
from ganaudit.attacks.trial import Outcome, attempt, scored
from ganaudit.numerics.memory import is_out_of_memory
from ganaudit.subjects.subject import Subject

__all__ = ["Accused", "Group", "accused", "has_gradients", "joined", "padded"]

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Samples that one scalar critic judges."""

    critic: Critic
    places: Tensor
    """Their places among all, (n,) int64."""
    label: int | None = None
    """The class that the critic is told; None where it is told none."""


@dataclass(frozen=True, slots=True, eq=False)
class Accused:
    """Samples of one side and the critics that judge them: one, or one for each class the discriminator is told."""

    side: Side
    x: Tensor
    """(N, ...) within the range, on the subject's device."""
    groups: tuple[Group, ...]
    """Together they hold every place once."""

    @property
    def differentiable(self) -> bool:
        """Whether the scores have gradients."""
        return all(group.critic.differentiable for group in self.groups)

    def scores(self, batch: int = 256) -> Tensor:
        """Return the raw scores (N,), float64 on the CPU."""
        found = torch.empty(len(self.x), dtype=torch.float64)
        for group in self.groups:
            found[group.places] = scored(group.critic, self.x[group.places], batch)[0].cpu()
        return found

    def attempt(self, attack: Attack, threat: Threat, rng: np.random.Generator, batch: int = 256) -> Outcome:
        """Return what ``attack`` does to all samples, class by class; see ``trial.attempt``."""
        return self.each(lambda critic, x: attempt(critic, attack, x, threat, rng, batch=batch))

    def each(self, work: Callable[[Critic, Tensor], Outcome]) -> Outcome:
        """Return the outcomes of ``work(critic, samples)`` in the order of the samples, on the CPU."""
        return joined([(group.places, work(group.critic, self.x[group.places])) for group in self.groups])

    def part(self, wanted: Tensor) -> Accused:
        """Return the samples where ``wanted`` (N,) bool is true; classes without any are left out."""
        kept = torch.nonzero(wanted)[:, 0]
        place = torch.full((len(wanted),), -1)
        place[kept] = torch.arange(len(kept))
        moved = [replace(group, places=place[group.places][place[group.places] >= 0]) for group in self.groups]
        return replace(self, x=self.x[kept], groups=tuple(group for group in moved if len(group.places)))

    def opened(self, batch: int = 256) -> Accused:
        """Return the same with a threshold beyond every score, so that each sample is pushed as far as it goes."""
        moved = []
        for group in self.groups:
            before, _ = scored(group.critic, self.x[group.places], batch)
            low, high = float(before.min()), float(before.max())
            beyond = (high - low) or max(abs(high), 1e-30)
            threshold = high + beyond if self.side == "fake" else low - beyond
            moved.append(replace(group, critic=replace(group.critic, threshold=threshold)))
        return replace(self, groups=tuple(moved))


def accused(
    subject: Subject, x: Tensor, labels: Tensor | None, side: Side, threshold: float, scale: float = 1.0
) -> Accused:
    """Return the samples ``x`` (N, ...) clipped to the range, with the critics of ``subject`` that judge them.

    ``labels`` (N,): one critic for each class, with that class bound. Whether there are gradients is found out on two
    samples. ValueError for no samples.
    """
    if not len(x):
        raise ValueError("x: found no samples; allowed: one or more")
    low, high = subject.sample.low, subject.sample.high
    placed = x.clamp(low, high).to(subject.device)
    every = torch.arange(len(x))
    parts = [(None, every)] if labels is None else [(c, every[labels == c]) for c in sorted(set(labels.tolist()))]
    groups = []
    for label, places in parts:
        score = _score(subject, label)
        critic = Critic(score, threshold, low, high, scale, has_gradients(score, placed[places[:2]]))
        groups.append(Group(critic, places, label))
    return Accused(side, placed, tuple(groups))


def has_gradients(network: Network, x: Tensor) -> bool:
    """Return whether what ``network`` makes of ``x`` can be traced back to it."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_(True)
        try:
            made = network(leaf)
            if not made.requires_grad:
                return False
            (found,) = torch.autograd.grad(made.sum(), leaf, allow_unused=True)
        except (RuntimeError, NotImplementedError) as error:  # an operator that knows no gradient
            if is_out_of_memory(error):
                raise
            return False
    return found is not None


def padded(network: Network, x: Tensor, block: int | None) -> Tensor:
    """Return ``network(x)`` for a program that takes ``block`` rows at once and no other number; None: any."""
    if block is None:
        return network(x)
    parts = []
    for start in range(0, len(x), block):
        rows = torch.arange(start, start + block, device=x.device).clamp(max=len(x) - 1)
        parts.append(network(x[rows]))
    return torch.cat(parts)[: len(x)]


def joined(parts: Sequence[tuple[Tensor, Outcome]]) -> Outcome:
    """Return outcomes on disjoint samples as one, at their places, on the CPU."""
    order = torch.cat([places for places, _ in parts]).argsort()

    def column(name: str) -> Tensor:
        return torch.cat([getattr(outcome, name).cpu() for _, outcome in parts])[order]

    return Outcome(
        fooled=column("fooled"),
        fooled_quantised=column("fooled_quantised"),
        norms=column("norms"),
        scores_before=column("scores_before"),
        scores_after=column("scores_after"),
        samples=column("samples"),
        forward=sum(outcome.forward for _, outcome in parts),
        backward=sum(outcome.backward for _, outcome in parts),
        notes=tuple(dict.fromkeys(note for _, outcome in parts for note in outcome.notes)),
    )


def _score(subject: Subject, label: int | None) -> Network:
    def score(x: Tensor) -> Tensor:
        def judge(rows: Tensor) -> Tensor:
            labels = None if label is None else torch.full((len(rows),), label, dtype=torch.int64)
            return subject.score(rows, labels)

        return padded(judge, x, subject.block)

    return score
