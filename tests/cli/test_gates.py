"""Gates, baselines and policies from the command line: files, exit codes, and what nobody may overlook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ganaudit.document.baselines import Baseline, entry_of
from ganaudit.document.files import load_document, read_document, sealed, write_baseline, write_document
from ganaudit.document.model import DeclaredMeasurement, Null
from tests.document.documents import document, number, result

from .conftest import Run

GATE = '[[gate]]\nid = "q"\nmeasure = "frechet-distance/fd"\n'


def audit(path: Path, *results, **more) -> Path:
    write_document(sealed(document(*results, **more)), path / "document.json")
    return path


def fd(path: Path, value: float | None = 1.0, half: float | None = 0.1, **more) -> Path:
    spread = None if value is None or half is None else (value - half, value + half)
    return audit(path, result(number(value, spread)), **more)


def policy(text: str) -> str:
    Path("policy.toml").write_text(text)
    return "policy.toml"


JUDGED = (0, 1, 3)
"""Codes of calls that came to a judgement."""
FORMATS = [[], ["--json"], ["--junit", "j.xml"], ["--markdown", "m.md"], ["-q"], ["-v"]]


class Row(NamedTuple):
    """One row of the table of exit codes."""

    code: int
    policy: str
    value: float | None
    half: float | None
    """Half the width of its interval; None for none."""
    extra: list[str]
    """More words of the call."""
    before: Callable[[Path, pytest.MonkeyPatch], None] | None = None
    """What happens to the audit, or within ganaudit, before the gate is called."""


def rewritten(old: str, new: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def before(audited: Path, _: pytest.MonkeyPatch) -> None:
        file = audited / "document.json"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return before


def judging(fails: Callable[..., None]) -> Callable[[Path, pytest.MonkeyPatch], None]:
    return lambda _, patch: patch.setattr("ganaudit.document.judge.judge", fails)


def crash(*_: object, **__: object) -> None:
    raise ZeroDivisionError("the sky fell")


def interrupt(*_: object, **__: object) -> None:
    signal.raise_signal(signal.SIGINT)


def crashed_evaluator(audited: Path, _: pytest.MonkeyPatch) -> None:
    fallen = result(evaluator="kernel-distance", status="failed", requested=True)
    audit(audited, result(number(1.0, (0.9, 1.1))), fallen.model_copy(update={"reason": "ZeroDivisionError: by zero"}))


def other_ground(audited: Path, _: pytest.MonkeyPatch) -> None:
    fd(audited.parent / "other", fields={"extractor": "another"})


def another_baseline(audited: Path, _: pytest.MonkeyPatch) -> None:
    entry = entry_of(load_document(audited), author="ada", reason="good", accepted="2026-11-22", anchor=True)
    write_baseline(Baseline(name="main").with_entry(entry), audited.parent / "baselines" / "main.json")


# Exit code by what is gated: the policy, the value (None: none), the half-width and extra words of the call.
CASES = {name: Row(*row) for name, row in {
    "passes": (0, GATE + "limit = 2", 1.0, 0.1, []),
    "fails": (1, GATE + "limit = 0.5", 1.0, 0.1, []),
    "fails mildly": (0, GATE + 'limit = 0.5\nlevel = "warn"', 1.0, 0.1, []),
    "fails and never counts": (0, 'fail_on = "never"\n' + GATE + "limit = 0.5", 1.0, 0.1, []),
    "straddles": (3, GATE + "limit = 1.05", 1.0, 0.1, []),
    "straddles and may": (0, 'on_inconclusive = "pass"\n' + GATE + "limit = 1.05", 1.0, 0.1, []),
    "too few": (3, GATE + "limit = 2\nmin_n = 5000", 1.0, 0.1, []),
    "no interval though asked": (3, GATE + "limit = 2\nconfidence = 0.95", 1.0, None, []),
    "more confidence than its interval can be made at": (3, GATE + "limit = 2\nconfidence = 0.99", 1.0, 0.1, []),
    "no value": (3, GATE + "limit = 2", None, None, []),
    "no null": (3, GATE + "null = true", 1.0, 0.1, []),
    "no replicates": (3, GATE + "limit = 2\nreplicates = 3", 1.0, 0.1, []),
    "no baseline": (3, GATE + "baseline = true", 1.0, 0.1, []),
    "no baseline yet": (3, GATE + "baseline = true", 1.0, 0.1, ["--baseline", "main"]),
    "a baseline file that is not there": (2, GATE + "baseline = true", 1.0, 0.1, ["--baseline", "x/document.json"]),
    "no gate": (3, "", 1.0, 0.1, []),
    "too few gates": (3, "min_gates = 2\n" + GATE + "limit = 2", 1.0, 0.1, []),
    "misspelt measure": (2, GATE.replace("fd", "fdd") + "limit = 2", 1.0, 0.1, []),
    "misspelt key": (2, GATE + "limt = 2", 1.0, 0.1, []),
    "unknown level": (2, GATE + 'limit = 2\nlevel = "fatal"', 1.0, 0.1, []),
    "unknown fail_on": (2, 'fail_on = "sometimes"\n' + GATE + "limit = 2", 1.0, 0.1, []),
    "two gates of one id": (2, 2 * (GATE + "limit = 2\n"), 1.0, 0.1, []),
    "a limit that is no number": (2, GATE + "limit = nan", 1.0, 0.1, []),
    "a waiver without an end": (2, GATE + 'limit = 2\n[[waiver]]\ngate = "q"\nsubject = "s"\nceiling = 3\nreason = "r"\nowner = "o"', 1.0, 0.1, []),  # noqa: E501
    "no TOML": (2, "[[gate", 1.0, 0.1, []),
    "NaN in the document": (2, GATE + "limit = 2", 1.0, 0.1, [], rewritten('"value": 1.0', '"value": NaN')),
    "infinity in the document": (2, GATE + "limit = 2", 1.0, 0.1, [], rewritten('"value": 1.0', '"value": 1e999')),
    "a number changed by hand": (3, GATE + "limit = 2", 1.0, 0.1, [], rewritten('"value": 1.0', '"value": 0.95')),
    "a baseline on other ground": (3, GATE + "baseline = true", 1.0, 0.1, ["--baseline", "other"], other_ground),
    "a misspelt baseline": (3, GATE + "baseline = true", 1.0, 0.1, ["--baseline", "mian"], another_baseline),
    "a crashed evaluator": (3, GATE + "limit = 2", 1.0, 0.1, [], crashed_evaluator),
    "a crashed evaluator and a failed gate": (1, GATE + "limit = 0.5", 1.0, 0.1, [], crashed_evaluator),
    "a gate on a crashed evaluator": (3, GATE.replace("frechet-distance/fd", "kernel-distance/fd") + "limit = 2", 1.0, 0.1, [], crashed_evaluator),  # noqa: E501
    "a crash of ganaudit": (4, GATE + "limit = 2", 1.0, 0.1, [], judging(crash)),
    "an interruption": (130, GATE + "limit = 2", 1.0, 0.1, [], judging(interrupt)),
}.items()}  # fmt: skip


def arranged(case: str, folder: Path, patch: pytest.MonkeyPatch) -> list[str | Path]:
    """Return the call of one row, everything before it done."""
    row = CASES[case]
    made = fd(folder / "a", row.value, row.half)
    if row.before is not None:
        row.before(made, patch)
    return ["gate", made, "--policy", policy(row.policy), *row.extra]


@pytest.mark.parametrize("form", FORMATS, ids=" ".join)
@pytest.mark.parametrize("case", CASES)
def test_exit_codes_whatever_is_written(
    case: str, form: list[str], ganaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = CASES[case].code
    called = ganaudit(*arranged(case, tmp_path, monkeypatch), *form)
    assert called.code == code, called.err
    assert called.err.strip().splitlines()[-1].startswith(f"exit {code}: ")
    assert "Traceback" not in called.err
    if form == ["--json"] and code in JUDGED:
        found = json.loads(called.out)
        assert found["exit_code"] == code
    if case == "a gate on a crashed evaluator" and form == ["--json"]:
        assert "kernel-distance is failed: ZeroDivisionError: by zero" in found["verdicts"][0]["message"]


@pytest.mark.parametrize("form", [[], ["--json", "--junit", "j.xml"], ["--github", "--sarif", "v.sarif", "-q"]])
def test_a_signal_ends_a_program_with_130_and_writes_nothing(form: list[str], tmp_path: Path) -> None:
    """A real one, sent to a process of its own while it waits for its policy."""
    made = fd(tmp_path / "a")
    os.mkfifo(tmp_path / "policy.toml")
    words = [sys.executable, "-m", "ganaudit", "gate", str(made), "--policy", "policy.toml", *form]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        deadline = time.monotonic() + 120
        while (reader := reading(tmp_path / "policy.toml")) is None:
            assert program.poll() is None and time.monotonic() < deadline  # noqa: PT018
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=120)
        os.close(reader)
    assert (program.returncode, out) == (130, "")
    assert err.strip().splitlines()[-1].startswith("exit 130: interrupted")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "policy.toml"]


def reading(pipe: Path) -> int | None:
    """Return the writing end of a pipe that somebody waits at; None while nobody does."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def test_a_failed_evaluator_or_one_asked_for_in_vain_is_incomplete(ganaudit: Run, tmp_path: Path) -> None:
    good = result(number(1.0, (0.9, 1.1)))
    for status, asked in (("failed", False), ("not_assessable", True)):
        made = audit(tmp_path / status, good, result(evaluator="x", status=status, requested=asked))
        assert ganaudit("gate", made, "--policy", policy(GATE + "limit = 2")).code == 3
        assert ganaudit("gate", made, "--policy", policy(GATE + "limit = 0.5")).code == 1


