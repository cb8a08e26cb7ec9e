"""How often the 95 % interval of the kernel distance holds the truth, over simulated audits.

Reals are N(0, I), fakes N(m, s^2 I): the truth is known in closed form. Both sides may be scaled sample by sample to a
Student law of 5 degrees of freedom (heavy tails), where the truth is that of many draws, or 0 where nothing differs.
Run it as ``python -m benchmarks.coverage_kernel --audits 400``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.intervals import clopper_pearson
from ganaudit.numerics.kernel import KernelDistance, kernel_distance

LEVEL = 0.95


@dataclass(frozen=True)
class Case:
    """One kind of audit."""

    features: int
    n: int
    shift: float = 0.0
    """m, the same in every feature."""
    scale: float = 1.0
    """s."""
    heavy: bool = False
    fakes: int | None = None
    """None: as many as reals."""

    @property
    def truth(self) -> float | None:
        """MMD^2 of N(0, I) against N(m, s^2 I) under the cubic kernel; Gaussian moments."""
        d, m2, s2 = self.features, self.shift**2, self.scale**2
        if self.heavy:
            return 0.0 if (self.shift, self.scale) == (0.0, 1.0) else None
        across = 1 + 3 * (s2 + m2) / d  # reals have mean 0, so odd powers of the product vanish
        return _mean_kernel(d, 0.0, 1.0) + _mean_kernel(d, m2, s2) - 2 * across

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        sides = [rng.standard_normal((n, self.features)) for n in (self.n, self.fakes or self.n)]
        if self.heavy:
            sides = [x * np.sqrt(3 / rng.chisquare(5, (len(x), 1))) for x in sides]
        return torch.from_numpy(sides[0]), torch.from_numpy(sides[1] * self.scale + self.shift)


def _mean_kernel(d: int, m2: float, s2: float) -> float:
    """Return E (x.y/d + 1)^3 of independent x and y, both N(m, s^2 I); ``m2`` and ``s2`` are the squares."""
    # x.y/d is the mean of d independent products of two Gaussians each.
    first, second, third = m2, (s2 + m2) ** 2, m2 * (m2 + 3 * s2) ** 2
    variance, skew = second - first**2, third - 3 * first * second + 2 * first**3
    square = first**2 + variance / d
    cube = first**3 + 3 * first * variance / d + skew / d**2
    return 1 + 3 * first + 3 * square + cube


CASES = (
    Case(16, 200),
    Case(16, 500),
    Case(64, 500),
    Case(2, 200),
    Case(16, 100, fakes=300),
    Case(16, 100, 0.1),
    Case(16, 500, 0.1),
    Case(16, 1000, 0.5),
    Case(64, 500, 0.1),
    Case(64, 500, 0.3),
    Case(2, 200, 0.2),
    Case(16, 200, 0.2, 1.1),
    Case(16, 200, 0.0, 1.2),
    Case(16, 300, heavy=True),
    Case(16, 300, 0.3, heavy=True),
)


def coverage(audits: int = 400, seed: int = 0, cases: Sequence[Case] = CASES) -> list[dict[str, Any]]:
    """Return for each case the share of ``audits`` whose interval held the truth."""
    rows = []
    for case in cases:
        rng = np.random.default_rng([seed, case.features, case.n, round(100 * case.shift), round(100 * case.scale)])
        found: list[KernelDistance] = [kernel_distance(*case.draw(rng)) for _ in range(audits)]
        truth = case.truth
        if truth is None:  # no closed form: three times as many draws of the unbiased estimate
            truth = float(np.mean([kernel_distance(*case.draw(rng)).value for _ in range(3 * audits)]))
        bounds = [one.interval(LEVEL) for one in found]
        held = sum(b.low <= truth <= b.high for b in bounds)
        sure = clopper_pearson(held, audits, 0.95)
        spread = float(np.std([one.value for one in found], ddof=1))
        rows.append(
            {
                "case": case,
                "truth": truth,
                "truth_in_errors": truth / spread,
                "audits": audits,
                "covered": held / audits,
                "sure": [round(sure.low, 3), round(sure.high, 3)],
                "error_ratio": float(np.sqrt(np.mean([one.standard_error**2 for one in found]))) / spread,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| features | n | law | truth | in standard errors | held by | sure | SE over spread |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        (row,) = coverage(asked.audits, asked.seed, [case])
        law = f"shift {case.shift:g}, scale {case.scale:g}{', heavy tails' if case.heavy else ''}"
        cells = [case.features, f"{case.n} + {case.fakes or case.n}", law, f"{row['truth']:.4g}"]
        cells += [f"{row['truth_in_errors']:.1f}", f"{row['covered']:.1%}", row["sure"], f"{row['error_ratio']:.2f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
