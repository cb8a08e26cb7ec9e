"""JSON Schemas of the files a user meets."""

from __future__ import annotations

from typing import Any

from ganaudit.document.gates import Policy
from ganaudit.document.model import AuditDocument

__all__ = ["document_schema", "policy_schema"]


def document_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``document.json``."""
    return AuditDocument.model_json_schema(by_alias=True, mode="serialization")


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file."""
    return Policy.model_json_schema()
