import hashlib

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from sklearn.datasets import load_digits as load_sklearn

from ganaudit.data.digits import load_digits
from ganaudit.document.errors import SourceError

# The trained models and the extractor depend on these values.
GOLDEN = {
    "train": "sha256:452c28dc565a4cb314c61349ed2ded2d434868d4a1e9d5ffc59a2859a3546ab4",
    "calibration": "sha256:cc67880a708eb3d5cfb1be1824a00e976441ff46e2730031809016561f691afd",
    "test": "sha256:ae7b9fa373a1c5d5b5e1d78ee3ab79a97a502bf2a67d47215ee1f0132e05b667",
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
        "calibration": 300,
        "test": 599,
    }
    assert digits.split("test").classes == tuple("0123456789")


def test_splits_follow_the_rule_one_image_at_a_time(digits):
    bundle = load_sklearn()
    hashes = [hashlib.sha256(f"digits/{i}".encode()).hexdigest() for i in range(1797)]
    places = {}
    for i in range(1797):
        before = sum(other < hashes[i] for other in hashes)
        places[i] = "train" if before < 898 else "calibration" if before < 898 + 300 else "test"
    for name, samples in digits.splits.items():
        indices = [i for i in range(1797) if places[i] == name]
        assert samples.labels.tolist() == bundle.target[indices].tolist()
        for row, i in list(zip(samples.array, indices, strict=True))[::37]:
            grey = Image.fromarray((bundle.images[i] * 255 / 16).astype(np.float32))
            large = np.asarray(grey.resize((16, 16), Image.Resampling.BICUBIC), dtype=np.float64)
            expected = [[min(255, int(max(0.0, v) + 0.5)) for v in line] for line in large]
            assert row[:, :, 0].tolist() == expected


def test_splits_are_independent_draws_not_balanced_ones(digits):
    # Of splits drawn without regard to class the class counts scatter as chance has it; of balanced ones they do not.
    table = np.array([np.bincount(samples.labels, minlength=10) for samples in digits.splits.values()])
    assert table.min() > 10
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    chi_squared = ((table - expected) ** 2 / expected).sum()
    low, high = stats.chi2.ppf([0.001, 0.999], df=18)
    assert low < chi_squared < high


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
