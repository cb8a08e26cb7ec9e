"""Whether generated samples look real (precision, density) and whether real ones are all reached (recall, coverage)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.model import Interval, Measurement, Note, Null
from ganaudit.document.spec import EvaluatorSpec, Exhibit, Findings, MeasurementSpec, NotAssessable
from ganaudit.document.standing import stands
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import whole
from ganaudit.numerics.neighbour_inference import HalfScatter, half_scatter
from ganaudit.numerics.neighbours import Neighbourhood, expected_coverage, neighbourhood

__all__ = ["PrecisionRecall"]

_COVERS = (
    "the expected value of this statistic at these numbers of samples, over the drawing of both the real and the "
    "generated samples, balls included; not the training of the generator, and not the value at other n"
)
_SHARE = "share of samples"
_SHOWN = 16
_DRAWS, _MOST = 50, 400
_SCHEME = f"{_DRAWS} halvings of at most {2 * _MOST} samples of each side by the seed"
_MIB = 2**20
_NEAREST = "nearest other sample of either side, exact ties counting one half"


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Nearest-neighbour fidelity and coverage in feature space."""

    neighbours: int = 5
    """k: the radius of a sample's ball reaches its k-th nearest neighbour on its own side."""
    boundary: Literal["<", "<="] = "<"
    """Whether a sample exactly on a ball's boundary is outside (``<``) or inside (``<=``)."""
    memory: int = 256
    """MiB that the sweep over all pairs may hold beside the features; it changes no number."""

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
            MeasurementSpec(
                key="1-nn-accuracy-real",
                title="Nearest-neighbour accuracy on reals",
                meaning="Share of real samples whose nearest other sample is real; 0.5 cannot be told apart.",
                unit=_SHARE,
                better="target",
                target=0.5,
                bounds=(0.0, 1.0),
                estimator=f"leave-one-out, {_NEAREST}; equal distributions give (N - 1)/(N + M - 1)",
            ),
            MeasurementSpec(
                key="1-nn-accuracy-fake",
                title="Nearest-neighbour accuracy on generated",
                meaning="Share of generated samples whose nearest other sample is generated; 0.5 cannot be told apart.",
                unit=_SHARE,
                better="target",
                target=0.5,
                bounds=(0.0, 1.0),
                estimator=f"leave-one-out, {_NEAREST}; equal distributions give (M - 1)/(N + M - 1)",
            ),
            MeasurementSpec(
                key="realism",
                title="Realism",
                meaning="Of the median generated sample: largest ratio of a real ball's radius to its distance.",
                unit="ratio",
                better="higher",
                bounds=(0.0, None),
                estimator="max over reals of radius/distance, the half of the reals with the largest radii left out; "
                "the lower median over generated samples",
            ),
        ),
        misleads=(
            "One real outlier with a large ball can lift precision, one generated outlier recall; density and coverage "
            "resist that. In many dimensions precision and recall of equal distributions fall far below 1: read them "
            "against their null. Generated samples that huddle near the middle of the features get high precision, "
            "density and realism while coverage falls. Nearest-neighbour accuracy below 0.5 means that samples lie "
            "closer to the other side than to their own, as copies do. All values move with n: compare at one n only."
        ),
        references=(
            "Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, 2019, "
            "arXiv:1904.06991",
            "Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020, arXiv:2002.09797",
            "Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, 2017, arXiv:1610.06545",
        ),
    )

    def __post_init__(self) -> None:
        whole(self.neighbours, "neighbours", 1)
        if self.memory < 1:
            raise ValueError(f"memory: found {self.memory}; allowed: 1 MiB or more")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return the shares, the accuracies and the median realism with intervals and nulls, and the samples to see."""
        real, fake = view["features/real"], view["features/fake"]
        needed = self.neighbours + 1
        if min(len(real), len(fake)) < needed:
            raise NotAssessable(
                f"{self.neighbours} neighbours need at least {needed} samples on each side; there are {len(real)} real "
                f"and {len(fake)} generated"
            )
        found = self._swept(real, fake, view)
        points = self._points(found)
        sizes = {"real": len(real), "fake": len(fake)}
        scatter = self._scatter(real, fake, rng)
        intervals = {k: v for k, v in _intervals(found, scatter, sizes).items() if k not in points}
        nulls = self._nulls(view, rng, needed)
        values = _values(found)
        why_not = {key: points.get(key) or self._no_interval(bool(intervals), sizes) for key in values}
        measurements = [
            self._measurement(key, values, sizes, intervals.get(key, why_not[key]), nulls.get(key), view).model_copy(
                update={"error_parts": _error_parts(key, values[key], scatter, sizes) if key in intervals else None}
            )
            for key in values
        ]
        cautions = self._cautions(found)
        # Memory is an option that changes no number: two audits that differ in it alone are comparable.
        conventions = {"boundary": self.boundary, "k": self.neighbours, "memory": "any"}
        notes = [
            Note(text=f"k = {self.neighbours}; a sample exactly on a boundary counts as "
                 f"{'outside' if self.boundary == '<' else 'inside'} ({self.boundary})."),
            Note(text=" ".join([
                *cautions,
                _reading(measurements, expected_coverage(len(real), len(fake), self.neighbours), points),
            ])),
        ]  # fmt: skip
        return Findings(
            measurements, list(notes), warnings=cautions, conventions=conventions, exhibits=_exhibits(found)
        )

    def _swept(self, real: Tensor, fake: Tensor, view: View) -> Neighbourhood:
        return neighbourhood(real, fake, self.neighbours, self.boundary, self.memory * _MIB, view.world)

    def _measurement(
        self,
        key: str,
        values: Mapping[str, float],
        sizes: Mapping[str, int],
        interval: Interval | str,
        null: Null | None,
        view: View,
    ) -> Measurement:
        if math.isinf(values[key]):
            reason = "half or more of the generated samples lie exactly on a real one, where realism has no bound"
            return self.spec.measurement(key, None, sizes, reason=reason)
        return self.spec.measurement(
            key,
            values[key],
            sizes,
            interval=interval if isinstance(interval, Interval) else None,
            interval_reason=interval if isinstance(interval, str) else None,
            null=null,
            null_reason=None if null else f"{self.neighbours} neighbours need more reals ({view.null_rule})",
        )

    def _no_interval(self, are_others: bool, sizes: Mapping[str, int]) -> str:
        if are_others:
            return (
                "no generated sample comes near a real one, or every half of the samples gives the same number: how "
                "it scatters cannot be seen"
            )
        return (
            f"halves of {sizes['real']} real and {sizes['fake']} generated samples are too few for {self.neighbours} "
            "neighbours"
        )

    def _points(self, found: Neighbourhood) -> dict[str, str]:
        """Return which numbers rest on balls of radius 0 alone, and what to say of each."""
        reasons = {}
        for side, radii, keys in (
            ("real", found.real_radii, ("precision", "density", "coverage", "realism")),
            ("generated", found.fake_radii, ("recall",)),
        ):
            if not bool((radii > 0).any()):
                holds = "holds nothing, not even a copy" if self.boundary == "<" else "holds copies of its centre alone"
                reason = (
                    f"every {side} sample has {self.neighbours} copies or more, so every ball has radius 0 and "
                    f"{holds}: the number says nothing of what lies near, and how it scatters cannot be seen"
                )
                reasons.update(dict.fromkeys(keys, reason))
        return reasons

    def _cautions(self, found: Neighbourhood) -> list[str]:
        """Return what a reader must know of balls of radius 0."""
        told = []
        for side, radii, numbers in (
            ("real", found.real_radii, "precision, density, coverage and realism"),
            ("generated", found.fake_radii, "recall"),
        ):
            flat = int((radii == 0).sum())
            if flat:
                told.append(
                    f"{flat} of the {len(radii)} {side} samples have {self.neighbours} copies or more on their own "
                    f"side: their balls have radius 0 and hold "
                    f"{'nothing' if self.boundary == '<' else 'their copies alone'}, which lowers {numbers} whatever "
                    "the other side is like."
                )
        return told

    def _nulls(self, view: View, rng: np.random.Generator, needed: int) -> dict[str, Null]:
        if view.missing("features/null-fake") is not None:
            return {}
        real, stand_in = view["features/null-real"], view["features/null-fake"]
        if min(len(real), len(stand_in)) < needed:
            return {}
        found = self._swept(real, stand_in, view)
        points = self._points(found)
        sizes = {"real": len(real), "fake": len(stand_in)}
        spread = _intervals(found, self._scatter(real, stand_in, rng), sizes)
        intervals = {k: v for k, v in spread.items() if k not in points}
        nulls = {}
        for key, value in _values(found).items():
            if math.isfinite(value):
                low, high = (intervals[key].low, intervals[key].high) if key in intervals else (None, None)
                nulls[key] = Null(value=value, low=low, high=high, n=len(stand_in), rule=view.null_rule)
        return nulls

    def _scatter(self, real: Tensor, fake: Tensor, rng: np.random.Generator) -> HalfScatter | None:
        """Return how the numbers scatter, or None where halves of a side hold too few neighbours."""
        sizes = (len(real), len(fake))
        # Halves of very unequal sides keep the share of both, so the smaller one decides.
        if min(sizes) * min(1.0, 2 * _MOST / max(sizes)) < 2 * (self.neighbours + 1):
            return None
        return half_scatter(real, fake, self.neighbours, self.boundary, rng, _DRAWS, _MOST)


def _intervals(found: Neighbourhood, scatter: HalfScatter | None, sizes: dict[str, int]) -> dict[str, Interval]:
    """Return the intervals that can be had."""
    if scatter is None:
        return {}
    intervals = {}
    for key, value in _values(found).items():
        bounds = scatter.interval(_named(key), value, sizes, 0.95)
        # A number that no halving moves has shown nothing of its scatter.
        if bounds is not None and bounds.low < bounds.high:
            law = "normal" if key in ("density", "realism") else "Wilson score"
            method = f"{law}, Student quantile, scatter between disjoint halves ({_DRAWS} halvings)"
            intervals[key] = Interval(low=bounds.low, high=bounds.high, level=0.95, method=method, covers=_COVERS)
    return intervals


def _error_parts(key: str, value: float, scatter: HalfScatter | None, sizes: dict[str, int]) -> ErrorParts | None:
    errors = None if scatter is None else scatter.errors(_named(key), value, sizes)
    return None if errors is None else ErrorParts.of(_SCHEME, {"both": errors})


def _named(key: str) -> str:
    return key.removeprefix("1-nn-")


def _values(found: Neighbourhood) -> dict[str, float]:
    return {
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
        "1-nn-accuracy-real": found.accuracy_real,
        "1-nn-accuracy-fake": found.accuracy_fake,
        "realism": float(found.realism.median()),
    }


def _reading(measurements: list[Measurement], expected: float, points: Mapping[str, str]) -> str:
    """Return in plain words how the values stand against their null and against what is known exactly."""
    by_key = {m.key: m for m in measurements}
    coverage = by_key["coverage"]
    lines = [f"Equal distributions have expected coverage {expected:.4f} at these n and k"]
    if "coverage" in points:
        lines = ["Coverage cannot be held against what equal distributions have, which is known without ties only"]
    elif coverage.value is not None and coverage.interval is not None:
        if coverage.interval.high < expected:
            lines[0] += f": of the reals it should reach, {1 - coverage.value / expected:.0%} are not reached"
        else:
            lines[0] += ", which the interval of coverage does not exclude"
    for key, named in (("precision", "Precision"), ("recall", "Recall")):
        m = by_key[key]
        if m.value is not None and m.null is not None and m.interval is not None:
            lines.append(f"{named} {m.value:.3f} {stands(m)} the {m.null.value:.3f} of real samples")
    reals, fakes = coverage.sizes["real"], coverage.sizes["fake"]
    if reals != fakes:
        others = reals + fakes - 1
        lines.append(
            f"With {reals} reals and {fakes} generated samples, equal distributions have nearest-neighbour accuracies "
            f"{(reals - 1) / others:.3f} and {(fakes - 1) / others:.3f}, not 0.5"
        )
    return ". ".join(lines) + "."


def _exhibits(found: Neighbourhood) -> list[Exhibit]:
    """Return the generated samples that look least real and the reals that are farthest from being reached."""
    least = torch.argsort(found.realism, stable=True)[:_SHOWN].tolist()
    shown = [
        Exhibit(
            title="Least real generated samples",
            rule=f"the {len(least)} of lowest realism",
            side="fake",
            indices=least,
            captions=[f"realism {float(found.realism[i]):.3f}" for i in least],
        )
    ]
    distances = torch.where(found.real_covered, -torch.inf, found.real_to_fake)
    missed = torch.argsort(distances, descending=True, stable=True)[: min(_SHOWN, int((~found.real_covered).sum()))]
    if len(missed):
        shown.append(
            Exhibit(
                title="Real samples that no generated one comes near",
                rule=f"the {len(missed)} uncovered reals farthest from any generated sample",
                side="real",
                indices=missed.tolist(),
                captions=[_reach(float(found.real_to_fake[i]), float(found.real_radii[i])) for i in missed.tolist()],
            )
        )
    return shown


def _reach(distance: float, radius: float) -> str:
    return f"nearest at {distance / radius:.2f} radii" if radius > 0 else f"nearest at {distance:.3g}"
