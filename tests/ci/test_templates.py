"""The files that CI systems read: held against published schemas, and their lines run by a shell with a stand-in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "$(touch pwned) `touch pwned`; touch pwned\" ' --json && touch pwned # $HOME *"
STAND_IN = """#!{python}
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit(int(os.environ.get("CODE", "0")))
"""


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Run a script as a CI system does, with a stand-in for the programs it calls; return code, calls and output."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("ganaudit", "python"):
        (tools / name).write_text(STAND_IN.format(python=sys.executable))
        (tools / name).chmod(0o755)

    def call(
        command: list[str], script: str, given: Mapping[str, str], code: int = 0
    ) -> tuple[int, list[list[str]], str]:
        calls, output, work = tmp_path / "calls", tmp_path / "output", tmp_path / "work"
        for left in (calls, output):
            left.write_text("")
        work.mkdir(exist_ok=True)
        (work / "script").write_text(script)
        surroundings = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "CALLS": str(calls),
            "CODE": str(code),
            "GITHUB_OUTPUT": str(output),
            **given,
        }
        done = subprocess.run([*command, "script"], cwd=work, env=surroundings, capture_output=True, text=True)
        assert not (work / "pwned").exists(), "a value became a part of the script"
        return done.returncode, [json.loads(line) for line in calls.read_text().splitlines()], output.read_text()

    return call


# ---- GitHub

BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]  # what `shell: bash` is on GitHub
ACTION = read("action.yml")
STEPS = {step.get("name", step.get("uses")): step for step in ACTION["runs"]["steps"]}
INPUTS = ("subject", "reference", "policy", "baseline", "config", "out")


def given(**inputs: str) -> dict[str, str]:
    return {f"INPUT_{name.upper()}": inputs.get(name, "") for name in INPUTS}


@pytest.mark.parametrize(
    ("schema", "file"), [("vendor.github-actions", "action.yml"), ("vendor.gitlab-ci", "ci/gitlab.yml")]
)
def test_files_follow_the_published_schema(schema: str, file: str) -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema, which brings the schemas, is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(ROOT / file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_refuses_an_action_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema, which brings the schemas, is not installed")
    (tmp_path / "action.yml").write_text("name: x\nruns: { using: composite, steps: [{ run: ls }] }\n")  # no shell
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions"]
    assert subprocess.run([*command, str(tmp_path / "action.yml")], capture_output=True).returncode == 1


def test_no_expression_stands_in_a_line_of_shell() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
    used = set(re.findall(r"\binputs\.([\w-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])
    for step in ACTION["runs"]["steps"]:  # what a line reads is what its step is given
        read_names = set(re.findall(r"\$\{?(INPUT_\w+|ACTION_PATH)", step.get("run", "")))
        assert read_names == set(step.get("env", {}))


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 130])
def test_the_action_keeps_the_exit_code(shell: Any, code: int) -> None:
    found, calls, output = shell(BASH, STEPS["Audit"]["run"], given(subject="runs/a", out="r"), code)
    assert (found, output) == (code, f"exit-code={code}\n")
    assert calls == [
        ["audit", "--github", "--out=r", "--junit=r/junit.xml", "--sarif=r/verdicts.sarif", "--markdown=r/summary.md",
         "--", "runs/a"],
    ]  # fmt: skip


def test_inputs_of_the_action_are_values_whatever_they_hold(shell: Any) -> None:
    hostile = {name: f"{name} {HOSTILE}" for name in INPUTS}
    code, (call,), _ = shell(BASH, STEPS["Audit"]["run"], given(**hostile))
    assert code == 0
    assert call[-2:] == ["--", hostile["subject"]]
    assert f"--out={hostile['out']}" in call
    for name in ("reference", "policy", "baseline", "config"):
        assert f"--{name}={hostile[name]}" in call
    # A subject that looks like an option stays a subject.
    assert shell(BASH, STEPS["Audit"]["run"], given(subject="--debug", out="r"))[1][0][-2:] == ["--", "--debug"]


def test_without_a_subject_the_configuration_names_it(shell: Any) -> None:
    _, (call,), _ = shell(BASH, STEPS["Audit"]["run"], given(config="audit.toml", out="r"))
    assert "--" not in call
    assert call[-1] == "--config=audit.toml"


def test_the_action_installs_the_version_asked_for_or_its_own(shell: Any) -> None:
    script = STEPS["Install"]["run"]
    asked = shell(BASH, script, {"INPUT_VERSION": "0.1.0", "ACTION_PATH": "/a b"})
    assert asked[1] == [["-m", "pip", "install", "ganaudit==0.1.0"]]
    own = shell(BASH, script, {"INPUT_VERSION": "", "ACTION_PATH": "/a b"})
    assert own[1] == [["-m", "pip", "install", "/a b"]]
    assert shell(BASH, script, {"INPUT_VERSION": "9", "ACTION_PATH": ""}, code=1)[0] == 1


def test_the_report_is_kept_whatever_the_verdict() -> None:
    last = ACTION["runs"]["steps"][-1]
    assert last["uses"].startswith("actions/upload-artifact@")
    assert last["if"] == "always()"
    assert not any("continue-on-error" in step for step in ACTION["runs"]["steps"])


def test_options_of_the_templates_exist() -> None:
    import typer.main

    from ganaudit.cli.main import app

    options = {o for p in typer.main.get_command(app).commands["audit"].params for o in p.opts}
    for file in ("action.yml", "ci/gitlab.yml"):
        text = (ROOT / file).read_text()
        assert set(re.findall(r"(?<=[\"( ])--[a-z][a-z-]*", text)) <= options, file


# ---- GitLab

JOB = read("ci/gitlab.yml")[".ganaudit"]
SHELLS = [["bash", "-eo", "pipefail"], *([["dash", "-e"]] if shutil.which("dash") else [])]


def variables(**inputs: str) -> dict[str, str]:
    return {**JOB["variables"], **{f"AUDIT_{name.upper()}": value for name, value in inputs.items()}}


@pytest.mark.parametrize("program", SHELLS, ids=lambda p: p[0])
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 130])
def test_the_gitlab_job_keeps_the_exit_code(shell: Any, program: list[str], code: int) -> None:
    (script,) = JOB["script"]
    found, calls, _ = shell(program, script, variables(subject="runs/a", policy="p.toml"), code)
    assert found == code
    assert calls == [
        ["audit", "--out=reports/ganaudit", "--junit=reports/ganaudit/junit.xml",
         "--gitlab-metrics=reports/ganaudit/metrics.txt", "--markdown=reports/ganaudit/summary.md", "--policy=p.toml",
         "--", "runs/a"],
    ]  # fmt: skip


@pytest.mark.parametrize("program", SHELLS, ids=lambda p: p[0])
def test_variables_of_the_gitlab_job_are_values_whatever_they_hold(shell: Any, program: list[str]) -> None:
    (script,) = JOB["script"]
    hostile = {name: f"{name} {HOSTILE}" for name in ("subject", "reference", "policy", "baseline", "config")}
    _, (call,), _ = shell(program, script, variables(**hostile))
    assert call[-1] == hostile["subject"]
    assert all(f"--{name}={value}" in call for name, value in hostile.items() if name != "subject")


def test_the_gitlab_job_keeps_its_files_whatever_the_verdict() -> None:
    artifacts = JOB["artifacts"]
    assert artifacts["when"] == "always"
    (script,) = JOB["script"]
    for kind, option in (("junit", "--junit"), ("metrics", "--gitlab-metrics")):
        assert f"{option}={artifacts['reports'][kind]}" in script
        # GitLab shows no metrics that are not among the paths as well.
        assert artifacts["reports"][kind].startswith(artifacts["paths"][0])


# ---- pre-commit


def test_the_hooks_are_what_pre_commit_reads() -> None:
    hooks = {hook["id"]: hook for hook in read(".pre-commit-hooks.yaml")}
    assert set(hooks) == {"ganaudit-lint", "ganaudit-policy"}
    for hook in hooks.values():
        assert {"id", "name", "entry", "language"} <= set(hook)
        assert hook["language"] == "python"
    assert hooks["ganaudit-lint"]["types_or"] == ["json", "toml", "csv"]
    names = re.compile(hooks["ganaudit-lint"]["files"])
    assert all(
        names.search(name) for name in ("document.json", "reports/a/document.json", "audit.toml", "ci/policy.toml")
    )
    assert not any(names.search(name) for name in ("package.json", "pyproject.toml", "mypolicy.toml"))


def test_the_hooks_call_verbs_that_there_are(tmp_path: Path) -> None:
    from ganaudit.document.files import sealed, write_document
    from tests.document.documents import document, number, result

    write_document(sealed(document(result(number(1.0, (0.9, 1.1))))), tmp_path / "reports" / "document.json")
    (tmp_path / "policy.toml").write_text('[[gate]]\nid = "q"\nmeasure = "frechet-distance/fd"\nlimit = 2.0\n')
    hooks = {hook["id"]: hook for hook in read(".pre-commit-hooks.yaml")}
    calls = {
        "ganaudit-lint": [*hooks["ganaudit-lint"]["entry"].split(), "policy.toml", "reports/document.json"],
        "ganaudit-policy": [*hooks["ganaudit-policy"]["entry"].split(), *hooks["ganaudit-policy"]["args"]],
    }
    for words in calls.values():
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "CI": "1"})
        assert done.stderr.strip().splitlines()[-1].startswith(("exit 0: ", "exit 1: ")), done.stderr