@pytest.mark.parametrize(
    ("damage", "code", "told"),
    [
        (lambda text: text[: len(text) // 2], 2, "cannot be read as strict JSON"),
        (lambda text: text.replace('"value": 1.0', '"value": NaN'), 2, "NaN is not JSON"),
        (lambda text: text.replace('"value": 1.0', '"value": 1e999'), 2, "beyond the range of a float"),
        (
            lambda text: text.replace("ganaudit.document/1", "ganaudit.document/2"),
            2,
            "its schema is 'ganaudit.document/2'",
        ),
        (lambda text: text.replace('"value": 1.0', '"value": 0.95'), 3, "was changed after ganaudit wrote it"),
    ],
    ids=["cut", "NaN", "overflow", "newer", "by hand"],
)
def test_documents_that_are_not_as_written(damage, code: int, told: str, ganaudit: Run, tmp_path: Path) -> None:
    path = fd(tmp_path / "a") / "document.json"
    path.write_text(damage(path.read_text()))
    called = ganaudit("gate", path, "--policy", policy(GATE + "limit = 2"))
    assert (called.code, told in " ".join(called.err.split())) == (code, True), called.err


def test_a_document_that_tells_no_digest_is_read(ganaudit: Run, tmp_path: Path) -> None:
    path = fd(tmp_path / "a") / "document.json"
    data = json.loads(path.read_text())
    assert data.pop("integrity").startswith("sha256:")
    data.pop("remarks")
    path.write_text(json.dumps(data))
    read, changed = read_document(path)
    assert changed is None
    assert read.integrity is None
    assert "caution" not in ganaudit("gate", path, "--policy", policy(GATE + "limit = 2")).err


# --- baselines


def accept(ganaudit: Run, path: Path, *more: str):
    return ganaudit("baseline", "accept", path, "--author", "ada", "--reason", "first good one", *more)


def test_an_accepted_audit_is_what_the_next_is_held_against(ganaudit: Run, tmp_path: Path) -> None:
    first, worse = fd(tmp_path / "a", 1.0, 0.01), fd(tmp_path / "b", 1.5, 0.01)
    rules = policy(GATE + "baseline = true\nmargin = 0.1")
    assert ganaudit("gate", first, "--policy", rules, "--baseline", "main").code == 3
    assert accept(ganaudit, first).code == 0
    called = ganaudit("gate", first, "--policy", rules, "--baseline", "main")
    assert called.code == 0
    assert "this very audit" in called.err
    assert ganaudit("gate", worse, "--policy", rules, "--baseline", "main").code == 1
    assert ganaudit("gate", worse, "--policy", rules, "--baseline", "baselines/main.json").code == 1
    assert ganaudit("gate", worse, "--policy", rules, "--baseline", first).code == 1
    assert accept(ganaudit, worse, "--name", "main").code == 0
    assert ganaudit("gate", worse, "--policy", rules, "--baseline", "main").code == 0
    shown = json.loads(ganaudit("baseline", "show", "--json").out)
    assert shown["numbers"]["frechet-distance/fd"]["value"] == 1.5
    assert (shown["author"], shown["anchor"]) == ("ada", False)
    followed = json.loads(ganaudit("baseline", "history", "--measure", "frechet-distance/fd", "--json").out)
    assert [entry["numbers"]["frechet-distance/fd"]["value"] for entry in followed] == [1.0, 1.5]
    assert [entry["anchor"] for entry in followed] == [True, False]
    assert "+0.5" in ganaudit("baseline", "show").out


def test_an_audit_on_other_ground_is_accepted_as_an_anchor_or_by_another_name_only(
    ganaudit: Run, tmp_path: Path
) -> None:
    first = fd(tmp_path / "a", fields={"extractor": "one", "evaluators": {"frechet-distance": {"divisor": "n"}}})
    options = fd(tmp_path / "b", 1.1, fields={"extractor": "one", "evaluators": {"frechet-distance": {}}})
    other = fd(tmp_path / "c", fields={"extractor": "two", "evaluators": {"frechet-distance": {"divisor": "n"}}})
    assert accept(ganaudit, first).code == 0
    assert accept(ganaudit, options).code == 0
    called = accept(ganaudit, other)
    assert called.code == 2
    told = " ".join(called.err.split())
    assert "other ground than the last audit accepted as 'main': extractor ('one' in the last one, 'two' here);" in told
    assert accept(ganaudit, other, "--name", "two").code == 0
    assert accept(ganaudit, other, "--anchor").code == 0


def test_accepting_the_same_audit_twice_changes_nothing(ganaudit: Run, tmp_path: Path) -> None:
    made = fd(tmp_path / "a")
    assert accept(ganaudit, made).code == 0
    before = Path("baselines/main.json").read_bytes()
    called = accept(ganaudit, made)
    assert called.code == 0
    assert "holds already" in called.err
    assert Path("baselines/main.json").read_bytes() == before


@pytest.mark.parametrize(
    ("make", "more", "told"),
    [
        (lambda p: audit(p, result(number(1.0)), result(evaluator="x", status="failed")), [], "needs a whole one"),
        (lambda p: fd(p, plan={"seed": 0, "profile": "quick"}), [], "quick audit"),
        (lambda p: fd(p), ["--name", "../x"], "letters, digits"),
        (lambda p: fd(p), ["--reason", " "], "--reason is empty"),
    ],
    ids=["incomplete", "smoke", "name", "no reason"],
)
def test_what_cannot_be_accepted(make, more, told: str, ganaudit: Run, tmp_path: Path) -> None:
    called = accept(ganaudit, make(tmp_path / "a"), *more)
    assert (called.code, told in " ".join(called.err.split())) == (2, True), called.err
    assert not Path("baselines").exists()


def test_an_audit_that_failed_or_was_changed_by_hand_is_not_accepted(ganaudit: Run, tmp_path: Path) -> None:
    from ganaudit.cli.gate import judged
    from ganaudit.document.judge import judge
    from ganaudit.document.policy import load_policy

    audited = document(result(number(1.0, (0.9, 1.1))))
    rules = load_policy(Path(policy(GATE + "limit = 0.5")))
    failed = sealed(judged(audited, rules, judge(audited, rules)))
    write_document(failed, tmp_path / "a" / "document.json")
    called = accept(ganaudit, tmp_path / "a")
    assert called.code == 2
    assert "gates failed: q" in called.err
    assert accept(ganaudit, tmp_path / "a", "--despite-failures").code == 0
    path = fd(tmp_path / "b") / "document.json"
    path.write_text(path.read_text().replace('"value": 1.0', '"value": 0.9'))
    called = accept(ganaudit, path)
    assert called.code == 2
    assert "was changed after" in " ".join(called.err.split())


def test_baselines_that_are_not_there_or_broken(ganaudit: Run, tmp_path: Path) -> None:
    assert accept(ganaudit, fd(tmp_path / "a")).code == 0
    called = ganaudit("baseline", "show", "mian")
    assert called.code == 2
    assert "nearest: main" in called.err
    called = ganaudit("baseline", "history", "--measure", "frechet-distance/df")
    assert called.code == 2
    assert "nearest: frechet-distance/fd" in called.err
    path = Path("baselines/main.json")
    path.write_text(path.read_text()[:-20])
    rules = policy(GATE + "baseline = true")
    for called in (
        ganaudit("baseline", "show"),
        ganaudit("gate", tmp_path / "a", "--policy", rules, "--baseline", "main"),
        accept(ganaudit, tmp_path / "a"),
    ):
        assert called.code == 2
        assert "strict JSON" in called.err


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ("mian", 3, "nothing is accepted as 'mian' in baselines; nearest: main; `ganaudit baseline accept` starts it"),
        ("quite-another", 3, "nothing is accepted as 'quite-another' in baselines; allowed: main, rlse;"),
        ("baselines/mian.json", 2, "--baseline baselines/mian.json: no such file or folder; nearest: main; allowed: a"),
        ("reports/next", 2, "--baseline reports/next: no such file or folder; allowed: a document, its folder, the"),
    ],
)
def test_a_misspelt_baseline_is_told_with_the_nearest_name(
    asked: str, code: int, told: str, ganaudit: Run, tmp_path: Path
) -> None:
    made = fd(tmp_path / "a")
    assert accept(ganaudit, made).code == 0
    assert accept(ganaudit, made, "--name", "rlse").code == 0
    Path("baselines/mains.json").write_text("{}")  # no baseline: its name helps nobody
    rules = policy(GATE + "baseline = true")
    called = ganaudit("gate", made, "--policy", rules, "--baseline", asked, "--json")
    said = " ".join((called.out + called.err).split())
    assert (called.code, told in said) == (code, True), said


