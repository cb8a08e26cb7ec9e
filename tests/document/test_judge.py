"""The judge: outcomes, exit codes, waivers, baselines, and the error rate it promises."""

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganaudit.document.errors import ConfigError
from ganaudit.document.gates import Gate, Policy, Waiver
from ganaudit.document.judge import differing_fields, exit_of, judge

from .documents import SUBJECT, document, number, result

TODAY = date(2026, 11, 22)
FD = "frechet-distance/fd"


def policy(*waivers, fail_on="error", on_inconclusive="error", **gate):
    gates = [Gate(id="g", measure=gate.pop("measure", FD), **gate)] if gate else []
    return Policy(fail_on=fail_on, on_inconclusive=on_inconclusive, gate=gates, waiver=list(waivers))


def judged(measurement, baseline=None, rules=None, **gate):
    found = judge(document(result(measurement)), rules or policy(**gate), baseline, TODAY)
    (verdict,) = found.verdicts
    return verdict, found.exit_code


# --- one number against a limit


@pytest.mark.parametrize(
    ("better", "value", "spread", "limit", "outcome", "code"),
    [
        ("lower", 10.0, (9.0, 11.0), 12.0, "passed", 0),
        ("lower", 10.0, (9.0, 11.0), 8.0, "failed", 1),
        ("lower", 10.0, (9.0, 11.0), 10.5, "inconclusive", 3),
        ("lower", 10.0, (9.0, 11.0), 9.5, "inconclusive", 3),
        # The limit itself is good: on the bad end of the interval it passes, on the good end it is not yet failed.
        ("lower", 10.0, (9.0, 11.0), 11.0, "passed", 0),
        ("lower", 10.0, (9.0, 11.0), 9.0, "inconclusive", 3),
        ("lower", 10.0, (9.0, 11.0), math.nextafter(11.0, 0.0), "inconclusive", 3),
        ("lower", 10.0, (9.0, 11.0), math.nextafter(9.0, 0.0), "failed", 1),
        # Ends that a round trip through the distance from the value would miss by one bit.
        ("lower", 0.3, (0.1, 0.7), 0.7, "passed", 0),
        ("higher", 0.3, (0.1, 0.7), 0.1, "passed", 0),
        ("higher", 0.8, (0.7, 0.9), 0.6, "passed", 0),
        ("higher", 0.8, (0.7, 0.9), 0.95, "failed", 1),
        ("higher", 0.8, (0.7, 0.9), 0.75, "inconclusive", 3),
        ("higher", 0.8, (0.7, 0.9), 0.7, "passed", 0),
        ("higher", 0.8, (0.7, 0.9), 0.9, "inconclusive", 3),
        # Without an interval the value is judged alone.
        ("lower", 10.0, None, 10.0, "passed", 0),
        ("lower", 10.0, None, 9.99, "failed", 1),
        ("higher", 0.8, None, 0.8, "passed", 0),
        ("higher", 0.8, None, 0.81, "failed", 1),
        # A value outside its own interval never passes on the interval's word.
        ("lower", 12.0, (9.0, 11.0), 11.5, "inconclusive", 3),
        ("higher", 0.6, (0.7, 0.9), 0.65, "inconclusive", 3),
    ],
)
def test_a_limit_decides_by_the_whole_interval(better, value, spread, limit, outcome, code):
    verdict, found = judged(number(value, spread, better=better), limit=limit)
    assert (verdict.outcome, found) == (outcome, code)
    assert verdict.direction == better
    assert verdict.limit == limit
    assert verdict.value == value
    assert verdict.blocking == (outcome != "passed")
    word = "at most" if better == "lower" else "at least"
    assert f"{value:.6g}" in verdict.message
    assert word in verdict.message


def test_a_value_without_interval_is_judged_alone_and_told_so():
    verdict, _ = judged(number(10.0), limit=12.0)
    assert "judged by the value alone: it has no interval" in verdict.message
    assert verdict.low is None
    with_interval, _ = judged(number(10.0, (9.0, 11.0)), limit=12.0)
    assert "value alone" not in with_interval.message
    assert (with_interval.low, with_interval.high) == (9.0, 11.0)


