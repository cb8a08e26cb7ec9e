"""The threshold under damage, held against what a critic that reads the mean must give."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from ganaudit.attacks.corruptions import CORRUPTIONS
from ganaudit.evidence.judging import judged
from ganaudit.subjects.subject import Subject

from .made_up import by_key
from .planted import SIDE, Mean, Told, even, fakes, reference, row, subject, table

ID = "threshold-transfer"
DAMAGES = 3 * len(CORRUPTIONS["images"])


def greys(seed=0):
    """Levels of calibration (odd) and test reals (even): no score of one is a score of the other."""
    rng = np.random.default_rng(seed)
    return 2 * rng.integers(30, 100, 99) + 1, 2 * rng.integers(30, 100, 120)


def unit(levels):
    return np.asarray(levels) / 255


def quantile(scores, alpha=0.05):
    return np.sort(scores)[int(np.floor(alpha * (len(scores) + 1) + 1e-9)) - 1]


@pytest.fixture(scope="module")
def found():
    calibration, test = greys()
    return row(ID, subject(Mean()), reference(calibration=even(calibration), test=even(test)))


def test_brightness_moves_the_rate_as_computed_by_hand(found):
    calibration, test = greys()
    threshold, rows = quantile(unit(calibration)), table(found, "by condition")
    shifts = {"Brighter": 1, "Darker": -1}
    for title, sign in shifts.items():
        for level, amount in (("slight", 0.05), ("moderate", 0.1), ("strong", 0.2)):
            # 255 times an amount is no whole number or even to odd: no shifted score ties with the threshold.
            expected = np.mean(np.clip(unit(test) + sign * amount, 0, 1) < threshold - 1e-6)
            assert rows[title, level]["FPR"] == pytest.approx(expected, abs=1e-12)
    # Nothing of an even image goes by blurring or resizing.
    for title in ("Gaussian blur", "Smaller and back, bilinear"):
        assert rows[title, "strong"]["FPR"] == rows["untouched", ""]["FPR"] == np.mean(unit(test) < threshold)
    assert rows["Darker", "strong"]["FPR"] > 0.2 > rows["untouched", ""]["FPR"]


def test_the_rest_of_a_row_follows_from_the_generated_samples(found):
    calibration, test = greys()
    made = subject(Mean())
    x = (fakes(made, 96)[0].flatten(1).mean(1).numpy() + 1) / 2
    threshold, real = quantile(unit(calibration)), unit(test)
    cell = table(found, "by condition")["Darker", "strong"]
    tpr = np.mean(np.clip(x - 0.2, 0, 1) < threshold)
    assert cell["TPR"] == pytest.approx(tpr, abs=1e-12)
    assert cell["balanced accuracy"] == pytest.approx((1 - cell["FPR"] + tpr) / 2)
    area = stats.mannwhitneyu(np.clip(real - 0.2, 0, 1), np.clip(x - 0.2, 0, 1)).statistic / (len(real) * len(x))
    assert cell["AUC"] == pytest.approx(area, abs=1e-3)  # float32 may part what is equal in float64


def test_the_worst_is_the_worst_row_with_a_simultaneous_interval(found):
    rows = [r for key, r in table(found, "by condition").items() if key[1]]
    numbers = by_key(found)
    assert len(rows) == DAMAGES
    rates = [r["FPR"] for r in rows]
    assert numbers["worst-fpr"].value == max(rates)
    assert numbers["worst-fpr-shift"].value == pytest.approx(max(abs(r - 0.05) for r in rates))
    assert numbers["worst-auc"].value == min(r["AUC"] for r in rows)
    untouched = table(found, "by condition")["untouched", ""]
    assert numbers["worst-tpr-loss"].value == pytest.approx(max(untouched["TPR"] - r["TPR"] for r in rows))
    exact = [stats.binomtest(round(r * 120), 120).proportion_ci(1 - 0.05 / DAMAGES, "exact") for r in rates]
    interval = numbers["worst-fpr"].interval
    assert interval.low == pytest.approx(max(e.low for e in exact), abs=1e-9)
    assert interval.high == pytest.approx(max(e.high for e in exact), abs=1e-9)
    assert numbers["worst-fpr"].null.value == untouched["FPR"]
    assert numbers["worst-fpr-shift"].null.value == pytest.approx(abs(untouched["FPR"] - 0.05))


def test_a_threshold_fitted_under_a_damage_keeps_its_promise_there(found):
    calibration, test = greys()
    matrix = next(d for d in found.details if d.kind == "table" and "fitted under one" in d.title)
    at = {r[0]: dict(zip(matrix.columns, r, strict=True)) for r in matrix.rows}
    shift = {"untouched": 0.0, "Darker, moderate": -0.1, "Brighter, moderate": 0.1}
    for fitted, a in shift.items():
        threshold = quantile(unit(calibration) + a)
        for under, b in shift.items():
            expected = np.mean(unit(test) + b < threshold)
            assert at[fitted][under] == pytest.approx(expected, abs=1e-12), (fitted, under)
    assert at["Darker, moderate"]["Darker, moderate"] == at["untouched"]["untouched"]
    note = next(d.text for d in found.details if d.kind == "note" and d.text.startswith("Worst pair"))
    assert "fitted on calibration reals under Brighter, moderate, judged on test reals under Darker" in note
    assert "level moderate alone; worst-fpr-shift is over all levels" in note


def test_a_critic_that_is_told_the_class_is_told_it_for_damaged_samples_too():
    calibration, test = greys(1)
    rng = np.random.default_rng(2)
    labels = {"calibration": rng.integers(0, 3, 99), "test": rng.integers(0, 3, 120)}
    real = reference(labels, calibration=even(calibration), test=even(test))
    found = row(ID, subject(Told(), classes=3), real)
    threshold = quantile(10 * labels["calibration"] + 2 * unit(calibration) - 1)
    for title, amount in (("Darker", -0.2), ("Brighter", 0.2)):
        scores = 10 * labels["test"] + 2 * np.clip(unit(test) + amount, 0, 1) - 1
        expected = np.mean(scores < threshold - 1e-5)
        assert table(found, "by condition")[title, "strong"]["FPR"] == pytest.approx(expected, abs=1e-12)


class Power(nn.Module):
    def forward(self, x):
        return x.square().mean((1, 2))


class Noise(nn.Module):
    def forward(self, z):
        return torch.sin(z[:, :1, None] * torch.arange(1024))


def test_waveforms_have_damages_of_their_own():
    rng = np.random.default_rng(3)
    waves = {
        name: (rng.uniform(0.1, 0.45, (n, 1, 1)) * np.sign(rng.normal(size=(n, 1, 1024)))).astype(np.float32)
        for name, n in (("calibration", 99), ("test", 120))
    }
    made = Subject.from_modules(Noise(), Power(), latent=2)
    found = row(ID, made, reference(**waves), samples=32, options={"fpr": 0.1})
    threshold = quantile((waves["calibration"] ** 2).mean((1, 2)), 0.1)
    for title, decibels in (("Louder, clipped", 6), ("Quieter", -6), ("Quieter", -1)):
        level = "strong" if abs(decibels) == 6 else "slight"
        power = (waves["test"] ** 2).mean((1, 2)) * 10 ** (decibels / 10)
        cell = table(found, "by condition")[title, level]
        assert cell["FPR"] == pytest.approx(np.mean(power < threshold), abs=1e-12)
    assert len(table(found, "by condition")) == 1 + 3 * len(CORRUPTIONS["waveforms"])


class Standardising(nn.Module):
    """A critic without a score for an image that is black all over."""

    def forward(self, x):
        return x.flatten(1).mean(1) * torch.where(x.flatten(1).amax(1) > -1, 1.0, float("nan"))


def test_a_damage_without_a_score_is_left_out_and_said():
    calibration, test = greys()
    test[:3] = 30  # of 255; 0.2 darker is black
    found = row(ID, subject(Standardising()), reference(calibration=even(calibration), test=even(test)))
    assert found.status == "measured"
    assert ("Darker", "strong") not in table(found, "by condition")
    assert len(table(found, "by condition")) == DAMAGES
    assert any(d.kind == "note" and "Left out: Darker, strong (discriminator" in d.text for d in found.details)


def test_it_judges_no_more_samples_than_asked_for():
    calibration, test = greys()
    real = reference(calibration=even(calibration), test=even(test))
    found = row(ID, subject(Mean()), real, options={"samples": 30})
    numbers = by_key(found)
    assert numbers["worst-auc"].sizes == {"real": 30, "fake": 30}
    few = row(ID, subject(Mean()), real, options={"samples": 15})
    assert any(d.kind == "note" and "need 19 calibration reals; 15 were damaged" in d.text for d in few.details)


def test_too_few_calibration_reals_are_named():
    found = row(ID, subject(Mean()), reference(calibration=even(range(50, 60)), test=even(range(60, 90))))
    assert found.status == "not_assessable"
    assert "needs 19 calibration reals; there are 10" in found.reason


def test_a_program_of_one_batch_size_gets_that_size():
    class Static:
        block, device, asked = 5, "cpu", []

        def discriminate(self, x, labels=None):
            self.asked.append(len(x))
            return x.double().flatten(1).mean(1) + labels

    x, labels = torch.rand(12, 1, 3, 3), torch.arange(12)
    static = Static()
    torch.testing.assert_close(judged(static, x, labels), x.double().flatten(1).mean(1) + labels)
    assert static.asked == [5, 5, 5]


class Stretched(Mean):
    """The same order of samples on another scale."""

    def forward(self, x):
        return 3 * super().forward(x) + 0.4


class Dark(nn.Module):
    def forward(self, z):
        return (torch.tanh(z[:, :1, None, None]) / 4 - 0.5).expand(-1, 1, SIDE, SIDE)


def test_thresholds_of_two_subjects_are_tried_on_each_other():
    calibration, test = greys(4)
    real = reference(calibration=even(calibration), test=even(test))
    mine, late = subject(Mean()), Subject.from_modules(Dark(), Stretched(), latent=2)
    found = row(ID, mine, real, others={"late": late})
    matrix = next(d for d in found.details if d.kind == "table" and "other subjects" in d.title)
    at = {tuple(r[:3]): dict(zip(matrix.columns, r, strict=True)) for r in matrix.rows}
    reals, fakes_ = 2 * unit(test) - 1, fakes(mine, 96)[0].flatten(1).mean(1).numpy()
    own = quantile(2 * unit(calibration) - 1)
    theirs = 3 * own + 0.4  # a rising map keeps the rank
    darker = late.generate(late.latents(0, 0, 96)).flatten(1).mean(1).numpy()
    this = "this subject"
    expected = {
        (this, this, this): (reals < own, fakes_ < own),
        (this, "late", this): (3 * reals + 0.4 < own, 3 * fakes_ + 0.4 < own),
        ("late", this, this): (reals < theirs, fakes_ < theirs),
        ("late", "late", this): (reals < own, fakes_ < own),
        (this, this, "late"): (reals < own, darker < own),
    }
    assert set(at) == set(expected)
    for key, (accused, caught) in expected.items():
        assert at[key]["FPR"] == pytest.approx(np.mean(accused), abs=1e-12), key
        assert at[key]["TPR"] == pytest.approx(np.mean(caught), abs=1e-12), key
        exact = stats.binomtest(int(caught.sum()), 96).proportion_ci(0.95, "exact")
        assert (at[key]["TPR low"], at[key]["TPR high"]) == pytest.approx((exact.low, exact.high), abs=1e-9)
    note = next(d.text for d in found.details if d.kind == "note" and d.text.startswith("Worst pair of subjects"))
    strayed = max(expected, key=lambda k: abs(np.mean(expected[k][0]) - 0.05))
    assert f"the threshold of {strayed[0]} on the scores of {strayed[1]}" in note


def test_others_change_nothing_but_add_their_table(found):
    calibration, test = greys()
    real = reference(calibration=even(calibration), test=even(test))
    beside = row(ID, subject(Mean()), real, others={"late": subject(Stretched())})
    assert beside.measurements == found.measurements
    assert [d for d in beside.details if d in found.details] == found.details
    assert len(beside.details) == len(found.details) + 2
