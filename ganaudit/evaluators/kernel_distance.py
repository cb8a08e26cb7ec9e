"""Whether generated and real features come from one distribution, as the kernel distance (MMD², KID)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Axis, Detail, Histogram, HistogramSeries, Interval, Measurement, Note, Null, Rule
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.view import View
from ganaudit.numerics.intervals import clopper_pearson
from ganaudit.numerics.kernel import PermutationTest, kernel_distance, kernel_distance_subsets, permutation_test
from ganaudit.numerics.kernels import Gaussian, Kernel, Polynomial, median_distance

__all__ = ["KernelDistance"]

_COVERS = (
    "the drawing of both the real and the generated samples, by a normal approximation that is too narrow where a few "
    "samples dominate (heavy tails); not the training of the generator"
)
_BINS = 24
_LEAST = 3


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """Unbiased squared maximum mean discrepancy with the cubic kernel (KID on Inception features)."""

    estimator: Literal["full", "subsets"] = "full"
    """``full``: one U-statistic over all pairs. ``subsets``: the mean over random subsets, as peers report it."""
    subsets: int = 100
    subset_size: int = 1000
    kernel: Literal["polynomial", "rbf"] = "polynomial"
    """``rbf``: exp(-|x - y|^2 / (2 bandwidth^2)), which sees every moment."""
    degree: int = 3
    """Of the polynomial kernel (x.y / D + coef0)^degree."""
    coef0: float = 1.0
    bandwidth: float | Literal["median"] = "median"
    """Of the rbf kernel; ``median``: the median distance between 1000 reals."""
    permutations: int = 999
    """Relabellings behind the p-value; 0 leaves it out."""
    most_permuted: int = 2000
    """Samples of each side in the permutation test; more are drawn down to as many."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="kernel-distance",
        title="Kernel distance",
        question="Do generated and real features differ in any moment that the kernel sees?",
        needs=("features/real", "features/fake", "features/null-real", "features/null-fake"),
        minimum={"features/real": _LEAST, "features/fake": _LEAST},
        measurements=(
            MeasurementSpec(
                key="kd",
                title="Kernel distance",
                meaning="Squared discrepancy of the two feature distributions; 0 is equal, small negatives are chance.",
                unit="kernel units",
                better="lower",
                estimator=(
                    "unbiased MMD^2 with k(x, y) = (x.y / D + 1)^3, or the rbf kernel: U-statistic within each side, "
                    "all pairs across; over all samples (full), or the mean over random subsets without replacement"
                ),
            ),
            MeasurementSpec(
                key="p-value",
                title="Permutation p-value",
                meaning="How often a random relabelling of all samples differs as much: small means that they differ.",
                unit="probability",
                better="none",
                bounds=(0.0, 1.0),
                estimator="(1 + relabellings with MMD^2 as large or larger) / (1 + relabellings); exact at any n",
            ),
        ),
        misleads=(
            "The cubic kernel grows with the scale of the features, so values of different extractors cannot be "
            "compared. Near 0 the estimate may be negative: that is chance, not an error. A small p-value says that "
            "the two differ, not by how much: with enough samples every generator differs."
        ),
        references=("Binkowski et al., Demystifying MMD GANs, 2018, arXiv:1801.01401",
                    "Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012",
                    "Jayasumana et al., Rethinking FID, 2024, arXiv:2401.09603 (rbf kernel)"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.subsets < 2 or self.subset_size < 2 or self.degree < 1:
            raise ValueError("subsets and subset_size must be at least 2, degree at least 1")
        if self.permutations < 0 or self.most_permuted < _LEAST:
            raise ValueError(f"permutations must be at least 0, most_permuted at least {_LEAST}")
        if isinstance(self.bandwidth, float) and not 0 < self.bandwidth < float("inf"):
            raise ValueError("bandwidth must be above 0, or 'median'")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return kd with its interval and null, the p-value, and how relabelled samples scatter."""
        real, fake = view["features/real"], view["features/fake"]
        kernel = self._kernel(real, rng)
        null = self._null_pair(view)
        tests = self._tests(view, (real, fake), null, kernel, rng)
        kd = self._distance(view, (real, fake), null, kernel, rng)
        details: list[Detail] = [Note(text=_reading(kd))]
        if tests:
            details.append(_histogram(tests[0]))
        conventions = {"bandwidth": kernel.bandwidth} if isinstance(kernel, Gaussian) else {}
        return Findings([kd, self._p_value(view, real, fake, tests)], details, conventions=conventions)

    def _kernel(self, real: Tensor, rng: np.random.Generator) -> Kernel:
        if self.kernel == "polynomial":
            return Polynomial(self.degree, None, self.coef0)
        try:
            return Gaussian(median_distance(real, rng) if self.bandwidth == "median" else self.bandwidth)
        except ValueError as error:
            raise NotAssessable(f"the rbf kernel has no median bandwidth here: {error}; set bandwidth") from None

    def _null_pair(self, view: View) -> tuple[Tensor, Tensor] | None:
        if view.missing("features/null-fake") is not None:
            return None
        pair = view["features/null-real"], view["features/null-fake"]
        return pair if min(map(len, pair)) >= _LEAST else None

    def _distance(
        self,
        view: View,
        pair: tuple[Tensor, Tensor],
        null: tuple[Tensor, Tensor] | None,
        kernel: Kernel,
        rng: np.random.Generator,
    ) -> Measurement:
        value, interval = self._estimate(view, pair, kernel, rng)
        found = None
        if null is not None:
            null_value, around = self._estimate(view, null, kernel, rng)
            low, high = (around.low, around.high) if around else (None, None)
            found = Null(value=null_value, low=low, high=high, n=len(null[1]), rule=view.null_rule)
        why = view.missing("features/null-fake") or "fewer than 3 reals on a side of the null"
        return self.spec.measurement(
            "kd",
            value,
            {"real": len(pair[0]), "fake": len(pair[1])},
            interval=interval,
            interval_reason=None if interval else "subsets overlap: their spread is no standard error",
            null=found,
            null_reason=None if found else why,
        )

    def _estimate(
        self, view: View, pair: tuple[Tensor, Tensor], kernel: Kernel, rng: np.random.Generator
    ) -> tuple[float, Interval | None]:
        real, fake = pair
        if self.estimator == "full":
            found = kernel_distance(real, fake, kernel, world=view.world)
            bounds = found.interval(0.95)
            method = "score interval, variance by the two-sample jackknife less its second-order part"
            return found.value, Interval(low=bounds.low, high=bounds.high, level=0.95, method=method, covers=_COVERS)
        if min(len(real), len(fake)) < self.subset_size:
            raise NotAssessable(
                f"subsets of {self.subset_size} were asked for; there are {len(real)} real and {len(fake)} generated "
                f"samples: give at least {self.subset_size} of both, or set subset_size"
            )
        draws = [
            (
                rng.choice(len(real), self.subset_size, replace=False),
                rng.choice(len(fake), self.subset_size, replace=False),
            )
            for _ in range(self.subsets)
        ]
        return float(kernel_distance_subsets(real, fake, draws, kernel, world=view.world).mean()), None

    def _tests(
        self,
        view: View,
        pair: tuple[Tensor, Tensor],
        null: tuple[Tensor, Tensor] | None,
        kernel: Kernel,
        rng: np.random.Generator,
    ) -> list[PermutationTest]:
        """Return the test of the audit and, where there is one, that of the null; none where none was asked for."""
        if not self.permutations:
            return []
        pairs = [pair] if null is None else [pair, null]
        drawn = [[_drawn(side, self.most_permuted, rng) for side in both] for both in pairs]
        return [permutation_test(a, b, rng, self.permutations, kernel, world=view.world) for a, b in drawn]

    def _p_value(self, view: View, real: Tensor, fake: Tensor, tests: list[PermutationTest]) -> Measurement:
        sizes = {"real": min(len(real), self.most_permuted), "fake": min(len(fake), self.most_permuted)}
        if not tests:
            return self.spec.measurement("p-value", None, sizes, reason="permutations = 0: no test was asked for")
        bounds = clopper_pearson(tests[0].exceeding, self.permutations, 0.95)
        value = tests[0].p_value
        null = None
        if len(tests) > 1:
            count = min(len(view["features/null-fake"]), self.most_permuted)
            null = Null(value=tests[1].p_value, n=count, rule=view.null_rule)
        return self.spec.measurement(
            "p-value",
            value,
            sizes,
            interval=Interval(
                low=min(bounds.low, value),
                high=max(bounds.high, value),
                level=0.95,
                method=f"Clopper-Pearson over {self.permutations} relabellings",
                covers="the choice of relabellings only",
            ),
            null=null,
            null_reason=None if null else view.missing("features/null-fake") or "fewer than 3 reals on a side",
        )


def _drawn(side: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    if len(side) <= most:
        return side
    return side[torch.from_numpy(np.sort(rng.permutation(len(side))[:most])).to(side.device)]


def _reading(kd: Measurement) -> str:
    """Return in one sentence what the value means against its null."""
    assert kd.value is not None
    if kd.null is None:
        return f"kd is {kd.value:.4g}; without a null nothing says what equal distributions would show here."
    shown = f"kd is {kd.value:.4g}; real against real gives {kd.null.value:.4g} at n = {kd.null.n}."
    if kd.interval is None:
        return shown
    if kd.interval.low > 0:
        return f"{shown} The whole interval lies above 0: the samples differ from the reals in what the kernel sees."
    return f"{shown} The interval holds 0: at this n no difference is shown."


def _histogram(test: PermutationTest) -> Histogram:
    values = test.relabelled.numpy()
    low, high = min(float(values.min()), test.observed), max(float(values.max()), test.observed)
    if high <= low:
        high = low + max(abs(low), 1.0) * 1e-6
    edges = np.linspace(low, high, _BINS + 1)
    shares = (np.histogram(values, edges)[0] / len(values)).tolist()
    return Histogram(
        title="Kernel distance under random relabelling of all samples",
        x=Axis(title="kernel distance"),
        edges=edges.tolist(),
        series=[HistogramSeries(name="relabelled", shares=shares)],
        rules=[Rule(at=test.observed, label="as labelled")],
    )
