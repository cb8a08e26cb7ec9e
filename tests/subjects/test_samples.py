"""Subjects that are samples only, with and without a discriminator."""

import numpy as np
import pytest
import torch
from PIL import Image

from ganaudit.data.reading import ReadOptions
from ganaudit.document.errors import SourceError, SubjectError
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.samples import SampleFiles

from .networks import Discriminator, find

BYTES = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)


def load(path, **more):
    assert SampleFiles().accepts(path)
    return SampleFiles().load(path, LoadOptions(network=find, **more))


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / "bytes.npy", BYTES)
    np.savez(tmp_path / "named.npz", samples=BYTES, latents=np.zeros((10, 8), np.float32))
    np.save(tmp_path / "floats.npy", (BYTES.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32))
    np.save(tmp_path / "features.npy", np.zeros((10, 5)))
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(BYTES):
        Image.fromarray(image).save(tmp_path / "folder" / f"{i:02}.png")
    return tmp_path


@pytest.mark.parametrize("name", ["bytes.npy", "named.npz", "folder", "floats.npy"])
def test_samples_are_a_subject_without_generator(files, name):
    made = load(files / name)
    assert made.generator is None
    assert made.kind == "samples"
    assert made.trust == "data"
    assert made.sample.shape == (3, 4, 4)
    assert (made.sample.low, made.sample.high) == ((-1.0, 1.0) if name == "floats.npy" else (0.0, 255.0))
    assert np.array_equal(made.samples.images(slice(None)).numpy(), BYTES.transpose(0, 3, 1, 2))
    assert made.digest == load(files / name).digest
    assert "10 " in made.checks[0]


def test_equal_pixels_have_equal_digests_and_others_have_not(files):
    assert load(files / "bytes.npy").digest == load(files / "named.npz").digest
    other = BYTES.copy()
    other[9, 3, 3, 2] ^= 1
    np.save(files / "bytes.npy", other)
    assert load(files / "bytes.npy").digest != load(files / "named.npz").digest


def test_features_are_samples_when_they_are_asked_for(files):
    made = load(files / "features.npy", read=ReadOptions(features=True))
    assert made.sample.shape == (5,)
    assert made.samples.kind == "features"


@pytest.mark.parametrize("name", ["bytes.npy", "named.npz", "folder"])
def test_a_discriminator_reads_the_samples_in_the_range(files, programs, name):
    made = load(files / name, discriminator=programs["judge"])
    assert made.trust == "operators"
    assert (made.sample.low, made.sample.high) == (-1.0, 1.0)
    assert made.digest != load(files / name).digest
    x = made.samples.values(slice(None), -1.0, 1.0)
    torch.testing.assert_close(made.discriminate(x), Discriminator()(x)[:, 0].detach().double())
    assert any("one finite score per sample" in check for check in made.checks)
    other = load(files / name, discriminator=programs["judge"], value_range=(0.0, 1.0))
    assert (other.sample.low, other.sample.high) == (0.0, 1.0)


def test_a_static_discriminator_brings_its_batch(files, programs):
    assert load(files / "bytes.npy", discriminator=programs["judge-of-3"]).block == 3


def test_a_discriminator_that_does_not_take_the_samples_is_told_at_once(files, programs):
    np.save(files / "grey.npy", BYTES[..., :1])
    with pytest.raises(SubjectError, match=r"discriminator: refused samples \(4, 1, 4, 4\)"):
        load(files / "grey.npy", discriminator=programs["judge"])


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: np.save(path, np.zeros((3, 4))), "features"),
        (lambda path: path.write_bytes(b"no array"), "no NumPy array file"),
        (lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True), "object"),
    ],
)
def test_what_holds_no_samples_is_told(tmp_path, write, told):
    path = tmp_path / "bad.npy"
    write(path)
    with pytest.raises(SourceError, match=told) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_folder_without_images_is_told(tmp_path):
    with pytest.raises(SourceError) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value)
