"""Which planted defect is seen by which number: controls audited under many seeds, and the alarms they raise.

An alarm is a watched number that stands clear of its null, at 5 % over all watched numbers together (Bonferroni), by
the rule of ``ganaudit.document.alarms``. Whether a control is caught needs only the evaluators made for it; which other
numbers speak needs all, in fewer audits. Every audit is kept as soon as it is made, and none is made twice, so that a
run that was stopped goes on: ``python -m benchmarks.detection_matrix --audits 20 --perfect 100``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

import ganaudit
from benchmarks.kept import held, keep
from ganaudit.auditing.known_answers import WATCHED, short_reference
from ganaudit.data.glyphs import load_glyphs
from ganaudit.data.shapes import load_shapes
from ganaudit.data.splits import Reference
from ganaudit.document.alarms import bar, departures
from ganaudit.numerics.intervals import clopper_pearson
from ganaudit.subjects.control import ControlFile, subject_of_control
from ganaudit.subjects.subject import Subject

FIDELITY = ("frechet-distance", "kernel-distance", "precision-recall", "diversity", "two-sample-test")
BY_SCORE = ("discriminator-detection", "discriminator-overfit")
BETRAYED = ("memorisation", "augmentation-bias", "coverage-bias", "interpolation-similarity")
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
    "discriminator-blind": ("two-sample-test",),
    "discriminator-inverted": ("discriminator-detection",),
    "discriminator-saturated": ("adversarial-robustness",),
    "discriminator-overfit": ("discriminator-overfit",),
}
"""The evaluators that are made to see each control's defect."""

SILENT = {"discriminator-blind": "discriminator-detection"}
"""The evaluator whose silence is what is to be seen: what a learned detector sees, the discriminator does not."""

SEVERITIES: dict[str, tuple[float, ...]] = {
    "mode-dropped": (0.04, 0.08, 0.12),
    "class-skewed": (0.1, 0.2, 0.3),
    "memorising": (0.005, 0.01, 0.02),
    "blurred": (0.2, 0.3, 0.4),
    "noisy": (0.025, 0.05, 0.1),
    "flip-leaking": (0.02, 0.04, 0.06),
    "crop-leaking": (0.1, 0.2, 0.3),
    "cutout-leaking": (0.05, 0.1, 0.2),
    "latent-ignoring": (0.2, 0.4, 0.6),
    "hole-in-latent": (0.01, 0.02, 0.03),
}
"""Weaker than the listed ones; a control of them is asked for as ``defect@severity``."""

KEPT = Path("runs/benchmarks/detection-matrix.jsonl")
"""Where audits are kept unless another file is named."""

SAMPLES = 500
MANY, FEWER = "perfect", 400
"""The control audited most often: with fewer samples, against the first of each split."""

OPTIONS: dict[str, dict[str, Any]] = {"interpolation-similarity": {"pairs": 64, "paths": 50}}
FOR_MANY: dict[str, dict[str, Any]] = OPTIONS | {"augmentation-bias": {"reals": 250}}
"""Less work than the standard options, and so less power and wider nulls; all else is as in an audit."""


def made_for(control: str) -> tuple[str, ...]:
    """Return the evaluators made for a control; of several listed severities those of the least."""
    defect = control.split("@")[0]
    return next(MADE_FOR[name] for name in MADE_FOR if name == control or name.startswith(defect))


def needed(control: str) -> tuple[str, ...]:
    """Return the evaluators that decide whether a control is caught; all for those that must raise no alarm."""
    return (*made_for(control), *([SILENT[control]] if control in SILENT else [])) or ALL


def reference(control: str) -> Reference:
    """Return what a control is held against."""
    return _loaded("short" if control == MANY else "shapes" if control == "colour-shifted" else "glyphs")


@cache
def _loaded(name: str) -> Reference:
    return {"short": short_reference, "shapes": load_shapes, "glyphs": load_glyphs}[name]()


