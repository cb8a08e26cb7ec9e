"""Runs every timing and writes RESULTS.md and results.json; ``--only NAME`` runs some of them."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from benchmarks.detection_matrix import table
from benchmarks.known_answers import table as answer_table
from benchmarks.measuring import machine, versions

FOLDER = Path(__file__).parent
WORKS = {
    "inception": ("benchmarks.inception", "inception"),
    "precision-shift": ("benchmarks.inception", "precision_shift"),
    "frechet-moments": ("benchmarks.frechet", "frechet_moments"),
    "frechet-gram": ("benchmarks.frechet", "frechet_gram"),
    "kernel": ("benchmarks.kernel", "kernel"),
    "neighbours": ("benchmarks.neighbours", "neighbours"),
    "path-length": ("benchmarks.path_length", "path_length"),
    "end-to-end": ("benchmarks.end_to_end", "end_to_end"),
    "growth": ("benchmarks.growth", "growth"),
    "training": ("benchmarks.training", "training"),
    "attacks": ("benchmarks.attacks", "attacks"),
    "strength": ("benchmarks.strength", "strength"),
    "profiles": ("benchmarks.profiles", "profiles"),
    "profile-full": ("benchmarks.profiles", "full"),
    "detection-coverage": ("benchmarks.detection_coverage", "detection_coverage"),
    "detection-matrix": ("benchmarks.detection_matrix", "detection_matrix"),
    "leak-coverage": ("benchmarks.coverage_leaks", "leak_coverage"),
    "report": ("benchmarks.reporting", "reporting"),
    "known-answers": ("benchmarks.known_answers", "known_answers"),
}
WHEN_NAMED = {"profile-full", "detection-matrix", "leak-coverage"}
"""Works that take long and run by ``--only`` alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(WORKS), help="some of the works; the others' rows stay")
    asked = parser.parse_args().only or [name for name in WORKS if name not in WHEN_NAMED]
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


_ALARMS = (
    "Which numbers raise an alarm on which control, and in how many of the audits by all evaluators; 5 % over all "
    "watched numbers together."
)


_ANSWERS = (
    "Numbers whose value is known, by closed form or from a published table, beside what is measured here; a tolerance "
    "is that of the anchor or follows from the number of draws."
)


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
    lines += [_line(row) for row in rows if "promised" not in row and "expected" not in row]
    promises = [_promise(row) for row in rows if "promised" in row]
    if promises:
        lines += [
            "",
            "What intervals, tests and guarantees promise, over simulated audits whose truth is known; sure: 95 %.",
            "",
            "| of | audits | promised | found | sure |",
            "| --- | --- | --- | --- | --- |",
            *promises,
        ]
    if any(row.get("whole") for row in rows):
        lines += ["", _ALARMS, "", *table(rows)]
    if any("expected" in row for row in rows):
        lines += ["", _ANSWERS, "", *answer_table(rows)]
    for key, title in (("machine", "Machine"), ("versions", "Versions")):
        told = {row["group"]: _words(row[key]) for row in rows}
        for words in dict.fromkeys(told.values()):
            of = [group for group in told if told[group] == words]
            lines += ["", f"{title}{'' if len(of) == len(told) else ' of ' + ', '.join(of)}: {words}."]
    return "\n".join(lines) + "\n"


_KNOWN = ("group", "work", "peer", "ours_seconds", "peer_seconds", "ratio", "target", "error", "machine", "versions")


def _line(row: dict[str, Any]) -> str:
    met = "-" if row["target"] is None else ("yes" if row["ratio"] >= row["target"] else "**no**")
    more = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in row.items() if key not in _KNOWN)
    cells = [row["work"], row["peer"], _cell(row["ours_seconds"]), _cell(row["peer_seconds"]), _cell(row["ratio"])]
    return "| " + " | ".join([*cells, _cell(row["target"]), met, _cell(row["error"]), more]) + " |"


def _words(stamp: str | dict[str, str]) -> str:
    return stamp if isinstance(stamp, str) else ", ".join(f"{name} {number}" for name, number in stamp.items())


def _promise(row: dict[str, Any]) -> str:
    low, high = row["sure"]
    cells = [row["work"], row["audits"], row["promised"], f"{row['found']:.1%}", f"{low:.1%} to {high:.1%}"]
    return "| " + " | ".join(map(str, cells)) + " |"


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
