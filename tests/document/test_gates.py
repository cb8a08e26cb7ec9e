"""Gates beyond one limit: families, nulls, anchors, replicates; what they promise, and who is warned of what."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from scipy import stats

from ganaudit.document.baselines import Baseline, content_digest, entry_of
from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.errors import ConfigError
from ganaudit.document.gates import Gate, Policy, Waiver
from ganaudit.document.judge import judge
from ganaudit.document.model import DeclaredMeasurement, Null
from ganaudit.document.replicates import replicated

from .documents import SUBJECT, document, number, result

TODAY = date(2026, 11, 22)
FD = "frechet-distance/fd"
LEAK = DeclaredMeasurement(key="leak-{operation}", title="leak", unit="share", better="lower", meaning="a share")


def leaks(**values):
    """A result with one number for each operation: value and half-width."""
    numbers = [number(v, (v - w, v + w), key=f"leak-{name}") for name, (v, w) in values.items()]
    return result(*numbers, evaluator="augmentation-bias", declares=[LEAK])


def judged(audited, *gates, baseline=None, replicates=(), waivers=(), **rules):
    return judge(audited, Policy(gate=list(gates), waiver=list(waivers), **rules), baseline, TODAY, replicates)


def outcomes(found):
    return {v.name: v.outcome for v in found.verdicts}


def test_a_judged_range_stays_within_what_the_number_can_be():
    share = DeclaredMeasurement(key="auc", title="a", unit="share", better="higher", meaning="m", least=0.0, most=1.0)
    high = number(0.97, (0.93, 0.99), better="higher", key="auc")
    old = number(0.96, (0.90, 0.999), better="higher", key="auc")
    audited, held = (document(result(one, declares=[share])) for one in (high, old))
    found = judged(audited, Gate(id="g", measure="frechet-distance/auc", baseline=True, margin=0.5), baseline=held)
    (one,) = found.verdicts
    assert one.outcome == "passed"
    assert (one.value, one.high) == (0.97, 1.0)
    assert 0.0 < one.low < 0.93
    assert ", 1] with the chance" in one.message


# --- families


@pytest.mark.parametrize("measure", ["augmentation-bias/leak-{operation}", "augmentation-bias/leak-*"])
def test_a_gate_on_a_family_gives_a_verdict_on_each_slice(measure):
    audited = document(leaks(hflip=(0.01, 0.005), crop=(0.3, 0.01)))
    found = judged(audited, Gate(id="g", measure=measure, limit=0.1))
    assert outcomes(found) == {"g[hflip]": "passed", "g[crop]": "failed"}
    assert found.exit_code == 1
    assert [v.measure for v in found.verdicts] == ["augmentation-bias/leak-hflip", "augmentation-bias/leak-crop"]


def test_slices_that_are_named_must_be_there():
    audited = document(leaks(hflip=(0.01, 0.005), crop=(0.3, 0.01)))
    gate = Gate(id="g", measure="augmentation-bias/leak-*", limit=0.1, slices=["hflip", "rot90"])
    found = judged(audited, gate)
    assert outcomes(found) == {"g[hflip]": "passed", "g[rot90]": "missing"}
    assert found.exit_code == 3
    assert "slice rot90 was not measured" in found.verdicts[1].message


def test_a_family_of_which_nothing_was_measured_is_missing():
    audited = document(
        result(evaluator="augmentation-bias", status="not_assessable", declares=[LEAK]), result(number(1.0))
    )
    found = judged(audited, Gate(id="g", measure="augmentation-bias/leak-*", limit=0.1))
    assert [(v.outcome, v.blocking) for v in found.verdicts] == [("missing", True)]
    assert "not assessable" in found.verdicts[0].message
    assert found.exit_code == 3


def test_a_pattern_that_no_evaluator_declares_is_a_mistake():
    with pytest.raises(ConfigError, match="no measure is called 'augmentation-bias/leek-\\*'"):
        judged(document(leaks(hflip=(0.0, 0.1))), Gate(id="g", measure="augmentation-bias/leek-*", limit=0.1))


def test_a_failure_among_many_slices_needs_a_wider_interval_and_a_pass_does_not():
    # 0.11 +- 0.009 is above 0.1 by itself; as one of seven its interval is wider by z(.99643)/z(.975) = 1.37.
    values = dict.fromkeys("abcdef", (0.01, 0.005)) | {"g": (0.11, 0.009)}
    gate = Gate(id="x", measure="augmentation-bias/leak-*", limit=0.1)
    one = judged(document(leaks(**values)), gate, multiplicity="none")
    assert outcomes(one)["x[g]"] == "failed"
    many = judged(document(leaks(**values)), gate)
    assert outcomes(many)["x[g]"] == "inconclusive"
    assert "once 7 numbers are judged" in many.verdicts[-1].message
    widened = 0.009 * stats.norm.ppf(1 - 0.025 / 7) / stats.norm.ppf(0.975)
    assert widened > 0.01
    # With room for the widened interval it fails for seven as well.
    surely = judged(document(leaks(**values | {"g": (0.1 + 1.001 * widened, 0.009)})), gate)
    assert outcomes(surely)["x[g]"] == "failed"
    nearly = judged(document(leaks(**values | {"g": (0.1 + 0.999 * widened, 0.009)})), gate)
    assert outcomes(nearly)["x[g]"] == "inconclusive"


def test_multiplicity_over_all_gates_counts_every_number():
    audited = document(leaks(a=(0.01, 0.005)), result(number(0.11, (0.101, 0.119))))
    gates = [Gate(id="x", measure="augmentation-bias/leak-*", limit=0.1), Gate(id="y", measure=FD, limit=0.1)]
    assert outcomes(judged(audited, *gates))["y"] == "failed"
    assert outcomes(judged(audited, *gates, multiplicity="gates"))["y"] == "inconclusive"


# --- nulls


def with_null(value, spread, null, ends=None, **more):
    low, high = ends or (None, None)
    return number(value, spread, null=Null(value=null, low=low, high=high, n=1000, rule="halves"), **more)


@pytest.mark.parametrize(
    ("better", "value", "null", "ratio", "margin", "outcome"),
    [
        ("lower", 1.9, 1.0, 2.0, 0.0, "passed"),
        ("lower", 2.1, 1.0, 2.0, 0.0, "failed"),
        ("lower", 2.1, 1.0, 2.0, 0.1, "passed"),
        ("lower", -0.4, -0.5, 1.0, 0.2, "passed"),
        ("lower", -0.2, -0.5, 2.0, 0.0, "failed"),
        ("lower", -0.3, -0.5, 2.0, 0.0, "passed"),
        ("higher", 0.85, 0.9, 1.0, 0.1, "passed"),
        ("higher", 0.75, 0.9, 1.0, 0.1, "failed"),
        ("higher", 0.5, 0.9, 2.0, 0.0, "passed"),
        ("higher", 0.4, 0.9, 2.0, 0.0, "failed"),
    ],
)
def test_a_number_may_be_worse_than_its_null_by_a_factor_and_a_margin(better, value, null, ratio, margin, outcome):
    audited = document(result(with_null(value, None, null, better=better)))
    found = judged(audited, Gate(id="g", measure=FD, null=True, ratio=ratio, margin=margin))
    assert found.verdicts[0].outcome == outcome
    assert found.verdicts[0].held == null


def test_the_spread_of_the_null_counts():
    audited = document(result(with_null(1.0, (0.7, 1.3), 1.0, (0.6, 1.4))))
    found = judged(audited, Gate(id="g", measure=FD, null=True, margin=0.501))
    assert found.verdicts[0].outcome == "passed"  # hypot(.3, .4) = .5
    assert found.verdicts[0].high == pytest.approx(1.5)
    assert judged(audited, Gate(id="g", measure=FD, null=True, margin=0.499)).verdicts[0].outcome == "inconclusive"


def test_without_a_null_the_gate_is_missing_with_the_reason():
    found = judged(document(result(number(1.0))), Gate(id="g", measure=FD, null=True))
    assert (found.verdicts[0].outcome, found.exit_code) == ("missing", 3)
    assert "not needed here" in found.verdicts[0].message


# --- baselines and their anchor


def accepted(*audits, anchors=()):
    held = Baseline(name="main")
    for i, audit in enumerate(audits):
        entry = entry_of(audit, author="ada", reason="good", accepted=f"2026-01-{i + 1:02d}", anchor=i in anchors)
        held = held.with_entry(entry)
    return held


def fd(value, half=0.1):
    return document(result(number(value, (value - half, value + half))))


def test_a_baseline_with_nothing_accepted_is_no_pass():
    found = judged(fd(1.0), Gate(id="g", measure=FD, baseline=True, margin=9.0), baseline=Baseline(name="main"))
    assert (found.verdicts[0].outcome, found.exit_code) == ("missing", 3)
    assert "no baseline yet" in found.verdicts[0].message


def test_the_last_accepted_audit_is_the_one_to_hold_against():
    gate = Gate(id="g", measure=FD, baseline=True, margin=0.5)
    held = accepted(fd(1.0, 0.0), fd(2.0, 0.0))
    found = judged(fd(2.4, 0.0), gate, baseline=held)
    assert (found.verdicts[0].outcome, found.verdicts[0].held) == ("passed", 2.0)
    assert judged(fd(2.6, 0.0), gate, baseline=held).exit_code == 1


def test_ten_regressions_of_one_per_cent_trip_the_anchor():
    gate = Gate(id="g", measure=FD, baseline=True, margin=0.02, anchor_margin=0.05)
    held, codes = accepted(fd(1.0, 0.0)), []
    for step in range(1, 11):
        audited = fd(1.01**step, 0.0)
        found = judged(audited, gate, baseline=held)
        codes.append(found.exit_code)
        # Without the anchor every step would pass: each loses a hundredth of the last.
        assert judged(audited, gate.model_copy(update={"anchor_margin": None}), baseline=held).exit_code == 0
        held = held.with_entry(entry_of(audited, author="ada", reason="a hundredth", accepted="2026", anchor=False))
    assert codes == [0] * 4 + [1] * 6  # 1.01^4 = 1.0406, 1.01^5 = 1.0510
    assert found.verdicts[0].anchor == 1.0
    assert "anchor with margin 0.05" in found.verdicts[0].message


def test_a_later_anchor_takes_the_place_of_the_first():
    gate = Gate(id="g", measure=FD, baseline=True, margin=0.1, anchor_margin=0.1)
    assert judged(fd(1.55, 0.0), gate, baseline=accepted(fd(1.0), fd(1.5))).exit_code != 0
    assert judged(fd(1.5, 0.0), gate, baseline=accepted(fd(1.0, 0.0), fd(1.5, 0.0), anchors=(1,))).exit_code == 0


def test_an_audit_has_no_anchor():
    gate = Gate(id="g", measure=FD, baseline=True, anchor_margin=1.0)
    found = judged(fd(1.0), gate, baseline=fd(1.0))
    assert found.verdicts[0].outcome == "missing"
    assert "an audit has none" in found.verdicts[0].message


def test_a_baseline_of_other_ground_is_refused_with_its_fields():
    audited = document(result(number(1.0)), fields={"extractor": "pixels"})
    held = accepted(document(result(number(1.0)), fields={"extractor": "inception"}))
    found = judged(audited, Gate(id="g", measure=FD, baseline=True), baseline=held)
    assert found.exit_code == 3
    assert "extractor ('inception' in the baseline, 'pixels' here)" in found.verdicts[0].message


@pytest.mark.parametrize("as_file", [True, False])
def test_an_audit_that_is_its_own_baseline_is_judged_and_told_so(as_file):
    audited = fd(1.0)
    found = judged(
        audited, Gate(id="g", measure=FD, baseline=True, margin=1.0), baseline=accepted(audited) if as_file else audited
    )
    assert found.exit_code == 0
    assert any("this very audit" in remark for remark in found.remarks)
    other = judged(fd(1.1), Gate(id="g", measure=FD, baseline=True, margin=1.0), baseline=audited)
    assert not other.remarks


def test_what_a_policy_says_of_an_audit_does_not_change_its_content():
    audited = fd(1.0)
    policy = Policy(gate=[Gate(id="g", measure=FD, limit=2.0)])
    answered = audited.model_copy(
        update={"policy": policy.model_dump(mode="json"), "verdicts": list(judge(audited, policy).verdicts)}
    )
    assert content_digest(answered) == content_digest(audited)
    assert content_digest(fd(1.0 + 1e-12)) != content_digest(audited)


# --- replicates


def seeded(seed, value, half=0.1, **more):
    return document(result(number(value, (value - half, value + half))), plan={"seed": seed}, **more)


def test_replicates_are_averaged_with_an_interval_over_seeds():
    values = [1.0, 1.3, 0.8]
    audits = [seeded(i, v, half=1e-3) for i, v in enumerate(values)]
    mean = replicated(audits, FD)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert mean.value == pytest.approx(np.mean(values))
    assert (mean.interval.low, mean.interval.high) == pytest.approx((low, high))
    # Where seeds agree the real samples that all share still count: the audits' own intervals stand.
    wide = replicated([seeded(i, 1.0, half=0.5) for i in range(3)], FD)
    assert (wide.interval.low, wide.interval.high) == pytest.approx((0.5, 1.5))


def test_a_gate_that_asks_for_replicates_judges_their_mean():
    gate = Gate(id="g", measure=FD, limit=1.2, replicates=3)
    audits = [seeded(i, v, half=1e-3) for i, v in enumerate([1.0, 1.02, 0.98])]
    found = judged(audits[0], gate, replicates=audits[1:])
    assert found.verdicts[0].outcome == "passed"
    assert found.verdicts[0].value == pytest.approx(1.0)
    assert "mean over 3 audits" in found.verdicts[0].message
    few = judged(audits[0], gate, replicates=audits[1:2])
    assert few.verdicts[0].outcome == "inconclusive"
    assert "asks for 3 replicates; 2 given" in few.verdicts[0].message


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (seeded(0, 1.0), "seeds must differ"),
        (seeded(1, 1.0, fields={"extractor": "other"}), "differs in extractor"),
        (document(result(number(None)), plan={"seed": 1}), "no value of frechet-distance/fd"),
    ],
)
def test_audits_that_are_no_replicates_are_refused(other, told):
    found = judged(seeded(0, 1.0), Gate(id="g", measure=FD, limit=9.0, replicates=2), replicates=[other])
    assert (found.verdicts[0].outcome, found.exit_code) == ("missing", 3)
    assert told in found.verdicts[0].message


# --- warnings


def waiver(**changed):
    data = {"gate": "g", "subject": SUBJECT, "ceiling": 13.0, "reason": "known", "owner": "ada", "expires": TODAY}
    return Waiver.model_validate(data | changed)


@pytest.mark.parametrize(
    ("value", "changed", "told"),
    [
        (1.0, {}, "its gate is passed; take it out"),
        (9.0, {"expires": date(2020, 1, 1)}, "it expired on 2020-01-01"),
        (9.0, {"subject": "sha256:other"}, "granted to sha256:other"),
        (9.0, {}, None),
    ],
)
def test_a_waiver_that_covers_nothing_is_told(value, changed, told):
    found = judged(fd(value), Gate(id="g", measure=FD, limit=2.0), waivers=[waiver(**changed)])
    assert (found.remarks == ()) if told is None else (told in found.remarks[0])


def test_a_waiver_may_cover_one_slice():
    audited = document(leaks(hflip=(0.5, 0.01), crop=(0.5, 0.01)))
    gate = Gate(id="g", measure="augmentation-bias/leak-*", limit=0.1)
    found = judged(audited, gate, waivers=[waiver(slice="crop", ceiling=0.6)])
    assert outcomes(found) == {"g[hflip]": "failed", "g[crop]": "waived"}
    assert "for the slice crop" in found.verdicts[0].message
    assert found.verdicts[1].waiver.owner == "ada"


def test_a_policy_may_ask_for_a_number_of_decisions():
    gates = [
        Gate(id="g", measure=FD, limit=2.0),
        Gate(id="h", measure="frechet-distance/fd-corrected", limit=2.0, level="info"),
    ]
    assert judged(fd(1.0), *gates).exit_code == 0
    found = judged(fd(1.0), *gates, min_gates=2)
    assert found.exit_code == 3
    assert "min_gates asks for 2" in found.summary


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"limit": 1.0, "null": True}, "either limit or baseline"),
        ({"null": True, "baseline": True}, "either limit or baseline"),
        ({"limit": 1.0, "ratio": 2.0}, "ratio belongs to null"),
        ({"limit": 1.0, "margin": 2.0}, "margin belongs to"),
        ({"null": True, "anchor_margin": 2.0}, "anchor_margin belongs to baseline"),
        ({"limit": 1.0, "slices": ["a"]}, "slices belong to a family"),
    ],
)
def test_keys_that_do_not_go_together_are_told(keys, told):
    with pytest.raises(ValueError, match=told):
        Gate(id="g", measure=FD, **keys)


# --- what the numbers promise

AUDITS = 4000


def _rate(outcome, truth, *, slices=1, limit=1.0, sigma=0.1, seed=0, baseline=False, **rules):
    """Share of simulated audits in which any slice of a family with that truth has the outcome."""
    rng = np.random.default_rng(seed)
    z = stats.norm.ppf(0.975)
    hits = 0
    for _ in range(AUDITS):
        draws = rng.normal(truth, sigma, slices)
        audited = document(leaks(**{f"s{i}": (float(v), z * sigma) for i, v in enumerate(draws)}))
        held = None
        if baseline:
            before = rng.normal(limit, sigma, slices)
            held = document(leaks(**{f"s{i}": (float(v), z * sigma) for i, v in enumerate(before)}))
        ground = {"baseline": True} if baseline else {"limit": limit}
        gate = Gate(id="g", measure="augmentation-bias/leak-*", **ground)
        found = judged(audited, gate, baseline=held, **rules)
        hits += any(v.outcome == outcome for v in found.verdicts)
    return hits / AUDITS


def _within(rate, promised):
    return abs(rate - promised) < 4 * math.sqrt(promised * (1 - promised) / AUDITS)


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_at_the_limit_a_gate_errs_as_often_as_its_interval(outcome):
    assert _within(_rate(outcome, truth=1.0), 0.025)


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_against_a_baseline_as_well(outcome):
    assert _within(_rate(outcome, truth=1.0, baseline=True), 0.025)


def test_the_family_of_good_slices_fails_no_more_often_than_one():
    assert _within(_rate("failed", truth=1.0, slices=7), 1 - (1 - 0.025 / 7) ** 7)
    assert _rate("failed", truth=1.0, slices=7, multiplicity="none") > 0.12  # 1 - .975^7 = .162


def test_power_is_that_of_the_interval():
    # Three sigma beyond the limit: P(fail) = Phi(3 - 1.96).
    assert _within(_rate("failed", truth=1.3), stats.norm.cdf(3 - stats.norm.ppf(0.975)))


# --- shared samples


@pytest.mark.parametrize("as_file", [True, False])
def test_shared_samples_decide_what_two_independent_audits_could_not(as_file):
    # Errors that are equal but for a tenth: of independent audits the difference would be unsure by hypot(.2, .2).
    rng = np.random.default_rng(0)
    parts = rng.normal(0, 1, 50)
    parts *= 0.2 / 1.96 / np.linalg.norm(parts)

    def audited(value, seed, own):
        noise = rng.normal(0, 1, 50)
        moved = parts + own * noise / np.linalg.norm(noise) * np.linalg.norm(parts)
        scheme = ErrorParts.of("halves of 100", {"real": list(moved / 2**0.5), "fake": list(moved / 2**0.5)})
        made = number(value, (value - 0.2, value + 0.2), sizes={"real": 100, "fake": 100}, error_parts=scheme)
        base = document(result(made), plan={"seed": seed, "samples": 100})
        return base.model_copy(update={"subject": base.subject.model_copy(update={"latent": "normal of 8"})})

    before, after, elsewhere = audited(1.0, 0, 0.0), audited(1.1, 0, 0.1), audited(1.1, 1, 0.1)
    gate = Gate(id="g", measure=FD, baseline=True, margin=0.05)
    held = accepted(before) if as_file else before
    verdict = judged(after, gate, baseline=held).verdicts[0]
    assert verdict.outcome == "failed"
    assert "shared samples taken into account" in verdict.message
    assert verdict.low > 1.05
    # Other latents share the reals alone: half the variance goes together, and the loss cannot be told from chance.
    assert judged(elsewhere, gate, baseline=held).verdicts[0].outcome == "inconclusive"


def test_the_order_of_replicates_does_not_matter_to_a_baseline():
    audits = [seeded(i, v) for i, v in enumerate((1.0, 1.1, 0.9))]
    scheme = ErrorParts.of("halves of 100", {"real": [0.05] * 4, "fake": [0.05] * 4})
    parted = []
    for audit in audits:
        found = (
            audit.results[0].measurements[0].model_copy(update={"error_parts": scheme, "sizes": {"real": 9, "fake": 9}})
        )
        parted.append(document(result(found), plan=audit.plan))
    gate = Gate(id="g", measure=FD, baseline=True, margin=0.3, replicates=3)
    ends = set()
    for first in range(3):
        rest = [audit for i, audit in enumerate(parted) if i != first]
        verdict = judged(parted[first], gate, baseline=parted[0], replicates=rest).verdicts[0]
        ends.add((round(verdict.low, 9), round(verdict.high, 9), verdict.outcome))
    assert len(ends) == 1


def test_where_nothing_passed_nothing_is_called_passed():
    found = judged(fd(9.0), Gate(id="g", measure=FD, limit=1.0, level="info"))
    assert found.exit_code == 0
    assert found.summary == "nothing passed, nothing blocks: 1 failed"


def test_a_document_that_was_changed_never_passes():
    from ganaudit.document.judge import exit_of

    audited = fd(1.0)
    good = judged(audited, Gate(id="g", measure=FD, limit=2.0))
    changed = audited.model_copy(update={"changed": "by hand"})
    assert exit_of(audited, good)[0] == 0
    assert exit_of(changed, good)[0] == 3
    assert exit_of(changed, judged(audited, Gate(id="g", measure=FD, limit=0.5)))[0] == 1


@pytest.mark.parametrize(("count", "warned"), [(9, False), (10, True)])
def test_chance_is_told_of_gates_that_are_not_corrected_for_each_other(count, warned):
    gates = [Gate(id=f"g{i}", measure=FD, limit=2.0) for i in range(count)]
    assert any("by chance" in r for r in judged(fd(1.0), *gates).remarks) is warned
    slices = {f"s{i}": (0.01, 0.005) for i in range(30)}
    family = judged(document(leaks(**slices)), Gate(id="g", measure="augmentation-bias/leak-*", limit=0.1))
    assert family.remarks == ()


def test_a_waiver_that_its_value_exceeds_is_not_told_to_go():
    found = judged(fd(20.0), Gate(id="g", measure=FD, limit=2.0), waivers=[waiver()])
    assert "its gate failed, and its waiver covers values up to 13" in found.remarks[0]


@pytest.mark.parametrize(("value", "outcome"), [(2.2, "inconclusive"), (1.4, "passed"), (2.6, "failed")])
def test_a_number_without_interval_is_judged_with_the_spread_of_its_null(value, outcome):
    # Real against real is 1 give or take 0.25: twice that cannot be asked for more finely than to 0.5.
    audited = document(result(with_null(value, None, 1.0, (0.75, 1.25))))
    verdict = judged(audited, Gate(id="g", measure=FD, null=True, ratio=2)).verdicts[0]
    assert verdict.outcome == outcome
    # That spread is the limit's. The number has no interval still, and none is told of it.
    told = "judged by the value alone against a limit known to \N{PLUS-MINUS SIGN} 0.5: it has no interval"
    assert told in verdict.message
    assert "with the chance" not in verdict.message
    assert "the interval straddles" not in verdict.message
    assert (verdict.low, verdict.high) == (None, None)


@pytest.mark.parametrize("ends", [None, (0.75, 1.25)])
def test_an_interval_says_whether_the_chance_of_the_null_is_in_it(ends):
    audited = document(result(with_null(1.0, (0.7, 1.3), 1.0, ends)))
    verdict = judged(audited, Gate(id="g", measure=FD, null=True, ratio=2)).verdicts[0]
    half = 0.3 if ends is None else math.hypot(0.3, 0.5)
    assert (verdict.low, verdict.high) == pytest.approx((1 - half, 1 + half))
    assert f"] {'without' if ends is None else 'with'} the chance of what it is held against" in verdict.message


def test_an_interval_says_that_a_baseline_without_one_counts_as_sure():
    gate = Gate(id="g", measure=FD, baseline=True, margin=0.5)
    verdict = judged(fd(1.0), gate, baseline=document(result(number(1.0)))).verdicts[0]
    assert "without the chance of what it is held against" in verdict.message


def _plug_in_fd(rng, n, squared):
    """The squared Frechet distance of two draws of n from Gaussians of 8 dimensions that far apart."""
    a, b = rng.normal(size=(n, 8)), rng.normal(size=(n, 8))
    b[:, 0] += math.sqrt(squared)
    ours, theirs = np.cov(a.T), np.cov(b.T)
    shared = np.sqrt(np.clip(np.linalg.eigvals(ours @ theirs).real, 0, None)).sum()
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(ours) + np.trace(theirs) - 2 * shared)


def test_against_a_null_no_n_is_told_as_no_law_of_a_fixed_limit_holds():
    # The null of a plug-in distance falls as 1/n, and takes limit and spread with it.
    rng = np.random.default_rng(0)

    def at(n):
        draws = np.array([_plug_in_fd(rng, n, 0.0) for _ in range(150)])
        value = float(np.mean([_plug_in_fd(rng, n, 0.3) for _ in range(150)]))
        null, half = float(draws.mean()), 1.96 * float(draws.std())
        found = with_null(value, None, null, (null - half, null + half), n=n)
        verdict = judged(document(result(found)), Gate(id="g", measure=FD, null=True, ratio=3)).verdicts[0]
        return verdict, value, 3 * null, 3 * half

    verdict, value, limit, half = at(150)
    assert verdict.outcome == "inconclusive"
    assert verdict.n_needed is None
    assert "how many cannot be told: the null moves with n too" in verdict.message
    assert "would decide" not in verdict.message
    assert "no n in reach" not in verdict.message
    # With the limit held fixed 159 would have been told, and the value is on the good side. At twice that nothing is
    # decided yet, and what comes with enough samples is a failure.
    by_root_n = math.ceil(150 * (half / (limit - value)) ** 2)
    assert value < limit
    assert at(2 * by_root_n)[0].outcome == "inconclusive"
    assert at(2400)[0].outcome == "failed"


@pytest.mark.parametrize("slices", [1, 7])
def test_on_the_bad_side_the_n_that_decides_is_that_of_the_wider_range(slices):
    values = {f"s{i}": (0.01, 0.005) for i in range(slices - 1)} | {"bad": (0.11, 0.0099 if slices > 1 else 0.012)}
    gate = Gate(id="x", measure="augmentation-bias/leak-*", limit=0.1)
    verdict = judged(document(leaks(**values)), gate).verdicts[-1]
    assert verdict.outcome == "inconclusive"
    assert f"about n = {verdict.n_needed} would decide" in verdict.message

    def with_n(n):
        shrunk = {name: (v, w / math.sqrt(n / 1000)) for name, (v, w) in values.items()}
        return judged(document(leaks(**shrunk)), gate).verdicts[-1].outcome

    assert with_n(verdict.n_needed + 1) == "failed"
    assert with_n(verdict.n_needed - 200) == "inconclusive"