@pytest.mark.parametrize(
    ("measurement", "confidence", "outcome", "told"),
    [
        (number(10.0), 0.95, "inconclusive", "no interval (the estimator has none)"),
        (number(10.0, (9.0, 11.0), level=0.9), 0.95, "inconclusive", "an interval of confidence 0.9"),
        (number(10.0, (9.0, 11.0), level=0.95), 0.95, "passed", "10 [9, 11]"),
        (number(10.0, (9.0, 11.0), level=0.99), 0.95, "passed", "10 [9, 11]"),
        (number(99.0), 0.95, "inconclusive", "no interval"),
    ],
)
def test_a_confidence_asked_for_must_be_there(measurement, confidence, outcome, told):
    verdict, _ = judged(measurement, limit=12.0, confidence=confidence)
    assert verdict.outcome == outcome
    assert told in verdict.message
    assert verdict.limit == 12.0


@pytest.mark.parametrize(("n", "outcome"), [(999, "inconclusive"), (1000, "passed"), (1001, "passed")])
def test_too_few_samples_never_pass(n, outcome):
    verdict, _ = judged(number(10.0, (9.0, 11.0), n=n), limit=12.0, min_n=1000)
    assert verdict.outcome == outcome
    assert verdict.n == n
    if outcome == "inconclusive":
        assert "n = 999; the gate asks for at least 1000" in verdict.message


@pytest.mark.parametrize("better", ["target", "none"])
def test_a_limit_on_a_number_without_direction_is_a_mistake_of_the_policy(better):
    more = {"target": 0.5} if better == "target" else {}
    with pytest.raises(ConfigError, match="no better direction"):
        judged(number(0.1, (0.0, 0.2), better=better, **more), limit=1.0)


# --- numbers that are not there


def test_a_number_without_value_is_missing_with_its_reason():
    verdict, code = judged(number(None), limit=12.0)
    assert (verdict.outcome, code) == ("missing", 3)
    assert "the covariance is singular" in verdict.message
    assert verdict.value is None


@pytest.mark.parametrize(
    ("status", "words"), [("not_assessable", "not assessable"), ("failed", "failed"), ("skipped", "skipped")]
)
def test_an_evaluator_that_did_not_measure_is_missing_with_its_reason(status, words):
    found = judge(document(result(status=status)), policy(limit=12.0), today=TODAY)
    (verdict,) = found.verdicts
    assert (verdict.outcome, found.exit_code) == ("missing", 3)
    assert f"frechet-distance is {words}: it was made so by a test" in verdict.message


def test_a_declared_number_that_was_not_measured_is_missing():
    found = judge(
        document(result(number(1.0))), policy(limit=2.0, measure="frechet-distance/fd-corrected"), today=TODAY
    )
    assert found.verdicts[0].outcome == "missing"
    assert found.exit_code == 3


def test_unknown_measures_are_all_told_with_the_nearest_name():
    rules = Policy(
        gate=[
            Gate(id="a", measure="frechet-distanse/fd", limit=1.0),
            Gate(id="b", measure="frechet-distance/fdd", limit=1.0),
            Gate(id="c", measure=FD, limit=1.0),
        ]
    )
    with pytest.raises(ConfigError) as caught:
        judge(document(result(number(1.0))), rules, today=TODAY)
    assert len(caught.value.problems) == 2
    assert all("nearest: frechet-distance/fd" in problem for problem in caught.value.problems)
    assert "'a'" in caught.value.problems[0]
    assert caught.value.exit_code == 2


def test_a_policy_without_gates_judges_nothing():
    found = judge(document(result(number(1.0))), Policy(), today=TODAY)
    assert found.exit_code == 3
    assert "no gate" in found.summary


@pytest.mark.parametrize(("fail_on", "code"), [("error", 3), ("warn", 3), ("never", 0)])
def test_a_policy_whose_mild_gates_all_miss_their_number_judges_nothing(fail_on, code):
    found = judge(document(result(number(None))), policy(limit=1.0, level="info", fail_on=fail_on), today=TODAY)
    assert found.exit_code == code


# --- baselines

GROUND = {"extractor": "pixels/1", "evaluators": {"frechet-distance": {"repeats": 400}, "kernel-distance": {"a": 1}}}


