"""Overfitting through the public API: train reals that score higher by a known amount, and none that do."""

import math

import pytest

from ganaudit.document.model import Histogram, Table
from tests.evaluators.critics import audited, planted, reference, values

OVERFIT = "discriminator-overfit"
APART, N = 2.0, 1500
SIZES = {"train": N, "calibration": N, "test": N}


@pytest.fixture(scope="module")
def learnt():
    """Train reals lie 1 above other reals, which lie 2 above generated samples."""
    return audited(OVERFIT, APART, N, lambda x: 3 * x + 0.3, sizes=SIZES, train_shift=1.0)


@pytest.fixture(scope="module")
def fair():
    return audited(OVERFIT, APART, N, lambda x: 3 * x + 0.3, sizes=SIZES)


def test_what_is_learnt_by_heart_has_the_ratio_that_was_planted(learnt):
    result, found = learnt
    ratio = found["r-v"]
    # Gap 1 over reach 3, each mean with error sqrt(2/N); the derivative by either is at most 1/3.
    assert abs(ratio.value - 1 / 3) < 5 * math.sqrt(2 / N) * math.hypot(1 / 3, 1 / 9)
    assert ratio.interval.method == "Fieller"
    assert ratio.interval.low < 1 / 3 < ratio.interval.high
    assert ratio.null.low < 0 < ratio.null.high
    area = 0.5 * (1 + math.erf(1 / 2))  # two unit normals 1 apart
    assert abs(found["seen-over-unseen"].value - area) < 5 * 0.5 * math.sqrt(2 / N)
    assert any("knows reals of its training" in w for w in result.warnings)
    (note,) = [d.text for d in result.details if d.kind == "note"]
    assert "Thresholds are set on calibration reals" in note


def test_nothing_learnt_is_nothing_found(fair):
    result, found = fair
    assert found["r-v"].interval.low < 0 < found["r-v"].interval.high
    assert found["seen-over-unseen"].interval.low < 0.5 < found["seen-over-unseen"].interval.high
    assert result.warnings == []


def test_means_and_signs_are_those_of_the_scores(learnt):
    result, found = learnt
    real = reference(APART, SIZES, train_shift=1.0)
    train, test, fake = values(real, "train"), values(real, "test"), planted(APART, N)
    expected = float((train.mean() - test.mean()) / (train.mean() - fake.mean()))  # whatever scale and offset
    assert found["r-v"].value == pytest.approx(expected, abs=1e-12)
    assert found["r-t"].value == pytest.approx(float((3 * train + 0.3).sign().mean()), abs=1e-12)
    wins = (train[:, None] > test[None, :]).double().mean() + (train[:, None] == test[None, :]).double().mean() / 2
    assert found["seen-over-unseen"].value == pytest.approx(float(wins), abs=1e-12)
    (table,) = [d for d in result.details if isinstance(d, Table)]
    assert [row[0] for row in table.rows] == ["train reals", "test reals", "generated"]
    assert table.rows[1][2] == pytest.approx(3 * float(test.mean()) + 0.3)
    assert table.rows[2][6] == pytest.approx(3 * float(fake.quantile(0.5)) + 0.3)


def test_the_three_laws_are_on_one_chart(learnt):
    result, _ = learnt
    (chart,) = [d for d in result.details if isinstance(d, Histogram)]
    assert [s.name for s in chart.series] == ["train reals", "test reals", "generated"]


def test_without_a_train_split_it_says_so():
    result, _ = audited(OVERFIT, APART, 100)
    assert result.status == "not_assessable"
    assert "no train split" in result.reason


def test_without_calibration_reals_the_numbers_stay_and_the_null_says_why():
    _, found = audited(OVERFIT, APART, 100, sizes={"train": 100, "test": 100})
    for m in found.values():
        assert m.value is not None
        assert m.null is None
        assert "no calibration split" in m.null_reason


def test_a_critic_without_an_opinion_has_no_ratio():
    result, found = audited(OVERFIT, APART, 100, lambda x: 0 * x, sizes={"train": 100, "calibration": 100, "test": 100})
    assert found["r-v"].value is None
    assert "score alike" in found["r-v"].reason
    assert found["r-t"].value == 0
    assert found["seen-over-unseen"].value == 0.5
    assert "the same score" in result.warnings[0]
