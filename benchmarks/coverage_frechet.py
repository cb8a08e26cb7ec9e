"""How often the 95 % intervals of fd-corrected and fd-infinity hold the truth, over simulated audits.

Reals are N(0, S), fakes N(m, s^2 S), so that the truth is |m|^2 + (1 - s)^2 tr S. Every audit draws its own samples.
Run it as ``python -m benchmarks.coverage_frechet --audits 300``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.frechet_extrapolation import samples_needed
from ganaudit.numerics.frechet_inference import (
    FrechetEstimate,
    Side,
    corrected_frechet_distance,
    estimated_frechet_distance,
)
from ganaudit.numerics.intervals import normal
from ganaudit.numerics.moments import GroupedMoments, Moments

LEVEL = 0.95


@dataclass(frozen=True)
class Setting:
    """One kind of audit."""

    features: int
    real: int | None
    """Reals; None: the exact statistics stand in for them, as published ones do."""
    fake: int
    shift: float
    """m, the same in every feature, in standard deviations of it."""
    scale: float
    """s."""
    spectrum: str = "flat"
    """Eigenvalues of S: all 1, or falling as 1/i ("falling")."""
    law: str = "normal"
    """Of the samples: normal, or "heavy", each sample scaled by the root of a Gamma(4) variable of mean 1."""

    @property
    def variances(self) -> np.ndarray:
        falling = 1 / np.arange(1, self.features + 1)
        return np.ones(self.features) if self.spectrum == "flat" else falling * self.features / falling.sum()

    @property
    def truth(self) -> float:
        return float(self.variances.sum()) * (self.shift**2 + (1 - self.scale) ** 2)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        noise = rng.standard_normal((n, self.features))
        if self.law == "heavy":
            noise *= np.sqrt(rng.gamma(4, 1 / 4, (n, 1)))
        return noise * np.sqrt(self.variances)

    def fakes(self, rng: np.random.Generator) -> Tensor:
        return torch.from_numpy(self.draw(self.fake, rng) * self.scale + self.shift * np.sqrt(self.variances))


@dataclass(frozen=True)
class Coverage:
    """How often the truth lay in the interval."""

    setting: Setting
    audits: int
    corrected: float
    infinity: float
    raw: float
    """Share in which an interval of the same width around the plug-in distance held it."""
    bias: float
    """Mean of fd-corrected less the truth, in standard deviations of one audit."""
    error_ratio: float
    """The root mean square of the standard errors over the standard deviation of the values."""

    @property
    def error(self) -> float:
        """The standard deviation of a share that is truly 0.95."""
        return math.sqrt(LEVEL * (1 - LEVEL) / self.audits)


def audited(setting: Setting, rng: np.random.Generator) -> FrechetEstimate:
    """Return the estimate of one simulated audit."""
    fake = setting.fakes(rng)
    if setting.real is not None:
        return corrected_frechet_distance(torch.from_numpy(setting.draw(setting.real, rng)), fake, rng)
    covariance = torch.from_numpy(np.diag(setting.variances))
    published = Moments.from_statistics(None, torch.zeros(setting.features), covariance)
    groups = GroupedMoments.groups_for(setting.fake, setting.features)
    moments = GroupedMoments.gather([(0, fake)], setting.fake, groups, rng)
    return estimated_frechet_distance(Side.drawn(published, setting.fake, groups, rng), Side.of(fake, moments, rng))


def coverage(setting: Setting, audits: int, seed: int = 0) -> Coverage:
    """Return how often the intervals of ``audits`` simulated audits hold the truth."""
    rng = np.random.default_rng(seed)
    found = [audited(setting, rng) for _ in range(audits)]

    def share(pairs: list[tuple[float, float]]) -> float:
        bounds = [normal(value, error, LEVEL) for value, error in pairs]
        return math.nan if not bounds else float(np.mean([b.low <= setting.truth <= b.high for b in bounds]))

    values = np.array([e.value for e in found])
    return Coverage(
        setting=setting,
        audits=audits,
        corrected=share([(e.value, e.standard_error) for e in found]),
        infinity=share([(e.line.intercept, e.line.standard_error) for e in found if e.line is not None]),
        raw=share([(e.plug_in, e.standard_error) for e in found]),
        bias=float((values.mean() - setting.truth) / values.std(ddof=1)),
        error_ratio=float(np.sqrt(np.mean([e.standard_error**2 for e in found])) / values.std(ddof=1)),
    )


def settings(full: bool) -> Iterator[Setting]:
    """Yield the settings of the bar, and with ``full`` those that go beyond it."""
    for features in (16, 64):
        for n in (500, 1000, 2000):
            for truth in (0.0, 0.008, 0.05, 0.3):
                step = math.sqrt(truth / 2 / features)  # half of it in the means, half in the covariances
                yield Setting(features, n, n, step, 1 + step)
    if not full:
        return
    for n in (samples_needed(64), 130):
        yield Setting(64, n, n, 0.0, 1.0)
        yield Setting(64, n, n, 0.1, 1.1)
    for shift, scale in ((0.0, 1.0), (0.03, 1.05)):
        yield Setting(64, 2000, 500, shift, scale)
        yield Setting(64, 200, 1000, shift, scale)
        yield Setting(64, None, 500, shift, scale)
        yield Setting(64, 500, 500, shift, scale, spectrum="falling")
        yield Setting(64, 500, 500, shift, scale, law="heavy")
        yield Setting(2, 100, 80, shift, scale)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--full", action="store_true", help="also few samples, unequal sides, published reals, other laws"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.audits} audits each; nominal {LEVEL:.0%}; a share is off by chance with sd "
          f"{math.sqrt(LEVEL * (1 - LEVEL) / options.audits):.1%}")  # fmt: skip
    print("features  reals  fakes  spectrum law     truth   fd-corrected  fd-infinity  around fd  bias/sd  error/sd")
    for setting in settings(options.full):
        found = coverage(setting, options.audits, options.seed)
        print(f"{setting.features:8d} {setting.real or 'exact':>6} {setting.fake:6d}  {setting.spectrum:8s} "
              f"{setting.law:6s} {setting.truth:7.3f} {found.corrected:12.1%} {found.infinity:12.1%} {found.raw:10.1%} "
              f"{found.bias:+8.2f} {found.error_ratio:9.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
