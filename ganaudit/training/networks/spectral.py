"""Spectral normalisation: a weight divided by its largest singular value, found by power iteration.

Source: Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, arXiv:1802.05957.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SpectralConv2d", "SpectralNorm"]

_SETTLE = 15  # iterations at the start, so that the first steps already divide by about the right number
_LEAST = 1e-12


class SpectralNorm(nn.Module):
    """Divides a weight, seen as a matrix (first dimension, all others), by its largest singular value.

    The two singular vectors are buffers. In training mode each call moves them by one power iteration on the weight as
    it is; otherwise they stay. The value is u·Wv, from below the true one, and converges to it while the weight rests;
    its gradient is that of the exact singular value there (u and v are constants of the gradient).
    """

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("left", functional.normalize(torch.randn(matrix.shape[0]).to(matrix), dim=0))
        self.register_buffer("right", functional.normalize(torch.randn(matrix.shape[1]).to(matrix), dim=0))
        self._iterate(matrix, _SETTLE)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight divided by its largest singular value."""
        kind = weight.device.type
        off: AbstractContextManager[Any] = nullcontext()
        if kind != "meta" and torch.is_autocast_enabled(kind):
            off = torch.autocast(kind, enabled=False)
        with off:
            matrix = weight.flatten(1)
            if self.training:
                self._iterate(matrix.detach(), 1)
            # Copies: the buffers move at the next call, while this call's graph may still need these values.
            left, right = self.left.clone(), self.right.clone()
            normed: Tensor = weight / torch.dot(left, matrix @ right).clamp_min(_LEAST)
            return normed

    @torch.no_grad()
    def _iterate(self, matrix: Tensor, times: int) -> None:
        left, right = self.left, self.right
        for _ in range(times):
            right = functional.normalize(left @ matrix, dim=0)
            left = functional.normalize(matrix @ right, dim=0)
        self.left.copy_(left)
        self.right.copy_(right)


class SpectralConv2d(nn.Conv2d):
    """A convolution whose kernel, as a matrix (planes out, planes in x height x width), has spectral norm 1.

    This is the usual reading; it bounds the convolution's own norm only up to a factor of the kernel's size.
    """

    def __init__(self, planes_in: int, planes_out: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(planes_in, planes_out, kernel, stride=stride, padding=padding)
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.spectral = SpectralNorm(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of ``x``."""
        y: Tensor = self._conv_forward(x, self.spectral(self.weight), self.bias)
        return y
