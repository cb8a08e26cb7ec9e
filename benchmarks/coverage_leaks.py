"""How often the 95 % interval of a leak holds the planted share, how often leaks are found, and none is claimed.

Every audit draws its own glyphs: calibration and test reals, and generated samples of the same law of which a planted
share was changed by one operation. Run it as ``python -m benchmarks.coverage_leaks --audits 100``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.kept import held, keep
from ganaudit.data.glyphs import draw_glyphs, render_glyphs
from ganaudit.evidence.leak_panel import Leak, Panel
from ganaudit.evidence.leaks import changed_levels, described
from ganaudit.numerics.augmentations import DRAWS, MIDDLE, OPERATIONS
from ganaudit.numerics.intervals import clopper_pearson

KEPT = Path("runs/benchmarks/leak-coverage.jsonl")
"""Where audits are kept unless another file is named."""

LEVEL, SIDE, FOLDS, LEAST = 0.95, 16, 5, 0.4


@dataclass(frozen=True)
class Case:
    """One kind of audit."""

    operation: str | None
    """None: perfect samples."""
    share: float = 0.0
    every: bool = False
    """Whether all operations are asked, as an audit does; the planted share is then 0 for all others."""
    n: int = 2000
    """Generated samples; as many test reals."""
    reals: int = 500
    promised: bool = False
    """Whether the leak must be found in at least 95 % of the audits."""

    @property
    def words(self) -> str:
        """What tells it from the others."""
        planted = "none planted" if self.operation is None else f"{self.operation} {self.share:.0%}"
        return (
            f"{planted}, {'all operations' if self.every else 'it alone'} asked, {self.n} samples, {self.reals} reals"
        )


CASES = (
    Case("hflip", 0.1, promised=True),
    Case("hflip", 0.5, promised=True),
    Case("hflip", 0.02),
    Case("vflip", 0.1),
    Case("rot90", 0.1),
    Case("shift", 0.1),
    Case("crop", 0.1),
    Case("cutout", 0.1),
    Case("colour", 0.3),
    Case("hflip", 0.1, n=500, reals=100),
    Case(None, every=True),
    Case("hflip", 0.1, every=True),
    Case("hflip", 0.5, every=True),
    Case("cutout", 0.3, every=True),
)


def glyphs(name: str, count: int) -> Tensor:
    return torch.from_numpy(render_glyphs(draw_glyphs(name, 0, count), SIDE)[:, None].astype(np.float32))


def found(case: Case, number: int, seed: int) -> dict[str, Leak | None]:
    """Return what one audit finds, by operation."""
    rng = np.random.default_rng([seed, number])
    stream = f"leaks/{seed}/{case}/{number}"
    real, test, fake = (glyphs(f"{stream}/{s}", n) for s, n in (("c", case.reals), ("t", case.n), ("f", case.n)))
    if case.operation is not None:
        leaked = _changed(case.operation, fake, rng)
        state = torch.from_numpy(rng.integers(0, len(leaked), case.n))
        is_moved = torch.from_numpy(rng.random(case.n) < case.share)[:, None, None, None]
        fake = torch.where(is_moved, torch.stack(leaked)[state, torch.arange(case.n)], fake)
    known = {
        name: torch.stack([described(state) for state in (real, *_changed(name, real, rng))], 1)
        for name in (OPERATIONS if case.every or case.operation is None else [case.operation])
    }
    still = [name for name, operation in OPERATIONS.items() if operation.isometry]
    return Panel(known, described(fake), described(test), FOLDS, LEAST, rng, still).leaks()


def audited(case: Case, number: int, seed: int) -> dict[str, Any]:
    """Return what is kept of one audit: values, ends of the intervals and claims by operation."""
    seen = {name: one for name, one in found(case, number, seed).items() if one is not None}
    bounds = {name: one.fake.interval(LEVEL) for name, one in seen.items()}
    return {
        "case": case.words,
        "seed": seed,
        "number": number,
        "leaks": {name: [one.fake.value, bounds[name].low, bounds[name].high] for name, one in seen.items()},
        "claims": [name for name, one in seen.items() if one.is_claimed],
        "withheld": [name for name, one in seen.items() if one.is_withheld],
    }


def made(audits: int, seed: int = 0, cases: Sequence[Case] = CASES, file: Path | None = None) -> list[dict[str, Any]]:
    """Return audits of every case, in turn, so that a run that is stopped has some of each; ``file`` keeps them."""
    rows = {(row["case"], row["seed"], row["number"]): row for row in held(file)}
    for number in range(audits):
        for case in cases:
            key = case.words, seed, number
            if key not in rows:
                rows[key] = audited(case, number, seed)
                keep(file, [rows[key]])
    return list(rows.values())


def coverage(case: Case, audits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how often intervals of a case held the planted share, or 0, and in how many audits leaks were claimed."""
    held_by: dict[bool, list[bool]] = {True: [], False: []}
    values = []
    for row in audits:
        for name, (value, low, high) in row["leaks"].items():
            if name in row["withheld"]:  # an audit shows no number
                continue
            mine = name == case.operation
            held_by[mine].append(low <= (case.share if mine else 0.0) <= high)
            values += [value] if mine or case.operation is None else []
    return {
        "planted": held_by[True],
        "none": held_by[False],
        "claimed": sum(case.operation in row["claims"] for row in audits),
        "others": sum(bool({*row["claims"]} - {case.operation}) for row in audits),
        "withheld": sum(case.operation in row["withheld"] for row in audits),
        "mean": float(np.mean(values)) if values else None,
    }


