"""Adapters for CI systems: held against the formats' published schemas, readers and limits."""

from __future__ import annotations

import json
import re
import shlex
import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ganaudit.document.baselines import Baseline, entry_of
from ganaudit.document.model import AuditDocument, DeclaredMeasurement
from ganaudit.report.github import MOST, workflow_commands
from ganaudit.report.junit import LIMIT, MOST_CASES, render_junit
from ganaudit.report.markdown import COMMENT, STEP_SUMMARY, render_markdown
from ganaudit.report.model_card import render_model_card
from ganaudit.report.openmetrics import meaningful, render_openmetrics
from ganaudit.report.sarif import MOST_RESULTS, render_sarif
from tests.document.documents import document as small
from tests.document.documents import number, result

from .adapters import NASTY, many, stored_schema, told, verdict
from .hostile import BAD, poisoned

# ---- GitHub


def unescaped(text: str, *, property_: bool) -> str:
    """Read a value as GitHub's runner does: replacements one after the other, the per cent sign last."""
    pairs = [("%0D", "\r"), ("%0A", "\n"), *([("%3A", ":"), ("%2C", ",")] if property_ else []), ("%25", "%")]
    for written, meant in pairs:
        text = text.replace(written, meant)
    return text


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """Read a line as GitHub's runner does: up to the second pair of colons, properties parted by commas."""
    assert line.startswith("::")
    head, separator, data = line[2:].partition("::")
    assert separator
    name, _, properties = head.partition(" ")
    pairs = [pair.split("=", 1) for pair in properties.split(",")]
    return name, {k: unescaped(v, property_=True) for k, v in pairs}, unescaped(data, property_=False)


def test_annotations_put_failures_first_at_the_lines_of_their_gates(document: AuditDocument) -> None:
    read = [read_command(line) for line in workflow_commands(told(document))]
    kinds = [(name, properties["title"], properties.get("line")) for name, properties, _ in read]
    assert kinds[:4] == [
        ("error", "ganaudit: quality: failed", "10"),
        ("error", "ganaudit: memorised: missing", "30"),
        ("error", "ganaudit: recall-floor: inconclusive", "20"),
        ("error", "ganaudit: adversarial-robustness: failed", None),
    ]
    assert all(name == "warning" for name, *_ in kinds[4:])
    assert all(p["file"] == "ci/policy.toml" for _, p, _ in read[:3])
    assert read[0][2] == next(v.message for v in document.verdicts if v.gate == "quality")


def test_a_preset_has_no_file_to_point_at(document: AuditDocument) -> None:
    for line in workflow_commands(told(document, file=None)):
        assert set(read_command(line)[1]) == {"title"}


def test_at_most_ten_annotations_of_a_kind_and_the_rest_is_counted(document: AuditDocument) -> None:
    mild = [verdict(f"w{i}", "failed", blocking=False, level="warn") for i in range(30)]
    crowded = many(document, 500)
    crowded = crowded.model_copy(update={"verdicts": [*crowded.verdicts, *mild]})
    read = [read_command(line) for line in workflow_commands(told(crowded))]
    for kind, first in (("error", "failed"), ("warning", "failed")):
        own = [(p["title"], data) for name, p, data in read if name == kind]
        assert len(own) == MOST
        assert own[0][0].endswith(first)
    # 300 blocking verdicts and a broken evaluator; nine are shown.
    assert "292 more" in next(data for name, p, data in read if name == "error" and "not all" in p["title"])


def test_annotations_of_a_pass_and_of_nothing_run(document: AuditDocument) -> None:
    whole = document.model_copy(update={"results": [r for r in document.results if r.status == "measured"]})
    assert workflow_commands(told(whole.model_copy(update={"verdicts": [verdict("a", "passed")]}))) == []
    empty = whole.model_copy(update={"verdicts": [], "policy": {"gate": []}})
    assert [read_command(line)[0] for line in workflow_commands(told(empty))] == ["error"]


