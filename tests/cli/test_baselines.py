"""Baselines whose file is not as it was written: told by name, and not believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.files import read_baseline
from tests.document.documents import document, number, result

from .conftest import Run
from .test_gates import GATE, accept, audit, fd, policy

FD = "frechet-distance/fd"
FILE = Path("baselines/main.json")
RULES = GATE + "baseline = true\nmargin = 0.1"


def edit(change: Callable[[list[dict[str, Any]]], None]) -> None:
    data = json.loads(FILE.read_text())
    change(data["entries"])
    FILE.write_text(json.dumps(data, indent=2) + "\n")


def set_at(entry: int, *path: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(entries: list[dict[str, Any]]) -> None:
        place: Any = entries[entry]
        for key in path[:-1]:
            place = place[key]
        assert place[path[-1]] != value
        place[path[-1]] = value

    return change


def without_digests(entries: list[dict[str, Any]]) -> None:
    """Make them as early versions wrote them."""
    for entry in entries:
        del entry["digest"]


EDITS = {
    "a value": (set_at(1, "numbers", FD, "value", value=50.0), "entry 2 (g, accepted"),
    "an end of an interval": (set_at(1, "numbers", FD, "interval", "high", value=50.0), "entry 2 (g, accepted"),
    "n": (set_at(1, "numbers", FD, "n", value=9), "entry 2 (g, accepted"),
    "the digest of the audit": (set_at(1, "document", value="sha256:" + "0" * 64), "entry 2 (g, accepted"),
    "the digest of the reference": (set_at(1, "reference", value="sha256:" + "0" * 64), "entry 2 (g, accepted"),
    "who accepted it": (set_at(1, "author", value="eve"), "by eve): its digest says sha256:"),
    "the anchor": (set_at(0, "numbers", FD, "value", value=50.0), "entry 1 (g, accepted"),
    "its own digest": (set_at(1, "digest", value="sha256:" + "0" * 64), "entry 2 (g, accepted"),
    "no digest after one": (lambda entries: entries[1].pop("digest"), "its digest was taken out"),
}


@pytest.fixture
def two_accepted(ganaudit: Run, tmp_path: Path) -> Path:
    """An audit that passes against a baseline of two others."""
    for name, value in (("a", 1.0), ("b", 1.05)):
        assert accept(ganaudit, fd(tmp_path / name, value, 0.01)).code == 0
    made = fd(tmp_path / "c", 1.06, 0.01)
    called = ganaudit("gate", made, "--policy", policy(RULES), "--baseline", "main")
    assert (called.code, "caution" in called.err) == (0, False), called.err
    return made


def test_an_entry_holds_the_digest_of_everything_else_in_it(two_accepted: Path) -> None:
    entries = json.loads(FILE.read_text())["entries"]
    for entry in entries:
        says = entry.pop("digest")
        # Canonical JSON: keys in order, no blanks.
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert says == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert [entry["anchor"] for entry in entries] == [True, False]


@pytest.mark.parametrize(("change", "told"), EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("asked", ["main", FILE], ids=["by name", "as a file"])
def test_an_entry_that_was_edited_is_told_and_not_believed(
    change, told: str, asked: str | Path, two_accepted: Path, ganaudit: Run
) -> None:
    edit(change)
    called = ganaudit("gate", two_accepted, "--policy", policy(RULES), "--baseline", asked, "--json")
    answer, said = json.loads(called.out), " ".join(called.err.split())
    assert called.code == 3
    assert [v["outcome"] for v in answer["verdicts"]] == ["missing"]
    assert told in answer["verdicts"][0]["message"]
    assert "caution: baseline baselines/main.json was changed after it was written" in said
    assert told in said


def test_a_mild_gate_does_not_hide_it(two_accepted: Path, ganaudit: Run) -> None:
    edit(EDITS["a value"][0])
    rules = policy(RULES + '\nlevel = "info"\n' + GATE.replace('"q"', '"other"') + "limit = 2")
    called = ganaudit("gate", two_accepted, "--policy", rules, "--baseline", "main")
    assert called.code == 3
    assert "the baseline was changed after it was written; passed: 1 passed, 1 missing" in " ".join(called.err.split())
    # A gate that asks nothing of the baseline stands on its own.
    rules = policy(GATE + "limit = 2")
    called = ganaudit("gate", two_accepted, "--policy", rules, "--baseline", "main")
    assert (called.code, "was changed after" in called.err) == (0, True), called.err


def test_an_audit_given_for_a_baseline_is_not_believed_either(ganaudit: Run, tmp_path: Path) -> None:
    held, made = fd(tmp_path / "a", 1.0, 0.01), fd(tmp_path / "b", 1.5, 0.01)
    assert ganaudit("gate", made, "--policy", policy(RULES), "--baseline", held).code == 1
    file = held / "document.json"
    file.write_text(file.read_text().replace('"value": 1.0', '"value": 1.9'))
    called = ganaudit("gate", made, "--policy", policy(RULES), "--baseline", held)
    assert called.code == 3
    assert f"caution: document {file} was changed after ganaudit wrote it" in " ".join(called.err.split())


def test_other_verbs_refuse_it_or_caution(two_accepted: Path, ganaudit: Run) -> None:
    edit(EDITS["a value"][0])
    before = FILE.read_bytes()
    for words in (
        ["policy", "lint", policy(RULES), two_accepted, "--baseline", "main"],
        ["review", "status", two_accepted, "--baseline", FILE],
        ["baseline", "accept", two_accepted, "--author", "ada", "--reason", "r"],
    ):
        called = ganaudit(*words)
        assert (called.code, "entry 2 (g, accepted" in " ".join(called.err.split())) == (2, True), called.err
    assert FILE.read_bytes() == before
    for verb in ("show", "history"):
        called = ganaudit("baseline", verb)
        assert (called.code, "entry 2 (g, accepted" in " ".join(called.err.split())) == (0, True), called.err


def test_a_baseline_of_an_early_version_is_read_with_a_caution(two_accepted: Path, ganaudit: Run) -> None:
    edit(without_digests)
    words = "caution: baseline 'main': entries 1, 2 have no digest, as an early version of ganaudit wrote none"
    called = ganaudit("gate", two_accepted, "--policy", policy(RULES), "--baseline", "main")
    assert (called.code, words in " ".join(called.err.split())) == (0, True), called.err
    assert words in " ".join(ganaudit("baseline", "show").err.split())
    # What is accepted next has its digest; what nobody can vouch for is given none.
    assert accept(ganaudit, two_accepted).code == 0
    assert [e.digest is None for e in read_baseline(FILE)[0].entries] == [True, True, False]
    assert read_baseline(FILE)[1] is None
    edit(set_at(2, "numbers", FD, "value", value=50.0))
    assert ganaudit("gate", two_accepted, "--policy", policy(RULES), "--baseline", "main").code == 3


def test_a_name_with_what_nobody_sees_accepts_nothing(ganaudit: Run, tmp_path: Path) -> None:
    called = ganaudit("baseline", "accept", fd(tmp_path / "a"), "--author", "a\u200bda", "--reason", "r")
    assert (called.code, "U+200B ZERO WIDTH SPACE cannot be seen" in " ".join(called.err.split())) == (2, True)
    assert not FILE.exists()


def test_names_that_are_no_plain_text_come_back_with_their_digest(ganaudit: Run, tmp_path: Path) -> None:
    odd = document(result(number(-0.0, (-1e-300, 1e22)), number(3, key="fd-corrected")))
    subject = odd.subject.model_copy(update={"name": "gänse \u2028 \U0001f986"})
    made = audit(tmp_path / "a", *odd.results, subject=subject)
    assert accept(ganaudit, made).code == 0
    held, changed = read_baseline(FILE)
    assert changed is None
    assert held.entries[0].name == subject.name
