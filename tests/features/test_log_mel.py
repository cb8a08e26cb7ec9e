"""The spectra of sounds against sums written out, and against what is known of sines and noise."""

import math

import numpy as np
import pytest
import torch
from scipy import fft, signal

from ganaudit.document.errors import ExtractorError
from ganaudit.features.choice import choose_extractor
from ganaudit.features.engine import BLOCK, extracted
from ganaudit.features.extractor import ExtractorOptions, block_of, check_takes
from ganaudit.features.log_mel import LogMel, mel_filters, mel_spectrogram
from ganaudit.features.pixels import Pixels
from ganaudit.features.random_conv import RandomConv

BANDS, TRENDS = 40, 16


def built(channels=1, length=4096):
    return LogMel(ExtractorOptions((channels, length)))


def noise(n=3, channels=1, length=4096, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-0.7, 0.7, (n, channels, length)).astype(np.float32))


def tone(frequency, length=4096, level=0.5):
    return torch.from_numpy((level * np.sin(2 * np.pi * frequency * np.arange(length) / 16_000)).astype(np.float32))


def mel(f):
    return 2595 * math.log10(1 + f / 700)


def test_filters_against_the_definition_bin_by_bin():
    filters = mel_filters(BANDS)
    assert filters.shape == (BANDS, 513)
    step = mel(8000) / (BANDS + 1)
    edges = [700 * (10 ** (i * step / 2595) - 1) for i in range(BANDS + 2)]
    for band in range(BANDS):
        low, centre, high = edges[band : band + 3]
        for b in range(513):
            f = b * 16_000 / 1024
            expected = 0.0
            if low < f <= centre:
                expected = (f - low) / (centre - low)
            elif centre < f < high:
                expected = (high - f) / (high - centre)
            assert filters[band, b] == pytest.approx(expected, abs=1e-12)
    # Between the first and the last centre the triangles add up to 1, and no band is without a bin.
    inner = (np.arange(513) * 15.625 > edges[1]) & (np.arange(513) * 15.625 < edges[-2])
    np.testing.assert_allclose(filters.sum(0)[inner], 1, atol=1e-12)
    assert filters.max(1).min() > 0.5


def expected_features(wave):
    """The features of one channel by SciPy, frame by frame, in float64."""
    window = signal.get_window("hann", 1024, fftbins=True)
    padded = np.pad(wave.astype(np.float64), 512)
    rows = []
    for start in range(0, len(padded) - 1024 + 1, 256):
        spectrum = np.abs(fft.rfft(padded[start : start + 1024] * window)) / (window.sum() / 2)
        rows.append((10 * np.log10(mel_filters(BANDS) @ spectrum**2 + 1e-8) + 50) / 20)
    levels = np.array(rows)
    time = np.linspace(-1, 1, len(levels))
    slopes = np.polyfit(time, levels, 1)[0]
    return np.concatenate([levels.mean(0), levels.std(0), fft.dct(slopes, norm="ortho")[:TRENDS]])


@pytest.mark.parametrize("length", [1024, 2048, 5000])
def test_features_against_scipy(length):
    x = noise(2, length=length) * torch.linspace(0, 1, length)
    x[1, 0] += 0.2 * tone(440, length)
    found = built(1, length).extract(x).features
    assert found.shape == (2, 96)
    assert found.dtype == torch.float32
    for row, wave in zip(found, x[:, 0].numpy(), strict=True):
        # float32 spectra: 1e-6 of the largest power, which is far above the floor in every band of noise.
        np.testing.assert_allclose(row, expected_features(wave), atol=2e-4)


def test_a_full_sine_is_0_decibels_at_its_peak():
    filters = torch.eye(513)
    levels = mel_spectrogram(tone(1000, level=1.0)[None, None], filters)[0, 0]
    assert levels.shape == (513, 17)
    # 1000 Hz is bin 64 exactly; frames that overlap no end hold nothing but the sine.
    assert levels[64, 2:15].numpy() == pytest.approx(np.zeros(13), abs=1e-4)
    assert bool((levels.argmax(0)[2:15] == 64).all())


