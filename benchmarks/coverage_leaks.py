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
from ganaudit.evidence.leaks import Leak, changed_levels, described, leak
from ganaudit.numerics.augmentations import DRAWS, MIDDLE, OPERATIONS
from ganaudit.numerics.groups import holm
from ganaudit.numerics.intervals import clopper_pearson

LEVEL, SIDE, FOLDS = 0.95, 16, 5


@dataclass(frozen=True)
class Case:
    """One kind of audit."""

    operation: str | None
    """None: perfect samples, all operations asked, corrected for their number."""
    share: float = 0.0
    n: int = 2000
    """Generated samples; as many test reals."""
    reals: int = 500


CASES = (
    Case(None),
    Case("hflip", 0.1),
    Case("hflip", 0.5),
    Case("hflip", 0.02),
    Case("rot90", 0.1),
    Case("shift", 0.1),
    Case("crop", 0.1),
    Case("cutout", 0.1),
    Case("colour", 0.3),
    Case("hflip", 0.1, 500, 100),
)


def glyphs(name: str, count: int) -> Tensor:
    return torch.from_numpy(render_glyphs(draw_glyphs(name, 0, count), SIDE)[:, None].astype(np.float32))


def found(case: Case, number: int, seed: int) -> dict[str, Leak]:
    """Return what one audit finds, by operation."""
    rng = np.random.default_rng([seed, number])
    stream = f"leaks/{seed}/{case}/{number}"
    real, test, fake = (glyphs(f"{stream}/{s}", n) for s, n in (("c", case.reals), ("t", case.n), ("f", case.n)))
    if case.operation is not None:
        leaked = _changed(case.operation, fake, rng)
        state = torch.from_numpy(rng.integers(0, len(leaked), case.n))
        is_moved = torch.from_numpy(rng.random(case.n) < case.share)[:, None, None, None]
        fake = torch.where(is_moved, torch.stack(leaked)[state, torch.arange(case.n)], fake)
    asked = OPERATIONS if case.operation is None else [case.operation]
    leaks = {}
    for name in asked:
        known = torch.stack([described(state) for state in (real, *_changed(name, real, rng))], 1)
        one = leak(known, described(fake), described(test), FOLDS, rng)
        assert one is not None
        leaks[name] = one
    return leaks


def coverage(audits: int = 100, seed: int = 0, cases: Sequence[Case] = CASES) -> list[dict[str, Any]]:
    """Return for each case how often the interval held the planted share, and how often a leak was claimed."""
    rows = []
    for case in cases:
        held, asked, claimed, values = 0, 0, 0, []
        for number in range(audits):
            leaks = found(case, number, seed)
            bounds = [one.fake.interval(LEVEL) for one in leaks.values()]
            held += sum(b.low <= case.share <= b.high for b in bounds)
            asked += len(bounds)
            # One operation alone is held to the bar of all of them.
            raw = [one.p_value for one in leaks.values()]
            claimed += min(holm(raw) if case.operation is None else [p * len(OPERATIONS) for p in raw]) <= 1 - LEVEL
            values += [one.fake.moved for one in leaks.values()]
        sure = clopper_pearson(held, asked, 0.95)
        rows.append(
            {
                "case": case,
                "audits": audits,
                "covered": held / asked,
                "sure": [round(sure.low, 3), round(sure.high, 3)],
                "claimed": claimed / audits,
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
    print("| operation | planted | generated | calibration reals | covered | sure | claimed | mean estimate |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        (row,) = coverage(asked.audits, asked.seed, [case])
        cells = [case.operation or "none (all asked)", case.share, case.n, case.reals, f"{row['covered']:.1%}"]
        cells += [row["sure"], f"{row['claimed']:.0%}", f"{row['mean']:.4f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
