"""Whether a simple learned detector can tell generated samples from real ones that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import (
    Axis,
    Detail,
    Histogram,
    HistogramSeries,
    Interval,
    Measurement,
    Note,
    Null,
    Rule,
    Table,
)
from ganaudit.document.spec import EvaluatorSpec, Exhibit, Findings, MeasurementSpec, NotAssessable
from ganaudit.document.standing import against_null
from ganaudit.evidence.coarsened import Sides, coarsened
from ganaudit.evidence.handing import filed
from ganaudit.evidence.judging import chosen, portions
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import whole
from ganaudit.numerics.convolutional import convolutional_probe
from ganaudit.numerics.intervals import Bounds
from ganaudit.numerics.probe import ACCURACIES, Probe, chance_words, critical_accuracy, power, probe, size_needed

__all__ = ["TwoSampleTest"]

_TARGET, _CHANCE = 0.55, 0.8
_BINS, _SHOWN = 40, 16
_NEED = "needs {} samples on each side, 2 for each of {} folds; there are {} and {}"
_BLIND = (
    "The probe draws one flat boundary through the features. It cannot see what the extractor drops, nor differences "
    "that leave both sides on both sides of every flat boundary: a variance that is too small around the right mean, "
    "missing kinds in the middle of others, copies of one sample or of the training reals."
)
_SHORT_SIGHTED = (
    "The network is small and learns for seconds: what it misses may be plain to a larger one. It sees every value as "
    "a file would hold it, so it also finds what no eye would, such as traces of upsampling, or that one side was once "
    "a JPEG. Copies of one sample or of the training reals it cannot see."
)
_SPLIT = "fitted to half of each side, asked about the other half, as many reals as generated"


@dataclass(frozen=True, slots=True)
class _Words:
    """What is told of a detector."""

    name: str
    estimator: str
    convention: str
    blind: str


_WORDS = {
    "probe": _Words(
        "probe",
        f"logistic regression, L2 penalty, C = 1/D, features standardised; {_SPLIT}",
        "logistic regression, C = 1/D",
        _BLIND,
    ),
    "cnn": _Words(
        "network",
        f"convolutional network of 4 layers on samples as stored, 100 AdamW steps of 64; {_SPLIT}",
        "convolutional network, 4 layers, 100 steps of 64",
        _SHORT_SIGHTED,
    ),
}


@dataclass(frozen=True, slots=True)
class TwoSampleTest:
    """A classifier two-sample test by logistic regression on features, or by a small network on the samples."""

    folds: int = 5
    """Detectors that are fitted so that every sample has a score from one that has not seen it."""
    most: int = 5000
    """Samples of each side; more are drawn down to as many."""
    detector: Literal["probe", "cnn"] = "probe"
    """probe: logistic regression on features. cnn: a small convolutional network on images or waveforms themselves, for
    what features drop; both sides are first rounded to the levels of a file (8 bits, sound 16). With 5 folds it takes
    about 8 s of one core for 1,000 + 1,000 images of 32 x 32 and as much for the null; more samples add little."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="two-sample-test",
        title="Learned two-sample test",
        question="Can a simple detector, fitted anew, tell generated samples from reals it has not seen?",
        needs=("features/real", "features/fake", "features/null-real", "features/null-fake"),
        wants=("values/real", "values/fake", "values/null-real", "values/null-fake"),
        minimum={"features/real": 4, "features/fake": 4},
        measurements=(
            MeasurementSpec(
                key="accuracy",
                title="Held-out accuracy",
                meaning="Share of unseen samples that the detector names rightly; 0.5 cannot be told apart, 1 always.",
                unit="share of samples",
                better="target",
                target=0.5,
                bounds=(0.0, 1.0),
                estimator=_WORDS["probe"].estimator,
            ),
            MeasurementSpec(
                key="p-value",
                title="p-value of the held-out accuracy",
                meaning="How often chance names as many rightly if the two sides are of one law: small means not.",
                unit="probability",
                better="none",
                bounds=(0.0, 1.0),
                interval=False,
                estimator="hypergeometric given how many are called real (Fisher's exact test, one-sided); exact at "
                "any n",
            ),
            MeasurementSpec(
                key="auc",
                title="Area under the ROC curve of the detector",
                meaning="Chance that a real sample gets a higher score than a generated one; 0.5 cannot be told apart.",
                unit="probability",
                better="target",
                target=0.5,
                bounds=(0.0, 1.0),
                estimator="Mann-Whitney on the held-out samples of both sides, ties count half",
            ),
            MeasurementSpec(
                key="power",
                title=f"Power against an accuracy of {_TARGET:g}",
                meaning="Chance that this test, at this n, finds a detector whose true accuracy is 0.55.",
                unit="probability",
                better="higher",
                bounds=(0.0, 1.0),
                interval=False,
                estimator="binomial test at 5 %, exact, held-out samples of both sides",
            ),
        ),
        misleads=(
            f"{_BLIND} {_SHORT_SIGHTED} An accuracy near 0.5 means that this detector found nothing with so few "
            "samples: read the power. A small p-value says that the two sides differ, not by how much: with enough "
            "samples every generator differs, and so do reals of two sources that were stored in different ways."
        ),
        references=(
            "Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, 2017, arXiv:1610.06545",
            "Fisher, The Design of Experiments, 1935 (exact test)",
        ),
    )

    def __post_init__(self) -> None:
        if self.detector not in _WORDS:
            raise ValueError(f"detector: found {self.detector!r}; allowed: {', '.join(_WORDS)}")
        whole(self.folds, "folds", 2)
        if self.most < 2 * self.folds:
            raise ValueError(f"most: found {self.most}; allowed: {2 * self.folds} or more, twice folds")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return accuracy, p-value, area and power with what reals against reals give, and the plainest cases."""
        found = self._found(view, "real", "fake", rng)
        null, why = self._null(view, rng)
        words = _WORDS[self.detector]
        measurements = self._measured(found, null, why, view.null_rule)
        details: list[Detail] = [
            Note(text=_reading(found, measurements)),
            _scores(found, words.name),
            _powers(found),
            *self._coarsened(view, found, null, rng),
            Note(text=words.blind),
        ]
        conventions = {"detector": words.convention}
        return Findings(measurements, details, conventions=conventions, exhibits=_exhibits(found, words.name))

    def _found(self, view: View, real: str, fake: str, rng: np.random.Generator) -> Probe:
        """Return the test of two sides; raises NotAssessable where there is nothing to ask, or too little."""
        if self.detector == "cnn":
            return self._by_network(view, real, fake, rng)
        sides = view[f"features/{real}"], view[f"features/{fake}"]
        self._check_sizes(len(sides[0]), len(sides[1]))
        return probe(*sides, rng, self.folds, self.most)

    def _by_network(self, view: View, real: str, fake: str, rng: np.random.Generator) -> Probe:
        for side in (real, fake):
            reason = view.missing(f"values/{side}")
            if reason is not None:
                raise NotAssessable(f'detector = "cnn" needs the samples themselves: {reason}; "probe" needs features')
        sizes = {side: view.count(f"values/{side}") for side in (real, fake)}
        self._check_sizes(sizes[real], sizes[fake])
        n = min(*sizes.values(), self.most)
        rows = {side: chosen(view, side, size, n, rng) for side, size in sizes.items()}
        reals, fakes = (_as_filed(view, side, rows[side]) for side in (real, fake))
        found = convolutional_probe(reals, fakes, rng, self.folds, n)
        real_rows, fake_rows = (torch.tensor(rows[side]) for side in (real, fake))
        return replace(found, real_rows=real_rows[found.real_rows], fake_rows=fake_rows[found.fake_rows])

    def _coarsened(self, view: View, found: Probe, null: Probe | None, rng: np.random.Generator) -> list[Detail]:
        """Return the test of a network again with less in the samples; after all else, so that it moves no number."""
        if self.detector != "cnn":
            return []
        sides = _sides(view, found, "real", "fake")
        return coarsened(sides, None if null is None else _sides(view, null, "null-real", "null-fake"), rng)

    def _check_sizes(self, reals: int, fakes: int) -> None:
        if min(reals, fakes) < 2 * self.folds:
            raise NotAssessable(_NEED.format(2 * self.folds, self.folds, reals, fakes))

    def _null(self, view: View, rng: np.random.Generator) -> tuple[Probe | None, str | None]:
        if view.missing("features/null-fake") is not None:
            return None, view.null_rule
        try:
            return self._found(view, "null-real", "null-fake", rng), None
        except NotAssessable as answer:
            return None, str(answer)

    def _measured(self, found: Probe, null: Probe | None, why: str | None, rule: str) -> list[Measurement]:
        held, sizes = found.held_out, _sizes(found)
        half = dict.fromkeys(sizes, held.n // 2)
        nulls: Mapping[str, Null] = {} if null is None else _nulls(null, rule)
        flat = "follows from n alone"
        return [
            self.spec.measurement(
                "accuracy", held.accuracy, half, null=nulls.get("accuracy"), null_reason=why,
                estimator=_WORDS[self.detector].estimator,
                interval=_interval(held.bounds, "Clopper-Pearson",
                                   "the drawing of held-out samples, for this one detector; not its fitting"),
            ),
            self.spec.measurement(
                "p-value", held.p_value, half, null=nulls.get("p-value"), null_reason=why,
                interval_reason="it is exact for this split; another split gives another",
            ),
            self.spec.measurement(
                "auc", held.auc.value, half, null=nulls.get("auc"), null_reason=why,
                interval=_interval(held.auc.interval(0.95), "DeLong, logit scale",
                                   "the drawing of held-out samples, for this one detector; not its fitting"),
            ),
            self.spec.measurement("power", power(_TARGET, held.n), half, interval_reason=flat, null_reason=flat),
        ]  # fmt: skip


def _sizes(found: Probe) -> dict[str, int]:
    return {"real": len(found.real_scores), "fake": len(found.fake_scores)}


def _nulls(null: Probe, rule: str) -> dict[str, Null]:
    held = null.held_out
    area = held.auc.interval(0.95)
    return {
        "accuracy": Null(
            value=held.accuracy,
            low=held.bounds.low,
            high=held.bounds.high,
            n=held.n // 2,
            rule=f"{rule}, half held out",
        ),
        "p-value": Null(value=held.p_value, n=held.n // 2, rule=f"{rule}, half held out"),
        "auc": Null(value=held.auc.value, low=area.low, high=area.high, n=held.n // 2, rule=f"{rule}, half held out"),
    }


def _interval(bounds: Bounds, method: str, covers: str) -> Interval:
    return Interval(low=bounds.low, high=bounds.high, level=0.95, method=method, covers=covers)


def _reading(found: Probe, measurements: list[Measurement]) -> str:
    """Return what the test says, and what it could have found."""
    held = found.held_out
    says = (
        f"{held.correct} of {held.n} held-out samples are named rightly; chance alone names as many with probability "
        f"{chance_words(held.p_value)}"
    )
    says += ": the two sides differ." if held.p_value <= 0.05 else ", so this test finds no difference."
    needed, chance = size_needed(_TARGET, _CHANCE), power(_TARGET, held.n)
    could_find = "more than 0.99" if chance > 0.99 else f"{chance:.2g}"
    could = (
        f"At 5 % it finds a detector of true accuracy {_TARGET:g} with a chance of {could_find}; for "
        f"{_CHANCE:.0%} it takes {needed} held-out samples, {2 * needed} in all."
    )
    against = against_null(measurements[0], "The held-out accuracy", "reals")
    return " ".join(part for part in (says, could, against) if part is not None)


def _powers(found: Probe) -> Table:
    n = found.held_out.n
    rows: list[list[str | int | float | None]] = [
        [accuracy, found.held_out.power[accuracy], size_needed(accuracy, _CHANCE)] for accuracy in ACCURACIES
    ]
    return Table(
        title=f"What {n} held-out samples can find at 5 % (accuracy above {critical_accuracy(n):.4g})",
        columns=["true accuracy", "chance to find it", f"held-out samples for {_CHANCE:.0%}"],
        rows=rows,
    )


def _sides(view: View, found: Probe, real: str, fake: str) -> Sides:
    reals, fakes = (_as_filed(view, side, rows.tolist()) for side, rows in
                    ((real, found.real_rows), (fake, found.fake_rows)))  # fmt: skip
    return Sides(reals, fakes, found.held_out)


def _as_filed(view: View, side: str, rows: list[int]) -> Tensor:
    """Return samples as the levels of a file: reals are rounded already, and would be known by that alone."""
    sample = view.subject.sample
    return torch.cat([filed(x, sample.low, sample.high) for x, _ in portions(view, side, rows)])


def _scores(found: Probe, name: str) -> Histogram:
    both = torch.cat([found.real_scores, found.fake_scores])
    # A few far scores would squeeze all others into one bin; they are counted in the outermost.
    low, high = (float(q) for q in torch.from_numpy(np.quantile(both.numpy(), [0.005, 0.995])))
    if high <= low:
        high = low + max(abs(low), 1.0) * 1e-6
    edges = np.linspace(low, high, _BINS + 1)
    return Histogram(
        title=f"Scores of the {name}, each by a detector that has not seen the sample",
        x=Axis(title="log-odds of being real; outermost bins hold what lies beyond"),
        edges=edges.tolist(),
        series=[
            HistogramSeries(
                name=name, shares=(np.histogram(scores.clamp(low, high).numpy(), edges)[0] / len(scores)).tolist()
            )
            for name, scores in (("reals", found.real_scores), ("generated", found.fake_scores))
        ],
        rules=[Rule(at=0.0, label="named real above")],
    )


def _exhibits(found: Probe, name: str) -> list[Exhibit]:
    count = min(_SHOWN, len(found.fake_scores))
    shown = []
    for title, rule, largest in (
        (f"Generated samples that the {name} is most sure are generated", "lowest", False),
        (f"Generated samples that pass best for real with the {name}", "highest", True),
    ):
        order = torch.argsort(found.fake_scores, descending=largest, stable=True)[:count]
        shown.append(
            Exhibit(
                title=title,
                rule=f"the {count} of {len(found.fake_scores)} with the {rule} cross-fitted score",
                side="fake",
                indices=found.fake_rows[order].tolist(),
                captions=[f"log-odds {float(found.fake_scores[i]):.3g}" for i in order],
            )
        )
    return shown
