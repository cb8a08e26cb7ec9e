"""The use case: a subject, a reference and a plan become an audit document. It knows no concrete evaluator."""

from __future__ import annotations

from ganaudit.auditing.session import Audited, audit, run
from ganaudit.auditing.setting import Setting, settle

__all__ = ["Audited", "Setting", "audit", "run", "settle"]
