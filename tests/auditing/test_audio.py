"""A subject that makes sounds, audited from end to end: numbers, galleries, report, and the same by command line."""

import io
import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile
from torch import nn

from ganaudit.auditing import audit
from ganaudit.auditing.sounds import PICTURE, pictures, played
from ganaudit.cli.main import run as cli
from ganaudit.data.audio import wav
from ganaudit.data.tones import draw_tones, render_tones
from ganaudit.document.errors import ConfigError, ExtractorError, SourceError
from ganaudit.subjects.subject import Subject

LENGTH, LATENT = 2048, 8
CHEAP = {"frechet-distance": {}, "kernel-distance": {}, "precision-recall": {}, "discriminator-detection": {}}


class Waves(nn.Module):
    def __init__(self, gain=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(LATENT, 64), nn.ConvTranspose1d(4, 1, 256, stride=128, padding=64)
        self.gain = gain

    def forward(self, z):
        return self.gain * torch.tanh(self.last(self.first(z).view(-1, 4, 16)))


class Ear(nn.Module):
    def forward(self, x):
        return x.square().mean((1, 2))


@pytest.fixture(scope="module")
def tones():
    return render_tones(draw_tones("test", 0, 90), LENGTH, "test")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "cache"))


def subject(**more):
    return Subject.from_modules(Waves(**more), Ear(), latent=LATENT)