def test_a_first_run_names_no_others(ganaudit: Run, tmp_path: Path) -> None:
    rules = policy(GATE + "baseline = true")
    called = ganaudit("gate", fd(tmp_path / "a"), "--policy", rules, "--baseline", "main", "--json")
    message = json.loads(called.out)["verdicts"][0]["message"]
    assert message.endswith(
        "no baseline yet: nothing is accepted as 'main' in baselines; `ganaudit baseline accept` starts it"
    )


def test_a_folder_that_cannot_be_written_is_told(ganaudit: Run, tmp_path: Path) -> None:
    Path("baselines").write_text("in the way")
    called = accept(ganaudit, fd(tmp_path / "a"))
    assert called.code == 2
    assert "cannot write baselines" in called.err


# --- policies


def with_null(value: float, half: float, null: float):
    held = Null(value=null, low=null - half, high=null + half, n=1000, rule="halves")
    return number(value, (value - half, value + half), null=held)


def test_policy_lint_says_which_limits_nobody_could_meet(ganaudit: Run, tmp_path: Path) -> None:
    made = audit(tmp_path / "a", result(with_null(2.0, 0.1, 1.0)))
    called = ganaudit("policy", "lint", policy(GATE + "limit = 0.5"), made)
    assert called.code == 1
    assert "noise floor 1.1" in " ".join(called.out.split())
    called = ganaudit("policy", "lint", policy(GATE + "limit = 5"), made, "--json")
    assert called.code == 0
    assert json.loads(called.out) == []
    assert ganaudit("policy", "lint", policy(GATE + "limit = 5\nid = 3"), made).code == 2


