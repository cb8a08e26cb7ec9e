"""Audits kept one to a line, so that a simulation that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["held", "keep"]


def held(file: Path | None) -> list[dict[str, Any]]:
    """Return the audits that ``file`` holds; none where there is no file, or no name of one."""
    return [] if file is None or not file.is_file() else [json.loads(line) for line in file.read_text().splitlines()]


def keep(file: Path | None, rows: Iterable[dict[str, Any]]) -> None:
    """Append audits to ``file``, if there is a name of one."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in rows)
