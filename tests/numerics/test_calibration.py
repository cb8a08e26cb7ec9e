"""Calibration against scikit-learn, torchmetrics, quadrature over two normal laws, and draws of labels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss
from torchmetrics.functional.classification import binary_calibration_error

from ganaudit.numerics.calibration import (
    brier,
    calibration,
    calibration_error,
    calibration_test,
    log_loss,
    reliability,
)
from ganaudit.numerics.recalibration import platt, temperature

scores = st.lists(st.integers(-5, 5).map(lambda s: s / 2), min_size=2, max_size=20).map(torch.tensor)


def ratios(n, d, seed, times=1.0):
    rng = np.random.default_rng(seed)
    return tuple(torch.from_numpy(times * (d * rng.normal(mean, 1, n) - d**2 / 2)) for mean in (d, 0.0))


def flat(real, fake):
    return np.array([1] * len(real) + [0] * len(fake)), special.expit(torch.cat([real, fake]).double().numpy())


def evenly(real, fake):
    """Weights of samples that make both sides weigh one half."""
    return np.array([0.5 / len(real)] * len(real) + [0.5 / len(fake)] * len(fake))


def exact_error(d, times):
    """ECE in infinitely many bins: the mean distance of what is said from the posterior, by quadrature."""

    def part(x):
        logit = d * x - d**2 / 2
        gap = abs(special.expit(logit) - special.expit(times * logit))
        return gap * (stats.norm.pdf(x) + stats.norm.pdf(x - d)) / 2

    return integrate.quad(part, -12, 12 + d, points=[d / 2], limit=400)[0]


@settings(max_examples=60, deadline=None)
@given(real=scores, fake=scores)
def test_scores_are_scikit_learns(real, fake):
    (labels, p), weights = flat(real, fake), evenly(real, fake)
    assert brier(real, fake).value == pytest.approx(brier_score_loss(labels, p, sample_weight=weights), abs=1e-12)
    assert log_loss(real, fake).value == pytest.approx(sklearn_log_loss(labels, p, sample_weight=weights), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(real=scores, fake=scores, times=st.integers(2, 5), bins=st.integers(1, 8))
def test_nothing_moves_when_one_side_is_there_several_times(real, fake, times, bins):
    """Also every bin stays: which samples were at hand how often says nothing of the critic."""

    def told(real, fake):
        split, curve = brier(real, fake, bins), reliability(real, fake, bins)
        errors = [
            calibration_error(real, fake, np.random.default_rng(0), bins, binning, draws=1).value
            for binning in ("equal-mass", "equal-width")
        ]
        parts = [getattr(split, name) for name in split.__slots__ if name != "standard_error"]
        fit = temperature(real, fake), platt(real, fake)
        line = [] if fit[1] is None else [fit[1].slope, fit[1].offset]
        curve = torch.stack([curve.low, curve.high, curve.weight, curve.said, curve.found])
        return [*errors, *parts, log_loss(real, fake).value], curve.numpy(), [fit[0] or 0.0, *line]

    numbers, curve, fitted = told(real, fake)
    for sides in ((real.repeat(times), fake), (real, fake.repeat(times))):
        others, same, again = told(*sides)
        assert others == pytest.approx(numbers, abs=1e-12)
        np.testing.assert_allclose(same, curve, atol=1e-12)
        # Fits end where the slope of the loss is 1e-10 small; where the loss is flat they may still part.
        assert again == pytest.approx(fitted, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("binning", ["equal-mass", "equal-width"])
@settings(max_examples=40, deadline=None)
@given(real=scores, fake=scores, bins=st.integers(1, 8))
def test_the_split_adds_up_and_no_bin_parts_equals(binning, real, fake, bins):
    found, curve = brier(real, fake, bins, binning), reliability(real, fake, bins, binning)
    whole = found.reliability - found.resolution + found.uncertainty + found.within_variance
    assert whole - found.within_covariance == pytest.approx(found.value, abs=1e-12)
    (labels, p), weights = flat(real, fake), evenly(real, fake)
    columns = (getattr(curve, f) for f in curve.__slots__)
    for low, high, count, reals, weight, said, share in zip(*columns, strict=True):
        inside = (p >= float(low) - 1e-12) & (p <= float(high) + 1e-12)
        assert inside.sum() == count
        assert labels[inside].sum() == reals
        assert weights[inside].sum() == pytest.approx(float(weight), abs=1e-12)
        assert np.average(p[inside], weights=weights[inside]) == pytest.approx(float(said), abs=1e-12)
        assert np.average(labels[inside], weights=weights[inside]) == pytest.approx(float(share), abs=1e-12)
    assert float(curve.weight.sum()) == pytest.approx(1.0, abs=1e-12)
    assert int(curve.count.sum()) == len(p)
    assert len(curve.count) <= bins


def test_curves_and_errors_are_the_peers():
    real, fake = ratios(700, 1.5, 0, 1.7)
    fake = fake[:350]
    labels, p = flat(real, fake.repeat(2))  # peers know no weights: twice the half is as much as the whole
    for binning, strategy in (("equal-width", "uniform"), ("equal-mass", "quantile")):
        found, said = calibration_curve(labels, p, n_bins=10, strategy=strategy)
        curve = reliability(real, fake, 10, binning)
        # Quantiles between samples cut one sample elsewhere than order statistics do.
        slack = 1e-12 if binning == "equal-width" else 2 / 140
        np.testing.assert_allclose(curve.found.numpy(), found, atol=slack)
        np.testing.assert_allclose(curve.said.numpy(), said, atol=slack)
    ours = calibration_error(real, fake, np.random.default_rng(0), 15, "equal-width", draws=1).value
    theirs = binary_calibration_error(torch.from_numpy(p), torch.from_numpy(labels), n_bins=15, norm="l1")
    assert ours == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize(
    ("d", "times", "published"), [(1, 2, 0.104546), (2, 2, 0.075401), (1, 0.5, 0.084669), (3, 0.5, 0.076018)]
)
def test_miscalibrated_logits_have_the_published_error(d, times, published):
    assert exact_error(d, times) == pytest.approx(published, abs=1e-6)
    n = 50_000
    found = calibration_error(*ratios(n, d, 1, times), np.random.default_rng(0), 50, draws=20)
    # The gap changes sign once, within a bin of a 50th part: it hides at most that bin's mass times its gap there.
    # Chance moves each bin by sqrt(p (1 - p)/(2 n/50)); the sum of 50 means of signed errors by 4 · 1/(2 sqrt(2 n)).
    assert abs(found.value - published) <= 4 * 0.5 / math.sqrt(2 * n) + 0.02 * 0.05
    assert found.p_value == 1 / 21
    assert found.expected < published / 3


def test_a_calibrated_critic_has_the_error_that_chance_gives():
    real, fake = ratios(20_000, 1, 2)
    found = calibration_error(real, fake, np.random.default_rng(0), 20, draws=200)
    _, p = flat(real, fake)
    order = np.argsort(p)
    by_bin = np.array_split(p[order] * (1 - p[order]), 20)
    analytic = math.sqrt(2 / math.pi) * sum(math.sqrt(one.sum()) for one in by_bin) / len(p)
    # The mean of |N| over 20 bins and 200 draws: relative error .76/sqrt(20 · 200).
    assert found.expected == pytest.approx(analytic, rel=4 * 0.76 / math.sqrt(4000))
    assert found.value < 2 * found.expected


def test_the_published_bias_of_uniform_probabilities():
    rng, n = np.random.default_rng(3), 200_000
    p = rng.random(n)
    labels = rng.random(n) < p
    logits = torch.from_numpy(special.logit(p))
    shift = math.log(labels.sum() / (n - labels.sum()))
    sides = logits[torch.from_numpy(labels)] - shift, logits[torch.from_numpy(~labels)] - shift
    for bins, published in ((10, 0.0022), (100, 0.0068)):
        found = calibration_error(*sides, rng, bins, "equal-width", draws=5)
        assert found.expected == pytest.approx(published, rel=4 * 0.76 / math.sqrt(5 * bins) + 0.03)


def test_brier_and_log_loss_of_two_normals():
    n = 100_000
    for d, squares, nats in ((1, 0.198986, 0.581726), (2, 0.112400, 0.356316), (3, 0.049311, 0.166370)):
        real, fake = ratios(n, d, 4)
        for found, exact in ((brier(real, fake), squares), (log_loss(real, fake), nats)):
            assert 0 < found.standard_error < 0.01
            assert abs(found.value - exact) <= 4 * found.standard_error


def test_the_test_keeps_its_level_and_the_published_one_is_too_shy():
    runs, rejected, shy = 1500, 0, []
    for seed in range(runs):
        found = calibration_test(*ratios(100, 2, 1000 + seed))
        rejected += found.p_value < 0.05
        shy.append(found.z)
    assert abs(rejected / runs - 0.05) <= 4 * math.sqrt(0.05 * 0.95 / runs)
    assert np.std(shy) < 0.95
    shifted = calibration_test(*(side + 0.4 for side in ratios(2000, 2, 5)))
    assert shifted.p_value < 1e-6
    assert shifted.z < -4  # too many reals foretold


def test_dawids_z_is_its_formula_and_uneven_sides_are_read_at_equal_weight():
    real, fake = ratios(500, 1, 6)
    fake = fake[:200]
    even = calibration_test(real[:200], fake)
    labels, p = flat(real[:200], fake)
    assert even.z == pytest.approx((labels - p).sum() / math.sqrt((p * (1 - p)).sum()))
    found = calibration_test(real, fake)
    assert abs(found.z_sides) < 4
    # Welch's statistic of what each side is wrong by, the formula for fixed sizes.
    p_real, p_fake = special.expit(real.numpy()), special.expit(fake.numpy())
    assert found.z_sides == pytest.approx(stats.ttest_ind(1 - p_real, p_fake, equal_var=False).statistic, rel=1e-9)


def test_ends():
    rng = np.random.default_rng(0)
    constant = calibration(torch.zeros(20), torch.zeros(20), rng, draws=50)
    assert (constant.test.z, constant.test.z_sides, constant.test.p_value) == (0.0, None, 1.0)
    assert constant.equal_mass.value == pytest.approx(0.0, abs=1e-15)
    assert constant.brier.value == 0.25
    assert constant.log_loss.value == pytest.approx(math.log(2))
    sure = calibration(torch.full((5,), 2000.0), torch.full((5,), -2000.0), rng, draws=5)
    assert (sure.log_loss.value, sure.brier.value, sure.test.z) == (0.0, 0.0, 0.0)
    wrong = calibration(torch.full((5,), -2000.0), torch.full((5,), -2000.0), rng, draws=5)
    assert wrong.log_loss.value == 1000.0
    assert wrong.test.z == math.inf
    assert wrong.test.p_value == 0.0


def test_bad_input_is_refused_in_words():
    rng, good = np.random.default_rng(0), torch.arange(5.0)
    with pytest.raises(ValueError, match="bins: found 0"):
        reliability(good, good, 0)
    with pytest.raises(ValueError, match="binning: found 'quantile'; allowed: 'equal-mass' or 'equal-width'"):
        reliability(good, good, 5, "quantile")
    with pytest.raises(ValueError, match="draws: found 0"):
        calibration_error(good, good, rng, draws=0)
    with pytest.raises(ValueError, match="fake: found 1 samples"):
        brier(good, good[:1])
    with pytest.raises(ValueError, match=r"real: found shape \(5, 2\)"):
        log_loss(torch.zeros(5, 2), good)


def test_the_test_of_squares_is_its_formula_and_standard_normal_for_labels_drawn_from_what_is_said():
    real, fake = ratios(60, 1.2, 5, 1.4)
    labels, p = flat(real, fake)
    found = calibration_test(real, fake)
    expected = np.sum((labels - p) * (1 - 2 * p)) / math.sqrt(np.sum((1 - 2 * p) ** 2 * p * (1 - p)))
    assert found.spiegelhalter == pytest.approx(expected, rel=1e-10)
    assert found.spiegelhalter_p_value == pytest.approx(2 * stats.norm.sf(abs(expected)), rel=1e-9)
    assert found.z_p_value == pytest.approx(2 * stats.norm.sf(abs(found.z)), rel=1e-9)
    rng, draws = np.random.default_rng(6), []
    for _ in range(2000):
        logits = rng.normal(0, 2, 400)
        drawn = rng.random(400) < special.expit(logits)
        n = drawn.sum()
        offset = math.log(n / (400 - n))  # is added to every score again
        sides = (torch.from_numpy(logits[side] - offset) for side in (drawn, ~drawn))
        draws.append(calibration_test(*sides).spiegelhalter)
    assert abs(np.mean(draws)) < 5 / math.sqrt(2000)
    assert abs(np.std(draws) - 1) < 5 / math.sqrt(2 * 2000)


def test_bold_and_timid_scores_lie_on_either_side_of_the_test_of_squares():
    assert calibration_test(*ratios(2000, 1.5, 7, 2.0)).spiegelhalter > 10
    assert calibration_test(*ratios(2000, 1.5, 7, 0.5)).spiegelhalter < -10


def test_the_chance_of_uneven_sides_is_that_of_labels_drawn_at_their_own_ratio():
    """A calibrated critic with four times as many reals: p-values are uniform, and z scatters by 1."""
    p_values, z, dawid, squares = [], [], [], []
    for seed in range(300):
        real, fake = ratios(400, 1.2, 5000 + seed)
        fake = fake[:100]
        p_values.append(calibration_error(real, fake, np.random.default_rng(seed), 5, draws=39).p_value)
        found = calibration_test(real, fake)
        z.append(found.z_sides)
        dawid.append(found.z)
        squares.append(found.spiegelhalter)
    rejected = np.mean(np.array(p_values) <= 0.05)
    assert rejected <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 300)
    assert np.mean(p_values) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 300) + 0.05)  # slightly conservative
    assert abs(np.std(z) - 1) < 5 / math.sqrt(2 * 300)
    assert np.std(dawid) < 1 + 4 / math.sqrt(2 * 300)
    assert abs(np.mean(squares)) < 5 / math.sqrt(300)
    assert np.std(squares) < 1 + 4 / math.sqrt(2 * 300)
