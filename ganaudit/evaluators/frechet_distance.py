"""How far generated samples lie from real ones, as the Fréchet distance between Gaussians fitted to their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from ganaudit.document.model import Axis, Curve, Note, Null, Series
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec
from ganaudit.evidence.view import View
from ganaudit.numerics.frechet import frechet_bias, frechet_distance
from ganaudit.numerics.moments import Moments

__all__ = ["FrechetDistance"]

_POINTS, _WIDE_POINTS, _WIDE = 8, 3, 512  # a point costs the cube of the features: few of them where they are wide


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
        """Return fd, its null, and both over the number of samples."""
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
        details = [self._over_n(view, real, fake, rng)]
        notes = []
        if len(real) > real.shape[1]:
            # Without full rank the bias formula has no meaning.
            bias = frechet_bias(Moments.of(real).covariance, len(real), len(fake))
            notes.append(
                Note(text=f"A perfect generator would be expected to score about {bias:.4g} here: the bias of the "
                f"plug-in estimate for Gaussian features at n = {len(real)} real and {len(fake)} generated.")
            )  # fmt: skip
        return Findings([fd], [*details, *notes])

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
        return f"{why}; hold it against its null, which carries the same bias"
    return f"{why}; its null rests on {null.n} samples instead of {n} and carries another bias, the larger the fewer"
