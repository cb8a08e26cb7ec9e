"""Policies: every problem at once, each with its key and what is near."""

from datetime import date

import pytest

from ganaudit.document.errors import (
    ConfigError,
    EvidenceError,
    GanauditError,
    OutputError,
    PluginError,
    SourceError,
    SubjectError,
    nearest,
)
from ganaudit.document.policy import load_policy, parse_policy

GATE = '[[gate]]\nid = "g"\nmeasure = "frechet-distance/fd"\nlimit = 12.0\n'
WAIVER = '[[waiver]]\ngate = "g"\nsubject = "sha256:a"\nceiling = 13\nreason = "r"\nowner = "o"\nexpires = 2027-03-01\n'


def write(tmp_path, text, name="policy.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_policy_is_read_whole(tmp_path):
    policy = load_policy(write(tmp_path, 'fail_on = "warn"\non_inconclusive = "pass"\n' + GATE + WAIVER))
    assert (policy.fail_on, policy.on_inconclusive) == ("warn", "pass")
    assert policy.gate[0].limit == 12.0
    assert (policy.gate[0].level, policy.gate[0].min_n) == ("error", 0)
    assert policy.waiver[0].expires == date(2027, 3, 1)


def test_every_problem_is_told_at_once(tmp_path):
    text = (
        'fail_onn = "error"\non_inconclusive = "maybe"\n'
        '[[gate]]\nid = "g"\nmeasure = "a/b"\nlimt = 1.0\n'
        '[[gate]]\nid = "h"\nmeasure = "a/b"\nlimit = 1.0\nmin_n = -1\n'
        '[[gate]]\nid = "i"\nlimit = 1.0\n'
        '[[waiver]]\ngate = "g"\nsubject = "s"\nceiling = "high"\nreason = ""\nowner = "o"\nexpires = "soon"\n'
    )
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_policy(path)
    problems = caught.value.problems
    for told in (
        "fail_onn: unknown key; nearest: fail_on",
        "on_inconclusive: Input should be 'error', 'warn' or 'pass' (found 'maybe')",
        "gate.0.limt: unknown key; nearest: limit",
        "gate.1.min_n: Input should be greater than or equal to 0 (found -1)",
        "gate.2.measure: required, but not given",
        "waiver.0.ceiling:",
        "waiver.0.reason:",
        "waiver.0.expires:",
    ):
        assert sum(told in problem for problem in problems) == 1, told
    assert all(problem.startswith(f"policy {path}: ") for problem in problems)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[gate]]\nid = "g"\nmeasure = "a/b"\n', "a gate needs either limit or baseline = true"),
        (GATE + "baseline = true\n", "a gate needs either limit or baseline = true"),
        (GATE + "margin = 0.5\n", "margin belongs to baseline = true"),
        (GATE + "confidence = 95\n", "gate.0.confidence: Input should be less than 1"),
        (GATE.replace("12.0", "nan"), "gate.0.limit: Input should be a finite number"),
        (GATE.replace("12.0", "inf"), "gate.0.limit: Input should be a finite number"),
        (GATE + GATE, "gate ids must be unique; used twice: g"),
        (WAIVER, "waivers name gates that do not exist: g"),
        ("gate = 3\n", "gate: a list is asked for, in brackets (found 3)"),
    ],
)
def test_contradictions_are_told(tmp_path, text, told):
    with pytest.raises(ConfigError) as caught:
        load_policy(write(tmp_path, text))
    assert told in str(caught.value)


def test_contradictions_are_told_beside_other_problems(tmp_path):
    text = 'fail_on = "no"\n' + GATE + WAIVER.replace('gate = "g"', 'gate = "h"')
    with pytest.raises(ConfigError) as caught:
        load_policy(write(tmp_path, text))
    assert len(caught.value.problems) == 2
    assert "waivers name gates that do not exist: h" in str(caught.value)


def test_gates_of_one_id_are_told_beside_a_bad_key(tmp_path):
    waiver = WAIVER.replace('gate = "g"', 'gate = "h"')
    text = GATE + GATE.replace('"g"', '" g "') + 'colour = "red"\n' + GATE.replace('"g"', '"i"') + "min_n = -1\n"
    with pytest.raises(ConfigError) as caught:
        load_policy(write(tmp_path, text + waiver))
    told = [problem.partition("policy.toml: ")[2].partition("; allowed")[0] for problem in caught.value.problems]
    assert sorted(told) == [
        "gate.1.colour: unknown key",
        "gate.2.min_n: Input should be greater than or equal to 0 (found -1)",
        "gate: gate ids must be unique; used twice: g",
        "waiver: waivers name gates that do not exist: h",
    ]


