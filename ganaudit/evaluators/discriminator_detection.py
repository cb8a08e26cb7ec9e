"""Method 1 of the survey: read the discriminator's raw score and call a sample generated below a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import (
    Axis,
    Curve,
    Detail,
    Histogram,
    HistogramSeries,
    Interval,
    Measurement,
    Note,
    Null,
    Rule,
    Series,
)
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec
from ganaudit.evidence.view import View
from ganaudit.numerics.detection import (
    auc,
    calibration_size_needed,
    conformal_rank,
    conformal_rate,
    conformal_threshold,
    equal_error_rate,
    false_positive_rate,
    roc,
    true_positive_rate,
)
from ganaudit.numerics.intervals import Bounds, bootstrap, clopper_pearson, quantile_bounds

__all__ = ["DiscriminatorDetection"]

_RESAMPLES = 500
_BINS = 40
_BOTH = "the drawing of test reals and of generated samples; not the training of the discriminator"


@dataclass(frozen=True, slots=True)
class DiscriminatorDetection:
    """How well the discriminator's own score tells generated samples from unseen real ones."""

    fpr: float = 0.05
    """The share of reals that may be called generated; the threshold is chosen for it on calibration reals."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="discriminator-detection",
        title="Discriminator threshold detection",
        question="Can the discriminator's own score tell generated samples from real ones it has never seen?",
        needs=("scores/test", "scores/fake", "scores/calibration"),
        minimum={"scores/test": 2, "scores/fake": 2, "scores/calibration": 2},
        measurements=(
            MeasurementSpec(
                key="auc",
                title="Area under the ROC curve",
                meaning="Chance that a real sample scores above a generated one; 0.5 is no detection, 1 is certain.",
                unit="probability",
                better="higher",
                bounds=(0.0, 1.0),
                estimator="Mann-Whitney on raw scores, ties count half",
            ),
            MeasurementSpec(
                key="eer",
                title="Equal error rate",
                meaning="Error where as many reals are called generated as generated samples are called real.",
                unit="share of samples",
                better="lower",
                bounds=(0.0, 1.0),
                estimator="mean of false positive and false negative rate at the ROC vertex where they differ least",
            ),
            MeasurementSpec(
                key="threshold",
                title="Threshold",
                meaning="A sample that scores below it is called generated; chosen on calibration reals only.",
                unit="score",
                better="none",
                estimator="k-th smallest calibration score, k = floor(fpr (n + 1)) (split conformal)",
            ),
            MeasurementSpec(
                key="fpr-at-threshold",
                title="False positive rate at the threshold",
                meaning="Share of test reals that are called generated.",
                unit="share of samples",
                better="lower",
                bounds=(0.0, 1.0),
                estimator="scores strictly below the threshold",
            ),
            MeasurementSpec(
                key="tpr-at-threshold",
                title="True positive rate at the threshold",
                meaning="Share of generated samples that are called generated.",
                unit="share of samples",
                better="higher",
                bounds=(0.0, 1.0),
                estimator="scores strictly below the threshold",
            ),
        ),
        misleads=(
            "A discriminator at the end of good training sees no difference, and one that has learnt its training "
            "images by heart calls unseen reals generated: a low area under the curve may mean a good generator or a "
            "bad discriminator. Directions here are the detector's: higher area is better detection. Low-quality real "
            "images are misjudged most."
        ),
        references=(
            "DeLong et al., Comparing the Areas under Two or More Correlated ROC Curves, Biometrics 44, 1988",
            "Vovk et al., Algorithmic Learning in a Random World, 2005 (split conformal thresholds)",
        ),
    )

    def __post_init__(self) -> None:
        if not 0.0 < self.fpr < 1.0:
            raise ValueError("fpr must lie between 0 and 1")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return the two threshold-free numbers, the threshold, and what it does to unseen samples."""
        real, fake, calibration = view["scores/test"], view["scores/fake"], view["scores/calibration"]
        threshold = conformal_threshold(calibration, self.fpr)
        measurements = [
            self._auc(real, fake, calibration),
            self._eer(real, fake, calibration, rng),
            *self._at_threshold(real, fake, calibration, threshold),
        ]
        details: list[Detail] = [_histogram(real, fake, threshold), _roc(real, fake)]
        details.append(Note(text="Scores of generated samples are read as generated, before quantisation to 8 bits."))
        warnings = []
        if measurements[0].value is not None and measurements[0].value < 0.5:
            warnings.append(
                "generated samples score above unseen reals: the discriminator's sign may be reversed, or it learnt "
                "its training reals by heart"
            )
        rate = next(m for m in measurements if m.key == "fpr-at-threshold")
        if rate.interval and rate.null and rate.null.high is not None and rate.interval.low > rate.null.high:
            warnings.append(
                "more test reals are called generated than calibration can explain: calibration and test reals "
                "are not of one kind, and the promised rate does not hold for the test reals"
            )
        return Findings(measurements, details, warnings)

    def _auc(self, real: Tensor, fake: Tensor, calibration: Tensor) -> Measurement:
        area, null = auc(real, fake), auc(real, calibration)
        null_bounds = null.interval(0.95)
        return self.spec.measurement(
            "auc",
            area.value,
            {"real": len(real), "fake": len(fake)},
            interval=_interval(area.interval(0.95), "DeLong, logit scale", _BOTH),
            null=Null(
                value=null.value,
                low=null_bounds.low,
                high=null_bounds.high,
                n=len(calibration),
                rule=_null_rule(real, calibration),
            ),
        )

    def _eer(self, real: Tensor, fake: Tensor, calibration: Tensor, rng: np.random.Generator) -> Measurement:
        bounds = bootstrap(lambda r, f: equal_error_rate(r, f).value, [real, fake], _RESAMPLES, rng, 0.95)
        return self.spec.measurement(
            "eer",
            equal_error_rate(real, fake).value,
            {"real": len(real), "fake": len(fake)},
            interval=_interval(bounds, f"percentile bootstrap, {_RESAMPLES} resamples", _BOTH),
            null=Null(
                value=equal_error_rate(real, calibration).value, n=len(calibration), rule=_null_rule(real, calibration)
            ),
        )

    def _at_threshold(
        self, real: Tensor, fake: Tensor, calibration: Tensor, threshold: float | None
    ) -> list[Measurement]:
        sizes = {"threshold": {"calibration": len(calibration)}, "fpr-at-threshold": {"real": len(real)}}
        sizes["tpr-at-threshold"] = {"fake": len(fake)}
        if threshold is None:
            needed = calibration_size_needed(self.fpr)
            reason = (
                f"a false positive rate of {self.fpr:g} needs {needed} calibration reals; there are {len(calibration)}"
            )
            return [self.spec.measurement(key, None, size, reason=reason) for key, size in sizes.items()]
        below = int((real < threshold).sum())
        caught = int((fake < threshold).sum())
        achieved = false_positive_rate(real, threshold)
        false_bounds = clopper_pearson(below, len(real), 0.95)
        given = "the drawing of {} samples, the threshold held fixed"
        expected, law = conformal_rate(len(calibration), self.fpr, 0.95)
        return [
            self.spec.measurement(
                "threshold",
                threshold,
                sizes["threshold"],
                interval=_quantile_interval(calibration, conformal_rank(len(calibration), self.fpr)),
                interval_reason="too few calibration reals lie below the threshold for a bound on both sides",
                null_reason="a threshold is set on reals alone: there is no generated side to replace",
            ),
            self.spec.measurement(
                "fpr-at-threshold",
                achieved,
                sizes["fpr-at-threshold"],
                interval=_interval(false_bounds, "Clopper-Pearson", given.format("test real")),
                null=Null(
                    value=expected,
                    low=law.low,
                    high=law.high,
                    n=len(calibration),
                    rule="the rate expected of reals exchangeable with calibration; the range is over the drawing of "
                    "calibration reals (Beta law)",
                ),
            ),
            self.spec.measurement(
                "tpr-at-threshold",
                true_positive_rate(fake, threshold),
                sizes["tpr-at-threshold"],
                interval=_interval(
                    clopper_pearson(caught, len(fake), 0.95), "Clopper-Pearson", given.format("generated")
                ),
                null=Null(
                    value=achieved,
                    low=false_bounds.low,
                    high=false_bounds.high,
                    n=len(real),
                    rule=f"{len(real)} test reals in place of generated samples",
                ),
            ),
        ]


