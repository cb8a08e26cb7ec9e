"""How often the 95 % interval of the similarity along interpolations holds the truth, over simulated audits.

Reals are N(0, I), generated samples N(m, s^2 I) and noise N(0, 9 I), all mixed at random into the same reals. Between
Gaussians every distance is a formula, so the truth of endless samples is too:
FD(t) = D (((1 - t) m)^2 + (1 - sqrt((1 - t)^2 s^2 + t^2))^2).
Run it as ``python -m benchmarks.coverage_interpolation --audits 200``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.interpolation import fractions, lerp
from ganaudit.numerics.intervals import clopper_pearson
from ganaudit.numerics.mixing import Curve, frechet_curve, jackknife_similarity, similarity

NOISE = 3.0


@dataclass(frozen=True)
class Case:
    """One kind of audit."""

    features: int
    n: int
    shift: float = 0.0
    """m, the same in every feature."""
    scale: float = 1.0
    """s."""
    points: int = 6

    @property
    def t(self) -> list[float]:
        return fractions(self.points)

    def exact(self, shift: float, scale: float) -> Tensor:
        """FD(t) of endless samples."""
        t = torch.tensor(self.t, dtype=torch.float64)
        spread = ((1 - t) ** 2 * scale**2 + t**2).sqrt()
        return self.features * (((1 - t) * shift) ** 2 + (1 - spread) ** 2)

    @property
    def truth(self) -> float:
        value = similarity(self.exact(self.shift, self.scale), self.exact(0, 1), self.exact(0, NOISE), self.t)
        assert value is not None
        return value

    def draw(self, rng: np.random.Generator) -> tuple[Curve, Curve, Curve]:
        def drawn(shift: float = 0.0, scale: float = 1.0, n: int = self.n) -> Tensor:
            return torch.from_numpy(rng.normal(shift, scale, (n, self.features)))

        ends, fresh = drawn(), drawn(n=2 * self.n)
        starts = drawn(self.shift, self.scale), drawn(), drawn(scale=NOISE)
        made = [frechet_curve(torch.stack([lerp(x, ends, share) for share in self.t]), fresh) for x in starts]
        return made[0], made[1], made[2]


CASES = (
    Case(8, 200),
    Case(8, 200, 0.3),
    Case(8, 200, 0.8),
    Case(8, 200, 0.0, 0.7),
    Case(8, 200, 0.0, 1.5),
    Case(32, 200),
    Case(32, 200, 0.5),
)


def coverage(audits: int = 200, seed: int = 0, cases: Sequence[Case] = CASES) -> list[dict[str, Any]]:
    """Return for each case the share of ``audits`` whose interval held the truth."""
    rows = []
    for number, case in enumerate(cases):
        rng = np.random.default_rng([seed, number])
        held, values = 0, []
        for _ in range(audits):
            found = jackknife_similarity(case.draw(rng), case.n, 2 * case.n, case.t)
            assert found is not None
            assert found.bounds is not None
            held += found.bounds.low <= case.truth <= found.bounds.high
            values.append(found.value)
        sure = clopper_pearson(held, audits, 0.95)
        rows.append({
            "case": case, "audits": audits, "truth": case.truth, "mean": float(np.mean(values)),
            "spread": float(np.std(values, ddof=1)), "covered": held / audits,
            "sure": [round(sure.low, 3), round(sure.high, 3)],
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| features | pairs | law | truth | mean | spread | held by | sure |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in coverage(asked.audits, asked.seed):
        case = row["case"]
        cells = [case.features, case.n, f"shift {case.shift:g}, scale {case.scale:g}", f"{row['truth']:.4f}"]
        cells += [f"{row['mean']:.4f}", f"{row['spread']:.4f}", f"{row['covered']:.1%}", row["sure"]]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
