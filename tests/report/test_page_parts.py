"""What the page says beside the document's own words: answers, gates with their ground, cautions, replay commands."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument, EvaluatorResult, GalleryItem, Interval, Measurement, Null
from ganaudit.report.answers import answer, key_numbers, standing
from ganaudit.report.cautions import cautions
from ganaudit.report.gate_cards import cards, held_words, reason
from ganaudit.report.html import render_html
from ganaudit.report.replay import replay_of
from ganaudit.report.sections import gap_rows, glances

from .page import Page


def number(value: float | None, better: str = "lower", **more: Any) -> Measurement:
    interval = more.pop("interval", None)
    null = more.pop("null", None)
    data: dict[str, Any] = {"key": "fd", "title": "Distance", "value": value, "n": 500, "unit": "1", "better": better}
    data |= {"interval_reason": "none", "null_reason": "none"}
    if value is None:
        data["reason"] = "not enough samples"
    if interval:
        data["interval"] = Interval(low=interval[0], high=interval[1], method="m", covers="c")
    if null:
        data["null"] = Null(value=null[0], low=null[1], high=null[2], n=500, rule="r")
    return Measurement.model_validate(data | more)


@pytest.mark.parametrize(
    ("value", "interval", "null", "better", "words"),
    [
        (5.0, (4.0, 6.0), (1.0, 0.5, 1.5), "lower", "worse than its null"),
        (5.0, (4.0, 6.0), (1.0, 0.5, 1.5), "higher", "better than its null"),
        (0.1, (0.0, 0.2), (1.0, 0.5, 1.5), "lower", "better than its null"),
        (0.1, (0.0, 0.2), (1.0, 0.5, 1.5), "higher", "worse than its null"),
        (5.0, (4.0, 6.0), (1.0, 0.5, 1.5), "none", "above its null"),
        (0.1, (0.0, 0.2), (1.0, 0.5, 1.5), "target", "below its null"),
        (2.0, (1.5, 2.5), (1.0, 0.5, 1.5), "lower", "worse than its null"),  # they meet in one point: z = 2.77
        (2.0, (1.4, 2.5), (1.0, 0.5, 1.5), "lower", "worse than its null"),  # overlapping ranges: z = 2.51
        (1.7, (1.2, 2.2), (1.0, 0.5, 1.5), "lower", "not told from its null"),  # z = 1.94
        (1.72, (1.22, 2.22), (1.0, 0.5, 1.5), "lower", "worse than its null"),  # z = 2.00
        (2.0, None, (1.0, 0.5, 1.5), "lower", "worse than its null"),
        (2.0, (1.5, 2.5), (1.0, None, None), "lower", "worse than its null"),
        (1.0, None, (1.0, None, None), "lower", "not told from its null"),
        (2.0, (1.5, 2.5), None, "lower", ""),
        (None, None, (1.0, 0.5, 1.5), "lower", ""),
    ],
)
def test_a_number_and_its_null_are_apart_where_their_distance_is_beyond_both_errors(
    value: float | None, interval: tuple[float, float] | None, null: Any, better: str, words: str
) -> None:
    assert standing(number(value, better, interval=interval, null=null)) == words


@pytest.mark.parametrize(("p_value", "words"), [(0.001, "worse than its null"), (0.3, "not told from its null")])
def test_a_p_value_decides_where_a_test_was_made(p_value: float, words: str) -> None:
    made = number(1.4, interval=(0.6, 1.6), null=(0.65, 0.5, 0.9))
    assert made.null is not None
    tested = made.model_copy(update={"null": made.null.model_copy(update={"p_value": p_value})})
    assert standing(made) == "not told from its null"
    assert standing(tested) == words


def result(*measurements: Measurement, **more: Any) -> EvaluatorResult:
    data = {"evaluator": "e", "title": "E", "question": "Q?", "status": "measured", "measurements": measurements}
    return EvaluatorResult.model_validate(data | more)


def test_an_answer_is_the_judged_number_or_the_first_that_has_a_value() -> None:
    first = number(None, key="a", title="A")
    second = number(2.0, key="b", title="B", unit="s")
    third = number(5.0, key="c", title="C", interval=(4.0, 6.0), null=(1.0, 0.5, 1.5), unit="share of samples")
    assert answer(result(first, second, third)) == "B: 2 s"
    judged = answer(result(first, second, third), "c")
    assert judged == "C: 5 [4.000, 6.000]; worse than its null, real against real [0.500, 1.500]"
    assert answer(result(first, second), "a") == "B: 2 s", "a judged number without a value answers nothing"
    assert answer(result(first)) == "no number has a value"
    assert answer(result(status="failed", reason="out of memory")) == "out of memory"


def test_key_numbers_are_the_first_with_a_value_and_all_that_are_judged() -> None:
    many = [number(None if i == 1 else float(i), key=f"k{i}") for i in range(9)]
    assert [m.key for m in key_numbers(many, frozenset({"k8", "k1"}))] == ["k0", "k1", "k2", "k3", "k4", "k8"]


# --- gates -----------------------------------------------------------------------------------------------------------


def verdict(gate: str, outcome: str, measure: str = "frechet-distance/fd", **more: Any) -> Verdict:
    blocking = more.pop("blocking", outcome not in ("passed", "waived"))
    data = {"gate": gate, "measure": measure, "level": "error", "outcome": outcome, "blocking": blocking}
    return Verdict.model_validate({"message": f"{gate} {outcome}", **data, **more})


def test_slices_of_a_gate_share_a_card_and_the_worst_comes_first(document: AuditDocument) -> None:
    verdicts = [
        verdict("leaks", "inconclusive", "augmentation-bias/leak-crop", slice="crop"),
        verdict("leaks", "failed", "augmentation-bias/leak-hflip", slice="hflip"),
        verdict("leaks", "passed", "augmentation-bias/leak-vflip", slice="vflip"),
        verdict("other", "missing", "kernel-distance/kd"),
    ]
    open_ = [v for v in verdicts if v.outcome != "passed"]
    leaks, other = cards(document.model_copy(update={"verdicts": verdicts}), open_)
    assert [line.verdict.slice for line in leaks.lines] == ["hflip", "crop"]
    assert (leaks.outcome, leaks.blocking, leaks.settled) == ("failed", True, 1)
    assert leaks.counts == "1 failed, 1 inconclusive, 1 passed or waived"
    assert leaks.evaluators == ("augmentation-bias",)
    assert (other.outcome, other.settled, reason(other.lines[0])) == (
        "missing",
        0,
        f"{document.measurement('kernel-distance/kd').title}: no value",  # type: ignore[union-attr]
    )
    page = render_html(document.model_copy(update={"verdicts": verdicts}), {})
    card = page[page.index(f'id="{leaks.anchor}"') :].split("</article>")[0]
    assert card.count('<tr><th scope="row"') == 2
    assert "leaks failed" in card
    assert "leaks inconclusive" in card


def test_gates_whose_names_look_alike_keep_their_own_anchors(document: AuditDocument) -> None:
    names = ["a b", "a-b", "A B", "!!!", "???"]
    found = cards(document, [verdict(name, "failed") for name in names])
    assert len({card.anchor for card in found}) == len(names)


@pytest.mark.parametrize(
    ("asked", "judged", "words"),
    [
        ({"limit": 3.0}, {"limit": 3.0}, "a limit of the policy"),
        ({"null": True, "ratio": 2.0}, {"limit": 2.0, "held": 1.0}, "null 1, factor 2"),
        ({"baseline": True, "margin": 0.5}, {"limit": 1.5, "held": 1.0}, "baseline 1, margin 0.5"),
        ({"baseline": True}, {"limit": 1.0, "held": 1.0, "anchor": 0.75}, "baseline 1, anchor 0.7500"),
        ({"baseline": True}, {}, "nothing: no limit was found"),
    ],
)
def test_a_gate_says_what_its_number_was_held_against(asked: Any, judged: Any, words: str) -> None:
    policy = {"gate": [{"id": "g", "measure": "e/k", **asked}]}
    assert held_words(policy, verdict("g", "failed", **judged)) == words


@pytest.mark.parametrize("policy", [None, {}, {"gate": "none"}, {"gate": ["g"]}, {"gate": [{"id": 3, "margin": "x"}]}])
def test_a_policy_of_another_shape_does_no_harm(policy: Any) -> None:
    assert held_words(policy, verdict("g", "failed", held=1.0)) == "value 1"


def test_a_limit_beyond_the_noise_floor_is_told_with_the_gate_and_among_what_weakens(document: AuditDocument) -> None:
    found = document.measurement("frechet-distance/fd-corrected")
    assert found is not None
    assert found.null is not None
    asked = verdict("quality", "failed", "frechet-distance/fd-corrected", limit=1e-9, direction="lower", value=9.0)
    judged = document.model_copy(update={"verdicts": [asked]})
    (card,) = cards(judged, [asked])
    assert card.lines[0].beyond_floor
    assert any("Gate quality asks for more than the noise allows" in c.text for c in cautions(judged))
    mild = asked.model_copy(update={"limit": 1e9})
    assert not cards(document.model_copy(update={"verdicts": [mild]}), [mild])[0].lines[0].beyond_floor


def test_the_head_names_the_open_gates_and_each_leads_to_its_evidence(
    document: AuditDocument, samples: dict[str, bytes]
) -> None:
    page = render_html(document, samples)
    head = page[: page.index("</header>")]
    ids = set(Page(page).ids)
    for card in cards(document, [v for v in document.verdicts if v.outcome not in ("passed", "waived")]):
        assert f'href="#{card.anchor}"' in head
        assert card.anchor in ids
    quality = page[page.index('id="gate-quality"') :].split("</article>")[0]
    assert 'href="#evaluator-frechet-distance-figure-1"' in quality
    assert "Noise floor" in quality


# --- cautions --------------------------------------------------------------------------------------------------------


def test_everything_that_weakens_a_pass_is_told_once(document: AuditDocument) -> None:
    masked = result(
        number(1.0, key="masking", null=(0.0, None, None), n=64),
        number(0.5, key="flops", n=1),
        number(0.5, key="clock", n=3, interval=(0.4, 0.6), volatile=True),
        number(0.5, key="few", n=99, interval=(0.4, 0.6)),
        number(0.5, key="enough", n=100, interval=(0.4, 0.6)),
        warnings=["look closer"],
        evaluator="adversarial-robustness",
    )
    changed = document.model_copy(
        update={
            "results": [masked],
            "warnings": ["twice", f"features: {document.extractor.caution}"],
            "remarks": ["of the judge", "twice"],
            "verdicts": [verdict("bare", "passed", "adversarial-robustness/flops", value=0.5, limit=1.0)],
        }
    )
    told = [c.text for c in cautions(changed)]
    assert told[:3] == ["of the judge", "twice", f"features: {document.extractor.caution}"]
    assert told[3] == "Gate bare passed on a value alone: Distance has no interval (none)"
    assert told[4].startswith("Gradient masking was found")
    assert told[5] == "look closer"
    assert told[6:] == ["Few samples: masking, few rest on n from 64 to 99, below 100"]
    assert "of the judge" in render_html(changed, {})


PLAIN = {"low": None, "high": None}
# As documents of before had it: the range of the limit stood where an interval of the number belongs.
OLD = {"low": -0.004, "high": 0.0311}


@pytest.mark.parametrize("ends", [PLAIN, OLD], ids=["now", "before"])
@pytest.mark.parametrize("outcome", ["passed", "inconclusive"])
def test_a_limit_that_is_unsure_gives_the_number_no_interval(document: AuditDocument, outcome: str, ends: Any) -> None:
    found = result(number(0.0135, null=(0.0033, -0.0026, 0.0092)), evaluator="frechet-distance")
    one = verdict("distance", outcome, value=0.0135, limit=0.0099, direction="lower", held=0.0033, n=500, **ends)
    policy = {"gate": [{"id": "distance", "measure": "frechet-distance/fd", "null": True, "ratio": 3.0}]}
    changed = document.model_copy(update={"results": [found], "verdicts": [one], "policy": policy})
    (card,) = cards(changed, changed.verdicts)
    assert card.lines[0].judged == "none: the chance of the limit alone counts"
    assert reason(card.lines[0]) == "Distance: 0.01350 (no interval), allowed at most 0.009900, itself unsure"
    told = [c.text for c in cautions(changed) if c.text.startswith("Gate distance passed")]
    said = "Gate distance passed on a value alone: Distance has no interval (none)"
    assert told == ([f"{said}; the chance of its limit alone was counted"] if outcome == "passed" else [])
    page = render_html(changed, {})
    assert "0.0311" not in page
    assert ("none: the chance of the limit alone counts" in page) == (outcome == "inconclusive")


def test_a_mean_over_replicates_has_an_interval_where_one_audit_has_none(document: AuditDocument) -> None:
    found = result(number(0.5), evaluator="frechet-distance")
    one = verdict("mean", "passed", value=0.5, limit=1.0, low=0.4, high=0.6, direction="lower")
    policy = {"gate": [{"id": "mean", "measure": "frechet-distance/fd", "limit": 1.0, "replicates": 3}]}
    changed = document.model_copy(update={"results": [found], "verdicts": [one], "policy": policy})
    assert not any("value alone" in c.text for c in cautions(changed))
    assert cards(changed, changed.verdicts)[0].lines[0].judged == "[0.4000, 0.6000]"


def test_status_and_folding_follow_gates_and_warnings(document: AuditDocument) -> None:
    anchors = {r.evaluator: r.evaluator for r in document.results}
    found = {g.result.evaluator: g.status for g in glances(document, anchors)}
    assert found["memorisation"] == "not_assessable"
    assert found["adversarial-robustness"] == "failed"
    assert found["frechet-distance"] == "failed gate"
    assert found["precision-recall"] == "undecided gate"
    assert found["kernel-distance"] == "passed"
    assert found["discriminator-detection"] == "missing gate"
    unjudged = glances(document.model_copy(update={"verdicts": []}), anchors)
    assert {g.result.evaluator: g.status for g in unjudged}["discriminator-detection"] == "warning"
    page = render_html(document.model_copy(update={"verdicts": []}), {})
    for glance in unjudged:
        if glance.result.status == "measured":
            part = page[page.index(f'<section id="evaluator-{glance.result.evaluator}"') :]
            assert ('<details class="more" open>' in part.split("<summary>")[0]) is (glance.status == "warning")


def test_numbers_that_are_missing_for_one_reason_share_a_row(document: AuditDocument) -> None:
    bare = result(*(number(None, key=f"k{i}", title=f"Number {i}") for i in range(3)), evaluator="many")
    (row,) = gap_rows(document.model_copy(update={"results": [bare]}))
    assert [gap.key for gap in row.gaps] == ["k0", "k1", "k2"]
    page = render_html(document.model_copy(update={"results": [bare], "verdicts": []}), {})
    section = page[page.index('id="not-run"') : page.index('id="glance"')]
    assert section.count("not enough samples") == 1
    assert all(f"Number {i}" in section for i in range(3))


# --- replay ----------------------------------------------------------------------------------------------------------


def item(file: str, index: int = 7) -> GalleryItem:
    return GalleryItem(file=file, sha256="0" * 64, index=index)


def asked(document: AuditDocument, plan: dict[str, Any], command: str = "ganaudit audit x", **subject: Any) -> Any:
    environment = document.environment.model_copy(update={"command": command})
    changes = {"plan": plan, "environment": environment, "subject": document.subject.model_copy(update=subject)}
    return replay_of(document.model_copy(update=changes))


def test_a_sample_of_the_audit_is_drawn_again_with_the_options_of_the_audit(document: AuditDocument) -> None:
    command = "ganaudit audit 'my model.pt' --latent 64 --range=-1,1 --samples 10 --seed 3"
    replay = asked(document, {"subject": "my model.pt", "seed": 3}, command)
    words = shlex.split(replay.command(item("samples/fake-000007.png")))
    assert words == [
        "ganaudit", "sample", "my model.pt", "--latent=64", "--range=-1,1", "--seed", "3",
        "--first", "7", "--samples", "1", "--out", "replay",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "file", ["samples/real-000007.png", "samples/fake-000008.png", "samples/memorisation-pair-fake-000007.png"]
)
def test_what_is_no_sample_of_the_seed_has_no_command(document: AuditDocument, file: str) -> None:
    assert asked(document, {"subject": "digits", "seed": 0}).command(item(file)) is None


def test_no_command_is_given_that_would_not_replay(document: AuditDocument) -> None:
    plan: dict[str, Any] = {"subject": "digits", "seed": 0}
    assert asked(document, plan) is not None
    assert asked(document, {"seed": 0}) is None
    assert asked(document, {**plan, "resize": [32, 32]}) is None
    assert asked(document, plan, has_generator=False) is None
    hostile = asked(document, {"subject": "$(touch x); rm", "seed": 0}, "ganaudit 'audit")
    assert shlex.split(hostile.command(item("samples/fake-000007.png")))[2] == "$(touch x); rm"
