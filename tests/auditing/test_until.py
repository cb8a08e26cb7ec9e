"""Sampling until an interval is narrow: it stops when it is, at the budget when it is not, and reuses every row."""

import json
from pathlib import Path

import pytest

from ganaudit.auditing.session import run
from ganaudit.cli.main import run as cli
from ganaudit.config import make_plan
from ganaudit.document.errors import ConfigError

KD = "kernel-distance/kd"


def plan(tmp_path, monkeypatch, **more):
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "cache"))
    given = {"subject": "digits", "evaluators": {"kernel-distance": {}}, **more}
    return make_plan(given, "options", ["kernel-distance", "frechet-distance"])


def interval(document):
    found = document.measurement(KD)
    return found.value, (found.interval.high - found.interval.low) / 2


def test_it_stops_where_the_interval_is_narrow_enough(tmp_path, monkeypatch):
    wide = run(plan(tmp_path, monkeypatch, samples=512)).document
    _, half = interval(wide)
    asked = {"measure": KD, "width": half * 0.9, "relative": False}
    document = run(plan(tmp_path, monkeypatch, samples=4000, until=asked)).document
    steps = document.plan["until"]["steps"]
    assert document.plan["until"]["is_reached"] is True
    assert [step["samples"] for step in steps] == sorted({step["samples"] for step in steps})
    assert steps[0]["samples"] == 512
    assert steps[0]["half_width"] == pytest.approx(half)
    assert all(step["half_width"] > asked["width"] for step in steps[:-1])
    assert interval(document)[1] == pytest.approx(steps[-1]["half_width"])
    assert steps[-1]["half_width"] <= asked["width"]
    assert document.plan["samples"] == steps[-1]["samples"] == document.measurement(KD).sizes["fake"]
    # The samples are those of an audit that asked for as many at once.
    once = run(plan(tmp_path / "other", monkeypatch, samples=steps[-1]["samples"])).document
    assert once.measurement(KD).value == document.measurement(KD).value


def test_the_budget_ends_it_and_the_document_says_so(tmp_path, monkeypatch):
    asked = {"measure": KD, "width": 1e-9, "relative": True}
    document = run(plan(tmp_path, monkeypatch, samples=700, until=asked)).document
    assert document.plan["until"]["is_reached"] is False
    assert document.plan["samples"] == 700
    assert any("after 700 samples, the most allowed" in warning for warning in document.warnings)


@pytest.mark.parametrize(
    ("measure", "told"),
    [("kernel-distance/dk", "no such number.*kd"), ("frechet-distance/fd", "no evaluator of this audit")],
)
def test_a_number_that_is_not_there_is_told(tmp_path, monkeypatch, measure, told):
    with pytest.raises(ConfigError, match=told):
        run(plan(tmp_path, monkeypatch, until={"measure": measure, "width": 0.1}))


@pytest.mark.parametrize("text", ["5%", "kernel-distance/kd", "kernel-distance/kd=", "kernel-distance/kd=-1%", "kd=5%"])
def test_the_option_says_what_it_wants(text, capsys):
    assert cli(["audit", "digits", "--until-interval", text]) == 2
    assert "--until-interval" in capsys.readouterr().err


def test_the_option_reaches_the_plan(tmp_path, monkeypatch):
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    asked = ["--evaluators", "kernel-distance", "--samples", "600", "--out", "o", "--until-interval", f"{KD}=500%"]
    assert cli(["audit", "digits", *asked]) == 0
    document = json.loads(Path("o/document.json").read_text())
    assert document["plan"]["until"]["width"] == 5.0
    assert document["plan"]["until"]["relative"] is True
