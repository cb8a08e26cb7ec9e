"""What weakens an audit is told in its warnings, where a reader looks for it."""

from dataclasses import replace

import numpy as np
import pytest

from ganaudit.auditing.session import audit, run
from ganaudit.config import make_plan
from ganaudit.data.reference import Reference
from ganaudit.data.samples import concatenate
from ganaudit.document.errors import ConfigError
from ganaudit.subjects.subject import Subject
from tests.evaluators.critics import RANGE, Planted, Reader, images


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


# --- reals that training has seen


def reals(n, seed):
    return images(np.random.default_rng(seed).standard_normal(n) + 1, f"reals {seed}")


def of_splits(**splits):
    subject = Subject.from_modules(Planted(-1.0), Reader(lambda x: x), latent=2, value_range=RANGE)
    seen = {name: "seen" if name == "train" else "unseen" for name in splits}
    real = Reference.of("made", "npy", splits, seen=seen, rule="made here")
    asked = {"discriminator-detection": {}, "detection-by-group": {}, "certified-robustness": {}}
    return audit(subject, real, evaluators=asked, samples=64, extractor="pixels", cache=False)


def test_train_reals_set_no_threshold_under_whatever_name():
    train = reals(200, 1)
    document = of_splits(train=train, calibration=train, test=train)
    told = "all 200 calibration reals are also in the train split, value for value, and were left out"
    assert document.result("discriminator-detection").status == "not_assessable", "no test reals are left either"
    for evaluator in ("detection-by-group", "certified-robustness"):
        result = document.result(evaluator)
        assert result.status == "not_assessable"
        assert "also in the train split, value for value" in result.reason
    assert any(w.startswith("200 of 200 calibration reals are also in the train split") for w in document.warnings)
    assert document.reference.left_out == {"calibration": 200, "test": 200}
    assert list(document.reference.splits) == ["train"]
    kept = of_splits(train=train, calibration=train, test=reals(100, 2))
    found = {m.key: m for m in kept.result("discriminator-detection").measurements}
    assert found["threshold"].value is None
    assert told in found["threshold"].reason
    assert found["fpr-at-threshold"].value is None
    assert found["auc"].value is not None


def test_a_few_train_reals_among_calibration_reals_move_nothing():
    train, held, test = reals(200, 1), reals(300, 2), reals(100, 3)
    mixed = concatenate([held, train.take(range(50), "some")], "mixed")
    with_them, without = (
        of_splits(train=train, calibration=mixed, test=test),
        of_splits(train=train, calibration=held, test=test),
    )
    assert with_them.reference.left_out == {"calibration": 50}
    assert with_them.reference.splits["calibration"].n == 300
    for measure in ("threshold", "pac-threshold", "fpr-at-threshold", "auc"):
        first, second = (d.measurement(f"discriminator-detection/{measure}") for d in (with_them, without))
        assert first.value == second.value
        assert first.null == second.null


def test_calibration_reals_that_the_subjects_record_names_as_its_train_reals_set_no_threshold():
    held = reals(200, 4)
    subject = replace(
        Subject.from_modules(Planted(-1.0), Reader(lambda x: x), latent=2, value_range=RANGE),
        training={"split_digest": held.digest},
    )
    splits = {"calibration": held, "test": reals(100, 5)}
    real = Reference.of("made", "npy", splits, seen=dict.fromkeys(splits, "unseen"), rule="made here")
    document = audit(subject, real, evaluators={"discriminator-detection": {}}, samples=64, extractor="pixels")
    threshold = document.measurement("discriminator-detection/threshold")
    assert threshold.value is None
    assert "the subject was trained on the calibration reals" in threshold.reason


def test_a_split_of_which_nothing_is_left_cannot_be_compared_with():
    train = reals(50, 6)
    subject = Subject.from_modules(Planted(-1.0), latent=2, value_range=RANGE)
    splits = {"train": train, "test": train}
    real = Reference.of("made", "npy", splits, seen=dict.fromkeys(splits, "unseen"), rule="made here")
    with pytest.raises(ConfigError, match="against 'test': all 50 test reals are also in the train split"):
        audit(subject, real, evaluators={"frechet-distance": {}}, samples=64, extractor="pixels", against="test")
