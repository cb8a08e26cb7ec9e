"""``ganaudit lint`` and ``explain`` of its rules: codes, streams, choice of rules, hostile strings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganaudit.linting.catalogue import RULES
from tests.cli.conftest import Run
from tests.document.documents import document, number, result
from tests.linting.claims import spoilt
from tests.report.hostile import BAD, poisoned

CLEAN = json.dumps(spoilt("fid"))
ERROR = json.dumps(spoilt("fid", n_fake=1000))
WARNING = json.dumps(spoilt("fid", n_fake=5000))
NOTE = json.dumps(spoilt("fid", low=None, high=None))


def last(err: str) -> str:
    return err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("contents", "options", "code", "words"),
    [
        ([CLEAN], [], 0, "no error: 0 errors, 0 warnings, 0 notes in 1 file"),
        ([ERROR], [], 1, "found: 1 error, 0 warnings, 0 notes in 1 file"),
        ([WARNING], [], 0, "no error: 0 errors, 1 warning, 0 notes in 1 file"),
        ([WARNING], ["--strict"], 1, "found: 0 errors, 1 warning, 0 notes in 1 file"),
        ([NOTE], ["--strict"], 0, "no error or warning: 0 errors, 0 warnings, 1 note in 1 file"),
        ([CLEAN, ERROR], [], 1, "found: 1 error, 0 warnings, 0 notes in 2 files"),
        ([ERROR, "no table"], [], 2, "unusable input: 1 of 2 files could not be read; 1 error"),
        (["{"], [], 2, "unusable input"),
        ([ERROR], ["--ignore", "GA101"], 0, "no error: 0 errors"),
        ([ERROR], ["--ignore", "fewer-samples-than-dimensions,GA9"], 0, "no error: 0 errors"),
        ([ERROR], ["--select", "GA2"], 0, "no error: 0 errors"),
        ([ERROR], ["--select", "GA2", "--select", "GA101"], 1, "found: 1 error"),
    ],
)
def test_codes(ganaudit: Run, contents: list[str], options: list[str], code: int, words: str) -> None:
    files = [Path(f"{i}.json") for i in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_text(content)
    called = ganaudit("lint", *files, *options)
    assert called.code == code
    assert last(called.err).startswith(f"exit {code}: {words}")
    # Options of output change nothing of it, and --json puts one list on stdout.
    also = ganaudit("lint", *files, *options, "--json", "-q")
    assert also.code == code
    assert isinstance(json.loads(also.out), list)


def test_no_file_and_unknown_rules_are_usage(ganaudit: Run) -> None:
    assert ganaudit("lint").code == 2
    Path("c.json").write_text(CLEAN)
    for option in ("--select", "--ignore"):
        called = ganaudit("lint", "c.json", option, "GA1,oracle-treshold,GA199")
        assert called.code == 2
        assert f"{option} 'oracle-treshold': no such rule; nearest: oracle-threshold" in called.err
        assert f"{option} 'GA199': no such rule" in called.err
        assert "'GA1'" not in called.err


def test_the_list_says_all_and_the_table_the_most(ganaudit: Run) -> None:
    rows = [spoilt("fid", n_fake=1000 + i, value=12.2 + i / 1000) for i in range(9)]
    Path("c.json").write_text(json.dumps(rows))
    found = json.loads(ganaudit("lint", "c.json", "--json").out)
    assert [f["rule"] for f in found] == ["GA101"] * 9
    assert set(found[0]) == {
        "file", "where", "rule", "name", "severity", "number", "found", "misleads", "advice", "source",
    }  # fmt: skip
    assert found[3]["where"] == "[4]"
    assert found[3]["found"] == "1003 samples for features of 2048 dimensions"
    shown = ganaudit("lint", "c.json").out
    assert shown.count("samples for features") == 5
    assert "and 4 more of this rule" in shown
    assert shown.count("Use more samples than dimensions") == 1


def test_equal_files_are_told_alike(ganaudit: Run) -> None:
    Path("c.json").write_text(json.dumps([json.loads(ERROR), json.loads(WARNING) | {"model": "b"}]))
    first = ganaudit("lint", "c.json", "--json")
    assert first.out == ganaudit("lint", "c.json", "--json").out


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.id)
def test_every_rule_can_be_explained(ganaudit: Run, one: object) -> None:
    found = json.loads(ganaudit("explain", one.id, "--json").out)  # type: ignore[attr-defined]
    assert found["name"] == one.name  # type: ignore[attr-defined]
    assert found["misleads"] == one.misleads  # type: ignore[attr-defined]
    assert found["source"] == one.source  # type: ignore[attr-defined]


def test_a_misspelt_rule_is_told_the_nearest(ganaudit: Run) -> None:
    called = ganaudit("explain", "GA4O1")
    assert called.code == 2
    assert "GA401" in called.err


CANARIES = ["[bold red]x[/bold red]", "\x1b[31mred", "\u202egnirts", "\ud800", "a\nb", BAD]


@pytest.mark.parametrize("bad", CANARIES, ids=ascii)
def test_hostile_strings_come_through_as_text(ganaudit: Run, bad: str) -> None:
    rows = [
        {"metric": "FID", "value": 3, "model": bad, "resize": bad, "flip": bad, "extractor": bad, "n": bad},
        {"metric": bad, "value": 3},
        {bad: {"fid": 3, "n": 5}},
    ]
    Path("c.json").write_text(json.dumps(rows))
    called = ganaudit("lint", "c.json")
    assert called.code == 1
    as_json = ganaudit("lint", "c.json", "--json")
    for stream in (called.out, called.err, as_json.out, as_json.err):
        assert "\x1b" not in stream
        assert "\u202e" not in stream
    assert any(f["rule"] == "GA007" for f in json.loads(as_json.out))
    if bad.startswith("[bold"):
        assert bad in called.out
    for name in ("c.csv", f"{bad!r}.json".replace("/", "_")):
        Path(name).write_bytes(f'metric,value,model\nFID,3,"{bad}"\n'.replace("\"'&", "'&").encode("utf-8", "replace"))
        assert ganaudit("lint", name).code in (0, 2)


def test_a_hostile_document_is_linted(ganaudit: Run) -> None:
    audited = document(result(number(1.4, (1.3, 1.5), key="precision"), warnings=["[red]"]), warnings=["\x1b[31m"])
    Path("document.json").write_text(poisoned(audited).model_dump_json(by_alias=True))
    called = ganaudit("lint", "document.json")
    assert called.code == 0
    assert "\x1b" not in called.out + called.err
    assert "[red]" in called.out
