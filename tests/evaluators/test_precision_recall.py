"""Precision and recall as an auditor meets them: known answers, nulls, limits, the samples to look at."""

import math
import warnings

import numpy as np
import pytest
import torch

from ganaudit.document.spec import NotAssessable
from ganaudit.evaluators.precision_recall import PrecisionRecall
from ganaudit.numerics.neighbours import neighbourhood
from tests.evaluators.made_up import MadeUp, by_key, sampled
from tests.numerics.worlds import in_world

KEYS = ["precision", "recall", "density", "coverage", "1-nn-accuracy-real", "1-nn-accuracy-fake", "realism"]


def evaluated(view, **options):
    return PrecisionRecall(**options).evaluate(view, np.random.default_rng(0))


def test_separate_sides_have_the_limits_of_every_number():
    found = evaluated(MadeUp(real=sampled(60, 3, 0), fake=sampled(50, 3, 1, shift=50.0)))
    values = {key: m.value for key, m in by_key(found).items()}
    assert list(values) == KEYS
    assert [values[key] for key in KEYS[:4]] == [0, 0, 0, 0]
    assert [values[key] for key in KEYS[4:6]] == [1, 1]
    assert 0 < values["realism"] < 0.1
    measured = by_key(found)
    assert measured["precision"].interval.low == 0
    assert 0 < measured["precision"].interval.high < 0.2
    assert measured["density"].interval is None
    assert "cannot be seen" in measured["density"].interval_reason


def test_equal_distributions_meet_their_null_and_their_known_values():
    # Several seeds: an interval misses once in twenty.
    held = {"coverage": 0, "density": 0, "1-nn-accuracy-real": 0}
    told_apart = 0
    for seed in range(20):
        real, fake, first, second = (sampled(150, 4, 100 * seed + i) for i in range(4))
        found = evaluated(MadeUp(real=real, fake=fake, null_real=first, null_fake=second))
        measured = by_key(found)
        expected = {"coverage": expected_of(150, 150), "density": 1.0, "1-nn-accuracy-real": 149 / 299}
        for key, value in expected.items():
            held[key] += measured[key].interval.low <= value <= measured[key].interval.high
        told_apart += "Precision" in found.details[1].text and "is below the" in found.details[1].text
        assert all(m.null is not None and m.null.rule == "a made-up null" for m in found.measurements)
    # 20 independent audits at 92 % or more: 14 or fewer have a chance below 1 in 10,000.
    assert min(held.values()) >= 15
    assert told_apart <= 5


def expected_of(n, m, k=5):
    """The expected coverage of equal distributions: the k nearest of n + m - 1 others are not all real."""
    return 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))


def test_the_note_says_what_the_values_mean():
    real, fake = sampled(200, 3, 2), 0.3 * sampled(160, 3, 3)
    found = evaluated(MadeUp(real=real, fake=fake, null_real=sampled(100, 3, 4), null_fake=sampled(100, 3, 5)))
    text = found.details[1].text
    assert f"expected coverage {expected_of(200, 160):.4f}" in text
    assert "of the reals it should reach" in text
    assert "Recall" in text
    assert "is below the" in text
    assert "With 200 reals and 160 generated samples" in text
    assert "0.554 and 0.443, not 0.5" in text
    assert "inside (<=)" in evaluated(MadeUp(real=real, fake=fake), boundary="<=").details[0].text


def test_the_samples_shown_are_the_worst():
    real = torch.cat([sampled(60, 2, 6), sampled(20, 2, 7, shift=30.0)])
    fake = torch.cat([sampled(60, 2, 8), torch.tensor([[400.0, 0.0], [0.0, 300.0]]).double()])
    first, second = evaluated(MadeUp(real=real, fake=fake)).exhibits
    assert (first.side, len(first.indices), len(first.captions)) == ("fake", 16, 16)
    assert set(first.indices[:2]) == {60, 61}
    realism = neighbourhood(real, fake, 5).realism
    assert [float(realism[i]) for i in first.indices] == sorted(realism.tolist())[:16]
    assert second.side == "real"
    assert len(second.indices) == 16
    assert set(second.indices) <= set(range(60, 80))
    assert all("radii" in caption for caption in second.captions)
    perfect = evaluated(MadeUp(real=sampled(60, 2, 9), fake=sampled(60, 2, 9)))
    assert [exhibit.side for exhibit in perfect.exhibits] == ["fake"]


