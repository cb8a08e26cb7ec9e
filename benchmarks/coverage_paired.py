"""How often the interval of the difference of two audits holds the truth, paired by shared samples and independent.

Reals are N(0, I); both generators are affine maps of one standard normal latent, plus noise of their own, so the true
Fréchet distances are known in closed form. Kernel distances are unbiased: the mean of many is the truth. Shares of
neighbours are held against the mean of many audits of the same sizes. The audits share reals, latents, both or nothing.
Run it as ``python -m benchmarks.coverage_paired --audits 300``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.error_parts import ErrorParts, pairing
from ganaudit.document.model import Interval, Measurement
from ganaudit.document.pairs import difference_bounds
from ganaudit.numerics.error_parts import SCHEME, grouped_errors
from ganaudit.numerics.frechet_inference import corrected_frechet_distance
from ganaudit.numerics.intervals import Bounds, clopper_pearson
from ganaudit.numerics.kernel import kernel_distance
from ganaudit.numerics.neighbour_inference import half_scatter
from ganaudit.numerics.neighbours import neighbourhood

LEVEL = 0.95
FEATURES = 8
_NEIGHBOURS = 3


@dataclass(frozen=True)
class Generator:
    """x = scale z + shift + noise e, z the latent, e its own."""

    scale: float
    shift: float
    noise: float = 0.0

    def made(self, z: Tensor, rng: np.random.Generator) -> Tensor:
        return self.scale * z + self.shift + self.noise * torch.from_numpy(rng.standard_normal(z.shape))

    @property
    def distance(self) -> float:
        """The Fréchet distance of N(shift, (scale^2 + noise^2) I) from N(0, I)."""
        return float(FEATURES * (self.shift**2 + (np.hypot(self.scale, self.noise) - 1) ** 2))


@dataclass(frozen=True)
class Case:
    """Two generators and what their audits share."""

    number: str
    """frechet, kernel, precision or recall."""
    a: Generator
    b: Generator
    n: int
    shared: frozenset[str]
    """Of real and fake."""


GOOD, NEAR, FAR = Generator(1.0, 0.0), Generator(0.97, 0.05, 0.1), Generator(0.8, 0.3, 0.2)
BOTH, REALS, NONE = frozenset({"real", "fake"}), frozenset({"real"}), frozenset[str]()
CASES = tuple(
    Case(number, a, b, 300, shared)
    for number in ("frechet", "kernel", "precision", "recall")
    for a, b in ((NEAR, NEAR), (FAR, FAR), (GOOD, NEAR), (NEAR, FAR))
    for shared in (BOTH, REALS, NONE)
)


def _measured(value: float, ends: Bounds, parts: ErrorParts) -> Measurement:
    interval = Interval(low=ends.low, high=ends.high, level=LEVEL, method="as the evaluator", covers="both draws")
    told = {"key": "x", "title": "x", "unit": "1", "better": "lower", "null_reason": "none needed"}
    return Measurement(value=value, interval=interval, n=1, error_parts=parts, **told)


def _frechet(real: Tensor, fake: Tensor, seed: int) -> Measurement:
    found = corrected_frechet_distance(real, fake, np.random.default_rng(seed))
    assert found.real_influences is not None
    assert found.fake_influences is not None
    sides = {"real": found.real_influences, "fake": found.fake_influences}
    parts = ErrorParts.of(SCHEME, {side: grouped_errors(psi) for side, psi in sides.items()})
    return _measured(found.value, found.interval(LEVEL), parts)


def _kernel(real: Tensor, fake: Tensor, seed: int) -> Measurement:
    found = kernel_distance(real, fake)
    sides = {"real": found.real_influences, "fake": found.fake_influences}
    parts = ErrorParts.of(SCHEME, {side: grouped_errors(psi) for side, psi in sides.items()})
    return _measured(found.value, found.interval(LEVEL), parts)


def _share(name: str) -> Callable[[Tensor, Tensor, int], Measurement]:
    def measured(real: Tensor, fake: Tensor, seed: int) -> Measurement:
        sizes = {"real": len(real), "fake": len(fake)}
        value = float(getattr(neighbourhood(real, fake, _NEIGHBOURS, "<"), name))
        scatter = half_scatter(real, fake, _NEIGHBOURS, "<", np.random.default_rng(seed))
        ends, errors = scatter.interval(name, value, sizes, LEVEL), scatter.errors(name, value, sizes)
        assert ends is not None
        assert errors is not None
        return _measured(value, ends, ErrorParts.of("halves", {"both": errors}))

    return measured


_NUMBERS = {"frechet": _frechet, "kernel": _kernel, "precision": _share("precision"), "recall": _share("recall")}


def _audits(case: Case, rng: np.random.Generator) -> tuple[Measurement, Measurement]:
    """Return the number of both audits; where latents are not shared the audits have other seeds."""

    def drawn() -> Tensor:
        return torch.from_numpy(rng.standard_normal((case.n, FEATURES)))

    reals, latents = drawn(), drawn()
    others = reals if "real" in case.shared else drawn(), latents if "fake" in case.shared else drawn()
    seed = int(rng.integers(2**31))
    number = _NUMBERS[case.number]
    one = number(reals, case.a.made(latents, rng), seed)
    return one, number(others[0], case.b.made(others[1], rng), seed if case.shared == BOTH else seed + 1)


def coverage(audits: int = 300, seed: int = 0, cases: Sequence[Case] = CASES) -> list[dict[str, Any]]:
    """Return for each case how often each interval held the truth, and how wide the paired one is."""
    rows = []
    for case in cases:
        rng = np.random.default_rng([seed, case.n, *map(ord, case.number + "".join(sorted(case.shared)))])
        pairs = [_audits(case, rng) for _ in range(audits)]
        moved = np.array([(b.value or 0.0) - (a.value or 0.0) for a, b in pairs])
        truth = case.b.distance - case.a.distance if case.number == "frechet" else float(moved.mean())
        parts = case.shared | ({"both"} if case.shared == BOTH else set())
        found = [pairing(a.error_parts, b.error_parts, parts) for a, b in pairs if a.error_parts and b.error_parts]
        paired = np.array([difference_bounds(a, b, pair) for (a, b), pair in zip(pairs, found, strict=True)])
        alone = np.array([difference_bounds(a, b, None) for a, b in pairs])
        held = [int(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).sum()) for ends in (paired, alone)]
        sure = clopper_pearson(held[0], audits, 0.95)
        rows.append(
            {
                "case": case,
                "audits": audits,
                "held": held[0],
                "covered": held[0] / audits,
                "sure": [round(sure.low, 3), round(sure.high, 3)],
                "covered_independent": held[1] / audits,
                "width_ratio": float(np.diff(paired).mean() / np.diff(alone).mean()),
                "correlation": float(np.mean([pair.correlation if pair else 0.0 for pair in found])),
                "true_correlation": float(np.corrcoef([[a.value, b.value] for a, b in pairs], rowvar=False)[0, 1]),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| number | A, B | shared | correlation | estimated | paired held by | sure | independent | width |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    names = {GOOD: "good", NEAR: "near", FAR: "far"}
    for case in CASES:
        (row,) = coverage(asked.audits, asked.seed, [case])
        cells = [case.number, f"{names[case.a]}, {names[case.b]}", " and ".join(sorted(case.shared)) or "nothing"]
        cells += [f"{row['true_correlation']:.2f}", f"{row['correlation']:.2f}", f"{row['covered']:.1%}", row["sure"]]
        cells += [f"{row['covered_independent']:.1%}", f"{row['width_ratio']:.2f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
