"""How time and memory of an audit grow with the number of generated samples."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import Pair, record, run


def growth(first: int = 10_000, doublings: int = 2) -> list[dict[str, Any]]:
    """Return a row per doubling: the moments-only audit of the reference model, pixels as features, no store hit."""
    found = []
    before = None
    with tempfile.TemporaryDirectory() as name:
        for power in range(doublings + 1):
            n = first << power
            folder = Path(name) / str(n)
            command = [
                sys.executable, "-m", "ganaudit", "audit", "digits", "--samples", str(n), "--extractor", "pixels",
                "--evaluators", "frechet-distance", "--out", str(folder),
            ]  # fmt: skip
            done = run(command, {"GANAUDIT_CACHE": str(folder / "cache")})
            spent = json.loads((folder / "document.json").read_text())["seconds"]
            if before is not None:
                work = f"moments-only audit, {n // 2} to {n} samples: time (of ours at each) and peak memory"
                row = record(
                    work, "ganaudit at half the samples", Pair(spent, before[0], before[0] / spent), None, None
                )
                row["growth_of_time"], row["growth_of_time_limit"] = round(spent / before[0], 3), 2.2
                row["peak_mib"] = [round(before[1] / 2**20), round(done.peak_bytes / 2**20)]
                found.append(row)
            before = (spent, done.peak_bytes)
    return found


if __name__ == "__main__":
    for row in growth():
        print(row)
