"""Calibration through the public API: critics that are right, too bold or too timid by a known factor."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from ganaudit import registry
from ganaudit.auditing import audit
from ganaudit.data.reference import Reference
from ganaudit.document.model import Curve, Table
from ganaudit.subjects.subject import Subject
from tests.evaluators.critics import RANGE, Reader, audited, images
from tests.evaluators.test_contract import FakeView
from tests.evaluators.test_discriminator_detection import evaluated, normals

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
    for key in ("log-loss-temperature", "log-loss-isotonic", "log-loss-platt"):
        assert abs(found[key].value - LOG_LOSS) < 5 * 0.6 / math.sqrt(2 * N)
        assert found[key].value < found["log-loss"].value
    assert any(word in d.text for d in result.details if d.kind == "note")
    # Slope and offset of the optimum are 1 and 0: five standard errors, an interval's half is 1.96 of them.
    for key, right in (("platt-slope", 1 / factor), ("platt-offset", 0.0)):
        assert abs(found[key].value - right) < 5 / 1.96 * (found[key].interval.high - found[key].value)
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
    with pytest.raises(ValueError, match="found 0; allowed: 1 or more"):
        registry.find("evaluators", CALIBRATION)(**wrong)


# --- tests of calibration


def test_all_three_tests_stand_in_a_table_with_their_p_values(right):
    result, found = right
    told = rows(result, "Tests of calibration")
    fixed, dawid, brier = (next(row for name, row in told.items() if word in name) for word in ("(z)", "Dawid", "Spie"))
    assert fixed[1] == found["z"].value
    # The optimal critic of both laws: the scatter of each is that of its own law, so 4 is beyond chance.
    for row in (fixed, dawid, brier):
        assert abs(row[1]) < 4
        assert row[2] == pytest.approx(2 * stats.norm.sf(abs(row[1])), rel=1e-9)
    # With N = M fixed the same sum scatters less than with free labels.
    assert abs(dawid[1]) <= abs(fixed[1])


def test_too_bold_on_both_sides_is_seen_by_the_test_of_squares_alone():
    result, _ = judged(2.0)
    told = rows(result, "Tests of calibration")
    assert abs(next(row[1] for name, row in told.items() if "Dawid" in name)) < 4
    assert next(row[1] for name, row in told.items() if "Spie" in name) > 10


def test_the_interval_of_the_error_names_its_bins():
    _, found = audited(CALIBRATION, APART, 200, options={"bins": 7})
    assert "in 7 bins of equal mass" in found["ece"].interval.covers
    assert found["ece"].null.of == "a calibrated critic"


# --- without calibration reals


def test_without_calibration_reals_every_number_stays_and_the_nulls_say_why():
    real, fake = normals(300, 1.0, 1), normals(200, -1.0, 2)
    _, whole = evaluated(real, fake, normals(100, 1.0, 3), of=CALIBRATION)
    _, bare = evaluated(real, fake, None, of=CALIBRATION)
    assert {key: m.value for key, m in bare.items()} == {key: m.value for key, m in whole.items()}
    assert bare["ece"] == whole["ece"]
    for key in ("brier", "log-loss", "brier-resolution"):
        assert bare[key].null is None
        assert bare[key].null_reason == "needs 2 calibration reals in place of generated samples: not there"


# --- what choosing by score would give


class Coin(nn.Module):
    """Images of value 0 in a share 0.8, else 1."""

    def forward(self, z):
        return (z[:, :1, None, None] > stats.norm.ppf(0.8)).float().expand(-1, 1, 2, 2)


def test_two_points_are_chosen_as_the_known_answer_says():
    """p_g = (.8, .2), p_d = (.5, .5): two fifths are kept, and both come out even."""
    n = 2000
    subject = Subject.from_modules(
        Coin(), Reader(lambda x: torch.where(x > 0.5, math.log(2.5), math.log(0.625))), latent=2, value_range=RANGE
    )
    real = Reference.of(
        "made", "built-in", {"test": images(np.arange(n) % 2, "test")}, seen={"test": "unknown"}, rule="made here"
    )
    document = audit(subject, real, evaluators={CALIBRATION: {}}, samples=n, extractor="pixels")
    result = document.result(CALIBRATION)
    (gains,) = [d for d in result.details if isinstance(d, Table) and d.title.startswith("What choosing")]
    found = {(row[0], row[1].split()[0], row[1].split()[-1]): row[2:] for row in gains.rows}
    ones = float((subject.generate(subject.latents(0, 0, n))[:, 0, 0, 0] > 0.5).double().mean())
    kept = found["raw", "kept", "sampling"]
    assert kept[0] == pytest.approx(0.25 * (1 - ones) + ones, abs=1e-6)  # scores are float32
    assert abs(kept[0] - 0.4) < 5 * 0.75 * math.sqrt(0.16 / n)
    moves, low, high = found["raw", "proposals", "accepts"]
    # The chain stays at either point half of the time; it leaves the likely one freely.
    assert abs(moves - 0.7) < 5 * math.sqrt(0.16 / n)
    assert low < 0.7 < high
    _, low, high = found["raw", "AUC", "chosen"]
    assert low < 0.5 < high
    (shares,) = [d for d in result.details if isinstance(d, Table) and d.title.startswith("Where scores lie")]
    (zero, one) = shares.rows
    assert (zero[1], one[1]) == (0.5, 0.5)
    assert one[2] == pytest.approx(ones, abs=1e-6)
    assert len(zero) == 5
    for column in (3, 4):  # raw and after Platt scaling: the raw scores are right as they are
        assert zero[column] + one[column] == pytest.approx(1.0, abs=1e-6)
        assert abs(one[column] - 0.5) < 5 * 0.5 / math.sqrt(0.2 * n)
    assert any("Nothing was chosen for any other number" in d.text for d in result.details if d.kind == "note")


def test_a_bold_critic_with_an_offset_chooses_too_much_and_slope_and_offset_put_it_right():
    apart = 1.0
    result, found = audited(CALIBRATION, apart, N, lambda x: 2 * apart * x + 3)
    (shares,) = [d for d in result.details if isinstance(d, Table) and d.title.startswith("Where scores lie")]
    assert shares.columns[3:] == ["generated, chosen by raw scores", "generated, chosen by Platt scaling scores"]
    table = np.array([row[1:] for row in shares.rows])
    assert table.shape == (5, 4)
    np.testing.assert_allclose(table.sum(0), 1.0, atol=1e-9)
    real, made, raw, right = table.T
    # The weights of this law have a second moment of e: a share scatters as that of N/e samples.
    assert abs(right - real).max() < 5 * 0.5 * math.sqrt((math.e + 1) / N)
    assert min(abs(made - real).max(), abs(raw - real).max()) > 3 * abs(right - real).max()
    gains = {(row[0], row[1].split()[-1]): row[2:] for row in rows_of(result, "What choosing")}
    _, low, high = gains["Platt scaling", "chosen"]
    assert low < 0.5 < high
    assert gains["raw", "chosen"][2] < 0.5, "twice too bold chooses too much"
    # A factor knows of no offset; slope and offset come to the loss of the optimal critic, 0.5817.
    assert abs(found["log-loss-platt"].value - 0.581726) < 5 * 0.6 / math.sqrt(2 * N)
    assert found["log-loss-temperature"].value > found["log-loss-platt"].value + 0.05


def rows_of(result, title):
    (found,) = [d for d in result.details if isinstance(d, Table) and d.title.startswith(title)]
    return found.rows


# --- both sides count alike


def test_every_value_and_null_is_that_of_equal_weights_whatever_the_sizes():
    """Half as many calibration reals as test reals say what as many would: the null's ratio moves nothing."""
    real, fake, held = normals(600, 1.0, 1), normals(600, -1.0, 2), normals(300, 1.0, 3)
    _, found = evaluated(real, fake, held, of=CALIBRATION)
    _, twice = evaluated(real.repeat(2), fake, held.repeat(4), of=CALIBRATION)
    for key in ("ece", "brier", "brier-reliability", "brier-resolution", "log-loss", "temperature", "platt-slope"):
        assert twice[key].value == pytest.approx(found[key].value, rel=1e-6), key
    for key in ("brier", "brier-reliability", "brier-resolution", "log-loss"):
        assert twice[key].null.value == pytest.approx(found[key].null.value, rel=1e-9), key


