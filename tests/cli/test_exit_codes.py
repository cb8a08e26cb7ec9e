"""The exit codes of a whole audit, row by row and for every form of output: what goes wrong while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import ganaudit.auditing
from ganaudit.document.files import load_document
from ganaudit.evaluators.kernel_distance import KernelDistance

from .conftest import Run
from .test_gates import JUDGED, crash, fd, interrupt
from .test_outlets import FILES, FORMS

FD = '[[gate]]\nid = "q"\nmeasure = "frechet-distance/fd"\n'
KD = FD.replace("frechet-distance/fd", "kernel-distance/kd")
BOTH = ["--evaluators", "frechet-distance,kernel-distance"]
ALL_FORMS = {"plain": [], "-q": ["-q"], "--json": ["--json"], "--layout dir": ["--layout", "dir"], **FORMS}


def evaluator(fails: Callable[..., None]) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(KernelDistance, "evaluate", fails)


def within(place: str, fails: Callable[..., None] = crash) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(place, fails)


def no_number(patch: pytest.MonkeyPatch) -> None:
    fake = np.load("fake.npy")
    fake[3, 1] = np.nan
    np.save("fake.npy", fake)


class Row(NamedTuple):
    """What an audit meets, and its code."""

    code: int
    policy: str | None
    extra: list[str]
    before: Callable[[pytest.MonkeyPatch], None] | None = None
    fallen: bool = False
    """Whether the document says of kernel-distance that it failed."""


ROWS = {
    "nothing goes wrong": Row(0, FD + "limit = 99", BOTH),
    "no policy": Row(0, None, BOTH),
    "no gate": Row(3, "", BOTH),
    "a failed gate": Row(1, FD + "limit = 0.0001", BOTH),
    "a crash in an evaluator asked for": Row(3, None, BOTH, evaluator(crash), True),
    "a crash in an evaluator not asked for by name": Row(3, None, [], evaluator(crash), True),
    "a crash beside a gate that passes": Row(3, FD + "limit = 99", BOTH, evaluator(crash), True),
    "a crash beside a gate that fails": Row(1, FD + "limit = 0.0001", BOTH, evaluator(crash), True),
    "a crash in the evaluator of the gate": Row(3, KD + "limit = 99", BOTH, evaluator(crash), True),
    "a crash of ganaudit while it audits": Row(4, None, BOTH, within("ganaudit.auditing.session.comparability")),
    "a crash of ganaudit while it judges": Row(4, FD + "limit = 99", BOTH, within("ganaudit.document.judge.judge")),
    "an interruption in an evaluator": Row(130, None, BOTH, evaluator(interrupt)),
    "an interruption while it judges": Row(
        130, FD + "limit = 99", BOTH, within("ganaudit.document.judge.judge", interrupt)
    ),
    "NaN among the samples": Row(2, None, BOTH, no_number),
    "a limit that is no number": Row(2, FD + "limit = nan", BOTH),
    "a misspelt evaluator": Row(2, None, ["--evaluators", "frechet-distanse"]),
    "a misspelt measure": Row(2, FD.replace("/fd", "/fdd") + "limit = 99", BOTH),
    "a misspelt baseline": Row(3, FD + "baseline = true", [*BOTH, "--baseline", "mian"]),
    "a baseline on other ground": Row(3, FD + "baseline = true", [*BOTH, "--baseline", "other"]),
}
KEPT = ("a misspelt measure", "a crash of ganaudit while it judges", "an interruption while it judges")
"""Rows that end after the audit is finished: its document is not lost."""
_MADE: dict[str, Any] = {}


@pytest.fixture
def made_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the audit of a row be made once, by the program itself; for the other forms it is taken as it was."""
    real = ganaudit.auditing.run

    def prepare(row: str) -> None:
        def run(*arguments: Any, **named: Any) -> Any:
            if row not in _MADE:
                _MADE[row] = real(*arguments, **named)
            return _MADE[row]

        monkeypatch.setattr(ganaudit.auditing, "run", run)

    return prepare


def call(name: str, form: str, ganaudit: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
    row, rng = ROWS[name], np.random.default_rng(5)
    np.save("real.npy", rng.standard_normal((80, 4)))
    np.save("fake.npy", rng.standard_normal((70, 4)) + 0.3)
    fd(Path("other"))
    asked = ["audit", "fake.npy", "--reference", "test=real.npy", "--extractor", "identity", "--out", "out"]
    if row.policy is not None:
        Path("policy.toml").write_text(row.policy)
        asked += ["--policy", "policy.toml"]
    if row.before is not None:
        row.before(monkeypatch)
    return ganaudit(*asked, *row.extra, *ALL_FORMS[form])


@pytest.mark.parametrize("form", ALL_FORMS)
@pytest.mark.parametrize("name", ROWS)
def test_what_an_audit_meets_decides_its_code_whatever_is_written(
    name: str,
    form: str,
    ganaudit: Run,
    made_once: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    made_once(name)
    row, called = ROWS[name], call(name, form, ganaudit, monkeypatch)
    assert called.code == row.code, called.err
    assert called.err.strip().splitlines()[-1].startswith(f"exit {row.code}: ")
    assert "Traceback" not in called.err
    judged = row.code in JUDGED
    assert Path("out/document.json").is_file() == (judged or name in KEPT)
    assert Path("out/report.html").is_file() == judged
    written = [file for option, file in FILES.items() if option in ALL_FORMS[form]]
    assert all(Path(file).is_file() == judged for file in written)
    if judged and "--json" in ALL_FORMS[form]:
        json.loads(called.out)
    if row.fallen:
        _tells_what_fell(form)


def _tells_what_fell(form: str) -> None:
    results = {one.evaluator: one for one in load_document(Path("out")).results}
    fallen = results["kernel-distance"]
    assert (fallen.status, fallen.reason, fallen.measurements) == ("failed", "ZeroDivisionError: the sky fell", [])
    assert results["frechet-distance"].status == "measured", "one that falls costs only itself"
    page = "out/report/index.html" if form == "--layout dir" else "out/report.html"
    assert "the sky fell" in Path(page).read_text()


def test_a_misspelling_is_told_with_the_nearest_name(ganaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "a misspelt evaluator": "nearest: frechet-distance",
        "a misspelt measure": "nearest: frechet-distance/fd",
        "a misspelt baseline": "nothing is accepted as 'mian' in baselines",
        "a baseline on other ground": "they differ in",
    }
    for name, words in told.items():
        called = call(name, "plain", ganaudit, monkeypatch)
        shown = " ".join((called.out + called.err).replace("│", " ").split())
        assert words in shown, name
