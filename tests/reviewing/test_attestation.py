"""Exports: statements as the specifications have them, that say no more than what was verified."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ganaudit.document.errors import ConfigError, DocumentError
from ganaudit.document.files import load_document
from ganaudit.document.gates import Gate, Policy
from ganaudit.reviewing.attestation import statement
from ganaudit.reviewing.signing import Signature, comment, sign
from ganaudit.reviewing.verifying import verify
from tests.reviewing.conftest import NOW, Audit, audited, lay, waiver
from tests.reviewing.specifications import SCHEMAS


def exported(audit: Audit, form: Any, decision: Any = "approve", **more: str) -> dict[str, Any]:
    sign(audit.folder, Signature("R", decision, "fine"), subject=audit.subject, now=NOW)
    found = verify(audit.folder, subject=audit.subject, now=NOW)
    made = statement(audit.folder, found, form, now=NOW, **more)
    jsonschema.Draft202012Validator(SCHEMAS[form]).validate(made)
    return made


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def answered(audit: Audit) -> Audit:
    for gate in ("strict", "near"):
        comment(audit.folder, reviewer="R", text="known", gate=gate, now=NOW)
    return audit


@pytest.mark.parametrize("form", SCHEMAS)
def test_the_schema_itself_is_one_and_refuses_what_is_wrong(passing: Audit, form: str) -> None:
    validator = jsonschema.Draft202012Validator
    validator.check_schema(SCHEMAS[form])
    made = exported(passing, form)
    for spoilt in (
        {k: v for k, v in made.items() if k != "subject"},
        {**made, "predicateType": "https://example.com"},
        {**made, "subject": [{"name": "x"}]},
        {**made, "predicate": {**made["predicate"], "result": "OK", "verificationResult": "OK"}},
    ):
        assert not validator(SCHEMAS[form]).is_valid(spoilt)


def test_the_subjects_are_the_files_with_the_sha256_of_their_bytes(passing: Audit) -> None:
    made = exported(passing, "in-toto")
    files = {s["name"]: s["digest"]["sha256"] for s in made["subject"] if "sha256" in s["digest"]}
    assert files == {path.name: sha256(path) for path in passing.subject.iterdir()}
    own = [s for s in made["subject"] if "ganauditSubject" in s["digest"]]
    assert [f"sha256:{s['digest']['ganauditSubject']}" for s in own] == [load_document(passing.folder).subject.digest]
    named = {c["name"]: c["digest"]["sha256"] for c in made["predicate"]["configuration"]}
    for name in ("document.json", "report.html", "review.json"):
        assert named[name] == sha256(passing.folder / name)


def test_tests_are_the_gates_and_the_review(failing: Audit) -> None:
    predicate = exported(answered(failing), "in-toto")["predicate"]
    assert predicate["passedTests"] == ["gate/quality", "review"]
    assert predicate["warnedTests"] == ["gate/near"]
    assert predicate["failedTests"] == ["gate/strict"]
    assert predicate["result"] == "FAILED"


@pytest.mark.parametrize(
    ("decision", "result"), [("approve", "PASSED"), ("conditions", "WARNED"), ("reject", "FAILED")]
)
def test_the_result_is_that_of_gates_and_decision(passing: Audit, decision: str, result: str) -> None:
    assert exported(passing, "in-toto", decision)["predicate"]["result"] == result


def test_a_waived_gate_is_a_warning(tmp_path: Path) -> None:
    audit = lay(tmp_path, None)
    digest = load_document(audit.folder).subject.digest
    strict = Gate(id="strict", measure="frechet-distance/fd", limit=5.0)
    audit.write(audited(digest, audit.subject, Policy(gate=[strict], waiver=[waiver(digest, date(2030, 1, 1))])))
    assert exported(audit, "in-toto")["predicate"]["warnedTests"] == ["gate/strict"]


def test_a_summary_names_policy_and_review_by_their_digests(passing: Audit) -> None:
    predicate = exported(passing, "vsa", verifier="https://example.com/board", resource="https://example.com/blobs")[
        "predicate"
    ]
    assert predicate["verifier"] == {"id": "https://example.com/board"}
    assert predicate["resourceUri"] == "https://example.com/blobs"
    assert predicate["timeVerified"] == "2026-12-01T09:00:00Z"
    assert predicate["verificationResult"] == "PASSED"
    assert predicate["verifiedLevels"] == ["GANAUDIT_APPROVED"]
    assert predicate["inputAttestations"][0]["digest"]["sha256"] == sha256(passing.folder / "review.json")
    conditions = exported(passing, "vsa", "conditions")["predicate"]
    assert conditions["verifiedLevels"] == ["GANAUDIT_APPROVED_WITH_CONDITIONS"]


def test_names_by_digest_are_those_of_rfc_6920(passing: Audit) -> None:
    import base64

    predicate = exported(passing, "vsa")["predicate"]
    scheme, _, value = predicate["policy"]["uri"].partition(";")
    assert scheme == "ni:///sha-256"
    assert "=" not in value
    raw = base64.b64decode(value.replace("-", "+").replace("_", "/") + "=")
    assert raw.hex() == predicate["policy"]["digest"]["sha256"]


def test_an_approval_in_spite_of_a_failed_gate_does_not_meet_the_policy(failing: Audit) -> None:
    predicate = exported(answered(failing), "vsa")["predicate"]
    assert (predicate["verificationResult"], predicate["verifiedLevels"]) == ("FAILED", ["FAILED"])


def test_a_rejection_fails_the_summary(passing: Audit) -> None:
    assert exported(passing, "vsa", "reject")["predicate"]["verificationResult"] == "FAILED"


def test_an_audit_without_a_policy_has_no_summary(tmp_path: Path) -> None:
    audit = lay(tmp_path, None)
    assert exported(audit, "in-toto")["predicate"]["passedTests"] == ["review"]
    with pytest.raises(ConfigError, match="no policy judged this audit"):
        exported(audit, "vsa")


def test_a_subject_whose_digest_is_none_is_told(passing: Audit) -> None:
    made = load_document(passing.folder)
    passing.write(made.model_copy(update={"subject": made.subject.model_copy(update={"digest": "sha256:<script>"})}))
    with pytest.raises(DocumentError, match="no sha256"):
        exported(passing, "in-toto", "reject")
