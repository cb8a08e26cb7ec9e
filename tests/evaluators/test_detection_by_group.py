"""Errors by group, with gaps planted by class, by sharpness and by realism."""

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from scipy.spatial.distance import cdist
from torch import nn

from ganaudit.document.standing import side_of_null
from ganaudit.evaluators.detection_by_group import DetectionByGroup
from ganaudit.evidence.grouping import by_class, by_realism
from ganaudit.numerics.group_gaps import gap as gap_between
from ganaudit.report.answers import standing

from .made_up import MadeUp, by_key, sampled
from .planted import SIDE, Mean, Told, even, reference, row, subject, table

ID = "detection-by-group"
N, CALIBRATED = 240, 199


def quantile(scores, alpha=0.05):
    return np.sort(scores)[int(np.floor(alpha * (len(scores) + 1) + 1e-9)) - 1]


def planted(labels=True):
    """Reals whose class b is darker by 20 levels than the others, in the test split alone."""
    rng = np.random.default_rng(0)
    told = {"calibration": rng.integers(0, 4, CALIBRATED), "test": np.arange(N) % 4}
    calibration = 2 * rng.integers(50, 100, CALIBRATED) + 1
    test = 2 * rng.integers(50, 100, N) - 40 * (told["test"] == 1)
    return calibration, test, told, reference(told if labels else None, calibration=even(calibration), test=even(test))