def test_hostile_strings_stay_within_one_annotation(document: AuditDocument) -> None:
    bad = [verdict(NASTY, "failed", message=NASTY), verdict(NASTY, "waived", message=NASTY)]
    judged = told(document.model_copy(update={"verdicts": bad, "remarks": [NASTY]}))
    lines = workflow_commands(judged)
    assert all(line.count("\n") == 0 and "\r" not in line for line in lines)
    for line in lines:
        name, properties, _ = read_command(line)
        assert name in ("error", "warning")
        assert set(properties) <= {"file", "line", "title"}
        assert "##[" not in line or line.startswith("::")
    assert any("%0A%25 a,b:c" in read_command(line)[2] for line in lines)


# ---- Markdown


@pytest.mark.parametrize("limit", [COMMENT, STEP_SUMMARY])
@pytest.mark.parametrize("text", ["w" * 3_000, "&<\u202e|" * 500, "ä😀" * 300])
def test_markdown_keeps_its_limit_and_counts_what_is_left_out(document: AuditDocument, limit: int, text: str) -> None:
    full = many(document, 3_000, text).model_copy(update={"warnings": [f"{i} {text}" for i in range(3_000)]})
    full = full.model_copy(update={"subject": document.subject.model_copy(update={"name": text})})
    page = render_markdown(full, limit)
    assert len(page.encode()) <= limit
    assert len(page) <= limit < (65_536 if limit == COMMENT else 1_048_576)
    shown = [int(n) for n in re.findall(r"The first (\d+) of 3\u202f00[0-9]; the rest is in document.json.", page)]
    assert len(shown) == 2
    table = page[page.index("### Gates") :].split("\n\n### ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and "---" not in row][1:]
    assert len(rows) == shown[0]
    assert all("failed" in row.split("|")[1] for row in rows)  # room goes to what failed


def test_room_goes_to_failures_then_warnings_then_numbers(document: AuditDocument) -> None:
    crowd = many(document, 2_000, "w" * 300).model_copy(update={"warnings": ["u" * 300]})
    page = render_markdown(crowd, COMMENT)
    assert "- uuu" in page  # every part keeps a share, whatever the others are
    assert "### Numbers" in page
    assert "frechet-distance/fd-corrected" in page
    assert page.count("❌ failed") > 100
    assert page.count("✅ passed") == 0
    small_page = render_markdown(document, COMMENT)
    assert small_page == render_markdown(document, STEP_SUMMARY)


def test_remarks_of_the_judge_are_told(document: AuditDocument) -> None:
    assert "- the waiver of x covered nothing" in render_markdown(
        document.model_copy(update={"remarks": ["the waiver of x covered nothing"]})
    )


# ---- JUnit

# junit-10.xsd of Jenkins' xUnit plug-in: attributes and children of each element.
XSD: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}
REQUIRED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}, "property": {"name", "value"}}


def check_junit(text: str) -> ET.Element:
    root = ET.fromstring(text)
    for element in root.iter():
        attributes, children = XSD[element.tag]
        assert set(element.attrib) <= attributes, element.tag
        assert REQUIRED.get(element.tag, set()) <= set(element.attrib)
        assert {child.tag for child in element} <= children, element.tag
    cases = list(root.iter("testcase"))
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(set(names)) == len(names)  # GitLab drops the second of two
    for tag in ("failure", "error", "skipped"):
        for told_ in root.iter(tag):
            assert told_.text  # GitLab shows the text alone
    suite = root[0]
    assert int(suite.get("tests", "")) == len(cases)
    assert int(suite.get("skipped", "")) == sum(c.find("skipped") is not None for c in cases)
    return root


def test_junit_keeps_to_the_schema_and_tells_the_numbers(document: AuditDocument) -> None:
    root = check_junit(render_junit(document))
    numbers = {p.get("name"): p.get("value") for p in root.iter("property")}
    failed = next(v for v in document.verdicts if v.gate == "quality")
    for field in ("value", "low", "high", "limit", "n"):
        assert float(numbers[f"quality: {field}"] or "") == getattr(failed, field)
    case = next(c for c in root.iter("testcase") if (c.get("name") or "").startswith("quality"))
    assert f"limit = {failed.limit!r}" in (case.findtext("system-out") or "")