def _null_rule(real: Tensor, calibration: Tensor) -> str:
    return f"{len(calibration)} calibration reals in place of generated samples, against {len(real)} test reals"


def _interval(bounds: Bounds, method: str, covers: str) -> Interval:
    return Interval(low=bounds.low, high=bounds.high, level=0.95, method=method, covers=covers)


def _quantile_interval(calibration: Tensor, k: int) -> Interval | None:
    bounds = quantile_bounds(calibration, k, 0.95)
    if not (np.isfinite(bounds.low) and np.isfinite(bounds.high)):
        return None
    return _interval(
        bounds,
        "order statistics (binomial)",
        "the drawing of calibration reals, for the score quantile the threshold estimates",
    )


def _histogram(real: Tensor, fake: Tensor, threshold: float | None) -> Histogram:
    low, high = float(torch.minimum(real.min(), fake.min())), float(torch.maximum(real.max(), fake.max()))
    if high <= low:
        high = low + max(abs(low), 1.0) * 1e-6
    edges = np.linspace(low, high, _BINS + 1)
    return Histogram(
        title="Discriminator scores",
        x=Axis(title="raw score (larger: more real)"),
        edges=edges.tolist(),
        series=[
            HistogramSeries(name=name, shares=(np.histogram(scores.numpy(), edges)[0] / len(scores)).tolist())
            for name, scores in (("test reals", real), ("generated", fake))
        ],
        rules=[Rule(at=threshold, label="threshold")] if threshold is not None else [],
    )


def _roc(real: Tensor, fake: Tensor) -> Curve:
    curve = roc(real, fake)
    # A step curve of ten thousand vertices is no better a picture than one of two hundred.
    chosen = torch.unique(torch.linspace(0, len(curve.fpr) - 1, min(len(curve.fpr), 200)).round().long())
    return Curve(
        title="ROC curve: generated samples called generated, against reals called generated",
        x=Axis(title="false positive rate (reals called generated)"),
        y=Axis(title="true positive rate"),
        series=[
            Series(name="discriminator", x=curve.fpr[chosen].tolist(), y=curve.tpr[chosen].tolist()),
            Series(name="no detection", x=[0.0, 1.0], y=[0.0, 1.0]),
        ],
    )
