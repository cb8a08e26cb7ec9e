"""How often the 95 % interval of the kernel distance holds the truth, over simulated audits."""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
import torch

from ganaudit.numerics.intervals import clopper_pearson
from ganaudit.numerics.kernel import kernel_distance


def shift_law(d: int, m: float) -> float:
    """Return MMD^2 of N(0, I) against N(m 1, I) under the cubic kernel; Gaussian moments."""
    s = m**2
    other = (1 + s) ** 3 + 3 * (1 + s) * (1 + 2 * s) / d + 6 * s / d**2
    return 1 + 3 / d + other - 2 - 6 * (1 + s) / d


CASES = (
    (16, 200, 0.0),
    (16, 500, 0.0),
    (16, 500, 0.1),
    (16, 1000, 0.5),
    (64, 500, 0.0),
    (64, 500, 0.1),
    (64, 500, 0.3),
)


def coverage(
    audits: int = 400, seed: int = 0, cases: tuple[tuple[int, int, float], ...] = CASES
) -> list[dict[str, Any]]:
    """Return for each (features, samples of each side, shift) the share of audits whose interval held the truth."""
    rows = []
    for d, n, shift in cases:
        rng = np.random.default_rng([seed, d, n, round(100 * shift)])
        truth, held = shift_law(d, shift), 0
        for _ in range(audits):
            real = torch.from_numpy(rng.standard_normal((n, d)))
            fake = torch.from_numpy(rng.standard_normal((n, d)) + shift)
            bounds = kernel_distance(real, fake).interval(0.95)
            held += bounds.low <= truth <= bounds.high
        sure = clopper_pearson(held, audits, 0.95)
        rows.append(
            {
                "features": d,
                "n": n,
                "truth": round(truth, 6),
                "audits": audits,
                "covered": held / audits,
                "sure": [round(sure.low, 3), round(sure.high, 3)],
            }
        )
        assert math.isfinite(truth)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for row in coverage(asked.audits, asked.seed):
        print(row)
