"""Whether the discriminator's scores mean what they say: probabilities of being real that come true."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Axis, Curve, Detail, Interval, Note, Null, Series
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec
from ganaudit.evidence.score_calibration import (
    MAPS,
    brier_table,
    in_words,
    line_readings,
    recalibration_table,
    tests_table,
)
from ganaudit.evidence.score_cautions import are_constant, look_like_probabilities, score_cautions
from ganaudit.evidence.score_quality import BINS, DRAWS, calibration_error, calibration_error_spec
from ganaudit.evidence.score_resampling import resampling_details
from ganaudit.evidence.score_sides import BOTH, Reading, ScoreSides, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import whole
from ganaudit.numerics.calibration import Calibration, Reliability, brier, calibration, log_loss
from ganaudit.numerics.detection_costs import LikelihoodRatioCost, likelihood_ratio_cost
from ganaudit.numerics.detection_intervals import resampled_bounds, resamples_for
from ganaudit.numerics.intervals import Bounds, clopper_pearson, normal
from ganaudit.numerics.recalibration import Recalibrated, platt, recalibrated, temperature

__all__ = ["DiscriminatorCalibration"]

_UNIT = (0.0, 1.0)
_POSITIVE = (0.0, math.inf)
_SQUARES = "squared probability"
_FOLDS = 5
_NORMAL = 1.959963984540054  # quantile at 97.5 %
_LOST = 1e300  # stands for no temperature among resamples
_NONE = (
    "no factor makes the scores mean what they say: they point the wrong way, tell nothing about 0, or separate the "
    "sides fully there"
)
_LINE = "least log-loss of sigmoid(slope score + offset), both sides of equal weight; reported, never applied"
_NO_SLOPE = "no slope and offset have the least log-loss: all scores are equal, or a threshold separates the sides"


@dataclass(frozen=True, slots=True)
class DiscriminatorCalibration:
    """Calibration of sigmoid(score) on unseen reals and generated samples, and what recalibration would give."""

    bins: int = BINS
    """Bins of equal mass that the calibration error and the Brier split are taken over."""
    draws: int = DRAWS
    """Sets of labels drawn from the probabilities said, to see what chance alone does to the error."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="discriminator-calibration",
        title="Calibration of the discriminator",
        question="Does the discriminator's score, read as a log-likelihood ratio, say how sure it may be?",
        needs=("scores/test", "scores/fake"),
        wants=("scores/calibration",),
        minimum={"scores/test": 2, "scores/fake": 2},
        measurements=(
            calibration_error_spec("ece"),
            MeasurementSpec(
                key="ece-p-value",
                title="p-value of the calibration error",
                meaning="Share of perfectly calibrated critics with these scores whose error is as large or larger.",
                unit="probability",
                better="higher",
                bounds=_UNIT,
                estimator="labels drawn from the probabilities said, in the same bins, these labels counted as a draw",
                interval=False,
            ),
            MeasurementSpec(
                key="z",
                title="Calibration test Z",
                meaning="Whether the probabilities said add up to the share of reals, one half; beyond 2 they do not.",
                unit="standard errors",
                better="target",
                target=0.0,
                estimator="weighted sum (y - p) over its error for fixed N and M; Dawid's where a side is constant",
                interval=False,
            ),
            MeasurementSpec(
                key="brier",
                title="Brier score",
                meaning="Mean squared error of the probability of being real; 0.25 is no information.",
                unit=_SQUARES,
                better="lower",
                bounds=_UNIT,
                estimator="mean (p - y)², y = 1 for reals, p = sigmoid(score), both sides of equal weight; unbiased",
            ),
            MeasurementSpec(
                key="brier-reliability",
                title="Brier score: reliability",
                meaning="The part of the Brier score that is owed to probabilities that do not come true.",
                unit=_SQUARES,
                better="lower",
                bounds=_UNIT,
                estimator="mean squared distance of a bin's share of reals from the mean said (Murphy); biased upwards",
            ),
            MeasurementSpec(
                key="brier-resolution",
                title="Brier score: resolution",
                meaning="The part that the scores take off the Brier score by telling samples apart.",
                unit=_SQUARES,
                better="higher",
                bounds=_UNIT,
                estimator="mean squared distance of a bin's share of reals from that over all; biased upwards",
            ),
            MeasurementSpec(
                key="log-loss",
                title="Log-loss",
                meaning="Mean surprise at what a sample turns out to be; 0.693 is no information.",
                unit="nats",
                better="lower",
                bounds=(0.0, None),
                estimator="half the sum of the means of -log p over reals and -log(1 - p) over others; unbiased",
            ),
            MeasurementSpec(
                key="temperature",
                title="Temperature",
                meaning="The divisor that, without an offset, brings scores nearest to what they say. An offset of the "
                "scores moves it, mostly above 1: whether they are too bold or too timid the slope tells.",
                unit="ratio",
                better="target",
                target=1.0,
                bounds=(0.0, None),
                estimator="least log-loss of sigmoid(score/T), both sides of equal weight; reported, never applied",
            ),
            MeasurementSpec(
                key="platt-slope",
                title="Slope of Platt scaling",
                meaning="What scores must be multiplied by, once an offset is added; above 1 they are too timid, below "
                "1 too bold, by that factor.",
                unit="ratio",
                better="target",
                target=1.0,
                estimator=_LINE,
            ),
            MeasurementSpec(
                key="platt-offset",
                title="Offset of Platt scaling",
                meaning="What must be added to scores times the slope; above 0 they lean to generated.",
                unit="nats",
                better="target",
                target=0.0,
                estimator=_LINE,
            ),
            MeasurementSpec(
                key="log-loss-temperature",
                title="Log-loss after temperature scaling",
                meaning="The log-loss that one factor on the scores would give.",
                unit="nats",
                better="lower",
                bounds=(0.0, None),
                estimator=f"cross-fitted in {_FOLDS} parts; reported, never applied",
            ),
            MeasurementSpec(
                key="log-loss-isotonic",
                title="Log-loss after isotonic recalibration",
                meaning="The log-loss that a rising map of the scores would give: what they are worth put right.",
                unit="nats",
                better="lower",
                bounds=(0.0, None),
                estimator=f"cross-fitted in {_FOLDS} parts; reported, never applied",
            ),
            MeasurementSpec(
                key="log-loss-platt",
                title="Log-loss after Platt scaling",
                meaning="The log-loss that a slope and an offset on the scores would give.",
                unit="nats",
                better="lower",
                bounds=(0.0, None),
                estimator=f"cross-fitted in {_FOLDS} parts; reported, never applied",
            ),
        ),
        misleads=(
            "Only objectives with a log-likelihood ratio at their optimum (the original, non-saturating ones) train "
            "scores that could be calibrated; hinge, Wasserstein and relativistic critics are no worse for not being. "
            "A temperature scales scores about 0 and removes no offset, which then moves it: timid scores with an "
            "offset have one above 1. A critic that tells nothing and says so is perfectly calibrated. Binning hides "
            "errors that cancel within a bin, and calibration error is above 0 by chance alone: read it against its "
            "null and p-value."
        ),
        references=(
            "Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015",
            "Bröcker and Smith, Increasing the Reliability of Reliability Diagrams, 2007",
            "Murphy, A New Vector Partition of the Probability Score, 1973",
            "Turner et al., Metropolis-Hastings Generative Adversarial Networks, 2019, arXiv:1811.11357 (Z)",
            "Guo et al., On Calibration of Modern Neural Networks, 2017, arXiv:1706.04599 (temperature)",
            "Platt, Probabilistic Outputs for Support Vector Machines, 1999 (slope and offset)",
            "Spiegelhalter, Probabilistic Prediction in Patient Management and Clinical Trials, 1986 (test of squares)",
            "Azadi et al., Discriminator Rejection Sampling, 2019, arXiv:1810.06758",
            "Zadrozny and Elkan, Transforming Classifier Scores into Probability Estimates, 2002 (isotonic)",
        ),
    )

    def __post_init__(self) -> None:
        whole(self.bins, "bins", 1)
        whole(self.draws, "draws", 1)

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return errors of calibration with what chance makes of them, and the same after two recalibrations."""
        sides = ScoreSides.of(view, rng)
        found, error = calibration_error(sides, view, self.bins, self.draws)
        maps = _recalibrated(sides, rng, self.bins, self.draws)
        readings = {"ece": error, **_tests(found, sides), **self._losses(sides), **_after(maps, sides)}
        line = platt(sides.real, sides.fake)
        readings |= line_readings(line, sides.sizes, f"{_NO_SLOPE} ({sides.sizes['real']} reals)")
        measurements = [readings[m.key].measured(self.spec, m.key) for m in self.spec.measurements]
        details: list[Detail] = [
            self._curve(found, maps),
            tests_table(found.test, len(sides.real), len(sides.fake)),
            recalibration_table(found, likelihood_ratio_cost(sides.real, sides.fake), maps, self._as_logits(sides)),
            brier_table(found.equal_mass.curve, found.brier),
            Note(text=in_words(found, readings["temperature"].value, line, are_constant(sides.real, sides.fake))),
            *_bought(found, sides, maps, rng),
        ]
        return Findings(measurements, details, score_cautions(sides.real, sides.fake, sides.calibration))

    def _losses(self, sides: ScoreSides) -> Mapping[str, Reading]:
        def over(which: str) -> Reading:
            return sides.resampled(
                lambda r, f: getattr(brier(r, f, self.bins), which), "centred", _UNIT
            )  # fmt: skip

        def of_score(r: Tensor, f: Tensor) -> Bounds:
            score = brier(r, f, self.bins)
            return normal(score.value, score.standard_error, 0.95)

        def of_loss(r: Tensor, f: Tensor) -> Bounds:
            loss = log_loss(r, f)
            return normal(loss.value, loss.standard_error, 0.95)

        means = "normal, standard error of two means"
        return {
            "brier": sides.bounded(lambda r, f: brier(r, f, self.bins).value, of_score, means),
            "brier-reliability": over("reliability"),
            "brier-resolution": over("resolution"),
            "log-loss": sides.bounded(lambda r, f: log_loss(r, f).value, of_loss, means),
            "temperature": _temperature(sides),
        }

    def _as_logits(self, sides: ScoreSides) -> tuple[Calibration, LikelihoodRatioCost] | None:
        """Return what the scores say as probabilities, where they look like it."""
        held = [] if sides.calibration is None else [sides.calibration]
        if not look_like_probabilities(sides.real, sides.fake, *held):
            return None
        tiny = float(torch.finfo(torch.float32).eps)  # a sigmoid in float32 ends so far from 0 and 1
        real, fake = (torch.logit(side, tiny) for side in (sides.real, sides.fake))
        rng = np.random.default_rng(0)  # never of the audit's own chance: the row changes no other number
        return calibration(real, fake, rng, self.bins, self.draws), likelihood_ratio_cost(real, fake)

    def _curve(self, found: Calibration, maps: Mapping[str, Recalibrated | None]) -> Curve:
        series = [_series("raw scores", found.equal_mass.curve, with_bounds=True)]
        series += [
            _series(f"after {MAPS[name]}", m.calibration.equal_mass.curve) for name, m in maps.items() if m is not None
        ]
        series.append(Series(name="calibrated", x=[0.0, 1.0], y=[0.0, 1.0]))
        return Curve(
            title="Reliability: share of reals found against the probability said",
            x=Axis(title=f"probability of being real, mean of a bin ({self.bins} bins of equal mass)"),
            y=Axis(title="share of reals, both sides of equal weight; the band is Clopper-Pearson, 95 % for each bin"),
            series=series,
            points=True,
        )


def _tests(found: Calibration, sides: ScoreSides) -> Mapping[str, Reading]:
    law = Null(value=0.0, low=-_NORMAL, high=_NORMAL, n=min(sides.sizes.values()), of="a calibrated critic",
               rule="N(0, 1), the law of a calibrated critic; the table of tests has p-values")  # fmt: skip
    z = found.test.z if found.test.z_sides is None else found.test.z_sides
    finite = math.isfinite(z)
    return {
        "ece-p-value": Reading(
            found.equal_mass.p_value,
            sides.sizes,
            "a p-value is itself a statement on chance: calibrated critics have one below a in a share a of draws",
            "uniform from 0 to 1 for a calibrated critic, by construction",
        ),
        "z": Reading(
            z if finite else None,
            sides.sizes,
            "a test statistic: it scatters by 1 by construction",
            law,
            None if finite else f"all probabilities are 0 or 1 in float64 and some of {sides.sizes} are wrong",
        ),
    }


def _bought(
    found: Calibration, sides: ScoreSides, maps: Mapping[str, Recalibrated | None], rng: np.random.Generator
) -> list[Detail]:
    # Not isotonic: its ends rest on few samples, and in the exponential of a score they outweigh all others.
    said = {"raw": (sides.real, sides.fake)}
    if (platt := maps["platt"]) is not None:
        said[MAPS["platt"]] = (platt.real, platt.fake)
    return resampling_details(sides.real, sides.fake, said, found.equal_mass.p_value, rng)


def _recalibrated(sides: ScoreSides, rng: np.random.Generator, bins: int, draws: int) -> dict[str, Recalibrated | None]:
    if min(sides.sizes.values()) < 2 * _FOLDS:
        return dict.fromkeys(("temperature", "isotonic", "platt"))
    real, fake = sides.real, sides.fake
    return {
        "temperature": recalibrated(real, fake, rng, "temperature", _FOLDS, bins, draws),
        "isotonic": recalibrated(real, fake, rng, "isotonic", _FOLDS, bins, draws),
        "platt": recalibrated(real, fake, rng, "platt", _FOLDS, bins, draws),
    }


def _after(maps: Mapping[str, Recalibrated | None], sides: ScoreSides) -> dict[str, Reading]:
    readings = {}
    few = f"needs {2 * _FOLDS} samples on each side; found {sides.sizes['real']} and {sides.sizes['fake']}"
    for name, found in maps.items():
        if found is None:
            reason = f"{_NO_SLOPE if name == 'platt' else _NONE} ({sides.sizes['real']} reals)"
            reason = few if min(sides.sizes.values()) < 2 * _FOLDS else reason
            readings[f"log-loss-{name}"] = Reading(None, sides.sizes, reason=reason)
            continue
        loss = found.calibration.log_loss
        own = normal(loss.value, loss.standard_error, 0.95)
        covers = f"{BOTH}; the fitting of the map in part only, as the {_FOLDS} maps share samples"
        readings[f"log-loss-{name}"] = Reading(
            loss.value,
            sides.sizes,
            _interval(own, "normal, standard error of two means", covers),
            f"a map fitted to tell reals from reals says 0.5 of each, a log-loss of {math.log(2):.3f}",
        )
    return readings


def _temperature(sides: ScoreSides) -> Reading:
    found = temperature(sides.real, sides.fake)
    if found is None:
        return Reading(None, sides.sizes, reason=f"{_NONE} ({sides.sizes['real']} reals)")

    def fitted(real: Tensor, fake: Tensor) -> float:
        return temperature(real, fake) or _LOST

    bounds = resampled_bounds(fitted, sides.real, sides.fake, sides.rng, 0.95, "percentile", _POSITIVE)
    lost = bounds is not None and bounds.high >= _LOST / 2
    method = f"percentile bootstrap, {resamples_for(sum(sides.sizes.values()))} resamples"
    return Reading(
        found,
        sides.sizes,
        "some resamples have no temperature" if lost else _interval(bounds, method, BOTH),
        "reals cannot be told from reals, so no factor makes their scores mean what they say",
    )


def _interval(bounds: Bounds | None, method: str, covers: str) -> Interval | str:
    if bounds is None or bounds.low == bounds.high:
        return "no resample moves the value: how it scatters cannot be seen"
    return interval_of(bounds, method, covers)


def _series(name: str, curve: Reliability, *, with_bounds: bool = False) -> Series:
    said, found, counts = curve.said.tolist(), curve.found.tolist(), curve.count.tolist()
    if not with_bounds:
        return Series(name=name, x=said, y=found)
    ends = [clopper_pearson(int(r), int(n), 0.95) for r, n in zip(curve.reals.tolist(), counts, strict=True)]
    reals = float(curve.reals.sum())
    ratio = (float(curve.count.sum()) - reals) / reals

    def balanced(share: float) -> float:  # the share of reals if as many generated samples were there
        return share * ratio / (share * ratio + 1 - share)

    low, high = [balanced(e.low) for e in ends], [balanced(e.high) for e in ends]
    return Series(name=name, x=said, y=found, low=low, high=high)
