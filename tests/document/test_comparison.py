"""The difference of two audits: empty for equal ones, refused on unequal ground, told with its chance elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ganaudit.document.comparison import Comparison, compare
from ganaudit.document.details import Note
from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.gates import Verdict
from ganaudit.document.grounds import differing_fields
from ganaudit.document.model import AuditDocument, Measurement
from ganaudit.document.pairs import difference_bounds
from tests.document.documents import document, number, result

SIZES = {"real": 1000, "fake": 1000}


def audited(*measurements: Measurement, evaluator: str = "frechet-distance", **more: Any) -> AuditDocument:
    return document(result(*measurements, evaluator=evaluator), **more)


def changed(d: AuditDocument, part: str, **fields: Any) -> AuditDocument:
    return d.model_copy(update={part: getattr(d, part).model_copy(update=fields)})


def moved(a: AuditDocument, b: AuditDocument, measure: str = "frechet-distance/fd") -> Any:
    (found,) = [m for m in compare(a, b).numbers if m.measure == measure]
    return found


def test_an_audit_and_itself_differ_in_nothing() -> None:
    a = audited(number(5.0, (4.0, 6.0)))
    found = compare(a, a)
    assert found.empty
    assert found.summary == "no difference"
    assert not any((found.differences, found.numbers, found.flips, found.statuses, found.warnings, found.details))
    assert Comparison.model_validate(found.model_dump(by_alias=True)) == found


def test_two_runs_of_one_plan_differ_in_nothing() -> None:
    a = document(result(number(5.0, (4.0, 6.0)), number(1.0, key="latency", volatile=True), seconds=1.0))
    b = document(result(number(5.0, (4.0, 6.0)), number(1.4, key="latency", volatile=True), seconds=2.0))
    b = changed(b, "environment", command="ganaudit audit g --out elsewhere")
    b = b.model_copy(update={"started": "2027-01-01T00:00:00+00:00", "seconds": 99.0})
    assert compare(a, b).empty


def test_on_another_machine_a_time_is_not_compared() -> None:
    a = audited(number(1.0, (0.9, 1.1), key="latency", volatile=True), evaluator="compute-cost")
    b = audited(number(9.0, (8.0, 10.0), key="latency", volatile=True), evaluator="compute-cost")
    same = changed(b, "subject", digest="sha256:" + "e" * 64)
    assert moved(a, same, "compute-cost/latency").movement == "worse"
    elsewhere = moved(a, changed(b, "environment", device="cuda (H200)"), "compute-cost/latency")
    assert (elsewhere.movement, elsewhere.differing, elsewhere.difference) == ("not comparable", ["device"], None)


def test_what_the_audits_rest_on_is_told_field_by_field() -> None:
    a = audited(number(5.0), policy={"gate": [{"id": "q", "limit": 1.0}]})
    b = audited(number(5.0), policy={"gate": [{"id": "q", "limit": 2.0}, {"id": "r", "limit": 3.0}]})
    b = changed(b, "subject", name="h", training={"images": 7})
    b = changed(b, "environment", packages={"torch": "3"})
    b = b.model_copy(update={"plan": {"seed": 1, "samples": 1000}})
    found = {(d.section, d.path): (d.a, d.b, d.only) for d in compare(a, b).differences}
    assert found == {
        ("subject", "name"): ("g", "h", None),
        ("subject", "training.images"): (None, 7, "b"),
        ("plan", "seed"): (0, 1, None),
        ("policy", "gate.q.limit"): (1.0, 2.0, None),
        ("policy", "gate.r.id"): (None, "r", "b"),
        ("policy", "gate.r.limit"): (None, 3.0, "b"),
        ("environment", "packages.torch"): ("2", "3", None),
    }


def test_a_long_field_is_told_by_its_digest() -> None:
    a, b = (changed(audited(number(5.0)), "subject", training={"looks": [i] * 3000}) for i in (1, 2))
    (found,) = compare(a, b).differences
    assert found.a.startswith("list of 3000 entries, sha256:")
    assert found.a != found.b


def test_audits_of_two_references_are_refused_number_by_number() -> None:
    a = audited(number(5.0, (4.0, 6.0)), number(2.0, key="fd-corrected"), fields={"reference": "sha256:1", "n": 5})
    b = audited(number(9.0, (8.0, 10.0)), number(2.0, key="fd-corrected"), fields={"reference": "sha256:2", "n": 5})
    found = compare(a, b)
    assert found.not_comparable == ["reference"]
    assert found.summary.startswith("not comparable: the audits differ in reference; 2 numbers not comparable")
    assert [(m.movement, m.differing, m.difference) for m in found.numbers] == [
        ("not comparable", ["reference"], None)
    ] * 2
    assert found.numbers[0].reason == "the audits differ in reference"


def test_options_of_one_evaluator_refuse_its_numbers_alone() -> None:
    def made(k: int) -> AuditDocument:
        fields = {"evaluators": {"precision-recall": {"k": k}, "frechet-distance": {}}}
        shares = result(number(0.5 + k / 100, key="precision", better="higher"), evaluator="precision-recall")
        return document(result(number(float(k))), shares, fields=fields)

    a, b = made(3), made(5)
    found = {m.measure: m for m in compare(a, b).numbers}
    assert found["precision-recall/precision"].differing == ["options of precision-recall"]
    assert found["frechet-distance/fd"].movement == "untold"
    assert compare(a, b).not_comparable == []
    # The gates refuse the same numbers.
    assert differing_fields(b, a, "precision-recall")
    assert not differing_fields(b, a, "frechet-distance")


@pytest.mark.parametrize(
    ("better", "a", "b", "movement"),
    [
        ("lower", 5.0, 9.0, "worse"),
        ("lower", 9.0, 5.0, "better"),
        ("higher", 5.0, 9.0, "better"),
        ("higher", 9.0, 5.0, "worse"),
        ("none", 5.0, 9.0, "rose"),
        ("none", 9.0, 5.0, "fell"),
        ("lower", 5.0, 6.0, "within"),
        ("lower", 5.0, 5.0, "equal"),
    ],
)
def test_a_movement_is_told_by_its_direction(better: str, a: float, b: float, movement: str) -> None:
    found = compare(*(audited(number(v, (v - 1, v + 1), better=better), seconds=v) for v in (a, b)))
    if movement == "equal":
        assert found.numbers == []
        return
    (only,) = found.numbers
    assert only.movement == movement
    assert only.difference == pytest.approx(b - a)
    # Independent errors: the widths add in squares.
    assert (only.low, only.high) == pytest.approx((b - a - math.sqrt(2), b - a + math.sqrt(2)))
    assert found.chance == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("a", "b", "movement"),
    [(0.9, 0.6, "better"), (0.6, 0.9, "worse"), (0.2, 0.4, "better"), (0.2, 0.9, "rose"), (0.9, 0.2, "fell")],
)
def test_nearer_to_the_target_is_better_and_past_it_is_told(a: float, b: float, movement: str) -> None:
    one, other = (audited(number(v, (v - 0.01, v + 0.01), better="target", target=0.5)) for v in (a, b))
    assert moved(one, other).movement == movement


def test_unequal_ends_keep_their_sides() -> None:
    # A share near 1 against one below it, as Newcombe's intervals have it: checked by the formula written out.
    a, b = number(0.98, (0.90, 0.99)), number(0.90, (0.80, 0.96))
    low, high = difference_bounds(a, b, None)
    assert low == pytest.approx(-0.08 - math.sqrt(0.1**2 + 0.01**2))
    assert high == pytest.approx(-0.08 + math.sqrt(0.06**2 + 0.08**2))


def test_newcombes_example() -> None:
    # 56/70 against 48/80 of Newcombe 1998 (table II, row a), method 10: 0.0524 to 0.3339.
    from scipy.stats import binomtest

    sides = []
    for successes, n in ((48, 80), (56, 70)):
        ends = binomtest(successes, n).proportion_ci(method="wilson")
        sides.append(number(successes / n, (ends.low, ends.high)))
    assert difference_bounds(sides[0], sides[1], None) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def pair(rho: float, **more: Any) -> tuple[AuditDocument, AuditDocument]:
    """Two audits whose errors have standard errors of 1/1.96 and correlate by ``rho``."""
    rng = np.random.default_rng(0)
    x, y = np.linalg.qr(rng.normal(size=(50, 2)))[0].T / 1.959964
    errors = (x, rho * x + math.sqrt(1 - rho * rho) * y)
    numbers = [
        number(v, (v - 1, v + 1), sizes=SIZES, error_parts=ErrorParts.of("s", {"both": e.tolist()}))
        for v, e in zip((5.0, 6.0), errors, strict=True)
    ]
    a, b = (changed(audited(n), "subject", latent="N(0, I), 8 dimensions") for n in numbers)
    return a, b.model_copy(update=more)


@pytest.mark.parametrize("rho", [0.9, 0.0, -0.5])
def test_errors_in_common_narrow_a_difference_and_opposed_ones_widen_it(rho: float) -> None:
    found = moved(*pair(rho))
    assert found.correlation == pytest.approx(rho, abs=1e-5)
    half = math.sqrt(2 - 2 * rho)
    assert (found.low, found.high) == pytest.approx((1 - half, 1 + half), rel=1e-4)
    assert found.movement == ("worse" if half < 1 else "within")
    assert "paired: both rest on the same 1000 real samples and the same 1000 latents (seed 0)" in found.method


def test_another_seed_or_split_leaves_the_errors_unpaired() -> None:
    a, b = pair(0.9)
    other = moved(a, b.model_copy(update={"plan": {"seed": 1, "samples": 1000}}))
    assert other.correlation is None
    assert other.high - other.low == pytest.approx(2 * math.sqrt(2))
    assert "too wide where these move both numbers alike" in other.method  # the reals are shared still
    split = b.reference.splits["test"].model_copy(update={"digest": "sha256:" + "f" * 64})
    reals = changed(b, "reference", splits={"test": split})
    assert "latents" in moved(a, reals).method
    assert moved(a, reals).correlation is None
    neither = reals.model_copy(update={"plan": {"seed": 1, "samples": 1000}})
    assert moved(a, neither).method == "widths in squares: the errors are independent"


def test_rounding_between_machines_is_no_movement() -> None:
    a, b = pair(1.0)
    measurement = a.results[0].measurements[0]
    near = measurement.model_copy(update={"value": 5.0 + 1e-6, "reason": None})
    again = a.model_copy(update={"results": [a.results[0].model_copy(update={"measurements": [near]})]})
    assert moved(a, again).movement == "within"
    nearest = measurement.model_copy(update={"value": 5.0 + 1e-12})
    again = a.model_copy(update={"results": [a.results[0].model_copy(update={"measurements": [nearest]})]})
    assert compare(a, again).numbers == []
    del b


def test_numbers_without_an_interval_move_by_an_unknown_error() -> None:
    found = moved(audited(number(5.0)), audited(number(6.0, (5.0, 7.0))))
    assert (found.movement, found.difference, found.low) == ("untold", 1.0, None)
    assert found.reason == "no interval in A: the estimator has none"
    other = moved(audited(number(5.0, (4.0, 6.0), level=0.9)), audited(number(9.0, (8.0, 10.0))))
    assert (other.movement, other.reason) == ("untold", "the intervals have confidence 0.9 in A and 0.95 in B")


def test_two_p_values_are_not_subtracted_into_a_finding() -> None:
    a, b = (audited(number(v, (v, v + 0.01), key="p-value", better="none")) for v in (0.9, 0.01))
    assert moved(a, b, "frechet-distance/p-value").movement == "untold"


def test_what_one_audit_lacks_is_told_with_the_reason() -> None:
    a = document(result(number(5.0, (4.0, 6.0)), number(1.0, key="fd-corrected")))
    b = document(result(number(None, key="fd"), status="measured"))
    found = {m.measure: m for m in compare(a, b).numbers}
    assert found["frechet-distance/fd"].movement == "missing"
    assert found["frechet-distance/fd"].b.reason == "the covariance is singular"
    assert found["frechet-distance/fd-corrected"].b.reason == "not among its numbers"
    gone = compare(a, document(result(status="failed")))
    assert [(s.evaluator, s.a, s.b, s.b_reason) for s in gone.statuses] == [
        ("frechet-distance", "measured", "failed", "it was made so by a test")
    ]
    assert {m.b.reason for m in gone.numbers} == {"failed: it was made so by a test"}
    never = compare(a, document())
    assert never.statuses[0].b is None
    assert {m.b.reason for m in never.numbers} == {"the evaluator was not part of the audit"}


def verdict(outcome: str, **more: Any) -> Verdict:
    told = {"gate": "q", "measure": "frechet-distance/fd", "level": "error", "blocking": outcome == "failed"}
    return Verdict.model_validate({**told, "outcome": outcome, "limit": 6.0, "message": outcome, **more})


def test_gates_flip_in_both_directions() -> None:
    a = audited(number(5.0), verdicts=[verdict("passed"), verdict("failed", gate="r"), verdict("passed", gate="s")])
    b = audited(number(5.0), verdicts=[verdict("failed"), verdict("passed", gate="r"), verdict("passed", gate="s")])
    found = [(f.gate, f.a.outcome, f.b.outcome, f.same_question) for f in compare(a, b).flips if f.a and f.b]
    assert found == [("q", "passed", "failed", True), ("r", "failed", "passed", True)]
    assert "2 gates flipped" in compare(a, b).summary
    assert {f.gate: f.b.outcome for f in compare(b, a).flips if f.b} == {"q": "passed", "r": "failed"}


def test_a_gate_that_was_asked_once_or_otherwise_is_told_so() -> None:
    a = audited(number(5.0), verdicts=[verdict("passed")])
    other = audited(number(5.0), verdicts=[verdict("failed", limit=4.0)])
    assert [f.same_question for f in compare(a, other).flips] == [False]
    (once,) = compare(a, audited(number(5.0))).flips
    assert (once.a and once.a.outcome, once.b) == ("passed", None)
    assert compare(a, audited(number(5.0))).judged == "a"


def test_slices_of_a_gate_are_gates_of_their_own() -> None:
    a, b = (
        audited(number(5.0), verdicts=[verdict(x, slice="hflip"), verdict("passed", slice="crop")])
        for x in ("passed", "failed")
    )
    assert [f.gate for f in compare(a, b).flips] == ["q[hflip]"]


def test_warnings_come_and_go() -> None:
    a = document(result(number(5.0), warnings=["few samples", "ties"]), warnings=["smoke run"])
    b = document(result(number(5.0), warnings=["ties", "masking"]))
    found = [(w.only, w.evaluator, w.text) for w in compare(a, b).warnings]
    assert found == [
        ("b", "frechet-distance", "masking"),
        ("a", None, "smoke run"),
        ("a", "frechet-distance", "few samples"),
    ]


def test_details_that_alone_differ_are_named() -> None:
    a = document(result(number(5.0), details=[Note(text="one")]))
    b = document(result(number(5.0), details=[Note(text="two")]))
    found = compare(a, b)
    assert found.details == ["frechet-distance"]
    assert not found.empty
    assert found.summary == "no number, verdict or warning differs; what the audits rest on or show does"


@pytest.mark.parametrize(
    ("fields", "plan", "told"),
    [
        ({"latent": "N(0, I), 8 dimensions"}, {"seed": 0}, "same latents: seed 0"),
        ({"latent": "N(0, I), 8 dimensions"}, {"seed": 3}, "A has seed 0, B has seed 3"),
        ({"latent": "N(0, I), 9 dimensions"}, {"seed": 0}, "B has N(0, I), 9 dimensions"),
        ({"latent": None, "has_generator": False}, {"seed": 0}, "B is samples only"),
    ],
)
def test_equal_latents_need_equal_seeds_and_spaces(fields: dict[str, Any], plan: dict[str, Any], told: str) -> None:
    a = changed(audited(number(5.0)), "subject", latent="N(0, I), 8 dimensions")
    b = changed(a, "subject", **fields).model_copy(update={"plan": plan})
    found = compare(a, b)
    assert told in found.latents_reason
    assert (found.latents is not None) == told.startswith("same")


def test_the_audits_swapped_give_the_difference_turned_round() -> None:
    a, b = pair(0.5)
    there, back = moved(a, b), moved(b, a)
    assert back.difference == pytest.approx(-there.difference)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert (there.movement, back.movement) in (("worse", "better"), ("within", "within"))
