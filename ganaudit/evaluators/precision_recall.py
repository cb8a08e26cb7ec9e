"""Whether generated samples look real (precision, density) and whether real ones are all reached (recall, coverage)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from ganaudit.document.model import Interval, Measurement, Note, Null
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.view import View
from ganaudit.numerics.intervals import Bounds, bootstrap, wilson
from ganaudit.numerics.neighbours import Neighbourhood, expected_coverage, neighbourhood

__all__ = ["PrecisionRecall"]

_RESAMPLES = 1000
_SHARE = "share of samples"


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Nearest-neighbour fidelity and coverage in feature space."""

    neighbours: int = 5
    """k: the radius of a sample's ball reaches its k-th nearest neighbour on its own side."""
    boundary: Literal["<", "<="] = "<"
    """Whether a sample exactly on a ball's boundary is outside (``<``) or inside (``<=``)."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="precision-recall",
        title="Precision, recall, density, coverage",
        question="Do generated samples look real, and is every kind of real sample reached?",
        needs=("features/real", "features/fake", "features/null-real", "features/null-fake"),
        minimum={"features/real": 3, "features/fake": 3},
        measurements=(
            MeasurementSpec(
                key="precision",
                title="Precision",
                meaning="Share of generated samples inside the ball of any real sample.",
                unit=_SHARE,
                better="higher",
                bounds=(0.0, 1.0),
                estimator="balls reach the k-th nearest neighbour on the real side, itself excluded",
            ),
            MeasurementSpec(
                key="recall",
                title="Recall",
                meaning="Share of real samples inside the ball of any generated sample.",
                unit=_SHARE,
                better="higher",
                bounds=(0.0, 1.0),
                estimator="balls reach the k-th nearest neighbour on the generated side, itself excluded",
            ),
            MeasurementSpec(
                key="density",
                title="Density",
                meaning="Mean number of real balls that hold a generated sample, over k; 1 for equal distributions.",
                unit="ratio to expectation",
                better="higher",
                bounds=(0.0, None),
                estimator="sum over generated samples of real balls holding it, divided by k M",
            ),
            MeasurementSpec(
                key="coverage",
                title="Coverage",
                meaning="Share of real samples whose ball holds at least one generated sample.",
                unit=_SHARE,
                better="higher",
                bounds=(0.0, 1.0),
                estimator="balls as for precision; expectation under equal distributions is known exactly",
            ),
        ),
        misleads=(
            "One real outlier with a large ball can lift precision, one generated outlier recall; density and coverage "
            "resist that. In many dimensions precision and recall of equal distributions fall far below 1: read them "
            "against their null."
        ),
        references=(
            "Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, 2019, "
            "arXiv:1904.06991",
            "Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020, arXiv:2002.09797",
        ),
    )

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError("neighbours must be at least 1")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return the four shares with intervals and nulls."""
        real, fake = view["features/real"], view["features/fake"]
        needed = self.neighbours + 1
        if min(len(real), len(fake)) < needed:
            raise NotAssessable(
                f"{self.neighbours} neighbours need at least {needed} samples on each side; there are {len(real)} real "
                f"and {len(fake)} generated"
            )
        found = neighbourhood(real, fake, self.neighbours, self.boundary)
        intervals = self._intervals(found, rng)
        nulls = self._nulls(view, rng, needed)
        sizes = {"real": len(real), "fake": len(fake)}
        values = _values(found)
        measurements = [self._measurement(key, values, sizes, intervals, nulls, view) for key in values]
        expected = expected_coverage(len(real), len(fake), self.neighbours)
        notes = [
            Note(text=f"k = {self.neighbours}; a sample exactly on a boundary counts as "
                 f"{'outside' if self.boundary == '<' else 'inside'} ({self.boundary})."),
            Note(text=f"Equal distributions have expected coverage {expected:.4f} at these n and k."),
        ]  # fmt: skip
        return Findings(measurements, list(notes), conventions={"boundary": self.boundary, "k": self.neighbours})

    def _measurement(
        self,
        key: str,
        values: Mapping[str, float],
        sizes: Mapping[str, int],
        intervals: Mapping[str, Interval],
        nulls: Mapping[str, Null],
        view: View,
    ) -> Measurement:
        return self.spec.measurement(
            key,
            values[key],
            sizes,
            interval=intervals[key],
            null=nulls.get(key),
            null_reason=None if key in nulls else f"{self.neighbours} neighbours need more reals ({view.null_rule})",
        )

    def _nulls(self, view: View, rng: np.random.Generator, needed: int) -> dict[str, Null]:
        if view.missing("features/null-fake") is not None:
            return {}
        real, stand_in = view["features/null-real"], view["features/null-fake"]
        if min(len(real), len(stand_in)) < needed:
            return {}
        found = neighbourhood(real, stand_in, self.neighbours, self.boundary)
        intervals = self._intervals(found, rng)
        return {
            key: Null(
                value=value, low=intervals[key].low, high=intervals[key].high, n=len(stand_in), rule=view.null_rule
            )
            for key, value in _values(found).items()
        }

    def _intervals(self, found: Neighbourhood, rng: np.random.Generator) -> dict[str, Interval]:
        fake_drawn = "the drawing of generated samples, the real ones held fixed"
        real_drawn = "the drawing of real samples as points to be reached, all balls held fixed"
        k = float(self.neighbours)
        density = bootstrap(
            lambda counts: float(counts.mean()) / k, [found.fake_counts.double()], _RESAMPLES, rng, 0.95
        )
        return {
            "precision": _interval(_share(found.fake_inside), "Wilson score", fake_drawn),
            "recall": _interval(_share(found.real_inside), "Wilson score", real_drawn),
            "density": _interval(density, f"percentile bootstrap, {_RESAMPLES} resamples", fake_drawn),
            "coverage": _interval(_share(found.real_covered), "Wilson score", real_drawn),
        }


def _values(found: Neighbourhood) -> dict[str, float]:
    return {
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
    }


def _share(inside: Tensor) -> Bounds:
    return wilson(int(inside.sum()), len(inside), 0.95)


def _interval(bounds: Bounds, method: str, covers: str) -> Interval:
    return Interval(low=bounds.low, high=bounds.high, level=0.95, method=method, covers=covers)
