"""A critic as an attack sees it: one raw score per sample, a threshold, and the range of the samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["SIDES", "Critic", "Side", "ascent"]

Side = Literal["fake", "real"]

SIDES: tuple[Side, ...] = ("fake", "real")
"""Which samples are changed: generated ones that shall pass as real, or real ones that shall be called generated."""


def _unheard(_: str) -> None:
    return


@dataclass(frozen=True, slots=True, eq=False)
class Critic:
    """A scalar score with a threshold.

    A sample is called generated when its score lies strictly below the threshold, else real. ValueError for a
    threshold that is no number and for a range that is empty.
    """

    score: Callable[[Tensor], Tensor]
    """(B, ...) in [low, high] to raw scores (B,), larger is more real; never a probability where there is a logit."""
    threshold: float
    low: float
    high: float
    """The range of the samples' values."""
    scale: float = 1.0
    """Spread of the scores of calibration reals (interquartile range); for reporting, in no loss."""
    differentiable: bool = True
    told: Callable[[str], None] = _unheard
    """Takes what an attack did otherwise than asked, in words; ``attempt`` puts it into the notes of its outcome."""

    def __post_init__(self) -> None:
        if math.isnan(self.threshold):
            raise ValueError("threshold: found NaN; allowed: a number")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"range: found {self.low} to {self.high}; allowed: finite, low below high")

    def scores(self, x: Tensor) -> Tensor:
        """Return the raw scores (B,) in float64, on the gradient tape when ``x`` is.

        In float64 a score and the threshold are compared as they stand: float32 would round the threshold. Raises
        ValueError when the critic does not return one number per sample.
        """
        found = self.score(x)
        if found.shape != (len(x),):
            raise ValueError(
                f"critic: found scores of shape {tuple(found.shape)}; allowed: ({len(x)},), one per sample"
            )
        return found.double()

    def margin(self, x: Tensor, side: Side) -> Tensor:
        """Return how far each sample is from being fooled, (B,) float64 in the score's unit.

        threshold - score for fakes, > 0 while still called generated; score - threshold for reals, >= 0 while still
        called real.
        """
        return self.margin_of(self.scores(x), side)

    def margin_of(self, scores: Tensor, side: Side) -> Tensor:
        """Return the margin of raw scores (B,)."""
        return self.threshold - scores if side == "fake" else scores - self.threshold

    def fooled(self, x: Tensor, side: Side) -> Tensor:
        """Return which samples have crossed, (B,) bool, without a gradient tape."""
        with torch.no_grad():
            return self.fooled_of(self.scores(x), side)

    def fooled_of(self, scores: Tensor, side: Side) -> Tensor:
        """Return which raw scores (B,) have crossed: at or above the threshold for fakes, below it for reals.

        A score that is no number has crossed nothing.
        """
        return scores >= self.threshold if side == "fake" else scores < self.threshold


def ascent(critic: Critic, x: Tensor, side: Side) -> tuple[Tensor, Tensor]:
    """Return the margins (B,) float64 at ``x`` and the gradient, shaped like ``x``, along which they *fall*.

    One forward and one backward pass. Entries of the gradient that are no finite numbers are 0. Parameters keep their
    own gradients. Raises ValueError for a critic that is not differentiable.
    """
    if not critic.differentiable:
        raise ValueError("critic: found one without gradients; allowed: a differentiable one, or a black-box attack")
    with torch.enable_grad():
        moved = x.detach().requires_grad_(True)
        scores = critic.scores(moved)
        gradient = _gradient(scores, moved)
    margins = critic.margin_of(scores.detach(), side)
    return margins, gradient if side == "fake" else -gradient


def _gradient(scores: Tensor, x: Tensor) -> Tensor:
    if not scores.requires_grad:  # a constant critic: nothing leads anywhere
        return torch.zeros_like(x)
    (found,) = torch.autograd.grad(scores.sum(), x, allow_unused=True)
    if found is None:
        return torch.zeros_like(x)
    found = found.detach()
    # A sum that is finite costs one look and says that every entry is.
    if bool(found.sum().isfinite()):
        return found
    return torch.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
