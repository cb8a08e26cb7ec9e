"""What gate and audit write for CI systems: it never changes the exit code, and it says what the code says."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from .conftest import Run
from .test_gates import CASES, GATE, JUDGED, arranged, fd, policy

FILES = {
    "--junit": "o/j.xml",
    "--markdown": "o/m.md",
    "--sarif": "o/v.sarif",
    "--gitlab-metrics": "o/m.txt",
    "--model-card": "o/card.md",
}
FORMS = {
    **{name: [name, file] for name, file in FILES.items()},
    "--github": ["--github"],
    "all": ["--github", *(part for pair in FILES.items() for part in pair)],
    "all as JSON": ["--json", "--github", *(part for pair in FILES.items() for part in pair)],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_exit_codes_whatever_is_written(
    case: str, form: str, ganaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    code = CASES[case].code
    called = ganaudit(*arranged(case, tmp_path, monkeypatch), *FORMS[form])
    assert called.code == code, called.err
    # With JSON on stdout whatever else is said, commands of the workflow too, stands on stderr, the code after it.
    assert called.err.strip().splitlines()[-1].startswith(f"exit {code}: ")
    written = [file for option, file in FILES.items() if option in FORMS[form]]
    assert all(Path(file).is_file() == (code in JUDGED) for file in written)
    if form == "all as JSON" and code in JUDGED:
        assert json.loads(called.out)["exit_code"] == code


@pytest.mark.parametrize("case", [name for name, row in CASES.items() if row.code in JUDGED])
def test_every_format_says_what_the_code_says(
    case: str, ganaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = CASES[case].code
    called = ganaudit(*arranged(case, tmp_path, monkeypatch), *FORMS["all"])
    assert called.code == code
    suite = ET.parse("o/j.xml").getroot()
    assert (int(suite.get("failures", "")) > 0) == (code == 1)
    fell = "crashed evaluator" in case
    assert (int(suite.get("errors", "")) > 0) == (code == 3 or fell)
    if fell:
        said = {name: Path(file).read_text() for name, file in FILES.items()} | {"--github": called.out}
        # The metrics are numbers alone; everything else tells which evaluator fell, and of what.
        assert {name for name, text in said.items() if "by zero" not in text} == {"--gitlab-metrics"}
    invocation = json.loads(Path("o/v.sarif").read_text())["runs"][0]["invocations"][0]
    assert invocation["exitCode"] == code
    assert f'ganaudit_exit_code{{subject="g"}} {code}\n' in Path("o/m.txt").read_text()
    word = {0: "passed", 1: "failed", 3: "incomplete"}[code]
    if case in ("fails mildly", "fails and never counts", "straddles and may"):
        word = "nothing passed, nothing blocks"  # no green word where no gate passed
    assert Path("o/m.md").read_text().splitlines()[0].endswith(f": {word}")
    assert f"Verdict: {word}." in Path("o/card.md").read_text()
    assert (sum(line.startswith("::error ") for line in called.out.splitlines()) > 0) == (code != 0)


def test_the_step_summary_is_appended_to_and_the_annotation_points_at_the_gate(
    ganaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    file = policy("# the gates\n\n" + GATE + "limit = 0.5")
    called = ganaudit("gate", fd(tmp_path / "a"), "--policy", file, "--github")
    assert called.code == 1
    assert summary.read_text().startswith("before\n## ❌ g: failed\n")
    lines = called.out.splitlines()
    assert lines[0].startswith("::error file=policy.toml,line=3,title=ganaudit%3A q%3A failed::1 [0.9, 1.1]")


def test_without_a_summary_file_the_summary_is_said(
    ganaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    called = ganaudit("gate", fd(tmp_path / "a"), "--policy", policy(GATE + "limit = 2"), "--github")
    assert called.out.startswith("## ✅ g: passed\n")
    as_json = ganaudit("gate", fd(tmp_path / "a"), "--policy", policy(GATE + "limit = 2"), "--github", "--json")
    assert json.loads(as_json.out)["exit_code"] == 0
    assert "## ✅ g: passed" in as_json.err


def test_a_full_step_summary_is_left_alone_and_told(
    ganaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_bytes(b"x" * 1_040_000)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    called = ganaudit("gate", fd(tmp_path / "a"), "--policy", policy(GATE + "limit = 2"), "--github")
    assert called.code == 0
    assert summary.stat().st_size == 1_040_000
    assert "the step's summary is full" in called.err


def test_what_a_document_says_is_no_command_of_the_workflow(ganaudit: Run, tmp_path: Path) -> None:
    """Between the marks the runner reads nothing; outside of them every line is ours."""
    audited = fd(tmp_path / "a")
    document = json.loads((audited / "document.json").read_text())
    document["results"][0]["measurements"][0] |= {"value": None, "reason": "x\n::add-mask::y\n##[error]z"}
    (audited / "document.json").write_text(json.dumps(document))
    called = ganaudit("gate", audited, "--policy", policy(GATE + "limit = 2"), "--github")
    lines = called.out.splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith("::stop-commands::")]
    assert lines[-1] == f"::{lines[start].removeprefix('::stop-commands::')}::"
    before = [line for line in lines[:start] if line.lstrip().startswith("::") or "##[" in line]
    assert before
    assert all(line.startswith(("::error ", "::warning ")) for line in before)
    # Each call has marks of its own: a document cannot hold them.
    again = ganaudit("gate", audited, "--policy", policy(GATE + "limit = 2"), "--github").out.splitlines()
    assert again[start] != lines[start]


def test_an_unwritable_place_is_told_before_any_work(ganaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    called = ganaudit("gate", "nowhere", "--policy", "smoke", "--sarif", tmp_path / "file" / "v.sarif")
    assert called.code == 2
    assert "cannot be written" in called.err


def test_a_preset_is_named_without_a_file(ganaudit: Run, tmp_path: Path, digits_audit: Path) -> None:
    called = ganaudit("gate", digits_audit, "--policy", "smoke", *FORMS["all"])
    assert called.code == 0
    run = json.loads(Path("o/v.sarif").read_text())["runs"][0]
    assert run["results"]
    assert all("physicalLocation" not in r["locations"][0] for r in run["results"])
    matter = Path("o/card.md").read_text().split("---\n")[1]
    metrics = yaml.safe_load(matter)["model-index"][0]["results"][0]["metrics"]
    assert {m["type"] for m in metrics} >= {"frechet-distance/fd", "precision-recall/coverage"}


def test_an_audit_writes_the_same_files(ganaudit: Run) -> None:
    file = policy('[[gate]]\nid = "q"\nmeasure = "frechet-distance/fd"\nlimit = 0.001\n')
    called = ganaudit(
        "audit", "digits", "--evaluators", "frechet-distance", "--samples", "200", "--policy", file, "--out", "a",
        *FORMS["all"],
    )  # fmt: skip
    assert called.code == 1, called.err
    first = {name: Path(path).read_text() for name, path in FILES.items()}
    assert any(line.startswith("::error file=policy.toml,line=1,") for line in called.out.splitlines())
    assert ganaudit("gate", "a", "--policy", file, *FORMS["all"]).code == 1
    again = {name: Path(path).read_text() for name, path in FILES.items()}
    # The closing line of an audit and of a gate are one: nothing differs.
    assert first == again


def test_an_audit_without_a_policy_writes_what_there_is(ganaudit: Run) -> None:
    called = ganaudit(
        "audit", "digits", "--evaluators", "frechet-distance", "--samples", "200", "--out", "a", *FORMS["all"]
    )
    assert called.code == 0, called.err
    assert json.loads(Path("o/v.sarif").read_text())["runs"][0]["results"] == []
    assert "not judged" in Path("o/m.md").read_text().splitlines()[0]
    assert not any(line.startswith("::error") for line in called.out.splitlines())


def test_no_format_needs_torch(tmp_path: Path) -> None:
    audited = fd(tmp_path / "a")
    (tmp_path / "policy.toml").write_text(GATE + "limit = 2")
    arguments = ["gate", str(audited), "--policy", "policy.toml", *FORMS["all"]]
    code = (
        "import sys\nfrom ganaudit.cli.main import run\n"
        f"code = run({arguments!r})\nassert code == 0\nassert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
