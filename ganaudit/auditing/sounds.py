"""Waveforms as evidence: a picture that shows each, and a file that plays it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.data.audio import RATE, wav
from ganaudit.features.log_mel import mel_filters, mel_spectrogram

__all__ = ["PICTURE", "pictures", "played", "rate_words"]

_WIDTH, _WAVE, _BANDS = 128, 40, 64

PICTURE = (1, _WAVE + _BANDS, _WIDTH)
"""Shape of a picture: the wave above, its spectrogram below."""

_SILENCE = -80.0
_MIDDLE = 96
_MOST_VALUES = 2**25
"""Values of one gallery that are written as files to play: 64 MiB."""


def pictures(waves: Tensor) -> Tensor:
    """Return grey pictures, uint8 (B, 1, 104, 128), of waveforms (B, C, T) in -1..1, of the mean of their channels.

    Above: for each column of time the span from the least to the largest value, -1 at the bottom and 1 at the top.
    Below: 64 mel bands, low ones at the bottom, from black (-80 dB or less) to white (a full sine).
    """
    made = torch.zeros((len(waves), *PICTURE), dtype=torch.uint8)
    filters = torch.from_numpy(mel_filters(_BANDS)).to(torch.float32)
    for row, wave in zip(made, waves, strict=True):
        mono = wave.to(torch.float32).mean(0)
        row[0, :_WAVE] = torch.from_numpy(_drawn(mono.numpy()))
        levels = mel_spectrogram(mono[None, None], filters)[0, 0].flip(0)
        frames = ((torch.arange(_WIDTH) + 0.5) * levels.shape[1] / _WIDTH).long()
        row[0, _WAVE:] = ((levels[:, frames] - _SILENCE) / -_SILENCE * 255).round().clamp(0, 255).to(torch.uint8)
    return made


def played(waves: Tensor, rate: int | None) -> list[bytes]:
    """Return WAV files of waveforms (B, C, T), of the first ones where all would be more than 64 MiB."""
    count = min(len(waves), max(1, _MOST_VALUES // max(1, waves[0].numel()))) if len(waves) else 0
    return [wav(wave.numpy(), rate or RATE) for wave in waves[:count]]


def rate_words(rate: int | None) -> str:
    """Return at which rate files are written, in words."""
    if rate is None:
        return f"written as WAV beside its picture, at {RATE} a second since nothing tells the rate"
    return f"written as WAV beside its picture, at {rate} a second"


def _drawn(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return one wave as (40, 128): every column spans the values of its time, at least one of them."""
    picture = np.zeros((_WAVE, _WIDTH), np.uint8)
    picture[_WAVE // 2] = _MIDDLE
    edges = np.linspace(0, len(values), _WIDTH + 1)
    for column in range(_WIDTH):
        start = int(edges[column])
        part = values[start : max(start + 1, math.ceil(edges[column + 1]))]
        top, bottom = (
            min(_WAVE - 1, int((1 - min(1.0, max(-1.0, float(v)))) / 2 * _WAVE)) for v in (part.max(), part.min())
        )
        picture[top : bottom + 1, column] = 255
    return picture
