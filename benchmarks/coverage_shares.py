"""How often the 95 % intervals of class shares and of their distances hold the truth, over simulated audits.

A classifier that is right with probability ``right``, else says any other class, reads ``fakes`` samples of known
shares; its confusion is estimated from ``reals`` labelled ones. The last column is the share of audits in which the
class discrepancy is above the 97.5 % quantile of its null: false alarms where the shares are the target's.
Run it as ``python -m benchmarks.coverage_shares --audits 400``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganaudit.numerics.class_shares import (
    Confusion,
    fairness_discrepancy,
    on_simplex,
    scatter,
    shares,
    total_variation,
)


@dataclass(frozen=True)
class Case:
    """One kind of audit."""

    classes: int
    right: float
    fakes: int
    reals: int
    skew: float = 0.0
    """0: uniform shares. The first half of the classes gains this much in all, the other half loses it."""
    dropped: bool = False

    @property
    def truth(self) -> npt.NDArray[np.float64]:
        k = self.classes
        p = np.full(k, 1 / k)
        p[: k // 2] += self.skew / (k // 2)
        p[k - k // 2 :] -= self.skew / (k // 2)
        if self.dropped:
            p[0] = 0.0
        return p / p.sum()

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        k = self.classes
        return np.full((k, k), (1 - self.right) / (k - 1)) + np.eye(k) * (self.right - (1 - self.right) / (k - 1))


CASES = (
    Case(2, 0.9, 2000, 600),
    Case(2, 0.9, 2000, 600, skew=0.3),
    Case(10, 0.95, 2000, 600),
    Case(10, 0.95, 2000, 600, skew=0.05),
    Case(10, 0.95, 2000, 600, skew=0.2),
    Case(10, 0.95, 2000, 600, dropped=True),
    Case(10, 0.7, 2000, 600),
    Case(10, 0.7, 2000, 600, skew=0.2),
    Case(24, 0.8, 2000, 2000),
    Case(24, 0.8, 2000, 2000, dropped=True),
)


def simulated(case: Case, audits: int, seed: int) -> tuple[float, float, float, float]:
    """Return coverage of single shares, of TV and of L2, and the share of audits above the null."""
    rng, truth, target = np.random.default_rng(seed), case.truth, np.full(case.classes, 1 / case.classes)
    held, of = np.zeros(4), 0
    for _ in range(audits):
        per_class = rng.multinomial(case.reals, target)
        columns = [rng.multinomial(n, case.matrix[:, j]) for j, n in enumerate(per_class)]
        confusion = Confusion(np.stack(columns, axis=1).astype(np.int64))
        if not confusion.has_inverse:
            continue
        of += 1
        found = shares(rng.multinomial(case.fakes, case.matrix @ truth), confusion, rng, 499)
        single = [b.low <= p <= b.high for b, p in zip(found.bounds(0.95), truth, strict=True)]
        tv, l2 = found.total_variation_bounds(target, 0.95), found.fairness_bounds(0.95)
        perfect = on_simplex(target + scatter(target, case.fakes, confusion, rng, 499))
        most = np.quantile(np.abs(perfect - target).sum(1) / 2, 0.975)
        held += [
            np.mean(single),
            tv.low <= total_variation(truth, target) + 1e-12 <= tv.high + 2e-12,
            l2.low <= fairness_discrepancy(truth) + 1e-12 <= l2.high + 2e-12,
            total_variation(found.values, target) > most,
        ]
    return tuple((held / max(of, 1)).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=400)
    audits = parser.parse_args().audits
    print("classes right fakes reals skew dropped | shares TV L2 | above the null")
    for number, case in enumerate(CASES):
        single, tv, l2, above = simulated(case, audits, number)
        print(
            f"{case.classes:7d} {case.right:5.2f} {case.fakes:5d} {case.reals:5d} {case.skew:4.2f} "
            f"{'yes' if case.dropped else 'no':>7} | {single:6.3f} {tv:5.3f} {l2:5.3f} | {above:5.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
