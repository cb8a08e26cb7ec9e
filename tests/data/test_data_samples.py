import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganaudit.data.samples import Samples, concatenate, content_digest
from ganaudit.document.errors import SourceError

RNG = np.random.default_rng(1)
UINT8 = RNG.integers(0, 256, (5, 4, 3, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 0, 1, 1])


def images(array=UINT8, labels=LABELS):
    return Samples.of(array.copy(), "images", "some", "folder", labels=labels, classes=("a", "b"))


def floats(low=-1.0, high=1.0):
    array = (low + (high - low) * UINT8.transpose(0, 3, 1, 2) / 255).astype(np.float32)
    return Samples.of(array, "floats", "some", "npz", value_range=(low, high))


def features(dtype=np.float64):
    return Samples.of(RNG.normal(size=(6, 2)).astype(dtype), "features", "rows", "npy")


@pytest.mark.parametrize("indices", [slice(1, 4), [1, 2, 3], np.array([1, 2, 3]), torch.tensor([1, 2, 3])])
@pytest.mark.parametrize("make", [images, floats])
def test_images_are_uint8_channels_first(make, indices):
    batch = make().images(indices)
    assert batch.dtype == torch.uint8
    assert batch.is_contiguous()
    np.testing.assert_array_equal(batch.numpy(), UINT8[1:4].transpose(0, 3, 1, 2))


def test_order_and_repetition_follow_the_indices():
    np.testing.assert_array_equal(images().images([4, 0, 4]).numpy(), UINT8[[4, 0, 4]].transpose(0, 3, 1, 2))
    assert images().images([]).shape == (0, 3, 4, 3)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)])
@pytest.mark.parametrize("make", [images, floats])
def test_values_span_the_range(make, low, high):
    batch = make().values(slice(None), low, high)
    assert batch.dtype == torch.float32
    expected = low + (high - low) * UINT8.transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(batch.numpy(), expected, atol=1e-6 * (high - low))


@settings(max_examples=30, deadline=None)
@given(st.floats(-10, 10), st.floats(0.01, 20))
def test_quantised_floats_come_back(low, span):
    stored = images().values(slice(None), low, low + span).numpy()
    samples = Samples.of(stored, "floats", "some", "npz", value_range=(low, low + span))
    assert torch.equal(samples.images(slice(None)), images().images(slice(None)))


@pytest.mark.parametrize("make", [images, floats, features])
def test_batches_are_copies_and_the_array_is_read_only(make):
    samples = make()
    batch = samples.features([0, 1]) if samples.kind == "features" else samples.values(slice(None), -1, 1)
    before = samples.digest
    batch += 1
    assert content_digest(samples.array, samples.labels, samples.value_range) == before
    with pytest.raises(ValueError, match="read-only"):
        samples.array[0] = 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_as_stored(dtype):
    samples = features(dtype)
    assert torch.equal(samples.features(slice(2, 4)), torch.from_numpy(samples.array[2:4].copy()))
    assert samples.features([0]).dtype == torch.from_numpy(np.zeros(1, dtype)).dtype


def test_features_are_no_images_and_images_no_features():
    with pytest.raises(SourceError, match="images were asked for, found 2 features float64"):
        features().images([0])
    with pytest.raises(SourceError, match="images were asked for"):
        features().values([0], 0, 1)
    with pytest.raises(SourceError, match="found images of 3x4x3 uint8"):
        images().features([0])


def test_take():
    part = images().take([3, 0], "part")
    assert (part.name, part.form, part.classes, part.labels.tolist()) == ("part", "folder", ("a", "b"), [1, 0])
    assert part.digest == images(UINT8[[3, 0]], np.array([1, 0])).digest
    assert part.digest != images().take([0, 3], "part").digest
    assert images().take(slice(0, 2), "part").digest == images().take([0, 1], "part").digest


def test_the_digest_covers_everything_that_is_said():
    base = images().digest
    assert base.startswith("sha256:")
    assert images().digest == base
    other = UINT8.copy()
    other[4, 3, 2, 1] ^= 1
    assert images(other).digest != base
    assert images(UINT8[::-1]).digest != base
    assert images(labels=None).digest != base
    assert images(labels=LABELS[::-1].copy()).digest != base
    assert images(UINT8.reshape(5, 3, 4, 3)).digest != base
    assert content_digest(np.zeros((2, 2), np.float32)) != content_digest(np.zeros((2, 2), np.float64))
    assert content_digest(np.zeros((1, 2)), None, (0, 1)) != content_digest(np.zeros((1, 2)), None, (-1, 1))


def test_the_digest_is_equal_on_every_machine():
    rows = np.arange(6, dtype=np.float64).reshape(2, 3)
    golden = "sha256:6778131199d532f386f8ba9b805615336aa44a7ef97e24efd653e4318ba017ec"
    assert content_digest(rows) == golden
    assert content_digest(rows.astype(">f8")) == golden
    assert content_digest(np.asfortranarray(rows)) == golden


def test_concatenation():
    both = concatenate([images().take([0, 1], "a"), images().take([2, 3, 4], "b")], "all")
    assert both.digest == images().digest
    assert (both.name, both.form, both.classes) == ("all", "folder", ("a", "b"))
    assert concatenate([images(), images(labels=None)], "all").labels is None


def test_what_is_impossible_is_caught_early():
    with pytest.raises(AssertionError):
        Samples.of(UINT8.astype(np.float32), "images", "x", "npz")
    with pytest.raises(AssertionError):
        Samples.of(UINT8.copy(), "images", "x", "npz", labels=LABELS[:2])


def test_repr_stays_short():
    assert len(repr(images())) < 400
