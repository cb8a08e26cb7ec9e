"""ganaudit trains GANs and audits trained generators."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganaudit.auditing import audit
    from ganaudit.document.judge import judge
    from ganaudit.document.model import AuditDocument
    from ganaudit.document.policy import Policy
    from ganaudit.subjects.subject import Subject

__version__ = "0.1.0"
__all__ = ["AuditDocument", "Policy", "Subject", "__version__", "audit", "judge"]

_HOMES = {
    "AuditDocument": "ganaudit.document.model",
    "Policy": "ganaudit.document.policy",
    "Subject": "ganaudit.subjects.subject",
    "audit": "ganaudit.auditing",
    "judge": "ganaudit.document.judge",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: ``import ganaudit`` and the light verbs must not wait for torch.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ganaudit' has no attribute {name!r}")
