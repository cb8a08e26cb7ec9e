"""Whether generated samples are confidently classed and evenly spread over classes, as the inception score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

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
    Table,
)
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec
from ganaudit.document.standing import against_null
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import whole
from ganaudit.numerics.entropy import (
    STUDENT_FROM,
    ClassEntropies,
    EntropyEstimate,
    InceptionEstimate,
    class_entropies,
    class_shares,
    inception_score,
)

__all__ = ["InceptionScore"]

_SHOWN = 20
_PEER_SEED = 2020
_LEAST = 3  # samples: with fewer no jackknife can leave one out
_ENDLESS = "the drawing of generated samples, for the value of endless samples; not the training of the generator"
_ROUNDING = 1e-6  # features and logits are float32: a smaller error is that of the arithmetic
_UNSEEN = (
    "the samples are equal in their class probabilities, or every one counts the same: leaving any out changes the "
    "number by rounding at most, so how it scatters cannot be seen"
)
_JACKKNIFE = "normal, standard error by the delete-one jackknife with the second-order correction added"
_CORRECTED = (
    "plus sum_c Var(p_c)/(2 n mean p_c) for the bias in 1/n, and the jackknife's correction in 1/n^2; kept within the "
    "possible values"
)


_Ends: TypeAlias = tuple[float, float, float]
"""A value and the ends of its 95 % interval."""


@dataclass(frozen=True, slots=True)
class InceptionScore:
    """exp of the mean divergence of a sample's class law from the mean class law, and the entropy of the latter."""

    splits: int = 10
    order: Literal["random", "as-given", "torch-fidelity"] = "random"
    """How samples are put into splits: by the audit's seed, as they come, or by torch-fidelity's fixed permutation."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="inception-score",
        title="Inception score",
        question="Does the classifier see clear classes, and all of them?",
        needs=("logits/fake", "logits/real", "logits/null-fake"),
        minimum={"logits/fake": 20},
        measurements=(
            MeasurementSpec(
                key="is",
                title="Inception score",
                meaning="Effective number of distinct classes; from 1 to the number of classes of the extractor.",
                unit="classes",
                better="higher",
                bounds=(1.0, None),
                estimator=(
                    "mean over splits of exp(E_x KL(p(y|x) || p(y))), p(y) from the same split; split i from "
                    "i*n//splits; float64 softmax of logits (without bias where the network has them so); biased "
                    "downwards with n, most at few samples per split"
                ),
            ),
            MeasurementSpec(
                key="is-corrected",
                title="Inception score, bias removed",
                meaning="The score to be expected with endless samples, so values at different n can be compared.",
                unit="classes",
                better="higher",
                bounds=(1.0, None),
                estimator=f"exp(H(mean p) - mean H(p)) of all samples together, no splits; its logarithm {_CORRECTED}",
            ),
            MeasurementSpec(
                key="class-entropy",
                title="Class entropy",
                meaning="How evenly generated samples spread over the classes; log C when all are equally frequent.",
                unit="nats",
                better="higher",
                bounds=(0.0, None),
                estimator=f"H(mean p), natural logarithm, {_CORRECTED}",
            ),
            MeasurementSpec(
                key="class-entropy-share",
                title="Class entropy, share of its maximum",
                meaning="The class entropy over log C: 1 when all classes are equally frequent, 0 when one is all.",
                unit="share of log C",
                better="higher",
                bounds=(0.0, 1.0),
                estimator="class-entropy / log C for the C classes of the extractor",
            ),
        ),
        misleads=(
            "It never looks at real samples: a generator that makes one perfect picture per class scores best. It "
            "means what its classifier means, and only on images like those the classifier knows. Where the reals' "
            "classes are not equally frequent, a class entropy above that of the null is no merit."
        ),
        references=(
            "Salimans et al., Improved Techniques for Training GANs, 2016, arXiv:1606.03498",
            "Barratt and Sharma, A Note on the Inception Score, 2018, arXiv:1801.01973",
            "Miller, Note on the Bias of Information Estimates, 1955",
        ),
    )

    def __post_init__(self) -> None:
        whole(self.splits, "splits", 1)
        if self.order not in ("random", "as-given", "torch-fidelity"):
            raise ValueError(f"order: found {self.order!r}; allowed: random, as-given, torch-fidelity")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return the scores and class entropies of generated samples, those of reals as nulls, and class shares."""
        fake, real = view["logits/fake"], view["logits/real"]
        score, entropies = self._score(fake, rng), class_entropies(fake)
        values = _values(score, entropies, fake.shape[1])
        nulls, why = self._nulls(view, rng)
        measurements = [
            self._measurement(
                m.key, values.get(m.key), _interval(m.key, score, values, len(fake)), nulls, why, len(fake)
            )
            for m in self.spec.measurements
        ]
        details = [_in_words(measurements), _published(score), *_shares(view, real, fake)]
        return Findings(measurements, details, warnings=_few(entropies.information, fake))

    def _score(self, logits: Tensor, rng: np.random.Generator) -> InceptionEstimate:
        n = len(logits)
        order = rng.permutation(n)
        if self.order == "torch-fidelity":
            order = np.random.RandomState(_PEER_SEED).permutation(n)
        elif self.order == "as-given":
            order = np.arange(n)
        return inception_score(logits, _usable(self.splits, n), torch.from_numpy(order))

    def _measurement(
        self,
        key: str,
        ends: _Ends | None,
        interval: Interval | None,
        nulls: Mapping[str, Null],
        why: str | None,
        n: int,
    ) -> Measurement:
        if ends is None:
            reason = "the extractor knows 1 class; a share of the greatest entropy needs 2 or more"
            return self.spec.measurement(key, None, {"fake": n}, reason=reason)
        return self.spec.measurement(
            key,
            ends[0],
            {"fake": n},
            interval=interval,
            interval_reason=None if interval else _UNSEEN,
            null=nulls.get(key),
            null_reason=why,
        )

    def _nulls(self, view: View, rng: np.random.Generator) -> tuple[dict[str, Null], str | None]:
        """Return the same values of reals in place of generated samples, or why there are none."""
        if view.missing("logits/null-fake") is not None:
            return {}, view.null_rule
        logits = view["logits/null-fake"]
        n = len(logits)
        if n < _LEAST:
            return {}, f"needs {_LEAST} reals in place of generated samples ({view.null_rule})"
        values = _values(self._score(logits, rng), class_entropies(logits), logits.shape[1])
        rule = f"the value of {n} reals in place of generated samples ({view.null_rule})"
        return {k: _null(ends, n, rule) for k, ends in values.items()}, None