def test_silence_is_the_floor():
    features = built().extract(torch.zeros(1, 1, 4096)).features[0]
    assert features[:BANDS].numpy() == pytest.approx(np.full(BANDS, -1.5), abs=1e-6)
    assert features[BANDS:].numpy() == pytest.approx(np.zeros(BANDS + TRENDS), abs=1e-5)


def test_louder_by_20_decibels_is_one_unit():
    x = noise() / 2
    quiet, loud = (built().extract(y).features for y in (x / 10, x))
    # The floor adds 1e-8 to powers that are above 1e-6 at a tenth.
    assert (loud - quiet)[:, :BANDS].numpy() == pytest.approx(np.ones((3, BANDS)), abs=0.01)
    torch.testing.assert_close(loud[:, BANDS:], quiet[:, BANDS:], atol=0.01, rtol=0)


def test_time_backwards_turns_the_trend():
    # 4096 + 1024 values of padding hold a whole number of hops: frames backwards are those of the wave backwards,
    # up to the one sample by which a periodic window is off its middle.
    x = noise() * torch.linspace(0, 1, 4096)
    forth, back = built().extract(x).features, built().extract(x.flip(2)).features
    torch.testing.assert_close(forth[:, :80], back[:, :80], atol=0.1, rtol=0)
    torch.testing.assert_close(forth[:, 80:], -back[:, 80:], atol=0.3, rtol=0)
    assert float(forth[0, 80]) > 1  # the first cosine is even: it sums what all bands rise by


def test_a_sign_changes_nothing():
    x = noise()
    assert torch.equal(built().extract(x).features, built().extract(-x).features)


def test_stereo_is_middle_and_side():
    left, right = noise(3, seed=1), noise(3, seed=2)
    found = built(2).extract(torch.cat([left, right], 1)).features
    assert found.shape == (3, 192)
    for part, mono in ((found[:, :96], (left + right) / 2), (found[:, 96:], (left - right) / 2)):
        torch.testing.assert_close(part, built().extract(mono).features, atol=1e-5, rtol=0)


def test_a_sample_does_not_depend_on_the_others():
    x, extractor = noise(40), built()
    whole = extracted(extractor.extract, x, BLOCK, "cpu")["features"]
    assert torch.equal(extracted(extractor.extract, x[:7], BLOCK, "cpu")["features"], whole[:7])


def test_what_it_says_of_itself():
    extractor = built()
    assert (extractor.dimensions, extractor.classes, block_of(extractor, "cpu")) == (96, 0, BLOCK)
    assert extractor.digest != built(2).digest
    assert extractor.digest == built(1, 8192).digest
    assert block_of(built(1, 2**23), "cpu") == 1


@pytest.mark.parametrize("shape", [(1, 1023), (3, 4096), (3, 64, 64), (64,)])
def test_what_it_refuses(shape):
    with pytest.raises(ExtractorError, match=r"log-mel: takes audio \(C, T\)"):
        LogMel(ExtractorOptions(shape))


def test_kinds_do_not_mix():
    check_takes(LogMel, "log-mel", (1, 4096))
    check_takes(Pixels, "pixels", (1, 8, 8))
    check_takes(Pixels, "identity", (64,))
    with pytest.raises(ExtractorError, match=r"random-conv: takes images; found audio .* use --extractor log-mel"):
        check_takes(RandomConv, "random-conv", (1, 4096))
    with pytest.raises(ExtractorError, match="log-mel: takes audio; found images"):
        check_takes(LogMel, "log-mel", (3, 8, 8))


def choice(**more):
    given = {
        "asked": None,
        "available": ["log-mel", "random-conv", "inception-v3"],
        "reference_extractor": None,
        "reference_name": "r",
        "are_features": False,
        "shape": (1, 4096),
        "has_weights": True,
    }
    return choose_extractor(**{**given, **more})


def test_it_is_the_extractor_of_audio():
    assert choice().id == "log-mel"
    assert not choice().is_fallback
    assert choice(asked="random-conv").id == "random-conv"
    with pytest.raises(ExtractorError, match="it takes arrays of features"):
        choice(asked="identity", available=["identity"])
