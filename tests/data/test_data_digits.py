import hashlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits as load_sklearn

from ganaudit.data.digits import load_digits
from ganaudit.document.errors import SourceError

# The trained models and the extractor depend on these values.
GOLDEN = {
    "train": "sha256:d9bf135a23975735054ff032a76be37ee4677fd4c2dcf16e4ad5b03d9fbd5877",
    "calibration": "sha256:3a3afcbd1e979afe3c6007853cc70707d3db9f66d9503fe09ae365a385e01907",
    "test": "sha256:826d3df94971d51303814cdde67bff4a75d667fe99496dc27892b80ace349074",
}


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_golden_digests(digits):
    assert {name: samples.digest for name, samples in digits.splits.items()} == GOLDEN


def test_what_it_says_of_itself(digits):
    assert (digits.name, digits.form, digits.extractor, digits.overlap) == ("digits", "built-in", "digits-cnn", 0)
    assert digits.seen == {"train": "seen", "calibration": "unseen", "test": "unseen"}
    assert digits.default_against() == "test"
    assert "CC BY 4.0" in digits.licence
    assert digits.shape == (1, 16, 16)
    assert {name: len(samples) for name, samples in digits.splits.items()} == {
        "train": 898,
        "calibration": 299,
        "test": 600,
    }
    assert digits.split("test").classes == tuple("0123456789")


def test_splits_follow_the_rule_one_image_at_a_time(digits):
    bundle = load_sklearn()
    places = {}
    for digit in range(10):
        order = [i for i in range(1797) if bundle.target[i] == digit]
        order.sort(key=lambda i: hashlib.sha256(f"digits/{i}".encode()).hexdigest())
        for place, i in enumerate(order):
            first = round(len(order) / 2)
            middle = first + round(len(order) / 6)
            places[i] = "train" if place < first else "calibration" if place < middle else "test"
    for name, samples in digits.splits.items():
        indices = [i for i in range(1797) if places[i] == name]
        assert samples.labels.tolist() == bundle.target[indices].tolist()
        for row, i in list(zip(samples.array, indices, strict=True))[::37]:
            grey = Image.fromarray((bundle.images[i] * 255 / 16).astype(np.float32))
            large = np.asarray(grey.resize((16, 16), Image.Resampling.BICUBIC), dtype=np.float64)
            expected = [[min(255, int(max(0.0, v) + 0.5)) for v in line] for line in large]
            assert row[:, :, 0].tolist() == expected


def test_every_class_is_in_every_split(digits):
    for samples in digits.splits.values():
        assert np.bincount(samples.labels).min() > 25


def test_scale_1_is_the_original():
    bundle = load_sklearn()
    everything = load_digits(1).split("all").array[..., 0]
    expected = {np.floor(image * 255 / 16 + 0.5).astype(np.uint8).tobytes() for image in bundle.images}
    assert {image.tobytes() for image in everything} == expected


def test_size_decides_the_scale():
    assert load_digits(size=(32, 32)).shape == (1, 32, 32)
    assert load_digits(size=(16, 16)).digest == load_digits().digest


@pytest.mark.parametrize("size", [(28, 28), (16, 32), (0, 0), (512, 512)])
def test_sizes_that_do_not_exist(size):
    with pytest.raises(SourceError, match="squares of 8, 16, 24") as caught:
        load_digits(size=size)
    assert f"{size[1]} wide and {size[0]} high" in str(caught.value)


@pytest.mark.parametrize("scale", [0, 33, -1, 1.5, True])
def test_scales_that_do_not_exist(scale):
    with pytest.raises(SourceError, match="from 1 to 32"):
        load_digits(scale)
