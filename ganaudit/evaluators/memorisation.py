"""Whether the generator copies the reals of its training, and whether the discriminator knows them by heart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ganaudit.document.model import Detail, Measurement, Null
from ganaudit.document.spec import EvaluatorSpec, Exhibit, Findings, MeasurementSpec
from ganaudit.evidence.memorised import Column, Estimate, Held, Limits, Memorised, held_reals, memorised
from ganaudit.evidence.memorised_charts import (
    cautions,
    cells_table,
    column_table,
    ratio_histogram,
    verdict,
)
from ganaudit.evidence.memorised_scores import Membership, membership
from ganaudit.evidence.score_sides import interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.detection import calibration_size_needed

__all__ = ["Memorisation"]

_SHARE, _CHANCE = "share of samples", "probability"
_UNIT = (0.0, 1.0)
_PAIRS = 16
_GIVEN = "for these train reals; not the training of the generator"
_FAKES = f"the drawing of generated samples, {_GIVEN}"
_BOTH = f"the drawing of generated samples and of unseen reals, {_GIVEN}"
_INTERVALS: Mapping[str, tuple[str, str]] = {
    "ct": ("DeLong of each cell, logit scale, joined (MOVER)", _BOTH),
    "authenticity": ("Clopper-Pearson", _FAKES),
    "copy-rate": ("Clopper-Pearson", f"{_FAKES}; nor the unseen reals that set the threshold"),
    "exact-copy-rate": ("Clopper-Pearson", _FAKES),
    "distance-auc": ("DeLong, logit scale", _BOTH),
    "identifiability": (
        "Wilson score, Student quantile, scatter between disjoint halves (50 halvings)",
        "the drawing of train reals and of generated samples; not the training of the generator",
    ),
    "reconstruction-auc": (
        "DeLong, logit scale",
        "the drawing of train and of unseen reals, for these generated samples; not the training of the generator",
    ),
    "likelihood-gap": (
        "normal, standard error of two means",
        "the drawing of train and of unseen reals, for the mixture as it stands; not the training of the generator",
    ),
}
_FROM_SCORES = ("membership-auc", "membership-tpr-at-fpr-1pct", "membership-tpr-at-fpr-0.1pct")


@dataclass(frozen=True, slots=True)
class Memorisation:
    """Generated samples, unseen reals and train reals themselves, each held against the train reals."""

    copies: float = 0.01
    """Share of unseen reals that may count as copies of a train real: it sets how near a copy lies."""
    neighbours: int = 5
    """Train reals that the distance to the nearest is compared with, that one included."""
    cells: int = 10
    """Cells of the train reals in which distances are ranked for ``ct``."""
    most: int = 10_000
    """Samples of a set at most, train reals apart; more are drawn down to as many."""
    most_train: int = 50_000
    """Train reals at most; copies of those left out are not seen."""
    most_for_gap: int = 1000
    """Samples of each set for ``likelihood-gap``, whose cost is their square."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="memorisation",
        title="Memorisation of train reals",
        question="Are generated samples copies of train reals, and can reals be told to have been in the training?",
        needs=("features/train", "features/fake"),
        one_of=("features/calibration", "features/test"),
        wants=(
            "features/calibration",
            "features/test",
            "scores/train",
            "scores/calibration",
            "scores/test",
            "scores/fake",
        ),
        minimum={"features/train": 10, "features/fake": 10},
        measurements=(
            MeasurementSpec(
                key="ct",
                title="Data-copying test C_T",
                meaning="Far below 0: generated samples lie nearer to train reals than unseen ones do; above: farther.",
                unit="standard deviations",
                better="target",
                target=0.0,
                estimator=(
                    "mean over cells, weighted by unseen reals, of the Mann-Whitney z of distances to the nearest "
                    "train real, generated against unseen; near N(0, 1/cells) for one law; grows with sqrt(n)"
                ),
            ),
            MeasurementSpec(
                key="authenticity",
                title="Authenticity",
                meaning="Share of generated samples whose nearest train real has a nearer neighbour among train reals.",
                unit=_SHARE,
                better="higher",
                bounds=_UNIT,
                estimator="d(t, train) < d(g, t), t the nearest train real of g; no fixed null: read it beside its own",
            ),
            MeasurementSpec(
                key="membership-auc",
                title="Membership by the discriminator",
                meaning="Chance that a train real scores above an unseen one; 0.5: membership cannot be told.",
                unit=_CHANCE,
                better="lower",
                bounds=_UNIT,
                estimator="Mann-Whitney on raw scores, ties count half",
            ),
            MeasurementSpec(
                key="copy-rate",
                title="Copies",
                meaning="Share of generated samples nearer to a train real, for the density there, than unseen reals.",
                unit=_SHARE,
                better="lower",
                bounds=_UNIT,
                estimator=(
                    "distance to the nearest train real over the mean of the next ones, at or below the conformal "
                    "threshold that a share `copies` of unseen reals reaches"
                ),
            ),
            MeasurementSpec(
                key="exact-copy-rate",
                title="Exact copies",
                meaning="Share of generated samples whose features a train real has too, number by number.",
                unit=_SHARE,
                better="lower",
                bounds=_UNIT,
                estimator="distance to the nearest train real exactly 0, by differences in float64",
            ),
            MeasurementSpec(
                key="distance-auc",
                title="Nearness to train reals",
                meaning="Chance that a generated sample lies nearer to train reals than an unseen one; 0.5 is equal.",
                unit=_CHANCE,
                better="target",
                target=0.5,
                bounds=_UNIT,
                estimator="Mann-Whitney on distances to the nearest train real, ties count half",
            ),
            MeasurementSpec(
                key="identifiability",
                title="Identifiability",
                meaning="Share of train reals with a generated sample nearer than any other train real.",
                unit=_SHARE,
                better="lower",
                bounds=_UNIT,
                estimator="ties count half; n/(n + N - 1) for one law, n generated and N train reals; not weighted",
            ),
            MeasurementSpec(
                key="reconstruction-auc",
                title="Membership by reconstruction",
                meaning="Chance that a train real lies nearer to generated samples than an unseen one; 0.5: untold.",
                unit=_CHANCE,
                better="lower",
                bounds=_UNIT,
                estimator="Mann-Whitney on distances to the nearest of n generated samples, ties count half; black box",
            ),
            MeasurementSpec(
                key="likelihood-gap",
                title="Likelihood gap",
                meaning="How much better a mixture about the generated samples explains train reals than unseen ones.",
                unit="nats per feature",
                better="lower",
                estimator=(
                    "mean log density of train reals less that of unseen ones; normal laws about generated samples, "
                    "their widths fitted to train reals by 20 steps of EM; biased upwards, so read it beside its null"
                ),
            ),
            MeasurementSpec(
                key="membership-tpr-at-fpr-1pct",
                title="Train reals told by the discriminator at 1 % false alarms",
                meaning="Share of train reals scored above all but 1 % of unseen reals; 0.01 is chance.",
                unit=_SHARE,
                better="lower",
                bounds=_UNIT,
                estimator="above the conformal threshold of unseen reals; from 1,000 of them on",
            ),
            MeasurementSpec(
                key="membership-tpr-at-fpr-0.1pct",
                title="Train reals told by the discriminator at 0.1 % false alarms",
                meaning="Share of train reals scored above all but 0.1 % of unseen reals; 0.001 is chance.",
                unit=_SHARE,
                better="lower",
                bounds=_UNIT,
                estimator="above the conformal threshold of unseen reals; from 10,000 of them on",
            ),
        ),
        misleads=(
            "It takes the train split of the reference for what the generator was trained on: where it was not, copies "
            "stay unseen. Copies are judged by features, so a mirrored or cropped copy may pass, and samples that "
            "differ in what the extractor drops count as equal. Ranks (ct, distance-auc, reconstruction-auc) mix a few "
            "copies among many distant samples to nothing; the shares of single samples see those. A generator that "
            "keeps to dense places has small distances without any copy, which copy-rate allows for and ct does not "
            "quite. No copies found is no proof that nothing private was learnt."
        ),
        references=(
            "Meehan et al., A Non-Parametric Test to Detect Data-Copying in Generative Models, 2020, arXiv:2004.05675",
            "Alaa et al., How Faithful is your Synthetic Data?, 2022, arXiv:2102.08921",
            "Yoon et al., Anonymization Through Data Synthesis Using GANs (ADS-GAN), 2020",
            "Hayes et al., LOGAN: Membership Inference Attacks Against Generative Models, 2019, arXiv:1705.07663",
            "Chen et al., GAN-Leaks, 2020, arXiv:1909.03935",
            "Jiralerspong et al., Feature Likelihood Divergence, 2023, arXiv:2302.04440",
        ),
    )

    def __post_init__(self) -> None:
        proportion(self.copies, "copies")
        if self.neighbours < 2:
            raise ValueError(
                f"neighbours: found {self.neighbours}; allowed: 2 or more, as a distance is held against others"
            )
        for name, least in (("cells", 1), ("most", 10), ("most_train", 10), ("most_for_gap", 10)):
            whole(getattr(self, name), name, least)

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return every statistic with that of unseen reals as its null, one verdict, and the nearest pairs."""
        limits = Limits(self.copies, self.neighbours, self.cells, self.most, self.most_train, self.most_for_gap)
        held = held_reals(view, view.count("features/fake"), self.most, rng)
        found = memorised(view, held, limits, rng)
        scored = membership(view, held)
        measurements = self._measured(found, scored, view, held)
        text, disagreement = verdict(measurements, found)
        details: list[Detail] = [
            text,
            column_table(measurements, found, scored),
            ratio_histogram(found),
            cells_table(found),
        ]
        counts = view.count("features/train"), view.count("features/fake")
        warnings = [*disagreement, *cautions(found, scored, counts)]
        return Findings(measurements, details, warnings, exhibits=[_pairs(found)])

    def _measured(self, found: Memorised, scored: Membership | str, view: View, held: Held) -> list[Measurement]:
        generated, null = found.columns["generated"], found.columns["held-out"]
        rule = (
            f"{len(held.stand_in)} unseen reals ({' and '.join(held.splits)}) in place of generated samples, against "
            f"{found.n_train} train reals and {found.n_held} other unseen reals"
        )
        made = {key: self._of_features(key, generated, null, found, rule) for key in generated.estimates}
        made |= {key: self._of_scores(key, scored, found, rule) for key in _FROM_SCORES}
        return [made[m.key] for m in self.spec.measurements]

    def _of_features(self, key: str, generated: Column, null: Column, found: Memorised, rule: str) -> Measurement:
        own, other = generated.estimates[key], null.estimates[key]
        sizes = {"fake": own.n, "train": found.n_train, "held": found.n_held}
        if key == "identifiability":
            del sizes["held"]
        elif key in ("authenticity", "exact-copy-rate", "copy-rate"):
            sizes = {"fake": own.n}
        if own.value is None:
            return self.spec.measurement(key, None, sizes, reason=self._why_none(key, found))
        return self.spec.measurement(
            key,
            own.value,
            sizes,
            interval=None if own.bounds is None else interval_of(own.bounds, *_INTERVALS[key]),
            interval_reason="the halves show no scatter" if own.bounds is None else None,
            null=_null(other, rule),
            null_reason=None if other.value is not None else "unseen reals in place of generated samples have no value",
        )

    def _why_none(self, key: str, found: Memorised) -> str:
        if key == "copy-rate":
            needed = calibration_size_needed(self.copies)
            return f"a threshold that {self.copies:g} of unseen reals reach needs {needed} of them; there are " + str(
                found.n_held
            )
        return "all train reals and generated samples are one point: 0 is every distance, and there is no scale"

    def _of_scores(self, key: str, scored: Membership | str, found: Memorised, rule: str) -> Measurement:
        if isinstance(scored, str):
            return self.spec.measurement(key, None, {"train": found.n_train, "held": found.n_held}, reason=scored)
        own = scored.estimates[key]
        sizes = {"train": scored.n_train, "held": scored.n_held}
        if own.value is None or own.bounds is None:
            needed = 1_000 if key.endswith("-1pct") and "0.1" not in key else 10_000
            reason = f"so low a rate of false alarms needs {needed} unseen reals to set it; there are {scored.n_held}"
            return self.spec.measurement(key, None, sizes, reason=reason)
        method = "DeLong, logit scale" if key == "membership-auc" else "Clopper-Pearson"
        covers = "the drawing of train and of unseen reals; not the training of the discriminator"
        if key != "membership-auc":
            covers = "the drawing of train reals at this threshold; not the training of the discriminator"
        null = scored.nulls[key]
        return self.spec.measurement(
            key,
            own.value,
            sizes,
            interval=interval_of(own.bounds, method, covers),
            null=_null(null, rule.replace("in place of generated samples, against", "in place of train reals, beside")),
        )


def _null(found: Estimate, rule: str) -> Null | None:
    if found.value is None:
        return None
    low, high = (None, None) if found.bounds is None else (found.bounds.low, found.bounds.high)
    return Null(value=found.value, low=low, high=high, n=found.n, rule=rule)


def _pairs(found: Memorised) -> Exhibit:
    """Return the generated samples that lie nearest to a train real for the density there, each beside it."""
    toward = found.columns["generated"].toward
    order = torch.argsort(toward.ratio, stable=True)[:_PAIRS]
    fakes, reals = found.fake_rows[order.cpu()].tolist(), found.train_rows[toward.nearest[order].cpu()].tolist()
    captions = [
        f"sample {fake}, train real {real}: distance {distance:.3g}, ratio {ratio:.3f}"
        for fake, real, distance, ratio in zip(
            fakes, reals, toward.distance[order].tolist(), toward.ratio[order].tolist(), strict=True
        )
    ]
    return Exhibit(
        title="Generated samples beside their nearest train reals",
        rule=f"the {len(fakes)} of the lowest ratio of distances; left the generated sample, right the train real",
        side="fake",
        indices=fakes,
        captions=captions,
        beside=reals,
    )
