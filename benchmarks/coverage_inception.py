"""How often the 95 % intervals of the inception-score evaluator hold the truth, over simulated audits.

    python -m benchmarks.coverage_inception --audits 400 --seed 0

Every audit draws logits anew from a known law and makes the intervals as the evaluator does. The truth of ``is`` is its
expected value at that n and those splits, the mean over separate draws; that of the others is the value of endless
samples, from a draw a hundred times as large.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.entropy import EntropyEstimate, class_entropies, inception_score, inception_scores
from ganaudit.numerics.intervals import Bounds

LEVEL = 0.95
MEASURES = ("is", "is-corrected", "class-entropy")


@dataclass(frozen=True)
class Case:
    """A law of logits: a class drawn by its frequency is lifted by a random height over normal noise."""

    title: str
    n: int
    classes: int
    splits: int = 10
    height: float = 6.0
    noise: float = 1.0
    zipf: bool = False
    """Whether the c-th class has a frequency in proportion to 1/c; else all are equally frequent."""

    def draw(self, n: int, rng: np.random.Generator) -> Tensor:
        weights = 1 / np.arange(1, self.classes + 1) if self.zipf else np.ones(self.classes)
        labels = rng.choice(self.classes, size=n, p=weights / weights.sum())
        logits = rng.standard_normal((n, self.classes)) * self.noise
        logits[np.arange(n), labels] += self.height * rng.gamma(2.0, 0.5, size=n)
        return torch.from_numpy(logits)


CASES = (
    Case("10 classes", n=400, classes=10),
    Case("10 classes, one split", n=400, classes=10, splits=1),
    Case("10 classes, soft", n=400, classes=10, height=2),
    Case("10 classes, certain", n=1000, classes=10, height=30, noise=0.1),
    Case("10 rare and frequent classes", n=400, classes=10, zipf=True),
    Case("10 classes, few samples", n=100, classes=10),
    Case("100 rare and frequent classes", n=1000, classes=100, height=8, zipf=True),
)
MANY = (
    Case("1000 rare and frequent classes", n=2000, classes=1000, height=10, zipf=True),
    Case("1000 rare and frequent classes, few samples", n=400, classes=1000, height=10, zipf=True),
)


def coverage(audits: int, seed: int, cases: tuple[Case, ...] = CASES) -> list[dict[str, object]]:
    """Return a row for each case and measure: truth, mean value, share of audits whose interval held the truth."""
    return [
        row for number, case in enumerate(cases) for row in _rows(case, audits, np.random.default_rng([seed, number]))
    ]


def _rows(case: Case, audits: int, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    truths = _truths(case, rng)
    found = [_audit(case, rng) for _ in range(audits)]
    for measure in MEASURES:
        values = [audit[measure][0] for audit in found]
        bounds = [audit[measure][1] for audit in found]
        inside = sum(b.low <= truths[measure] <= b.high for b in bounds)
        yield {
            "case": case.title,
            "n": case.n,
            "classes": case.classes,
            "splits": case.splits,
            "measure": measure,
            "truth": truths[measure],
            "mean_value": float(np.mean(values)),
            "standard_deviation": float(np.std(values, ddof=1)),
            "mean_width": float(np.mean([b.high - b.low for b in bounds])),
            "audits": audits,
            "inside": inside,
            "coverage": inside / audits,
        }


def _audit(case: Case, rng: np.random.Generator) -> dict[str, tuple[float, Bounds]]:
    logits = case.draw(case.n, rng)
    score = inception_score(logits, case.splits, torch.from_numpy(rng.permutation(case.n)))
    entropies = class_entropies(logits)
    return {
        "is": (score.value, score.interval(LEVEL)),
        "is-corrected": _limited(entropies.information, case, exponential=True),
        "class-entropy": _limited(entropies.marginal, case, exponential=False),
    }


def _limited(found: EntropyEstimate, case: Case, exponential: bool) -> tuple[float, Bounds]:
    value, bounds = found.within(math.log(case.classes), LEVEL)
    if not exponential:
        return value, bounds
    return math.exp(value), Bounds(math.exp(bounds.low), math.exp(bounds.high))


def _truths(case: Case, rng: np.random.Generator, parts: int = 100) -> dict[str, float]:
    draws = min(
        1000, max(200, 2**28 // (case.n * case.classes))
    )  # the mean errs by a fourteenth of a deviation at most
    scores = [float(inception_scores(case.draw(case.n, rng), case.splits).mean()) for _ in range(draws)]
    laws = [case.draw(2 * case.n, rng).softmax(dim=1) for _ in range(parts)]
    mean = torch.stack([part.mean(dim=0) for part in laws]).mean(dim=0)
    within = float(np.mean([float(torch.special.entr(part).sum(dim=1).mean()) for part in laws]))
    # Symmetry gives the entropy of equally frequent classes exactly.
    marginal = float(torch.special.entr(mean).sum()) if case.zipf else float(np.log(case.classes))
    return {"is": float(np.mean(scores)), "is-corrected": float(np.exp(marginal - within)), "class-entropy": marginal}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audits", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--many", action="store_true", help="also the cases of 1000 classes, which take minutes")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    chosen = parser.parse_args()
    rows = coverage(chosen.audits, chosen.seed, CASES + (MANY if chosen.many else ()))
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(
            f"{row['case']:<45} n {row['n']:>5}  {row['measure']:<14} truth {row['truth']:8.4f}  "
            f"mean {row['mean_value']:8.4f} +- {row['standard_deviation']:.4f}  width {row['mean_width']:.4f}  "
            f"held {100 * row['coverage']:5.1f} % of {row['audits']}"
        )


if __name__ == "__main__":
    main()
