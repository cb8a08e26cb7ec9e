"""The learned two-sample test: Gaussians with known answers, its level, its power and what it is blind to."""

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit import registry
from ganaudit.document.spec import NotAssessable

from .made_up import MadeUp, by_key, sampled
from .planted import even, reference, row, subject

ID = "two-sample-test"


def outcome(seed=0, **nodes):
    return registry.find("evaluators", ID)().evaluate(MadeUp(**nodes), np.random.default_rng(seed))


def shifted(n, d, seed, shift):
    x = sampled(n, d, seed)
    x[:, 0] += shift
    return x


def test_two_gaussians_give_the_bayes_detector():
    n, shift = 4000, 1.0
    real, other = sampled(n, 4, 0), sampled(n, 4, 2)
    found = by_key(outcome(real=real, fake=shifted(n, 4, 1, shift), null_real=real, null_fake=other))
    accuracy, area = stats.norm.cdf(shift / 2), stats.norm.cdf(shift / np.sqrt(2))
    # Four standard errors of 4000 held-out samples; a fit to as many costs less than 0.002 of the best accuracy.
    assert found["accuracy"].value == pytest.approx(accuracy, abs=4 * np.sqrt(accuracy * (1 - accuracy) / n) + 0.002)
    assert found["auc"].value == pytest.approx(area, abs=4 * 0.0055 + 0.002)
    assert found["p-value"].value < 1e-100
    assert found["accuracy"].interval.low > found["accuracy"].null.high
    assert abs(found["auc"].null.value - 0.5) < 4 * np.sqrt((2 * n + 1) / (12 * n**2))
    assert found["accuracy"].n == n // 2


def test_equal_laws_are_told_apart_as_rarely_as_promised():
    runs = 40
    p_values = [
        by_key(outcome(seed, real=sampled(60, 3, [seed, 0]), fake=sampled(60, 3, [seed, 1])))["p-value"].value
        for seed in range(runs)
    ]
    for level in (0.05, 0.2):
        assert np.mean([p <= level for p in p_values]) <= level + 4 * np.sqrt(level * (1 - level) / runs)


def test_power_is_that_of_the_binomial_test():
    found = outcome(real=sampled(617, 2, 0), fake=sampled(700, 2, 1))
    held = 2 * (617 // 2)
    passed = stats.binom.ppf(0.95, held, 0.5)
    assert by_key(found)["power"].value == pytest.approx(stats.binom.sf(passed, held, 0.55), abs=1e-9)
    assert by_key(found)["power"].value == pytest.approx(0.8, abs=0.03)
    needed = next(d for d in found.details if d.kind == "table")
    assert {r[0]: r[2] for r in needed.rows} == {0.51: 15455, 0.52: 3863, 0.55: 617, 0.6: 153}


def test_a_flat_boundary_is_blind_to_a_variance_and_the_report_says_so():
    found = outcome(real=sampled(600, 3, 0), fake=sampled(600, 3, 1) * 0.3)
    assert by_key(found)["p-value"].value > 0.001
    assert any(d.kind == "note" and "cannot see" in d.text for d in found.details)


def test_the_plainest_generated_samples_are_shown():
    fake = sampled(200, 5, 1)
    planted = np.random.default_rng(3).choice(200, 16, replace=False)
    fake[torch.from_numpy(planted), 2] += 15
    found = outcome(real=sampled(200, 5, 0), fake=fake)
    shown = next(e for e in found.exhibits if "most sure are generated" in e.title)
    assert sorted(shown.indices) == sorted(planted.tolist())
    assert shown.side == "fake"


def test_too_few_samples_are_refused_with_the_number_needed():
    with pytest.raises(NotAssessable, match=r"needs 10 samples on each side.* 9 and 50"):
        outcome(real=sampled(9, 3, 0), fake=sampled(50, 3, 1))


def test_a_subject_without_a_discriminator_has_it_as_well():
    levels = np.random.default_rng(0).integers(0, 60, 80)
    found = row(ID, subject(None), reference(test=even(levels)), extractor="pixels")
    assert found.status == "measured"
    # Even greys: the generated ones scatter around the middle, the reals are dark.
    assert by_key(found)["accuracy"].value > 0.9
    assert by_key(found)["accuracy"].null.value < 0.75
    assert any(d.kind == "gallery" for d in found.details)
