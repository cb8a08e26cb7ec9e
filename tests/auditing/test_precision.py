"""bf16: measured against fp32 on the same samples, and refused where it cannot be honest."""

import numpy as np
import pytest
import torch

from benchmarks.inception import random_weights
from ganaudit.auditing.session import audit, run
from ganaudit.config import make_plan
from ganaudit.document.errors import ConfigError
from ganaudit.features.extractor import Activations
from ganaudit.features.precision import has_bf16


def plan(**more):
    given = {"subject": "digits", "evaluators": {"frechet-distance": {}}, "cache": False, **more}
    return make_plan(given, "options", ["frechet-distance"])


def test_an_extractor_that_knows_fp32_only_says_so():
    with pytest.raises(ConfigError, match="digits-cnn runs in fp32 only; use --precision fp32"):
        run(plan(precision="bf16"))


@pytest.mark.skipif(not has_bf16("cpu"), reason="this processor has no bf16 instructions")
def test_the_shift_is_measured_on_the_same_samples(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name, low in (("fake", 60), ("real", 0)):
        np.save(tmp_path / f"{name}.npy", rng.integers(low, 256, (64, 8, 8, 3), dtype=np.uint8))
    asked = {
        "subject": str(tmp_path / "fake.npy"),
        "reference": {"test": str(tmp_path / "real.npy")},
        "extractor": {"id": "inception-v3-64", "weights": str(random_weights(tmp_path))},
    }
    exact = run(plan(**asked)).document
    assert exact.extractor.precision == "fp32"
    assert exact.extractor.shift is None
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "cache"))
    reduced = run(plan(**asked, precision="bf16", cache=True)).document
    shift = reduced.extractor.shift
    assert shift is not None
    assert shift.samples == 50
    assert 1e-5 < shift.feature_error < 0.02  # bf16 keeps 8 bits of 24
    assert shift.relative == pytest.approx(shift.fd / shift.fd_fp32 - 1)
    before, after = (d.measurement("frechet-distance/fd").value for d in (exact, reduced))
    assert after == pytest.approx(before, rel=0.05)
    assert after != before
    assert exact.comparability.digest != reduced.comparability.digest
    # Both precisions are in the store now: a second run extracts nothing.
    monkeypatch.setattr("ganaudit.evidence.evidence.extracted", None)
    again = run(plan(**asked, precision="bf16", cache=True)).document
    assert again.extractor.shift == shift


class Halves:
    """Means of the upper and the lower half of an image."""

    id, digest, dimensions, classes, preprocessing, caution = "halves", "halves/1", 2, 0, "none", ""

    def extract(self, images):
        x = images.float()
        middle = x.shape[2] // 2
        return Activations(torch.stack([x[:, :, :middle].mean((1, 2, 3)), x[:, :, middle:].mean((1, 2, 3))], 1))


def test_an_extractor_may_be_handed_over():
    document = audit("digits", extractor=Halves(), evaluators={"frechet-distance": {}}, cache=False)
    assert document.extractor.id == "halves"
    assert document.extractor.dimensions == 2
    assert document.measurement("frechet-distance/fd").value is not None
    assert (
        audit("digits", extractor="pixels", evaluators={"frechet-distance": {}}, cache=False).extractor.id == "pixels"
    )
    with pytest.raises(ConfigError, match="lacks id, digest"):
        audit("digits", extractor=torch.nn.Linear(2, 2), cache=False)
    with pytest.raises(ConfigError, match="cannot be applied to it"):
        audit("digits", extractor=Halves(), protocol="clean-fid", cache=False)


class Counting(Halves):
    """Counts the images it is shown."""

    def __init__(self):
        self.seen = 0

    def extract(self, images):
        self.seen += len(images)
        return super().extract(images)


def test_every_sample_goes_through_the_extractor_once(tmp_path):
    # One split of reals: its null compares halves of the reals, which have been extracted already.
    rng = np.random.default_rng(0)
    for name in ("fake", "real"):
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 256, (64, 8, 8, 3), dtype=np.uint8))
    counting = Counting()
    document = audit(
        str(tmp_path / "fake.npy"),
        {"test": str(tmp_path / "real.npy")},
        extractor=counting,
        evaluators={"frechet-distance": {}, "precision-recall": {}},
        cache=False,
    )
    assert document.measurement("frechet-distance/fd").null.n == 32
    assert counting.seen == 128
