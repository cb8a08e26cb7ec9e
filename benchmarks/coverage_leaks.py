"""How often the 95 % interval of a leak holds the planted share, how often leaks are found, and none is claimed.

Every audit draws its own glyphs: calibration and test reals, and generated samples of the same law of which a planted
share was changed by one operation. Run it as ``python -m benchmarks.coverage_leaks --audits 100``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganaudit.data.glyphs import draw_glyphs, render_glyphs
from ganaudit.evidence.leak_panel import ALPHA, Leak, Panel
from ganaudit.evidence.leaks import changed_levels, described
from ganaudit.numerics.augmentations import DRAWS, MIDDLE, OPERATIONS
from ganaudit.numerics.intervals import clopper_pearson

LEVEL, SIDE, FOLDS, LEAST = 0.95, 16, 5, 0.2


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


CASES = (
    Case("hflip", 0.1),
    Case("hflip", 0.5),
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
    return Panel(known, described(fake), described(test), FOLDS, LEAST, rng).leaks()


def coverage(audits: int = 100, seed: int = 0, cases: Sequence[Case] = CASES) -> list[dict[str, Any]]:
    """Return for each case how often the interval held the planted share, and how often leaks were claimed."""
    rows = []
    for case in cases:
        held, told, planted, others, values = 0, 0, 0, 0, []
        for number in range(audits):
            leaks = found(case, number, seed)
            for name, one in leaks.items():
                if one is None:
                    continue
                share = case.share if name == case.operation else 0.0
                bounds = one.fake.interval(LEVEL)
                held, told = held + (bounds.low <= share <= bounds.high), told + 1
                values += [one.fake.value] if case.operation in (name, None) else []
            claims = {name for name, one in leaks.items() if one is not None and one.corrected <= ALPHA}
            planted += case.operation in claims
            others += bool(claims - {case.operation})
        sure = clopper_pearson(held, told, 0.95)
        rows.append(
            {
                "case": case,
                "audits": audits,
                "covered": held / told,
                "sure": [round(sure.low, 3), round(sure.high, 3)],
                "claimed": planted / audits,
                "others claimed": others / audits,
                "mean": float(np.mean(values)),
            }
        )
    return rows


def _changed(name: str, levels: Tensor, rng: np.random.Generator) -> list[Tensor]:
    return changed_levels(levels, OPERATIONS[name], torch.from_numpy(rng.random((len(levels), DRAWS))), MIDDLE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| operation | planted | generated | reals | asked | covered | sure | found | others claimed | mean |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        (row,) = coverage(asked.audits, asked.seed, [case])
        asked_of = "all" if case.every else "it alone"
        cells = [case.operation or "none", case.share, case.n, case.reals, asked_of, f"{row['covered']:.1%}"]
        cells += [row["sure"], f"{row['claimed']:.0%}", f"{row['others claimed']:.0%}", f"{row['mean']:.4f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
