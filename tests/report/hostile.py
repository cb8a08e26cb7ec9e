"""Puts a hostile string into every free string field of a document."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from ganaudit.document.model import AuditDocument

BAD = "<script>alert(1)</script>\"'&"


def poisoned(document: AuditDocument) -> AuditDocument:
    """Return the document with BAD in every string that its schema leaves free, keys of free maps included."""
    return _model(document)


def _model(model: Any) -> Any:
    changes = {}
    for name, field in type(model).model_fields.items():
        if not _is_closed(field.annotation):
            changes[name] = _value(getattr(model, name))
    return model.model_copy(update=changes)


def _is_closed(annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return True
    return any(_is_closed(a) for a in get_args(annotation)) and not any(
        isinstance(a, type) and issubclass(a, BaseModel) for a in get_args(annotation)
    )


def _value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _model(value)
    if isinstance(value, str):
        return value + BAD
    if isinstance(value, list):
        return [_value(v) for v in value]
    if isinstance(value, dict):
        return {k + BAD: _value(v) for k, v in value.items()}
    return value