def test_scores_that_tell_a_little_beat_the_null_of_fewer_calibration_reals():
    """At 599 against 300 reals a split of labels alone lowers both losses: at equal weight it does not."""
    real, fake, held = 0.4 * normals(599, 0.5, 4), 0.4 * normals(599, -0.5, 5), 0.4 * normals(300, 0.5, 6)
    _, found = evaluated(real, fake, held, of=CALIBRATION)
    assert found["brier"].value < 0.25 < found["brier"].null.value + 0.01
    assert found["log-loss"].value < math.log(2) < found["log-loss"].null.value + 0.01
    assert found["brier"].value < found["brier"].null.value
    assert found["log-loss"].value < found["log-loss"].null.value
    assert "0.693" in found["log-loss-platt"].null_reason


def test_timid_scores_with_an_offset_are_called_timid_though_their_temperature_is_above_one():
    result, found = audited(CALIBRATION, APART, N, lambda x: APART * x / 4 + 3)
    assert found["temperature"].value > 1
    text = next(d.text for d in result.details if d.kind == "note" and "Platt" in d.text)
    slope = found["platt-slope"].value
    assert f"are {slope:.3g} times too timid" in text
    assert f"shifted: {found['platt-offset'].value:+.3g} nats" in text
    assert "too bold" not in text
    assert abs(slope - 4) < 0.5


def test_constant_scores_are_called_constant_and_are_no_probabilities():
    result, _ = audited(CALIBRATION, APART, 100, lambda x: 0 * x)
    assert list(rows(result, "What recalibration"))[:2] == ["raw", "after temperature"]
    text = next(d.text for d in result.details if d.kind == "note" and "constant" in d.text)
    assert "0.693" in text