def test_junit_names_slices_and_what_they_were_held_against(document: AuditDocument) -> None:
    slices = [verdict("leaks", "passed", slice=s, held=0.5, anchor=0.25, value=0.5, n=9) for s in ("a", "b", "b")]
    root = check_junit(render_junit(document.model_copy(update={"verdicts": slices})))
    names = [c.get("name") for c in root.iter("testcase")][:3]
    assert names[:2] == ["leaks[a] (frechet-distance/fd)", "leaks[b] (frechet-distance/fd)"]
    numbers = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert (numbers["leaks[a]: held"], numbers["leaks[a]: anchor"]) == ("0.5", "0.25")


@pytest.mark.parametrize("text", ["w" * 30_000, "&\"<'" * 8_000, "\u202e" * 30_000])
def test_junit_stays_below_its_limit(document: AuditDocument, text: str) -> None:
    page = render_junit(many(document, MOST_CASES + 500, text))
    assert len(page.encode()) < LIMIT
    root = check_junit(page)
    cases = list(root.iter("testcase"))
    shown = [c for c in cases if c.get("classname") not in ("ganaudit.audit", "ganaudit.adversarial-robustness")]
    assert len(shown) in (MOST_CASES, 500)  # the fewer where hostile characters are spelt out
    left = f"{MOST_CASES + 500 - len(shown):,}".replace(",", "\u202f")
    assert f"{left} more verdicts are in document.json" in page
    assert sum(c.find("failure") is not None for c in cases) == min(1_100, len(shown))  # what failed comes first


# ---- SARIF


@pytest.fixture(scope="module")
def sarif_schema() -> Any:
    schema = stored_schema("https://json.schemastore.org/sarif-2.1.0.json")
    assert "oasis-tcs/sarif-spec" in (schema.get("$id") or schema.get("id"))  # the committee's own
    assert schema["title"].startswith("Static Analysis Results Format (SARIF) Version 2.1.0")
    return schema


