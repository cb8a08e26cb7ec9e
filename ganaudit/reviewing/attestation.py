"""Exports a review for others' tools: in-toto's test result, SLSA's verification summary; statements, not yet signed.

Sources: in-toto Attestation Framework, Statement v1 and predicate test-result v0.1; SLSA v1.1, verification summary.
Digests of files are ``sha256``. The subject's own digest is over its spec and weights, not over a file, so it goes by
a name of its own, ``ganauditSubject``. What has no address is named by its digest (RFC 6920, ``ni:``).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import ganaudit
from ganaudit.document.digests import file_digest
from ganaudit.document.errors import ConfigError, DocumentError
from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument
from ganaudit.report.summary import summarise
from ganaudit.reviewing.binding import NONE, digest_of
from ganaudit.reviewing.folder import load_audit, review_path
from ganaudit.reviewing.record import Bound
from ganaudit.reviewing.verifying import Verification

__all__ = ["STATEMENT", "TEST_RESULT", "VERIFICATION_SUMMARY", "Format", "statement"]

STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
VERIFICATION_SUMMARY = "https://slsa.dev/verification_summary/v1"
Format = Literal["in-toto", "vsa"]
_SLSA = "1.1"


def statement(
    folder: Path,
    verified: Verification,
    format: Format,
    *,
    verifier: str | None = None,
    resource: str | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Return the statement of a review that stands, approved or rejected.

    ``verifier`` is the address of who answers for it, ``resource`` that of what the subject is used as; both only for a
    verification summary. Raises ConfigError for a summary of an audit that no policy judged.
    """
    assert verified.stands, "only a review that stands can be exported"
    document, _ = load_audit(folder)
    if not re.fullmatch("sha256:[0-9a-f]{64}", document.subject.digest):
        raise DocumentError(f"review {folder}: the subject's digest is {document.subject.digest!r}, which is no sha256")
    bound = verified.stands[-1].bound
    if format == "in-toto":
        kind, predicate = TEST_RESULT, _test_result(folder, document, verified, bound)
    else:
        when = (now or datetime.now(UTC)).astimezone(UTC)
        kind = VERIFICATION_SUMMARY
        predicate = _summary(folder, document, verified, bound, verifier, resource, when)
    return {"_type": STATEMENT, "subject": _subject(document, bound), "predicateType": kind, "predicate": predicate}


def _subject(document: AuditDocument, bound: Sequence[Bound]) -> list[dict[str, Any]]:
    files = next((one.files for one in bound if one.what == "subject files"), {})
    named = [{"name": name, "digest": {"sha256": _hex(digest)}} for name, digest in files.items()]
    return [*named, {"name": document.subject.name, "digest": {"ganauditSubject": _hex(document.subject.digest)}}]


def _test_result(
    folder: Path, document: AuditDocument, verified: Verification, bound: Sequence[Bound]
) -> dict[str, Any]:
    tests: dict[str, list[str]] = {"passed": [], "warned": [], "failed": []}
    for verdict in document.verdicts:
        tests[_outcome(verdict)].append(f"gate/{verdict.name}")
    review = {"approved": "passed", "approved with conditions": "warned"}.get(verified.state, "failed")
    tests[review].append("review")
    result = "FAILED" if tests["failed"] else "WARNED" if tests["warned"] else "PASSED"
    return {
        "result": result,
        "configuration": _configuration(folder, bound),
        "passedTests": tests["passed"],
        "warnedTests": tests["warned"],
        "failedTests": tests["failed"],
    }


def _outcome(verdict: Verdict) -> str:
    if verdict.outcome == "passed":
        return "passed"
    return "failed" if verdict.blocking else "warned"


def _configuration(folder: Path, bound: Sequence[Bound]) -> list[dict[str, Any]]:
    """Return descriptors of what the result rests on: the policy, the document with the plan, report and review."""
    named = [("policy", "policy", "application/json"), ("document.json", "document", "application/json")]
    named += [("report.html", "report", "text/html")]
    found = [
        {"name": name, "digest": {"sha256": _hex(digest_of(bound, what))}, "mediaType": media}
        for name, what, media in named
        if digest_of(bound, what) != NONE
    ]
    return [*found, _review(folder)]


def _review(folder: Path) -> dict[str, Any]:
    digest = file_digest(review_path(folder))
    return {"name": "review.json", "digest": {"sha256": _hex(digest)}, "mediaType": "application/json"}


def _summary(
    folder: Path,
    document: AuditDocument,
    verified: Verification,
    bound: Sequence[Bound],
    verifier: str | None,
    resource: str | None,
    when: datetime,
) -> dict[str, Any]:
    policy = digest_of(bound, "policy")
    if policy == NONE:
        raise ConfigError(
            "--format vsa: a verification summary says that a policy is met, and no policy judged this audit; "
            "audit again with --policy FILE, or export --format in-toto"
        )
    # A reviewer may approve in spite of a failed gate; the policy is not met by that.
    passed = verified.exit_code == 0 and summarise(document).outcome == "passed"
    conditions = verified.state == "approved with conditions"
    level = "GANAUDIT_APPROVED_WITH_CONDITIONS" if conditions else "GANAUDIT_APPROVED"
    review = _review(folder)
    return {
        "verifier": {"id": verifier or f"pkg:generic/ganaudit@{ganaudit.__version__}"},
        "timeVerified": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resourceUri": resource or _ni(document.subject.digest),
        "policy": {"uri": _ni(policy), "digest": {"sha256": _hex(policy)}},
        "inputAttestations": [{"uri": _ni(f"sha256:{review['digest']['sha256']}"), "digest": review["digest"]}],
        "verificationResult": "PASSED" if passed else "FAILED",
        "verifiedLevels": [level] if passed else ["FAILED"],
        "slsaVersion": _SLSA,
    }


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _ni(digest: str) -> str:
    """Return the name of what has this digest, after RFC 6920: the hash in base64url without padding."""
    return f"ni:///sha-256;{base64.urlsafe_b64encode(bytes.fromhex(_hex(digest))).decode().rstrip('=')}"
