"""What a reader must know of an audit that ran the code of a subject."""

from __future__ import annotations

from collections.abc import Mapping

from ganaudit.evidence.others import Other
from ganaudit.subjects.subject import Subject

__all__ = ["trust_warnings"]


def trust_warnings(subject: Subject, others: Mapping[str, Other]) -> list[str]:
    """Return a caution for the subject, and for each of the others, whose code ran in the process of the audit."""
    ran = ["the subject"] if subject.trust == "code" else []
    ran += [f"other {name!r}" for name, other in others.items() if other.subject.trust == "code"]
    return [
        f"{who} brought Python code, which ran in the process of this audit (--trust-code) and could have changed any "
        "number or picture in it: trust this audit no further than that code"
        for who in ran
    ]
