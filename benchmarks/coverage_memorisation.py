"""How often memorisation raises a false alarm on one law, finds planted copies, and holds known values, simulated.

Every audit draws train, unseen and generated samples anew. A statistic points to copies where its whole interval lies
beyond that of the null, as in the verdict. Known for one law: 0 for ct, 1/2 for both areas, n/(n + N - 1) for
identifiability. Run it as ``python -m benchmarks.coverage_memorisation --audits 200``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Measurement
from ganaudit.document.standing import place
from ganaudit.evaluators.memorisation import Memorisation
from ganaudit.numerics.world import ALONE, World

TRAIN, HELD, FAKE, FEATURES = 600, 600, 300, 16
BELOW = ("ct", "authenticity")
"""Statistics that lie below their null where samples are copied; the others lie above."""
JUDGED = (
    "ct", "authenticity", "copy-rate", "exact-copy-rate", "distance-auc", "identifiability", "reconstruction-auc",
    "likelihood-gap",
)  # fmt: skip
KNOWN = {"ct": 0.0, "distance-auc": 0.5, "reconstruction-auc": 0.5, "identifiability": FAKE / (FAKE + TRAIN - 1)}
CASES = ("one law", "5 % exact copies", "5 % near copies", "keeps to the middle", "copycat")


@dataclass(frozen=True)
class Features:
    """A view of features alone."""

    nodes: Mapping[str, Tensor]
    world: World = ALONE

    def missing(self, node: str) -> str | None:
        return None if node in self.nodes else "not drawn"

    def count(self, node: str) -> int:
        return len(self.nodes[node])

    def __getitem__(self, node: str) -> Tensor:
        return self.nodes[node]


def drawn(case: str, rng: np.random.Generator) -> Features:
    """Return the features of one audit."""
    train, held, fake = (torch.from_numpy(rng.normal(size=(n, FEATURES))) for n in (TRAIN, HELD, FAKE))
    copies = FAKE // 20
    if case == "5 % exact copies":
        fake[:copies] = train[:copies]
    elif case == "5 % near copies":
        fake[:copies] = train[:copies] + 0.2 * fake[:copies]
    elif case == "keeps to the middle":
        fake *= 0.8
    elif case == "copycat":
        fake = train[:FAKE].clone()
    sides = {"train": train, "test": held[: HELD // 2], "calibration": held[HELD // 2 :], "fake": fake}
    return Features({f"features/{name}": rows for name, rows in sides.items()})


def points(m: Measurement) -> bool:
    """Return whether a measurement lies beyond its null on the side of copies."""
    if m.interval is None or m.null is None:
        return False
    return place(m.interval, m.null) == ("is below" if m.key in BELOW else "is above")


def simulated(case: str, audits: int, seed: int) -> tuple[Counter[str], Counter[str], float]:
    """Return how often each statistic pointed to copies, how often each known value was held, and how often any did."""
    rng = np.random.default_rng((seed, CASES.index(case)))
    pointed: Counter[str] = Counter()
    held: Counter[str] = Counter()
    alarms = 0
    for _ in range(audits):
        found = Memorisation().evaluate(drawn(case, rng), rng)  # type: ignore[arg-type]
        now = [m.key for m in found.measurements if m.key in JUDGED and points(m)]
        pointed.update(now)
        alarms += bool(now)
        held.update(
            m.key
            for m in found.measurements
            if m.key in KNOWN and m.interval is not None and m.interval.low <= KNOWN[m.key] <= m.interval.high
        )
    return pointed, held, alarms / audits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for case in CASES:
        pointed, held, alarms = simulated(case, given.audits, given.seed)
        shares = ", ".join(f"{key} {pointed[key] / given.audits:.3f}" for key in JUDGED)
        print(f"{case}: any {alarms:.3f}; {shares}", flush=True)
        if case == "one law":
            print("  known values held: " + ", ".join(f"{key} {held[key] / given.audits:.3f}" for key in KNOWN))


if __name__ == "__main__":
    main()