def subject(control: str) -> Subject | str:
    """Return a listed control's name, or the subject of ``defect@severity`` on glyphs."""
    if "@" not in control:
        return f"controls/{control}"
    defect, severity = control.split("@")
    return subject_of_control(
        ControlFile.model_validate(
            {"set": "glyphs", "defect": defect, "severity": float(severity), "discriminator": "sensible"}
        ),
        control,
    )


def audited(control: str, seed: int, evaluators: Collection[str]) -> list[dict[str, Any]]:
    """Return a row for each evaluator: how far its watched numbers lie from their nulls, in standard errors.

    An evaluator's seed does not depend on which others run, so rows of several audits of one seed go together.
    """
    document = ganaudit.audit(
        subject(control),
        reference(control),
        samples=FEWER if control == MANY else SAMPLES,
        seed=seed,
        evaluators={name: (FOR_MANY if control == MANY else OPTIONS).get(name, {}) for name in evaluators},
    )
    warned = any("NaN" in warning for warning in document.warnings)
    found, rows = departures(document, WATCHED), []
    for result in document.results:
        if result.evaluator not in evaluators:
            continue
        if result.status == "failed":
            raise RuntimeError(f"{control}, seed {seed}: {result.evaluator} failed: {result.reason}")
        far = {measure: value for measure, value in found.items() if measure.split("/")[0] == result.evaluator}
        row = {"control": control, "seed": seed, "evaluator": result.evaluator}
        rows.append(row | {"status": result.status, "far": far, "warned": warned})
    return rows


class Kept:
    """Rows of earlier audits by control, seed and evaluator, and where to append those of later ones."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.rows = {self._key(row): row for row in held(file)}

    def make(self, control: str, seed: int, evaluators: Sequence[str]) -> None:
        """Audit what of this is not held yet."""
        lacking = [name for name in evaluators if (control, seed, name) not in self.rows]
        made = audited(control, seed, lacking) if lacking else []
        self.rows.update({self._key(row): row for row in made})
        keep(self.file, made)

    def alarms(self, control: str, evaluators: Sequence[str]) -> dict[int, set[str]]:
        """Return the watched numbers that raise an alarm, by seed, of the audits that have all of ``evaluators``."""
        bars = {measure: bar(side, len(WATCHED)) for measure, side in WATCHED.items()}
        found: dict[int, set[str]] = {}
        for seed in sorted({seed for name, seed, _ in self.rows if name == control}):
            rows = [self.rows.get((control, seed, name)) for name in evaluators]
            if None in rows:
                continue
            far = {measure: value for row in rows if row for measure, value in row["far"].items() if value is not None}
            found[seed] = {measure for measure, value in far.items() if value > bars[measure]}
        return found

    def warned(self, control: str) -> int:
        """Return in how many audits the document warned of samples with NaN."""
        return len({seed for (name, seed, _), row in self.rows.items() if name == control and row["warned"]})

    @staticmethod
    def _key(row: dict[str, Any]) -> tuple[str, int, str]:
        return row["control"], row["seed"], row["evaluator"]


def is_caught(control: str, alarms: set[str]) -> bool:
    """Return whether the evaluators made for a control speak and the one that must be silent is."""
    speaking = {measure.split("/")[0] for measure in alarms}
    if not made_for(control):
        return not alarms
    return speaking >= set(made_for(control)) and SILENT.get(control) not in speaking


def summary(kept: Kept, control: str) -> dict[str, Any]:
    """Return how often a control was caught, and in the audits by all evaluators which numbers spoke how often."""
    caught = kept.alarms(control, needed(control))
    whole = kept.alarms(control, (*ALL, *(name for name in made_for(control) if name not in ALL)))
    counts = Counter(measure for alarms in whole.values() for measure in alarms)
    return {
        "control": control,
        "audits": len(caught),
        "caught": sum(is_caught(control, alarms) for alarms in caught.values()),
        "whole": len(whole),
        "alarms": {measure: counts[measure] for measure in WATCHED if counts[measure]},
        "warned": kept.warned(control),
    }


def detection_matrix(kept: Kept | None = None) -> list[dict[str, Any]]:
    """Return rows for results.json: how often each control is caught by the evaluators made for it.

    Of the audits in ``KEPT``, and at least a few of each control, where none are given.
    """
    if kept is None:
        kept = Kept(KEPT)
        run(kept, 3, 1, 3, 0)
    untimed = dict.fromkeys(("ours_seconds", "peer_seconds", "ratio", "target", "error"))
    rows = []
    for found in (summary(kept, control) for control in (*MADE_FOR, *_weaker())):
        if not found["audits"]:
            continue
        sure = clopper_pearson(found["caught"], found["audits"], 0.95)
        rows.append(
            {
                "work": f"control {found['control']}: {_wanted(found)}",
                "peer": "planted defects",
                **untimed,
                "audits": found["audits"],
                "promised": "-" if "@" in found["control"] else ">= 95 %",
                "found": found["caught"] / found["audits"],
                "sure": [sure.low, sure.high],
                "whole": found["whole"],
                "alarms": found["alarms"],
            }
        )
    return rows


def _wanted(found: dict[str, Any]) -> str:
    control = found["control"]
    if not made_for(control):
        asked = [measure for measure in WATCHED if measure.split("/")[0] in ALL]
        told = f"no alarm of {len(asked)} numbers of {len(ALL)} evaluators together"
        return told + (f"; NaN warned of in {found['warned']}" if control.startswith("nan") else "")
    silent = f", {SILENT[control]} silent" if control in SILENT else ""
    return f"caught by {' and '.join(made_for(control))}{silent}"


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return which numbers raise an alarm on which control in Markdown, from rows of results.json."""
    told = [row for row in rows if row.get("whole")]
    columns = [name for name in ALL if any(m.startswith(f"{name}/") for row in told for m in row["alarms"])]
    lines = ["| control | audits | " + " | ".join(columns) + " |", "| --- | --- |" + " --- |" * len(columns)]
    for row in told:
        cells = [
            ", ".join(f"{m.split('/')[1]} {k}" for m, k in row["alarms"].items() if m.split("/")[0] == name)
            for name in columns
        ]
        control = row["work"].removeprefix("control ").split(":")[0]
        lines.append(f"| {control} | {row['whole']} | " + " | ".join(cells) + " |")
    return lines


