"""How many distinct samples a generated set is worth, and how many of its samples are copies of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Axis, Curve, Detail, Interval, Measurement, Note, Null, Series, Table
from ganaudit.document.spec import EvaluatorSpec, Exhibit, Findings, MeasurementSpec
from ganaudit.document.standing import against_null
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.intervals import Bounds, wilson
from ganaudit.numerics.neighbours import Duplicates, duplicate_rate
from ganaudit.numerics.sweep import Distinct, distinct
from ganaudit.numerics.vendi import VendiEstimate, effective_number, vendi

__all__ = ["Diversity"]

_ORDERS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_GROUPS, _OF_EACH, _LISTED = 8, 2, 10
_SHARE = "share of samples"
_FEWEST = 5  # samples: a jackknife of fewer leaves next to nothing to scatter
_ROUNDING = 1e-6  # features are float32: a smaller error of the logarithm is that of the arithmetic
_NOT_TRAINING = "not the training of the generator"


@dataclass(frozen=True, slots=True)
class _Side:
    """What is found of one set of samples; ``near`` with another set as its measure."""

    spectrum: VendiEstimate
    distinct: Distinct
    near: Duplicates

    @property
    def copied(self) -> float:
        """Share of samples with an exact copy among the others."""
        return int((self.distinct.spread(self.distinct.copies) > 1).sum()) / self.n

    @property
    def n(self) -> int:
        return int(self.distinct.copies.sum())


@dataclass(frozen=True, slots=True)
class Diversity:
    """The Vendi score of features and the shares of exact and near copies."""

    near: float = 0.01
    """Share of reals that are near copies of another real by the distance used: it sets that distance."""
    most: int = 10_000
    """Samples of each side among which near copies are looked for; more are drawn down to as many."""
    most_for_vendi: int = 4096
    """Samples that the Vendi score takes where there are more, and more features too; its cost is their cube."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="diversity",
        title="Diversity and copies",
        question="How many distinct samples are there, and does the generator repeat itself?",
        needs=("features/real", "features/fake", "features/null-real", "features/null-fake"),
        minimum={"features/real": 2, "features/fake": 2},
        measurements=(
            MeasurementSpec(
                key="vendi",
                title="Vendi score",
                meaning="Effective number of distinct samples: 1 when all are alike, n when they share nothing.",
                unit="samples",
                better="higher",
                bounds=(1.0, None),
                estimator=(
                    "exp of the Shannon entropy of the eigenvalues of K/n, K the cosine similarity of features (rows "
                    "of length 1, not centred); float64; strongly biased downwards with n, so it compares at equal n "
                    "only"
                ),
            ),
            MeasurementSpec(
                key="duplicate-rate",
                title="Exact copies",
                meaning="Share of generated samples whose features another generated sample has too, number by number.",
                unit=_SHARE,
                better="lower",
                bounds=(0.0, 1.0),
                estimator="samples in groups of two or more, all counted, over n; grows with n where copies are drawn",
            ),
            MeasurementSpec(
                key="near-duplicate-rate",
                title="Near copies",
                meaning="Share of generated samples as close to another one as only a few reals are to another real.",
                unit=_SHARE,
                better="lower",
                bounds=(0.0, 1.0),
                estimator=(
                    "Euclidean distance to the nearest other sample of the same side, at most the quantile `near` of "
                    "that of reals; as many reals as generated samples; exact copies included"
                ),
            ),
        ),
        misleads=(
            "The Vendi score counts directions of features, wanted or not: noise raises it above that of reals, and it "
            "sees no length. Of non-negative features all cosines are high and it is small. Copies are judged by "
            "features: an extractor that drops what two images differ in calls them copies. Copies of real samples "
            "are not counted here."
        ),
        references=(
            "Friedman and Dieng, The Vendi Score: A Diversity Evaluation Metric for Machine Learning, 2023, "
            "arXiv:2210.02410",
            "Pasarkar and Dieng, Cousins of the Vendi Score, 2023, arXiv:2310.12952",
        ),
    )

    def __post_init__(self) -> None:
        proportion(self.near, "near")
        whole(self.most, "most", 2)
        whole(self.most_for_vendi, "most_for_vendi", 2)

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return the score and both shares with intervals and nulls, the score over its order, and groups of copies."""
        found = self._side(view["features/fake"], view["features/real"], view, rng)
        null, why = self._null(view, rng)
        nulls = {} if null is None else _nulls(null, view)
        values, sizes, intervals = _values(found), _sizes(found), _intervals(found)
        measurements = [
            self.spec.measurement(
                key,
                values[key],
                {"fake": sizes[key]},
                interval=intervals.get(key),
                interval_reason=None if key in intervals else _unseen(found),
                null=nulls.get(key),
                null_reason=why,
            )
            for key in values
        ]
        details: list[Detail] = [_in_words(measurements), _over_order(found, null), _threshold(found.near)]
        groups = _groups(found.distinct)
        if groups:
            details.append(_table(groups))
        return Findings(
            measurements, details, conventions={"similarity": "cosine"}, exhibits=[_exhibit(groups)] if groups else []
        )

    def _side(self, samples: Tensor, measure: Tensor, view: View, rng: np.random.Generator) -> _Side:
        chosen = samples
        if min(samples.shape) > self.most_for_vendi:
            chosen = _drawn(samples, self.most_for_vendi, rng)
        common = min(len(samples), len(measure), self.most)
        # Files are often sorted by class: the first of them would not stand for all.
        near = duplicate_rate(
            _drawn(samples, common, rng), _drawn(measure, common, rng), share=self.near, world=view.world
        )
        return _Side(vendi(chosen, rng, view.world), distinct(samples), near)

    def _null(self, view: View, rng: np.random.Generator) -> tuple[_Side | None, str | None]:
        if view.missing("features/null-fake") is not None:
            return None, view.null_rule
        real, stand_in = view["features/null-real"], view["features/null-fake"]
        if min(len(real), len(stand_in)) < 2:
            return None, f"needs 2 reals on each side ({view.null_rule})"
        return self._side(stand_in, real, view, rng), None


def _drawn(samples: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    if count >= len(samples):
        return samples
    rows = torch.from_numpy(np.sort(rng.permutation(len(samples))[:count]))
    return samples[rows.to(samples.device)]


def _values(found: _Side) -> dict[str, float]:
    assert found.near.near is not None  # a measure was given
    return {
        "vendi": found.spectrum.value,
        "duplicate-rate": found.copied,
        "near-duplicate-rate": found.near.near,
    }


def _sizes(found: _Side) -> dict[str, int]:
    return {"vendi": found.spectrum.n, "duplicate-rate": found.n, "near-duplicate-rate": found.near.n}


def _bounds(found: _Side) -> dict[str, Bounds]:
    values, sizes = _values(found), _sizes(found)
    # Copies come in pairs at least, so n samples are no more than n/2 independent chances of one.
    shares = {
        key: wilson(values[key] * max(1, sizes[key] // 2), max(1, sizes[key] // 2), 0.95)
        for key in ("duplicate-rate", "near-duplicate-rate")
    }
    return shares if _unseen(found) else {"vendi": found.spectrum.interval(0.95), **shares}


def _unseen(found: _Side) -> str | None:
    """Return why nothing tells how the Vendi score scatters."""
    n = found.spectrum.n
    if n < _FEWEST:
        return f"{n} samples are too few to leave any out: how the score scatters is seen from {_FEWEST} on"
    if found.spectrum.log_error <= _ROUNDING:
        return (
            "the samples are all equal in direction, or every one counts the same: leaving any out changes the score "
            "by rounding at most, so how it scatters cannot be seen"
        )
    return None


def _intervals(found: _Side) -> dict[str, Interval]:
    pairs = "Wilson score for n/2 pairs"
    words = {
        "vendi": (
            "normal for the logarithm, standard error by the delete-one jackknife",
            f"the drawing of generated samples, for the expected score at {found.spectrum.n} samples: the bias of so "
            f"few is in both; {_NOT_TRAINING}",
        ),
        "duplicate-rate": (pairs, f"the drawing of generated samples, for the share at this n; {_NOT_TRAINING}"),
        "near-duplicate-rate": (
            pairs,
            f"the drawing of generated samples at this distance; not that of the reals that set it; {_NOT_TRAINING}",
        ),
    }
    return {
        key: Interval(low=b.low, high=b.high, level=0.95, method=words[key][0], covers=words[key][1])
        for key, b in _bounds(found).items()
    }


def _nulls(null: _Side, view: View) -> dict[str, Null]:
    values, sizes, bounds = _values(null), _sizes(null), _bounds(null)
    return {
        key: Null(
            value=values[key],
            low=bounds[key].low if key in bounds else None,
            high=bounds[key].high if key in bounds else None,
            n=sizes[key],
            rule=f"{sizes[key]} reals in place of generated samples ({view.null_rule})",
        )
        for key in values
    }


def _in_words(measurements: list[Measurement]) -> Note:
    """Return how every number stands against that of reals."""
    names = {"vendi": "The Vendi score", "duplicate-rate": "The share of exact copies"}
    names["near-duplicate-rate"] = "The share of near copies"
    score = measurements[0]
    if score.null is None:
        text = f"The Vendi score is {score.value:.4g}; without a null nothing says what reals would show here."
        return Note(text=text)
    unlike = []
    if score.null.n != score.n:
        del names["vendi"]
        unlike = [
            f"The Vendi score is {score.value:.4g}, that of {score.null.n} reals {score.null.value:.4g}: it grows with "
            "n, so these two say nothing of each other."
        ]
    told = [against_null(m, names[m.key], "reals") for m in measurements if m.key in names]
    return Note(text=" ".join([*unlike, *(line for line in told if line is not None)]))


def _over_order(found: _Side, null: _Side | None) -> Curve:
    """Return the effective number by order: rare kinds count at small ones, only frequent kinds at large ones."""
    sides: Mapping[str, _Side | None] = {"generated": found, "null: reals": null}
    series = [
        Series(name=name, x=list(_ORDERS), y=[effective_number(side.spectrum.spectrum, q) for q in _ORDERS])
        for name, side in sides.items()
        if side is not None
    ]
    return Curve(
        title="Effective number of samples by order",
        x=Axis(title="order q: small counts rare kinds, large only frequent ones; the Vendi score is at 1", log=True),
        y=Axis(title="effective number", log=True),
        series=series,
        points=True,
    )


def _threshold(near: Duplicates) -> Note:
    return Note(
        text=f"Near copies lie within {near.threshold:.4g} of another sample (Euclidean distance of features): as near "
        f"as the nearest of reals are to each other. Two sets of {near.n} samples from one law have "
        f"{100 * (near.expected or 0):.3g} % of them on average; exact copies among reals make that distance 0."
    )


def _groups(found: Distinct) -> list[tuple[int, list[int]]]:
    """Return the size of the largest groups of copies and the numbers of the first samples of each."""
    if found.of is None:
        return []
    order = torch.argsort(found.copies, descending=True, stable=True)[:_GROUPS].tolist()
    groups = [(int(found.copies[group]), torch.nonzero(found.of == group)[:_LISTED, 0].tolist()) for group in order]
    return [(count, first) for count, first in groups if count > 1]


def _table(groups: list[tuple[int, list[int]]]) -> Table:
    rows: list[list[str | int | float | None]] = [
        [count, ", ".join(map(str, first)) + (", ..." if count > len(first) else "")] for count, first in groups
    ]
    return Table(title="Largest groups of exact copies", columns=["copies", "sample numbers"], rows=rows)


def _exhibit(groups: list[tuple[int, list[int]]]) -> Exhibit:
    shown = [(index, count) for count, first in groups for index in first[:_OF_EACH]]
    return Exhibit(
        title="Largest groups of exact copies",
        rule=f"the first {_OF_EACH} samples of each of the {len(groups)} largest groups with equal features",
        side="fake",
        indices=[index for index, _ in shown],
        captions=[f"sample {index}, one of {count} copies" for index, count in shown],
    )