def against(ours, theirs, *, fields=None, **gate):
    baseline = document(result(theirs), fields=fields or GROUND)
    found = judge(document(result(ours), fields=GROUND), policy(baseline=True, **gate), baseline, TODAY)
    return found.verdicts[0]


@pytest.mark.parametrize(
    ("better", "ours", "theirs", "margin", "outcome"),
    [
        ("lower", 10.0, 10.0, 0.0, "passed"),
        ("lower", 10.5, 10.0, 0.5, "passed"),
        ("lower", 10.6, 10.0, 0.5, "failed"),
        ("lower", 9.0, 10.0, 0.0, "passed"),
        ("higher", 0.75, 1.0, 0.25, "passed"),
        ("higher", 0.7, 1.0, 0.25, "failed"),
        ("higher", 1.3, 1.0, 0.0, "passed"),
    ],
)
def test_a_baseline_allows_a_loss_of_the_margin(better, ours, theirs, margin, outcome):
    verdict = against(number(ours, better=better), number(theirs, better=better), margin=margin)
    assert verdict.outcome == outcome
    assert verdict.limit == theirs + (margin if better == "lower" else -margin)
    assert f"baseline with margin {margin:g}" in verdict.message


def test_the_widths_of_both_audits_add_in_squares():
    verdict = against(number(10.0, (7.0, 13.0)), number(10.0, (6.0, 14.0)), margin=5.0)
    assert (verdict.low, verdict.high) == (5.0, 15.0)
    assert verdict.outcome == "passed"
    assert against(number(10.0, (7.0, 13.0)), number(10.0, (6.0, 14.0)), margin=4.99).outcome == "inconclusive"


@pytest.mark.parametrize("is_volatile", [True, False])
def test_a_number_of_the_machine_is_held_against_the_same_machine_only(is_volatile):
    ours = number(1.0, (0.9, 1.1), volatile=is_volatile)
    theirs = document(result(ours), fields=GROUND)
    elsewhere = theirs.model_copy(update={"environment": theirs.environment.model_copy(update={"threads": 2})})
    here = document(result(ours), fields=GROUND)
    rules = policy(baseline=True, margin=1.0)
    assert judge(here, rules, theirs, TODAY).verdicts[0].outcome == "passed"
    (verdict,) = judge(here, rules, elsewhere, TODAY).verdicts
    assert verdict.outcome == ("missing" if is_volatile else "passed")
    assert ("threads (2 in the baseline, 1 here)" in verdict.message) is is_volatile


@pytest.mark.parametrize("limit", [0.5, 2.0])
def test_a_gate_on_a_number_of_the_machine_warns_whatever_comes_out(limit):
    assert (
        "caution: each run measures it anew" in judged(number(1.0, (0.9, 1.1), volatile=True), limit=limit)[0].message
    )
    assert "caution" not in judged(number(1.0, (0.9, 1.1)), limit=limit)[0].message


def test_without_a_baseline_its_gate_is_missing():
    verdict, code = judged(number(1.0), baseline=None, rules=policy(baseline=True))
    assert (verdict.outcome, code) == ("missing", 3)
    assert "--baseline DOCUMENT" in verdict.message


def test_a_baseline_without_the_number_is_missing():
    assert against(number(1.0), number(None)).outcome == "missing"


def test_audits_on_other_ground_are_refused_with_the_fields_that_differ():
    other = {"extractor": "inception", "evaluators": {"frechet-distance": {"repeats": 40}, "kernel-distance": {"a": 1}}}
    verdict = against(number(1.0), number(1.0), fields=other)
    assert verdict.outcome == "missing"
    assert "extractor ('inception' in the baseline, 'pixels/1' here)" in verdict.message
    assert "options of frechet-distance" in verdict.message


