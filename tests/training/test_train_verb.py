"""``ganaudit train`` from its file on: the environment, audits that cannot be, data of one's own, the forecast."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.io import wavfile

from ganaudit import registry
from ganaudit.cli.main import run
from ganaudit.document.errors import ConfigError
from ganaudit.subjects.directory import Directory, read_subject_file
from ganaudit.subjects.loading import LoadOptions
from ganaudit.training import forecast as forecasts
from ganaudit.training.config import load_config, parted
from ganaudit.training.loop import Loop
from ganaudit.training.run import train

from .recipes import data_of, tiny

PLAN = """
name = "tiny"
data = "{data}"
scale = {scale}
images = {images}
batch = {batch}
latent = 8
{more}
[generator]
network = "{family}-generator"
options = {{ width = 4 }}
[discriminator]
network = "{family}-discriminator"
options = {{ width = 4 }}
{sections}
"""


def written(folder: Path, sections: str = "", more: str = "", family: str = "dcgan", **changes: Any) -> Path:
    values = {"data": "digits", "scale": 2, "images": 64, "batch": 16} | changes
    path = folder / "train.toml"
    path.write_text(PLAN.format(sections=sections, more=more, family=family, **values), encoding="utf-8")
    return path


def plan_of(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    capfd.readouterr()
    assert run(["train", *map(str, arguments), "--dry-run", "--json"]) == 0
    found: dict[str, Any] = json.loads(capfd.readouterr().out)["plan"]
    return found


# The environment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ", []),
        ("images=3 name=fast", ["images=3", "name=fast"]),
        ("images=3\n\tname=fast ", ["images=3", "name=fast"]),
        ('augmentation.seen=["flip", "crop"] batch=8', ['augmentation.seen=["flip", "crop"]', "batch=8"]),
        ("reading.resize=[16,\n 16]", ["reading.resize=[16,\n 16]"]),
        ('a={b = [1, 2], c = "]"} d=1', ['a={b = [1, 2], c = "]"}', "d=1"]),
        ('data="my pictures" name=x', ['data="my pictures"', "name=x"]),
        ("data='my  pictures' name=x", ["data='my  pictures'", "name=x"]),
        (r'data="a \" b" name=x', [r'data="a \" b"', "name=x"]),
        ("name=it's seed=1", ["name=it's", "seed=1"]),  # a mark that nothing closes is a mark
        ("a=1] b=2", ["a=1]", "b=2"]),
    ],
)
def test_pairs_are_parted_outside_of_brackets_and_quotation_marks(text: str, expected: list[str]) -> None:
    assert parted(text) == expected


def test_the_environment_lays_over_the_file_arrays_with_spaces_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path)
    monkeypatch.setenv(
        "GANAUDIT_TRAIN_SET",
        'images=96  augmentation.seen=["flip", "crop"]\naugmentation.options={crop = {least = 0.75}} name="b-c"',
    )
    plan = plan_of(capfd, path)
    assert (plan["images"], plan["name"]) == (96, "b-c")
    assert plan["augmentation"]["seen"] == ["flip", "crop"]
    assert plan["augmentation"]["options"] == {"crop": {"least": 0.75}}
    # As with every option, what is said on the command line is said in place of the environment.
    plan = plan_of(capfd, path, "--set", 'augmentation.seen=["turn", "bands"]', "--set", "batch=8")
    assert (plan["images"], plan["batch"], plan["augmentation"]["seen"]) == (64, 8, ["turn", "bands"])
    monkeypatch.setenv("GANAUDIT_TRAIN_SET", "images = 3")
    assert run(["train", str(path), "--dry-run"]) == 2
    assert "KEY=VALUE is asked for" in capfd.readouterr().err


# Audits on the way


@pytest.mark.parametrize(
    ("audit", "told"),
    [
        ('measure = "frechet/fd"', ["audit.measure 'frechet/fd'", "no EVALUATOR/KEY", "frechet-distance"]),
        ('measure = "frechet-distance"', ["audit.measure 'frechet-distance'", "all: fd"]),
        ('measure = "frechet-distance/fdd"', ["audit.measure 'frechet-distance/fdd'", "nearest: fd"]),
        ('measure = "discriminator-detection/threshold"', ["lower or higher is better", "auc"]),
        ('extractor = "digits-cn"', ["audit.extractor 'digits-cn'", "digits-cnn"]),
    ],
)
def test_audits_that_could_not_be_are_refused_before_anything_is_trained(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, audit: str, told: list[str]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a step was done")

    monkeypatch.setattr(Loop, "step", never)
    path = written(tmp_path, f"[audit]\nevery = 32\n{audit}")
    for more in ([], ["--dry-run"]):
        assert run(["train", str(path), "--out", str(tmp_path / "run"), *more]) == 2
        said = capfd.readouterr().err
        assert all(words in said for words in told), said
    assert not (tmp_path / "run").exists()


def test_keys_of_audits_that_do_not_exist_are_told_with_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path, '[audit]\nevry = 32\nsamples = 4\nshare = 0\nmeasure = "frechet-distance/fd"')
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    said = "\n".join(caught.value.problems)
    assert "audit.evry" in said
    assert "every" in said
    assert "audit.samples" in said
    assert "audit.share" in said


def test_true_audits_choose_the_same_snapshot_after_an_interruption(tmp_path: Path) -> None:
    audit = '[audit]\nevery = 64\nmeasure = "kernel-distance/kd"\nsamples = 64\nshare = 0.001'
    path = written(tmp_path, audit, images=192, batch=32)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(["train", str(path), "--out", str(whole)]) == 0
    assert run(["train", str(path), "--out", str(parts), "--stop-after", "96"]) == 130
    assert run(["train", str(path), "--out", str(parts), "--resume"]) == 0
    ours, theirs = (load_file(folder / "generator.safetensors") for folder in (whole, parts))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    records = [read_subject_file(folder / "subject.toml").training for folder in (whole, parts)]
    assert records[0]["weights"] == records[1]["weights"]
    found = [[(a["images"], a["kernel-distance/kd"]) for a in record["audits"]] for record in records]
    assert found[0] == found[1]
    assert [images for images, _ in found[0]] == [64, 128, 192]
    best = min(found[0], key=lambda one: one[1])[0]
    assert f"the snapshot at {best} images" in records[0]["weights"]
    assert "more than audit.share = 0.001" in records[0]["health_words"]


# What is recorded


def test_the_laws_of_augmentation_are_in_the_subject(tmp_path: Path) -> None:
    config = tiny(
        images=32,
        augmentation={
            "data": ["crop", "flip"],
            "seen": ["cutout", "rotation", "scaling", "turn", "stretch", "bands", "translation"],
            "options": {
                "crop": {"least": 0.9},
                "rotation": {"degrees": 15, "fill": -1.0},
                "bands": {"strength": 0.5},
                "translation": {"pixels": 1, "fill": -1.0},
            },
        },
    )
    train(config, tmp_path / "run", data_of(config))
    training = read_subject_file(tmp_path / "run" / "subject.toml").training
    assert training["augmentation_laws"] == [
        "data: flip: mirrored left to right with probability 1/2",
        "data: crop: a window of a share of each side uniform in 0.9..1, anywhere, enlarged to the full size",
        "seen: turn: turned by 0, 90, 180 or 270 degrees, uniform (0 or 180 where the sides differ)",
        "seen: translation: moved by whole pixels, uniform within 0.125 of each side (1 pixels where that is not 0), "
        "filled with -1.0",
        "seen: scaling: both sides times 2^(0.2 n) about the middle, n standard normal, filled with 0.0",
        "seen: rotation: rotated about the middle, uniform within 15 degrees either way, filled with -1.0",
        "seen: stretch: width times s and height divided by s about the middle, s = 2^(0.2 n), n standard normal, "
        "filled with 0.0",
        "seen: bands: four bands of frequencies, an octave apart, each amplified by 2^(0.5 n), n standard normal, the "
        "power of natural images kept",
        "seen: cutout: a rectangle of 0.5 of each side, its middle anywhere, set to 0.0",
    ]
    assert training["augmentation_data"] == ["crop", "flip"]
    train(tiny(images=32, augmentation={}), tmp_path / "plain", data_of(config))
    assert read_subject_file(tmp_path / "plain" / "subject.toml").training["augmentation_laws"] == []


# The forecast


@pytest.mark.parametrize(
    ("regularisers", "period"),
    [
        ({"r1": 1.0}, 1),
        ({"r1": 1.0, "discriminator_every": 3}, 3),
        ({"path_length": 1.0, "generator_every": 8}, 8),
        ({"r1": 1.0, "discriminator_every": 4, "path_length": 1.0, "generator_every": 6}, 12),
    ],
)
def test_a_forecast_times_whole_periods_of_lazy_steps(
    monkeypatch: pytest.MonkeyPatch, regularisers: dict[str, float], period: int
) -> None:
    clock, plain, dear = [0.0], 1.0, 10.0
    done = []

    def step(loop: Loop, number: int, tells: bool = False) -> None:
        plan = loop.config.regularisers
        extra = 0.0
        if plan.r1 and number % plan.discriminator_every == 0:
            extra += dear
        if plan.path_length and number % plan.generator_every == 0:
            extra += 3 * dear
        clock[0] += plain + extra
        done.append(number)

    monkeypatch.setattr(Loop, "step", step)
    monkeypatch.setattr(forecasts.time, "perf_counter", lambda: clock[0])
    # 24 steps: a whole number of every period here, so that the truth can be added up.
    config = tiny(images=24 * 32, regularisers=regularisers)
    found = forecasts.forecast(config, data_of(config))
    r1 = 24 / regularisers.get("discriminator_every", 1) if "r1" in regularisers else 0
    path = 24 / regularisers["generator_every"] if "path_length" in regularisers else 0
    assert found.seconds == pytest.approx(24 * plain + r1 * dear + path * 3 * dear)
    assert found.images_per_second == pytest.approx(24 * 32 / found.seconds)
    assert (len(done) - 2) % period == 0
    assert done == list(range(len(done)))


# Data of one's own


def test_labels_of_a_table_reach_the_subject(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "my pictures"
    (folder / "more").mkdir(parents=True)
    rows = []
    for i in range(40):
        name = f"more/{i:02d}.png" if i % 4 == 0 else f"{i:02d}.png"
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / name)
        rows.append({"file": name, "label": "every, fourth" if i % 4 == 0 else "other"})
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["label", "file"])
        table.writeheader()
        table.writerows(rows)
    path = written(
        tmp_path,
        f'[reading]\nlabels = "{tmp_path / "labels.csv"}"\nheld_out = 0.0',
        "conditional = true",
        data=folder,
        scale=1,
    )
    assert run(["train", str(path), "--out", str(tmp_path / "run")]) == 0
    subject = Directory().load(tmp_path / "run", LoadOptions(network=lambda name: registry.find("networks", name)))
    assert subject.classes == 2
    assert read_subject_file(tmp_path / "run" / "subject.toml").sample.label_law == pytest.approx((0.25, 0.75))
    (tmp_path / "labels.csv").write_text("file,label\n01.png,one\n")
    capfd.readouterr()
    assert run(["train", str(path), "--out", str(tmp_path / "other")]) == 2
    assert "39 of 40 files have no label, such as 02.png" in capfd.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_folder_of_wav_files_is_trained_on_and_sounds_come_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "sounds"
    for kind in ("high", "low"):
        (folder / kind).mkdir(parents=True)
        for i in range(12):
            tone = np.sin(np.arange(2048) * (0.5 if kind == "high" else 0.05) + rng.uniform(0, 6))
            wavfile.write(folder / kind / f"{i}.wav", 16000, (tone * 20000).astype(np.int16))
    path = written(tmp_path, family="wavegan", more="conditional = true", data=folder, scale=1, images=32, batch=8)
    assert run(["train", str(path), "--out", str(tmp_path / "run")]) == 0
    subject = read_subject_file(tmp_path / "run" / "subject.toml")
    assert tuple(subject.sample.shape) == (1, 2048)
    assert subject.sample.classes == 2
    assert subject.training["health_features"] == "log-mel"
    capfd.readouterr()
    assert run(["sample", str(tmp_path / "run"), "--samples", "3", "--out", str(tmp_path / "out.npz")]) == 0
    with np.load(tmp_path / "out.npz") as made:
        assert made["samples"].shape == (3, 1, 2048)
        assert np.isfinite(made["samples"]).all()
