"""What a single sample shows of its quality, without another to compare it with.

None of these is quality itself: a blurred picture has little sharpness, and so has a picture of fog.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["contrast", "flatness", "level", "sharpness"]

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as JPEG has it
_SILENCE = 1e-6  # of the full scale: -120 dB
_POWER = 1e-12  # of the full scale: a spectrum below it is silence


def sharpness(x: Tensor, low: float, high: float) -> Tensor:
    """Return the variance of the Laplacian of each image of ``x`` (B, C, H, W), values in [low, high]; (B,) float64.

    Of the luminance in 0..1: the four neighbours less four times the pixel, edges repeated; divisor HW. 0 for a
    constant image, greater with edges and with noise.
    Raises ValueError for another number of axes or an empty range.
    Source: Pech-Pacheco et al. 2000.
    """
    grey = _grey(x, low, high)
    wide = functional.pad(grey[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    laplacian = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:] - 4 * grey
    return laplacian.flatten(1).var(1, correction=0)


def contrast(x: Tensor, low: float, high: float) -> Tensor:
    """Return the standard deviation of the luminance in 0..1 of each image of ``x`` (B, C, H, W); (B,) float64.

    Divisor HW (RMS contrast); 0 to 0.5. Raises ValueError for another number of axes or an empty range.
    Source: Peli 1990.
    """
    return _grey(x, low, high).flatten(1).std(1, correction=0)


def flatness(x: Tensor, low: float, high: float) -> Tensor:
    """Return the spectral flatness of each waveform of ``x`` (B, C, T), values in [low, high]; (B,) float64.

    Geometric over arithmetic mean of the periodogram without the constant, 0 to 1, mean over channels, of values in
    -1..1: near 0 for a tone, about 0.56 for white noise. Power below -120 dB counts as -120 dB, so silence gives 1.
    Raises ValueError for another number of axes or an empty range.
    Source: Gray and Markel 1974.
    """
    wave = _wave(x, low, high)
    power = torch.fft.rfft(wave, dim=2)[:, :, 1:].abs().square() / wave.shape[2] + _POWER
    found: Tensor = (power.log().mean(2).exp() / power.mean(2)).mean(1)
    return found


def level(x: Tensor, low: float, high: float) -> Tensor:
    """Return the level of each waveform of ``x`` (B, C, T), values in [low, high], in dB of full scale; (B,) float64.

    20 log10 of the root mean square of values in -1..1, all channels; -120 or more.
    Raises ValueError for another number of axes or an empty range.
    """
    rms = _wave(x, low, high).square().mean((1, 2)).sqrt()
    return 20 / math.log(10) * rms.clamp_min(_SILENCE).log()


def _unit(x: Tensor, low: float, high: float, axes: int) -> Tensor:
    if x.ndim != axes:
        allowed = "(B, C, H, W)" if axes == 4 else "(B, C, T)"
        raise ValueError(f"x: found shape {tuple(x.shape)}; allowed: {allowed}")
    if not low < high:
        raise ValueError(f"range: found {low} to {high}; allowed: low below high")
    return ((x.detach().double() - low) / (high - low)).clamp(0, 1)


def _grey(x: Tensor, low: float, high: float) -> Tensor:
    unit = _unit(x, low, high, 4)
    if unit.shape[1] == len(_LUMINANCE):
        return torch.einsum("bchw,c->bhw", unit, unit.new_tensor(_LUMINANCE))
    return unit.mean(1)


def _wave(x: Tensor, low: float, high: float) -> Tensor:
    return 2 * _unit(x, low, high, 3) - 1
