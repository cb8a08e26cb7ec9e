"""What the generator shows too often, too seldom or never: classes, attributes, modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from ganaudit.document.model import Detail, Measurement, Note, Null
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec
from ganaudit.evidence.attributes import SOURCES, Reading, Source, class_reading, oracle_readings
from ganaudit.evidence.class_quality import FEWEST, by_class, flipped, reached, recall_of_others, worst_recall
from ganaudit.evidence.coverage_tables import attributes_table, bins_table, quality_table, shares_table, sweep_curve
from ganaudit.evidence.coverage_words import examples, in_words, unlike
from ganaudit.evidence.filled_bins import OF_BIN, Filled, filled
from ganaudit.evidence.label_agreement import Agreement, agreement, agreement_measurement
from ganaudit.evidence.own_classifier import check_given, own_classifier, own_reading
from ganaudit.evidence.share_measurements import discrepancy_measurement, fairness_measurement, interval_of, null_of
from ganaudit.evidence.standing_shares import Standing, standing
from ganaudit.evidence.support_reading import support_measurement
from ganaudit.evidence.truncation import amplification, failed_words, truncated
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.bins import js_bounds, js_null

__all__ = ["CoverageBias"]

_FALSE = 0.05  # of the bins told to differ, on average
_OF_MODES = "low: exact test of two counts (with a classifier's errors binomial and z), Holm; high: Clopper-Pearson"
_Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CoverageBias:
    """Shares of classes and attributes, bins of feature space, recall by class, truncation and support size."""

    attribute: str = "auto"
    """Who says which class a generated sample shows: "oracle" of a built-in set, the extractor's "classifier", a
    "probe" fitted to half of the labelled reals, or the "labels" that samples came with; "auto" takes the first that
    can be had and is better than chance. With `classifier`: the name of what that reads; "auto" is "class"."""
    classifier: str | None = None
    """A program of the user's own that reads an attribute in place of the class: .pt2 or TorchScript, with its
    declaration NAME.toml beside it, as for the extractor `module`; its key `classes` names the values."""
    samples: int = 2048
    """Samples of each side, at most, that an oracle reads, and that recall and close pairs are looked for among."""
    bins: int = 100
    """Cells of feature space; fewer where one would hold fewer than 20 reals on average."""
    missing: float = 0.1
    """A mode is missing when its share is below this part of its share among reals."""
    neighbours: int = 5
    """k of recall: the ball of a sample reaches to its k-th nearest neighbour."""
    truncations: tuple[float, ...] = (1.0, 0.7, 0.5)
    """Factors of the latents, the full one first; the last is held against it."""
    truncated: int = 256
    """Samples made at each of them."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="coverage-bias",
        title="Coverage and bias",
        question="Does the generator show every class, attribute and mode as often as the data do?",
        needs=("features/real", "features/fake", "features/null-real", "features/null-fake"),
        wants=(
            "labels/real", "labels/fake", "labels/train", "labels/null-fake", "logits/real", "logits/fake",
            "logits/null-fake", "values/real", "values/fake", "values/train", "values/null-fake",
        ),
        minimum={"features/real": 2, "features/fake": 2},
        measurements=(
            MeasurementSpec(
                key="class-discrepancy",
                title="Discrepancy of class shares",
                meaning="Share of generated samples that would have to change class for the training set's shares.",
                unit="total variation",
                better="lower",
                bounds=(0.0, 1.0),
                estimator="sum |p - t|/2; p = C^-1 q, the classifier's confusion C from held-out reals; above 0 by "
                "chance, see its null",
            ),
            MeasurementSpec(
                key="worst-class-recall",
                title="Recall of the worst class",
                meaning="Share of the reals of the class that is reached least that lie near some generated sample.",
                unit="share of samples",
                better="higher",
                bounds=(0.0, 1.0),
                estimator=f"least over classes with {FEWEST} reals or more of the share within a ball of a generated "
                "sample; as many samples as reals; biased downwards",
            ),
            MeasurementSpec(
                key="modes-missing",
                title="Missing modes",
                meaning="Modes that generated samples show hardly ever although reals do.",
                unit="modes",
                better="lower",
                bounds=(0.0, None),
                estimator="values of the finest attribute (oracle's, else class, else bins) with less than the option "
                "`missing` of the reals' share",
            ),
            MeasurementSpec(
                key="fairness-discrepancy",
                title="Fairness discrepancy",
                meaning="Distance of the class shares from uniform ones, whatever the data's own are.",
                unit="L2 of shares",
                better="lower",
                bounds=(0.0, 1.0),
                estimator="|p - 1/K|_2 of the corrected shares; above 0 by chance",
            ),
            MeasurementSpec(
                key="different-bins",
                title="Bins that differ",
                meaning="Share of the cells of feature space that generated samples fill more or less than reals do.",
                unit="share of bins",
                better="lower",
                bounds=(0.0, 1.0),
                estimator="k-means of reals; pooled z of two shares; Benjamini-Hochberg at 5 % (NDB counts without it)",
                interval=False,
            ),
            MeasurementSpec(
                key="js-divergence",
                title="Divergence of bins",
                meaning="Jensen-Shannon divergence of how both sides fill the same cells: 0 alike, ln 2 apart.",
                unit="nats",
                better="lower",
                bounds=(0.0, 0.6931471805599454),
                estimator="plug-in; biased upwards by (K - 1)(1/n + 1/m)/8",
            ),
            MeasurementSpec(
                key="bias-amplification",
                title="Bias by truncation",
                meaning="By how much the class shares move away from the training set's when latents are truncated.",
                unit="distance between shares",
                better="lower",
                bounds=(-1.4142135623730951, 1.4142135623730951),
                estimator="root, with its sign, of the squared distance of shares (unbiased) at the last less that at "
                "the first of `truncations`; the same latents times psi",
            ),
            MeasurementSpec(
                key="label-agreement",
                title="Classes as asked for",
                meaning="Share of a conditional generator's samples that show the class they were asked for.",
                unit="share of samples",
                better="higher",
                bounds=(0.0, 1.0),
                estimator="label told equals class read; errors of the classifier included, see its null",
            ),
            MeasurementSpec(
                key="support-size",
                title="Support size, lower limit",
                meaning="At least as many different samples as this are in the generator, by how seldom two are alike.",
                unit="samples",
                better="higher",
                bounds=(1.0, None),
                estimator="pairs over the upper 95 % Poisson limit of close pairs; close are the 10 closest pairs of "
                "as many reals",
                interval=False,
            ),
        ),
        misleads=(
            "Shares are of what a classifier sees: of samples unlike any real its errors on reals say little. Uniform "
            "shares are no aim where the data are not uniform. Bins follow the extractor: a mode that it does not see "
            "is not missed. Dropping one mode lifts all others, so many bins differ though one is the cause: read the "
            "sign of z. Latents are scaled where they are drawn, not in a mapped space."
        ),
        references=(
            "Richardson and Weiss, On GANs and GMMs, 2018, arXiv:1805.12462 (bins)",
            "Choi et al., Fair Generative Modeling via Weak Supervision, 2020, arXiv:1910.12008 (fairness discrepancy)",
            "Lipton et al., Detecting and Correcting for Label Shift, 2018, arXiv:1802.03916",
            "Teo et al., On Measuring Fairness in Generative Models (CLEAM), NeurIPS 2023",
            "Arora and Zhang, Do GANs actually learn the distribution?, 2017, arXiv:1706.08224 (support size)",
            "Maluleke et al., Studying Bias in GANs through the Lens of Race, 2022, arXiv:2209.02836 (truncation)",
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        if (self.attribute in SOURCES[1:]) if self.classifier else (self.attribute not in SOURCES):
            allowed = "with classifier = FILE the name of what it reads" if self.classifier else ", ".join(SOURCES)
            raise ValueError(f"attribute: found {self.attribute!r}; allowed: {allowed}")
        for name, least in (("samples", 2), ("bins", 2), ("truncated", 2), ("neighbours", 1)):
            whole(getattr(self, name), name, least)
        proportion(self.missing, "missing")
        if len(self.truncations) < 2 or not all(psi > 0 for psi in self.truncations):
            found = ", ".join(f"{psi:g}" for psi in self.truncations)
            raise ValueError(f"truncations: found ({found}); allowed: two factors or more above 0, the full one first")
        if self.classifier is not None:
            check_given(self.classifier)

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return shares against the training set's, bins, recall by class, truncation and support, with their nulls."""
        # Of chances of their own, so that one part that cannot be had moves no number of another.
        chance = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=9)]
        has_null = view.missing("features/null-fake")
        reading, used = self._reading(view, chance[0])
        by = None if isinstance(reading, str) else standing(reading, chance[1])
        why = reading if isinstance(reading, str) else "0 generated samples show a class that can be read"
        others = [standing(one, chance[2]) for one in oracle_readings(view, self.samples, chance[2])]
        stands = [by] if by is not None else []
        stands += [one for one in others if one is not None and (by is None or one.reading.name != by.reading.name)]
        bins = filled(view, "real", "fake", self.bins, chance[3])
        of_class = by if by is not None and by.reading.name == "class" else None
        lacks = why if by is None else f"0 samples have their class read: {by.reading.source} reads {by.reading.name}"
        recall, quality = self._recall(view, of_class, lacks, has_null, chance[4])
        sweep, curve, cautions = self._sweep(view, by, why, has_null, chance[5])
        modes, gone = self._modes(stands, bins, has_null)
        told = agreement(view, None if of_class is None else of_class.reading, lacks, self.samples, chance[8])
        obeys, compared = agreement_measurement(self.spec, told, has_null)
        doubts = [told.warning] if isinstance(told, Agreement) and told.warning is not None else []
        measurements = [
            discrepancy_measurement(self.spec, by, why, has_null),
            recall,
            modes,
            fairness_measurement(self.spec, by, why, has_null),
            *self._cells(view, bins, has_null, chance[6]),
            sweep,
            obeys,
            support_measurement(view, self.spec, self.samples, has_null, chance[7]),
        ]
        words = [in_words(measurements[0], by, stands, *gone), compared, *(f"Caution: {one}." for one in doubts)]
        details: list[Detail] = [Note(text=" ".join(filter(None, words)))]
        details += [attributes_table(stands)] if stands else []
        details += [shares_table(one, _asked(view, one) if one is of_class else None) for one in stands]
        details += [*quality, bins_table(bins.test), *curve]
        cautions += [reading] if self.classifier is not None and isinstance(reading, str) else []
        return Findings(measurements, details, [*doubts, *cautions], used, examples(*gone, bins, _FALSE))

    def _reading(self, view: View, rng: np.random.Generator) -> tuple[Reading | str, dict[str, Any]]:
        """Return what is read of both sides, or why nothing is, and the digest of a classifier that was given."""
        if self.classifier is None:
            return class_reading(view, cast(Source, self.attribute), self.samples, rng), {}
        own = own_classifier(view, self.classifier)
        if isinstance(own, str):
            return own, {}
        name = "class" if self.attribute == "auto" else self.attribute
        return own_reading(view, own, name, self.samples, rng), {"classifier": own.network.digest}

    def _cells(self, view: View, found: Filled, why: str | None, rng: np.random.Generator) -> list[Measurement]:
        sizes, bins, keys = found.sizes, len(found.test.real), ("different-bins", "js-divergence")
        if bins < 2:
            reason = f"needs 2 bins of {OF_BIN} reals that differ, {2 * OF_BIN} reals or more; there is 1 bin"
            return [self.spec.measurement(key, None, sizes, reason=reason, null_reason=why) for key in keys]
        nulls: dict[str, Null] = {}
        if why is None:
            other = filled(view, "null-real", "null-fake", self.bins, rng)
            n = other.sizes["fake"]
            nulls["different-bins"] = Null(value=other.differing(_FALSE), n=n, rule=view.null_rule)
            mean, usual = js_null(bins, sizes["real"], sizes["fake"], 0.95)
            rule = f"of one law, by the chi-square of {bins - 1} degrees; {view.null_rule}: {other.divergence:.4g}"
            nulls["js-divergence"] = Null(value=mean, low=usual.low, high=usual.high, n=sizes["fake"], rule=rule)
        covers = "the drawing of both sides, the bins held fixed; of the divergence that these numbers show on average"
        reach = js_bounds(found.test.real, found.test.fake, rng, 0.95)
        return [
            self.spec.measurement(
                "different-bins", found.differing(_FALSE), sizes, null=nulls.get("different-bins"), null_reason=why,
                interval_reason="a count of tests: of the bins told to differ 5 % at most are false on average",
            ),
            self.spec.measurement(
                "js-divergence", found.divergence, sizes,
                interval=interval_of(reach, "bootstrap, moved by its bias", covers),
                null=nulls.get("js-divergence"), null_reason=why,
            ),
        ]  # fmt: skip

    def _recall(
        self, view: View, by: Standing | None, why: str, no_null: str | None, rng: np.random.Generator
    ) -> tuple[Measurement, list[Detail]]:
        key, n = "worst-class-recall", len(view["features/real"])
        if by is None:
            return self.spec.measurement(key, None, {"real": n}, reason=why, null_reason=no_null), []
        labels, names = view["labels/real"].numpy(), by.reading.values
        near = reached(view, "real", "fake", self.neighbours, self.samples, rng)
        found = None if near is None else worst_recall(near, labels, len(names), 0.95)
        if near is None or found is None:
            reason = f"needs 2 classes of {FEWEST} reals or more and {self.neighbours + 1} samples; there are {n} reals"
            return self.spec.measurement(key, None, {"real": n}, reason=reason, null_reason=no_null), []
        worst, judged = found
        other = None if no_null else reached(view, "null-real", "null-fake", self.neighbours, self.samples, rng)
        null, rates = recall_of_others(view, other, labels, names)
        sizes = {"real": len(near.rows), "fake": len(near.other_rows)}
        covers = "the drawing of reals of all classes together, generated samples held fixed"
        few = None if null else no_null or f"needs other reals of 2 classes, {FEWEST} of each"
        return self.spec.measurement(
            key,
            1 - worst.value,
            sizes,
            interval=interval_of(flipped(worst.bounds), "Clopper-Pearson, Bonferroni", covers),
            null=null,
            null_reason=few,
            estimator=f"{self.spec.measurements[1].estimator}; here {names[judged[worst.at]]}",
        ), [quality_table(names, by_class(view, near, labels, by.reading), rates), *unlike(near, by)]

    def _modes(
        self, stands: Sequence[Standing], bins: Filled, no_null: str | None
    ) -> tuple[Measurement, tuple[Standing | None, list[int]]]:
        covers = (
            "the drawing of samples, all modes at once: low, those missing that are scarcer than among reals beyond "
            "chance; high, those whose share may lie below the limit"
        )
        if not stands:
            absent = bins.missing(self.missing)
            sure = int((bins.test.adjusted[absent] <= _FALSE).sum())
            return self.spec.measurement(
                "modes-missing", len(absent), bins.sizes,
                interval_reason=f"bins stand in for modes; of those missing {sure} differ beyond chance",
                null_reason=no_null or f"of one law a bin of {OF_BIN} reals on average is all but never missing",
            ), (None, absent.tolist())  # fmt: skip
        one = max(stands, key=lambda s: len(s.target))
        found, bounds = one.missing(self.missing)
        told = f"of the {len(one.target)} values of {one.reading.name}"
        return self.spec.measurement(
            "modes-missing", len(found), {"fake": one.shares.n},
            interval=interval_of(bounds, _OF_MODES, covers),
            null=null_of(one.missing_chance(self.missing), one, told) if no_null is None else None, null_reason=no_null,
        ), (one, found)  # fmt: skip

    def _sweep(
        self, view: View, by: Standing | None, why: str, no_null: str | None, rng: np.random.Generator
    ) -> tuple[Measurement, list[Detail], list[str]]:
        key = "bias-amplification"
        if by is None:
            return self.spec.measurement(key, None, {"fake": 0}, reason=why, null_reason=no_null), [], []
        sweep = truncated(view, by.reading.read, self.truncations, self.truncated, rng)
        if isinstance(sweep, str):
            return self.spec.measurement(key, None, {"fake": 0}, reason=sweep, null_reason=no_null), [], []
        found, lost = amplification(sweep, by, rng), failed_words(sweep)
        details: list[Detail] = [sweep_curve(self.truncations, found.distances, found.errors, found.chance)]
        n, told = {"fake": len(sweep[0].found)}, [lost] if lost else []
        if found.change is None:
            unread = "hardly a sample could be read at the first of the truncations or the last: 3 of each are needed"
            return self.spec.measurement(key, None, n, reason=unread, null_reason=no_null), details, told
        covers = "the drawing of latents, the same at every factor; the classifier's errors held fixed"
        return self.spec.measurement(
            key, found.change.value, n,
            interval=interval_of(found.change.interval(0.95), "normal of the squares, paired jackknife", covers),
            null_reason="reals have no latents to truncate; 0 is a generator whose shares do not move",
        ), details, told  # fmt: skip


def _asked(view: View, by: Standing) -> npt.NDArray[np.float64] | None:
    if view.missing("labels/fake") is not None or by.reading.read is None:
        return None
    told = view["labels/fake"].numpy()
    return np.bincount(told[told >= 0], minlength=len(by.target)) / len(told)
