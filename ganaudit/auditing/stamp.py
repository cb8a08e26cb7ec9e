"""The outcome of the last self-test, kept in the cache for the documents of later audits."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from ganaudit import locations
from ganaudit.document.files import write_atomically
from ganaudit.document.model import SelfTest

__all__ = ["keep_selftest", "last_selftest"]


def keep_selftest(outcome: SelfTest) -> None:
    """Leave the outcome in the cache; raises OutputError when it cannot be written."""
    write_atomically(_path(), (json.dumps(outcome.model_dump(mode="json"), indent=2) + "\n").encode())


def last_selftest() -> SelfTest | None:
    """Return what the last self-test on this machine came to, or None where there was none that can be read."""
    try:
        return SelfTest.model_validate_json(_path().read_bytes())
    except (OSError, ValidationError):
        return None


def _path() -> Path:
    return locations.cache_dir() / "selftest.json"
