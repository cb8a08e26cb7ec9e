"""Whether generated and real features come from one distribution, as the kernel distance (MMD², KID)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from ganaudit.document.model import Axis, Histogram, HistogramSeries, Interval, Null, Rule
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.view import View
from ganaudit.numerics.intervals import normal
from ganaudit.numerics.kernel import kernel_distance, kernel_distance_subsets

__all__ = ["KernelDistance"]

_COVERS = (
    "the drawing of both the real and the generated samples, by a normal approximation that is too narrow where a few "
    "samples dominate (heavy tails); not the training of the generator"
)
_PICTURED = 250
"""Samples of each side in a subset of the picture; more would cost more than the number itself."""
_BINS = 24


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """Unbiased squared maximum mean discrepancy with the cubic kernel (KID on Inception features)."""

    estimator: Literal["full", "subsets"] = "full"
    """``full``: one U-statistic over all pairs. ``subsets``: the mean over random subsets, as peers report it."""
    subsets: int = 100
    subset_size: int = 1000
    degree: int = 3
    coef0: float = 1.0

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="kernel-distance",
        title="Kernel distance",
        question="Do generated and real features differ in any moment up to the third?",
        needs=("features/real", "features/fake", "features/null-real", "features/null-fake"),
        minimum={"features/real": 3, "features/fake": 3},
        measurements=(
            MeasurementSpec(
                key="kd",
                title="Kernel distance",
                meaning="Squared discrepancy of the two feature distributions; 0 is equal, small negatives are chance.",
                unit="kernel units",
                better="lower",
                estimator=(
                    "unbiased MMD^2 with k(x, y) = (x.y / D + 1)^3: U-statistic within each side, all pairs across; "
                    "over all samples (full), or the mean over random subsets without replacement (subsets)"
                ),
            ),
        ),
        misleads=(
            "The cubic kernel grows with the scale of the features, so values of different extractors cannot be "
            "compared. Near 0 the estimate may be negative: that is chance, not an error."
        ),
        references=("Binkowski et al., Demystifying MMD GANs, 2018, arXiv:1801.01401",
                    "Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.subsets < 2 or self.subset_size < 2 or self.degree < 1:
            raise ValueError("subsets and subset_size must be at least 2, degree at least 1")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return kd with its interval and null, and the spread of subset estimates for both."""
        real, fake = view["features/real"], view["features/fake"]
        too_few = "fewer than 3 reals on a side of the null"
        has_null = view.missing("features/null-fake") is None
        has_null = has_null and min(len(view["features/null-real"]), len(view["features/null-fake"])) >= 3
        pairs = {"generated": (real, fake)}
        if has_null:
            pairs["null: real against real"] = (view["features/null-real"], view["features/null-fake"])
        spread = {name: self._subsets(*pair, rng) for name, pair in pairs.items()}
        estimates = {name: self._estimate(*pair, spread[name]) for name, pair in pairs.items()}
        value, interval = estimates["generated"]
        null = None
        if has_null:
            null_value, null_interval = estimates["null: real against real"]
            stand_in = view["features/null-fake"]
            null = Null(
                value=null_value,
                low=null_interval.low if null_interval else None,
                high=null_interval.high if null_interval else None,
                n=len(stand_in),
                rule=view.null_rule,
            )
        kd = self.spec.measurement(
            "kd",
            value,
            {"real": len(real), "fake": len(fake)},
            interval=interval,
            interval_reason=None if interval else "subsets overlap: their spread is no standard error",
            null=null,
            null_reason=None if null else view.missing("features/null-fake") or too_few,
        )
        return Findings([kd], [_histogram(spread, value)])

    def _size(self, real: Tensor, fake: Tensor) -> int:
        return min(self.subset_size, len(real), len(fake))

    def _subsets(self, real: Tensor, fake: Tensor, rng: np.random.Generator) -> Tensor:
        size = self._size(real, fake)
        if self.estimator == "subsets" and size < self.subset_size:
            raise NotAssessable(
                f"subsets of {self.subset_size} were asked for; there are {len(real)} real and {len(fake)} generated "
                f"samples: give at least {self.subset_size} of both, or set subset_size"
            )
        if self.estimator == "full":
            # Only for the picture: at most half the samples, so that subsets differ.
            size = max(2, min(_PICTURED, min(len(real), len(fake)) // 2))
        draws = [
            (rng.choice(len(real), size, replace=False), rng.choice(len(fake), size, replace=False))
            for _ in range(self.subsets)
        ]
        return kernel_distance_subsets(real, fake, draws, degree=self.degree, coef0=self.coef0)

    def _estimate(self, real: Tensor, fake: Tensor, spread: Tensor) -> tuple[float, Interval | None]:
        if self.estimator == "subsets":
            return float(spread.mean()), None
        estimate = kernel_distance(real, fake, degree=self.degree, coef0=self.coef0)
        bounds = normal(estimate.value, estimate.standard_error, 0.95)
        interval = Interval(
            low=bounds.low,
            high=bounds.high,
            level=0.95,
            method="normal, standard error by the two-sample delete-one jackknife",
            covers=_COVERS,
        )
        return estimate.value, interval


def _histogram(spread: dict[str, Tensor], value: float) -> Histogram:
    low = min(float(s.min()) for s in spread.values())
    high = max(float(s.max()) for s in spread.values())
    if high <= low:
        high = low + max(abs(low), 1.0) * 1e-6
    edges = np.linspace(low, high, _BINS + 1)
    series = [
        HistogramSeries(name=name, shares=(np.histogram(s.numpy(), edges)[0] / len(s)).tolist())
        for name, s in spread.items()
    ]
    return Histogram(
        title="Kernel distance of random subsets, for the spread",
        x=Axis(title="kernel distance of a subset"),
        edges=edges.tolist(),
        series=series,
        rules=[Rule(at=value, label="kd")],
    )
