"""What a run is trained on, when it is no built-in set: folders, labels from a table, refusals in words."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from ganaudit.document.errors import ConfigError, SourceError
from ganaudit.training.run import train

from .recipes import data_of, tiny

WAVE = {
    "generator": {"network": "wavegan-generator", "options": {"width": 4}},
    "discriminator": {"network": "wavegan-discriminator", "options": {"width": 4}},
    "augmentation": {},
    "batch": 4,
    "images": 8,
}


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / f"{i:02d}.png")
    return folder


def table(path: Path, rows: list[str]) -> Path:
    path.write_text("file,label\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_a_folder_is_trained_on_but_for_a_tenth(tmp_path, pictures):
    config = tiny(scale=1, data=str(pictures), batch=4, images=8)
    reference = data_of(config)
    assert {name: len(split) for name, split in reference.splits.items()} == {"calibration": 4, "train": 36}
    assert reference.seen == {"calibration": "unseen", "train": "seen"}
    assert train(config, tmp_path / "run", reference).finished


def test_labels_come_from_a_table(tmp_path, pictures):
    (pictures / "notes.txt").write_text("no picture, so it needs no label")
    labels = table(tmp_path / "labels.csv", [f"{i:02d}.png,{'even' if i % 2 == 0 else 'odd'}" for i in range(40)])
    config = tiny(scale=1, data=str(pictures), conditional=True, batch=4, images=8, reading={"labels": str(labels)})
    reference = data_of(config)
    split = reference.splits["train"]
    assert split.classes == ("even", "odd")
    names = sorted(p.name for p in pictures.glob("*.png"))
    pixels = {np.asarray(Image.open(pictures / n)).tobytes(): int(n[:2]) for n in names}
    assert all(pixels[row.tobytes()] % 2 == label for row, label in zip(split.array, split.labels, strict=True))
    assert train(config, tmp_path / "run", reference).finished


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["00.png,a"], "39 of 40 files have no label, such as 01.png"),
        ([f"{i:02d}.png,{'rare' if i == 0 else 'a'}" for i in range(40)], "a class needs 2 samples or more"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, pictures, rows, told):
    labels = table(tmp_path / "labels.csv", rows)
    config = tiny(
        scale=1, data=str(pictures), conditional=True, batch=4, images=8, reading={"labels": str(labels), "held_out": 0}
    )
    with pytest.raises(ConfigError, match=told):
        train(config, tmp_path / "run", data_of(config))
    assert not (tmp_path / "run").exists()


def test_a_table_without_its_columns_and_one_that_is_not_there(tmp_path, pictures):
    (tmp_path / "labels.csv").write_text("name,kind\n00.png,a\n")
    for name, told in (("labels.csv", "needs the columns file and label"), ("none.csv", "cannot be read")):
        with pytest.raises(ConfigError, match=told):
            data_of(tiny(scale=1, data=str(pictures), reading={"labels": str(tmp_path / name)}))


def test_labels_are_asked_for_and_there_are_none(tmp_path, pictures):
    config = tiny(scale=1, data=str(pictures), conditional=True, batch=4, images=8)
    with pytest.raises(ConfigError, match=r"have no labels; give them by subfolders or reading\.labels"):
        train(config, tmp_path / "run", data_of(config))


def test_images_of_mixed_sizes_need_a_size(tmp_path, pictures):
    Image.fromarray(np.zeros((20, 16), dtype=np.uint8)).save(pictures / "tall.png")
    with pytest.raises(SourceError, match=r"tall\.png"):
        data_of(tiny(scale=1, data=str(pictures)))
    assert data_of(tiny(scale=1, data=str(pictures), reading={"resize": [16, 16]})).splits["train"].shape == (1, 16, 16)


def test_sizes_that_do_not_suit_the_networks(tmp_path, pictures):
    config = tiny(scale=1, data=str(pictures), batch=4, images=8, reading={"resize": [12, 12]})
    with pytest.raises(ConfigError, match="multiple of 8"):
        train(config, tmp_path / "run", data_of(config))


def test_nothing_of_this_name():
    with pytest.raises(ConfigError, match="neither a built-in set nor a path"):
        data_of(tiny(scale=1, data="digit"))


def test_a_folder_of_sounds_is_trained_on_and_the_subject_loads(tmp_path):
    from ganaudit.subjects.directory import Directory

    rng = np.random.default_rng(0)
    folder = tmp_path / "sounds"
    folder.mkdir()
    for i in range(20):
        wavfile.write(folder / f"{i}.wav", 16000, (rng.uniform(-1, 1, 256) * 30000).astype(np.int16))
    config = tiny(scale=1, data=str(folder), **WAVE)
    assert train(config, tmp_path / "run", data_of(config)).finished
    assert Directory().accepts(tmp_path / "run")


def test_images_for_a_network_of_sounds(tmp_path, pictures):
    config = tiny(scale=1, data=str(pictures), **WAVE)
    with pytest.raises(ConfigError, match="is for audio samples; the data are image"):
        train(config, tmp_path / "run", data_of(config))
