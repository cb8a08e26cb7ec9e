"""Whether generated and real features come from one distribution, as the kernel distance (MMD², KID)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.model import Axis, Detail, Histogram, HistogramSeries, Interval, Measurement, Note, Null, Rule
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import whole
from ganaudit.numerics.error_parts import SCHEME, grouped_errors
from ganaudit.numerics.intervals import Bounds, clopper_pearson
from ganaudit.numerics.kernel import (
    PermutationTest,
    kernel_distance,
    kernel_distance_subsets,
    permutation_test,
    relabellings,
)
from ganaudit.numerics.kernels import Gaussian, Kernel, Polynomial, median_distance

__all__ = ["KernelDistance"]

_COVERS = (
    "the drawing of both the real and the generated samples, with more room the more a few samples dominate, but too "
    "narrow where those that would dominate were not drawn (heavy tails); not the training of the generator"
)
_METHOD = "score interval, unbiased variance of a two-sample U-statistic to second order, Student quantile"
_BINS = 24
_LEAST = 4


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
    """Of the rbf kernel; ``median``: the median distance between reals, at most 1000 of them. CMMD has 10."""
    unit_length: bool = False
    """Whether the rbf kernel divides features by their Euclidean norm first, as CMMD does with those of CLIP."""
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
        for name, least in (
            ("subsets", 2), ("subset_size", 2), ("degree", 1), ("permutations", 0), ("most_permuted", _LEAST),
        ):  # fmt: skip
            whole(getattr(self, name), name, least)
        if self.bandwidth != "median" and not 0 < self.bandwidth < float("inf"):
            raise ValueError(f"bandwidth: found {self.bandwidth}; allowed: above 0 and finite, or 'median'")
        if self.unit_length and self.kernel != "rbf":
            raise ValueError(f"unit_length: found true with kernel = {self.kernel!r}; allowed: with kernel = 'rbf'")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return kd with its interval and null, the p-value, and how relabelled samples scatter."""
        pair = view["features/real"], view["features/fake"]
        kernel = self._kernel(pair[0], rng)
        found = self._estimate(view, pair, kernel, rng)
        # The draws of the audit come first, so that its numbers do not depend on whether there is a null.
        reals = self._null_pair(view)
        null = None if reals is None else self._estimate(view, reals, kernel, rng)
        kd = self._distance(view, pair, found, reals, null)
        details: list[Detail] = [Note(text=_reading(kd))]
        conventions = {}
        if isinstance(kernel, Gaussian):
            conventions = {"bandwidth": kernel.bandwidth}
            details.append(Note(text=_rbf(kernel, found.biased)))
        if found.test is not None:
            details.append(_histogram(found.test))
        return Findings([kd, self._p_value(view, pair, found, reals, null)], details, conventions=conventions)

    def _kernel(self, real: Tensor, rng: np.random.Generator) -> Kernel:
        if self.kernel == "polynomial":
            return Polynomial(self.degree, None, self.coef0)
        try:
            bandwidth = median_distance(real, rng, self.unit_length) if self.bandwidth == "median" else self.bandwidth
            return Gaussian(bandwidth, self.unit_length)
        except ValueError as error:
            raise NotAssessable(f"the rbf kernel has no median bandwidth here: {error}; set bandwidth") from None

    def _null_pair(self, view: View) -> tuple[Tensor, Tensor] | None:
        if view.missing("features/null-fake") is not None:
            return None
        pair = view["features/null-real"], view["features/null-fake"]
        return pair if min(map(len, pair)) >= (self.subset_size if self.estimator == "subsets" else _LEAST) else None

    def _distance(
        self,
        view: View,
        pair: tuple[Tensor, Tensor],
        found: _Found,
        reals: tuple[Tensor, Tensor] | None,
        null: _Found | None,
    ) -> Measurement:
        around = None
        if reals is not None and null is not None:
            low, high = (null.bounds.low, null.bounds.high) if null.bounds else (None, None)
            around = Null(value=null.value, low=low, high=high, n=len(reals[1]), rule=view.null_rule)
        interval = None
        if found.bounds is not None:
            ends = {"low": found.bounds.low, "high": found.bounds.high}
            interval = Interval(**ends, level=0.95, method=_METHOD, covers=_COVERS)
        return self.spec.measurement(
            "kd",
            found.value,
            {"real": len(pair[0]), "fake": len(pair[1])},
            interval=interval,
            interval_reason=None if interval else "subsets overlap: their spread is no standard error",
            null=around,
            null_reason=None if around else self._no_null(view),
            error_parts=found.parts,
        )

    def _no_null(self, view: View) -> str:
        least = self.subset_size if self.estimator == "subsets" else _LEAST
        return view.missing("features/null-fake") or f"fewer than {least} reals on a side of the null"

    def _estimate(self, view: View, pair: tuple[Tensor, Tensor], kernel: Kernel, rng: np.random.Generator) -> _Found:
        real, fake = pair
        if self.estimator == "full":
            labels = None
            if self.permutations:
                labels = relabellings(len(real), len(fake), rng, self.permutations, self.most_permuted)
            found = kernel_distance(real, fake, kernel, world=view.world, labels=labels)
            sides = {"real": found.real_influences, "fake": found.fake_influences}
            parts = ErrorParts.of(SCHEME, {side: grouped_errors(moves) for side, moves in sides.items()})
            return _Found(found.value, found.interval(0.95), found.test, found.biased, parts)
        if min(len(real), len(fake)) < self.subset_size:
            raise NotAssessable(
                f"subsets of {self.subset_size} were asked for; there are {len(real)} real and {len(fake)} generated "
                f"samples: give at least {self.subset_size} of both, or set subset_size"
            )
        draws = [
            (_subset(rng, len(real), self.subset_size), _subset(rng, len(fake), self.subset_size))
            for _ in range(self.subsets)
        ]
        value = float(kernel_distance_subsets(real, fake, draws, kernel, world=view.world).mean())
        test = None
        if self.permutations:
            some = [_drawn(side, self.most_permuted, rng) for side in pair]
            test = permutation_test(some[0], some[1], rng, self.permutations, kernel, world=view.world)
        return _Found(value, None, test, None, None)

    def _p_value(
        self,
        view: View,
        pair: tuple[Tensor, Tensor],
        found: _Found,
        reals: tuple[Tensor, Tensor] | None,
        null: _Found | None,
    ) -> Measurement:
        sizes = {side: min(len(rows), self.most_permuted) for side, rows in zip(("real", "fake"), pair, strict=True)}
        if found.test is None:
            return self.spec.measurement("p-value", None, sizes, reason="permutations = 0: no test was asked for")
        bounds = clopper_pearson(found.test.exceeding, self.permutations, 0.95)
        value = found.test.p_value
        around = None
        if reals is not None and null is not None and null.test is not None:
            count = min(len(reals[1]), self.most_permuted)
            around = Null(value=null.test.p_value, n=count, rule=view.null_rule)
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
            null=around,
            null_reason=None if around else self._no_null(view),
        )


@dataclass(frozen=True, slots=True)
class _Found:
    value: float
    bounds: Bounds | None
    test: PermutationTest | None
    biased: float | None
    parts: ErrorParts | None


def _subset(rng: np.random.Generator, n: int, size: int) -> npt.NDArray[np.int64]:
    return rng.choice(n, size, replace=False)


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


def _rbf(kernel: Gaussian, biased: float | None) -> str:
    """Return which kernel it was, and the number that CMMD would print."""
    text = f"Gaussian kernel of bandwidth {kernel.bandwidth:.4g}"
    text += " on features of unit length" if kernel.unit_length else ""
    if biased is None:
        return f"{text}; kd is unbiased."
    return (
        f"{text}; kd is unbiased and not multiplied. CMMD reports 1000 times the biased estimate: {1000 * biased:.5g}."
    )


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
