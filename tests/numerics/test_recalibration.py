"""Recalibration of logits that are known to be off, against scikit-learn and the optimum by grid."""

import math

import numpy as np
import pytest
import torch
from scipy import special
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from ganaudit.numerics.calibration import calibration, log_loss
from ganaudit.numerics.detection_costs import likelihood_ratio_cost
from ganaudit.numerics.recalibration import platt, recalibrated, temperature


def ratios(n, d, seed, times=1.0):
    rng = np.random.default_rng(seed)
    return tuple(torch.from_numpy(times * (d * rng.normal(mean, 1, n) - d**2 / 2)) for mean in (d, 0.0))


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("times", [2.0, 0.5])
def test_the_temperature_is_recovered(d, times):
    found = temperature(*ratios(60_000, d, 0, times))
    assert found == pytest.approx(times, rel=0.02)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_temperature_is_the_least_log_loss_at_any_scale(scale):
    real, fake = (scale * side for side in ratios(300, 1, 1, 2.0))
    fake = fake[:200]
    found = temperature(real, fake)
    best = log_loss(real / found, fake / found).value
    for off in (0.98, 0.999, 1.001, 1.02):
        assert log_loss(real / (found * off), fake / (found * off)).value > best


def test_without_an_optimum_there_is_no_temperature():
    assert temperature(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, -3.0])) is None
    assert temperature(torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 3.0])) is None
    assert temperature(torch.zeros(4), torch.zeros(4)) is None
    assert recalibrated(torch.zeros(9), torch.zeros(9), np.random.default_rng(0), "temperature", folds=3) is None


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_recalibration_undoes_what_is_known_to_be_off(method):
    real, fake = ratios(8000, 1, 2, 2.0)
    rng = np.random.default_rng(0)
    before, after = calibration(real, fake, rng), recalibrated(real, fake, rng, method)
    assert before.equal_mass.value > 0.09
    assert after.calibration.equal_mass.value < 2 * after.calibration.equal_mass.expected
    assert after.calibration.brier.value < before.brier.value
    # The truth's own scores cost .8393 bits and .5817 nats; recalibration cannot better them but by chance.
    truth = likelihood_ratio_cost(real / 2, fake / 2).value
    assert truth - 1e-3 < after.cost.value < truth + 0.01
    assert after.calibration.log_loss.value < before.log_loss.value
    assert (after.temperature is None) == (method == "isotonic")


def test_every_score_is_mapped_by_a_map_that_has_not_seen_it():
    real, fake = ratios(40, 1, 3)
    after = recalibrated(real, fake, np.random.default_rng(5), "isotonic", folds=4)
    rng = np.random.default_rng(5)
    folds = [rng.permutation(np.arange(40) % 4) for _ in range(2)]
    for at in (0, 7, 33):
        inside = [side.numpy()[dealt != folds[0][at]] for side, dealt in zip((real, fake), folds, strict=True)]
        curve = IsotonicRegression(y_min=1 / 62, y_max=61 / 62, out_of_bounds="clip")
        curve.fit(np.concatenate(inside), [1] * 30 + [0] * 30)
        assert float(after.real[at]) == pytest.approx(special.logit(curve.predict([float(real[at])])[0]), abs=1e-9)
    assert math.isfinite(after.cost.value)
    assert sorted(np.bincount(folds[0])) == [10, 10, 10, 10]


def test_bad_input_is_refused_in_words():
    rng, good = np.random.default_rng(0), torch.arange(12.0)
    with pytest.raises(ValueError, match="method: found 'beta'; allowed: 'temperature', 'isotonic' or 'platt'"):
        recalibrated(good, good, rng, "beta")
    with pytest.raises(ValueError, match="fake: found 9 samples; allowed: 10 or more"):
        recalibrated(good, good[:9], rng)
    with pytest.raises(ValueError, match="folds: found 1"):
        recalibrated(good, good, rng, folds=1)


# --- slope and offset


