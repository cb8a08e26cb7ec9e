"""Words of the verdict, Markdown and JUnit."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from ganaudit.document.gates import Gate, Policy, Verdict
from ganaudit.document.judge import exit_of, judge
from ganaudit.document.model import AuditDocument, Interval
from ganaudit.report.junit import render_junit
from ganaudit.report.markdown import render_markdown
from ganaudit.report.summary import gaps, summarise
from ganaudit.report.words import direction, duration, flatten, number, plain, short, slug, span

from .golden import check
from .hostile import BAD, poisoned

THIN = "\u202f"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.5, "0.5000"),
        (12.29041, "12.29"),
        (9.99996, "10.00"),
        (-0.41273, "−0.4127"),
        (1234.567, f"1{THIN}235"),
        (123456.7, f"123{THIN}457"),
        (0.000614, "0.0006140"),
        (0.0000123456, "1.235 × 10⁻⁵"),
        (-1.5e22, "−1.500 × 10²²"),
        (1e300, "1.000 × 10³⁰⁰"),
    ],
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12.0, "12"), (0.02, "0.02"), (0.05, "0.05"), (1e-7, "1 × 10⁻⁷"), (-2.5, "−2.5")]
)
def test_chosen_numbers_have_no_zeros_behind_them(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.98, 1.31, "[0.980, 1.310]"),
        (-0.14, 0.19, "[−0.1400, 0.1900]"),
        (-3.13e-5, 2.88e-5, "[−3.130, 2.880] × 10⁻⁵"),
        (0.0, 0.0, "[0.000, 0.000]"),
        (1.5e9, 2.5e9, "[1.500, 2.500] × 10⁹"),
        (12345.6, 23456.7, f"[12{THIN}346, 23{THIN}457]"),
    ],
)
def test_the_ends_of_an_interval_are_alike(low: float, high: float, text: str) -> None:
    assert span(Interval(low=low, high=high, method="m", covers="c")) == text


def test_small_words(document: AuditDocument) -> None:
    assert direction(document.results[4].measurements[0]) == ("→", "nearer to 0.5 is better")
    assert duration(3.21) == "3.2 s"
    assert duration(0.01) == "under 0.1 s"
    assert duration(3723) == "62 min 3 s"
    assert slug('<a b="ä">') == "a-b"
    assert slug("ä") == "x"
    assert flatten({"a": {"b": [1, 2]}, "c": None, "d": True, "e": [{"f": 1}]}) == [
        ("a.b", "1, 2"),
        ("c", "none"),
        ("d", "yes"),
        ("e", '[{"f": 1}]'),
    ]
    assert plain("a\r\nb\tc") == "a\nb\tc"
    assert plain("x" * 30, 10).startswith("x" * 10 + " … (cut here: 30")


def verdict(outcome: str, blocking: bool) -> Verdict:
    return Verdict.model_validate(
        {
            "gate": f"g-{outcome}",
            "measure": "a/b",
            "level": "error",
            "outcome": outcome,
            "blocking": blocking,
            "message": "m",
        }
    )


@pytest.fixture
def whole(document: AuditDocument) -> AuditDocument:
    """Return the document without the evaluator that failed: nothing but its verdicts decides."""
    return document.model_copy(update={"results": [r for r in document.results if r.status != "failed"]})


@pytest.mark.parametrize(
    ("verdicts", "word", "sentence"),
    [
        ([("passed", False)], "passed", "1 gate: 1 passed"),
        ([("passed", False), ("waived", False)], "passed", "2 gates: 1 waived, 1 passed"),
        (
            [("passed", False), ("failed", False)],
            "passed",
            "2 gates: 1 failed, 1 passed; 1 of them not blocking under this policy",
        ),
        ([("missing", True), ("failed", True)], "failed", "2 gates: 1 failed, 1 missing"),
        ([("missing", True), ("passed", False)], "incomplete", "2 gates: 1 missing, 1 passed"),
        ([("inconclusive", True)], "incomplete", "1 gate: 1 inconclusive"),
    ],
)
def test_the_verdict_in_words(whole: AuditDocument, verdicts: list[Any], word: str, sentence: str) -> None:
    judged = whole.model_copy(update={"verdicts": [verdict(*v) for v in verdicts]})
    assert summarise(judged).word == word
    assert summarise(judged).sentence == sentence


LIMITS = {"fails": 11.0, "straddles": 12.5, "passes": 14.0}


@pytest.mark.parametrize("gates", [*LIMITS, "missing", "none", "no policy"])
@pytest.mark.parametrize("level", ["error", "warn"])
@pytest.mark.parametrize("fail_on", ["error", "warn", "never"])
@pytest.mark.parametrize("results", ["all measured", "one failed", "one asked for in vain", "none measured"])
def test_every_writer_agrees_with_the_exit_code(
    document: AuditDocument, gates: str, level: Any, fail_on: Any, results: str
) -> None:
    kept = [r for r in document.results if r.status == ("skipped" if results == "none measured" else "measured")]
    kept += [r for r in document.results if results == "one failed" and r.status == "failed"]
    vain = [r for r in document.results if results == "one asked for in vain" and r.status == "not_assessable"]
    kept += [r.model_copy(update={"requested": True}) for r in vain]
    if results == "none measured" and gates != "no policy":
        kept = [document.results[0].model_copy(update={"status": "skipped", "reason": "r", "measurements": []})]
    measure = "frechet-distance/fd-infinity" if gates in ("missing",) or results == "none measured" else None
    gate = Gate(id="g", measure=measure or "frechet-distance/fd-corrected", limit=LIMITS.get(gates, 1.0), level=level)
    policy = Policy(fail_on=fail_on, gate=[gate] if gates != "none" else [])
    bare = document.model_copy(update={"results": kept, "verdicts": [], "policy": None})
    judgement = None if gates == "no policy" else judge(bare, policy)
    judged = bare
    if judgement is not None:
        update = {"verdicts": list(judgement.verdicts), "policy": policy.model_dump(mode="json")}
        judged = bare.model_copy(update=update)
    code, _ = exit_of(judged, judgement)
    outcome = summarise(judged).outcome
    # No green word where no gate passed, whatever the policy lets through.
    passed = judgement is not None and any(v.outcome == "passed" for v in judgement.verdicts)
    assert outcome == {0: "passed" if passed else "unjudged", 1: "failed", 3: "incomplete"}[code]
    junit = ET.fromstring(render_junit(judged))
    assert (int(junit.get("failures", "")) > 0) == (code == 1)
    assert code != 3 or int(junit.get("errors", "")) > 0
    assert code != 0 or int(junit.get("errors", "")) == 0
    assert f": {summarise(judged).word}" in render_markdown(judged).splitlines()[0]


def test_gaps_name_whatever_has_no_number_failures_first(document: AuditDocument) -> None:
    assert [(g.evaluator, g.key, g.status) for g in gaps(document)] == [
        ("adversarial-robustness", "", "failed"),
        ("memorisation", "", "not_assessable"),
        ("compute-cost", "", "skipped"),
        ("frechet-distance", "fd-infinity", "no value"),
        ("discriminator-detection", "calibration-error", "no value"),
    ]


def test_markdown_is_the_one_that_was_reviewed(document: AuditDocument) -> None:
    check("summary.md", render_markdown(document))


def test_markdown_escapes_whatever_a_string_could_start(document: AuditDocument) -> None:
    name = BAD + " a|b `c` *d* [e](http://f) @g #1 ![h](i) :smile: www.j.k ~~l~~ $m$\n## n\u202e\x00"
    subject = document.subject.model_copy(update={"name": name})
    heading = render_markdown(document.model_copy(update={"subject": subject})).split("\n", 1)[0]
    assert "<" not in heading
    assert "⟨U+202E⟩⟨U+0000⟩" in heading
    for raw in ("a|b", "`c", "*d", "[e", "](", "@g", "#1", "http:/", ":smile:", "www.", "~l", "$m", "## n"):
        assert not re.search(rf"(?<!\\){re.escape(raw)}", heading[3:]), raw
    page = render_markdown(poisoned(document))
    assert "<script" not in page
    widths = [len(re.findall(r"(?<!\\)\|", row)) for row in page.splitlines() if row.startswith("| ")]
    assert set(widths) <= {7, 8, 4}


def test_markdown_is_cut_aloud(document: AuditDocument) -> None:
    page = render_markdown(document.model_copy(update={"warnings": [f"{i} {'w' * 200}" for i in range(300)]}))
    assert len(page.encode()) < 65_536
    assert "The first 200 of 300; the rest is in document.json." in page


def test_junit_is_the_one_that_was_reviewed(document: AuditDocument) -> None:
    check("junit.xml", render_junit(document))


def test_junit_has_one_case_a_gate(document: AuditDocument) -> None:
    suite = ET.fromstring(render_junit(document))[0]
    cases = suite.findall("testcase")
    assert len(cases) == len(document.verdicts) + 1 == int(suite.get("tests", "0"))
    kinds = {(c.get("name") or "").split(" ")[0]: [e.tag for e in c if e.tag != "system-out"] for c in cases}
    assert kinds == {
        "quality": ["failure"],
        "recall-floor": ["error"],
        "memorised": ["error"],
        "kernel": [],
        "precision-floor": [],
        "caught": ["skipped"],
        "measured": ["error"],
    }
    assert cases[-1].get("classname") == "ganaudit.adversarial-robustness"


def test_junit_of_nothing_run_is_no_pass(whole: AuditDocument) -> None:
    empty = ET.fromstring(render_junit(whole.model_copy(update={"verdicts": []})))
    assert empty.get("errors") == "1"


def test_junit_survives_hostile_strings(document: AuditDocument) -> None:
    bad = [
        v.model_copy(update={"message": BAD + "\x00\x1b]]>\ufffe\ud800", "gate": "\x08" + BAD})
        for v in document.verdicts
    ]
    root = ET.fromstring(render_junit(poisoned(document).model_copy(update={"verdicts": bad})))
    cases = list(root.iter("testcase"))
    assert len(cases) == len(bad) + 1
    assert BAD in (cases[0].get("name") or "")
    assert BAD in (cases[0].findtext("system-out") or "")
