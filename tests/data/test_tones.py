import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from ganaudit.data.oracles.tones import _differences, tones_attributes
from ganaudit.data.tones import (
    NOTE_LAW,
    NOTES,
    WAVEFORMS,
    ToneDrawing,
    draw_tones,
    harmonics,
    load_tones,
    note_pitches,
    render_tones,
)
from ganaudit.document.errors import SourceError

# Of the first 32 samples of each split of 4096 values. Trained models depend on these values.
GOLDEN = {
    "train": "9e433df9d8afc0671876c4785f503d2d",
    "calibration": "0e18820faf84b9993711dc35b501f426",
    "test": "8414c4cd798bdbf616dfca10a541046e",
}


@pytest.fixture(scope="module")
def drawn():
    return draw_tones("test", 0, 2000)


@pytest.fixture(scope="module")
def waves(drawn):
    return render_tones(drawn, 4096, "test")


def test_golden_digests():
    for split, digest in GOLDEN.items():
        waves = render_tones(draw_tones(split, 0, 32), 4096, split)
        assert hashlib.sha256(waves.astype("<f4").tobytes()).hexdigest()[:32] == digest


def test_what_it_says_of_itself():
    tones = load_tones(1)
    assert (tones.name, tones.form, tones.overlap, tones.shape) == ("tones", "built-in", 0, (1, 2048))
    assert tones.seen == {"train": "seen", "calibration": "unseen", "test": "unseen"}
    assert [len(samples) for samples in tones.splits.values()] == [8_000, 1_000, 2_000]
    assert tones.split("test").classes == WAVEFORMS
    assert tones.split("test").value_range == (-1.0, 1.0)
    assert tones.split("test").labels.tolist() == draw_tones("test", 0, 2000).waveform.tolist()


@pytest.mark.parametrize("size", [2048, (2048,), (1, 2048)])
def test_size_decides_the_scale(size):
    assert load_tones(size=size).shape == (1, 2048)


@pytest.mark.parametrize("size", [0, 1000, (2, 2048), (32, 32), (), 2048 * 17])
def test_sizes_that_do_not_exist(size):
    with pytest.raises(SourceError, match="one channel of 2048, 4096, 6144"):
        load_tones(size=size)


@pytest.mark.parametrize("scale", [0, 17, -1, 1.5, True])
def test_scales_that_do_not_exist(scale):
    with pytest.raises(SourceError, match="from 1 to 16"):
        load_tones(scale)


def test_samples_follow_the_laws():
    some = draw_tones("train", 0, 8000)
    assert NOTE_LAW.sum() == pytest.approx(1, abs=1e-15)
    assert stats.chisquare(np.bincount(some.note, minlength=10), NOTE_LAW * 8000).pvalue > 1e-3
    table = np.zeros((10, 4))
    np.add.at(table, (some.note, some.waveform), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-3
    assert stats.chisquare(table.sum(0)).pvalue > 1e-3
    ranges = {"attack": (0.002, 0.02), "decay": (0.08, 0.4), "peak": (0.5, 0.9), "noise": (0.0005, 0.004)}
    for name, (low, high) in ranges.items():
        logs = np.log(getattr(some, name))
        assert stats.kstest(logs, "uniform", (math.log(low), math.log(high / low))).pvalue > 1e-3


def test_a_sample_depends_on_its_split_and_number_alone(drawn, waves):
    part = draw_tones("test", 700, 30)
    for name in ToneDrawing.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(part, name), getattr(drawn, name)[700:730])
    np.testing.assert_array_equal(render_tones(part, 4096, "test", 700), waves[700:730])


def test_pitches_are_those_of_the_piano():
    expected = {"C4": 261.63, "D4": 293.66, "E4": 329.63, "F4": 349.23, "G4": 392.00, "A4": 440.00}
    expected |= {"B4": 493.88, "C5": 523.25, "D5": 587.33, "E5": 659.26}
    assert tuple(expected) == NOTES
    assert note_pitches() == pytest.approx(list(expected.values()), abs=0.005)


@pytest.mark.parametrize(
    ("waveform", "wave", "least"),
    [
        (0, lambda t: math.sin(2 * math.pi * t), 1.0),
        (1, lambda t: 4 * t if t < 0.25 else 2 - 4 * t if t < 0.75 else 4 * t - 4, 1.0),
        (2, lambda t: 1.0 if t < 0.5 else -1.0, 1.18),
        (3, lambda t: 1 - 2 * t, 1.18),
    ],
)
def test_harmonics_against_the_integrals_of_the_waves(waveform, wave, least):
    found = harmonics(waveform, 440.0)
    assert len(found) == 18  # 18 x 440 = 7920 < 8000
    for k in range(1, 19):
        value = sum(
            integrate.quad(lambda t, k=k: 2 * wave(t) * math.sin(2 * math.pi * k * t), a, a + 0.25)[0]
            for a in (0, 0.25, 0.5, 0.75)
        )
        assert found[k - 1] == pytest.approx(value / least, abs=1e-7)


