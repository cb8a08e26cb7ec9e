"""Whether a threshold set on reals as they are holds for samples that were compressed, blurred, resized or dimmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.corruptions import CORRUPTIONS, LEVELS, applicable, corrupt
from ganaudit.document.errors import SubjectError
from ganaudit.document.model import Axis, Curve, Detail, Interval, Measurement, Note, Null, Rule, Series, Table
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.judging import chosen, judged, portions
from ganaudit.evidence.score_carried import Carried, carried_table
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.detection import auc, calibration_size_needed, conformal_rate, conformal_threshold
from ganaudit.numerics.intervals import Bounds, clopper_pearson
from ganaudit.numerics.worst import Worst, shift_bounds, worst_area, worst_loss, worst_rate, worst_shift

__all__ = ["ThresholdTransfer"]

_UNTOUCHED = "untouched"
_MIDDLE = "moderate"
_THIS = "this subject"
_SHARE = "share of samples"
_COVERS = (
    "the drawing of {} samples, over all damages together; not that of the calibration reals, nor damages that were "
    "not tried"
)


@dataclass(frozen=True, slots=True)
class _Condition:
    """One damage at one level; no name for samples as they are."""

    name: str
    level: str
    title: str
    amount: float | None

    @property
    def words(self) -> str:
        return self.title if self.amount is None else f"{self.title}, {self.level}"


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Scores by condition, the untouched one first."""

    conditions: list[_Condition]
    real: list[Tensor]
    fake: list[Tensor]
    calibration: dict[int, Tensor]
    """By the number of the condition, for the untouched one and the middle levels."""
    refused: dict[str, str]
    """Conditions that the discriminator has no score for, and why."""


