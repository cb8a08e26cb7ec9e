"""Calibration through the public API: critics that are right, too bold or too timid by a known factor."""

import math

import numpy as np
import pytest
import torch

from ganaudit import registry
from ganaudit.document.model import Curve, Table
from tests.evaluators.critics import audited
from tests.evaluators.test_contract import FakeView

CALIBRATION = "discriminator-calibration"
APART, N = 2.0, 4000
# Of the optimal critic of two unit normals 2 apart, and the exact errors of its logits taken twice and half.
LOG_LOSS, BRIER, BOLD, TIMID = 0.356316, 0.112400, 0.075401, 0.106056


def judged(factor, n=N):
    return audited(CALIBRATION, APART, n, lambda x: factor * APART * x)


@pytest.fixture(scope="module")
def right():
    return judged(1.0)


def rows(result, title):
    (table,) = [d for d in result.details if isinstance(d, Table) and d.title.startswith(title)]
    return {row[0]: row for row in table.rows}


def test_the_optimal_critic_is_calibrated(right):
    result, found = right
    # A sample's loss has a standard deviation below 0.6 nats, its squared error below 0.2.
    assert abs(found["log-loss"].value - LOG_LOSS) < 5 * 0.6 / math.sqrt(2 * N)
    assert abs(found["brier"].value - BRIER) < 5 * 0.2 / math.sqrt(2 * N)
    assert found["temperature"].interval.low < 1 < found["temperature"].interval.high
    assert abs(found["z"].value) < 4
    assert found["ece-p-value"].value > 1e-2
    assert found["ece"].value < 2 * found["ece"].null.value
    assert result.warnings == []


@pytest.mark.parametrize(("factor", "error", "word"), [(2.0, BOLD, "too bold"), (0.5, TIMID, "too timid")])
def test_known_factors_are_found_and_undone(factor, error, word):
    result, found = judged(factor)
    # At slope 1/T the relative scatter of T is below 2/sqrt(n); the error is lifted by chance, at most by its null.
    assert abs(found["temperature"].value / factor - 1) < 5 * 2 / math.sqrt(2 * N)
    assert abs(found["ece"].value - error) < found["ece"].null.value + 5 * 0.5 / math.sqrt(2 * N)
    assert found["ece-p-value"].value == pytest.approx(1 / 201)
    for key in ("log-loss-temperature", "log-loss-isotonic"):
        assert abs(found[key].value - LOG_LOSS) < 5 * 0.6 / math.sqrt(2 * N)
        assert found[key].value < found["log-loss"].value
    assert any(word in d.text for d in result.details if d.kind == "note")
    table = rows(result, "What recalibration")
    assert next(row for name, row in table.items() if name.startswith("after temperature"))[3] > 1e-2


def test_the_split_adds_up_and_the_curve_is_of_the_raw_scores(right):
    result, found = right
    parts = {name: row[1] for name, row in rows(result, "The Brier score").items()}
    total = sum(value for name, value in parts.items() if name.endswith("(adds)"))
    total -= sum(value for name, value in parts.items() if name.endswith("(takes off)"))
    assert total == pytest.approx(parts["Brier score"], abs=1e-12)
    assert found["brier"].value == parts["Brier score"]
    (curve,) = [d for d in result.details if isinstance(d, Curve)]
    raw = next(s for s in curve.series if s.name == "raw scores")
    assert len(raw.x) == 15
    inside = sum(low <= x <= high for x, low, high in zip(raw.x, raw.low, raw.high, strict=True))
    assert inside >= 11  # 15 bins at 95 %: fewer has a chance below 1e-3
    assert curve.series[-1].name == "calibrated"


def test_probabilities_are_noticed_and_read_as_such_in_a_row_of_their_own():
    result, found = audited(CALIBRATION, APART, 1000, lambda x: torch.sigmoid(APART * x))
    assert any("they are probabilities" in w for w in result.warnings)
    table = rows(result, "What recalibration")
    raw, read = table["raw"], table["logits of the scores, read as probabilities"]
    assert read[6] == pytest.approx(LOG_LOSS, abs=5 * 0.6 / math.sqrt(2000))
    assert raw[6] == found["log-loss"].value > 0.5


def test_a_critic_that_points_the_wrong_way_has_no_temperature():
    result, found = audited(CALIBRATION, APART, 300, lambda x: -x)
    assert found["temperature"].value is None
    assert "wrong way" in found["temperature"].reason
    assert found["log-loss-temperature"].value is None
    assert found["log-loss-isotonic"].value is not None
    assert any("sign may be reversed" in w for w in result.warnings)


def test_too_few_samples_to_cross_fit_say_how_many_it_takes():
    found = registry.find("evaluators", CALIBRATION)().evaluate(
        FakeView({"real": 8, "fake": 8}), np.random.default_rng(0)
    )
    by_key = {m.key: m for m in found.measurements}
    assert by_key["log-loss-isotonic"].reason == "needs 10 samples on each side; found 8 and 8"
    assert by_key["ece"].value is not None


@pytest.mark.parametrize("wrong", [{"bins": 0}, {"draws": 0}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        registry.find("evaluators", CALIBRATION)(**wrong)
