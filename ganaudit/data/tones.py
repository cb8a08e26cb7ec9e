"""Notes of four waveforms: a set of sounds whose law of pitches is known exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganaudit.data.samples import Samples
from ganaudit.data.splits import Reference
from ganaudit.data.storage import allocate
from ganaudit.document.errors import SourceError
from ganaudit.numerics.randomness import child_seed, uniforms

__all__ = [
    "COUNTS",
    "DRAWS",
    "NOTES",
    "NOTE_LAW",
    "RATE",
    "WAVEFORMS",
    "ToneDrawing",
    "draw_tones",
    "harmonics",
    "load_tones",
    "noise_of",
    "note_pitches",
    "render_tones",
    "sound_tones",
    "tones_of",
]

RATE = 16_000
"""Samples a second."""

WAVEFORMS = ("sine", "triangle", "square", "saw")

NOTES = ("C4", "D4", "E4", "F4", "G4", "A4", "B4", "C5", "D5", "E5")
_SEMITONES = (-9, -7, -5, -4, -2, 0, 2, 3, 5, 7)

NOTE_LAW: npt.NDArray[np.float64] = np.array([0.20, 0.05, 0.15, 0.06, 0.15, 0.12, 0.05, 0.12, 0.09, 0.01])
"""Probability of each of NOTES; E5 is rare. Every waveform is as likely as the others, whatever the note."""
NOTE_LAW.flags.writeable = False

ATTACKS, DECAYS, PEAKS, NOISES = (0.002, 0.020), (0.08, 0.40), (0.5, 0.9), (0.0005, 0.004)
"""Laws, uniform in the logarithm and independent: attack in seconds (the level rises as 1 - exp(-t/attack)), decay in
seconds (it falls as exp(-t/decay)), peak of the steady waveform, and largest value of the even noise."""

_BASE = 2048
_MAX_SCALE = 16
COUNTS = {"train": 8_000, "calibration": 1_000, "test": 2_000}
"""Samples of each split."""

DRAWS = 7
"""Uniform draws that a tone takes, beside its noise."""

_STEP = 2.0**-15
_CHUNK_VALUES = 2**20
_LICENCE = "made by ganaudit from a written rule; no rights of others"
_RULE = (
    "built in: sample i of a split is drawn from the counter-based generator at (split, i) alone; train, calibration "
    "and test are independent draws from one law"
)


@dataclass(frozen=True, slots=True, eq=False)
class ToneDrawing:
    """How N tones are made, one entry a tone."""

    note: npt.NDArray[np.int64]
    """Place in NOTES."""
    waveform: npt.NDArray[np.int64]
    """Place in WAVEFORMS."""
    phase: npt.NDArray[np.float64]
    """Start within the period, 0 to 1."""
    attack: npt.NDArray[np.float64]
    """Seconds; ``decay`` likewise."""
    decay: npt.NDArray[np.float64]
    peak: npt.NDArray[np.float64]
    """Largest value of the waveform before the envelope, 0 to 1."""
    noise: npt.NDArray[np.float64]
    """Largest value of the noise."""

    def __len__(self) -> int:
        return len(self.note)

    def take(self, rows: npt.NDArray[np.int64] | slice) -> ToneDrawing:
        """Return the entries at ``rows``."""
        return ToneDrawing(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def load_tones(scale: int = 2, size: int | tuple[int, ...] | None = None) -> Reference:
    """Return tones of 2048·``scale`` values at 16 kHz in -1..1: 8,000 train, 1,000 calibration, 2,000 test.

    Labels are the waveforms. ``size`` is a subject's number of values T, or a shape that ends in T; where it is given
    it decides the scale. Raises SourceError when the set does not come in that size.
    """
    if size is not None:
        scale = _scale_of(size)
    if isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= _MAX_SCALE:
        raise SourceError(f"tones: scale {scale!r} was asked for; allowed are whole numbers from 1 to {_MAX_SCALE}")
    splits = {}
    for split, count in COUNTS.items():
        drawn = draw_tones(split, 0, count)
        splits[split] = Samples.of(
            render_tones(drawn, _BASE * scale, split),
            "floats",
            f"tones/{split}",
            "built-in",
            labels=drawn.waveform.copy(),
            classes=WAVEFORMS,
            rate=RATE,
            value_range=(-1.0, 1.0),
        )
    from ganaudit.data.oracles.reading import TONES_ORACLE  # which itself reads this module

    return Reference.of(
        "tones",
        "built-in",
        splits,
        seen={"train": "seen", "calibration": "unseen", "test": "unseen"},
        rule=_RULE,
        licence=_LICENCE,
        oracle=TONES_ORACLE,
    )


def draw_tones(split: str, start: int, count: int) -> ToneDrawing:
    """Return how the tones ``start`` .. ``start + count - 1`` of a split are made.

    Tone i depends on (split, i) alone.
    """
    return tones_of(uniforms(child_seed(0, f"tones/{split}"), 0, start, count, DRAWS))


def tones_of(draws: npt.NDArray[np.float64]) -> ToneDrawing:
    """Return the tones that uniform draws, (N, 7) within 0..1, stand for; the first decides the note."""
    u = draws.T
    edges = np.cumsum(NOTE_LAW)
    return ToneDrawing(
        np.searchsorted(edges / edges[-1], u[0], side="right").astype(np.int64),
        np.floor(len(WAVEFORMS) * u[1]).astype(np.int64),
        u[2],
        *(
            low * (high / low) ** part
            for (low, high), part in zip((ATTACKS, DECAYS, PEAKS, NOISES), u[3:], strict=True)
        ),
    )


def render_tones(drawing: ToneDrawing, length: int, split: str, start: int = 0) -> npt.NDArray[np.float32]:
    """Return the waves of ``drawing``, whose first is tone ``start`` of ``split``, float32 (N, 1, length).

    They are those of ``sound_tones`` with the noise of ``noise_of``.
    """
    return sound_tones(drawing, length, lambda first, count: noise_of(split, start + first, count, length))


def noise_of(split: str, start: int, count: int, length: int) -> npt.NDArray[np.float64]:
    """Return the noise of the tones ``start`` .. ``start + count - 1`` of a split, even in -1..1, (count, length)."""
    return 2 * uniforms(child_seed(0, f"tones/{split}"), 1, start, count, length) - 1


def sound_tones(
    drawing: ToneDrawing, length: int, noise: Callable[[int, int], npt.NDArray[np.float64]]
) -> npt.NDArray[np.float32]:
    """Return the waves of ``drawing``, float32 (N, 1, length); ``noise(first, count)`` gives (count, length) in -1..1.

    Harmonics below half the rate are added up in float64, the envelope multiplied, even noise added, and the values
    clipped to -1..1 and rounded half up to multiples of 2^-15, as a 16-bit file would hold them: the last bits of a
    machine's sine stay out.
    """
    waves = allocate((len(drawing), 1, length), np.dtype(np.float32))
    step = max(1, _CHUNK_VALUES // length)
    for first in range(0, len(drawing), step):
        part = drawing.take(slice(first, first + step))
        steady = part.peak[:, None] * _steady(part, length) * _envelopes(part, length)
        wave = steady + part.noise[:, None] * noise(first, len(part))
        waves[first : first + step, 0] = np.floor(np.clip(wave, -1, 1 - _STEP) / _STEP + 0.5) * _STEP
    return waves


def note_pitches() -> npt.NDArray[np.float64]:
    """Return the pitch of each of NOTES in Hz: 440·2^(semitones from A4 / 12)."""
    return 440.0 * 2.0 ** (np.array(_SEMITONES) / 12)


def harmonics(waveform: int, pitch: float) -> npt.NDArray[np.float64]:
    """Return the amplitudes of the sines at 1, 2, 3, ... times ``pitch`` that stay below half the rate.

    Fourier series of a wave of peak 1: sine 1; triangle 8/pi^2·(1, 0, -1/9, 0, 1/25, ...); square
    4/pi·(1, 0, 1/3, ...); saw 2/pi·(1, 1/2, 1/3, ...). Square and saw are divided by 1.18, as far as a cut series
    overshoots (Gibbs).
    """
    k = np.arange(1, int(np.ceil(RATE / 2 / pitch)))
    odd = k % 2 == 1
    if waveform == 0:
        return np.where(k == 1, 1.0, 0.0)
    if waveform == 1:
        return np.where(odd, 8 / np.pi**2 / k**2 * np.where(k % 4 == 1, 1.0, -1.0), 0.0)
    return np.where(odd, 4 / np.pi / k, 0.0) / 1.18 if waveform == 2 else 2 / np.pi / k / 1.18


def _steady(drawing: ToneDrawing, length: int) -> npt.NDArray[np.float64]:
    """Return the waves without envelope, (N, length): sum a_k sin(2 pi k (f t + phase)), by notes and waveforms.

    sin(a + b) = sin a cos b + cos a sin b leaves one product of matrices for all tones of a note and waveform.
    """
    waves = np.empty((len(drawing), length))
    time = np.arange(length) / RATE
    for note, pitch in enumerate(note_pitches()):
        for waveform in range(len(WAVEFORMS)):
            rows = np.flatnonzero((drawing.note == note) & (drawing.waveform == waveform))
            if len(rows):
                a = harmonics(waveform, pitch)
                k = np.flatnonzero(a) + 1
                at = 2 * np.pi * np.outer(drawing.phase[rows], k)
                turn = 2 * np.pi * np.outer(k, pitch * time)
                a = a[k - 1]
                waves[rows] = (np.cos(at) * a) @ np.sin(turn) + (np.sin(at) * a) @ np.cos(turn)
    return waves


def _envelopes(drawing: ToneDrawing, length: int) -> npt.NDArray[np.float64]:
    time = np.arange(length) / RATE
    rise: npt.NDArray[np.float64] = 1 - np.exp(-time / drawing.attack[:, None])
    return rise * np.exp(-time / drawing.decay[:, None])


def _scale_of(size: int | Sequence[int]) -> int:
    shape = (size,) if isinstance(size, int) else tuple(size)
    length = shape[-1] if shape else 0
    if shape[:-1] in ((), (1,)) and length % _BASE == 0 and 1 <= length // _BASE <= _MAX_SCALE:
        return length // _BASE
    raise SourceError(
        f"tones: the subject's samples have the shape {shape}; the built-in tones come as one channel of 2048, 4096, "
        f"6144, ... {_BASE * _MAX_SCALE} values; name other real samples with --reference PATH"
    )
