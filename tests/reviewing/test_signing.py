"""Signing: what the checklist refuses and why, and what a decision is bound to."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.errors import ConfigError, DocumentError
from ganaudit.document.files import load_document, write_document
from ganaudit.document.gates import Gate, Policy
from ganaudit.document.model import AuditDocument
from ganaudit.reviewing.checklist import checklist
from ganaudit.reviewing.folder import load_review
from ganaudit.reviewing.record import Decision, Row
from ganaudit.reviewing.signing import NotSignedError, Signature, StaleError, case_of, comment, sign
from ganaudit.reviewing.verifying import verify
from tests.document.documents import number, result
from tests.reviewing.conftest import GOOD, NOW, Audit, audited, lay, selftest, waiver


def approve(audit: Audit, reviewer: str = "R", **more: Any) -> Decision:
    return sign(audit.folder, Signature(reviewer, "approve", "fine", **more), now=NOW)


def rows(audit: Audit) -> dict[str, Row]:
    case = case_of(audit.folder, load_review(audit.folder), now=NOW)
    return {row.id: row for row in checklist(case)}


def unmet(audit: Audit, reviewer: str = "R", **more: Any) -> dict[str, str]:
    with pytest.raises(NotSignedError) as refused:
        approve(audit, reviewer, **more)
    assert all(row.todo for row in refused.value.rows)
    return {row.id: row.found for row in refused.value.rows}


def rewrite(audit: Audit, change: Callable[[AuditDocument], AuditDocument]) -> None:
    audit.write(change(load_document(audit.folder)))


def test_a_sound_audit_is_signed_and_every_row_of_the_checklist_is_kept(passing: Audit) -> None:
    states = {id: row.state for id, row in rows(passing).items()}
    told = {"policy", "environment", "authors"}
    assert states == {id: "told" if id in told else "met" for id in states}
    assert len(states) == 12
    decision = approve(passing)
    assert [row.id for row in decision.checklist] == list(states)
    assert verify(passing.folder, now=NOW).state == "approved"


def test_digests_are_those_of_other_programs(passing: Audit) -> None:
    bound = {one.what: one for one in approve(passing).bound}

    def of(path: Path) -> str:
        return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()

    assert bound["document"].digest == of(passing.document)
    assert bound["report"].digest == of(passing.folder / "report.html")
    assert bound["subject files"].files == {p.name: of(p) for p in passing.subject.iterdir()}
    assert bound["subject"].digest == load_document(passing.folder).subject.digest
    script = "find . -type f | cut -c3- | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1"
    for name, folder in (("samples", passing.folder / "samples"), ("subject files", passing.subject)):
        done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=True)
        assert bound[name].digest == f"sha256:{done.stdout.strip()}"


def test_a_failed_or_undecided_gate_needs_an_answer_whatever_its_level(failing: Audit) -> None:
    assert set(unmet(failing)) == {"gates"}
    comment(failing.folder, reviewer="R", text="the old limit", gate="strict", now=NOW)
    assert "'near' is inconclusive" in unmet(failing)["gates"]
    comment(failing.folder, reviewer="S", text="more samples next time", gate="near", now=NOW)
    assert approve(failing).decision == "approve"


def test_a_comment_on_the_whole_or_on_another_document_answers_no_gate(failing: Audit) -> None:
    for gate in ("strict", "near"):
        comment(failing.folder, reviewer="R", text="seen", gate=gate, now=NOW)
    assert rows(failing)["gates"].state == "met"
    rewrite(failing, lambda d: d.model_copy(update={"seconds": 2.5}))
    assert rows(failing)["gates"].state == "unmet"
    comment(failing.folder, reviewer="R", text="all fine", now=NOW)
    assert rows(failing)["gates"].state == "unmet"


def test_a_waived_gate_needs_no_answer_until_the_waiver_has_expired(tmp_path: Path) -> None:
    strict = Gate(id="strict", measure="frechet-distance/fd", limit=5.0)
    audit = lay(tmp_path, None)
    digest = load_document(audit.folder).subject.digest
    policy = Policy(gate=[strict], waiver=[waiver(digest, date(2026, 12, 1))])
    audit.write(audited(digest, audit.subject, policy))
    assert [v.outcome for v in load_document(audit.folder).verdicts] == ["waived"]
    assert approve(audit).decision == "approve"
    assert verify(audit.folder, now=NOW).exit_code == 0
    later = NOW.replace(day=2)
    found = verify(audit.folder, now=later)
    assert (found.exit_code, found.state) == (1, "void")
    assert "expired on 2026-12-01" in found.words
    with pytest.raises(NotSignedError, match="expired on 2026-12-01"):
        sign(audit.folder, Signature("R", "approve", "fine"), now=later)


def test_an_expired_waiver_of_another_subject_is_no_hindrance(tmp_path: Path) -> None:
    policy = Policy(gate=[GOOD], waiver=[waiver(f"sha256:{'e' * 64}", date(2020, 1, 1), "quality")])
    assert rows(lay(tmp_path, policy))["waivers"].state == "met"


INCOMPLETE = {
    "failed evaluator": (result(evaluator="diversity", status="failed"), {}),
    "asked for in vain": (result(evaluator="diversity", status="not_assessable", requested=True), {}),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_an_incomplete_audit_cannot_be_approved(passing: Audit, name: str) -> None:
    added, _ = INCOMPLETE[name]
    rewrite(passing, lambda d: d.model_copy(update={"results": [*d.results, added]}))
    assert set(unmet(passing)) == {"complete"}
    assert sign(passing.folder, Signature("R", "reject", "incomplete"), now=NOW).decision == "reject"


def test_a_failed_gate_does_not_hide_that_the_audit_is_incomplete(failing: Audit) -> None:
    broken = result(evaluator="diversity", status="failed")
    rewrite(failing, lambda d: d.model_copy(update={"results": [*d.results, broken]}))
    assert "complete" in unmet(failing)


def test_a_blocking_gate_that_is_undecided_leaves_it_incomplete(tmp_path: Path) -> None:
    near = Gate(id="near", measure="frechet-distance/fd", limit=10.5)
    audit = lay(tmp_path, Policy(gate=[near]))
    comment(audit.folder, reviewer="R", text="close enough", gate="near", now=NOW)
    assert set(unmet(audit)) == {"complete"}


def test_a_policy_without_gates_and_an_audit_without_numbers_are_incomplete(tmp_path: Path) -> None:
    assert set(unmet(lay(tmp_path / "a", Policy()))) == {"complete"}
    none = lay(tmp_path / "b", None)
    rewrite(none, lambda d: d.model_copy(update={"results": [result(evaluator="diversity", status="not_assessable")]}))
    assert "nothing was measured" in unmet(none)["complete"]


def test_an_audit_that_no_policy_judged_can_be_approved_and_that_is_told(tmp_path: Path) -> None:
    audit = lay(tmp_path, None)
    assert rows(audit)["complete"].state == "told"
    decision = approve(audit)
    assert {b.what: b.digest for b in decision.bound}["policy"] == "none"


@pytest.mark.parametrize(("plan", "refused"), [
    ({"profile": "quick", "samples": 1000}, True),
    ({"profile": "standard", "samples": 249}, True),
    ({"profile": "standard", "samples": 250}, False),
    ({}, False),
])  # fmt: skip
def test_a_smoke_run_cannot_be_approved(passing: Audit, plan: dict[str, Any], refused: bool) -> None:
    rewrite(passing, lambda d: d.model_copy(update={"plan": plan}))
    assert (rows(passing)["smoke"].state == "unmet") is refused


def test_a_small_reference_or_a_subject_of_samples_alone_is_no_smoke_run(passing: Audit) -> None:
    few = {"profile": "standard", "samples": 100}
    small = load_document(passing.folder).reference.splits["test"].model_copy(update={"n": 100})
    rewrite(
        passing,
        lambda d: d.model_copy(
            update={"plan": few, "reference": d.reference.model_copy(update={"splits": {"test": small}})}
        ),
    )
    assert rows(passing)["smoke"].state == "met"
    rewrite(passing, lambda d: d.model_copy(update={"plan": {**few, "samples": 20}}))
    assert rows(passing)["smoke"].state == "unmet"
    alone = {"has_generator": False}
    rewrite(passing, lambda d: d.model_copy(update={"subject": d.subject.model_copy(update=alone)}))
    assert rows(passing)["smoke"].state == "met"


def test_fewer_samples_than_a_gate_asks_for_are_a_smoke_run(tmp_path: Path) -> None:
    gate = Gate(id="quality", measure="frechet-distance/fd", limit=12.0, min_n=2000, level="info")
    audit = lay(tmp_path, Policy(gate=[gate]))
    assert "n = 1000, its min_n is 2000" in rows(audit)["smoke"].found


def test_a_verdict_that_the_numbers_do_not_give_is_told(failing: Audit) -> None:
    def lie(document: AuditDocument) -> AuditDocument:
        good = [v.model_copy(update={"outcome": "passed", "blocking": False}) for v in document.verdicts]
        return document.model_copy(update={"verdicts": good})

    rewrite(failing, lie)  # with a digest of itself and a page that fit the lie
    found = unmet(failing)
    assert set(found) == {"verdicts"}
    assert "gate 'strict' comes to failed" in found["verdicts"]


def test_a_policy_that_was_softened_after_the_fact_is_told(failing: Audit) -> None:
    def soften(document: AuditDocument) -> AuditDocument:
        assert document.policy is not None
        gates = [{**gate, "limit": 50.0} for gate in document.policy["gate"]]
        return document.model_copy(update={"policy": {**document.policy, "gate": gates}})

    rewrite(failing, soften)
    assert "verdicts" in unmet(failing)


def test_a_document_that_was_edited_is_told_by_its_own_digest(passing: Audit) -> None:
    text = passing.document.read_text("utf-8")
    passing.document.write_text(text.replace('"n": 1000', '"n": 9000'), "utf-8")
    passing.render()
    assert "document" in unmet(passing)


def test_a_document_of_an_early_version_has_no_digest_of_itself(passing: Audit) -> None:
    write_document(load_document(passing.folder).model_copy(update={"integrity": None}), passing.document)
    passing.render()
    assert rows(passing)["document"].state == "told"


def test_a_page_of_another_document_or_an_edited_one_is_told(passing: Audit, failing: Audit) -> None:
    page = passing.folder / "report.html"
    mine = page.read_text("utf-8")
    page.write_text(mine.replace("Passed", "Perfect"), "utf-8")
    assert "byte for byte" in unmet(passing)["report"]
    page.write_bytes((failing.folder / "report.html").read_bytes())
    assert "another document" in unmet(passing)["report"]
    page.write_text("<p>fine</p>")
    assert "does not say" in unmet(passing)["report"]
    page.unlink()
    assert "no report.html" in unmet(passing)["report"]
    page.write_text(mine, "utf-8")
    assert approve(passing).decision == "approve"


def test_samples_that_are_gone_or_changed_are_told(passing: Audit) -> None:
    first, second = sorted((passing.folder / "samples").iterdir())[:2]
    first.unlink()
    second.write_bytes(b"no picture")
    passing.render()
    found = unmet(passing)["samples"]
    assert f"samples/{first.name} is not there" in found
    assert f"samples/{second.name} was changed" in found


def test_weights_that_are_not_the_audited_ones_are_told(passing: Audit) -> None:
    weights = passing.subject / "generator.safetensors"
    weights.write_bytes(b"trained further")
    # The document names the place it was copied from; --subject names the copy.
    for asked in ("approve", "conditions"):
        with pytest.raises(NotSignedError, match=r"not the one that subject\.toml names"):
            sign(passing.folder, Signature("R", asked, "fine"), subject=passing.subject, now=NOW)
    toml = passing.subject / "subject.toml"
    sha = hashlib.sha256(b"trained further").hexdigest()
    old = hashlib.sha256(hashlib.sha512(b"generator").digest() * 40).hexdigest()
    toml.write_text(toml.read_text().replace(old, sha))
    with pytest.raises(NotSignedError, match="was audited"):
        sign(passing.folder, Signature("R", "approve", "fine"), subject=passing.subject, now=NOW)
    weights.unlink()
    with pytest.raises(NotSignedError, match="is not there"):
        sign(passing.folder, Signature("R", "approve", "fine"), subject=passing.subject, now=NOW)
    toml.write_text("no toml")
    with pytest.raises(NotSignedError, match="cannot be read"):
        sign(passing.folder, Signature("R", "approve", "fine"), subject=passing.subject, now=NOW)


def test_other_files_are_bound_as_they_lie_and_that_is_told(passing: Audit, tmp_path: Path) -> None:
    program = tmp_path / "g.pt2"
    program.write_bytes(b"program")
    decision = sign(passing.folder, Signature("R", "approve", "fine"), subject=program, now=NOW)
    assert next(row for row in decision.checklist if row.id == "subject").state == "told"
    assert next(b for b in decision.bound if b.what == "subject files").files == {
        "g.pt2": "sha256:" + hashlib.sha256(b"program").hexdigest()
    }
    assert verify(passing.folder, subject=program, now=NOW).exit_code == 0
    program.write_bytes(b"Program")
    assert verify(passing.folder, subject=program, now=NOW).exit_code == 1


def test_a_failed_self_test_must_be_accepted_knowingly(passing: Audit) -> None:
    def broken(document: AuditDocument) -> AuditDocument:
        tested = document.environment.model_copy(update={"selftest": selftest(passed=False)})
        return document.model_copy(update={"environment": tested})

    rewrite(passing, broken)
    assert set(unmet(passing)) == {"environment"}
    decision = approve(passing, acknowledged=("environment",))
    assert decision.acknowledged == ["environment"]
    with pytest.raises(ConfigError, match="cannot be acknowledged"):
        approve(passing, acknowledged=("samples",))


def with_review(**rules: Any) -> Callable[[AuditDocument], AuditDocument]:
    plan = {"review": {"authors": ["Ada Author"], "approvals": 1, "author_alone": False, **rules}}
    return lambda document: document.model_copy(update={"plan": {**document.plan, **plan}})


def test_an_author_cannot_approve_alone(passing: Audit) -> None:
    rewrite(passing, with_review())
    for name in ("Ada Author", "ada  AUTHOR ", "Ａｄａ Author"):
        assert set(unmet(passing, name)) == {"authors"}
    approve(passing, "Bob")
    assert approve(passing, "Ada Author").decision == "approve"
    assert verify(passing.folder, now=NOW).exit_code == 0


def test_an_author_that_an_early_audit_names_with_something_unseen_cannot_approve_alone_either(passing: Audit) -> None:
    rewrite(passing, with_review(authors=["Ada\u200b Aut\u00adhor"]))
    assert set(unmet(passing, "Ada Author")) == {"authors"}
    assert approve(passing, "Bob").decision == "approve"


@pytest.mark.parametrize(
    "name", ["ada\u200b author", "Ada Author\u2060", "Ada \u202eAuthor", "Ada\x1b[8m", "Ada\nAuthor"]
)
def test_a_name_with_what_nobody_sees_signs_nothing(passing: Audit, failing: Audit, name: str) -> None:
    rewrite(passing, with_review())
    code = next(f"U\\+{ord(c):04X}" for c in name if not c.isprintable())
    with pytest.raises(ConfigError, match=rf"--reviewer .*{code} .* cannot be seen"):
        approve(passing, name)
    with pytest.raises(ConfigError, match=rf"--role .*{code} "):
        approve(passing, "Bob", role=name)
    with pytest.raises(ConfigError, match=rf"--reviewer .*{code} "):
        comment(failing.folder, reviewer=name, text="x")
    assert not (passing.folder / "review.json").exists()


def test_an_author_may_reject_and_may_approve_alone_where_the_plan_says_so(passing: Audit) -> None:
    rewrite(passing, with_review())
    assert sign(passing.folder, Signature("Ada Author", "reject", "no"), now=NOW).decision == "reject"
    rewrite(passing, with_review(author_alone=True))
    approve(passing, "Ada Author")
    assert verify(passing.folder, now=NOW).state == "approved"


def test_as_many_must_approve_as_the_plan_asks_for(passing: Audit) -> None:
    rewrite(passing, with_review(approvals=2))
    approve(passing, "Bob")
    approve(passing, "bob")  # one person counts once
    found = verify(passing.folder, now=NOW)
    assert (found.exit_code, found.state) == (3, "incomplete")
    assert "1 of 2 approvals" in found.words
    approve(passing, "Carl")
    assert verify(passing.folder, now=NOW).exit_code == 0


def test_a_plan_whose_review_rules_make_no_sense_is_told(passing: Audit) -> None:
    rewrite(passing, with_review(approvals=0))
    with pytest.raises(DocumentError, match="review"):
        approve(passing)


@pytest.mark.parametrize(("asked", "words"), [
    (Signature(" ", "approve", "fine"), "--reviewer"),
    (Signature("R" * 201, "approve", "fine"), "at most 200"),
    (Signature("R", "approve", "x" * 20_001), "at most 20000"),
    (Signature("R", "aprove", "fine"), "nearest: approve"),
    (Signature("R", "conditions", "  "), "list the conditions"),
    (Signature("R", "reject", ""), "say why"),
])  # fmt: skip
def test_what_is_no_signature_is_refused_with_words(passing: Audit, asked: Signature, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        sign(passing.folder, asked, now=NOW)
    assert load_review(passing.folder).entries == []


def test_a_comment_needs_a_gate_that_exists_and_a_text(failing: Audit) -> None:
    with pytest.raises(ConfigError, match="nearest: strict"):
        comment(failing.folder, reviewer="R", text="x", gate="strickt")
    with pytest.raises(ConfigError, match="needs its text"):
        comment(failing.folder, reviewer="R", text=" \n")


def test_a_slice_of_a_gate_is_answered_by_its_name_or_that_of_its_gate(tmp_path: Path) -> None:
    family = Gate(id="all", measure="frechet-distance/f*", limit=5.0)
    both = [number(10.0, (9.0, 11.0)), number(9.0, (8.0, 10.0), key="fd-corrected")]
    audit = lay(tmp_path, Policy(gate=[family]), numbers=both)
    names = [v.name for v in load_document(audit.folder).verdicts]
    assert len(names) == 2
    comment(audit.folder, reviewer="R", text="x", gate=names[0], now=NOW)
    assert names[1] in unmet(audit)["gates"]
    comment(audit.folder, reviewer="R", text="x", gate="all", now=NOW)
    assert approve(audit).decision == "approve"


def test_what_was_shown_must_be_what_is_signed(passing: Audit) -> None:
    digest = "sha256:" + hashlib.sha256(passing.document.read_bytes()).hexdigest()
    asked = Signature("R", "approve", "fine")
    first = sign(passing.folder, asked, seen=(None, digest), now=NOW)
    with pytest.raises(StaleError):
        sign(passing.folder, asked, seen=(None, digest), now=NOW)
    sign(passing.folder, asked, seen=(first.digest, digest), now=NOW)
    with pytest.raises(StaleError):
        sign(passing.folder, asked, seen=(load_review(passing.folder).head, f"sha256:{'0' * 64}"), now=NOW)
    assert len(load_review(passing.folder).entries) == 2


def test_threads_that_sign_at_once_wait_for_each_other(passing: Audit) -> None:
    approve(passing)  # the page is rendered once, so that the threads meet at the lock
    names = [f"reviewer {i}" for i in range(12)]
    threads = [threading.Thread(target=approve, args=(passing, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = load_review(passing.folder).entries  # an unbroken chain, or this raises
    assert sorted(e.reviewer for e in entries[1:]) == sorted(names)


_WRITER = """
import sys
from pathlib import Path
from ganaudit.reviewing.signing import comment
for i in range(10):
    comment(Path(sys.argv[1]), reviewer=sys.argv[2], text=str(i))
"""


def test_programs_that_write_at_once_lose_nothing(passing: Audit) -> None:
    at_work = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(passing.folder), name]) for name in ("one", "two", "three")
    ]
    assert [program.wait(120) for program in at_work] == [0, 0, 0]
    comments = load_review(passing.folder).comments
    for name in ("one", "two", "three"):
        assert [c.text for c in comments if c.reviewer == name] == [str(i) for i in range(10)]


def test_no_path_of_this_machine_enters_the_review(passing: Audit) -> None:
    approve(passing)
    sign(passing.folder, Signature("R", "approve", "fine"), subject=passing.subject, now=NOW)
    assert str(passing.subject.parent) not in (passing.folder / "review.json").read_text("utf-8")


def test_a_review_that_was_tampered_with_takes_no_more_entries(passing: Audit) -> None:
    approve(passing)
    path = passing.folder / "review.json"
    path.write_text(path.read_text().replace("fine", "Fine"))
    for write in (lambda: approve(passing), lambda: comment(passing.folder, reviewer="R", text="x")):
        with pytest.raises(DocumentError, match="entry 1 was changed"):
            write()
