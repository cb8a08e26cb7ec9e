"""Verification: one byte changed anywhere voids a signature, and nothing else does."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from ganaudit.document.errors import SubjectError
from ganaudit.document.files import load_document
from ganaudit.document.gates import Gate, Policy
from ganaudit.reviewing.folder import load_review
from ganaudit.reviewing.signing import Signature, comment, sign
from ganaudit.reviewing.verifying import Verification, verify
from tests.document.documents import document, number, result
from tests.reviewing.conftest import NOW, Audit, lay


def signed(audit: Audit, reviewer: str = "R", decision: str = "approve") -> None:
    sign(audit.folder, Signature(reviewer, decision, "fine"), subject=audit.subject, now=NOW)


def checked(audit: Audit, **more: object) -> Verification:
    return verify(audit.folder, subject=audit.subject, now=NOW, **more)


def flipped(path: Path, place: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(bytes(content))


NAMES = {
    "document.json": "document",
    "report.html": "report",
    "subject.toml": "subject files",
    ".safetensors": "subject files",
    ".png": "samples",
}


def test_one_flipped_bit_anywhere_voids_the_signature(passing: Audit) -> None:
    signed(passing)
    rng = random.Random(7)
    tried = 0
    for path in passing.bound_files():
        whole = path.read_bytes()
        what = next(name for end, name in NAMES.items() if path.name.endswith(end))
        places = {0, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(12))}
        for place in sorted(places):
            flipped(path, place, rng.randrange(8))
            found = checked(passing)
            assert (found.exit_code, found.state) == (1, "void"), (path, place)
            assert f"{what} changed" in "; ".join(found.problems), (path, place, found.problems)
            path.write_bytes(whole)
            tried += 1
    assert tried > 80
    assert checked(passing).exit_code == 0


def test_one_flipped_bit_of_the_review_voids_it(passing: Audit) -> None:
    signed(passing)
    path = passing.folder / "review.json"
    whole = path.read_bytes()
    rng = random.Random(8)
    for place in (0, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(100))):
        flipped(path, place, rng.randrange(8))
        found = checked(passing)
        assert (found.exit_code, found.state) == (1, "void"), place
        assert "review.json" in found.words
        path.write_bytes(whole)
    assert checked(passing).exit_code == 0


def test_a_byte_of_the_policy_inside_the_document_is_named(passing: Audit) -> None:
    signed(passing)
    text = passing.document.read_text("utf-8")
    assert text.count('"limit": 12.0') == 2  # of the gate and of its verdict
    passing.document.write_text(text.replace('"limit": 12.0', '"limit": 13.0', 1), "utf-8")
    told = "; ".join(checked(passing).problems)
    assert "policy changed" in told
    assert "document changed" in told


@pytest.mark.parametrize("what", ["document.json", "report.html", "samples/fake-000001.png", "samples"])
def test_a_file_that_is_gone_voids_it_too(passing: Audit, what: str) -> None:
    signed(passing)
    path = passing.folder / what
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert checked(passing).exit_code == 1


def test_a_file_that_is_new_or_renamed_voids_it_too(passing: Audit) -> None:
    signed(passing)
    extra = passing.folder / "samples" / "more.png"
    extra.write_bytes(b"")
    assert "more.png" in checked(passing).words
    extra.unlink()
    first = passing.folder / "samples" / "fake-000000.png"
    first.rename(extra)
    assert checked(passing).exit_code == 1
    extra.rename(first)
    outside = passing.folder / "elsewhere.png"
    outside.write_bytes(first.read_bytes())
    first.unlink()
    first.symlink_to(outside)  # the same bytes behind a link can change without anybody touching the folder
    assert checked(passing).exit_code == 1


def test_what_is_not_bound_may_change(passing: Audit) -> None:
    signed(passing)
    (passing.folder / "notes.txt").write_text("x")
    (passing.subject / "log.jsonl").write_text("x")
    comment(passing.folder, reviewer="S", text="well done", now=NOW)
    assert checked(passing).exit_code == 0


def test_what_was_never_signed_is_incomplete(passing: Audit) -> None:
    assert (checked(passing).exit_code, checked(passing).state) == (3, "unsigned")
    comment(passing.folder, reviewer="S", text="well done", now=NOW)
    assert checked(passing).exit_code == 3


def test_a_subject_that_is_not_at_hand_is_told_and_is_no_change(passing: Audit, tmp_path: Path) -> None:
    signed(passing)
    elsewhere = tmp_path / "moved"
    recorded = Path(load_document(passing.folder).subject.path or "")
    assert recorded != passing.subject  # the audit's own place still holds equal files
    assert verify(passing.folder, now=NOW).exit_code == 0
    passing.subject.rename(elsewhere)
    with pytest.raises(SubjectError, match="no such file"):
        checked(passing)


def test_a_subject_that_has_gone_leaves_it_incomplete(tmp_path: Path) -> None:
    audit = lay(tmp_path, None)
    sign(audit.folder, Signature("R", "approve", "fine"), now=NOW)
    audit.subject.rename(tmp_path / "moved")
    found = verify(audit.folder, now=NOW)
    assert (found.exit_code, found.state) == (3, "incomplete")
    assert "--subject PATH" in found.words
    assert verify(audit.folder, subject=tmp_path / "moved", now=NOW).exit_code == 0


def test_a_subject_that_was_not_at_hand_when_it_was_signed_may_be_later(tmp_path: Path) -> None:
    audit = lay(tmp_path, None)
    audit.subject.rename(tmp_path / "away")
    sign(audit.folder, Signature("R", "approve", "fine"), now=NOW)
    assert verify(audit.folder, now=NOW).exit_code == 0
    (tmp_path / "away").rename(audit.subject)
    assert verify(audit.folder, now=NOW).exit_code == 0
    # But only the audited one: the digest in the document is bound, and a train directory can be held against it.
    (audit.subject / "generator.safetensors").write_bytes(b"other")
    found = verify(audit.folder, now=NOW)
    assert (found.exit_code, found.words.startswith("void: subject changed")) == (1, True)


def test_signing_again_after_a_change_keeps_the_old_entry_as_void(passing: Audit) -> None:
    signed(passing)
    passing.write(load_document(passing.folder).model_copy(update={"seconds": 9.0}))
    assert checked(passing).exit_code == 1
    signed(passing)
    found = checked(passing)
    assert (found.exit_code, [d.number for d in found.stands], list(found.void)) == (0, [2], [1])
    assert [e.number for e in load_review(passing.folder).entries] == [1, 2]


def test_a_rejection_stands_until_its_reviewer_decides_otherwise(passing: Audit) -> None:
    signed(passing, "A")
    signed(passing, "B", "reject")
    found = checked(passing)
    assert (found.exit_code, found.state) == (1, "rejected")
    assert "B" in found.words
    signed(passing, "A")
    assert checked(passing).state == "rejected"
    signed(passing, "B", "conditions")
    assert (checked(passing).exit_code, checked(passing).state) == (0, "approved with conditions")


def test_an_edited_document_is_told_even_where_it_was_signed_so(failing: Audit) -> None:
    # A rejection skips the checklist; what it stands on is judged again all the same.
    made = load_document(failing.folder)
    good = [v.model_copy(update={"outcome": "passed", "blocking": False}) for v in made.verdicts]
    failing.write(made.model_copy(update={"verdicts": good}))
    signed(failing, decision="reject")
    found = checked(failing)
    assert found.exit_code == 1
    assert "gate 'strict' comes to failed" in found.words


def test_the_end_of_the_chain_is_told_by_its_head(passing: Audit) -> None:
    signed(passing, "A")
    before = (passing.folder / "review.json").read_bytes()
    signed(passing, "B", "reject")
    head = load_review(passing.folder).head
    (passing.folder / "review.json").write_bytes(before)
    assert checked(passing).exit_code == 0  # nobody could tell
    found = checked(passing, head=head)
    assert (found.exit_code, found.state) == (1, "void")
    assert "cut off" in found.words
    signed(passing, "C")
    assert checked(passing, head=load_review(passing.folder).entries[0].digest).exit_code == 0


def test_gates_on_a_baseline_are_judged_again_where_it_is_given(tmp_path: Path) -> None:
    gate = Gate(id="no worse", measure="frechet-distance/fd", baseline=True, margin=5.0)
    audit = lay(tmp_path, None)
    made = load_document(audit.folder)
    baseline = document(result(number(9.0, (8.5, 9.5))))
    from ganaudit.document.judge import judge

    policy = Policy(gate=[gate])
    verdicts = list(judge(made, policy, baseline).verdicts)
    assert [v.outcome for v in verdicts] == ["passed"]
    audit.write(made.model_copy(update={"policy": policy.model_dump(mode="json"), "verdicts": verdicts}))
    decision = sign(audit.folder, Signature("R", "approve", "fine"), now=NOW)
    row = next(row for row in decision.checklist if row.id == "verdicts")
    assert (row.state, "no worse" in row.found) == ("told", True)
    assert verify(audit.folder, baseline=baseline, now=NOW).exit_code == 0
    worse = document(result(number(1.0, (0.5, 1.5))))
    found = verify(audit.folder, baseline=worse, now=NOW)
    assert (found.exit_code, "gate 'no worse' comes to failed" in found.words) == (1, True)