@dataclass(frozen=True, slots=True)
class ThresholdTransfer:
    """The threshold of untouched reals, judged on samples that something harmless has happened to."""

    fpr: float = 0.05
    """The share of reals that may be called generated; the threshold is chosen for it on untouched calibration
    reals."""
    samples: int = 256
    """Test reals, generated samples and calibration reals that are damaged and judged, at most, of each."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="threshold-transfer",
        title="Threshold transfer",
        question="Does the discriminator's threshold hold once samples are compressed, blurred, resized or dimmed?",
        needs=(
            "scores/test", "scores/fake", "scores/calibration", "values/test", "values/fake", "values/calibration",
        ),
        wants=("others/test", "others/fake", "others/calibration", "others/generated"),
        minimum={"scores/test": 2, "scores/fake": 2, "scores/calibration": 2},
        measurements=(
            MeasurementSpec(
                key="worst-fpr-shift",
                title="Worst shift of the false positive rate",
                meaning="How far the share of reals called generated strays from the promise under the worst damage.",
                unit=_SHARE,
                better="lower",
                bounds=(0.0, 1.0),
                estimator="max over damages of |FPR - fpr|, threshold of untouched calibration reals (split conformal)",
            ),
            MeasurementSpec(
                key="worst-fpr",
                title="Worst false positive rate",
                meaning="Share of test reals called generated under the damage that makes it greatest.",
                unit=_SHARE,
                better="lower",
                bounds=(0.0, 1.0),
                estimator="max over damages of the share of reals strictly below the threshold",
            ),
            MeasurementSpec(
                key="worst-tpr-loss",
                title="Worst loss of detection",
                meaning="How much of the share of generated samples that are caught goes under the worst damage.",
                unit=_SHARE,
                better="lower",
                bounds=(-1.0, 1.0),
                estimator="max over damages of TPR untouched - TPR damaged, same samples; below 0 where all raise it",
            ),
            MeasurementSpec(
                key="worst-auc",
                title="Worst area under the ROC curve",
                meaning="Least chance that a real sample scores above a generated one, both under the same damage.",
                unit="probability",
                better="higher",
                bounds=(0.0, 1.0),
                estimator="min over damages of the Mann-Whitney statistic on raw scores, ties count half",
            ),
        ),
        misleads=(
            "Only the damages listed were tried, each alone and at fixed amounts; what happens to samples elsewhere "
            "may be worse. The worst of many estimates is biased to the worse side; the intervals allow for that. A "
            "discriminator that calls every sample real has no shift upwards and no detection either: read the whole "
            "table. Nobody steers these damages; robustness to an enemy is another question."
        ),
        references=(
            "Wang et al., CNN-Generated Images Are Surprisingly Easy to Spot... for Now, 2020, arXiv:1912.11035",
            "Hendrycks and Dietterich, Benchmarking Neural Network Robustness, 2019, arXiv:1903.12261",
            "Clopper and Pearson, The Use of Confidence or Fiducial Limits, Biometrika 26, 1934",
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        proportion(self.fpr, "fpr")
        whole(self.samples, "samples", 2)

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return the worst of each number over the damages, and the matrices of threshold against damage."""
        calibration = view["scores/calibration"]
        threshold = conformal_threshold(calibration, self.fpr)
        if threshold is None:
            raise NotAssessable(
                f"a false positive rate of {self.fpr:g} needs {calibration_size_needed(self.fpr)} calibration reals; "
                f"there are {len(calibration)}"
            )
        found = self._judged(view, rng)
        details: list[Detail] = [
            Note(text=self._reading(found, threshold)),
            _by_damage(found, threshold),
            _over_levels(found, threshold, self.fpr),
            *self._across(found),
            *self._elsewhere(view, threshold),
            Note(text=_method(found)),
        ]
        return Findings(self._measured(found, threshold, len(calibration)), details)

    def _judged(self, view: View, rng: np.random.Generator) -> _Judged:
        # The rows first: what is drawn for damages depends on how many there are.
        rows = {
            side: chosen(view, side, len(view[f"scores/{side}"]), self.samples, rng)
            for side in ("test", "fake", "calibration")
        }
        x, _ = view.values("test", rows["test"][:1])
        conditions = _conditions(x)
        refused: dict[int, str] = {}
        scores = {side: _scores(view, side, rows[side], conditions, refused, rng) for side in rows}
        kept = [i for i in range(len(conditions)) if i not in refused]
        if len(kept) < 2:
            raise NotAssessable(f"the discriminator refused all {len(refused)} kinds of damage: {refused[1]}")
        return _Judged(
            [conditions[i] for i in kept],
            [scores["test"][i] for i in kept],
            [scores["fake"][i] for i in kept],
            {at: scores["calibration"][i] for at, i in enumerate(kept) if conditions[i].level in ("", _MIDDLE)},
            {conditions[i].words: reason for i, reason in refused.items()},
        )

    def _measured(self, found: _Judged, threshold: float, calibrated: int) -> list[Measurement]:
        damaged = found.real[1:], found.fake[1:]
        n = len(found.real[0])
        counts = [int((scores < threshold).sum()) for scores in found.real]
        sizes = {"real": n}
        shift = worst_shift(counts[1:], [n] * len(damaged[0]), self.fpr, 0.95)
        rate = worst_rate(counts[1:], [n] * len(damaged[0]), 0.95)
        loss = worst_loss(found.fake[0] < threshold, [scores < threshold for scores in damaged[1]], 0.95)
        area = worst_area(list(zip(*damaged, strict=True)), 0.95)
        untouched = clopper_pearson(counts[0], n, 0.95)
        apart = shift_bounds(untouched, self.fpr)
        expected, _ = conformal_rate(calibrated, self.fpr, 0.95)
        rule = (
            f"the same {n} test reals untouched, one condition and not the worst of {len(damaged[0])}; "
            f"{expected:.3g} is expected of reals exchangeable with calibration"
        )
        of = "untouched reals"
        paired = "Clopper-Pearson of samples lost and won, Bonferroni over damages"
        both = {"real": n, "fake": len(found.fake[0])}
        return [
            self._worst("worst-fpr-shift", shift, sizes, "test real",
                        Null(value=abs(counts[0] / n - self.fpr), low=apart.low, high=apart.high, n=n, of=of,
                             rule=rule)),
            self._worst("worst-fpr", rate, sizes, "test real",
                        Null(value=counts[0] / n, low=untouched.low, high=untouched.high, n=n, of=of,
                             rule=rule)),
            self._worst("worst-tpr-loss", loss, {"fake": both["fake"]}, "generated",
                        "the loss is counted from the untouched condition, which loses nothing", paired),
            self._worst("worst-auc", area, both, "test real and generated", self._null_area(found),
                        "DeLong, logit scale, Bonferroni over damages"),
        ]  # fmt: skip

    def _worst(
        self,
        key: str,
        found: Worst,
        sizes: dict[str, int],
        drawn: str,
        null: Null | str,
        method: str = "Clopper-Pearson, Bonferroni over damages",
    ) -> Measurement:
        return self.spec.measurement(
            key,
            found.value,
            sizes,
            interval=_interval(found.bounds, method, _COVERS.format(drawn)),
            null=null if isinstance(null, Null) else None,
            null_reason=null if isinstance(null, str) else None,
        )

    def _null_area(self, found: _Judged) -> Null | str:
        pairs = [(found.real[i], scores) for i, scores in found.calibration.items() if i]
        if not pairs:
            return f"the discriminator refused every damage at level {_MIDDLE}, the one calibration reals are given"
        worst = worst_area(pairs, 0.95)
        n = len(pairs[0][1])
        rule = (
            f"{n} calibration reals in place of generated samples, the worst of the {len(pairs)} damages at "
            f"level {_MIDDLE}"
        )
        return Null(value=worst.value, low=worst.bounds.low, high=worst.bounds.high, n=n, rule=rule)

    def _across(self, found: _Judged) -> list[Detail]:
        """Return the matrix of thresholds fitted under one condition and judged under another."""
        kept = list(found.calibration)
        fitted = {i: conformal_threshold(found.calibration[i], self.fpr) for i in kept}
        if any(threshold is None for threshold in fitted.values()):
            needed, there = calibration_size_needed(self.fpr), len(found.calibration[0])
            return [Note(text=f"Thresholds fitted under damage need {needed} calibration reals; {there} were damaged.")]
        rows: list[list[str | int | float | None]] = []
        worst, fit, at = -1.0, 0, 0
        for i in kept:
            rates = [float((found.real[j] < (fitted[i] or 0.0)).double().mean()) for j in kept]
            shifts = [abs(rate - self.fpr) for rate in rates]
            j = max(range(len(kept)), key=shifts.__getitem__)
            if shifts[j] > worst:
                worst, fit, at = shifts[j], i, kept[j]
            rows.append([found.conditions[i].words, *rates])
        names = [found.conditions[i].words for i in kept]
        fitted_on = len(found.calibration[0])
        title = "False positive rate: threshold fitted under one condition (row), judged under another (column)"
        text = (
            f"Worst pair: fitted on calibration reals under {found.conditions[fit].words}, judged on test reals under "
            f"{found.conditions[at].words}, the false positive rate is {worst:.3g} away from {self.fpr:g}. The "
            f"diagonal shows what a threshold fitted for the very damage keeps. Each is fitted on {fitted_on} "
            f"calibration reals. The matrix holds the level {_MIDDLE} alone; worst-fpr-shift is over all levels, of "
            "one threshold, so it can be larger."
        )
        return [Table(title=title, columns=["fitted under", *names], rows=rows), Note(text=text)]

    def _elsewhere(self, view: View, threshold: float) -> list[Detail]:
        """Return what thresholds do to the scores of other subjects' discriminators; nothing where there is none."""
        if any(view.missing(node) is not None for node in self.spec.wants):
            return []
        real, fake = view["scores/test"], view["scores/fake"]
        test, made, generated = view.others("test"), view.others("fake"), view.others("generated")
        rows = [Carried(_THIS, _THIS, _THIS, threshold, real, fake)]
        for name, calibration in view.others("calibration").items():
            theirs = conformal_threshold(calibration, self.fpr)
            assert theirs is not None  # of as many reals as the subject's own
            rows += [
                Carried(_THIS, name, _THIS, threshold, test[name], made[name]),
                Carried(name, _THIS, _THIS, theirs, real, fake),
                Carried(name, name, _THIS, theirs, test[name], made[name]),
                Carried(_THIS, _THIS, name, threshold, real, generated[name]),
            ]
        crossed = [row for row in rows if row.fitted != row.judge]
        strayed = max(crossed, key=lambda row: abs(row.fpr - self.fpr))
        foreign = min((row for row in rows if row.maker != _THIS), key=lambda row: row.tpr)
        return [
            carried_table(rows),
            Note(text=(
                f"Worst pair of subjects: the threshold of {strayed.fitted} on the scores of {strayed.judge} calls "
                f"{strayed.fpr:.3g} of test reals generated, where {self.fpr:g} was promised. Fewest caught of another "
                f"generator: {foreign.tpr:.3g} of the samples of {foreign.maker}; of this generator's it is "
                f"{rows[0].tpr:.3g}. Raw scores of two discriminators share no scale: with every change of the "
                "discriminator a threshold is to be fitted anew. All samples are of one seed, and intervals are for "
                "one row each."
            )),
        ]  # fmt: skip

    def _reading(self, found: _Judged, threshold: float) -> str:
        rates = [float((scores < threshold).double().mean()) for scores in found.real]
        caught = [float((scores < threshold).double().mean()) for scores in found.fake]
        high = max(range(1, len(rates)), key=lambda i: abs(rates[i] - self.fpr))
        low = max(range(1, len(caught)), key=lambda i: caught[0] - caught[i])
        return (
            f"The threshold promises that {self.fpr:g} of untouched reals are called generated; of the test reals it "
            f"is {rates[0]:.3g}. Farthest off: {rates[high]:.3g} under {found.conditions[high].words}. Of generated "
            f"samples {caught[0]:.3g} are caught untouched, {caught[low]:.3g} under {found.conditions[low].words}."
        )


