"""The noise floor, the lint of policies by it, presets and drafted policies."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ganaudit.document.drafting import _outward, draft_policy
from ganaudit.document.files import load_document
from ganaudit.document.gates import Gate, Policy, Waiver
from ganaudit.document.judge import judge
from ganaudit.document.model import DeclaredMeasurement, Null
from ganaudit.document.noise import difference_floor, floor_of, lint_policy
from ganaudit.document.policy import load_policy, parse_policy
from ganaudit.document.presets import PRESETS, preset

from .documents import SUBJECT, document, number, result

TODAY = date(2026, 11, 22)
FD = "frechet-distance/fd"
REPORTS = Path(__file__).parents[2] / "reports"


def measured(value, half, null, ends=(None, None), **more):
    made = Null(value=null, low=ends[0], high=ends[1], n=more.get("n", 1000), rule="halves")
    return number(value, None if half is None else (value - half, value + half), null=made, **more)


def lint(policy, *numbers, **more):
    return lint_policy(policy, document(result(*numbers)), today=TODAY, **more)


def told(remarks):
    return [(r.gate, r.level, r.message) for r in remarks]


# --- floors


@pytest.mark.parametrize(
    ("better", "half", "ends", "floor"),
    [
        ("lower", 0.2, (0.9, 1.1), 1.2),
        ("lower", 0.2, (0.5, 1.5), 1.5),
        ("lower", None, (None, None), 1.0),
        ("higher", 0.2, (0.9, 1.1), 0.8),
        ("higher", 0.2, (0.5, 1.5), 0.5),
    ],
)
def test_the_floor_is_what_real_data_would_reach(better, half, ends, floor):
    assert floor_of(measured(3.0, half, 1.0, ends, better=better)).value == pytest.approx(floor)


def test_there_is_no_floor_without_a_null_a_value_or_a_direction():
    assert floor_of(number(1.0, (0.9, 1.1))) is None
    assert floor_of(number(None)) is None
    assert floor_of(measured(1.0, 0.1, 1.0, better="none")) is None


def test_real_data_passes_a_limit_at_the_floor_nearly_always_and_below_it_seldom():
    rng, sigma, z = np.random.default_rng(0), 0.1, stats.norm.ppf(0.975)
    floor = floor_of(measured(5.0, z * sigma, 1.0)).value
    passes = []
    for limit in (floor, 1.0):
        gate = Policy(gate=[Gate(id="g", measure=FD, limit=limit)])
        draws = rng.normal(1.0, sigma, 500)
        outcomes = [
            judge(document(result(measured(v, z * sigma, 1.0))), gate, today=TODAY).verdicts[0].outcome for v in draws
        ]
        passes.append(outcomes.count("passed") / 500)
    assert 0.4 < passes[0] < 0.6  # at the floor half the draws lie on each side
    assert passes[1] < 0.06


def test_the_floor_of_a_difference_is_the_width_of_two():
    assert difference_floor(number(1.0, (0.8, 1.4))).value == pytest.approx(0.4 * 2**0.5)
    assert difference_floor(number(1.0, (0.8, 1.4), better="higher")).value == pytest.approx(0.2 * 2**0.5)
    assert difference_floor(number(1.0)) is None


def test_seeds_that_differ_more_than_the_interval_raise_the_floor():
    values = [1.0, 2.0, 4.0]
    found = difference_floor(number(1.0, (0.9, 1.1)), [number(v, (v - 0.1, v + 0.1)) for v in values[1:]])
    reach = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) * 2**0.5
    assert found.value == pytest.approx(reach)
    assert "3 seeds" in found.why


# --- lint


def test_a_limit_below_the_floor_is_an_error_with_the_floor():
    policy = Policy(gate=[Gate(id="g", measure=FD, limit=1.0), Gate(id="h", measure=FD, limit=1.3)])
    remarks = lint(policy, measured(3.0, 0.2, 1.0))
    errors = [r for r in remarks if r.level == "error"]
    assert [r.gate for r in errors] == ["g"]
    assert "below the noise floor 1.2 of fd" in errors[0].message
    assert "real against real is 1 at n = 1000" in errors[0].message


@pytest.mark.parametrize(("key", "extra"), [("margin", {}), ("anchor_margin", {"margin": 9.0})])
def test_a_margin_below_the_noise_of_a_difference_is_an_error(key, extra):
    found = number(1.0, (0.8, 1.2))
    small = Policy(gate=[Gate(id="g", measure=FD, baseline=True, **extra, **{key: 0.01})])
    assert any(
        key in m and "below the noise floor 0.2828" in m for _, level, m in told(lint(small, found)) if level == "error"
    )
    large = Policy(gate=[Gate(id="g", measure=FD, baseline=True, **extra, **{key: 0.29})])
    assert not [r for r in lint(large, found) if r.level == "error"]


@pytest.mark.parametrize(
    ("gate", "found", "words"),
    [
        ({"limit": 9.0, "min_n": 5000}, number(1.0, (0.8, 1.2)), "min_n = 5000 is more than the 1000"),
        ({"limit": 9.0}, number(1.0), "fd has no interval (the estimator has none)"),
        ({"limit": 9.0}, number(1.0, (0.8, 1.2), volatile=True), "holds for one machine only"),
        ({"limit": 9.0}, number(None), "is not measured here"),
    ],
)
def test_what_weakens_a_gate_is_a_warning(gate, found, words):
    remarks = lint(Policy(gate=[Gate(id="g", measure=FD, **gate)]), found)
    assert any(words in r.message and r.level == "warning" for r in remarks), told(remarks)


def test_a_limit_that_no_value_can_break_is_a_warning():
    share = DeclaredMeasurement(
        key="fd", title="fd", unit="share", better="higher", meaning="a share", least=0.0, most=1.0
    )
    audited = document(result(number(0.5, (0.4, 0.6), better="higher"), declares=[share]))
    for limit, warned in ((0.0, True), (-0.1, True), (0.1, False)):
        remarks = lint_policy(Policy(gate=[Gate(id="g", measure=FD, limit=limit)]), audited)
        assert any("can never fail" in r.message for r in remarks) is warned


def test_a_policy_that_blocks_nothing_and_a_waiver_that_ends_soon_are_warned_of():
    waiver = Waiver(gate="g", subject=SUBJECT, ceiling=9.0, reason="r", owner="ada", expires=date(2026, 11, 30))
    policy = Policy(gate=[Gate(id="g", measure=FD, limit=9.0, level="info")], waiver=[waiver])
    messages = [r.message for r in lint(policy, number(1.0, (0.8, 1.2)))]
    assert any("no gate blocks" in m for m in messages)
    assert any("expires in 8 days" in m for m in messages)
    assert any("covered nothing" in m for m in messages)


# --- presets and drafts


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_policies_and_each_is_stricter_than_the_one_before(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy = load_policy(Path(name))
    assert policy == parse_policy(tomllib.loads(preset(name)), name)
    assert len(policy.gate) >= 4
    order = PRESETS.index(name)
    if order:
        milder = {g.measure: g for g in load_policy(Path(PRESETS[order - 1])).gate}
        shared = [g for g in policy.gate if g.measure in milder]
        assert len(shared) >= 3
        for gate in shared:
            other = milder[gate.measure]
            assert (gate.ratio, gate.margin, gate.limit or 0.0) < (other.ratio, other.margin, other.limit or 0.0)
            assert gate.min_n >= other.min_n
    # A file of that name is what is meant.
    Path(name).write_text('[[gate]]\nid = "own"\nmeasure = "a/b"\nlimit = 1\n')
    assert load_policy(Path(name)).gate[0].id == "own"


FAMILY = DeclaredMeasurement(
    key="leak-{operation}", title="leak", unit="share", better="lower", meaning="m", least=0.0, most=1.0
)


@given(
    value=st.floats(-50, 50),
    half=st.floats(1e-6, 20),
    null=st.none() | st.floats(-50, 50),
    better=st.sampled_from(["lower", "higher"]),
    name=st.sampled_from(PRESETS),
)
def test_a_draft_is_a_policy_that_the_audit_passes_and_the_lint_lets_through(value, half, null, better, name):
    found = number(value, (value - half, value + half), better=better)
    if null is not None:
        found = measured(value, half, null, better=better)
    audited = document(result(found))
    policy = parse_policy(tomllib.loads(draft_policy(audited, name)), "draft")
    assert [g.measure for g in policy.gate] == [FD]
    assert judge(audited, policy, today=TODAY).exit_code == 0
    assert not [r for r in lint_policy(policy, audited) if r.level == "error"]


def test_a_draft_takes_the_first_numbers_and_one_gate_for_a_family():
    leaks = result(
        number(0.1, (0.05, 0.15), key="leak-hflip"),
        number(0.2, (0.15, 0.25), key="leak-crop"),
        number(0.9, None, key="leak-rot90"),
        evaluator="augmentation-bias",
        declares=[FAMILY],
    )
    plain = result(*(number(1.0, (0.9, 1.1), key=key) for key in ("fd", "fd-corrected", "fd-infinity")))
    audited = document(leaks, plain, result(number(1.0, (0.9, 1.1), volatile=True), evaluator="compute-cost"))
    of = {n: parse_policy(tomllib.loads(draft_policy(audited, n)), n).gate for n in PRESETS}
    assert [g.measure for g in of["standard"]] == [
        "augmentation-bias/leak-{operation}", FD, "frechet-distance/fd-corrected"
    ]  # fmt: skip
    assert [len(of[n]) for n in PRESETS] == [2, 3, 4]
    limits = [of[n][0].limit for n in ("strict", "standard", "smoke")]
    assert limits == [0.25, 0.3, 0.4]


@pytest.mark.parametrize("name", PRESETS)
def test_a_draft_names_its_slices_where_others_of_the_family_would_not_be_met(name):
    leaks = result(
        number(0.1, (0.05, 0.15), key="leak-hflip"),
        number(None, key="leak-cutout", reason="not identifiable:\nreals cannot show it"),
        number(0.9, None, key="leak-rot90"),
        number(0.2, (0.15, 0.25), key="leak-crop", level=0.9),
        number(0.95, (0.93, 0.97), key="leak-worst"),
        evaluator="augmentation-bias",
        declares=[FAMILY.model_copy(update={"key": "leak-worst"}), FAMILY],
    )
    audited = document(leaks)
    text = draft_policy(audited, name)
    policy = parse_policy(tomllib.loads(text), "draft")
    found = judge(audited, policy, today=TODAY)
    assert (found.exit_code, {v.outcome for v in found.verdicts}) == (0, {"passed"})
    gate = next(g for g in policy.gate if "{" in g.measure)
    assert gate.slices == ["hflip", "crop"]
    assert "# Left out: leak-cutout; it has no value: not identifiable: reals cannot show it." in text
    assert "# Left out: leak-rot90; it has no interval: the estimator has none." in text
    assert "# Left out: leak-worst; it is a number of its own." in text


def test_a_draft_leaves_a_family_open_where_all_of_it_was_measured():
    both = (number(0.1, (0.05, 0.15), key="leak-hflip"), number(0.2, (0.15, 0.25), key="leak-crop"))
    text = draft_policy(document(result(*both, evaluator="augmentation-bias", declares=[FAMILY])))
    assert "slices" not in text
    assert "Left out" not in text


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("folder", sorted(p.parent for p in REPORTS.glob("*/document.json")), ids=lambda p: p.name)
def test_the_committed_audits_pass_what_is_drafted_from_them(folder, name):
    audited = load_document(folder)
    found = judge(audited, parse_policy(tomllib.loads(draft_policy(audited, name)), "draft"), today=TODAY)
    assert {v.name: v.message for v in found.verdicts if v.outcome != "passed"} == {}
    assert found.exit_code == 0


def test_a_draft_leaves_out_what_could_never_fail():
    share = number(0.9, (0.1, 0.99), key="leak-hflip")
    audited = document(result(share, evaluator="augmentation-bias", declares=[FAMILY]), result(number(1.0, (0.9, 1.1))))
    policy = parse_policy(tomllib.loads(draft_policy(audited, "smoke")), "draft")
    assert [g.measure for g in policy.gate] == [FD]


def test_names_that_would_break_out_of_a_comment_do_not():
    audited = document(result(number(1.0, (0.9, 1.1), title="a\n[[gate]]\nid='x'\x00\r")))
    audited = audited.model_copy(update={"subject": audited.subject.model_copy(update={"name": "g\n[[waiver]]"})})
    policy = parse_policy(tomllib.loads(draft_policy(audited)), "draft")
    assert len(policy.gate) == 1
    assert not policy.waiver


@given(st.floats(-1e9, 1e9), st.booleans())
def test_rounding_is_to_the_milder_side_and_small(value, up):
    rounded = _outward(value, up=up)
    assert rounded >= value if up else rounded <= value
    assert abs(rounded - value) <= 0.0101 * abs(value)


@pytest.mark.parametrize(("margin", "fits"), [(0.0, False), (0.3, False), (0.51, True)])
def test_a_gate_on_the_null_must_leave_room_for_chance(margin, fits):
    # Its own half-width 0.3 and the null's 0.4 add in squares.
    policy = Policy(gate=[Gate(id="g", measure=FD, null=True, margin=margin)])
    errors = [r for r in lint(policy, measured(1.0, 0.3, 1.0, (0.6, 1.4))) if r.level == "error"]
    assert (errors == []) is fits


def test_the_floor_says_where_it_comes_from():
    assert "may come out as 1.5" in floor_of(measured(3.0, 0.2, 1.0, (0.5, 1.5))).why
    assert "reaches 0.2 further" in floor_of(measured(3.0, 0.2, 1.0, (0.9, 1.1))).why
