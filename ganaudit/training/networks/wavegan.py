"""WaveGAN: the deep convolutional GAN on waveforms, with long kernels and steps of four.

Source: Donahue et al., Adversarial Audio Synthesis, 2018, arXiv:1802.04208. Where we differ: the transposed
convolution, slow on CPU, is written as a convolution at the low rate whose planes are interleaved, or as repetition
followed by a convolution; there is no phase shuffle, whose randomness would have to come in from outside.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganaudit.numerics.arguments import whole
from ganaudit.training.networks.layers import Discriminator, Head, LatentInput, chosen, drawn, image_range, rectified

__all__ = ["WaveganDiscriminator", "WaveganGenerator"]

_STEP = 4
_KERNEL = 25
_LOW_KERNEL = 7  # taps of a kernel of 25 that meet one phase of four
_SHORTEST, _LONGEST = 16, 63
_MOST = 16  # times the width: the planes of the shortest maps


def _steps(size: int) -> tuple[int, int]:
    """Return m and b of ``size = b * 4^m``, b from 16 to 63, m at least 1; raises ValueError when there are none."""
    b, m = size, 0
    while b > _LONGEST and b % _STEP == 0:
        b, m = b // _STEP, m + 1
    if m < 1 or not _SHORTEST <= b <= _LONGEST:
        raise ValueError(
            f"size must be a whole number from {_SHORTEST} to {_LONGEST} times a power of {_STEP}, such as 2048, 4096 "
            f"or 16384; found {size}"
        )
    return m, b


def _planes(width: int, steps: int) -> list[int]:
    """Return the planes of the maps from the shortest on."""
    whole(width, "width", 1)
    return [width * min(2**i, _MOST) for i in reversed(range(steps))]


class _Stretch(nn.Module):
    """Maps (B, C, T) to (B, planes, 4T)."""

    def __init__(self, planes_in: int, planes_out: int, stretching: str, gain: float) -> None:
        super().__init__()
        self.planes, self.stretching = planes_out, stretching
        if stretching == "repeat":
            self.convolution = drawn(nn.Conv1d(planes_in, planes_out, _KERNEL, padding=_KERNEL // 2), gain)
            return
        convolution = nn.Conv1d(planes_in, _STEP * planes_out, _LOW_KERNEL, padding=_LOW_KERNEL // 2)
        self.convolution = drawn(convolution, gain)
        with torch.no_grad():
            # All phases start with one kernel: at first values are repeated, without a tone at a quarter of the rate.
            weight = self.convolution.weight
            weight.copy_(weight[::_STEP].repeat_interleave(_STEP, 0))

    def forward(self, x: Tensor) -> Tensor:
        if self.stretching == "repeat":
            y: Tensor = self.convolution(functional.interpolate(x, scale_factor=float(_STEP), mode="nearest"))
            return y
        length = x.shape[2]
        phases: Tensor = self.convolution(x).view(-1, self.planes, _STEP, length)
        return phases.transpose(2, 3).reshape(-1, self.planes, _STEP * length)


class WaveganGenerator(nn.Module):
    """Long kernels, fourfold steps: latent (B, latent) to waveform (B, channels, size) in [-1, 1].

    Size is 16 to 63 times a power of 4. A fully connected layer to the shortest map, then fourfold stretching with
    rectifiers between. The longest map before the waveform has ``width`` planes, each one before twice as many, at most
    sixteen times. ``stretching``: ``shuffle``, a convolution of 7 taps at the low rate whose planes are interleaved, or
    ``repeat``, repetition and a convolution of 25 taps, with 3.6 times the operations. With ``classes`` an embedding of
    the class stands beside the latent.
    """

    kind: ClassVar[Literal["image", "audio"]] = "audio"

    def __init__(
        self, size: int, channels: int, latent: int, *, classes: int = 0, width: int = 32, stretching: str = "shuffle"
    ) -> None:
        super().__init__()
        steps, self.length = _steps(size)
        chosen(stretching, "stretching", ("shuffle", "repeat"))
        whole(channels, "channels", 1)
        self.planes = _planes(width, steps)
        self.input = LatentInput(latent, classes)
        self.map = drawn(nn.Linear(self.input.features, self.planes[0] * self.length))
        there = [*self.planes[1:], channels]
        self.stretches = nn.ModuleList(
            _Stretch(a, b, stretching, 0.5 if i == steps - 1 else 1.0)
            for i, (a, b) in enumerate(zip(self.planes, there, strict=True))
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return waveforms."""
        x = self.map(self.input(z, labels)).view(-1, self.planes[0], self.length)
        for stretch in self.stretches:
            x = stretch(rectified(x))
        return image_range(x, z)


class WaveganDiscriminator(Discriminator):
    """Long kernels, fourfold steps: waveform (B, channels, size) to logits (B, outputs).

    The generator's maps in reverse order. For each step a convolution of 25 taps with stride 4 and a leaky rectifier;
    the last layer reads the shortest map whole, with ``classes`` it projects on the class.
    """

    kind: ClassVar[Literal["image", "audio"]] = "audio"

    def __init__(self, size: int, channels: int, *, classes: int = 0, outputs: int = 1, width: int = 32) -> None:
        super().__init__()
        steps, length = _steps(size)
        whole(channels, "channels", 1)
        planes = _planes(width, steps)[::-1]
        self.convolutions = nn.ModuleList(
            drawn(nn.Conv1d(here, there, _KERNEL, stride=_STEP, padding=11))
            for here, there in zip([channels, *planes[:-1]], planes, strict=True)
        )
        self.last = Head(planes[-1] * length, classes, outputs, gain=0.5)

    def responses(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return logits (B, outputs)."""
        for convolution in self.convolutions:
            x = rectified(convolution(x))
        return (self.last(x.flatten(1), labels),)
