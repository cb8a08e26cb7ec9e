"""Documents that earlier versions wrote are read, judged and rendered by this one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ganaudit.document.files import load_document, read_document
from ganaudit.document.gates import Gate, Policy
from ganaudit.document.judge import judge
from ganaudit.report.html import render_html
from ganaudit.report.junit import render_junit
from ganaudit.report.markdown import render_markdown

PAST = sorted((Path(__file__).parent / "past").glob("*.json.gz"))


@pytest.fixture(params=PAST, ids=lambda path: path.name.partition(".")[0])
def past(request, tmp_path):
    path = tmp_path / "document.json"
    path.write_bytes(gzip.decompress(request.param.read_bytes()))
    return path


def test_there_is_one_of_every_stage():
    assert [path.name.partition(".")[0] for path in PAST] == ["fidelity", "first", "training"]


def test_every_number_is_still_there(past):
    read, changed = read_document(past)
    assert changed is None  # it carries no digest, and so is not told to have been changed
    raw = json.loads(past.read_text())
    written = {(r["evaluator"], m["key"]): m["value"] for r in raw["results"] for m in r["measurements"]}
    assert written == {(r.evaluator, m.key): m.value for r in read.results for m in r.measurements}
    assert len(written) > 8


def test_it_is_judged_and_rendered(past):
    read = load_document(past)
    gate = Gate(id="g", measure="precision-recall/coverage", limit=0.5)
    found = judge(read, Policy(gate=[gate]), read)
    assert found.exit_code == 0
    judged = read.model_copy(update={"verdicts": list(found.verdicts)})
    assert "digits" in render_html(judged, {})
    assert "passed" in render_markdown(judged)
    assert "<testcase" in render_junit(judged)