def read_sarif(text: str, schema: Any) -> Any:
    log = json.loads(text)
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(log)] == []
    run = log["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for found in run["results"]:
        # SARIF 2.1.0, 3.27.10: a level is a failure's alone.
        assert (found["level"] == "none") == (found["kind"] != "fail")
        assert not re.search(r"(?<!\{)\{(?!\{)", found["message"]["text"].replace("{{", ""))
        assert "](" not in found["message"]["text"]
    return run


def test_the_published_schema_refuses_what_is_no_sarif(sarif_schema: Any, document: AuditDocument) -> None:
    with pytest.raises(AssertionError):
        read_sarif(render_sarif(told(document)).replace('"kind": "fail"', '"kind": "bad"'), sarif_schema)


def test_sarif_of_a_judged_audit(document: AuditDocument, sarif_schema: Any) -> None:
    judged = told(document)
    run = read_sarif(render_sarif(judged), sarif_schema)
    found = {r["ruleId"]: (r["kind"], r["level"]) for r in run["results"]}
    assert found == {
        "quality": ("fail", "error"),
        "recall-floor": ("open", "none"),
        "memorised": ("notApplicable", "none"),
        "kernel": ("pass", "none"),
        "precision-floor": ("pass", "none"),
        "caught": ("fail", "error"),
    }
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == set(found)
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "ci/policy.toml"
    assert place["region"]["startLine"] == 10
    suppressed = {r["ruleId"]: r["suppressions"] for r in run["results"] if r["suppressions"]}
    assert list(suppressed) == ["caught"]
    assert (suppressed["caught"][0]["kind"], suppressed["caught"][0]["status"]) == ("external", "accepted")
    assert "m.ruiz, until 2027-03-01" in suppressed["caught"][0]["justification"]
    invocation = run["invocations"][0]
    assert (invocation["exitCode"], invocation["executionSuccessful"]) == (judged.exit_code, True)
    blocking = [n["message"]["text"] for n in invocation["toolExecutionNotifications"] if n["level"] == "error"]
    assert [text.split(" ")[0] for text in blocking] == ["memorised", "recall-floor", "adversarial-robustness"]
    assert all("baselineState" not in r for r in run["results"])


def test_an_expired_waiver_suppresses_nothing(document: AuditDocument, sarif_schema: Any) -> None:
    expired = verdict("q", "failed", message="too high; its waiver expired on 2020-01-01")
    run = read_sarif(render_sarif(told(document.model_copy(update={"verdicts": [expired]}))), sarif_schema)
    assert run["results"][0]["suppressions"] == []


def test_states_against_a_judged_baseline(document: AuditDocument, sarif_schema: Any) -> None:
    now = [verdict("same", "failed"), verdict("turned", "failed"), verdict("first", "passed")]
    before = [verdict("same", "failed"), verdict("turned", "passed"), verdict("gone", "failed")]
    baseline = document.model_copy(update={"verdicts": before})
    run = read_sarif(render_sarif(told(document.model_copy(update={"verdicts": now}), baseline=baseline)), sarif_schema)
    states = {r["ruleId"]: r["baselineState"] for r in run["results"]}
    assert states == {"same": "unchanged", "turned": "updated", "first": "new", "gone": "absent"}
    assert next(r for r in run["results"] if r["ruleId"] == "gone")["level"] == "none"
    # The guid by which a run of the baseline itself would be known.
    assert run["baselineGuid"] == read_sarif(render_sarif(told(baseline)), sarif_schema)["automationDetails"]["guid"]


def test_states_against_a_file_of_accepted_numbers(document: AuditDocument, sarif_schema: Any) -> None:
    measured = document.measurement("frechet-distance/fd")
    assert measured is not None
    entry = entry_of(document, author="a", reason="r", accepted="2026-01-01T00:00:00+00:00", anchor=True)
    baseline = Baseline(name="main", entries=[entry])
    now = [
        verdict("same", value=measured.value),
        verdict("moved", value=(measured.value or 0.0) + 1.0),
        verdict("unknown", measure="x/y", value=1.0),
    ]
    judged = told(document.model_copy(update={"verdicts": now}), baseline=baseline)
    states = [r["baselineState"] for r in read_sarif(render_sarif(judged), sarif_schema)["results"]]
    assert states == ["unchanged", "updated", "new"]


def test_fingerprints_stay_when_values_and_lines_move(document: AuditDocument) -> None:
    def prints(judged: Any) -> list[Any]:
        return [r["partialFingerprints"] for r in json.loads(render_sarif(judged))["runs"][0]["results"]]

    moved = [v.model_copy(update={"value": 99.0, "message": "other"}) for v in document.verdicts]
    first = prints(told(document))
    assert first == prints(told(document.model_copy(update={"verdicts": moved}), file="elsewhere.toml"))
    assert len({json.dumps(p) for p in first}) == len(first)
    sliced = [verdict("g", slice=s) for s in ("a", "b")]
    assert len({json.dumps(p) for p in prints(told(document.model_copy(update={"verdicts": sliced})))}) == 2


def test_sarif_holds_what_github_shows_and_counts_the_rest(document: AuditDocument, sarif_schema: Any) -> None:
    text = render_sarif(told(many(document, MOST_RESULTS + 100, "w" * 5_000)))
    run = read_sarif(text, sarif_schema)
    assert len(run["results"]) == MOST_RESULTS
    assert "100 results were left out" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert [r["kind"] for r in run["results"][:1020]] == ["fail"] * 1020


# ---- OpenMetrics


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (0.97314, 0.0042, "0.973"),
        (12.29041, 1.4, "12"),
        (12.29041, 0.14, "12.3"),
        (-12.29041, 0.14, "-12.3"),
        (1234.5, 60.0, "1230"),
        (3.0, 40.0, "0"),
        (-0.2, 40.0, "0"),
        (0.0, 1.0, "0"),
        (5.0653041, None, "5.06530"),
        (5.0653041, 0.0, "5.06530"),
        (0.1, None, "0.100000"),
        (1e300, 1e298, "1.00e+300"),
        (1.234e-12, 1e-14, "1.23e-12"),
        (1.0, 1e-300, "1.0000000000000000"),
        (1e-320, None, "1.0e-320"),
    ],
)
def test_a_value_has_the_digits_that_its_interval_allows(value: float, half: float | None, text: str) -> None:
    assert Decimal(meaningful(value, half)) == Decimal(text)
    assert len(meaningful(value, half)) <= 26


