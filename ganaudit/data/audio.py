"""Audio files, WAV and FLAC: many of one rate, length and number of channels to one array of waveforms."""

from __future__ import annotations

import io
import os
import warnings
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from scipy.io import wavfile

from ganaudit.data.files import FileSet, UnreadableFileError, classes_of_folders, is_hidden, named, readable
from ganaudit.data.layout import AUDIO_CHANNELS, LEAST_LENGTH
from ganaudit.data.options import ReadOptions
from ganaudit.data.samples import Samples
from ganaudit.data.storage import allocate, size_words
from ganaudit.document.errors import SourceError
from ganaudit.progress import Progress

__all__ = ["RATE", "SUFFIXES", "Sound", "decode_audio", "is_audio", "read_audio", "wav"]

SUFFIXES = (".wav", ".flac")

RATE = 16_000
"""Samples a second where nothing says it."""

# Full scale of the integers a WAV file holds; 24 bits come shifted up to 32.
_SCALES: dict[str, tuple[float, float]] = {"uint8": (128.0, 128.0), "int16": (0.0, 2.0**15), "int32": (0.0, 2.0**31)}
# A level that was computed in half precision, or resampled, may end a little beyond full scale.
_SLACK = 1e-3
_CUT_SHORT = ".*(EOF|end of file|Incomplete).*"


@dataclass(frozen=True, slots=True)
class Sound:
    """One decoded file."""

    rate: int
    """Samples a second."""
    values: npt.NDArray[np.float32] = field(repr=False)
    """(C, T) in -1..1."""

    @property
    def layout(self) -> tuple[int, int, int]:
        """Rate, channels and length: what must be equal in all files."""
        return (self.rate, *self.values.shape)


def is_audio(name: str) -> bool:
    """Return whether a relative path names audio by its suffix; hidden and macOS companion files do not count."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not is_hidden(name)


def read_audio(files: FileSet, options: ReadOptions, progress: Progress) -> Samples:
    """Return all sounds as float32 (N, C, T) in -1..1 in the order of ``files.names``, labelled by their first folder.

    Integers are divided by full scale (int16: 2^15), so that no value changes; floats are taken as they stand.
    Raises SourceError for files of different rates, lengths or channels, an unreadable file (unless they are skipped),
    float values beyond -1..1, more than two channels, ``--resize``, and too much of anything.
    """
    if options.resize is not None:
        raise SourceError(f"{files.path}: --resize is for images, and these are audio files; leave it out")
    skipped: dict[int, UnreadableFileError] = {}
    kept: list[int] = []
    odd: list[tuple[int, tuple[int, int, int]]] = []
    first: Sound | None = None
    array = np.empty((0, 1, 1), np.float32)
    total = len(files.names)
    with progress.task(f"reading {files.path.name}", total, "files") as task:
        for index, sound in readable(files, _sounds(files, options, task.advance), options, skipped, "audio"):
            if first is None:
                first = sound
                size = sound.values.nbytes * (total - len(skipped))
                options.check_total(files.path, size, f"{total} sounds of {_words(sound.layout)}")
                array = allocate((total - len(skipped), *sound.values.shape), np.float32)
            if sound.layout != first.layout:
                odd.append((index, sound.layout))
                continue
            array[len(kept)] = sound.values
            kept.append(index)
    assert first is not None
    if odd:
        index, layout = odd[0]
        raise SourceError(
            f"{files.path}: sounds differ: {files.names[kept[0]]} is {_words(first.layout)}, {files.names[index]} is "
            f"{_words(layout)}; {len(odd)} of {total - len(skipped)} differ from the first; all must have one rate, "
            "one length and as many channels: resample and cut or pad them first"
        )
    labels, classes = classes_of_folders(files.names, kept)
    return Samples.of(
        array[: len(kept)],
        "floats",
        files.path.name,
        files.form,
        labels=labels,
        classes=classes,
        value_range=(-1.0, 1.0),
        unreadable=tuple(files.names[index] for index in sorted(skipped)),
        reasons=tuple(skipped[index].reason for index in sorted(skipped)),
        rate=first.rate,
    )


def decode_audio(file: IO[bytes], name: str, options: ReadOptions) -> Sound:
    """Return one sound; raises UnreadableFileError, or SourceError for values that need a decision."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > options.max_file_bytes:
        raise UnreadableFileError(
            name, f"has {size_words(size)}; at most {size_words(options.max_file_bytes)} of a file are read"
        )
    rate, values = _flac(file, name) if PurePosixPath(name).suffix.lower() == ".flac" else _wav(file, name)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or len(values) < LEAST_LENGTH:
        raise UnreadableFileError(name, f"holds {len(values)} samples; at least {LEAST_LENGTH} are needed")
    if values.shape[1] not in AUDIO_CHANNELS:
        raise SourceError(f"{name}: has {values.shape[1]} channels; one or two are read: mix them first")
    middle, scale = _SCALES.get(values.dtype.name, (0.0, 1.0))
    floats = ((values.T.astype(np.float64) - middle) / scale).astype(np.float32)
    _check_values(floats, name)
    return Sound(rate, np.ascontiguousarray(floats))


