"""How often the 95 % intervals of precision, recall, density, coverage and the rest hold the truth, simulated.

The truth of a statistic is its expected value at this number of samples, from many independent draws of both sides: a
share of neighbours has no value that does not depend on n. Every audit draws its own samples.
Run it as ``python -m benchmarks.coverage_neighbours --audits 300``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.neighbour_inference import STATISTICS, half_scatter
from ganaudit.numerics.neighbours import neighbourhood

LEVEL, NEIGHBOURS = 0.95, 5
TRUTH_DRAWS = 3
"""Independent draws for the truth, in units of the audits."""


@dataclass(frozen=True)
class Case:
    """One kind of audit."""

    name: str
    features: int
    real: int
    fake: int

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        x, y = rng.normal(size=(self.real, self.features)), rng.normal(size=(self.fake, self.features))
        if self.name == "shifted":
            y += 0.3
        elif self.name == "blurred":
            y *= 0.8
        elif self.name == "modes dropped":
            x[:, 0] += 6 * rng.integers(0, 5, self.real)
            y[:, 0] += 6 * rng.integers(0, 3, self.fake)
        elif self.name == "curved, 4 dimensions within":
            mixing = np.random.default_rng(1).normal(size=(4, self.features))
            x, y = np.tanh(x[:, :4] @ mixing), np.tanh(1.2 * y[:, :4] @ mixing)
        elif self.name == "heavy tails":
            x *= np.sqrt(5 / rng.chisquare(5, (self.real, 1)))
            y = y * np.sqrt(5 / rng.chisquare(5, (self.fake, 1))) + 0.2
        return torch.from_numpy(x), torch.from_numpy(y)


CASES = (
    Case("equal", 2, 200, 200),
    Case("shifted", 16, 200, 200),
    Case("equal", 16, 300, 150),
    Case("equal", 64, 200, 200),
    Case("blurred", 16, 200, 200),
    Case("modes dropped", 2, 200, 200),
    Case("curved, 4 dimensions within", 64, 400, 400),
    Case("heavy tails", 8, 200, 200),
)


def values(real: Tensor, fake: Tensor) -> list[float]:
    """Return the statistics in the order of STATISTICS."""
    found = neighbourhood(real, fake, NEIGHBOURS)
    shares = (found.precision, found.recall, found.density, found.coverage, found.accuracy_real, found.accuracy_fake)
    return [*shares, float(found.realism.median())]


def coverage(audits: int, seed: int, cases: Sequence[Case] = CASES) -> list[dict[str, Any]]:
    """Return, for each case and statistic, in which share of ``audits`` its interval held the truth."""
    rows = []
    for number, case in enumerate(cases):
        rng = np.random.default_rng((seed, number))
        sizes = {"real": case.real, "fake": case.fake}
        drawn, bounds = [], []
        for _ in range(audits):
            real, fake = case.draw(rng)
            drawn.append(values(real, fake))
            scatter = half_scatter(real, fake, NEIGHBOURS, "<", rng)
            bounds.append([scatter.interval(s, v, sizes, LEVEL) for s, v in zip(STATISTICS, drawn[-1], strict=True)])
        more = [values(*case.draw(rng)) for _ in range(TRUTH_DRAWS * audits)]
        truths = np.array(drawn + more).mean(axis=0)
        for position, statistic in enumerate(STATISTICS):
            held = [b is not None and b.low <= truths[position] <= b.high for b in (row[position] for row in bounds)]
            rows.append(
                {
                    "case": f"{case.name}, {case.features} features",
                    "sizes": sizes,
                    "statistic": statistic,
                    "audits": audits,
                    "truth": float(truths[position]),
                    "covered": float(np.mean(held)),
                    "error": math.sqrt(LEVEL * (1 - LEVEL) / audits),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wide", action="store_true", help="400 + 400 samples of 2048 features as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wide = (Case("equal", 2048, 400, 400), Case("blurred", 2048, 400, 400)) if options.wide else ()
    print("| case | n | statistic | truth | held by |\n| --- | --- | --- | --- | --- |")
    for case in (*CASES, *wide):
        for row in coverage(options.audits, options.seed, [case]):
            n = " + ".join(map(str, row["sizes"].values()))
            held = f"{row['covered']:.1%} ± {row['error']:.1%}"
            print(f"| {row['case']} | {n} | {row['statistic']} | {row['truth']:.4f} | {held} |", flush=True)


if __name__ == "__main__":
    main()
