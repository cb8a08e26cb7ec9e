"""Fixed filters that double and halve the side of maps, as depthwise convolutions.

The filter is the outer product of [1, 3, 3, 1] with itself, scaled so that a constant stays one away from the border:
it enlarges as bilinear interpolation does and halves without aliasing the coarsest detail. Beyond the border is 0.
Convolutions have gradients of every order and deterministic kernels; interpolation has no deterministic gradient on
CUDA.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Doubling", "Halving"]

_TAPS = (1.0, 3.0, 3.0, 1.0)


class Doubling(nn.Module):
    """Maps (B, C, H, W) to (B, C, 2H, 2W)."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Of four taps two meet an output: the gain of a constant is their sum, 1.
        taps = torch.tensor(_TAPS) * 2 / sum(_TAPS)
        self.register_buffer("kernel", torch.outer(taps, taps)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the enlarged maps."""
        planes = x.shape[1]
        return functional.conv_transpose2d(x, self.kernel.repeat(planes, 1, 1, 1), stride=2, padding=1, groups=planes)


class Halving(nn.Module):
    """Maps (B, C, 2H, 2W) to (B, C, H, W)."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(_TAPS) / sum(_TAPS)
        self.register_buffer("kernel", torch.outer(taps, taps)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the reduced maps."""
        planes = x.shape[1]
        return functional.conv2d(x, self.kernel.repeat(planes, 1, 1, 1), stride=2, padding=1, groups=planes)
