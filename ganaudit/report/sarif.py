"""Verdicts as SARIF 2.1.0: gates are rules, verdicts results, waivers suppressions, at the lines of the policy.

Source: OASIS Standard "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", 27 March 2020.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ganaudit.document.baselines import Baseline, content_digest
from ganaudit.document.gates import Gate, Verdict
from ganaudit.document.model import AuditDocument
from ganaudit.report.judged import Judged
from ganaudit.report.summary import broken, summarise
from ganaudit.report.words import count, plain

__all__ = ["MOST_RESULTS", "SCHEMA_ADDRESS", "render_sarif"]

SCHEMA_ADDRESS = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS = 5_000
"""Results that GitHub shows; more are left out here, the mildest first, and counted."""
_LEVELS = {"error": "error", "warn": "warning", "info": "note"}
_LONGEST = 2_000
# One name for all audits: which of two runs is which is told by the digest that it is joined with.
_NAMESPACE = uuid.UUID("5e9f2c1e-5d0a-5b7f-9a3c-0d1f6b8e7a41")


def render_sarif(judged: Judged) -> str:
    """Return the verdicts as a SARIF log of one run, equal for equal input.

    Kinds: passed is ``pass``, failed and waived ``fail`` at the gate's level, missing ``notApplicable``, inconclusive
    ``open`` where it is known how many samples would decide and ``review`` else. SARIF gives a level to ``fail`` alone;
    whatever else blocks is a notification of level error as well. A waived result has an accepted suppression; an
    expired waiver gives none. Where a baseline was given every result says whether it is new, unchanged or updated:
    by its outcome where the baseline is a judged audit, by its value where it is a file of accepted numbers; gates
    that only the judged audit was asked are absent. A fingerprint is of gate, slice and measure alone.
    """
    summary = summarise(judged.document)
    verdicts = [*summary.open, *summary.settled]
    results = [_result(v, judged) for v in verdicts] + [_absent(v, judged) for v in _gone(judged)]
    run = {
        "tool": {"driver": _driver(judged)},
        "automationDetails": {"id": "ganaudit/", "guid": _guid(content_digest(judged.document))},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(judged, len(results) - MOST_RESULTS)],
        "results": results[:MOST_RESULTS],
        "properties": {
            "subject": plain(judged.document.subject.digest, _LONGEST),
            "reference": plain(judged.document.reference.digest, _LONGEST),
            "comparability": plain(judged.document.comparability.digest, _LONGEST),
        },
    }
    before = _digest_of(judged.baseline)
    if before is not None:
        run["baselineGuid"] = _guid(before)
    log = {"$schema": SCHEMA_ADDRESS, "version": "2.1.0", "runs": [run]}
    # A viewer may lay the text into a page as it stands: no tag begins in it.
    return json.dumps(log, indent=2, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c") + "\n"


def _driver(judged: Judged) -> dict[str, Any]:
    version = judged.document.environment.ganaudit
    gates = (judged.document.policy or {}).get("gate", [])
    rules = [_rule(gate) for gate in gates if isinstance(gate, Mapping)]
    return {"name": "ganaudit", "version": plain(version, 100), "rules": rules}


def _rule(gate: Mapping[str, Any]) -> dict[str, Any]:
    usual = {key: field.get_default(call_default_factory=True) for key, field in Gate.model_fields.items()}
    asked = {key: value for key, value in gate.items() if value != usual.get(key) and key != "id"}
    told = ", ".join(f"{key} = {json.dumps(value)}" for key, value in asked.items())
    return {
        "id": plain(str(gate.get("id")), _LONGEST),
        "shortDescription": {"text": _message(f"A demand on {gate.get('measure')}")},
        "fullDescription": {"text": _message(told)},
        "defaultConfiguration": {"level": _LEVELS.get(str(gate.get("level")), "error")},
        "help": {"text": _message("Limits stand in the policy. A gate passes when the whole interval is on its side.")},
    }


def _result(verdict: Verdict, judged: Judged) -> dict[str, Any]:
    kind = _kind(verdict)
    result = {
        "ruleId": plain(verdict.gate, _LONGEST),
        "kind": kind,
        "level": _LEVELS[verdict.level] if kind == "fail" else "none",
        "message": {"text": _message(f"{verdict.name} ({verdict.measure}) {verdict.outcome}: {verdict.message}")},
        "locations": [_location(verdict, judged)],
        "partialFingerprints": _fingerprints(verdict),
        "properties": _numbers(verdict),
    }
    if judged.baseline is not None:
        result["baselineState"] = _state(verdict, judged.baseline)
    if verdict.waiver is not None:
        waiver = verdict.waiver
        words = f"{waiver.reason}; {waiver.owner}, until {waiver.expires.isoformat()}, up to {waiver.ceiling:g}"
        suppression = {"kind": "external", "status": "accepted", "justification": plain(words, _LONGEST)}
        result["suppressions"] = [suppression]
    else:
        result["suppressions"] = []
    return result


def _kind(verdict: Verdict) -> str:
    if verdict.outcome == "inconclusive":
        return "open" if verdict.n_needed else "review"
    return {"passed": "pass", "failed": "fail", "waived": "fail", "missing": "notApplicable"}[verdict.outcome]


def _location(verdict: Verdict, judged: Judged) -> dict[str, Any]:
    evaluator = verdict.measure.partition("/")[0]
    logical = {"name": plain(evaluator, 200), "fullyQualifiedName": plain(verdict.measure, _LONGEST), "kind": "member"}
    location: dict[str, Any] = {"logicalLocations": [logical]}
    if judged.policy.file is not None:
        artifact = {"uri": quote(judged.policy.file.encode("utf-8", "surrogateescape")), "uriBaseId": "%SRCROOT%"}
        location["physicalLocation"] = {
            "artifactLocation": artifact,
            "region": {"startLine": judged.policy.lines.get(verdict.gate, 1)},
        }
    return location


def _fingerprints(verdict: Verdict) -> dict[str, str]:
    named = json.dumps([verdict.gate, verdict.slice, verdict.measure], ensure_ascii=True)
    digest = hashlib.sha256(named.encode()).hexdigest()
    return {"ganauditGate/v1": digest, "primaryLocationLineHash": f"{digest[:16]}:1"}


def _numbers(verdict: Verdict) -> dict[str, Any]:
    fields = ("value", "low", "high", "limit", "n", "n_needed", "held", "anchor", "direction", "outcome", "blocking")
    return {field: value for field in fields if (value := getattr(verdict, field)) is not None}


def _state(verdict: Verdict, baseline: AuditDocument | Baseline) -> str:
    """Return new, unchanged or updated: by outcome where the baseline was judged, else by value."""
    now: Any
    before: Any
    if isinstance(baseline, AuditDocument) and baseline.verdicts:
        before, now = next((v.outcome for v in baseline.verdicts if _same(v, verdict)), None), verdict.outcome
    else:
        held = baseline.last if isinstance(baseline, Baseline) else baseline
        number = None if held is None else held.measurement(verdict.measure)
        before, now = (None if number is None else number.value), verdict.value
    if before is None:
        return "new"
    return "unchanged" if before == now else "updated"


def _same(one: Verdict, other: Verdict) -> bool:
    return (one.gate, one.slice, one.measure) == (other.gate, other.slice, other.measure)


def _gone(judged: Judged) -> list[Verdict]:
    before = judged.baseline.verdicts if isinstance(judged.baseline, AuditDocument) else []
    asked = {(v.gate, v.slice, v.measure) for v in judged.document.verdicts}
    return [v for v in before if (v.gate, v.slice, v.measure) not in asked]


def _absent(verdict: Verdict, judged: Judged) -> dict[str, Any]:
    result = _result(verdict, judged)
    del result["locations"]  # the gate is no more in the policy
    text = f"{verdict.name} ({verdict.measure}) is no longer asked; in the baseline it was {verdict.outcome}"
    # What is gone is no finding of this run: readers that know no baseline states must not show one.
    kept = {"message": {"text": _message(text)}, "kind": "informational", "level": "none", "suppressions": []}
    return {**result, **kept, "baselineState": "absent"}


def _invocation(judged: Judged, left_out: int) -> dict[str, Any]:
    document = judged.document
    told = [
        ("error", f"{v.name} ({v.measure}) {v.outcome} and blocks: {v.message}")
        for v in summarise(document).open
        if v.blocking and v.outcome != "failed"
    ]
    told += [("error", f"{r.evaluator} {r.status.replace('_', ' ')}: {r.reason}") for r in broken(document)]
    told += [("warning", remark) for remark in document.remarks]
    if left_out > 0:
        told.insert(0, ("warning", f"{count(left_out)} results were left out here; all are in document.json"))
    return {
        # 3 is an audit that could not answer; a gate that failed is an answer.
        "executionSuccessful": judged.exit_code in (0, 1),
        "exitCode": judged.exit_code,
        "exitCodeDescription": plain(judged.words, _LONGEST),
        "toolExecutionNotifications": [
            {"level": level, "message": {"text": _message(text)}} for level, text in told[:MOST_RESULTS]
        ],
    }


def _digest_of(baseline: AuditDocument | Baseline | None) -> str | None:
    if isinstance(baseline, Baseline):
        return baseline.last.document if baseline.last else None
    return None if baseline is None else content_digest(baseline)


def _guid(digest: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, digest))


def _message(text: str) -> str:
    """Return plain text of a message: braces would be placeholders, a bracket before a parenthesis a link."""
    return plain(text, _LONGEST).replace("{", "{{").replace("}", "}}").replace("](", "] (")