def test_the_options_of_other_evaluators_do_not_matter():
    other = {"extractor": "pixels/1", "evaluators": {"frechet-distance": {"repeats": 400}, "kernel-distance": {"a": 2}}}
    assert against(number(1.0), number(1.0), fields=other).outcome == "passed"
    ours, theirs = document(result(number(1.0)), fields=GROUND), document(result(number(1.0)), fields=other)
    assert differing_fields(ours, theirs, "frechet-distance") == []
    assert len(differing_fields(ours, theirs, "kernel-distance")) == 1


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (number(10.0), "the baseline has no interval"),
        (number(10.0, (9.5, 10.5), level=0.8), "the baseline has an interval of confidence 0.8"),
    ],
)
def test_a_confidence_asked_for_holds_for_the_baseline_too(theirs, told):
    verdict = against(number(1.0, (0.9, 1.1)), theirs, confidence=0.95)
    assert verdict.outcome == "inconclusive"
    assert told in verdict.message
    assert verdict.value == 1.0


# --- waivers


def waiver(**changed):
    data = {"gate": "g", "subject": SUBJECT, "ceiling": 13.0, "reason": "known", "owner": "ada", "expires": TODAY}
    return Waiver.model_validate(data | changed)


@pytest.mark.parametrize(
    ("changed", "outcome", "told"),
    [
        ({}, "waived", "waived by ada until 2026-11-22: known"),
        ({"expires": date(2026, 11, 21)}, "failed", "expired on 2026-11-21"),
        ({"subject": "sha256:other"}, "failed", "for another subject"),
        ({"ceiling": 12.5}, "waived", "waived by ada"),
        ({"ceiling": 12.49}, "failed", "covers values up to 12.49"),
    ],
)
def test_a_waiver_covers_one_subject_up_to_a_ceiling_until_a_day(changed, outcome, told):
    verdict, code = judged(number(12.5, (12.2, 12.8)), rules=policy(waiver(**changed), limit=12.0))
    assert verdict.outcome == outcome
    assert told in verdict.message
    assert code == (0 if outcome == "waived" else 1)


@pytest.mark.parametrize(
    ("ceiling", "outcome"), [(0.5, "waived"), (0.49, "waived"), (0.51, "failed")], ids=["at", "below", "above"]
)
def test_where_higher_is_better_the_ceiling_is_a_floor(ceiling, outcome):
    verdict, _ = judged(number(0.5, better="higher"), rules=policy(waiver(ceiling=ceiling), limit=0.7))
    assert verdict.outcome == outcome
    if outcome == "failed":
        assert "covers values down to 0.51" in verdict.message


def test_any_waiver_of_the_gate_that_holds_is_enough():
    rules = policy(waiver(subject="sha256:other"), waiver(owner="bob"), limit=12.0)
    verdict, code = judged(number(12.5), rules=rules)
    assert (verdict.outcome, code) == ("waived", 0)
    assert "waived by bob" in verdict.message
    lapsed = policy(waiver(subject="sha256:other"), waiver(expires=date(2020, 1, 1)), limit=12.0)
    verdict, _ = judged(number(12.5), rules=lapsed)
    assert verdict.outcome == "failed"
    assert "another subject" in verdict.message
    assert "expired on 2020-01-01" in verdict.message


@pytest.mark.parametrize("measurement", [number(None), number(12.0, (11.0, 13.0))])
def test_only_a_failure_is_waived(measurement):
    verdict, code = judged(measurement, rules=policy(waiver(ceiling=99.0), limit=12.0))
    assert verdict.outcome in ("missing", "inconclusive")
    assert code == 3


# --- how hard a policy is

# Codes of a lone gate that fails or misses, by (fail_on, level).
HARD = {
    ("error", "error"): True,
    ("error", "warn"): False,
    ("error", "info"): False,
    ("warn", "error"): True,
    ("warn", "warn"): True,
    ("warn", "info"): False,
    ("never", "error"): False,
    ("never", "warn"): False,
    ("never", "info"): False,
}


