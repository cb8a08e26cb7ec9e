"""Whether generated samples look real (precision, density) and whether real ones are all reached (recall, coverage)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Interval, Measurement, Note, Null
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.view import View
from ganaudit.numerics.intervals import Bounds, normal, wilson
from ganaudit.numerics.neighbours import Neighbourhood, expected_coverage, neighbourhood
from ganaudit.numerics.subsampling import subsampled_errors

__all__ = ["PrecisionRecall"]

_DRAWS, _MOST = 40, 500
_COVERS = "the drawing of both the real and the generated samples, balls included; not the training of the generator"
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
        intervals = self._intervals(found, real, fake, rng)
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
            interval=intervals.get(key),
            interval_reason=None
            if key in intervals
            else f"halves of {dict(sizes)} are too few for {self.neighbours} neighbours",
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
        intervals = self._intervals(found, real, stand_in, rng)
        nulls = {}
        for key, value in _values(found).items():
            low, high = (intervals[key].low, intervals[key].high) if key in intervals else (None, None)
            nulls[key] = Null(value=value, low=low, high=high, n=len(stand_in), rule=view.null_rule)
        return nulls

    def _intervals(
        self, found: Neighbourhood, real: Tensor, fake: Tensor, rng: np.random.Generator
    ) -> dict[str, Interval]:
        """Return the intervals of all four, or none where halves of a side hold too few neighbours."""
        # Subsamples of very unequal sides keep the share of both, so the smaller one decides.
        least = min(len(real), len(fake)) * min(0.5, _MOST / max(len(real), len(fake)))
        if least < self.neighbours + 2:
            return {}

        def shares(a: Tensor, b: Tensor) -> Tensor:
            return torch.tensor(list(_values(neighbourhood(a, b, self.neighbours, self.boundary)).values()))

        errors = subsampled_errors(shares, real, fake, rng, _DRAWS, _MOST).tolist()
        sizes = {"precision": len(fake), "recall": len(real), "coverage": len(real)}
        intervals = {}
        for (key, value), error in zip(_values(found).items(), errors, strict=True):
            bounds = _share_bounds(value, error, sizes[key]) if key in sizes else normal(value, error, 0.95)
            method = f"{'Wilson score' if key in sizes else 'normal'}, standard error by subsampling ({_DRAWS} draws)"
            low = max(bounds.low, 0.0)
            intervals[key] = Interval(low=low, high=bounds.high, level=0.95, method=method, covers=_COVERS)
        return intervals


def _share_bounds(share: float, error: float, n: int) -> Bounds:
    """Return the Wilson interval of a share at the n whose binomial error equals ``error``, at most the real n.

    Balls are drawn too, so a share rests on fewer independent samples than it counts.
    """
    effective = n if error == 0 or share in (0.0, 1.0) else min(n, max(1, int(share * (1 - share) / error**2)))
    return wilson(share * effective, effective, 0.95)


def _values(found: Neighbourhood) -> dict[str, float]:
    return {
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
    }