def test_init_writes_a_policy_that_the_audit_passes(ganaudit: Run, tmp_path: Path) -> None:
    made = audit(tmp_path / "a", result(with_null(2.0, 0.1, 1.0)))
    assert ganaudit("init", made).code == 0
    text = Path("policy.toml").read_text()
    assert "real against real 1" in text
    assert ganaudit("gate", made, "--policy", "policy.toml").code == 0
    called = ganaudit("init", made)
    assert called.code == 2
    assert "--force" in called.err
    assert ganaudit("init", made, "--force", "--preset", "strict").code == 0
    called = ganaudit("init", made, "--preset", "harsh", "--out", "x.toml")
    assert called.code == 2
    assert "allowed: smoke, standard, strict" in called.err or "nearest" in called.err
    assert not Path("x.toml").exists()


def test_init_cautions_of_a_document_that_was_changed(ganaudit: Run, tmp_path: Path) -> None:
    path = audit(tmp_path / "a", result(with_null(2.0, 0.1, 1.0))) / "document.json"
    assert "caution" not in ganaudit("init", path).err.lower()
    assert "CAUTION" not in Path("policy.toml").read_text()
    path.write_text(path.read_text().replace('"value": 2.0', '"value": 2.05'))
    called = ganaudit("init", path, "--force")
    assert called.code == 0
    assert f"caution: document {path} was changed after ganaudit wrote it" in " ".join(called.err.split())
    assert "# CAUTION: the document was changed after it was written" in Path("policy.toml").read_text()


