"""Which planted defect is seen by which number: every control, audited under several seeds, and the alarms it raises.

An alarm is a watched number that stands clear of its null, at 5 % over all watched numbers together (Bonferroni), by
the rule of ``ganaudit.document.alarms``. Run it as ``python -m benchmarks.detection_matrix --audits 5``, or with
``--only`` and names of controls.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

import ganaudit
from ganaudit.data.glyphs import load_glyphs
from ganaudit.data.shapes import load_shapes
from ganaudit.data.splits import Reference
from ganaudit.document.alarms import Side, alarms
from ganaudit.numerics.intervals import clopper_pearson

WATCHED: dict[str, Side] = {
    "frechet-distance/fd-corrected": "above",
    "kernel-distance/kd": "above",
    "precision-recall/precision": "below",
    "precision-recall/recall": "below",
    "diversity/near-duplicate-rate": "above",
    "two-sample-test/auc": "either",
    "discriminator-detection/auc": "either",
    "discriminator-overfit/seen-over-unseen": "above",
    "adversarial-robustness/masking": "above",
    "memorisation/exact-copy-rate": "above",
    "memorisation/copy-rate": "above",
    "memorisation/distance-auc": "above",
    "memorisation/membership-auc": "above",
    **{
        f"augmentation-bias/leak-{operation}": "above"
        for operation in ("hflip", "vflip", "rot90", "shift", "crop", "cutout", "colour")
    },
    "coverage-bias/class-discrepancy": "above",
    "coverage-bias/modes-missing": "above",
    "coverage-bias/js-divergence": "above",
    "interpolation-similarity/similarity-by-score": "below",
    "interpolation-similarity/holes": "above",
}

FIDELITY = ("frechet-distance", "kernel-distance", "precision-recall", "diversity", "two-sample-test")
BY_SCORE = ("discriminator-detection", "discriminator-overfit")
BETRAYED = ("memorisation", "augmentation-bias", "coverage-bias")
ALL = FIDELITY + BY_SCORE + BETRAYED

MADE_FOR: dict[str, tuple[str, ...]] = {
    "perfect": (),
    "mode-dropped-10": ("coverage-bias",),
    "mode-dropped-50": ("coverage-bias", "precision-recall"),
    "class-skewed": ("coverage-bias",),
    "memorising-5": ("memorisation",),
    "memorising-100": ("memorisation",),
    "blurred": ("frechet-distance", "two-sample-test"),
    "noisy": ("frechet-distance", "two-sample-test"),
    "colour-shifted": ("frechet-distance", "two-sample-test"),
    "flip-leaking-10": ("augmentation-bias",),
    "flip-leaking-50": ("augmentation-bias",),
    "crop-leaking": ("augmentation-bias",),
    "cutout-leaking": ("augmentation-bias",),
    "latent-ignoring": ("diversity",),
    "hole-in-latent": ("interpolation-similarity",),
    "nan-at-rare-latents": (),
    "discriminator-blind": (),
    "discriminator-inverted": ("discriminator-detection",),
    "discriminator-saturated": ("adversarial-robustness",),
    "discriminator-overfit": ("discriminator-overfit",),
}
"""The evaluators that are made to see each control's defect."""

SAMPLES = 500


@cache
def reference(name: str) -> Reference:
    return load_shapes() if name == "shapes" else load_glyphs()


def raised(control: str, seed: int, evaluators: Sequence[str]) -> tuple[set[str], list[str]]:
    """Return the numbers that raise an alarm in one audit, and what the audit warns of beside."""
    document = ganaudit.audit(
        f"controls/{control}",
        reference("shapes" if control == "colour-shifted" else "glyphs"),
        samples=SAMPLES,
        seed=seed,
        evaluators={name: {} for name in evaluators},
    )
    broken = [f"{r.evaluator} {r.status}: {r.reason}" for r in document.results if r.status == "failed"]
    if broken:
        raise RuntimeError("; ".join(broken))
    told = [warning for warning in document.warnings if "NaN" in warning]
    return {alarm.measure for alarm in alarms(document, WATCHED)}, told


def matrix(audits: int, seed: int = 1, only: Sequence[str] | None = None) -> list[dict[str, Any]]:
    found = []
    for control in only or MADE_FOR:
        special = tuple(e for e in MADE_FOR[control] if e not in ALL)
        start, counts, warned, caught, any_alarm = time.perf_counter(), dict.fromkeys(WATCHED, 0), 0, 0, 0
        for offset in range(audits):
            seen, told = raised(control, seed + offset, ALL + special)
            for measure in seen:
                counts[measure] += 1
            warned += bool(told)
            any_alarm += bool(seen)
            caught += all(any(m.startswith(f"{e}/") for m in seen) for e in MADE_FOR[control])
        row = {
            "control": control,
            "made for": list(MADE_FOR[control]),
            "audits": audits,
            "caught": caught if MADE_FOR[control] else None,
            "any alarm": any_alarm,
            "warned of NaN": warned,
            "alarms": {measure: count for measure, count in counts.items() if count},
            "seconds": round(time.perf_counter() - start, 1),
        }
        print(json.dumps(row), flush=True)
        found.append(row)
    return found


def detection_matrix(audits: int = 3, only: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return rows for results.json: how often each control is caught by the evaluators made for it."""
    rows = []
    for row in matrix(audits, only=only):
        control, made_for = row["control"], row["made for"]
        kept = row["audits"] - row["any alarm"] if row["caught"] is None else row["caught"]
        what = f"caught by {' and '.join(made_for)}" if made_for else "no alarm at all"
        sure = clopper_pearson(kept, row["audits"], 0.95)
        untimed = {"ours_seconds": None, "peer_seconds": None, "ratio": None, "target": None, "error": None}
        rows.append(
            {
                "work": f"control {control}: {what}",
                "peer": "planted defects",
                **untimed,
                "audits": row["audits"],
                "promised": ">= 95 %",
                "found": kept / row["audits"],
                "sure": [sure.low, sure.high],
                "alarms": row["alarms"],
            }
        )
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the matrix in Markdown, a row for each control, a column for each evaluator with an alarm of any."""
    columns = list(dict.fromkeys(measure.split("/")[0] for row in rows for measure in row["alarms"]))
    lines = ["| control | caught | " + " | ".join(columns) + " |", "| --- | --- |" + " --- |" * len(columns)]
    for row in rows:
        cells = [
            ", ".join(f"{m.split('/')[1]} {k}" for m, k in row["alarms"].items() if m.split("/")[0] == name)
            for name in columns
        ]
        caught = "-" if row["caught"] is None else f"{row['caught']} of {row['audits']}"
        lines.append(f"| {row['control']} | {caught} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=list(MADE_FOR))
    parser.add_argument("--out", type=Path, help="a file for the rows as JSON")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = matrix(asked.audits, asked.seed, asked.only)
    if asked.out:
        asked.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
