"""Discriminator of waveforms that reads their short-time spectra.

The values of a tone depend on its phase, the magnitudes of its spectra hardly do, so that few layers tell pitches and
timbres apart. Source of the idea: Jang et al., UnivNet, 2021, arXiv:2106.07889.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganaudit.numerics.arguments import whole
from ganaudit.training.networks.layers import Discriminator, Head, ResidualBlock, drawn, full_precision, rectified

__all__ = ["SpectrogramDiscriminator"]

_FLOOR = 1e-2
"""Of a magnitude; what is far below it has no part, and no gradient without bound."""


class SpectrogramDiscriminator(Discriminator):
    """Short-time spectra, then a residual trunk: waveform (B, channels, size) to logits (B, outputs).

    Spectra of ``window`` values under a Hann window, half a window apart; size is a multiple of half a window, at least
    a window. A magnitude m = 2 |X| / sqrt(window) enters as (m^2 + 0.01^2)^(1/4) - 0.1: about the square root of the
    amplitude, smooth at 0. All of them, with ``values`` the waveform itself beside them, enter a linear layer of
    ``width``, then ``depth`` residual blocks. Magnitudes alone cannot tell a tone that always starts at one phase from
    one that starts at any. With ``classes`` the last layer projects on the class.
    """

    kind: ClassVar[Literal["image", "audio"]] = "audio"
    taper: Tensor

    def __init__(
        self,
        size: int,
        channels: int,
        *,
        classes: int = 0,
        outputs: int = 1,
        width: int = 192,
        depth: int = 2,
        window: int = 1024,
        values: bool = False,
    ) -> None:
        super().__init__()
        whole(channels, "channels", 1)
        whole(width, "width", 1)
        whole(depth, "depth", 0)
        if window < 4 or window % 2 or size < window or size % (window // 2):
            raise ValueError(
                f"window: found {window} with size {size}; allowed: an even number from 4 to the size, of which half "
                "goes into the size without remainder"
            )
        self.window, self.values = window, values
        frames = size // (window // 2) - 1
        features = channels * (frames * (window // 2 + 1) + (size if values else 0))
        self.first = drawn(nn.Linear(features, width))
        self.trunk = nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))
        self.last = Head(width, classes, outputs, gain=0.5)
        self.register_buffer("taper", torch.hann_window(window), persistent=False)

    def responses(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return logits (B, outputs)."""
        seen = self.magnitudes(x).flatten(1)
        y = self.trunk(self.first(torch.cat([seen, x.flatten(1)], 1) if self.values else seen))
        return (self.last(rectified(y), labels),)

    def magnitudes(self, x: Tensor) -> Tensor:
        """Return what enters the first layer: (B, channels, spectra, window/2 + 1), not negative."""
        with full_precision(x):
            spectra = torch.fft.rfft(x.unfold(2, self.window, self.window // 2) * self.taper.to(x.dtype))
            power = (spectra.real.square() + spectra.imag.square()) * (4 / self.window)
            found: Tensor = (power + _FLOOR**2) ** 0.25 - _FLOOR**0.5
            return found
