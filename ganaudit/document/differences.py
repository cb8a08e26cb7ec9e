"""In what two audits' subject, reference, extractor, plan, policy, machine and comparability differ, field by field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from ganaudit.document.details import Record
from ganaudit.document.model import AuditDocument

__all__ = ["Difference", "differences", "policy_differences"]

Section = Literal["subject", "others", "plan", "policy", "environment", "reference", "extractor", "comparability"]

_LONGEST = 2_000
_OF_A_RUN = frozenset({"command", "selftest", "policy_file"})
"""What of an environment any two runs may differ in: where they read and write, and whether a self-test was made."""


class Difference(Record):
    """A field that differs; in one audit alone it may be absent."""

    section: Section
    path: str
    """Keys from the section on, joined by points."""
    a: Any = None
    b: Any = None
    only: Literal["a", "b"] | None = None
    """The audit that alone has the field."""


def differences(a: AuditDocument, b: AuditDocument) -> list[Difference]:
    """Return every field in which what two audits rest on differs, by section, values too long for a page by digest."""
    found = []
    ours, theirs = _sections(a), _sections(b)
    for section, fields in ours.items():
        found += _between(section, fields, theirs[section])
    return found


def policy_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Return every key in which two policies differ, as JSON values; gates go by their ids."""
    return _between("policy", _of_policy(a), _of_policy(b))


def _of_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    return _flat({key: _by_id(value) for key, value in policy.items()})


def _sections(document: AuditDocument) -> dict[Section, dict[str, Any]]:
    data = document.model_dump(mode="json", by_alias=True)
    return {
        "subject": _flat(data["subject"]),
        "plan": _flat(data["plan"]),
        "policy": _of_policy(data["policy"] or {}),
        "environment": _flat({k: v for k, v in data["environment"].items() if k not in _OF_A_RUN}),
        "reference": _flat(data["reference"]),
        "extractor": _flat(data["extractor"]),
        "others": _flat({other["name"]: other for other in data["others"]}),
        "comparability": _flat(data["comparability"]["fields"]),
    }


def _by_id(value: Any) -> Any:
    """Return a list of gates as a mapping by their ids, so that a new gate is one difference; all else as it is."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "id" in one for one in value):
        return {str(one["id"]): one for one in value}
    return value


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in data.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            leaves.update(_flat(value, f"{path}."))
        else:
            leaves[path] = value
    return leaves


def _between(section: Section, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    found = []
    for path in dict.fromkeys([*ours, *theirs]):
        if any(mine.get(path) == {} and _is_filled(path, other) for mine, other in ((ours, theirs), (theirs, ours))):
            continue  # what fills it in the other audit is told key by key
        if path not in theirs:
            found.append(Difference(section=section, path=path, a=_short(ours[path]), only="a"))
        elif path not in ours:
            found.append(Difference(section=section, path=path, b=_short(theirs[path]), only="b"))
        elif ours[path] != theirs[path]:
            found.append(Difference(section=section, path=path, a=_short(ours[path]), b=_short(theirs[path])))
    return found


def _is_filled(path: str, fields: Mapping[str, Any]) -> bool:
    return any(other.startswith(f"{path}.") for other in fields)


def _short(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(text) <= _LONGEST:
        return value
    kind = f"list of {len(value)} entries" if isinstance(value, list) else f"text of {len(text)} characters"
    return f"{kind}, sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
