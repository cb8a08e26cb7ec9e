"""Fixed statistics of the log-mel spectrogram: the extractor of audio, which needs no weights and no training.

A short-time spectrum says which pitches sound when; the mel scale spaces them as hearing does. What is kept of every
band is how loud it is, how much that changes and whether it rises or falls.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import BLOCK, GPU_BLOCK, Activations, ExtractorOptions

__all__ = ["LogMel", "mel_filters", "mel_spectrogram"]

_RATE = 16_000
_WINDOW, _HOP = 1024, 256
_BANDS, _TRENDS = 40, 16
_FLOOR = 1e-8
_MIDDLE, _UNIT = 50.0, 20.0
_BLOCK_VALUES = 2**23
"""Values in one block: the spectra of more would not fit beside a network on a small GPU."""


class LogMel:
    """Mean, standard deviation and trend of 40 log-mel bands: 96 features a channel, of waveforms at any rate.

    - Spectra: 1,024 values under a periodic Hann window, every 256, zeros beyond both ends; |X|^2 scaled so that a full
      sine is 1 at its peak. Frequencies are counted as if there were 16,000 values a second, whatever the true rate.
    - Bands: 40 triangles of height 1 (not of area 1), even on the HTK scale 2595 lg(1 + f/700) between 0 and 8,000 Hz.
    - L = (10 lg(power + 1e-8) + 50) / 20: units of 20 dB around -50 dB, no lower than -80 dB. Without a middle near
      that of common sounds every feature would have one sign, and kernels and cosines would see little else.
    - Features: mean and standard deviation (divisor n) of L over time for each band; then, of the least-squares slope
      of every band over time from -1 to 1, the first 16 coefficients of the orthonormal DCT-II along the bands.
    - Of two channels the middle (l + r)/2 and the side (l - r)/2 are taken, 192 features.
    """

    id: ClassVar[str] = "log-mel"
    takes: ClassVar[Literal["images", "audio"]] = "audio"
    classes = 0
    preprocessing = (
        "waveforms in -1..1; 1,024-point Hann spectra every 256 values, 40 HTK mel bands to half the rate, "
        "(10 lg(power + 1e-8) + 50) / 20; mean, standard deviation and trend over time"
    )
    caution = (
        "statistics of spectra, not learned: they hear loudness, timbre and how both change, not words or melodies, "
        "nor the phase; numbers cannot be held against published ones and compare at one sample rate only"
    )

    def __init__(self, options: ExtractorOptions) -> None:
        if len(options.shape) != 2 or options.shape[0] > 2 or options.shape[1] < _WINDOW:
            raise ExtractorError(
                f"log-mel: takes audio (C, T) of one or two channels and at least {_WINDOW} values; found samples of "
                f"shape {options.shape}"
            )
        self.device = options.device
        channels, length = options.shape
        self.digest = f"log-mel/1 channels {channels}"
        self.dimensions = channels * (2 * _BANDS + _TRENDS)
        most = BLOCK if options.device == "cpu" else GPU_BLOCK
        self.block = max(1, min(most, _BLOCK_VALUES // (channels * length)))
        self._filters = torch.from_numpy(mel_filters(_BANDS)).to(options.device, torch.float32)
        self._cosines = torch.from_numpy(_cosines()).to(options.device, torch.float32)

    @torch.no_grad()
    def extract(self, images: Tensor) -> Activations:
        """Return (B, 96 C) float32 of waveforms (B, C, T) in -1..1: a channel's means, deviations and trends."""
        x = images.to(self.device, torch.float32)
        if x.shape[1] == 2:
            x = torch.stack([(x[:, 0] + x[:, 1]) / 2, (x[:, 0] - x[:, 1]) / 2], 1)
        levels = (mel_spectrogram(x, self._filters) + _MIDDLE) / _UNIT
        time = torch.linspace(-1, 1, levels.shape[3], device=levels.device)
        slopes = (levels * time).sum(3) / time.square().sum()
        made = torch.cat([levels.mean(3), levels.std(3, correction=0), slopes @ self._cosines], 2)
        return Activations(made.flatten(1).cpu())


def mel_spectrogram(x: Tensor, filters: Tensor) -> Tensor:
    """Return decibels, 10 lg(power + 1e-8), of waveforms (B, C, T): float32 (B, C, bands, frames), -80 or more.

    A frame every 256 values; 0 dB is a full sine at the centre of a band.
    """
    batch, channels, length = x.shape
    window = torch.hann_window(_WINDOW, dtype=torch.float32, device=x.device)
    spectra = torch.stft(
        x.reshape(batch * channels, length), _WINDOW, _HOP, window=window, center=True, pad_mode="constant",
        return_complex=True,
    )  # fmt: skip
    power = spectra.abs().square() / float(window.sum() / 2) ** 2
    levels = 10 * (filters @ power + _FLOOR).log10()
    return levels.reshape(batch, channels, *levels.shape[1:])


def mel_filters(bands: int) -> npt.NDArray[np.float64]:
    """Return triangles (bands, 513) over the frequencies of a spectrum, each 1 at its centre and 0 at its neighbours'.

    Centres and ends are even on the HTK mel scale, m = 2595 lg(1 + f/700), from 0 to 8,000 Hz.
    """
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + _RATE / 2 / 700), bands + 2) / 2595) - 1)
    frequencies = np.arange(_WINDOW // 2 + 1) * _RATE / _WINDOW
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    triangles: npt.NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return triangles


def _cosines() -> npt.NDArray[np.float64]:
    """Return the first columns of the orthonormal DCT-II, (bands, trends)."""
    angles = np.pi * (np.arange(_BANDS)[:, None] + 0.5) * np.arange(_TRENDS) / _BANDS
    cosines: npt.NDArray[np.float64] = np.cos(angles) * np.sqrt(2 / _BANDS)
    cosines[:, 0] /= np.sqrt(2)
    return cosines