def test_waves_against_a_written_out_sum(drawn):
    for row in range(8):
        one = replace(drawn.take(slice(row, row + 1)), noise=np.zeros(1))
        pitch, values = note_pitches()[one.note[0]], render_tones(one, 2048, "test", row)[0, 0]
        amplitudes = harmonics(int(one.waveform[0]), pitch)
        for n in range(0, 2048, 41):
            t = n / 16_000
            steady = sum(
                a * math.sin(2 * math.pi * (k + 1) * (pitch * t + one.phase[0])) for k, a in enumerate(amplitudes)
            )
            level = one.peak[0] * (1 - math.exp(-t / one.attack[0])) * math.exp(-t / one.decay[0])
            assert abs(values[n] - level * steady) <= 2**-16 + 1e-9


def test_values_are_those_of_a_16_bit_file(waves):
    assert waves.dtype == np.float32
    assert waves.shape == (2000, 1, 4096)
    scaled = waves.astype(np.float64) * 2**15
    assert (scaled == scaled.round()).all()
    assert np.abs(waves).max() < 0.95


def test_noise_is_even(drawn):
    part = drawn.take(slice(0, 50))
    still = render_tones(replace(part, peak=np.zeros(50), noise=np.full(50, 0.25)), 2048, "test")
    assert stats.kstest(still.ravel(), "uniform", (-0.25, 0.5)).pvalue > 1e-3
    assert abs(np.corrcoef(still[:, 0, :-1].ravel(), still[:, 0, 1:].ravel())[0, 1]) < 4 / math.sqrt(still.size)


def cents(found, drawn):
    return np.abs(1200 * np.log2(found.pitch_hz / note_pitches()[drawn.note]))


@pytest.mark.parametrize("length", [2048, 4096])
def test_oracle_reads_real_samples(waves, drawn, length):
    found = tones_attributes(waves[:, :, :length])
    assert (found.note == drawn.note).mean() >= 0.999
    assert (cents(found, drawn) <= 5).mean() >= 0.999
    assert np.abs(found.cents).max() <= 5
    assert found.clarity.min() > 0.95
    assert found.on_grid.all()
    np.testing.assert_allclose(found.level, [math.sqrt(np.mean(w.astype(float) ** 2)) for w in waves[:, 0, :length]])


@pytest.mark.parametrize(("decibels", "least"), [(20, 0.999), (10, 0.99), (3, 0.9)])
def test_oracle_bears_noise(waves, drawn, decibels, least):
    rng = np.random.default_rng(5)
    part, some = waves[:600], drawn.take(slice(0, 600))
    loud = np.sqrt((part**2).mean((1, 2), keepdims=True)) * 10 ** (-decibels / 20)
    found = tones_attributes(part + loud * rng.standard_normal(part.shape))
    assert (found.note == some.note).mean() >= 0.99
    assert (cents(found, some) <= 20).mean() >= least


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_oracle_reads_any_pitch(rate):
    pitches = np.array([101.0, 150.0, 261.0, 277.0, 440.0, 447.0, 700.0, 1500.0])
    time = np.arange(4096) / rate
    waves = 0.5 * np.sin(2 * np.pi * pitches[:, None] * time)[:, None]
    found = tones_attributes(waves, rate)
    # d is 1 - cos up to a factor that changes by about 1/T per lag, with steps of h in phase. The parabola's vertex
    # lies at tan(h x)/(2 tan(h/2)) for x, off by h^2 (x/12 - x^3/3) < 0.017 h^2.
    h = 2 * np.pi * pitches / rate
    assert (np.abs(rate / found.pitch_hz - rate / pitches) < 0.017 * h**2 + 4 / 4096).all()
    assert (found.clarity > 0.95).all()
    assert NOTES[found.note[5]] == "A4"
    assert found.cents[5] == pytest.approx(1200 * math.log2(447 / 440), abs=2)
    # 261 Hz is 4 cents below C4, 277 Hz a semitone above it.
    assert found.on_grid.tolist() == [False, False, True, False, True, True, False, False]
    assert found.level == pytest.approx(0.5 / math.sqrt(2), rel=0.02)


def test_oracle_hears_no_pitch_in_noise_and_silence():
    rng = np.random.default_rng(0)
    found = tones_attributes(rng.standard_normal((200, 1, 4096)).astype(np.float32))
    assert found.clarity.max() < 0.3
    assert not found.on_grid.any()
    found = tones_attributes(np.zeros((2, 1, 2048), dtype=np.float32))
    assert found.note.tolist() == [-1, -1]
    assert np.isnan(found.pitch_hz).all()
    assert np.isnan(found.cents).all()
    assert (found.clarity.tolist(), found.level.tolist(), found.on_grid.tolist()) == ([0, 0], [0, 0], [False, False])
    assert len(tones_attributes(np.zeros((0, 1, 2048), dtype=np.float32))) == 0


def test_differences_against_a_loop():
    x = np.random.default_rng(1).standard_normal((3, 61))
    found = _differences(x, 30)
    for row in range(3):
        for lag in range(30):
            expected = sum((x[row, j] - x[row, j + lag]) ** 2 for j in range(31))
            assert found[row, lag] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    "waves", [np.zeros((2, 2048)), np.zeros((2, 2, 2048)), np.zeros((2, 1, 200)), np.zeros((2, 1, 2048), int)]
)
def test_oracle_refuses(waves):
    with pytest.raises(ValueError, match="allowed: floats"):
        tones_attributes(waves)
