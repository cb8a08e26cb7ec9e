"""Reads audit documents, of this schema strictly and of newer ones as far as they can be read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganaudit.document.errors import ConfigError, DocumentError
from ganaudit.document.gates import Policy
from ganaudit.document.model import SCHEMA, AuditDocument
from ganaudit.document.policy import parse_policy, problems_of
from ganaudit.linting.claim import Audited, Claim, Oddity, Sheet

__all__ = ["is_document", "read_document"]

_PREFIX = "ganaudit.document/"
_KEYS = {
    "fd": "fd", "fd-infinity": "fd-infinity", "kd": "kid", "is": "is", "precision": "precision", "recall": "recall",
    "density": "density", "coverage": "coverage", "vendi": "vendi", "authenticity": "authenticity", "ct": "ct",
    "auc": "auc", "membership-auc": "auc", "eer": "eer", "average-precision": "ap", "ece": "ece", "brier": "brier",
    "parameters": "parameters", "flops": "flops", "training-step-flops": "step-flops", "accuracy": "accuracy",
}  # fmt: skip
"""Our keys by the metrics of the field."""
_AT_BUDGET = re.compile(r"(?:[a-z]+-)*(?:robust-accuracy|false-alarm-robustness)-at-([\d.]+)")


def is_document(data: Any) -> bool:
    """Return whether JSON data is an audit document of any version."""
    return isinstance(data, dict) and isinstance(data.get("schema"), str) and data["schema"].startswith(_PREFIX)


def read_document(file: Path, data: dict[str, Any], oddities: list[Oddity]) -> Sheet:
    """Return what a document states.

    Raises DocumentError for one of this schema that does not keep to it, and for a newer one without results.
    """
    newer = data["schema"] if data["schema"] != SCHEMA else ""
    document = None if newer else _checked(file, data)
    results = [row for row in _list(data, "results") if isinstance(row, dict)]
    if newer and not results:
        raise DocumentError(f"document {file}: its schema is {newer!r} and no results could be found in it")
    claims = [claim for row in results for claim in _claims(row, data)]
    return Sheet(
        "document",
        claims=tuple(claims),
        oddities=tuple(oddities),
        policy=_policy(data, newer),
        audited=_audited(data, results, newer),
        document=document,
    )


def _checked(file: Path, data: dict[str, Any]) -> AuditDocument:
    # A number that was read keeps its text, which is no plain float; a document is validated as it stands in a file.
    try:
        return AuditDocument.model_validate(json.loads(json.dumps(data, allow_nan=False)))
    except ValidationError as error:
        problems = problems_of(error, f"document {file}")
        more = f"\n... and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DocumentError("\n".join(problems[:5]) + more) from None
    except ValueError:
        raise DocumentError(f"document {file}: holds NaN or infinity, which no document of ours may") from None


def _policy(data: dict[str, Any], newer: str) -> Policy | None:
    if not isinstance(data.get("policy"), dict):
        return None
    try:
        return parse_policy(data["policy"], "policy")
    except ConfigError:
        if newer:
            return None  # a newer policy may hold what this version does not know; the rest is still read
        raise


def _audited(data: dict[str, Any], results: list[dict[str, Any]], newer: str) -> Audited:
    warnings = [("document", text) for text in _list(data, "warnings")]
    warnings += [(str(row.get("evaluator")), text) for row in results for text in _list(row, "warnings")]
    unanswered = [
        (str(row.get("evaluator")), str(row.get("status")), str(row.get("reason") or ""))
        for row in results
        if row.get("status") == "failed" or (row.get("requested") and row.get("status") != "measured")
    ]
    environment, plan = data.get("environment"), data.get("plan")
    selftest = environment.get("selftest") if isinstance(environment, dict) else None
    return Audited(
        newer=newer,
        profile=str(plan.get("profile", "")) if isinstance(plan, dict) else "",
        selftest_passed=selftest.get("passed") if isinstance(selftest, dict) else None,
        warnings=tuple((where, str(text)) for where, text in warnings),
        unanswered=tuple(unanswered),
    )


def _claims(row: dict[str, Any], data: dict[str, Any]) -> list[Claim]:
    measurements = [m for m in _list(row, "measurements") if isinstance(m, dict)]
    masked = any(m.get("key") == "masking" and m.get("value") for m in measurements)
    reference, extractor = data.get("reference"), data.get("extractor")
    against = reference.get("against") if isinstance(reference, dict) else None
    made = extractor.get("id") if isinstance(extractor, dict) else None
    shared = {"split": against, "extractor": made if isinstance(made, str) else None, "masked": masked or None}
    return [_claim(row, m, shared) for m in measurements if isinstance(m.get("value"), int | float)]


def _claim(row: dict[str, Any], measurement: dict[str, Any], shared: dict[str, Any]) -> Claim:
    key = str(measurement.get("key"))
    at = _AT_BUDGET.fullmatch(key)
    interval, null, sizes = (measurement.get(name) or {} for name in ("interval", "null", "sizes"))
    sizes = sizes if isinstance(sizes, dict) else {}
    n = measurement.get("n") if isinstance(measurement.get("n"), int) else None
    metric = "robust-accuracy" if at else _KEYS.get(key, "other")
    return Claim(
        metric=metric,
        name=f"{row.get('evaluator')}/{key}",
        where=f"{row.get('evaluator')}/{key}",
        value=float(measurement["value"]),
        own=True,
        n_real=sizes.get("real") if isinstance(sizes.get("real"), int) else None,
        n_fake=sizes.get("fake", n) if isinstance(sizes.get("fake", n), int) else None,
        low=_end(interval, "low"),
        high=_end(interval, "high"),
        level=_end(interval, "level"),
        null=_end(null, "value"),
        unit=str(measurement.get("unit", "")),
        epsilon=float(at[1]) if at else None,
        volatile=measurement.get("volatile") is True,
        **(shared if metric != "other" or shared["masked"] else {}),
    )


def _end(record: Any, name: str) -> float | None:
    value = record.get(name) if isinstance(record, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _list(record: dict[str, Any], name: str) -> list[Any]:
    found = record.get(name)
    return found if isinstance(found, list) else []