def test_a_generator_against_an_array(tmp_path, tones):
    np.save(tmp_path / "real.npy", tones[:, 0])
    out = tmp_path / "out"
    document = audit(subject(), tmp_path / "real.npy", out=out, samples=70, evaluators=CHEAP)
    assert document.extractor.id == "log-mel"
    assert document.extractor.dimensions == 96
    assert document.subject.sample == "1x2048 in [-1, 1]"
    assert document.reference.sample == "1x2048 float32 in -1..1"
    rows = {row.evaluator: row for row in document.results if row.evaluator in CHEAP}
    assert {row.status for row in rows.values()} == {"measured"}
    fd = document.measurement("frechet-distance/fd")
    assert fd.value > 3 * fd.null.value  # with so few samples the null is mostly bias
    assert document.measurement("kernel-distance/kd").value > 0.1
    assert document.measurement("precision-recall/recall").value < 0.2
    # Every picture is on disk as it was told, with the sound beside it.
    for gallery in document.galleries:
        assert (gallery.height, gallery.width) == PICTURE[1:]
        for item in gallery.items:
            with Image.open(out / item.file) as picture:
                assert picture.size == (gallery.width, gallery.height)
            assert (out / item.file).with_suffix(".wav").is_file()
    assert "each is written as WAV beside its picture, at 16000 a second since" in document.galleries[0].rule
    real = document.galleries[1].items[0]
    rate, values = wavfile.read((out / real.file).with_suffix(".wav"))
    assert rate == 16_000
    assert any(np.array_equal(values / 2**15, row[0]) for row in tones)
    # Sounds of an earlier, longer audit go.
    audit(subject(), tmp_path / "real.npy", out=out, samples=20, evaluators={"kernel-distance": {}})
    assert len(list((out / "samples").glob("fake-*.wav"))) == len(list((out / "samples").glob("fake-*.png"))) == 20
    assert cli(["report", str(out), "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "log-mel" in page
    assert "crossed cell" not in page


def test_sounds_that_are_alike_are_near_and_a_range_changes_nothing(tmp_path, tones):
    np.save(tmp_path / "a.npy", tones[::2])
    np.save(tmp_path / "b.npy", tones[1::2])
    more = {"evaluators": {"frechet-distance": {}}, "cache": False}
    near = audit(tmp_path / "a.npy", {"test": str(tmp_path / "b.npy")}, **more).measurement("frechet-distance/fd").value
    far = audit(subject(), {"test": str(tmp_path / "b.npy")}, samples=45, **more).measurement("frechet-distance/fd")
    assert far.value > 5 * near
    # A generator of values in -2..2 with twice the gain makes the same sounds.
    doubled = Subject.from_modules(Waves(2.0), latent=LATENT, value_range=(-2.0, 2.0))
    again = audit(doubled, {"test": str(tmp_path / "b.npy")}, samples=45, **more).measurement("frechet-distance/fd")
    assert again.value == pytest.approx(far.value, rel=1e-4)


def test_the_built_in_tones_in_the_length_of_the_subject():
    document = audit(subject(), "tones", samples=32, evaluators={"kernel-distance": {}}, cache=False)
    assert document.reference.sample == "1x2048 float32 in -1..1, 16000 a second"
    assert document.reference.classes == ["sine", "triangle", "square", "saw"]


def test_kinds_are_not_mixed(tmp_path, tones):
    np.save(tmp_path / "real.npy", tones)
    np.save(tmp_path / "images.npy", np.zeros((9, 8, 8), np.uint8))
    for reference, more, error, told in (
        ("real.npy", {"extractor": "random-conv"}, ExtractorError, "takes images; found audio"),
        ("images.npy", {}, SourceError, "one side is audio"),
        ("real.npy", {"precision": "bf16"}, ConfigError, "log-mel runs in fp32 only"),
        ("real.npy", {"resize": [8, 8]}, SourceError, "--resize is for images"),
    ):
        with pytest.raises(error, match=told):
            audit(subject(), tmp_path / reference, cache=False, **more)
    with pytest.raises(SourceError, match="digits"):
        audit(subject(), "digits", cache=False)
    with pytest.raises(ExtractorError, match="log-mel: takes audio; found images"):
        audit("digits", extractor="log-mel", cache=False)


def test_rates_of_both_sides(tmp_path, tones):
    for name, rate in (("a", 8000), ("b", 8000), ("c", 44_100)):
        (tmp_path / name).mkdir()
        for i, tone in enumerate(tones[:12]):
            (tmp_path / name / f"{i:02d}.wav").write_bytes(wav(tone, rate))
    more = {"evaluators": {"kernel-distance": {}}, "cache": False}
    document = audit(tmp_path / "a", {"test": str(tmp_path / "b")}, out=tmp_path / "out", **more)
    assert "8000 a second" in document.galleries[0].rule
    assert wavfile.read(tmp_path / "out/samples/fake-000000.wav")[0] == 8000
    with pytest.raises(SourceError, match="8000 values a second, the reference's test 44100"):
        audit(tmp_path / "a", {"test": str(tmp_path / "c")}, **more)


def test_by_command_line_with_a_folder_of_wav(tmp_path, tones, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for split, rows in (("test", tones[:40]), ("calibration", tones[40:60])):
        (tmp_path / split).mkdir()
        for i, tone in enumerate(rows):
            (tmp_path / split / f"{i:02d}.wav").write_bytes(wav(tone, 16_000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = ({0: torch.export.Dim("batch")},)
        torch.export.save(
            torch.export.export(Waves().eval(), (torch.zeros(4, LATENT),), dynamic_shapes=batch), "waves.pt2"
        )
    made = ["waves.pt2", "--latent", str(LATENT)]
    asked = ["--reference", "calibration=calibration,test=test", "--evaluators", "kernel-distance"]
    assert cli(["audit", *made, *asked, "--samples", "30", "--out", "out"]) == 0, capfd.readouterr().err
    document = json.loads((tmp_path / "out/document.json").read_text())
    assert document["extractor"]["id"] == "log-mel"
    assert document["reference"]["sample"] == "1x2048 float32 in -1..1, 16000 a second"
    # The samples of the audit, written as WAV, are a subject of their own; 16 bits hardly move a number.
    assert cli(["sample", *made, "--samples", "30", "--out", "drawn"]) == 0, capfd.readouterr().err
    assert len(list((tmp_path / "drawn").glob("*.wav"))) == 30
    assert cli(["sample", *made, "--samples", "30", "--out", "grid.png"]) == 0
    assert cli(["sample", *made, "--samples", "30", "--out", "drawn.npz"]) == 0
    values = {}
    for name in ("drawn", "drawn.npz"):
        assert cli(["audit", name, *asked, "--out", f"{name}-out"]) == 0, capfd.readouterr().err
        again = json.loads((tmp_path / f"{name}-out/document.json").read_text())
        values[name] = _kd(again)
    assert values["drawn.npz"] == pytest.approx(_kd(document), rel=1e-6)
    assert values["drawn"] == pytest.approx(_kd(document), rel=0.01)


def _kd(document):
    row = next(row for row in document["results"] if row["evaluator"] == "kernel-distance")
    return next(m["value"] for m in row["measurements"] if m["key"] == "kd")


def test_pictures():
    time = np.arange(4096) / 16_000
    half = np.where(time < 0.128, np.sin(2 * np.pi * 1000 * time), 0).astype(np.float32)
    waves = torch.from_numpy(np.stack([half, np.zeros_like(half), -np.ones_like(half)])[:, None])
    found = pictures(waves)
    assert found.shape == (3, *PICTURE)
    assert found.dtype == torch.uint8
    wave, spectrum = found[0, 0, :40], found[0, 0, 40:]
    assert bool((wave[:, 5:60] == 255).all())  # a full sine spans all of it
    assert int((wave[:, 70:] == 255).sum()) == 58  # silence is one line
    brightest = spectrum[:, 30].argmax()
    # 1000 Hz is 1000 mel of 2840, so band 1000/2840 * 65 - 1 from the bottom.
    assert 63 - int(brightest) == pytest.approx(1000 / 2840 * 65 - 1, abs=0.6)
    assert int(spectrum[:, 30].max()) >= 250
    assert int(spectrum[:, 80:].max()) == 0
    assert bool((found[2, 0, 39] == 255).all())
    assert not bool((found[1, 0, 40:] > 0).any())


def test_what_is_played(monkeypatch):
    waves = torch.linspace(-1, 1, 300).view(3, 1, 100)
    files = played(waves, 8000)
    rate, values = wavfile.read(io.BytesIO(files[1]))
    assert rate == 8000
    np.testing.assert_allclose(values / 2**15, waves[1, 0], atol=2**-15)
    monkeypatch.setattr("ganaudit.auditing.sounds._MOST_VALUES", 250)
    assert len(played(waves, None)) == 2