def _usable(splits: int, n: int) -> int:
    """Return the splits that ``n`` samples suffice for: 2 samples in each, 3 where a jackknife must tell the error."""
    usable = min(splits, n // 2)
    return usable if usable >= STUDENT_FROM else max(1, min(splits, n // 3))


def _null(ends: _Ends, n: int, rule: str) -> Null:
    value, low, high = ends
    if not _scatters(ends):
        return Null(value=value, n=n, rule=rule)
    return Null(value=value, low=low, high=high, n=n, rule=rule)


def _scatters(ends: _Ends) -> bool:
    """Return whether the samples show how a value scatters: copies of one sample show nothing, not certainty."""
    value, low, high = ends
    return high - low > _ROUNDING * max(1.0, abs(value))


def _values(score: InceptionEstimate, entropies: ClassEntropies, classes: int) -> dict[str, _Ends]:
    bounds, most = score.interval(0.95), math.log(classes)
    information, marginal = _within(entropies.information, most), _within(entropies.marginal, most)
    values = {
        "is": (score.value, bounds.low, bounds.high),
        "is-corrected": (math.exp(information[0]), math.exp(information[1]), math.exp(information[2])),
        "class-entropy": marginal,
    }
    if classes > 1:
        values["class-entropy-share"] = (marginal[0] / most, marginal[1] / most, marginal[2] / most)
    return values


def _interval(key: str, score: InceptionEstimate, values: Mapping[str, _Ends], n: int) -> Interval | None:
    if key not in values or not _scatters(values[key]):
        return None
    _, low, high = values[key]
    splits, method, covers = len(score.scores), _JACKKNIFE, _ENDLESS
    if key == "is":
        method = f"Student t over {splits} splits" if score.by_splits else "normal, standard error by the jackknife"
        covers = (
            f"the drawing of generated samples, for the expected score at {n // splits} samples per split: the bias of "
            "so few is in both; not the training of the generator"
        )
    return Interval(low=low, high=high, level=0.95, method=method, covers=covers)


def _within(found: EntropyEstimate, most: float) -> _Ends:
    value, bounds = found.within(most, 0.95)
    return value, bounds.low, bounds.high


def _in_words(measurements: list[Measurement]) -> Note:
    """Return how scores and entropy stand against those of reals."""
    by_key = {m.key: m for m in measurements}
    score = by_key["is"]
    if score.null is None:
        return Note(text=f"The score is {score.value:.4g}; without a null nothing says what reals would show here.")
    names = {"is": "The score", "is-corrected": "The score without its bias", "class-entropy": "The class entropy"}
    unlike = []
    if score.null.n != score.n:
        del names["is"]
        unlike = [
            f"The score is {score.value:.4g}, that of {score.null.n} reals {score.null.value:.4g}: with n the bias "
            "differs, so these two say nothing of each other."
        ]
    told = [against_null(by_key[key], named, "reals in place of generated samples") for key, named in names.items()]
    return Note(text=" ".join([*unlike, *(line for line in told if line is not None)]))


def _published(score: InceptionEstimate) -> Note:
    splits = len(score.scores)
    return Note(
        text=f"As published: {score.value:.4f} ± {score.spread:.4f}. The second number is the standard deviation over "
        f"{splits} splits (divisor {splits}); it is no standard error and no interval."
    )


def _few(information: EntropyEstimate, logits: Tensor) -> list[str]:
    moved = abs(information.second_order)
    error = math.sqrt(max(0.0, information.standard_error**2 - moved**2))
    if moved <= error:
        return []
    return [
        f"{len(logits)} samples are few for the classes they reach ({logits.shape[1]} in all): is-corrected and "
        "class-entropy may still lie too low, and their intervals are widened for it"
    ]


def _shares(view: View, real: Tensor, fake: Tensor) -> list[Detail]:
    real_shares, fake_shares = class_shares(real), class_shares(fake)
    names = view.classes or tuple(str(i) for i in range(len(fake_shares)))
    # A thousand classes are no picture: the most frequent ones are shown, by their larger share.
    largest = torch.maximum(real_shares, fake_shares)
    shown = sorted(torch.argsort(largest, descending=True, stable=True)[:_SHOWN].tolist())
    labels = [names[i] for i in shown]
    histogram = Histogram(
        title="Share of each class, by the classifier",
        x=Axis(title="class"),
        labels=labels,
        series=[
            HistogramSeries(name="real", shares=[float(real_shares[i]) for i in shown]),
            HistogramSeries(name="generated", shares=[float(fake_shares[i]) for i in shown]),
        ],
    )
    table = Table(
        title="Share of each class, by the classifier",
        columns=["class", "real", "generated"],
        rows=[[names[i], round(float(real_shares[i]), 4), round(float(fake_shares[i]), 4)] for i in shown],
    )
    return [histogram, table]
