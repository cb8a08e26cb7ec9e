"""Puts a hostile or a very long string into every free string field of a document."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from ganaudit.document.model import AuditDocument

BAD = "<script>alert(1)</script>\"'&"
LONG = "W" * 600
"""No place to break it: a path, a digest or a name that somebody made up."""


def poisoned(document: AuditDocument, bad: str = BAD) -> AuditDocument:
    """Return the document with ``bad`` in every string that its schema leaves free, keys of free maps included."""
    return _model(document, bad)


def _model(model: Any, bad: str) -> Any:
    changes = {}
    for name, field in type(model).model_fields.items():
        if not _is_closed(field.annotation):
            changes[name] = _value(getattr(model, name), bad)
    return model.model_copy(update=changes)


def _is_closed(annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return True
    return any(_is_closed(a) for a in get_args(annotation)) and not any(
        isinstance(a, type) and issubclass(a, BaseModel) for a in get_args(annotation)
    )


def _value(value: Any, bad: str) -> Any:
    if isinstance(value, BaseModel):
        return _model(value, bad)
    if isinstance(value, str):
        return value + bad
    if isinstance(value, list):
        return [_value(v, bad) for v in value]
    if isinstance(value, dict):
        return {k + bad: _value(v, bad) for k, v in value.items()}
    return value