def _conditions(x: Tensor) -> list[_Condition]:
    table = CORRUPTIONS["waveforms" if x.ndim == 3 else "images"]
    found = [_Condition("", "", _UNTOUCHED, None)]
    for name in applicable(x):
        amounts = table[name].amounts
        found += [_Condition(name, level, table[name].title, amounts[level]) for level in LEVELS]
    return found


def _scores(
    view: View,
    side: str,
    rows: Sequence[int],
    conditions: list[_Condition],
    refused: dict[int, str],
    rng: np.random.Generator,
) -> dict[int, Tensor]:
    """Return the scores of ``rows`` by condition, of calibration reals under the middle levels only.

    Untouched ones are evidence already. Conditions that the discriminator has no score for go to ``refused``: one that
    divides by a spread, say, has none for a black image, and the audit need not end for that.
    """
    subject = view.subject
    low, high = subject.sample.low, subject.sample.high
    parts: dict[int, list[Tensor]] = {
        i: [] for i, one in enumerate(conditions) if i and (side != "calibration" or one.level == _MIDDLE)
    }
    for x, labels in portions(view, side, list(rows)):
        clean = x.clamp(low, high)  # a generator may overshoot, a file cannot
        for i, found in parts.items():
            if i not in refused:
                damaged = corrupt(clean, conditions[i].name, conditions[i].level, rng, low, high)
                try:
                    found.append(judged(subject, damaged, labels))
                except SubjectError as error:
                    refused[i] = str(error)
    untouched = view[f"scores/{side}"][torch.tensor(list(rows))]
    return {0: untouched, **{i: torch.cat(found) for i, found in parts.items() if i not in refused}}