def leak_coverage(file: Path = KEPT, audits: int = 20) -> list[dict[str, Any]]:
    """Return rows for results.json: coverage, finding and false claims of each case.

    Of the audits in ``file``, and at least ``audits`` of each case.
    """
    every = made(audits, file=file)
    rows = []
    for case in CASES:
        own = [row for row in every if row["case"] == case.words]
        if not own:
            continue
        seen, n = coverage(case, own), len(own)
        told = [
            ("interval holds the share", "92 % to 98 %", sum(seen["planted"]), len(seen["planted"])),
            ("the leak found", ">= 95 %" if case.promised else "power", seen["claimed"], n),
            ("intervals of the others hold 0", ">= 92 %", sum(seen["none"]), len(seen["none"])),
            ("no other leak claimed" if case.operation else "no leak claimed", ">= 95 %", n - seen["others"], n),
        ]
        told = [
            one
            for place, one in enumerate(told)
            if one[3] and (case.operation or place > 1) and (case.every or place < 2)
        ]
        for what, promised, count, of in told:
            sure = clopper_pearson(count, of, 0.95)
            rows.append(
                {
                    "work": f"leak {case.words}: {what}",
                    "peer": "simulated audits",
                    **dict.fromkeys(("ours_seconds", "peer_seconds", "ratio", "target", "error")),
                    "audits": of,
                    "promised": promised,
                    "found": count / of,
                    "sure": [sure.low, sure.high],
                    "mean": seen["mean"],
                }
            )
    return rows


def _changed(name: str, levels: Tensor, rng: np.random.Generator) -> list[Tensor]:
    return changed_levels(levels, OPERATIONS[name], torch.from_numpy(rng.random((len(levels), DRAWS))), MIDDLE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=KEPT, help="a file of audits: what it holds is not made again")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    every = made(asked.audits, asked.seed, file=asked.keep)
    print("| case | audits | covered | sure | 0 covered | found | others claimed | withheld | mean |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        own = [row for row in every if row["case"] == case.words]
        if not own:
            continue
        seen = coverage(case, own)
        cells = [case.words, len(own), *_share(seen["planted"]), _share(seen["none"])[0]]
        cells += [*(f"{seen[key] / len(own):.0%}" for key in ("claimed", "others", "withheld")), f"{seen['mean']:.4f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def _share(held_by: Sequence[bool]) -> list[str]:
    if not held_by:
        return ["-", "-"]
    sure = clopper_pearson(sum(held_by), len(held_by), 0.95)
    return [f"{sum(held_by) / len(held_by):.1%}", f"{sure.low:.1%} to {sure.high:.1%}"]


if __name__ == "__main__":
    main()