def test_a_preset_is_a_policy_by_its_name(ganaudit: Run, tmp_path: Path) -> None:
    declared = [
        DeclaredMeasurement(key=key, title=key, unit="1", better=better, meaning="m")
        for key, better in (("precision", "higher"), ("coverage", "higher"))
    ]
    made = audit(
        tmp_path / "a",
        result(with_null(2.0, 0.1, 1.0)),
        result(evaluator="precision-recall", status="not_assessable", declares=declared),
        result(
            number(0.0, (0.0, 0.01), key="duplicate-rate"),
            evaluator="diversity",
            declares=[DeclaredMeasurement(key="duplicate-rate", title="d", unit="1", better="lower", meaning="m")],
        ),
    )
    called = ganaudit("gate", made, "--policy", "smoke", "--json")
    assert called.code == 3  # what was not measured does not pass
    outcomes = {v["gate"]: v["outcome"] for v in json.loads(called.out)["verdicts"]}
    assert outcomes == {"quality": "missing", "coverage": "missing", "duplicates": "passed", "distance": "passed"}


def test_replicates_are_given_one_by_one(ganaudit: Run, tmp_path: Path) -> None:
    audits = [fd(tmp_path / str(i), v, 0.01, plan={"seed": i}) for i, v in enumerate((1.0, 1.01, 0.99))]
    rules = policy(GATE + "limit = 1.2\nreplicates = 3")
    more = [word for path in audits[1:] for word in ("--replicate", path)]
    assert ganaudit("gate", audits[0], "--policy", rules, *more).code == 0
    assert ganaudit("gate", audits[0], "--policy", rules, *more[:2]).code == 3
