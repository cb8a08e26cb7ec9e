"""Attacks made on one discriminator and tried on another, with noise of the same budget beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.accused import Accused
from ganaudit.attacks.chance import Draws
from ganaudit.attacks.threat import Attack, Threat

__all__ = ["Crossing", "crossed", "noisy", "rightly"]


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """What became of N samples, each (N,) bool on the CPU."""

    made: Tensor
    """Which fool the discriminator that the attack was made on."""
    tried: Tensor
    """Which of the same changed samples fool the other."""
    noise: Tensor
    """Which samples under noise of the same budget fool the other."""
    notes: tuple[str, ...] = ()
    """What the attack has to say of itself."""


def crossed(maker: Accused, taker: Accused, attack: Attack, threat: Threat, rng: np.random.Generator) -> Crossing:
    """Return what ``attack``, made on ``maker``, does to ``taker``; both accuse the same samples, in the same order.

    Every sample counts, also one that does not fool ``maker``: whoever has a stand-in alone cannot know. The other
    discriminator is asked once and never while the attack is made. ValueError for unlike samples.
    """
    if maker.side != taker.side or maker.x.shape != taker.x.shape or not torch.equal(maker.x, taker.x.to(maker.x)):
        raise ValueError("taker: found other samples than the maker's; allowed: the same, in the same order")
    outcome = maker.attempt(attack, threat, rng)
    tried, noise = _fooled(taker, outcome.samples), _fooled(taker, noisy(maker.x, threat, rng))
    return Crossing(outcome.fooled, tried, noise, outcome.notes)


def noisy(x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
    """Return ``x`` (N, ...) with every value moved by the whole linf radius, up or down by chance, within the range.

    As large a change of every value as any attack of the budget makes; noise inside the ball would be smaller, and a
    transfer that beats it might be owed to size alone. A linear critic with weights w moves by a sum of ±radius·w_i:
    by radius·|w|_2 in standard deviation, where the attack made on it moves it by radius·|w|_1.
    """
    up = Draws(rng, x).uniform(*x.shape[1:]) < 0.5
    return threat.allowed(x, x + torch.where(up, threat.budget.radius, -threat.budget.radius).to(x))


def rightly(accused: Accused) -> Tensor:
    """Return which samples are called what they are, (N,) bool."""
    return ~_fooled(accused, accused.x)


def _fooled(accused: Accused, x: Tensor) -> Tensor:
    scores = replace(accused, x=x.to(accused.x)).scores()
    found = torch.empty(len(x), dtype=torch.bool)
    for group in accused.groups:
        found[group.places] = group.critic.fooled_of(scores[group.places], accused.side)
    return found
