"""Runs every timing and writes RESULTS.md and results.json; ``--only NAME`` runs some of them."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from benchmarks.measuring import machine, versions

FOLDER = Path(__file__).parent
WORKS = {
    "inception": ("benchmarks.inception", "inception"),
    "precision-shift": ("benchmarks.inception", "precision_shift"),
    "frechet-moments": ("benchmarks.frechet", "frechet_moments"),
    "frechet-gram": ("benchmarks.frechet", "frechet_gram"),
    "kernel": ("benchmarks.kernel", "kernel"),
    "neighbours": ("benchmarks.neighbours", "neighbours"),
    "end-to-end": ("benchmarks.end_to_end", "end_to_end"),
    "growth": ("benchmarks.growth", "growth"),
    "training": ("benchmarks.training", "training"),
    "attacks": ("benchmarks.attacks", "attacks"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(WORKS), help="some of the works; the others' rows stay")
    asked = parser.parse_args().only or list(WORKS)
    path = FOLDER / "results.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    for name in asked:
        print(f"{name} ...", flush=True)
        module, function = WORKS[name]
        made = getattr(importlib.import_module(module), function)()
        stamp = {"machine": machine(), "versions": versions()}
        rows = [row for row in rows if row["group"] != name]
        rows += [{"group": name, **row, **stamp} for row in made]
        rows.sort(key=lambda row: list(WORKS).index(row["group"]))
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        (FOLDER / "RESULTS.md").write_text(_page(rows))
        for row in made:
            print(f"  {row['work']} | {row['peer']} | ratio {row['ratio']} | target {row['target']}", flush=True)
    print(_page(rows))


def _page(rows: list[dict[str, Any]]) -> str:
    lines = [
        "# Side by side",
        "",
        "Written by `make bench`. Ours and the peer's run in turn, in one process or one after another on one machine; "
        "a ratio is the median of the ratios of runs that followed each other. Above 1: ganaudit is faster.",
        "",
        "| work | peer | ours, s | peer, s | ratio | target | met | error | more |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_line(row) for row in rows]
    for name in dict.fromkeys(row["machine"] for row in rows):
        lines += ["", f"Machine: {name}."]
    for text in dict.fromkeys(json.dumps(row["versions"]) for row in rows):
        said = ", ".join(f"{name} {number}" for name, number in json.loads(text).items())
        lines += ["", f"Versions: {said}."]
    return "\n".join(lines) + "\n"


_KNOWN = ("group", "work", "peer", "ours_seconds", "peer_seconds", "ratio", "target", "error", "machine", "versions")


def _line(row: dict[str, Any]) -> str:
    met = "-" if row["target"] is None else ("yes" if row["ratio"] >= row["target"] else "**no**")
    more = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in row.items() if key not in _KNOWN)
    cells = [row["work"], row["peer"], _cell(row["ours_seconds"]), _cell(row["peer_seconds"]), _cell(row["ratio"])]
    return "| " + " | ".join([*cells, _cell(row["target"]), met, _cell(row["error"]), more]) + " |"


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
