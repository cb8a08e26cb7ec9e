"""Discriminators whose one defect is known, for controls: made of the mean images of a set's modes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from ganaudit.data.laws import Law, places_of
from ganaudit.numerics.quantise import to_uint8

__all__ = ["CRITICS", "PlantedCritic"]

CRITICS: Mapping[str, str] = {
    "sensible": "larger the nearer a sample lies to the mean of some mode of the train split",
    "inverted": "the sensible one with its sign turned round",
    "blind": "0, whatever it is shown",
    "saturated": "the sensible one behind a step: nearly every score is -1 or 1, and its gradient 0",
    "overfit": "the sensible one, and 10 more for every sample of the train split, known by heart",
}
"""What each returns, by name."""

_USED, _STEP = 2_000, 512
_STEEP, _BONUS = 1_000.0, 10.0


class PlantedCritic(nn.Module):
    """A score (N,) for samples (N, C, ...) in -1..1, larger for more real.

    The sensible score is (m - d)/s: d the squared distance to the nearest of the modes' mean images, averaged over
    pixels, m and s its mean and standard deviation over train samples.
    """

    templates: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, law: Law, critic: str) -> None:
        super().__init__()
        self.law, self.critic = law, critic
        draws = law.known()[:_USED]
        x = torch.from_numpy(law.sample(draws, np.arange(len(draws)))).flatten(1)
        modes = places_of(draws[:, 0], law.shares)
        means = [x[torch.from_numpy(modes == mode)].mean(0) for mode in np.unique(modes)]
        self.register_buffer("templates", torch.stack(means))
        far = _nearest(x, self.templates).double()
        self.register_buffer("centre", far.mean().float())
        self.register_buffer("spread", far.std().float())

    def forward(self, x: Tensor) -> Tensor:
        """Return one score per sample."""
        score = (self.centre - _nearest(x.flatten(1), self.templates)) / self.spread
        if self.critic == "blind":
            return score * 0
        if self.critic == "inverted":
            return -score
        if self.critic == "saturated":
            return torch.tanh(_STEEP * score)
        return score + _BONUS * self._known(x).to(score) if self.critic == "overfit" else score

    def _known(self, x: Tensor) -> Tensor:
        """Return whether each sample is one of the train split, level for level, (N,) bool."""
        return torch.tensor([one in self._by_heart for one in _digests(x)], dtype=torch.bool)

    @cached_property
    def _by_heart(self) -> frozenset[bytes]:
        draws, held = self.law.known(), set()
        for start in range(0, len(draws), _STEP):
            part = draws[start : start + _STEP]
            held |= set(_digests(torch.from_numpy(self.law.sample(part, np.arange(start, start + len(part))))))
        return frozenset(held)


def _nearest(x: Tensor, templates: Tensor) -> Tensor:
    """Return the mean squared difference of each row of ``x`` (N, D) to the nearest template (M, D), (N,)."""
    squares = (x * x).mean(1)[:, None] + (templates * templates).mean(1) - 2 * (x @ templates.T) / x.shape[1]
    return squares.min(1).values


def _digests(x: Tensor) -> list[bytes]:
    levels = to_uint8(x.detach().cpu(), -1.0, 1.0)
    return [hashlib.blake2b(one.numpy().tobytes(), digest_size=8).digest() for one in levels]