def test_slope_and_offset_are_scikit_learns_and_solve_the_equations_of_the_least_loss():
    rng = np.random.default_rng(11)
    for seed, (n, m) in enumerate([(40, 60), (300, 200), (9, 7)]):
        real, fake = (rng.normal(mean, 1, size) * 3 - 20 for mean, size in ((1, n), (0, m)))
        line = platt(torch.from_numpy(real), torch.from_numpy(fake))
        a, b = line.slope, line.offset
        scores, labels = np.concatenate([real, fake]), np.array([1] * n + [0] * m)
        weights = np.array([0.5 / n] * n + [0.5 / m] * m)
        wrong = weights * (special.expit(a * scores + b) - labels)
        np.testing.assert_allclose([wrong.sum(), (wrong * (scores + 20)).sum()], 0, atol=1e-9)
        peer = LogisticRegression(C=1e10, tol=1e-10, max_iter=10_000)
        peer.fit((scores + 20)[:, None] / 3, labels, (n + m) * weights)
        assert a == pytest.approx(float(peer.coef_[0, 0]) / 3, rel=1e-4), seed
        offset = float(peer.intercept_[0]) + float(peer.coef_[0, 0]) * 20 / 3
        assert b == pytest.approx(offset, rel=1e-3, abs=1e-3)


def test_slope_and_offset_undo_a_known_scale_and_offset():
    rng, n = np.random.default_rng(12), 40_000
    ratios = [torch.from_numpy(rng.normal(mean, 1, n)) - 0.5 for mean in (1.0, 0.0)]  # log-ratios of unit normals
    line = platt(*(4 * side + 7 for side in ratios))
    a, b = line.slope, line.offset
    # The information on slope and offset of n samples of either side is above n/10.
    assert abs(4 * a - 1) < 5 * math.sqrt(10 / n)
    assert abs(b + 7 * a) < 5 * math.sqrt(10 / n)
    again = platt(*ratios)
    assert (4 * a, b + 7 * a) == pytest.approx((again.slope, again.offset), abs=1e-9)
    assert 4 * line.slope_error == pytest.approx(again.slope_error, rel=1e-6)


def test_errors_of_slope_and_offset_are_the_scatter_over_draws():
    """Uneven sides, and scores whose posterior no line fits: logits of unlike spreads."""
    rng, found = np.random.default_rng(21), []
    for _ in range(600):
        real, fake = torch.from_numpy(rng.normal(1, 1, 300)), torch.from_numpy(rng.normal(0, 2, 120))
        line = platt(real, fake)
        found.append([line.slope, line.offset, line.slope_error, line.offset_error])
    slope, offset, slope_error, offset_error = np.array(found).T
    for values, errors in ((slope, slope_error), (offset, offset_error)):
        # A standard deviation of 600 draws is off by 1/sqrt(1200); the sandwich is low by some parts in 120.
        assert np.mean(errors) == pytest.approx(np.std(values), rel=4 / math.sqrt(1200) + 0.05)


def test_an_offset_alone_moves_the_temperature_above_one_while_the_slope_tells_timid_scores():
    rng, n = np.random.default_rng(22), 4000
    ratios = [torch.from_numpy(2 * rng.normal(mean, 1, n)) - 2 for mean in (2.0, 0.0)]
    shifted = [side / 4 + 3 for side in ratios]
    line = platt(*shifted)
    assert temperature(*shifted) > 1
    assert abs(line.slope - 4) < 5 * line.slope_error
    assert line.slope_error < 0.2
    assert abs(line.offset + 12) < 5 * line.offset_error


@pytest.mark.parametrize(
    ("real", "fake"),
    [([1.0, 2.0], [0.0, 1.0]), ([0.0, 1.0], [1.0, 2.0]), ([3.0, 3.0], [3.0, 3.0])],
    ids=["separated", "separated the wrong way", "equal"],
)
def test_where_no_slope_is_best_there_is_none(real, fake):
    assert platt(torch.tensor(real), torch.tensor(fake)) is None


def test_cross_fitted_platt_scaling_gives_the_ratios_back():
    rng, n = np.random.default_rng(13), 4000
    ratios = [torch.from_numpy(rng.normal(mean, 1, n)) - 0.5 for mean in (1.0, 0.0)]
    found = recalibrated(*(2 * side + 3 for side in ratios), rng, "platt", draws=20)
    assert found.temperature is None
    assert abs(found.line.slope - 0.5) < 5 * found.line.slope_error
    # Slope and offset scatter by less than sqrt(10/n), scores reach four beyond the middle.
    assert float((found.real - ratios[0]).abs().max()) < 5 * 5 * math.sqrt(10 / n)
    assert found.calibration.equal_mass.p_value > 0.005
