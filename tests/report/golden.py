"""Golden files: what a reviewed report looked like. ``GANAUDIT_REGENERATE=1 pytest tests/report`` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def check(name: str, text: str) -> None:
    file = FOLDER / name
    if os.environ.get("GANAUDIT_REGENERATE") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{name} changed; GANAUDIT_REGENERATE=1 accepts it"