def test_copies_of_reals_have_no_realism_and_say_so():
    # Of 41 balls 21 are kept, so 21 of the 41 copies stand in the middle of one.
    found = by_key(evaluated(MadeUp(real=sampled(41, 3, 10), fake=sampled(41, 3, 10))))
    assert found["realism"].value is None
    assert "exactly on a real one" in found["realism"].reason
    assert found["1-nn-accuracy-fake"].value == 0


@pytest.mark.parametrize("other", [1.0, 2.0])
def test_constant_features_have_limits_and_no_warning(other):
    view = MadeUp(real=torch.ones(30, 4), fake=torch.full((30, 4), other), null_real=torch.ones(20, 4),
                  null_fake=torch.ones(20, 4))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = by_key(evaluated(view))
    assert [found[key].value for key in KEYS[:4]] == [0, 0, 0, 0]
    assert found["realism"].value == (1.0 if other == 1.0 else 0.0)
    assert found["1-nn-accuracy-real"].value == (0.5 if other == 1.0 else 1.0)


@pytest.mark.parametrize(("boundary", "holds"), [("<", "nothing, not even a copy"), ("<=", "copies of its centre")])
def test_balls_of_radius_0_are_no_certainty(boundary, holds):
    ones = torch.ones(30, 4)
    view = MadeUp(real=ones, fake=ones.clone(), null_real=ones[:20], null_fake=ones[:20])
    findings = evaluated(view, boundary=boundary)
    found = by_key(findings)
    for key in ("precision", "recall", "density", "coverage", "realism"):
        assert found[key].interval is None, key
        assert holds in found[key].interval_reason
        assert found[key].null.low is None
    text = findings.details[1].text
    assert "30 of the 30 real samples have 5 copies or more" in text
    assert "30 of the 30 generated samples" in text
    assert "of the reals it should reach" not in text
    assert findings.warnings == [w for w in findings.warnings if w in text]
    assert len(findings.warnings) == 2


def test_some_copies_are_a_caution():
    real, fake = sampled(60, 3, 30), sampled(50, 3, 31)
    real[:7] = real[0].clone()
    findings = evaluated(MadeUp(real=real, fake=fake))
    assert ["7 of the 60 real samples have 5 copies or more" in w for w in findings.warnings] == [True]
    assert by_key(findings)["precision"].interval is not None
    assert findings.warnings[0] in findings.details[1].text
    assert evaluated(MadeUp(real=sampled(60, 3, 30), fake=fake)).warnings == []


def test_too_few_samples_name_what_they_need():
    with pytest.raises(NotAssessable, match="5 neighbours need at least 6 samples on each side; there are 5 real"):
        evaluated(MadeUp(real=sampled(5, 2, 11), fake=sampled(9, 2, 12)))
    found = by_key(evaluated(MadeUp(real=sampled(11, 2, 13), fake=sampled(11, 2, 14))))
    assert all(m.interval is None and "too few for 5 neighbours" in m.interval_reason for m in found.values())
    assert "halves of 11 real and 11 generated samples" in found["recall"].interval_reason
    few = MadeUp(
        real=sampled(30, 2, 15), fake=sampled(30, 2, 16), null_real=sampled(4, 2, 17), null_fake=sampled(4, 2, 18)
    )
    assert all(m.null is None and "need more reals" in m.null_reason for m in evaluated(few).measurements)


def test_memory_changes_no_number_and_no_comparability():
    view = MadeUp(real=sampled(80, 3, 19), fake=sampled(70, 3, 20))
    small, large = evaluated(view, memory=1), evaluated(view, memory=512)
    assert small.measurements == large.measurements
    assert small.conventions == large.conventions == {"boundary": "<", "k": 5, "memory": "any"}


def test_processes_that_share_the_work_write_the_same():
    real, fake = sampled(70, 3, 21), sampled(60, 3, 22)
    alone = evaluated(MadeUp(real=real, fake=fake))

    def work(world):
        view = MadeUp(real=real, fake=fake)
        view.world = world
        return evaluated(view)

    assert in_world(2, work) == [alone, alone]


@pytest.mark.parametrize("options", [{"neighbours": 0}, {"memory": 0}])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}: found 0; allowed: 1 "):
        PrecisionRecall(**options)
