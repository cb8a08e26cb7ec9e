"""What weakens an audit is told in its warnings, where a reader looks for it."""

import numpy as np
import pytest

from ganaudit.auditing.session import audit, run
from ganaudit.config import make_plan
from ganaudit.document.errors import ConfigError


@pytest.fixture
def samples(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("fake", "real"):
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 256, (64, 8, 8, 3), dtype=np.uint8))
    return tmp_path


def warnings(folder, subject="fake", **more):
    document = audit(
        str(folder / f"{subject}.npy"),
        {"test": str(folder / "real.npy")},
        evaluators={"frechet-distance": {}},
        cache=False,
        **more,
    )
    return " | ".join(document.warnings)


def test_fewer_samples_than_dimensions(samples):
    assert "64 samples in 192 dimensions: fewer than one for each" in warnings(samples, extractor="pixels")
    assert "fewer than one" not in " | ".join(
        audit("digits", evaluators={"frechet-distance": {}}, cache=False).warnings
    )


def test_a_subject_that_is_its_own_reference(samples):
    assert "are the test reals themselves" in warnings(samples, subject="real", extractor="pixels")
    assert "themselves" not in warnings(samples, extractor="pixels")


def test_the_extractors_caution(samples):
    assert "features come from random-conv" in warnings(samples, extractor="random-conv")


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        ("frechet-distance/fd", "never has an interval; those have: fd-corrected"),
        ("discriminator-detection/auc", "cannot be measured here: the subject has no discriminator"),
    ],
)
def test_sampling_until_what_cannot_be_is_refused_before_any_work(samples, measure, told):
    plan = make_plan(
        {
            "subject": str(samples / "fake.npy"),
            "reference": {"test": str(samples / "real.npy")},
            "extractor": {"id": "pixels"},
            "until": {"measure": measure, "width": 0.1},
            "cache": False,
        },
        "options",
        ["frechet-distance", "discriminator-detection"],
    )
    with pytest.raises(ConfigError, match=told):
        run(plan)