def test_equal_to_its_digits_is_equal_as_text() -> None:
    assert meaningful(0.97314, 0.0042) == meaningful(0.97277, 0.0039)
    assert meaningful(0.97314, 0.0042) != meaningful(0.98814, 0.0042)


def test_openmetrics_is_read_by_its_own_parser(document: AuditDocument) -> None:
    text = render_openmetrics(told(document))
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert families["ganaudit_exit_code"].samples[0].value == told(document).exit_code
    gates = {s.labels["outcome"]: s.value for s in families["ganaudit_gates"].samples}
    assert gates == {"failed": 1, "missing": 1, "inconclusive": 1, "waived": 1, "passed": 2}
    with_value = [m for r in document.results for m in r.measurements if m.value is not None]
    samples = [
        s for name, f in families.items() if name not in ("ganaudit_exit_code", "ganaudit_gates") for s in f.samples
    ]
    assert len(samples) == len(with_value)
    distance = document.measurement("frechet-distance/fd-corrected")
    found = families["ganaudit_frechet_distance_fd_corrected"]
    assert distance is not None
    assert distance.interval is not None
    assert distance.interval.low <= found.samples[0].value <= distance.interval.high
    assert f"n = {distance.n}; interval [" in found.documentation


def test_families_have_labels_and_units_their_place() -> None:
    keys = ("robust-at-0.02", "robust-at-0.04")
    promised = DeclaredMeasurement(key="robust-at-{budget}", title="Robust", unit="1", better="higher", meaning="m")
    time = DeclaredMeasurement(key="latency", title="Latency", unit="milliseconds", better="lower", meaning="m")
    measured = [number(0.5, (0.4, 0.6), key=key) for key in keys]
    measured.append(number(3.0, (2.9, 3.1), key="latency", unit="milliseconds"))
    text = render_openmetrics(told(small(result(*measured, evaluator="e", declares=[promised, time]))))
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert [s.labels["budget"] for s in families["ganaudit_e_robust_at"].samples] == ["0.02", "0.04"]
    assert families["ganaudit_e_latency_milliseconds"].unit == "milliseconds"


def test_keys_of_one_name_are_told_apart() -> None:
    measured = [number(0.5, (0.4, 0.6), key=key) for key in ("a-b", "a.b")]
    text = render_openmetrics(told(small(result(*measured, evaluator="e", declares=[]))))
    family = next(f for f in text_string_to_metric_families(text) if f.name == "ganaudit_e_a_b")
    assert [s.labels["key"] for s in family.samples] == ["a-b", "a.b"]


def read_by_gitlab(text: str) -> dict[str, str]:
    """Read metrics as GitLab does: what follows a number sign is dropped, the rest parted as a shell would."""
    found = {}
    for line in filter(str.strip, text.split("\n")):
        words = shlex.split(re.sub(r"#.*$", "", line))
        if words:
            name, value, *rest = words
            assert not rest
            assert name not in found
            found[name] = value
    return found


@pytest.mark.parametrize("name", ["digits", "a b\"c'd#e\\f\ng{h}", NASTY, "ä", ""])
def test_gitlab_reads_every_metric_whatever_it_is_called(document: AuditDocument, name: str) -> None:
    subject = document.subject.model_copy(update={"name": name})
    text = render_openmetrics(told(document.model_copy(update={"subject": subject})))
    parsed = [s for f in text_string_to_metric_families(text) for s in f.samples]
    read = read_by_gitlab(text)
    assert len(read) == len(parsed)
    assert all(re.fullmatch(r"[a-z0-9_A-Z]+(\{.*\})?", key) for key in read)


# ---- Model card


def front(text: str) -> Any:
    matter = re.match(r"\A---\n(.*?\n)---\n", text, re.DOTALL)
    assert matter is not None
    return yaml.safe_load(matter.group(1))