def wav(values: npt.NDArray[Any], rate: int) -> bytes:
    """Return a waveform (C, T) in -1..1 as a WAV file of 16 bits: the nearest multiple of 2^-15, a half goes up."""
    levels = np.floor(np.asarray(values, np.float64) * 2.0**15 + 0.5).clip(-(2**15), 2**15 - 1).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(levels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(levels.T).tobytes())
    return buffer.getvalue()


def _sounds(
    files: FileSet, options: ReadOptions, advance: Callable[[int], None]
) -> Iterator[tuple[int, Sound | UnreadableFileError]]:
    for index in range(len(files.names)):
        try:
            with files.open(index) as file:
                found: Sound | UnreadableFileError = decode_audio(file, named(files, index), options)
        except UnreadableFileError as error:
            found = error
        advance(1)
        yield index, found


def _wav(file: IO[bytes], name: str) -> tuple[int, npt.NDArray[Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # chunks beside the sound are nobody's business
            warnings.filterwarnings("error", _CUT_SHORT)
            rate, values = wavfile.read(io.BytesIO(file.read()))
    except Exception as error:  # damaged headers raise struct's, NumPy's and SciPy's errors
        words = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise UnreadableFileError(name, f"cannot be read as WAV: {words}") from None
    if values.dtype.name not in (*_SCALES, "float32", "float64"):
        raise UnreadableFileError(name, f"holds {values.dtype}; 8 to 32 bits or floats are read")
    return int(rate), values


def _flac(file: IO[bytes], name: str) -> tuple[int, npt.NDArray[Any]]:
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: its library is not there
        raise SourceError(
            f"{name}: FLAC is read by the package soundfile, which is not installed: pip install 'ganaudit[audio]', "
            "or convert the files to WAV"
        ) from None
    try:
        values, rate = soundfile.read(file, dtype="float64", always_2d=True)
    except Exception as error:  # whatever the library raises on hostile bytes
        words = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise UnreadableFileError(name, f"cannot be read as FLAC: {words}") from None
    return int(rate), np.asarray(values)


def _check_values(floats: npt.NDArray[np.float32], name: str) -> None:
    if not np.isfinite(floats).all():
        raise UnreadableFileError(name, "holds NaN or infinity")
    most = float(np.abs(floats).max())
    if most > 1 + _SLACK:
        raise SourceError(
            f"{name}: its values reach {most:.4g}, full scale is 1; ganaudit does not choose a gain: bring all files "
            "to -1..1 first"
        )


def _words(layout: tuple[int, int, int]) -> str:
    rate, channels, length = layout
    return f"{length} samples at {rate} a second, {'mono' if channels == 1 else 'stereo'}"
