"""How both sides fill the cells of feature space that reals suggest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ganaudit.evidence.view import View
from ganaudit.numerics.bins import BinTest, assigned, centres, jensen_shannon, two_shares

__all__ = ["OF_BIN", "Filled", "filled"]

OF_BIN = 20
"""Reals that a bin holds on average at the least."""
_MOST = 10_000  # reals that the centres are found from


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """Bins of one side of reals, and what lies in them."""

    rows: npt.NDArray[np.int64]
    """The bin of every real."""
    test: BinTest

    @property
    def sizes(self) -> dict[str, int]:
        """Samples of each side."""
        return {"real": int(self.test.real.sum()), "fake": int(self.test.fake.sum())}

    @property
    def divergence(self) -> float:
        """Jensen-Shannon, in nats."""
        sizes = self.sizes
        return float(jensen_shannon(self.test.real / sizes["real"], self.test.fake / sizes["fake"]))

    def differing(self, level: float) -> float:
        """Return the share of bins that differ when the false discovery rate is kept at ``level``."""
        return float((self.test.adjusted <= level).mean())

    def missing(self, below: float) -> npt.NDArray[np.int64]:
        """Return the bins whose share of generated samples is less than ``below`` times that of reals."""
        sizes = self.sizes
        return np.flatnonzero(self.test.fake / sizes["fake"] < below * self.test.real / sizes["real"]).astype(np.int64)


def filled(view: View, real: str, fake: str, bins: int, rng: np.random.Generator) -> Filled:
    """Return how ``fake`` fills at most ``bins`` cells around k-means centres of ``real``; blocks of it in memory.

    More than 10,000 reals are drawn down to as many for the centres alone.
    """
    reals = view[f"features/{real}"]
    some = reals if len(reals) <= _MOST else reals[torch.from_numpy(np.sort(rng.permutation(len(reals))[:_MOST]))]
    at = centres(some, max(1, min(bins, len(reals) // OF_BIN)), rng)
    rows = assigned([(0, reals)], at)
    others = assigned(view.blocks(f"features/{fake}"), at)
    counts = [np.bincount(side, minlength=len(at)).astype(np.int64) for side in (rows, others)]
    return Filled(rows, two_shares(*counts))