@pytest.mark.parametrize("on_inconclusive", ["error", "warn", "pass"])
@pytest.mark.parametrize(("fail_on", "level"), list(HARD))
def test_what_blocks(fail_on, level, on_inconclusive):
    hard = {"fail_on": fail_on, "on_inconclusive": on_inconclusive}
    blocks = HARD[fail_on, level]
    verdict, code = judged(number(9.0), rules=policy(limit=1.0, level=level, **hard))
    assert (verdict.outcome, verdict.blocking, code) == ("failed", blocks, 1 if blocks else 0)
    verdict, code = judged(number(0.0), rules=policy(limit=1.0, level=level, **hard))
    assert (verdict.outcome, verdict.blocking, code) == ("passed", False, 0)
    counts = {"error": blocks, "warn": blocks and fail_on == "warn", "pass": False}[on_inconclusive]
    verdict, code = judged(number(1.0, (0.5, 1.5)), rules=policy(limit=1.0, level=level, **hard))
    assert (verdict.outcome, verdict.blocking, code) == ("inconclusive", counts, 3 if counts else 0)
    # A missing number beside one that is there.
    rules = policy(limit=1.0, level=level, measure="frechet-distance/fd-corrected", **hard)
    rules = rules.model_copy(update={"gate": [*rules.gate, Gate(id="there", measure=FD, limit=1.0, level="info")]})
    found = judge(document(result(number(0.0))), rules, today=TODAY)
    assert found.verdicts[0].outcome == "missing"
    assert (found.verdicts[0].blocking, found.exit_code) == (blocks, 3 if blocks else 0)


def test_a_failure_outranks_what_is_incomplete_and_the_summary_counts():
    gates = [Gate(id="a", measure=FD, limit=1.0), Gate(id="b", measure="frechet-distance/fd-corrected", limit=1.0)]
    found = judge(document(result(number(9.0))), Policy(gate=gates), today=TODAY)
    assert found.exit_code == 1
    assert found.summary == "failed: 1 failed, 1 missing"


# --- the exit code of an audit

OK = policy(limit=12.0)


@pytest.mark.parametrize(
    ("results", "rules", "code", "told"),
    [
        ([result(number(1.0))], None, 0, "no policy was given"),
        ([result(number(1.0))], OK, 0, "passed: 1 passed; 1 of 1 evaluators measured"),
        ([result(number(99.0))], OK, 1, "failed: 1 failed"),
        ([result(number(1.0)), result(evaluator="k", status="failed", requested=False)], OK, 3, "k failed"),
        ([result(number(1.0)), result(evaluator="k", status="failed")], None, 3, "1 of 2 evaluators measured"),
        (
            [result(number(1.0)), result(evaluator="k", status="not_assessable", requested=True)],
            None,
            3,
            "k not assessable",
        ),
        ([result(number(1.0)), result(evaluator="k", status="not_assessable", requested=False)], OK, 0, "1 of 2"),
        ([result(number(1.0)), result(evaluator="k", status="skipped", requested=False)], OK, 0, "1 of 1"),
        ([result(number(99.0)), result(evaluator="k", status="failed")], OK, 1, "failed: 1 failed"),
        ([result(status="not_assessable", requested=False)], None, 3, "nothing was measured"),
        ([], None, 3, "nothing was measured"),
    ],
)
def test_the_exit_code_of_an_audit(results, rules, code, told):
    audited = document(*results)
    found, words = exit_of(audited, judge(audited, rules, today=TODAY) if rules else None)
    assert found == code
    assert told in words


# --- what the numbers promise


def test_n_needed_is_where_the_shrinking_interval_leaves_the_limit():
    cases = ((10.4, "lower"), (9.7, "lower"), (10.25, "higher"), (9.1, "higher"), (10.011, "lower"))
    for limit, better in cases:
        verdict, _ = judged(number(10.0, (9.0, 11.0), better=better, n=100), limit=limit)
        assert verdict.outcome == "inconclusive"
        needed = verdict.n_needed
        assert needed is not None
        assert f"about n = {needed} would decide" in verdict.message

        def at(n, limit=limit, better=better):
            half = math.sqrt(100 / n)
            return judged(number(10.0, (10.0 - half, 10.0 + half), better=better, n=n), limit=limit)[0].outcome

        # Two digits are told, rounded up: it decides, and two of the last digit less do not.
        digits = 10 ** (len(str(needed)) - 2)
        assert needed % digits == 0
        assert at(needed + 1) in ("passed", "failed")
        assert at(needed - 2 * digits) == "inconclusive"


