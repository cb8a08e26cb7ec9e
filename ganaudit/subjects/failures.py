"""Which latents a generator fails on, and what is drawn in their place."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Failures"]


class Failures:
    """Remembers for each seed which samples came out as NaN or infinity, and how often each was drawn again."""

    def __init__(self) -> None:
        self._redraws: dict[int, dict[int, int]] = {}

    def note(self, seed: int, sample: int, redraws: int) -> None:
        """Remember that ``sample`` of ``seed`` stands for its latent's ``redraws``-th redraw."""
        self._redraws.setdefault(seed, {})[sample] = redraws

    def note_all(self, seed: int, redraws: Tensor) -> None:
        """Remember the redraws of the first samples of ``seed``, int64 (N,)."""
        for sample in redraws.nonzero().flatten().tolist():
            self.note(seed, sample, int(redraws[sample]))

    def of(self, seed: int) -> dict[int, int]:
        """Return the redraws of the samples of ``seed`` that failed, by sample, rising."""
        return dict(sorted(self._redraws.get(seed, {}).items()))

    def redraws(self, seed: int, start: int, count: int) -> Tensor:
        """Return how often each of the samples ``start`` to ``start + count`` was drawn again, int64 (count,)."""
        found = torch.zeros(count, dtype=torch.int64, device="cpu")
        for sample, redraws in self._redraws.get(seed, {}).items():
            if start <= sample < start + count:
                found[sample - start] = redraws
        return found
