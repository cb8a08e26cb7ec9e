"""Waveforms from arrays, WAV and FLAC: what their values become, and what is refused."""

import io
import struct
import sys
import types

import numpy as np
import pytest
from scipy.io import wavfile

from ganaudit.data.audio import RATE, wav
from ganaudit.data.reading import ReadOptions, read_samples
from ganaudit.data.samples import Samples, concatenate
from ganaudit.data.splits import Reference, check_matches
from ganaudit.document.errors import SourceError

READ = ReadOptions()
RNG = np.random.default_rng(0)
MONO = RNG.uniform(-1, 1, (5, 1, 100)).astype(np.float32)


def written(values, rate=RATE):
    """A WAV file of (T,) or (T, C) values in their own type."""
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, values)
    return buffer.getvalue()


def by_hand(data, *, tag=1, channels=1, rate=RATE, bits=16, before=b""):
    """A WAV file byte by byte."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + before
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fails(path, options=READ):
    with pytest.raises(SourceError) as caught:
        read_samples(path, options)
    return str(caught.value)


# --- arrays


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_arrays_of_three_dimensions(npy, channels, dtype):
    array = RNG.uniform(-1, 1, (4, channels, 64)).astype(dtype)
    samples = read_samples(npy(array), READ)
    assert (samples.kind, samples.shape, samples.is_audio, samples.rate) == ("floats", (channels, 64), True, None)
    assert samples.describe() == f"{channels}x64 float32 in -1..1"
    np.testing.assert_array_equal(samples.array, array.astype(np.float32))


def test_arrays_of_two_dimensions(npy, npz):
    array = RNG.uniform(-1, 1, (4, 1024)).astype(np.float32)
    assert read_samples(npy(array), READ).shape == (1, 1024)
    samples = read_samples(npz(samples=array, labels=np.arange(4)), READ)
    np.testing.assert_array_equal(samples.array[:, 0], array)
    assert samples.labels.tolist() == [0, 1, 2, 3]
    # The same rows are features where they are asked for.
    assert read_samples(npy(array), ReadOptions(features=True)).kind == "features"


def test_beside_images_two_dimensions_are_something_else(npz):
    path = npz(pictures=np.zeros((4, 3, 8, 8), np.float32), codes=np.zeros((4, 1024), np.float32))
    assert read_samples(path, READ).shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((4, 1023), np.float32), "--extractor identity"),
        (np.zeros((4, 2048), np.int16), "--extractor identity"),
        (np.full((4, 2048), 3.0, np.float32), "--extractor identity"),
        (np.zeros((4, 3, 100), np.float32), "(N, C, T), with C 1 or 2"),
        (np.zeros((4, 1, 63), np.float32), "T at least 64"),
        (np.zeros((4, 1, 100), np.int16), "float waveforms (N, C, T)"),
    ],
)
def test_arrays_that_are_no_waveforms(npy, array, told):
    assert told in fails(npy(array))


def test_rows_that_are_called_features_are_features(npz):
    assert "--extractor identity" in fails(npz(features=np.zeros((4, 2048))))


def test_resize_is_refused(npy, folder):
    assert "--resize is for images" in fails(npy(MONO), ReadOptions(resize=(8, 8)))
    assert "--resize is for images" in fails(folder({"a.wav": wav(MONO[0], RATE)}), ReadOptions(resize=(8, 8)))


def test_samples_of_waveforms():
    samples = Samples.of(MONO * 2, "floats", "s", "npy", value_range=(-2, 2), rate=8000)
    assert samples.describe() == "1x100 float32 in -2..2, 8000 a second"
    np.testing.assert_allclose(samples.values([3, 1], -1, 1), MONO[[3, 1]], atol=2**-22)
    taken = samples.take([4, 0], "some")
    assert (taken.rate, len(taken)) == (8000, 2)
    assert concatenate([taken, taken], "both").rate == 8000
    with pytest.raises(SourceError, match="found audio of 1x100"):
        samples.features([0])


# --- WAV


@pytest.mark.parametrize(
    ("dtype", "levels", "values"),
    [
        ("uint8", [0, 128, 255, 64], [-1.0, 0.0, 127 / 128, -0.5]),
        ("int16", [-(2**15), 0, 2**15 - 1, 2**14], [-1.0, 0.0, 1 - 2**-15, 0.5]),
        ("int32", [-(2**31), 0, 2**30, -(2**29)], [-1.0, 0.0, 0.5, -0.25]),
        ("float32", [-1.0, 0.0, 0.3, 1.0], [-1.0, 0.0, np.float32(0.3), 1.0]),
    ],
)
def test_values_are_divided_by_full_scale(folder, dtype, levels, values):
    root = folder({"a.wav": written(np.tile(np.array(levels, dtype), 25), 8000)})
    samples = read_samples(root, READ)
    assert (samples.rate, samples.value_range, samples.form, samples.labels) == (8000, (-1, 1), "folder", None)
    np.testing.assert_array_equal(samples.array[0, 0], np.tile(np.array(values, np.float32), 25))


def test_24_bits(folder):
    levels = [-(2**23), 0, 2**22, 1] * 16
    data = b"".join(v.to_bytes(3, "little", signed=True) for v in levels)
    samples = read_samples(folder({"a.wav": by_hand(data, bits=24)}), READ)
    np.testing.assert_array_equal(samples.array[0, 0, :4], np.array([-1, 0, 0.5, 2**-23], np.float32))


def test_stereo_becomes_two_channels(folder):
    left, right = RNG.integers(-(2**15), 2**15, (2, 100)).astype(np.int16)
    samples = read_samples(folder({"a.wav": written(np.stack([left, right], 1))}), READ)
    assert samples.shape == (2, 100)
    np.testing.assert_array_equal(samples.array[0] * 2**15, np.stack([left, right]))


def test_order_classes_and_other_files(folder, zipped):
    files = {f"{name}/{i}.WAV": wav(MONO[i], RATE) for name, i in (("saw", 0), ("sine", 1), ("saw", 2))}
    files |= {"saw/notes.txt": b"", "saw/.hidden.wav": b"", "__MACOSX/saw/._0.wav": b""}
    samples = read_samples(folder(files), READ)
    assert (samples.classes, samples.labels.tolist()) == (("saw", "sine"), [0, 0, 1])
    np.testing.assert_allclose(samples.array, MONO[[0, 2, 1]], atol=2**-15)
    packed = read_samples(zipped(files), READ)
    assert packed.form == "zip"
    assert packed.digest == samples.digest


def test_what_is_written_is_read(folder):
    grid = np.floor(MONO * 2**15) / 2**15
    samples = read_samples(folder({f"{i}.wav": wav(one, 22_050) for i, one in enumerate(grid)}), READ)
    np.testing.assert_array_equal(samples.array, grid)
    assert samples.rate == 22_050
    loud = read_samples(folder({"0.wav": wav(np.linspace(-3, 3, 64)[None], RATE)}, "loud"), READ)
    assert (loud.array.min(), loud.array.max()) == (-1, 1 - 2**-15)


def test_chunks_beside_the_sound_are_ignored(folder):
    strange = b"odd " + struct.pack("<I", 4) + b"data"
    samples = read_samples(folder({"a.wav": by_hand(bytes(200), before=strange)}), READ)
    assert samples.shape == (1, 100)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (wav(MONO[0], 8000), "100 samples at 16000 a second, mono, b.wav is 100 samples at 8000 a second"),
        (wav(MONO[0][:, :99], RATE), "b.wav is 99 samples"),
        (wav(np.repeat(MONO[0], 2, 0), RATE), "b.wav is 100 samples at 16000 a second, stereo"),
    ],
)
def test_sounds_that_differ(folder, other, told):
    message = fails(folder({"a.wav": wav(MONO[0], RATE), "b.wav": other, "c.wav": wav(MONO[1], RATE)}))
    assert told in message
    assert "1 of 3 differ" in message


def test_images_and_audio_in_one_folder(folder, encoded, pixels):
    message = fails(folder({"a.wav": wav(MONO[0], RATE), "b.png": encoded(pixels())}))
    assert "1 image files (such as b.png) and 1 audio files (such as a.wav)" in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read as WAV"),
        (b"RIFF\x00\x00\x00\x00WAVE", "cannot be read as WAV"),
        (wav(MONO[0], RATE)[:-50], "cannot be read as WAV"),
        (wav(MONO[0], RATE)[:30], "cannot be read as WAV"),
        (by_hand(bytes(200), tag=85), "cannot be read as WAV"),
        (by_hand(bytes(1600), bits=64), "holds int64"),
        (wav(MONO[0][:, :63], RATE), "at least 64 are needed"),
        (written(np.array([np.nan] * 100, np.float32)), "NaN"),
    ],
)
def test_unreadable_files_are_told_or_skipped(folder, content, told):
    root = folder({"a.wav": content, "b.wav": wav(MONO[0], RATE)})
    message = fails(root)
    assert "a.wav: " in message
    assert told in message
    assert "--skip-unreadable" in message
    samples = read_samples(root, ReadOptions(skip_unreadable=True))
    assert (len(samples), samples.unreadable) == (1, ("a.wav",))
    assert told in samples.reasons[0]
    (root / "b.wav").unlink()
    assert "none of its 1 audio files" in fails(root, ReadOptions(skip_unreadable=True))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (written(np.full(100, 1.5, np.float32)), "values reach 1.5, full scale is 1"),
        (written(np.zeros((100, 6), np.int16)), "6 channels; one or two"),
    ],
)
def test_what_needs_a_decision_is_never_skipped(folder, content, told):
    assert told in fails(folder({"a.wav": content}), ReadOptions(skip_unreadable=True))


def test_limits(folder):
    root = folder({f"{i}.wav": wav(MONO[i], RATE) for i in range(3)})
    assert "3 sounds of 100 samples" in fails(root, ReadOptions(max_total_bytes=1000))
    assert "at most 200 bytes" in fails(root, ReadOptions(max_file_bytes=200))
    assert "more than 2" in fails(root, ReadOptions(max_files=2))


# --- FLAC


def test_flac_without_its_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert "pip install 'ganaudit[audio]'" in fails(folder({"a.flac": b"fLaC"}))


def test_flac_with_its_package(folder, monkeypatch):
    """The package's documented contract stands in for it: (frames, channels) in -1..1, and the rate."""

    def read(file, dtype, always_2d):
        assert (dtype, always_2d) == ("float64", True)
        content = file.read()
        if content != b"fLaC":
            raise RuntimeError("Error opening: Format not recognised.")
        return np.stack([MONO[0, 0], -MONO[0, 0]], 1).astype(np.float64), 44_100

    monkeypatch.setitem(sys.modules, "soundfile", types.SimpleNamespace(read=read))
    samples = read_samples(folder({"a.flac": b"fLaC"}), READ)
    assert (samples.shape, samples.rate) == ((2, 100), 44_100)
    np.testing.assert_array_equal(samples.array[0], np.concatenate([MONO[0], -MONO[0]]))
    assert "cannot be read as FLAC: Error opening" in fails(folder({"b.flac": b"?"}, "bad"))


# --- references


def reference(name, array, rate=None, other=None):
    splits = {"train": array, "test": array[::-1].copy()}
    rates = {"train": rate, "test": other or rate}
    read = {s: Samples.of(x, "floats", s, "npy", value_range=(-1, 1), rate=rates[s]) for s, x in splits.items()}
    return Reference.of(name, "npy", read, seen=dict.fromkeys(read, "unknown"), rule="a test made them")


def test_splits_of_two_rates_are_refused():
    with pytest.raises(SourceError, match="8000 a second"):
        reference("r", MONO, 8000, 16_000)
    assert reference("r", MONO, None, 16_000).overlap == 5


@pytest.mark.parametrize(
    ("shape", "told"),
    [((1, 99), "cut, pad or mix"), ((2, 100), "cut, pad or mix"), ((3, 8, 8), "audio .* images"), ((64,), "features")],
)
def test_subjects_of_another_shape(shape, told):
    with pytest.raises(SourceError, match=told if told != "features" else "feature rows"):
        check_matches(shape, reference("r", MONO))