def test_a_key_of_another_table_is_told_as_that(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_policy(write(tmp_path, GATE + 'ceiling = 1.0\nfail_on = "error"\n'))
    assert [problem.partition("policy.toml: ")[2] for problem in caught.value.problems] == [
        "gate.0.ceiling: unknown key; of this name there is one in waiver",
        "gate.0.fail_on: unknown key; of this name there is one in the top level",
    ]


def test_each_problem_is_told_once(tmp_path):
    text = 'fail_on = "no"\n' + GATE + GATE + WAIVER.replace('gate = "g"', 'gate = "h"')
    with pytest.raises(ConfigError) as caught:
        load_policy(write(tmp_path, text))
    found = [problem.partition("policy.toml: ")[2].partition(":")[0] for problem in caught.value.problems]
    assert sorted(found) == ["fail_on", "gate", "waiver"]


def test_a_gate_without_a_readable_id_accuses_no_waiver(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_policy(write(tmp_path, GATE.replace('"g"', "3") + WAIVER))
    assert len(caught.value.problems) == 1
    assert "gate.0.id" in caught.value.problems[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"fail_on = ", "not valid TOML"), (b"\xff", "cannot be read"), (b"[a]\n[a]\n", "not valid TOML")],
)
def test_what_is_no_toml_is_told(tmp_path, content, told):
    path = tmp_path / "policy.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told) as caught:
        load_policy(path)
    assert str(path) in str(caught.value)


def test_a_policy_that_is_not_there_or_no_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"no such file; --policy needs a TOML file with \[\[gate\]\] tables"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_policy(tmp_path)


PYPROJECT = '[project]\nname = "x"\n[tool.ganaudit]\nseed = 3\nfail_on = "warn"\n'


@pytest.mark.parametrize(
    ("text", "fail_on", "gates"),
    [
        (PYPROJECT + GATE.replace("[[gate]]", "[[tool.ganaudit.gate]]"), "warn", 1),
        (
            '[tool.ganaudit.policy]\nfail_on = "warn"\n' + GATE.replace("[[gate]]", "[[tool.ganaudit.policy.gate]]"),
            "warn",
            1,
        ),
        # The file that [tool.ganaudit.policy] may name is the plan's business, the gates beside it count.
        (
            PYPROJECT
            + GATE.replace("[[gate]]", "[[tool.ganaudit.gate]]")
            + '[tool.ganaudit.policy]\nfile = "policy.toml"\n',
            "warn",
            1,
        ),
        ('[project]\nname = "x"\n', "error", 0),
        ("tool = 3\n", "error", 0),
        ("[tool]\nganaudit = 3\n", "error", 0),
    ],
)
def test_a_pyproject_holds_a_policy(tmp_path, text, fail_on, gates):
    policy = load_policy(write(tmp_path, text, "pyproject.toml"))
    assert policy.fail_on == fail_on
    assert len(policy.gate) == gates


def test_a_misspelt_key_in_the_policy_table_of_a_pyproject_is_told(tmp_path):
    text = '[tool.ganaudit.policy]\non_inconclusiv = "pass"\n'
    with pytest.raises(ConfigError, match="on_inconclusiv: unknown key; nearest: on_inconclusive"):
        load_policy(write(tmp_path, text, "pyproject.toml"))


def test_a_policy_from_python_is_checked_too():
    assert parse_policy({"gate": [{"id": "g", "measure": "a/b", "limit": 1}]}, "policy").gate[0].limit == 1.0
    with pytest.raises(ConfigError, match="mine: colour: unknown key"):
        parse_policy({"colour": 1}, "mine")


@pytest.mark.parametrize(
    ("name", "allowed", "told"),
    [
        ("limt", ["limit", "level"], "nearest: limit"),
        ("zzz", ["limit", "level"], "allowed: level, limit"),
        ("zzz", [], "allowed: none"),
    ],
)
def test_nearest(name, allowed, told):
    assert nearest(name, allowed) == told


def test_errors_know_their_exit_codes():
    codes = {ConfigError: 2, SubjectError: 2, SourceError: 2, OutputError: 2, PluginError: 2, EvidenceError: 4}
    assert {kind: kind.exit_code for kind in codes} == codes
    assert GanauditError.exit_code == 4
    assert ConfigError(["a", "b"]).problems == ("a", "b")
    assert str(ConfigError(["a", "b"])) == "a\nb"
    assert ConfigError("a").problems == ("a",)
