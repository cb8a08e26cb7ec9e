"""How far generated samples lie from real ones, as the Fréchet distance between Gaussians fitted to their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from ganaudit.document.model import Axis, Curve, Detail, Interval, Measurement, Null, Series
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec
from ganaudit.evidence.view import View
from ganaudit.numerics.frechet import frechet_bias, frechet_distance
from ganaudit.numerics.frechet_inference import corrected_frechet_distance, samples_needed
from ganaudit.numerics.moments import Moments

__all__ = ["FrechetDistance"]

_POINTS, _WIDE_POINTS, _WIDE = 8, 3, 512  # a point costs the cube of the features: few of them where they are wide
_COVERS = "the drawing of both the real and the generated samples; not the training of the generator"


@dataclass(frozen=True, slots=True)
class FrechetDistance:
    """Fréchet distance of features (FID on Inception features)."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="frechet-distance",
        title="Fréchet distance",
        question="How far do generated samples lie from real ones, in the means and covariances of their features?",
        needs=("features/real", "features/fake", "features/null-real", "features/null-fake"),
        minimum={"features/real": 2, "features/fake": 2},
        measurements=(
            MeasurementSpec(
                key="fd",
                title="Fréchet distance",
                meaning="Squared distance between two Gaussians fitted to real and generated features; 0 is equal.",
                unit="squared feature units",
                better="lower",
                bounds=(0.0, None),
                estimator=(
                    "|mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)); sample covariances with divisor n - 1; "
                    "biased upward at finite n; trace of the root by symmetric eigenvalues, or by the singular values "
                    "of the centred cross-Gram where there are fewer samples than dimensions"
                ),
            ),
            MeasurementSpec(
                key="fd-corrected",
                title="Fréchet distance, bias removed",
                meaning="The distance to be expected with endless samples; below 0 by chance where nothing differs.",
                unit="squared feature units",
                better="lower",
                estimator=(
                    "2 fd(n) - mean fd(n/2) over both halves of 4 random halvings of both sides; standard error from "
                    "each sample's influence, 2 (mean difference).x + x'(I - T)x with T the optimal map between the "
                    "two Gaussians"
                ),
            ),
            MeasurementSpec(
                key="bias-floor",
                title="Bias floor",
                meaning="What fd would be expected to show at these n if nothing differed.",
                unit="squared feature units",
                better="none",
                bounds=(0.0, None),
                estimator=(
                    "first-order expected fd of two samples of one Gaussian with the reals' covariance: "
                    "sum l/n + sum_ij (l_i l_j + [i = j] l_i^2) / (2 (l_i + l_j) (n - 1)) for each side"
                ),
            ),
        ),
        misleads=(
            "It compares two moments only: samples with the right mean and covariance but wrong shape score 0. Its "
            "bias falls with n, so values at different n, extractors, resize kernels or splits must not be compared."
        ),
        references=(
            "Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, 2017, "
            "arXiv:1706.08500",
            "Chong and Forsyth, Effectively Unbiased FID and Inception Score, 2020, arXiv:1911.07023",
        ),
    )

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return fd, fd without its bias, the bias floor, the nulls, and fd over the number of samples."""
        real, fake = view["features/real"], view["features/fake"]
        null = self._null(view)
        fd = self.spec.measurement(
            "fd",
            frechet_distance(real, fake),
            {"real": len(real), "fake": len(fake)},
            interval_reason=_why_no_interval(null, len(fake)),
            null=null,
            null_reason=None if null else view.null_rule,
        )
        measurements = [fd, self._corrected(view, real, fake, rng), self._floor(real, fake)]
        details: list[Detail] = [self._over_n(view, real, fake, rng)]
        return Findings(measurements, details)

    def _corrected(self, view: View, real: Tensor, fake: Tensor, rng: np.random.Generator) -> Measurement:
        sizes = {"real": len(real), "fake": len(fake)}
        needed = samples_needed(real.shape[1])
        if min(sizes.values()) < needed:
            reason = (
                f"removing the bias needs {needed} samples of each side for {real.shape[1]} features; found {sizes}"
            )
            return self.spec.measurement("fd-corrected", None, sizes, reason=reason)
        found = corrected_frechet_distance(real, fake, rng)
        bounds = found.interval(0.95)
        null, why = self._corrected_null(view, needed, rng)
        return self.spec.measurement(
            "fd-corrected",
            found.value,
            sizes,
            interval=Interval(
                low=bounds.low,
                high=bounds.high,
                level=0.95,
                method="normal, standard error by influences",
                covers=_COVERS,
            ),
            null=null,
            null_reason=why,
        )

    def _corrected_null(self, view: View, needed: int, rng: np.random.Generator) -> tuple[Null | None, str | None]:
        if view.missing("features/null-fake") is not None:
            return None, view.null_rule
        real, stand_in = view["features/null-real"], view["features/null-fake"]
        if min(len(real), len(stand_in)) < needed:
            return None, f"needs {needed} reals on each side ({view.null_rule})"
        found = corrected_frechet_distance(real, stand_in, rng)
        bounds = found.interval(0.95)
        return Null(value=found.value, low=bounds.low, high=bounds.high, n=len(stand_in), rule=view.null_rule), None

    def _floor(self, real: Tensor, fake: Tensor) -> Measurement:
        sizes = {"real": len(real), "fake": len(fake)}
        if len(real) <= real.shape[1]:
            reason = f"needs more reals than features: {real.shape[1] + 1}; found {len(real)}"
            return self.spec.measurement("bias-floor", None, sizes, reason=reason)
        return self.spec.measurement(
            "bias-floor",
            frechet_bias(Moments.of(real).covariance, len(real), len(fake)),
            sizes,
            interval_reason="an expectation by formula, for features near Gaussian",
            null_reason="it is itself the value under equal distributions; the null of fd is the measured one",
        )

    def _null(self, view: View) -> Null | None:
        if view.missing("features/null-fake") is not None:
            return None
        real, stand_in = view["features/null-real"], view["features/null-fake"]
        return Null(value=frechet_distance(real, stand_in), n=len(stand_in), rule=view.null_rule)

    def _over_n(self, view: View, real: Tensor, fake: Tensor, rng: np.random.Generator) -> Curve:
        """Return fd and its null over n: the generated side is cut to its first n of one random order."""
        sides = [("generated", real, fake)]
        if view.missing("features/null-fake") is None:
            sides.append(("null: real against real", view["features/null-real"], view["features/null-fake"]))
        series = []
        for name, against, moving in sides:
            order = rng.permutation(len(moving))
            points = _POINTS if moving.shape[1] <= _WIDE else _WIDE_POINTS
            sizes = sorted({max(2, round(len(moving) * i / points)) for i in range(1, points + 1)})
            values = [frechet_distance(against, moving[order[:n]]) for n in sizes]
            series.append(Series(name=name, x=[float(n) for n in sizes], y=values))
        return Curve(
            title="Fréchet distance over the number of samples",
            x=Axis(title="samples on the generated side"),
            y=Axis(title="Fréchet distance", log=all(min(s.y) > 0 for s in series)),
            series=series,
            points=True,
        )


def _why_no_interval(null: Null | None, n: int) -> str:
    why = "the plug-in distance is biased upward at finite n: an interval around it would not hold the true distance"
    if null is None:
        return why
    if null.n == n:
        return f"{why}; fd-corrected has one, and the null of fd carries the same bias"
    return f"{why}; its null rests on {null.n} samples instead of {n} and carries another bias, the larger the fewer"
