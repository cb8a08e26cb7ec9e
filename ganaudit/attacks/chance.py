"""Random numbers of an attack: those of one sample depend on the seed and on that sample, never on its batch."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Draws"]

_Draw = Callable[[np.random.Generator], npt.NDArray[np.float32]]


class Draws:
    """Random numbers for the samples ``x``, row by row.

    Each call takes one number from ``rng`` and starts, for each sample, a stream keyed by that number and by the
    sample's own values (CRC-32). Two copies of one sample therefore get the same numbers.
    """

    def __init__(self, rng: np.random.Generator, x: Tensor) -> None:
        self._rng = rng
        self._device = x.device
        rows = x.detach().cpu().contiguous().flatten(1).numpy()
        self._keys = [zlib.crc32(row.tobytes()) for row in rows]

    def uniform(self, *shape: int) -> Tensor:
        """Return (B, *shape) float32, uniform in [0, 1)."""
        return self._made(shape, lambda stream: stream.random(shape, dtype=np.float32))

    def normal(self, *shape: int) -> Tensor:
        """Return (B, *shape) float32, standard normal."""
        return self._made(shape, lambda stream: stream.standard_normal(shape, dtype=np.float32))

    def exponential(self, *shape: int) -> Tensor:
        """Return (B, *shape) float32, exponential with mean 1."""
        return self._made(shape, lambda stream: stream.standard_exponential(shape, dtype=np.float32))

    def _made(self, shape: tuple[int, ...], draw: _Draw) -> Tensor:
        event = int(self._rng.integers(2**63))
        made = np.empty((len(self._keys), *shape), dtype=np.float32)
        for row, key in enumerate(self._keys):
            made[row] = draw(np.random.Generator(np.random.Philox(key=[event, key])))
        return torch.from_numpy(made).to(self._device)
