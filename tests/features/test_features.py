"""Extractors, the rule that picks one, and the engine that makes batch size irrelevant."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.document.errors import ExtractorError
from ganaudit.features.choice import choose_extractor
from ganaudit.features.engine import BLOCK, in_blocks
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.identity import Identity
from ganaudit.features.pixels import Pixels
from ganaudit.features.random_conv import RandomConv
from ganaudit.progress import Silent


def images(n=5, channels=3, height=8, width=8, seed=0):
    array = np.random.default_rng(seed).integers(0, 256, (n, channels, height, width), dtype=np.uint8)
    return torch.from_numpy(array)


# --- the engine


class Counting:
    """A task that remembers its advances."""

    def __init__(self):
        self.steps = []

    def advance(self, steps):
        self.steps.append(steps)

    def note(self, text):
        raise AssertionError(text)


@pytest.fixture(scope="module")
def convolve():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.Flatten()).eval()
    network.append(nn.Linear(64 * 36, 33)).requires_grad_(False)
    x = images(512).float() / 255

    def work(start, count):
        return network(x[start : start + count]), torch.arange(start, start + count)

    return work


@pytest.mark.parametrize("batch", [1, 16, 17, 500])
@pytest.mark.parametrize("n", [1, 16, 37, 500])
def test_the_batch_size_changes_no_bit(convolve, batch, n):
    task = Counting()
    features, index = in_blocks(convolve, n, batch, task)
    whole, _ = in_blocks(convolve, n, n + BLOCK, Counting())
    assert torch.equal(features, whole)
    assert torch.equal(index, torch.arange(n))
    assert features.dtype == torch.float32
    assert sum(task.steps) == n
    step = max(batch // BLOCK, 1) * BLOCK
    assert all(steps == step for steps in task.steps[:-1])


def test_a_sample_does_not_depend_on_how_many_follow(convolve):
    longest, _ = in_blocks(convolve, 500, 500, Counting())
    for n in (1, 15, 17, 100):
        assert torch.equal(in_blocks(convolve, n, 64, Counting())[0], longest[:n])


@pytest.mark.parametrize(("n", "block"), [(10, 4), (8, 4), (3, 4), (7, 1), (5, 16)])
def test_work_is_only_asked_for_whole_blocks(n, block):
    asked = []

    def work(start, count):
        asked.append((start, count))
        return (torch.arange(start, start + count),)

    (rows,) = in_blocks(work, n, 6, Counting(), block)
    assert torch.equal(rows, torch.arange(n))
    assert asked == [(start, block) for start in range(0, n, block)]


# --- the choice

ALL = ["digits-cnn", "identity", "inception-v3", "pixels", "random-conv"]


def choose(asked=None, *, own=None, features=False, shape=(3, 32, 32), weights=False, available=ALL):
    return choose_extractor(
        asked,
        available=available,
        reference_extractor=own,
        reference_name="r",
        are_features=features,
        shape=shape,
        has_weights=weights,
    )


@pytest.mark.parametrize(
    ("case", "picked", "why"),
    [
        ({"asked": "pixels"}, "pixels", "asked for by name"),
        ({"asked": "random-conv", "own": "digits-cnn", "weights": True}, "random-conv", "asked for by name"),
        ({"own": "digits-cnn", "weights": True}, "digits-cnn", "trained on the train split of the reference 'r'"),
        ({"own": "not-installed"}, "random-conv", "untrained"),
        ({"weights": True}, "inception-v3", "weights were given"),
        ({"weights": True, "shape": (1, 32, 32)}, "random-conv", "untrained"),
        ({"weights": True, "shape": (1, 8, 8)}, "pixels", "64 values"),
        ({"shape": (3, 8, 8)}, "pixels", "192 values"),
        ({"shape": (1, 193, 1)}, "random-conv", "untrained"),
        ({"shape": (3, 9, 9)}, "random-conv", "untrained"),
        ({"features": True, "shape": (64,)}, "identity", "used as they stand"),
        ({"asked": "identity", "features": True, "shape": (64,)}, "identity", "used as they stand"),
    ],
)
def test_the_rule_that_picks_an_extractor(case, picked, why):
    choice = choose(**case)
    assert choice.id == picked
    assert why in choice.why


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ({"asked": "inception"}, "extractor 'inception': unknown; nearest: inception-v3"),
        ({"asked": "pixels", "features": True, "shape": (64,)}, "only identity reads them"),
        ({"asked": "identity"}, r"samples of shape \(3, 32, 32\); it takes arrays of features"),
    ],
)
def test_what_cannot_be_extracted_is_told(case, told):
    with pytest.raises(ExtractorError, match=told) as caught:
        choose(**case)
    assert caught.value.exit_code == 2


# --- identity, pixels, random-conv


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_identity_leaves_features_as_they_are(dtype):
    extractor = Identity(ExtractorOptions((7,)))
    rows = torch.randn(4, 7, dtype=dtype)
    assert extractor.extract(rows).features is rows
    assert (extractor.dimensions, extractor.classes) == (7, 0)
    with pytest.raises(ExtractorError, match=r"found samples of shape \(3, 8, 8\)"):
        Identity(ExtractorOptions((3, 8, 8)))


def test_pixels_are_flattened_shares():
    extractor = Pixels(ExtractorOptions((3, 8, 8)))
    x = images()
    features = extractor.extract(x).features
    assert (extractor.dimensions, extractor.classes) == (192, 0)
    assert features.dtype == torch.float32
    assert torch.equal(features, x.reshape(5, 192).float() / 255)
    assert (Pixels(ExtractorOptions((1, 128, 128))).dimensions, extractor.extract(x).logits) == (16_384, None)
    for shape in ((1, 128, 129), (7,)):
        with pytest.raises(ExtractorError, match=r"at most 16384 values; found shape .*--resize") as caught:
            Pixels(ExtractorOptions(shape))
        assert str(shape) in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 16, 16), (3, 9, 31), (4, 64, 64)])
def test_random_conv_gives_288_finite_features_of_any_image(shape):
    extractor = RandomConv(ExtractorOptions(shape))
    x = images(3, *shape)
    features = extractor.extract(x).features
    assert features.shape == (3, extractor.dimensions) == (3, 288)
    assert features.dtype == torch.float32
    assert torch.isfinite(features).all()
    assert torch.equal(RandomConv(ExtractorOptions(shape)).extract(x).features, features)
    assert "untrained" in extractor.caution
    assert len({tuple(row.tolist()) for row in features}) == 3


@pytest.mark.parametrize("shape", [(3, 3, 8), (7,)])
def test_random_conv_refuses_what_it_cannot_halve(shape):
    with pytest.raises(ExtractorError, match="at least 4x4; found shape"):
        RandomConv(ExtractorOptions(shape))


def test_random_conv_is_the_same_network_everywhere():
    extractor = RandomConv(ExtractorOptions((3, 8, 8)))
    weights = hashlib.sha256(b"".join(weight.numpy().tobytes() for weight in extractor.filters)).hexdigest()
    assert weights == GOLDEN_FILTERS
    features = extractor.extract(images(2)).features
    torch.testing.assert_close(features[:, :4], GOLDEN_FEATURES, rtol=1e-5, atol=1e-6)
    assert extractor.digest == "random-conv/2 seed 20261122 channels 3"
    assert RandomConv(ExtractorOptions((1, 8, 8))).digest != extractor.digest


GOLDEN_FILTERS = "561a46fd2598a67fe0cb9dac501db5e5755f1955ded0279e46113d7440365fbb"
GOLDEN_FEATURES = torch.tensor(
    [[0.28263846, 0.66771203, 0.20936789, 0.33010459], [0.29537174, 0.29203936, 0.21967593, 0.26151717]]
)


def test_silent_tasks_take_what_they_are_given():
    with Silent().task("label", 3) as task:
        assert in_blocks(lambda start, count: (torch.arange(start, start + count),), 3, 1, task)[0].tolist() == [
            0,
            1,
            2,
        ]
