"""The file of a policy under review: found again, held against what judged, bound by its bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ganaudit.document.digests import file_digest
from ganaudit.document.errors import ConfigError
from ganaudit.document.files import dumps, load_document
from ganaudit.document.policy import load_policy
from ganaudit.document.policy_files import policy_digest, policy_file
from ganaudit.document.redaction import Private, as_told, redacted_values
from ganaudit.document.repeats import steady
from ganaudit.reviewing.signing import NotSignedError, Signature, sign
from ganaudit.reviewing.verifying import verify

from .conftest import GOOD, NOW, Audit, audited, lay

TOML = """# limits of the board
fail_on = "error"

[[gate]]
id = "quality"
measure = "frechet-distance/fd"
limit = 12.0
"""


@pytest.fixture
def judged(tmp_path: Path) -> Audit:
    """An audit in ``project/reports`` that the file ``project/policy.toml`` judged."""
    return by_file(tmp_path / "project", TOML)


def by_file(project: Path, text: str, name: str = "policy.toml") -> Audit:
    project.mkdir(parents=True)
    file = project / name
    file.write_text(text)
    audit = lay(project / "reports", load_policy(file))
    document = load_document(audit.folder)
    known = document.environment.model_copy(update={"policy_file": policy_file(file, audit.folder)})
    audit.write(document.model_copy(update={"environment": known}))
    return audit


def file_of(audit: Audit, name: str = "policy.toml") -> Path:
    return audit.folder.parent.parent / name


def signed(audit: Audit, decision: str = "approve", policy: Path | None = None):
    return sign(audit.folder, Signature("Ada", decision, "seen"), policy=policy, now=NOW)  # type: ignore[arg-type]


def checked(audit: Audit, policy: Path | None = None):
    return verify(audit.folder, policy=policy, now=NOW)


def test_the_file_that_judged_is_found_bound_and_told(judged: Audit) -> None:
    entry = signed(judged)
    (bound,) = [b for b in entry.bound if b.what == "policy file"]
    assert (bound.digest, list(bound.files)) == (file_digest(file_of(judged)), ["policy.toml"])
    (row,) = [r for r in entry.checklist if r.id == "policy"]
    assert (row.state, row.found) == ("met", "policy.toml is the file that judged, digest for digest")
    found = checked(judged)
    assert (found.exit_code, found.state) == (0, "approved")
    assert found.told == ("policy: policy.toml is the file that judged, digest for digest",)


def test_one_byte_of_the_file_voids_the_signature_and_names_it(judged: Audit) -> None:
    signed(judged)
    was = file_digest(file_of(judged))
    file_of(judged).write_text(TOML.replace("board", "Board"))  # in a comment: every gate is the same
    found = checked(judged)
    assert (found.exit_code, found.state) == (1, "void")
    assert found.problems == (
        f"policy file changed: policy.toml: {was} was signed, {file_digest(file_of(judged))} lies there now",
    )
    # It comes to the policy that judged, so it may be signed again as it is now.
    signed(judged)
    assert checked(judged).exit_code == 0


def test_a_file_that_is_gone_is_told_and_voids_nothing(judged: Audit) -> None:
    signed(judged)
    file_of(judged).unlink()
    found = checked(judged)
    assert (found.exit_code, found.words) == (0, "approved by Ada; nothing changed since")
    assert found.told[0].startswith("policy file bound and not at hand: policy.toml lies neither where the audit found")
    assert found.told[0].endswith("--policy FILE says where")
    assert "stands in the document" in found.told[1]


def test_a_file_that_turns_up_changed_voids_though_it_was_never_bound(judged: Audit) -> None:
    file_of(judged).unlink()
    entry = signed(judged)
    assert [r.state for r in entry.checklist if r.id == "policy"] == ["told"]
    assert [b.digest for b in entry.bound if b.what == "policy file"] == ["none"]
    file_of(judged).write_text(TOML.replace("12.0", "14.0") + 'level = "warn"\n')
    found = checked(judged)
    assert (found.exit_code, found.state) == (1, "void")
    assert found.problems == (
        "policy changed: policy.toml is not the policy that judged: gate.quality.limit is 14.0, 12.0 judged; "
        "gate.quality.level is 'warn', 'error' judged",
    )
    file_of(judged).write_text(TOML)
    assert checked(judged).exit_code == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[gate", "policy.toml is no policy any more: not valid TOML"),
        (TOML + 'colour = "red"\n', "policy.toml is no policy any more: gate.0.colour: unknown key"),
        ("", "policy.toml is not the policy that judged: gate"),
    ],
)
def test_a_file_that_is_no_such_policy_voids(judged: Audit, text: str, told: str) -> None:
    file_of(judged).unlink()
    signed(judged)
    file_of(judged).write_text(text)
    found = checked(judged)
    assert found.exit_code == 1
    assert told in found.problems[0]


def test_an_approval_beside_a_changed_file_is_refused_and_a_rejection_is_not(judged: Audit) -> None:
    file_of(judged).write_text(TOML.replace("12.0", "14.0"))
    with pytest.raises(NotSignedError) as refused:
        signed(judged)
    (row,) = refused.value.rows
    assert (row.id, row.state) == ("policy", "unmet")
    assert "gate.quality.limit is 14.0, 12.0 judged" in row.found
    assert "--policy FILE" in row.todo
    assert signed(judged, "reject").number == 1


def test_the_file_may_lie_elsewhere_and_be_given(judged: Audit, tmp_path: Path) -> None:
    moved = tmp_path / "kept.toml"
    shutil.move(file_of(judged), moved)
    signed(judged, policy=moved)
    found = checked(judged, moved)
    assert (found.exit_code, found.told) == (0, ("policy: kept.toml is the file that judged, digest for digest",))
    other = tmp_path / "other.toml"
    other.write_text(TOML.replace("12.0", "11.5"))
    found = checked(judged, other)
    assert (found.exit_code, found.void[1][0].partition(": ")[0]) == (1, "policy file changed")
    assert "other.toml" in found.problems[0]
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such file"):
        checked(judged, tmp_path / "nowhere.toml")


def test_a_copy_beside_the_audit_will_do(judged: Audit) -> None:
    shutil.move(file_of(judged), judged.folder / "policy.toml")
    signed(judged)
    assert checked(judged).told == ("policy: policy.toml is the file that judged, digest for digest",)
    (judged.folder / "policy.toml").write_text(TOML.replace("12.0", "12.5"))
    assert checked(judged).exit_code == 1


def test_a_whole_project_may_move(judged: Audit, tmp_path: Path) -> None:
    project = judged.folder.parent.parent
    assert load_document(judged.folder).environment.policy_file.name == "../../policy.toml"
    shutil.move(project, tmp_path / "elsewhere")
    moved = Audit(tmp_path / "elsewhere" / "reports" / "audit", tmp_path / "elsewhere" / "reports" / "subject")
    entry = sign(moved.folder, Signature("Ada", "approve", "seen"), subject=moved.subject, now=NOW)
    assert [r.state for r in entry.checklist if r.id == "policy"] == ["met"]


def test_a_pyproject_counts_by_the_policy_in_it(tmp_path: Path) -> None:
    table = TOML.replace('fail_on = "error"\n', '[tool.ganaudit]\nfail_on = "error"\n').replace(
        "[[gate", "[[tool.ganaudit.gate"
    )
    audit = by_file(tmp_path / "project", table, "pyproject.toml")
    signed(audit)
    file_of(audit, "pyproject.toml").write_text('[project]\nname = "x"\n' + table)
    found = checked(audit)
    assert (found.exit_code, found.told) == (0, ("policy: pyproject.toml is the file that judged, digest for digest",))
    file_of(audit, "pyproject.toml").write_text(table.replace("12.0", "13.0"))
    found = checked(audit)
    assert (found.exit_code, "policy file changed: pyproject.toml" in found.problems[0]) == (1, True)


def test_an_audit_without_a_policy_or_by_a_preset_has_no_file(tmp_path: Path) -> None:
    bare = lay(tmp_path / "bare", None)
    signed(bare)
    assert checked(bare).told == ()
    (tmp_path / "p.toml").write_text(TOML)
    with pytest.raises(ConfigError, match=r"p\.toml: no policy judged this audit"):
        checked(bare, tmp_path / "p.toml")
    assert policy_file(Path("standard"), bare.folder) is None


def test_a_preset_may_be_given_as_the_policy(tmp_path: Path) -> None:
    """Its name is no file; it is held against the policy in the document all the same."""
    audit = lay(tmp_path / "a", load_policy(Path("smoke")).model_copy(update={"gate": [GOOD]}))
    signed(audit, "reject")
    found = checked(audit, Path("smoke"))
    assert "policy changed: smoke is not the policy that judged: gate.quality" in found.problems[0]


def test_an_audit_of_before_names_no_file_and_one_can_be_given(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(TOML)
    audit = lay(tmp_path / "old", load_policy(file))
    assert "policy_file" not in (audit.folder / "document.json").read_text()
    signed(audit)
    assert "--policy FILE holds one against it" in checked(audit).told[0]
    assert checked(audit, file).told == ("policy: policy.toml comes to the policy that judged",)
    file.write_text(TOML.replace("12.0", "14.0"))
    found = checked(audit, file)
    assert (found.exit_code, "gate.quality.limit is 14.0, 12.0 judged" in found.problems[0]) == (1, True)


def test_what_was_withheld_from_the_document_is_no_change(tmp_path: Path) -> None:
    """The policy in a document has no user names; on another machine nobody knows which they were."""
    text = TOML + (
        '[[waiver]]\ngate = "quality"\nsubject = "s"\nceiling = 20.0\nreason = "see /home/ada/why.txt"\nowner = "ada"\n'
        "expires = 2027-03-01\n"
    )
    audit = by_file(tmp_path / "project", text)
    policy = load_policy(file_of(audit))
    there = redacted_values(policy.model_dump(mode="json"), Private("/home/ada", "ada", "box"))
    assert (there["waiver"][0]["owner"], there["waiver"][0]["reason"]) == ("(user)", "see ~/why.txt")
    document = load_document(audit.folder)
    audit.write(document.model_copy(update={"policy": there}))
    signed(audit)
    assert checked(audit).exit_code == 0
    file_of(audit).write_text(text.replace("why.txt", "because.txt"))
    found = checked(audit, file_of(audit))
    assert found.exit_code == 1


def test_a_stand_in_stands_for_something_and_for_nothing_else() -> None:
    assert as_told("(user) and ~/x", "ada and /home/ada/x") == "(user) and ~/x"
    for found in ("ada and /home/ada/y", "and /home/ada/x", "ada"):
        assert as_told("(user) and ~/x", found) == found
    assert as_told({"a": ["(host)", 1]}, {"a": ["box", 2], "b": "c"}) == {"a": ["(host)", 2], "b": "c"}


def test_a_file_is_named_from_the_audit_unless_they_share_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    file, apart = home / "project" / "policy.toml", home / "other" / "reports"
    file.parent.mkdir(parents=True)
    file.write_text(TOML)
    monkeypatch.setenv("HOME", str(home))
    assert policy_file(file, home / "project" / "reports" / "a").name == "../../policy.toml"
    found = policy_file(file, apart)
    assert found.name == "~/project/policy.toml"
    assert found.places(apart) == [file, apart / "policy.toml"]


def test_a_later_version_that_knows_more_keys_finds_the_same_digest(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.ganaudit]\nfail_on = "warn"\n')
    before = policy_digest(file)
    file.write_text('[tool.ganaudit]\nfail_on = "warn"\non_inconclusive = "error"\n')  # the default, spelt out
    assert policy_digest(file) == before


def test_where_the_policy_lay_is_no_difference_of_two_audits(judged: Audit, tmp_path: Path) -> None:
    document = load_document(judged.folder)
    known = document.environment
    other = known.policy_file.model_copy(update={"name": "elsewhere.toml", "digest": f"sha256:{'0' * 64}"})
    moved = document.model_copy(update={"environment": known.model_copy(update={"policy_file": other})})
    from ganaudit.document.comparison import compare

    assert steady(json.loads(dumps(document))) == steady(json.loads(dumps(moved)))
    assert compare(document, moved).empty
    assert not compare(
        document, audited(document.subject.digest, judged.subject, load_policy(file_of(judged)))
    ).differences