def test_the_model_card_has_every_number_with_what_it_rests_on(document: AuditDocument) -> None:
    card = front(render_model_card(told(document)))
    (found,) = card["model-index"]
    assert found["name"] == "digits"
    (only,) = found["results"]
    assert only["task"]["type"] == "image-generation"
    assert only["dataset"]["revision"] == document.reference.digest
    assert only["dataset"]["split"] == document.reference.against
    by_name = {m["type"]: m for m in only["metrics"]}
    for r in document.results:
        for m in r.measurements:
            if m.value is None:
                assert f"{r.evaluator}/{m.key}" not in by_name
                continue
            metric = by_name[f"{r.evaluator}/{m.key}"]
            assert metric["value"] == m.value
            assert metric["verified"] is False
            assert metric["args"]["n"] == m.n
            assert metric["args"]["extractor"] == document.extractor.id
            for key, held in (("interval", m.interval), ("null", m.null)):
                told_ = metric["args"][key]
                assert told_["low"] == held.low if held is not None and held.low is not None else told_


@pytest.mark.parametrize(
    ("sample", "classes", "task"),
    [
        ("1x16x16 in [-1, 1]", 0, "unconditional-image-generation"),
        ("3 x 32 x 32, float", 10, "image-generation"),
        ("1x2048 in [-1, 1]", 0, "audio-generation"),
        ("(N, 64) features", 0, "sample-generation"),
    ],
)
def test_the_task_follows_from_the_sample(document: AuditDocument, sample: str, classes: int, task: str) -> None:
    subject = document.subject.model_copy(update={"sample": sample, "classes": classes})
    card = front(render_model_card(told(document.model_copy(update={"subject": subject}))))
    assert card["model-index"][0]["results"][0]["task"]["type"] == task


def test_the_model_card_is_read_by_the_hubs_own_client(document: AuditDocument) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: its reader was not asked")
    card = hub.ModelCard(render_model_card(told(document)))
    assert card.data.model_name == "digits"
    values = {e.metric_type: e.metric_value for e in card.data.eval_results}
    assert values["frechet-distance/fd"] == document.measurement("frechet-distance/fd").value


# ---- Hostile strings


def test_no_writer_lets_markup_through(document: AuditDocument, sarif_schema: Any) -> None:
    bad = poisoned(document)
    judged = told(document)
    judged = type(judged)(bad, judged.exit_code, BAD, judged.policy, bad)
    assert "<script" not in render_markdown(bad)
    assert "<script" not in render_sarif(judged)
    read_sarif(render_sarif(judged), sarif_schema)
    check_junit(render_junit(bad))
    card = render_model_card(judged)
    assert "<script" not in card[card.index("\n---\n") :]
    assert front(card)["model-index"][0]["name"] == bad.subject.name
    assert list(text_string_to_metric_families(render_openmetrics(judged)))
    assert len(read_by_gitlab(render_openmetrics(judged))) > 5
    for line in workflow_commands(judged):
        read_command(line)


def test_nasty_strings_end_nothing_early(document: AuditDocument, sarif_schema: Any) -> None:
    subject = document.subject.model_copy(update={"name": NASTY, "digest": NASTY})
    measured = [
        r.model_copy(update={"measurements": [m.model_copy(update={"title": NASTY}) for m in r.measurements]})
        for r in document.results
    ]
    verdicts = [v.model_copy(update={"gate": f"{NASTY}{i}", "message": NASTY}) for i, v in enumerate(document.verdicts)]
    update = {"subject": subject, "results": measured, "verdicts": verdicts, "remarks": [NASTY], "warnings": [NASTY]}
    judged = told(document.model_copy(update=update))
    card = render_model_card(judged)
    assert "\n---\n" in card
    assert len(front(card)["model-index"][0]["results"][0]["metrics"]) == sum(
        m.value is not None for r in measured for m in r.measurements
    )
    read_sarif(render_sarif(judged), sarif_schema)
    check_junit(render_junit(judged.document))
    assert not re.search(r"(?m)^(::|---$)", render_markdown(judged.document))


@pytest.mark.parametrize("write", [render_sarif, render_openmetrics, render_model_card, workflow_commands])
def test_writers_are_equal_for_equal_input(document: AuditDocument, write: Any) -> None:
    again = AuditDocument.model_validate_json(document.model_dump_json(by_alias=True))
    assert write(told(document)) == write(told(again))
