"""JSON Schemas of the exported statements, written from the published texts.

in-toto Attestation Framework: Statement v1, ResourceDescriptor, DigestSet v1.1, predicate test-result v0.1.
SLSA v1.1: verification summary. Unknown fields may be there by both parsing rules; here they are refused, since a
field that no reader knows is a misspelt one of ours.
"""

from __future__ import annotations

from typing import Any

URI = {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+$"}
NAMED = ("sha256", "ganauditSubject")
DIGESTS: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "properties": {name: {"type": "string", "pattern": "^[0-9a-f]{64}$"} for name in NAMED},
    "additionalProperties": False,
}
DESCRIPTOR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "uri": URI,
        "digest": DIGESTS,
        "content": {"type": "string", "contentEncoding": "base64"},
        "downloadLocation": URI,
        "mediaType": {"type": "string", "pattern": r"^[\w.+-]+/[\w.+-]+$"},
        "annotations": {"type": "object"},
    },
    "anyOf": [{"required": ["uri"]}, {"required": ["digest"]}, {"required": ["content"]}],
    "additionalProperties": False,
}
NAMES = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
TEST_RESULT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "result": {"enum": ["PASSED", "WARNED", "FAILED"]},
        "configuration": {"type": "array", "items": DESCRIPTOR},
        "url": URI,
        "passedTests": NAMES,
        "warnedTests": NAMES,
        "failedTests": NAMES,
    },
    "required": ["result", "configuration"],
    "additionalProperties": False,
}
LEVEL = {
    "anyOf": [
        {"enum": [f"SLSA_BUILD_LEVEL_{i}" for i in range(4)] + ["FAILED"]},
        {"type": "string", "not": {"pattern": "^SLSA_"}},
    ]
}
SUMMARY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "verifier": {"type": "object", "properties": {"id": URI}, "required": ["id"]},
        "timeVerified": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
        "resourceUri": URI,
        "policy": {**DESCRIPTOR, "required": ["uri"]},
        "inputAttestations": {"type": "array", "items": {**DESCRIPTOR, "required": ["digest"]}},
        "verificationResult": {"enum": ["PASSED", "FAILED"]},
        "verifiedLevels": {"type": "array", "items": LEVEL},
        "dependencyLevels": {"type": "object", "additionalProperties": {"type": "integer"}},
        "slsaVersion": {"type": "string", "pattern": r"^\d+\.\d+$"},
    },
    "required": ["verifier", "timeVerified", "resourceUri", "policy", "verificationResult", "verifiedLevels"],
    "additionalProperties": False,
    "if": {"properties": {"verificationResult": {"const": "FAILED"}}},
    "then": {"properties": {"verifiedLevels": {"const": ["FAILED"]}}},
}


def statement(predicate_type: str, predicate: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a Statement v1 with this predicate."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "_type": {"const": "https://in-toto.io/Statement/v1"},
            "subject": {"type": "array", "minItems": 1, "items": {**DESCRIPTOR, "required": ["digest"]}},
            "predicateType": {"const": predicate_type},
            "predicate": predicate,
        },
        "required": ["_type", "subject", "predicateType", "predicate"],
        "additionalProperties": False,
    }


SCHEMAS = {
    "in-toto": statement("https://in-toto.io/attestation/test-result/v0.1", TEST_RESULT),
    "vsa": statement("https://slsa.dev/verification_summary/v1", SUMMARY),
}