def test_a_small_gap_that_a_test_finds_is_not_called_one_that_cannot_be_told():
    """One class of ten errs in 3 of 10: the intervals of all groups together overlap chance, the test does not."""
    called = torch.zeros(600, dtype=torch.bool)
    called[:18] = True  # of class 0, 60 reals
    found = gap_between(called, torch.arange(600) // 60, np.random.default_rng(0))
    made = DetectionByGroup()._gap("fpr-gap-by-class", found, {"real": 600}, "")
    assert made.interval.low < made.null.high
    assert made.null.p_value < 0.001
    assert standing(made) == "worse than its null"
    assert side_of_null(made.model_copy(update={"null": made.null.model_copy(update={"p_value": 0.2})})) == "equal"


def test_a_class_that_is_misjudged_stands_out():
    calibration, test, told, real = planted()
    found = row(ID, subject(Mean()), real)
    below = test < quantile(calibration)
    rates = [below[told["test"] == c].mean() for c in range(4)]
    gap = by_key(found)["fpr-gap-by-class"]
    assert gap.value == pytest.approx(max(rates) - min(rates), abs=1e-12)
    assert gap.interval.low > 0
    assert gap.null.high < gap.value
    assert "0.0001 (p-value" in gap.null.rule
    assert gap.null.p_value == pytest.approx(0.0002)
    worst = by_key(found)["worst-group-fpr"]
    assert worst.value >= max(rates) - 1e-12
    cells = {key[0]: cell for key, cell in table(found, "Errors by class").items()}
    for c in range(4):
        cell = cells[str(c)]
        assert cell["FPR"] == pytest.approx(rates[c])
        exact = stats.binomtest(int(below[told["test"] == c].sum()), N // 4).proportion_ci(0.95, "exact")
        assert (cell["FPR low"], cell["FPR high"]) == pytest.approx((exact.low, exact.high), abs=1e-9)
        assert cell["TPR"] is None, "an unconditional generator has no classes"
    assert cells["1"]["p against other reals (Holm)"] < 1e-6


def test_a_class_without_a_difference_does_not():
    calibration, test, told, _ = planted()
    flat = test + 40 * (told["test"] == 1)
    found = row(ID, subject(Mean()), reference(told, calibration=even(calibration), test=even(flat)))
    gap = by_key(found)["fpr-gap-by-class"]
    assert gap.value <= gap.null.high
    assert gap.interval.low == 0


def test_a_conditional_subject_has_rates_and_areas_of_every_class():
    calibration, test, told, real = planted()
    made = subject(Told(), classes=4)
    found = row(ID, made, real, samples=200)
    labels = made.labels(0, 0, 200).numpy()
    scores = made.discriminate(
        made.generate(made.latents(0, 0, 200), torch.from_numpy(labels)), torch.from_numpy(labels)
    )
    real_scores = 10 * told["test"] + 2 * test / 255 - 1
    cells = {key[0]: cell for key, cell in table(found, "Errors by class").items()}
    threshold = quantile(10 * told["calibration"] + 2 * calibration / 255 - 1)
    for c in range(4):
        mine = scores.numpy()[labels == c]
        assert cells[str(c)]["generated"] == len(mine)
        assert cells[str(c)]["TPR"] == pytest.approx(np.mean(mine < threshold), abs=1e-12)
        reals = real_scores[told["test"] == c]
        area = stats.mannwhitneyu(reals, mine).statistic / (len(reals) * len(mine))
        assert cells[str(c)]["AUC"] == pytest.approx(area, abs=1e-9)
    tests = table(found, "Gaps between groups")
    assert ("class", "TPR of generated") in tests


class Sharpest(nn.Module):
    """A critic that calls the least sharp generated."""

    def forward(self, x):
        x = torch.nn.functional.pad((x + 1) / 2, (1, 1, 1, 1), mode="replicate")
        kernel = x.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
        return torch.nn.functional.conv2d(x, kernel).flatten(1).var(1)


def test_a_critic_that_misjudges_what_is_not_sharp_is_found_out():
    rng = np.random.default_rng(4)
    images = {
        name: np.clip(128 + rng.uniform(2, 60, (n, 1, 1, 1)) * rng.normal(size=(n, SIDE, SIDE, 1)), 0, 255).astype(
            np.uint8
        )
        for name, n in (("calibration", CALIBRATED), ("test", 200))
    }
    found = row(ID, subject(Sharpest()), reference(**images))
    variances = {
        name: np.array([ndimage.laplace(one[..., 0] / 255, mode="nearest").var() for one in array])
        for name, array in images.items()
    }
    # The critic's variance has the divisor n - 1; the order is the same.
    test, threshold = variances["test"], quantile(variances["calibration"])
    parts = np.array_split(np.sort(test), 10)
    rates = [np.mean(part < threshold) for part in parts]
    gap = by_key(found)["fpr-gap-by-quality"]
    assert gap.value == pytest.approx(max(rates) - min(rates), abs=1e-9)
    assert gap.value > gap.null.high
    assert gap.interval.low > 0
    curve = next(d for d in found.details if d.kind == "curve" and "sharpness" in d.title)
    assert curve.series[0].y == pytest.approx(rates, abs=1e-9)
    # Even images are in the lowest tenth, all of them: there is no gap to measure on the generated side.
    caught = by_key(found)["tpr-gap-by-quality"]
    assert caught.value is None
    assert "10 generated samples in each of two groups" in caught.reason
    by_row = table(found, "Gaps between groups")
    tests = [cell["p"] for cell in by_row.values()]
    assert by_row["sharpness", "FPR of test reals"]["p (Holm)"] == pytest.approx(min(1, len(tests) * min(tests)))


def test_what_cannot_be_grouped_is_said():
    _, _, _, real = planted(labels=False)
    found = row(ID, subject(Mean()), real)
    by_classes = by_key(found)["fpr-gap-by-class"]
    assert by_classes.value is None
    assert "no labels" in by_classes.reason
    # Even images are all equally sharp.
    assert "40 test reals that differ in it" in by_key(found)["fpr-gap-by-quality"].reason
    elsewhere = row(ID, subject(Mean()), planted()[3], against="calibration")
    assert "labels are those of the calibration reals" in by_key(elsewhere)["fpr-gap-by-class"].reason
    assert any(
        d.kind == "note" and "Left out are realism: features are those of the calibration" in d.text
        for d in elsewhere.details
    )


def test_unlabelled_reals_are_in_no_class():
    view = MadeUp()
    view.against, view.classes = "test", ()
    view.nodes["labels/real"] = torch.tensor([0, -1, 1, 0])
    found = by_class(view, 4, 3)
    assert found.real_rows.tolist() == [0, 2, 3]
    assert found.real_groups.tolist() == [0, 1, 0]
    assert not found.splits_fakes


def test_realism_is_that_of_the_paper_against_other_reals():
    others, real, fake = sampled(60, 4, 0), sampled(80, 4, 1), sampled(50, 4, 2, 0.5)
    view = MadeUp(real=real, fake=fake, null_real=real, null_fake=others)
    view.against, view.classes = "test", ()
    rows = {"test": list(range(80)), "fake": list(range(0, 50, 2))}
    found = by_realism(view, rows, 4, 3, np.random.default_rng(0))
    within = cdist(others, others)
    radii = np.sort(within, axis=1)[:, 3]
    kept = radii <= np.sort(radii)[(len(radii) - 1) // 2]

    def realism(x):
        return (radii[kept] / cdist(x, others)[:, kept]).max(axis=1)

    order = np.sort(realism(real))
    edges = [order[20], order[40], order[60]]
    assert found.edges == pytest.approx(edges, rel=1e-9)
    np.testing.assert_array_equal(found.fake_groups, np.searchsorted(edges, realism(fake[::2]), side="right"))
    halves = MadeUp(real=real, fake=fake, null_real=real[:40], null_fake=real[40:])
    halves.against = "test"
    assert "no second set" in by_realism(halves, rows, 4, 3, np.random.default_rng(0))
