"""Intervals at a higher confidence: against the numerics that make them at any, and how often gates then err."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.document.confidence import at_confidence
from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.gates import Gate, Policy
from ganaudit.document.judge import judge
from ganaudit.document.model import Interval, Null
from ganaudit.document.noise import lint_policy
from ganaudit.numerics.detection import Auc
from ganaudit.numerics.intervals import clopper_pearson, normal, student, wilson
from ganaudit.numerics.kernel_inference import Scatter
from ganaudit.numerics.neighbour_inference import STATISTICS, HalfScatter

from .documents import document, number, result

FD = "frechet-distance/fd"
TODAY = date(2026, 11, 22)
HALVES = "scatter between disjoint halves (50 halvings)"
VALUES = torch.from_numpy(np.random.default_rng(3).normal(5.0, 2.0, 20))
SPREAD = HalfScatter(
    means=torch.full((len(STATISTICS),), 0.8, dtype=torch.float64),
    variances=torch.full((len(STATISTICS),), 4e-4, dtype=torch.float64),
    halves={"real": 100, "fake": 100},
    draws=50,
    differences=torch.zeros((50, len(STATISTICS)), dtype=torch.float64),
)
SIDES = {"real": 300, "fake": 300}
KD = ErrorParts.of("groups", {"real": [0.01, -0.01] * 25, "fake": [0.02] * 50})


def kernel(value, first=0.04, second=0.01, steepest=0.2):
    return value, lambda level: Scatter(first, second, steepest, 49.0).interval(value, level)


def vendi(level):
    ends = normal(math.log(30.0), 0.2, level)
    return type(ends)(math.exp(ends.low), math.exp(ends.high))


MADE = {
    "normal": ("normal, standard error by influences and by pairs of samples", 3.0, lambda a: normal(3.0, 0.4, a), {}),
    "normal alone": ("normal", -3.0, lambda a: normal(-3.0, 0.4, a), {}),
    "density": (f"normal, Student quantile, {HALVES}", 0.9, lambda a: SPREAD.interval("density", 0.9, SIDES, a), {}),
    "logarithm": ("normal for the logarithm, standard error by the delete-one jackknife", 30.0, vendi, {}),
    "splits": ("Student t over 20 splits", float(VALUES.mean()), lambda a: student(VALUES, a), {"n": 400}),
    "mean": ("Student", float(VALUES.mean()), lambda a: student(VALUES, a), {"n": 20}),
    "area": ("DeLong, logit scale", 0.93, lambda a: Auc(0.93, 0.02, 80, 70).interval(a), {}),
    "full area": ("DeLong, logit scale", 1.0, lambda a: Auc(1.0, 0.0, 80, 70).interval(a), {"n": 70}),
    "tied area": ("DeLong, logit scale", 0.5, lambda a: Auc(0.5, 0.0, 80, 70).interval(a), {"n": 70}),
    "Wilson": ("Wilson score", 0.15, lambda a: wilson(12, 80, a), {"n": 80}),
    "Wilson, none": ("Wilson score for n/2 pairs", 0.0, lambda a: wilson(0, 80, a), {}),
    "Wilson, all": ("Wilson score", 1.0, lambda a: wilson(80, 80, a), {}),
    "precision": (
        f"Wilson score, Student quantile, {HALVES}", 0.9, lambda a: SPREAD.interval("precision", 0.9, SIDES, a), {},
    ),
    "Clopper-Pearson": ("Clopper-Pearson", 3 / 57, lambda a: clopper_pearson(3, 57, a), {"n": 57}),
    "none": ("Clopper-Pearson", 0.0, lambda a: clopper_pearson(0, 57, a), {"n": 900, "sizes": {"fake": 57}}),
    "all": ("Clopper-Pearson", 1.0, lambda a: clopper_pearson(57, 57, a), {"n": 57}),
    "kd": ("score interval, to second order, Student quantile", *kernel(1.5), {"error_parts": KD}),
    "kd near 0": ("score interval, to second order, Student quantile", *kernel(0.1), {"error_parts": KD}),
    "kd below 0": ("score interval, to second order, Student quantile", *kernel(-0.1), {"error_parts": KD}),
}  # fmt: skip


def held(method, value, bounds, level=0.95, **more):
    around = Interval(low=bounds.low, high=bounds.high, level=level, method=method, covers="draws")
    return number(value, (0.0, 0.0), **more).model_copy(update={"interval": around})


@pytest.mark.parametrize("case", MADE)
@pytest.mark.parametrize(("level", "asked"), [(0.95, 0.99), (0.95, 0.999), (0.9, 0.95), (0.95, 0.9500001)])
def test_the_ends_are_those_that_the_numbers_own_method_gives_there(case, level, asked):
    method, value, bounds, more = MADE[case]
    made, problem = at_confidence(held(method, value, bounds(level), level, **more), asked)
    assert problem == ""
    assert made.interval.level == asked
    expected = bounds(asked)
    assert (made.interval.low, made.interval.high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)


def test_what_is_sure_enough_is_left_alone():
    found = held("Fieller", 1.0, normal(1.0, 0.1, 0.95))
    assert at_confidence(found, 0.95) == (found, "")
    assert at_confidence(found, 0.5) == (found, "")
    assert at_confidence(found, None) == (found, "")


@pytest.mark.parametrize(
    "method",
    [
        "percentile bootstrap, 500 resamples",
        "order statistics",
        "Fieller",
        "Clopper-Pearson, Bonferroni over groups",
        "DeLong, logit scale, Bonferroni over damages",
        "normal, Student quantile",
        "score interval, Student quantile",
        "a method of somebody else's",
    ],
)
def test_what_two_ends_do_not_tell_is_not_guessed_at(method):
    found = held(method, 0.5, wilson(40, 80, 0.95), n=80)
    same, problem = at_confidence(found, 0.99)
    assert same is found
    assert problem == (
        f"has an interval of confidence 0.95 ({method}), which the document holds too little of to make it at 0.99; "
        "allowed here: up to 0.95"
    )


@pytest.mark.parametrize(
    ("method", "value", "low", "high"),
    [
        ("Wilson score", 0.5, 0.3, 0.8),
        ("Clopper-Pearson", 0.5, 0.3, 0.7),
        ("DeLong, logit scale", 0.5, 0.3, 0.8),
        ("Student t over 20 splits", 0.5, 0.3, 0.7),
    ],
)
def test_a_name_is_not_believed_where_the_ends_say_otherwise(method, value, low, high):
    found = number(value, (low, high), n=10)
    found = found.model_copy(update={"interval": found.interval.model_copy(update={"method": method})})
    assert "too little" in at_confidence(found, 0.99)[1]


def test_an_approximate_law_is_believed_up_to_a_point_and_an_exact_one_beyond_it():
    _, problem = at_confidence(held("normal", 1.0, normal(1.0, 0.1, 0.95)), 0.9999)
    assert problem.endswith("an approximation that nothing bears out beyond 0.999; allowed here: up to 0.999")
    made, problem = at_confidence(held("Clopper-Pearson", 0.25, clopper_pearson(20, 80, 0.95), n=80), 0.9999)
    assert problem == ""
    assert made.interval.high == pytest.approx(stats.beta.ppf(0.99995, 21, 60))


def test_the_longer_reach_holds_for_both_ends_as_one_may_be_cut():
    found = number(0.1, (0.0, 0.4), n=1000)
    cut = found.interval.model_copy(update={"method": "normal, standard error of two means"})
    made, _ = at_confidence(found.model_copy(update={"interval": cut}), 0.99)
    reach = 0.3 * stats.norm.ppf(0.995) / stats.norm.ppf(0.975)
    assert (made.interval.low, made.interval.high) == pytest.approx((0.1 - reach, 0.1 + reach))


def test_other_methods_go_by_error_parts_and_never_below_them():
    parts = ErrorParts.of("groups", {"real": [0.1] * 40, "fake": [-0.1] * 40})
    error, t = 0.1 * math.sqrt(80), stats.t.ppf([0.975, 0.995], 39)
    for half, reach in ((0.5, t[1] * error), (9.0, 9.0 * t[1] / t[0])):
        made, problem = at_confidence(number(1.0, (1.0 - half, 1.0 + half), error_parts=parts), 0.99)
        assert problem == ""
        assert made.interval.high - 1.0 == pytest.approx(reach)
        assert 1.0 - made.interval.low == pytest.approx(reach)


# --- gates


def outcome(found, other=None, /, **gate):
    policy = Policy(gate=[Gate(id="g", measure=FD, **gate)])
    held_against = None if other is None else document(result(other))
    return judge(document(result(found)), policy, held_against, TODAY).verdicts[0]


@pytest.mark.parametrize("asked", [0.95, 0.99, 0.999])
def test_a_gate_on_a_share_errs_as_seldom_as_it_says(asked):
    """Exactly, over all outcomes: at the limit itself both errors together are the chance of being wrong."""
    n, limit = 60, 0.1
    chances = stats.binom.pmf(range(n + 1), n, limit)
    verdicts = []
    for s in range(n + 1):
        found = held("Clopper-Pearson", s / n, clopper_pearson(s, n, 0.95), n=n)
        verdicts.append(outcome(found, limit=limit, confidence=asked).outcome)
    for wrong in ("passed", "failed"):
        assert sum(chances[s] for s in range(n + 1) if verdicts[s] == wrong) <= (1 - asked) / 2
    assert verdicts[-1] == "failed", "it decides where it can"


def test_a_gate_on_a_normal_number_errs_as_seldom_as_it_says():
    rng, runs, asked = np.random.default_rng(1), 6000, 0.99
    found = [
        outcome(held("normal", v, normal(v, 0.3, 0.95)), limit=2.0, confidence=asked).outcome
        for v in rng.normal(2.0, 0.3, runs)
    ]
    for wrong in ("passed", "failed"):
        share = found.count(wrong) / runs
        assert abs(share - 0.005) < 4 * math.sqrt(0.005 * 0.995 / runs)


def test_a_gate_says_at_which_confidence_it_judged_and_passes_only_there():
    found = held("normal", 1.0, normal(1.0, 0.1, 0.95))
    for limit, word in ((1.0 + 0.1 * 2.5758 - 0.001, "inconclusive"), (1.0 + 0.1 * 2.5759 + 0.001, "passed")):
        verdict = outcome(found, limit=limit, confidence=0.99)
        assert verdict.outcome == word
        assert (verdict.low, verdict.high) == pytest.approx((1 - 0.25758, 1 + 0.25758), abs=1e-5)
        assert "1 [0.742417, 1.25758] at confidence 0.99, asked for at most" in verdict.message
    assert "at confidence" not in outcome(found, limit=2.0, confidence=0.95).message


def test_a_gate_that_cannot_have_its_confidence_says_why_and_what_is_allowed():
    verdict = outcome(held("order statistics", 1.0, normal(1.0, 0.1, 0.95)), limit=9.0, confidence=0.99)
    assert (verdict.outcome, verdict.limit) == ("inconclusive", 9.0)
    assert "the gate asks for confidence 0.99; it has an interval of confidence 0.95 (order statistics)" in (
        verdict.message
    )
    assert verdict.message.endswith("allowed here: up to 0.95")


def test_the_null_and_the_baseline_are_taken_at_the_same_confidence():
    grown = stats.norm.ppf(0.995) / stats.norm.ppf(0.975)
    null = Null(value=1.0, low=0.6, high=1.4, n=1000, rule="halves")
    found = held("normal", 1.0, normal(1.0, 0.3 / stats.norm.ppf(0.975), 0.95)).model_copy(update={"null": null})
    verdict = outcome(found, null=True, margin=9.0, confidence=0.99)
    assert verdict.high - 1.0 == pytest.approx(math.hypot(0.3, 0.4) * grown)
    other = held("normal", 1.0, normal(1.0, 0.4 / stats.norm.ppf(0.975), 0.95))
    verdict = outcome(found, other, baseline=True, margin=9.0, confidence=0.99)
    assert verdict.high - 1.0 == pytest.approx(math.hypot(0.3, 0.4) * grown)
    silent = held("order statistics", 1.0, normal(1.0, 0.1, 0.95))
    verdict = outcome(found, silent, baseline=True, margin=9.0, confidence=0.99)
    assert verdict.outcome == "inconclusive"
    assert "the baseline has an interval of confidence 0.95 (order statistics)" in verdict.message


def replicates(*found):
    return [document(result(one), plan={"seed": seed, "samples": 1000}) for seed, one in enumerate(found)]


def over_seeds(*found, limit):
    audits = replicates(*found)
    policy = Policy(gate=[Gate(id="g", measure=FD, limit=limit, replicates=len(found), confidence=0.99)])
    return judge(audits[0], policy, None, TODAY, audits[1:]).verdicts[0]


def test_a_mean_over_seeds_is_judged_at_the_confidence_too():
    values = (1.0, 1.3, 0.8)
    narrow = [held("normal", v, normal(v, 1e-6, 0.95)) for v in values]
    half = stats.t.ppf(0.995, 2) * np.std(values, ddof=1) / math.sqrt(3)
    verdict = over_seeds(*narrow, limit=9.0)
    assert verdict.high - np.mean(values) == pytest.approx(half)
    wide = [held("normal", v, normal(v, 4.0, 0.95)) for v in values]
    assert over_seeds(*wide, limit=99.0).high - np.mean(values) == pytest.approx(4.0 * stats.norm.ppf(0.995))
    bare = [number(v) for v in values]
    assert over_seeds(*bare, limit=9.0).high - np.mean(values) == pytest.approx(half)
    silent = [held("Fieller", v, normal(v, 0.1, 0.95)) for v in values]
    verdict = over_seeds(*silent, limit=99.0)
    assert verdict.outcome == "inconclusive"
    assert "one of its audits has an interval of confidence 0.95 (Fieller)" in verdict.message


def test_the_expected_false_failures_go_by_the_confidence_of_each_gate():
    numbers = [held("normal", 1.0, normal(1.0, 0.1, 0.95), key=f"fd{i}") for i in range(10)]
    gates = [Gate(id=f"g{i}", measure=f"frechet-distance/fd{i}", limit=2.0, confidence=0.99) for i in range(10)]
    (remark,) = judge(document(result(*numbers)), Policy(gate=gates), None, TODAY).remarks
    assert "about 0.05 of them would fail by chance at 99 %" in remark
    assert remark.endswith("below 0.5 %")
    mixed = [gates[0].model_copy(update={"confidence": None}), *gates[1:]]
    (remark,) = judge(document(result(*numbers)), Policy(gate=mixed), None, TODAY).remarks
    assert "about 0.07 of them would fail by chance at the confidence of each" in remark


def test_lint_takes_the_floor_at_the_confidence_and_calls_what_never_decides_an_error():
    null = Null(value=1.0, low=0.9, high=1.1, n=1000, rule="halves")
    found = held("normal", 1.0, normal(1.0, 0.1, 0.95)).model_copy(update={"null": null})
    for limit, errors in ((1.22, 1), (1.27, 0)):
        policy = Policy(gate=[Gate(id="g", measure=FD, limit=limit, confidence=0.99)])
        told = [r.message for r in lint_policy(policy, document(result(found)), today=TODAY) if r.level == "error"]
        assert len(told) == errors, told
    silent = held("Fieller", 1.0, normal(1.0, 0.1, 0.95))
    policy = Policy(gate=[Gate(id="g", measure=FD, limit=9.0, confidence=0.99)])
    (told,) = [r.message for r in lint_policy(policy, document(result(silent)), today=TODAY) if r.level == "error"]
    assert told.startswith("it asks for confidence 0.99, and fd has an interval of confidence 0.95 (Fieller)")
    assert told.endswith("it never decides")
