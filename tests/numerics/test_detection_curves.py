"""Readings of the ROC curve against scikit-learn, two normal laws in closed form, and simulated coverage."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, det_curve, roc_auc_score

from ganaudit.numerics.detection import auc, equal_error_rate, roc
from ganaudit.numerics.detection_curves import (
    average_precision,
    det,
    hull_equal_error_rate,
    partial_auc,
    reals_needed,
    tpr_at_fpr,
)

scores = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=15).map(torch.tensor)


def normals(n, seed, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=n) + shift)


def as_sklearn(real, fake):
    return [0] * len(real) + [1] * len(fake), -torch.cat([real, fake]).double().numpy()


@settings(max_examples=80, deadline=None)
@given(real=scores, fake=scores, most=st.floats(0.01, 0.99))
def test_precision_and_partial_area_are_scikit_learns(real, fake, most):
    labels, called = as_sklearn(real, fake)
    found = average_precision(real, fake)
    assert found.value == pytest.approx(average_precision_score(labels, called), abs=1e-12)
    assert found.prevalence == len(fake) / (len(real) + len(fake))
    part = partial_auc(real, fake, most)
    assert part.standardised == pytest.approx(roc_auc_score(labels, called, max_fpr=most), abs=1e-10)


def test_precision_at_another_prevalence_is_that_of_repeated_samples():
    real, fake = normals(60, 0, 1.0), normals(40, 1)
    labels, called = as_sklearn(real, fake.repeat(3))
    assert average_precision(real, fake, 120 / 180).value == pytest.approx(average_precision_score(labels, called))
    below_all = torch.cat([real, fake.min()[None] - 1])  # no threshold without a false positive
    assert average_precision(below_all, fake, 1e-9).value < 1e-6


def test_det_vertices_are_scikit_learns():
    real, fake = normals(200, 2, 1.0).round(decimals=1), normals(150, 3).round(decimals=1)
    fpr, fnr, _ = det_curve(*as_sklearn(real, fake))
    theirs = {(round(a, 9), round(b, 9)) for a, b in zip(fpr, fnr, strict=True) if 0 < a < 1 and 0 < b < 1}
    found = det(real, fake)
    ours = {(round(a, 9), round(b, 9)) for a, b in zip(found.fpr.tolist(), found.fnr.tolist(), strict=True)}
    assert theirs <= ours  # they drop vertices on straight lines
    assert len(det(normals(9, 0, 99.0), normals(9, 0)).fpr) == 0


def test_det_of_two_normals_is_a_line_of_the_ratio_of_deviations():
    x, y = det(2 * normals(40_000, 4) + 2, normals(40_000, 5)).probits
    middle = (x.abs() < 1) & (y.abs() < 2)
    slope = np.polyfit(x[middle].numpy(), y[middle].numpy(), 1)[0]
    # Probit errors near 0 have a standard error of about sqrt(2 pi/4 / n) = .006 over a range of 2.
    assert abs(slope + 2) < 0.05


@pytest.mark.parametrize(
    ("d", "area", "eer", "one_percent"), [(1, 0.760250, 0.308538, 0.092362), (3, 0.983053, 0.066807, 0.749734)]
)
def test_two_normals_against_the_closed_form(d, area, eer, one_percent):
    n = 100_000
    real, fake, calibration = normals(n, 6, float(d)), normals(n, 7), normals(n, 8, float(d))
    assert abs(auc(real, fake).value - area) < 0.002 * math.sqrt(2)
    assert abs(equal_error_rate(real, fake).value - eer) < 0.003
    assert abs(hull_equal_error_rate(real, fake) - eer) < 0.003
    found = tpr_at_fpr(calibration, fake, 0.01)
    # The threshold's error is sqrt(a (1 - a)/n)/density; the share below moves with the fakes' density there.
    cut = stats.norm.ppf(0.01) + d
    slip = math.sqrt(0.01 * 0.99 / n) / stats.norm.pdf(cut - d) * stats.norm.pdf(cut)
    assert abs(found.value - one_percent) <= 4 * math.hypot(slip, math.sqrt(one_percent * (1 - one_percent) / n))
    assert found.at_rate.low < one_percent < found.at_rate.high
    assert found.rank == 1000
    part = partial_auc(real, fake, 0.1).area
    grid = np.linspace(0, 0.1, 20_001)[1:]
    exact = np.mean(stats.norm.cdf(d + stats.norm.ppf(grid))) * 0.1
    assert part == pytest.approx(exact, abs=0.1 * 4 * math.sqrt(1 / n) + 1e-5)


@settings(max_examples=80, deadline=None)
@given(real=scores, fake=scores)
def test_hull_error_is_the_worst_of_the_least_errors(real, fake):
    curve = roc(real, fake)
    # The greatest over w of a least of straight lines lies where two of them cross, or at an end.
    fpr, fnr = curve.fpr.numpy(), 1 - curve.tpr.numpy()
    weights = [0.0, 1.0]
    for i in range(len(fpr)):
        slopes = (fpr - fnr) - (fpr[i] - fnr[i])
        with np.errstate(divide="ignore", invalid="ignore"):
            weights += [w for w in (fnr[i] - fnr) / slopes if 0 <= w <= 1]
    worst = max((w * fpr + (1 - w) * fnr).min() for w in weights)
    assert hull_equal_error_rate(real, fake) == pytest.approx(worst, abs=1e-12)
    assert hull_equal_error_rate(real, fake) <= 0.5


def test_too_few_reals_are_refused():
    assert (reals_needed(0.01), reals_needed(0.001), reals_needed(0.3)) == (1000, 10_000, 34)
    fake = normals(50, 9)
    assert tpr_at_fpr(normals(999, 10), fake, 0.01) is None
    assert tpr_at_fpr(normals(1000, 10), fake, 0.01) is not None


def test_the_rate_interval_covers_and_the_threshold_keeps_its_rate():
    rng, runs, d = np.random.default_rng(11), 600, 2.0
    truth, covered, passed = stats.norm.cdf(d + stats.norm.ppf(0.05)), 0, []
    for _ in range(runs):
        calibration, fake = torch.from_numpy(rng.normal(d, 1, 200)), torch.from_numpy(rng.normal(size=150))
        found = tpr_at_fpr(calibration, fake, 0.05)
        covered += found.at_rate.low <= truth <= found.at_rate.high
        passed.append(stats.norm.cdf(found.threshold - d))
    assert covered / runs >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)
    law = stats.beta(10, 191)
    assert abs(np.mean(passed) - law.mean()) <= 4 * law.std() / math.sqrt(runs)


def test_no_scale_or_offset_changes_a_bit():
    real, fake = normals(2000, 12, 1.0), normals(1500, 13)

    def read(a, b):
        found = tpr_at_fpr(a, b, 0.01)
        return [
            average_precision(a, b),
            partial_auc(a, b, 0.1),
            hull_equal_error_rate(a, b),
            equal_error_rate(a, b).value,
            (found.value, found.rank, found.at_rate, found.at_threshold),
            det(a, b).fnr.tolist(),
        ]

    plain = read(real, fake)
    for scale in (1e-3, 1e3):
        for offset in (-50.0, 50.0):
            assert read(scale * real + offset, scale * fake + offset) == plain


def test_bad_input_is_refused_in_words():
    good = normals(30, 0)
    with pytest.raises(ValueError, match=r"most_fpr: found 1\.0"):
        partial_auc(good, good, 1.0)
    with pytest.raises(ValueError, match="prevalence: found 0"):
        average_precision(good, good, 0.0)
    with pytest.raises(ValueError, match="real: found shape"):
        hull_equal_error_rate(torch.ones(3, 2), good)
    with pytest.raises(ValueError, match="fake: found NaN"):
        tpr_at_fpr(good, torch.tensor([math.nan]), 0.5)
    with pytest.raises(ValueError, match="level: found 2"):
        tpr_at_fpr(good, good, 0.5, 2.0)
