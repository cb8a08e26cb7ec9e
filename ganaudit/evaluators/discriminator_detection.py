"""Method 1 of the survey: read the discriminator's raw score and call a sample generated below a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from ganaudit.document.model import Detail, Measurement, Note, Rule, Table
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec
from ganaudit.evidence.score_cautions import score_cautions
from ganaudit.evidence.score_charts import det_curve, roc_curve, score_laws
from ganaudit.evidence.score_extremes import extremes
from ganaudit.evidence.score_pairs import paired_areas
from ganaudit.evidence.score_quality import calibration_error_spec, overfit_spec, quality
from ganaudit.evidence.score_sides import Reading, ScoreSides
from ganaudit.evidence.score_thresholds import (
    at_threshold,
    caught_at_rate,
    no_thresholds,
    operating_points,
    threshold_table,
)
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion
from ganaudit.numerics.crossed_costs import crossed_detection_cost, crossed_likelihood_ratio_cost
from ganaudit.numerics.detection import calibration_size_needed, equal_error_rate
from ganaudit.numerics.detection_costs import detection_cost, likelihood_ratio_cost
from ganaudit.numerics.detection_curves import average_precision, hull_equal_error_rate, partial_auc
from ganaudit.numerics.detection_intervals import actual_cost_bounds, likelihood_ratio_cost_bounds
from ganaudit.numerics.thresholds import Threshold, achieved, pac_size_needed, thresholds

__all__ = ["DiscriminatorDetection"]

_RATES = (0.1, 0.05, 0.01, 0.001)
_PARTIAL = 0.1
_ALARM = 0.005
_SHARE = "share of samples"
_BELOW = "scores strictly below the threshold"
_UNIT = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class DiscriminatorDetection:
    """How well the discriminator's own score tells generated samples from unseen real ones."""

    fpr: float = 0.05
    """The share of reals that may be called generated; the threshold is chosen for it on calibration reals."""
    confidence: float = 0.95
    """Share of calibration draws in which the threshold with a guarantee keeps that rate."""
    prior_fake: float = 0.05
    """Share of generated samples where the detector would be used; costs weigh errors by it."""
    cost_real: float = 1.0
    """Cost of a real that is called generated."""
    cost_fake: float = 10.0
    """Cost of a generated sample that is let through."""

    sets_for_all: ClassVar[tuple[str, ...]] = ("fpr",)
    """Given here, it is that of every evaluator that was given none: verdicts of one document go by one threshold."""
    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="discriminator-detection",
        title="Discriminator threshold detection",
        question="Can the discriminator's own score tell generated samples from real ones it has never seen?",
        needs=("scores/test", "scores/fake"),
        wants=("scores/calibration", "scores/train", "others/test", "others/fake"),
        minimum={"scores/test": 2, "scores/fake": 2},
        measurements=(
            MeasurementSpec(
                key="auc",
                title="Area under the ROC curve",
                meaning="Chance that a real sample scores above a generated one; 0.5 is no detection, 1 is certain.",
                unit="probability",
                better="higher",
                bounds=_UNIT,
                estimator="Mann-Whitney on raw scores, ties count half",
            ),
            MeasurementSpec(
                key="eer",
                title="Equal error rate",
                meaning="Error where as many reals are called generated as generated samples are called real.",
                unit=_SHARE,
                better="lower",
                bounds=_UNIT,
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
                unit=_SHARE,
                better="lower",
                bounds=_UNIT,
                estimator=_BELOW,
            ),
            MeasurementSpec(
                key="tpr-at-threshold",
                title="True positive rate at the threshold",
                meaning="Share of generated samples that are called generated.",
                unit=_SHARE,
                better="higher",
                bounds=_UNIT,
                estimator=_BELOW,
            ),
            MeasurementSpec(
                key="pac-threshold",
                title="Threshold with a guarantee",
                meaning="Calls no more than the allowed share of reals generated, with the stated confidence.",
                unit="score",
                better="none",
                estimator="k-th smallest calibration score, largest k: P(Beta(k, n + 1 - k) <= fpr) >= confidence",
            ),
            MeasurementSpec(
                key="fpr-at-pac-threshold",
                title="False positive rate at the guaranteed threshold",
                meaning="Share of test reals that are called generated.",
                unit=_SHARE,
                better="lower",
                bounds=_UNIT,
                estimator=_BELOW,
            ),
            MeasurementSpec(
                key="tpr-at-pac-threshold",
                title="True positive rate at the guaranteed threshold",
                meaning="Share of generated samples that are called generated.",
                unit=_SHARE,
                better="higher",
                bounds=_UNIT,
                estimator=_BELOW,
            ),
            MeasurementSpec(
                key="exchangeability-p-value",
                title="Calibration and test reals alike",
                meaning="Chance of this many test reals below the threshold if they are like calibration reals.",
                unit="probability",
                better="higher",
                bounds=_UNIT,
                estimator="upper tail of BetaBinomial(N; k, n + 1 - k), conformal threshold; ties make it larger",
                interval=False,
            ),
            MeasurementSpec(
                key="tpr-at-fpr-1pct",
                title="True positive rate at 1 % false positives",
                meaning="Share of generated samples caught where 1 % of reals are called generated.",
                unit=_SHARE,
                better="higher",
                bounds=_UNIT,
                estimator="below the conformal threshold for 1 % of calibration (or test) reals; from 1,000 of them on",
            ),
            MeasurementSpec(
                key="tpr-at-fpr-0.1pct",
                title="True positive rate at 0.1 % false positives",
                meaning="Share of generated samples caught where 0.1 % of reals are called generated.",
                unit=_SHARE,
                better="higher",
                bounds=_UNIT,
                estimator="below the conformal threshold for 0.1 % of calibration (or test) reals; from 10,000 on",
            ),
            MeasurementSpec(
                key="average-precision",
                title="Average precision",
                meaning="Mean share of generated among those called so, if half are generated; 0.5 is chance.",
                unit="share",
                better="higher",
                bounds=_UNIT,
                estimator="sum over ROC vertices, prevalence 1/2, generated as positive; biased upwards",
            ),
            MeasurementSpec(
                key="partial-auc",
                title="Area under the ROC curve up to 10 % false positives",
                meaning="Detection where few reals may be called generated; 0.5 is none, 1 is certain.",
                unit="standardised area",
                better="higher",
                bounds=_UNIT,
                estimator="trapezoids from 0 to 0.1, standardised after McClish",
            ),
            MeasurementSpec(
                key="min-dcf",
                title="Least detection cost",
                meaning="Expected cost at the best threshold, over that of the better verdict without a detector.",
                unit="ratio of costs",
                better="lower",
                bounds=_UNIT,
                estimator="minimum over every distinct score, chosen on the same samples: biased downwards",
            ),
            MeasurementSpec(
                key="act-dcf",
                title="Actual detection cost",
                meaning="The same cost at the threshold for log-likelihood ratios; above 1 is worse than none.",
                unit="ratio of costs",
                better="lower",
                bounds=(0.0, None),
                estimator="threshold log(cost_fake p / (cost_real (1 - p))), p = prior_fake",
            ),
            MeasurementSpec(
                key="cllr",
                title="Log-likelihood-ratio cost",
                meaning="Cost of scores taken at their word; 0 is certain and right, 1 says nothing, more misleads.",
                unit="bits",
                better="lower",
                bounds=(0.0, None),
                estimator="means of log2(1 + e^-s) over reals and of log2(1 + e^s) over generated, halved",
            ),
            MeasurementSpec(
                key="cllr-min",
                title="Least log-likelihood-ratio cost",
                meaning="The same after the best rising map of the scores: what their order alone is worth.",
                unit="bits",
                better="lower",
                bounds=_UNIT,
                estimator="scores pooled to a rising share of reals, fitted on the same samples: biased downwards",
            ),
            calibration_error_spec("calibration-error"),
            overfit_spec("overfit"),
        ),
        misleads=(
            "A discriminator at the end of good training sees no difference, and one that has learnt its training "
            "images by heart calls unseen reals generated: a low area under the curve may mean a good generator or a "
            "bad discriminator. Directions here are the detector's: higher area is better detection. Low-quality real "
            "images are misjudged most. Every promise of a threshold is for reals like those of the calibration. Costs "
            "in bits and the actual cost take scores for log-likelihood ratios, which those of many objectives are not."
        ),
        references=(
            "DeLong et al., Comparing the Areas under Two or More Correlated ROC Curves, Biometrics 44, 1988",
            "Vovk et al., Algorithmic Learning in a Random World, 2005 (split conformal thresholds)",
            "Vovk, Conditional Validity of Inductive Conformal Predictors, 2012, arXiv:1209.2673 (the law of the rate)",
            "McClish, Analyzing a Portion of the ROC Curve, Medical Decision Making 9, 1989",
            "Brümmer and du Preez, Application-Independent Evaluation of Speaker Detection, 2006 (Cllr)",
            "Delgado et al., ASVspoof 5 Evaluation Plan, 2024 (detection costs)",
        ),
    )

    def __post_init__(self) -> None:
        for name in ("fpr", "confidence", "prior_fake"):
            proportion(getattr(self, name), name)
        for name in ("cost_real", "cost_fake"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: found {getattr(self, name)}; allowed: above 0 and finite")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return what the ranking is worth, thresholds and what they do to unseen samples, costs, and the extremes."""
        sides = ScoreSides.of(view, rng)
        train = view["scores/train"] if view.missing("scores/train") is None else None
        held = sides.calibration
        found = [] if held is None else thresholds(held, [self.fpr], self.confidence)
        keys = [m.key for m in self.spec.measurements]
        readings = [*self._readings(sides), *self._thresholds(found, sides), *quality(sides, train, view)]
        by_key = {m.key: m for m in (reading.measured(self.spec, key) for key, reading in readings)}
        measurements = [by_key[key] for key in keys]
        warnings = score_cautions(sides.real, sides.fake, sides.calibration, train)
        alike = by_key["exchangeability-p-value"].value
        if alike is not None and alike < _ALARM:
            warnings.append(
                f"more test reals are called generated than calibration can explain (p = {alike:.2g}): calibration and "
                "test reals are not of one kind, and the promised rate does not hold for the test reals"
            )
        details: list[Detail] = [
            _laws(sides, train, found),
            roc_curve(sides.real, sides.fake),
            det_curve(sides.real, sides.fake),
            *([] if held is None else [threshold_table(sides, held, sorted({*_RATES, self.fpr}), self.confidence)]),
            operating_points(sides, found),
            self._conventions(sides, measurements),
            *_pairs(view, sides),
            Note(text="Scores of generated samples are read as generated, before quantisation to 8 bits."),
        ]
        return Findings(measurements, details, warnings, exhibits=extremes(sides, view.against == "test"))

    def _readings(self, sides: ScoreSides) -> list[tuple[str, Reading]]:
        costs = self.prior_fake, self.cost_real, self.cost_fake
        resampled = sides.resampled
        return [
            ("auc", sides.area()),
            ("eer", resampled(lambda r, f: equal_error_rate(r, f).value, "percentile", _UNIT)),
            ("tpr-at-fpr-1pct", caught_at_rate(sides, 0.01)),
            ("tpr-at-fpr-0.1pct", caught_at_rate(sides, 0.001)),
            ("average-precision", resampled(lambda r, f: average_precision(r, f, 0.5).value, "percentile", _UNIT)),
            ("partial-auc", resampled(lambda r, f: partial_auc(r, f, _PARTIAL).standardised, "percentile", _UNIT)),
            ("min-dcf", resampled(
                lambda r, f: detection_cost(r, f, *costs).minimum, "crossed", _UNIT,
                lambda r, f, rng: crossed_detection_cost(r, f, rng, *costs),
            )),
            ("act-dcf", sides.bounded(
                lambda r, f: detection_cost(r, f, *costs).actual,
                lambda r, f: actual_cost_bounds(r, f, *costs, 0.95),
                "Clopper-Pearson for each error, joined",
            )),
            ("cllr", sides.bounded(
                lambda r, f: likelihood_ratio_cost(r, f).value,
                lambda r, f: likelihood_ratio_cost_bounds(r, f, 0.95),
                "normal, standard error of two means",
            )),
            ("cllr-min", resampled(
                lambda r, f: likelihood_ratio_cost(r, f).minimum, "crossed", _UNIT, crossed_likelihood_ratio_cost
            )),
        ]  # fmt: skip

    def _thresholds(self, found: Sequence[Threshold], sides: ScoreSides) -> list[tuple[str, Reading]]:
        """Return what ``found``, the conformal and the PAC threshold, do; without them why there are none."""
        promise = f"a false positive rate of {self.fpr:g}"
        if found:
            conformal, pac = (at_threshold(one, sides) for one in found)
        else:
            conformal = no_thresholds(sides, calibration_size_needed(self.fpr), promise)
            sure = f"{promise} with confidence {self.confidence:g}"
            pac = no_thresholds(sides, pac_size_needed(self.fpr, self.confidence), sure)
        keys = ("threshold", "fpr-at-threshold", "tpr-at-threshold")
        guaranteed = ("pac-threshold", "fpr-at-pac-threshold", "tpr-at-pac-threshold")
        readings = [*zip(keys, conformal, strict=True), *zip(guaranteed, pac, strict=True)]
        sizes = {**conformal[0].sizes, **conformal[1].sizes}
        p_value = Reading(None, sizes, reason=conformal[0].reason)
        if found and found[0].value is not None:
            p_value = Reading(
                achieved(sides.real, found[0]).p_value,
                sizes,
                "a p-value is itself a statement on chance: of reals of one kind it is below a in a share a of draws",
                "by construction: it compares reals with reals",
            )
        return [*readings, ("exchangeability-p-value", p_value)]

    def _conventions(self, sides: ScoreSides, measurements: list[Measurement]) -> Table:
        costs = detection_cost(sides.real, sides.fake, self.prior_fake, self.cost_real, self.cost_fake)
        bits = likelihood_ratio_cost(sides.real, sides.fake)
        best = costs.best_threshold if np.isfinite(costs.best_threshold) else "none: all called generated"
        eer = next(m.value for m in measurements if m.key == "eer")
        prevalence = average_precision(sides.real, sides.fake)
        rows: list[list[str | int | float | None]] = [
            ["equal error rate, mean of both errors at the nearest vertex (eer)", eer],
            ["equal error rate on the convex hull of the ROC curve", hull_equal_error_rate(sides.real, sides.fake)],
            [f"average precision at the share of generated here, {prevalence.prevalence:.3g}", prevalence.value],
            ["threshold of the least cost, found on these samples", best],
            ["threshold of the actual cost, if scores are log-likelihood ratios", costs.bayes_threshold],
            ["cost of the wrong threshold (act-dcf less min-dcf)", costs.actual - costs.minimum],
            ["cost of scores that do not mean what they say, bits (cllr less cllr-min)", bits.calibration_loss],
        ]
        return Table(title="In other conventions", columns=["", "value"], rows=rows)


def _pairs(view: View, sides: ScoreSides) -> list[Detail]:
    if any(view.missing(node) is not None for node in ("others/test", "others/fake")):
        return []
    return paired_areas(sides.real, sides.fake, view.others("test"), view.others("fake"))


def _laws(sides: ScoreSides, train: Tensor | None, found: Sequence[Threshold]) -> Detail:
    laws = {"test reals": sides.real, "generated": sides.fake}
    if train is not None:
        laws = {"train reals": train, **laws}
    labels = {"conformal": "threshold", "pac": "threshold with a guarantee"}
    return score_laws(laws, [Rule(at=t.value, label=labels[t.promise]) for t in found if t.value is not None])