def _by_damage(found: _Judged, threshold: float) -> Table:
    """Return one row for each condition, those with the highest false positive rate first."""
    rows: list[list[str | int | float | None]] = []
    for condition, real, fake in zip(found.conditions, found.real, found.fake, strict=True):
        below, caught = int((real < threshold).sum()), int((fake < threshold).sum())
        fpr, tpr = below / len(real), caught / len(fake)
        bounds = clopper_pearson(below, len(real), 0.95)
        rows.append([
            condition.title, condition.level, condition.amount, fpr, bounds.low, bounds.high, tpr,
            (1 - fpr + tpr) / 2, auc(real, fake).value,
        ])  # fmt: skip
    columns = ["condition", "level", "amount", "FPR", "FPR low", "FPR high", "TPR", "balanced accuracy", "AUC"]
    return Table(title="Threshold of untouched reals, by condition", columns=columns, rows=rows)


def _over_levels(found: _Judged, threshold: float, promised: float) -> Curve:
    rates = [float((scores < threshold).double().mean()) for scores in found.real]
    series = []
    for title in dict.fromkeys(condition.title for condition in found.conditions[1:]):
        mine = [rates[i] for i, condition in enumerate(found.conditions) if condition.title == title]
        series.append(Series(name=title, x=[float(i) for i in range(len(mine) + 1)], y=[rates[0], *mine]))
    return Curve(
        title="Reals called generated, by damage",
        x=Axis(title=f"level: 0 untouched, 1 to {len(LEVELS)} {', '.join(LEVELS)}"),
        y=Axis(title="false positive rate"),
        series=series,
        rules=[Rule(at=promised, label="promised", orient="y")],
        points=True,
    )


def _method(found: _Judged) -> str:
    table = CORRUPTIONS["images" if any(one.name == "blur" for one in found.conditions) else "waveforms"]
    units = "; ".join(f"{table[name].title}: {table[name].unit}" for name in dict.fromkeys(
        one.name for one in found.conditions[1:]
    ))  # fmt: skip
    left_out = "".join(f" Left out: {name} ({reason})." for name, reason in found.refused.items())
    return (
        "Intervals in the table are for one row each; those of the numbers above hold for all damages together. "
        "Generated samples are clipped to the range before they are damaged, as a file would clip them; the untouched "
        f"row is as generated. Amounts are in these units. {units}.{left_out}"
    )


def _interval(bounds: Bounds, method: str, covers: str) -> Interval:
    return Interval(low=bounds.low, high=bounds.high, level=0.95, method=method, covers=covers)
