"""Whether generated samples are confidently classed and evenly spread over classes, as the inception score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Axis, Detail, Histogram, HistogramSeries, Interval, Null, Table
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec
from ganaudit.evidence.view import View
from ganaudit.numerics.entropy import class_shares, inception_scores
from ganaudit.numerics.intervals import student

__all__ = ["InceptionScore"]

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class InceptionScore:
    """exp of the mean divergence of a sample's class law from the mean class law."""

    splits: int = 10

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
                    "mean over splits of exp(E_x KL(p(y|x) || p(y))), p(y) from the same split; random order, split "
                    "i from i*n//splits; float64 softmax of logits (without bias where the network has them so); "
                    "biased with n, most at few samples per split"
                ),
            ),
        ),
        misleads=(
            "It never looks at real samples: a generator that makes one perfect picture per class scores best. It "
            "means what its classifier means, and only on images like those the classifier knows."
        ),
        references=("Salimans et al., Improved Techniques for Training GANs, 2016, arXiv:1606.03498",
                    "Barratt and Sharma, A Note on the Inception Score, 2018, arXiv:1801.01973"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.splits < 1:
            raise ValueError("splits must be at least 1")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return the score of generated samples, that of reals as its null, and the class shares of both."""
        fake, real = view["logits/fake"], view["logits/real"]
        scores = self._scores(fake, rng)
        null = self._null(view, rng)
        several = len(scores) > 1
        score = self.spec.measurement(
            "is",
            float(scores.mean()),
            {"fake": len(fake)},
            interval=_interval(scores, len(fake)) if several else None,
            interval_reason=None if several else "one split gives one value, so no spread between splits",
            null=null,
            null_reason=None if null else view.null_rule,
        )
        return Findings([score], _shares(view, real, fake))

    def _scores(self, logits: Tensor, rng: np.random.Generator) -> Tensor:
        splits = min(self.splits, max(1, len(logits) // 2))
        order = torch.from_numpy(rng.permutation(len(logits)))
        return inception_scores(logits, splits, order)

    def _null(self, view: View, rng: np.random.Generator) -> Null | None:
        if view.missing("logits/null-fake") is not None:
            return None
        stand_in = view["logits/null-fake"]
        scores = self._scores(stand_in, rng)
        bounds = _interval(scores, len(stand_in)) if len(scores) > 1 else None
        return Null(
            value=float(scores.mean()),
            low=bounds.low if bounds else None,
            high=bounds.high if bounds else None,
            n=len(stand_in),
            rule=f"the score of {len(stand_in)} reals in place of generated samples ({view.null_rule})",
        )


def _interval(scores: Tensor, n: int) -> Interval:
    bounds = student(scores, 0.95)
    return Interval(
        low=bounds.low,
        high=bounds.high,
        level=0.95,
        method=f"Student t over {len(scores)} splits",
        covers=f"the drawing of generated samples, for the score at {n // len(scores)} samples per split; not the bias "
        "of so few",
    )


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