def test_against_a_baseline_the_n_is_that_of_both_audits():
    # 1 +- 0.4 against 0.6 +- 0.4 with a margin of 0.1: off by 0.3, unsure by hypot(.4, .4), so 3.56 times as many.
    verdict = against(number(1.0, (0.6, 1.4), n=1000), number(0.6, (0.2, 1.0), n=1000), margin=0.1)
    assert (verdict.outcome, verdict.n_needed) == ("inconclusive", 3600)
    assert "about n = 3600 in both audits would decide" in verdict.message
    both = [number(v, (v - w, v + w), n=3600) for v in (1.0, 0.6) for w in (0.4 / math.sqrt(3.6),)]
    assert against(*both, margin=0.1).outcome == "failed"
    alone = against(both[0], number(0.6, (0.2, 1.0), n=1000), margin=0.1)
    assert alone.outcome == "inconclusive"


@pytest.mark.parametrize("limit", [0.0, 1e-300, 1e-12, -1e-200])
def test_where_the_value_is_the_limit_no_n_decides(limit):
    verdict, _ = judged(number(0.0, (-1.0, 1.0)), limit=limit)
    assert verdict.outcome == "inconclusive"
    assert verdict.n_needed is None
    assert "no n in reach" in verdict.message


DRAWS = 4000


@pytest.mark.parametrize("better", ["lower", "higher"])
@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_an_honest_interval_fails_or_passes_wrongly_in_at_most_one_of_forty(better, margin):
    rng = np.random.default_rng(7)
    bound = 0.025 + 3 * math.sqrt(0.025 * 0.975 / DRAWS)
    sign = 1.0 if better == "lower" else -1.0
    values = rng.normal(10.0, 1.0, DRAWS)
    for side, wrong in ((sign, "failed"), (-sign, "passed")):
        rules = policy(limit=10.0 + side * margin)
        outcomes = [
            judged(number(v, (v - 1.959964, v + 1.959964), better=better), rules=rules)[0].outcome for v in values
        ]
        rate = outcomes.count(wrong) / DRAWS
        assert rate <= bound
        if margin == 0.0:
            assert rate > 0.025 - 3 * math.sqrt(0.025 * 0.975 / DRAWS)  # nor is it needlessly shy


def test_two_equal_subjects_differ_in_at_most_one_of_forty_baselines():
    rng = np.random.default_rng(8)
    draws = 1500
    pairs = rng.normal(10.0, (1.0, 2.0), (draws, 2))
    failed = 0
    for ours, theirs in pairs:
        verdict = against(
            number(ours, (ours - 1.959964, ours + 1.959964)),
            number(theirs, (theirs - 2 * 1.959964, theirs + 2 * 1.959964)),
        )
        failed += verdict.outcome == "failed"
    error = 3 * math.sqrt(0.025 * 0.975 / draws)
    assert abs(failed / draws - 0.025) <= error


reals = st.floats(-1e6, 1e6, allow_nan=False)
widths = st.floats(0.0, 1e6, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(reals, widths, widths, reals, st.booleans())
def test_both_directions_are_mirror_images(value, below, above, limit, has_interval):
    spread = (value - below, value + above) if has_interval else None
    mirrored = (-spread[1], -spread[0]) if spread else None
    verdict, code = judged(number(value, spread), limit=limit)
    other, other_code = judged(number(-value, mirrored, better="higher"), limit=-limit)
    assert (verdict.outcome, code, verdict.n_needed) == (other.outcome, other_code, other.n_needed)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["none", "not_assessable", "failed", "skipped", "no-row"]),
    reals,
    st.sampled_from(["error", "warn", "info"]),
    st.sampled_from(["error", "warn", "pass"]),
    st.booleans(),
)
def test_what_is_not_there_never_passes(how, limit, level, on_inconclusive, baseline):
    absent = number(None) if how == "none" else None
    row = result(absent) if absent else result() if how == "no-row" else result(status=how)
    gate = {"baseline": True} if baseline else {"limit": limit}
    found = judge(
        document(row),
        policy(level=level, on_inconclusive=on_inconclusive, **gate),
        document(result(number(limit))),
        TODAY,
    )
    assert found.verdicts[0].outcome == "missing"
    assert found.exit_code == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_cannot_reach_the_judge(value):
    with pytest.raises(ValueError, match="finite"):
        number(value)
    with pytest.raises(ValueError, match="finite"):
        number(1.0, (value, value))
    with pytest.raises(ValueError, match="finite"):
        Gate(id="g", measure=FD, limit=value)