def _weaker() -> list[str]:
    return [f"{defect}@{severity:g}" for defect, several in SEVERITIES.items() for severity in several]


def _tasks(audits: int, whole: int, perfect: int, weaker: int) -> Iterator[tuple[str, int, Sequence[str]]]:
    """Yield what is audited, so that a run that is stopped early has something of everything."""
    for seed in range(1, max(audits, whole, perfect, weaker) + 1):
        for control in MADE_FOR:
            if seed <= whole:
                yield control, seed, (*ALL, *(name for name in made_for(control) if name not in ALL))
            if seed <= (perfect if control == "perfect" else audits):
                yield control, seed, needed(control)
        if seed <= weaker:
            for control in _weaker():
                yield control, seed, needed(control)


def run(kept: Kept, audits: int, whole: int, perfect: int, weaker: int, only: Collection[str] = ()) -> None:
    """Make all audits that are not held yet."""
    for control, seed, evaluators in _tasks(audits, whole, perfect, weaker):
        if not only or control in only:
            kept.make(control, seed, evaluators)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=3, help="of each control by the evaluators made for it")
    parser.add_argument("--whole", type=int, default=1, help="of each control by all evaluators")
    parser.add_argument("--perfect", type=int, default=3, help="of the perfect control by all evaluators")
    parser.add_argument("--weaker", type=int, default=0, help="of each weaker severity")
    parser.add_argument("--only", nargs="*", default=[], help="some of the controls")
    parser.add_argument("--keep", type=Path, default=KEPT, help="a file of audits: what it holds is not made again")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    kept = Kept(asked.keep)
    run(kept, asked.audits, asked.whole, asked.perfect, asked.weaker, asked.only)
    rows = detection_matrix(kept)
    for row in rows:
        print(f"{row['work']} | {row['audits']} | {row['found']:.0%} | {row['sure'][0]:.2f} to {row['sure'][1]:.2f}")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
