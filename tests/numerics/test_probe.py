"""The learned two-sample test: published tables, exact levels, invariance and power."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from ganaudit.numerics.probe import (
    LEAST,
    chance_words,
    critical_accuracy,
    held_out_test,
    null_deviation,
    power,
    probe,
    size_needed,
)


def normals(n, d, seed, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) + shift)


def test_the_published_tables():
    for n, deviation, critical in ((200, 0.03536, 0.5600), (1000, 0.01581, 0.5260), (5000, 0.00707, 0.5116)):
        assert null_deviation(n) == pytest.approx(deviation, abs=5e-6)
        assert critical_accuracy(n) == pytest.approx(critical, abs=5e-5)
    assert [size_needed(a) for a in (0.6, 0.55, 0.52, 0.51)] == [153, 617, 3863, 15455]


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 3000), alpha=st.floats(0.001, 0.5), accuracy=st.floats(0.5, 0.9))
def test_power_is_the_binomial_law(n, alpha, accuracy):
    passed = round(critical_accuracy(n, alpha) * n)
    assert stats.binom.sf(passed, n, 0.5) <= alpha * (1 + 1e-9)
    assert passed == 0 or stats.binom.sf(passed - 1, n, 0.5) > alpha * (1 - 1e-9)
    assert power(accuracy, n, alpha) == pytest.approx(stats.binom.sf(passed, n, accuracy), abs=1e-10)


def test_the_size_needed_gives_the_power():
    for accuracy in (0.52, 0.55, 0.6):
        n = size_needed(accuracy)
        # The binomial law is a staircase around its normal approximation: a step is 1/sd wide.
        assert power(accuracy, n) == pytest.approx(0.8, abs=0.5 / math.sqrt(n) + 0.02)


def test_the_level_is_exact():
    runs, found = 600, []
    for seed in range(runs):
        rng = np.random.default_rng([7, seed])
        found.append(probe(*(torch.from_numpy(rng.normal(size=(40, 3))) for _ in range(2)), rng, folds=2).held_out)
    for a in (0.05, 0.2, 0.5):
        assert np.mean([one.p_value <= a for one in found]) <= a + 4 * math.sqrt(a * (1 - a) / runs)
    assert np.mean([one.p_value <= 0.5 for one in found]) > 0.25
    mean = np.mean([one.accuracy for one in found])
    assert abs(mean - 0.5) <= 4 * null_deviation(40) / math.sqrt(runs)


def test_the_p_value_is_fishers():
    real, fake = normals(60, 4, 0, 0.5), normals(90, 4, 1)
    found = probe(real, fake, np.random.default_rng(0), folds=3)
    held = found.held_out
    assert held.n == 60
    assert held.correct == round(held.accuracy * 60)
    exact = stats.binomtest(held.correct, 60, alternative="greater").pvalue
    assert held.p_binomial == pytest.approx(exact, rel=1e-9)
    assert held.p_normal == pytest.approx(stats.norm.sf((held.accuracy - 0.5) * 2 * math.sqrt(60)), rel=1e-9)
    # Some number called real, h of them rightly: correct = 30 - named + 2 h leaves one table for each.
    tables = [
        stats.fisher_exact([[h, 30 - h], [named - h, 30 - named + h]], alternative="greater").pvalue
        for named in range(61)
        for h in range(max(0, named - 30), min(30, named) + 1)
        if 30 - named + 2 * h == held.correct
    ]
    assert min(abs(p - held.p_value) for p in tables) < 1e-12
    assert (len(found.real_rows), len(found.fake_rows)) == (60, 60)


def test_a_shift_is_found_and_its_area_is_the_closed_form():
    d, gap, n = 4, 1.0, 1500
    real, fake = normals(n, d, 2, gap / math.sqrt(d)), normals(n, d, 3)
    found = probe(real, fake, np.random.default_rng(1))
    truth = stats.norm.cdf(gap / math.sqrt(2))
    assert abs(found.auc.value - truth) <= 4 * found.auc.standard_error + d / n
    assert abs(found.fold_auc - truth) <= 4 * found.auc.standard_error + d / n
    best = stats.norm.cdf(gap / 2)
    assert abs(found.held_out.accuracy - best) <= 4 * null_deviation(n) + d / n
    assert abs(found.accuracy - best) <= 4 * null_deviation(2 * n) + d / n
    assert found.held_out.p_value < 1e-20
    assert found.held_out.power[0.6] > 0.99
    labels = [1] * n + [0] * n
    scores = torch.cat([found.real_scores, found.fake_scores]).numpy()
    assert found.auc.value == pytest.approx(roc_auc_score(labels, scores), rel=1e-12)


def test_the_area_of_held_out_samples_is_theirs_and_its_error_holds_without_a_difference():
    # Whatever the detector learnt by chance, held-out samples of one law have area 1/2 and DeLong's error about it.
    far = []
    for seed in range(400):
        real, fake = normals(60, 8, 2 * seed), normals(60, 8, 2 * seed + 1)
        area = probe(real, fake, np.random.default_rng(seed), folds=2).held_out.auc
        far.append((area.value - 0.5) / area.standard_error)
    assert np.mean(np.abs(far) < 1.96) > 0.95 - 4 * math.sqrt(0.05 * 0.95 / 400)
    assert abs(np.std(far) - 1.0) < 4 / math.sqrt(2 * 400)
    real, fake = normals(1500, 4, 2, 0.5), normals(1500, 4, 3)
    found = probe(real, fake, np.random.default_rng(1)).held_out
    assert abs(found.auc.value - stats.norm.cdf(1.0 / math.sqrt(2))) <= 4 * found.auc.standard_error + 4 / 1500


def test_scores_are_out_of_fold():
    # Every row is its own class: a detector that had seen it would name it rightly.
    n = 60
    real, fake = torch.eye(2 * n)[:n].double(), torch.eye(2 * n)[n:].double()
    found = probe(real, fake, np.random.default_rng(0), strength=100.0)
    assert found.accuracy < 0.75
    assert found.held_out.p_value > 1e-4


def test_units_do_not_matter_and_chance_is_the_argument():
    real, fake = normals(80, 3, 4, 0.4), normals(80, 3, 5)
    units = torch.tensor([1e-4, 1.0, 1e5], dtype=torch.float64)
    plain = probe(real, fake, np.random.default_rng(3))
    moved = probe(real * units - 7, fake * units - 7, np.random.default_rng(3))
    torch.testing.assert_close(moved.real_scores, plain.real_scores, atol=1e-3, rtol=1e-3)
    again = probe(real, fake, np.random.default_rng(3))
    assert torch.equal(again.fake_scores, plain.fake_scores)
    assert again.held_out == plain.held_out
    single = probe(real.float(), fake.float(), np.random.default_rng(3))
    torch.testing.assert_close(single.real_scores, plain.real_scores, atol=1e-3, rtol=1e-3)


def test_rows_are_cut_evenly_and_constant_features_do_no_harm():
    real, fake = torch.ones(50, 2), torch.ones(30, 2)
    found = probe(real, fake, np.random.default_rng(0), most=20)
    assert len(found.real_scores) == len(found.fake_scores) == 20
    assert bool((found.real_rows.diff() > 0).all())
    assert int(found.real_rows.max()) < 50
    assert found.auc.value == found.fold_auc == 0.5
    assert found.held_out.p_value == 1.0


def test_bad_input_is_refused_in_words():
    rng, good = np.random.default_rng(0), torch.randn(20, 2)
    with pytest.raises(ValueError, match="real: found 9 samples; allowed: 10 or more"):
        probe(good[:9], good, rng)
    with pytest.raises(ValueError, match=r"features: found torch\.int64"):
        probe(torch.ones(20, 2, dtype=torch.int64), good, rng)
    with pytest.raises(ValueError, match="fake: found 3 features; allowed: 2"):
        probe(good, torch.randn(20, 3), rng)
    with pytest.raises(ValueError, match="strength: found 0"):
        probe(good, good, rng, strength=0)
    with pytest.raises(ValueError, match=r"accuracy: found 0\.5"):
        size_needed(0.5)
    with pytest.raises(ValueError, match="n: found 0"):
        null_deviation(0)


@pytest.mark.parametrize("n", [400, 2000])
def test_chance_is_never_impossible(n):
    """Sides that lie fully apart: 1/C(n, n/2), which for 2 x 1,000 held out is 5e-601 and no float."""
    fully = np.concatenate([np.ones(n), -np.ones(n)])
    found = held_out_test(lambda fitted, asked: fully[asked], n, np.random.default_rng(0))
    assert found.accuracy == 1
    expected = 1 / math.comb(n, n // 2) if n == 400 else LEAST
    assert found.p_value == pytest.approx(expected, rel=1e-6, abs=0)
    assert chance_words(found.p_value) == ("9.71e-120" if n == 400 else "below 1e-300")
