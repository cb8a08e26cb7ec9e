"""Whether the discriminator's threshold misjudges some samples more than others: by quality, by realism, by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Axis, Curve, Detail, Interval, Measurement, Note, Null, Rule, Series, Table
from ganaudit.document.spec import EvaluatorSpec, Exhibit, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.grouping import Grouping, by_class, by_quality, by_realism
from ganaudit.evidence.judging import chosen
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.detection import calibration_size_needed, conformal_threshold
from ganaudit.numerics.group_gaps import Gap, chance_of_worst, gap
from ganaudit.numerics.groups import GroupErrors, Rate, group_errors, holm, rate_gap
from ganaudit.numerics.intervals import Bounds
from ganaudit.numerics.worst import Worst, worst_rate

__all__ = ["DetectionByGroup"]

_DEALINGS, _OF_WORST = 9999, 999
_LEAST, _LISTED, _SHOWN = 10, 100, 16
_DIFFERENCE = "difference of shares"
_COVERS = "the drawing of the samples of all groups together, threshold and edges of the groups held fixed"


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """One way to group, judged at the shared threshold."""

    grouping: Grouping
    errors: dict[int, GroupErrors]
    fpr: Gap | None
    tpr: Gap | None
    alone: dict[int, float]
    """p-value of each group's reals against all other reals, after Holm."""


@dataclass(frozen=True, slots=True)
class DetectionByGroup:
    """Errors of one threshold by class and by tenths of what a sample shows of its quality."""

    fpr: float = 0.05
    """The share of reals that may be called generated; the threshold is chosen for it on calibration reals."""
    samples: int = 2048
    """Test reals and generated samples whose quality is looked at, at most, of each; classes take all."""
    bins: int = 10
    """Groups of a measure, as many reals in each; fewer where a group would have fewer than 20 reals."""
    neighbours: int = 5
    """k of realism: the ball of a real reaches to its k-th nearest neighbour."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="detection-by-group",
        title="Detection by group",
        question="Does the discriminator misjudge some kinds of samples more than others, such as poor or rare ones?",
        needs=("scores/test", "scores/fake", "scores/calibration", "values/test", "values/fake"),
        wants=(
            "labels/real", "labels/fake", "features/real", "features/fake", "features/null-real", "features/null-fake",
        ),
        minimum={"scores/test": 2, "scores/fake": 2, "scores/calibration": 2},
        measurements=(
            MeasurementSpec(
                key="fpr-gap-by-class",
                title="Gap of the false positive rate between classes",
                meaning="Greatest less least share of a class's reals that are called generated, at one threshold.",
                unit=_DIFFERENCE,
                better="lower",
                bounds=(0.0, 1.0),
                estimator=f"max - min over classes with {_LEAST} test reals or more; above 0 by chance, see its null",
            ),
            MeasurementSpec(
                key="fpr-gap-by-quality",
                title="Gap of the false positive rate by quality",
                meaning="Greatest less least share of reals called generated, over tenths of sharpness (sounds: "
                "flatness).",
                unit=_DIFFERENCE,
                better="lower",
                bounds=(0.0, 1.0),
                estimator="max - min over tenths of test reals by variance of the Laplacian, of sounds by spectral "
                "flatness; above 0 by chance, see its null",
            ),
            MeasurementSpec(
                key="tpr-gap-by-quality",
                title="Gap of the true positive rate by quality",
                meaning="Greatest less least share of generated samples caught, over the same tenths.",
                unit=_DIFFERENCE,
                better="lower",
                bounds=(0.0, 1.0),
                estimator=f"max - min over the tenths of reals that hold {_LEAST} generated samples or more",
            ),
            MeasurementSpec(
                key="worst-group-fpr",
                title="False positive rate of the worst group",
                meaning="Share of reals called generated in the class or the tenth of a quality where it is greatest.",
                unit="share of samples",
                better="lower",
                bounds=(0.0, 1.0),
                estimator=f"max over classes and tenths of every quality with {_LEAST} test reals or more; biased "
                "upwards",
            ),
        ),
        misleads=(
            "Sharpness, contrast, flatness and loudness are stand-ins for quality: fog is not sharp and noise is. A "
            "gap is above 0 by chance, the more so the more and the smaller the groups: hold it against its null and "
            "read its p-value. Classes may differ in sharpness, so one cause can show twice. A threshold that calls "
            "next to nothing generated has small gaps and no use."
        ),
        references=(
            "Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, 2019, "
            "arXiv:1904.06991 (realism)",
            "Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000 (variance of the Laplacian)",
            "Gray and Markel, A spectral-flatness measure, IEEE Trans. ASSP 22, 1974",
            "Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statist. 6, 1979",
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        proportion(self.fpr, "fpr")
        for name, least in (("samples", 2), ("bins", 2), ("neighbours", 1)):
            whole(getattr(self, name), name, least)

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return the gaps and the worst group, with a table and a curve for every way to group."""
        real, fake, calibration = view["scores/test"], view["scores/fake"], view["scores/calibration"]
        threshold = conformal_threshold(calibration, self.fpr)
        if threshold is None:
            raise NotAssessable(
                f"a false positive rate of {self.fpr:g} needs {calibration_size_needed(self.fpr)} calibration reals; "
                f"there are {len(calibration)}"
            )
        rows = {side: chosen(view, side, len(view[f"scores/{side}"]), self.samples, rng) for side in ("test", "fake")}
        classes = by_class(view, len(real), len(fake))
        qualities = by_quality(view, rows, self.bins)
        judged = [
            _judged(one, real, fake, threshold, rng)
            for one in ([] if isinstance(classes, str) else [classes]) + qualities
        ]
        worst, null, group = _worst(judged, real < threshold, rng)
        sizes = {"real": len(real), "measured": len(rows["test"]), "fake": len(rows["fake"])}
        measurements = self._gaps(judged, sizes, classes if isinstance(classes, str) else None)
        measurements.append(self._group(worst, null, len(real)))
        # Last, so that no number depends on whether there are features to find it by.
        realism = by_realism(view, rows, self.bins, self.neighbours, rng)
        if isinstance(realism, Grouping):
            judged.append(_judged(realism, real, fake, threshold, rng))
        return Findings(
            measurements,
            self._details(
                judged,
                threshold,
                {name: why for name, why in (("classes", classes), ("realism", realism)) if isinstance(why, str)},
            ),
            exhibits=_exhibits(view, real, threshold, group),
        )

    def _gaps(self, judged: Sequence[_Judged], sizes: dict[str, int], no_classes: str | None) -> list[Measurement]:
        by = {one.grouping.key: one for one in judged}
        of_class, primary = by.get("class"), by.get("quality")
        real, fake = {"real": sizes["measured"]}, {"fake": sizes["fake"]}
        unlike = f"needs 40 test reals that differ in it, for two groups of 20; there are {sizes['measured']}"
        few = (
            f"needs {_LEAST} generated samples in each of two groups of reals of unlike quality; there are "
            f"{sizes['fake']} generated"
        )
        return [
            self._gap(
                "fpr-gap-by-class",
                of_class.fpr if of_class else None,
                {"real": sizes["real"]},
                no_classes or _few(sizes["real"]),
            ),
            self._gap("fpr-gap-by-quality", primary.fpr if primary else None, real, unlike),
            self._gap("tpr-gap-by-quality", primary.tpr if primary else None, fake, few),
        ]

    def _gap(self, key: str, found: Gap | None, sizes: dict[str, int], reason: str) -> Measurement:
        if found is None:
            return self.spec.measurement(key, None, sizes, reason=reason)
        chance, named = found.chance, "reals" if "real" in sizes else "generated samples"
        return self.spec.measurement(
            key,
            found.value,
            {next(iter(sizes)): found.n},
            interval=_interval(found.bounds, "Clopper-Pearson of all groups, Bonferroni"),
            null=Null(
                value=chance.mean,
                low=chance.usual.low,
                high=chance.usual.high,
                n=found.n,
                of="random groups",
                rule=f"the gap when the same verdicts are dealt to the {found.n} {named} at random, {_DEALINGS} times; "
                f"as large or larger in a share of {chance.p_value:.4g} (p-value, this gap alone)",
                p_value=min(1.0, 2 * chance.p_value),  # of one side, the larger gaps
            ),
        )

    def _group(self, found: Worst | None, null: Null | None, n: int) -> Measurement:
        if found is None:
            return self.spec.measurement("worst-group-fpr", None, {"real": n}, reason=_few(n))
        return self.spec.measurement(
            "worst-group-fpr",
            found.value,
            {"real": n},
            interval=_interval(found.bounds, "Clopper-Pearson, Bonferroni over groups"),
            null=null,
        )

    def _details(self, judged: Sequence[_Judged], threshold: float, left_out: dict[str, str]) -> list[Detail]:
        details: list[Detail] = [_tests(judged)] if judged else []
        for one in judged:
            if one.grouping.edges is not None:
                details.append(_curve(one, self.fpr))
            details.append(_table(one))
        text = (
            f"One threshold, {threshold:.4g}, for all groups. Intervals in the tables are for one group each, so of "
            "many some miss. The p-values of a column headed Holm are corrected for all tests of their table: if "
            f"nothing differs, the chance of any below 0.05 is at most 5 %. Groups with fewer than {_LEAST} samples "
            "are shown and judged in no gap."
        )
        return [
            *details,
            Note(text=" ".join([text, *(f"Left out are {name}: {why}." for name, why in left_out.items())])),
        ]


def _few(n: int) -> str:
    return f"needs {2 * _LEAST} test reals in two groups of {_LEAST}; there are {n}"


def _judged(grouping: Grouping, real: Tensor, fake: Tensor, threshold: float, rng: np.random.Generator) -> _Judged:
    reals, fakes = real[grouping.real_rows], fake[grouping.fake_rows]
    found = group_errors(reals, grouping.real_groups, fakes, grouping.fake_groups, threshold)
    called = reals < threshold
    alone = rate_gap(called, grouping.real_groups, rng, 1, _LEAST)
    return _Judged(
        grouping,
        {one.group: one for one in found if one.group >= 0},
        gap(called, grouping.real_groups, rng, _DEALINGS, _LEAST),
        gap(fakes < threshold, grouping.fake_groups, rng, _DEALINGS, _LEAST) if grouping.splits_fakes else None,
        {} if alone is None else alone.adjusted,
    )


def _worst(
    judged: Sequence[_Judged], called: Tensor, rng: np.random.Generator
) -> tuple[Worst | None, Null | None, tuple[str, Tensor] | None]:
    """Return the worst group over all groupings, what chance makes of it, and its name and rows."""
    found: list[tuple[Grouping, int, Rate]] = []
    ways = []
    for one in judged:
        rates = {group: errors.fpr for group, errors in one.errors.items()}
        large = {group: rate for group, rate in rates.items() if rate is not None and rate.n >= _LEAST}
        found += [(one.grouping, group, rate) for group, rate in large.items()]
        of = one.grouping.real_groups
        ways.append(
            (one.grouping.real_rows, torch.where(torch.isin(of, torch.tensor(list(large), dtype=of.dtype)), of, -1))
        )
    if not found:
        return None, None, None
    worst = worst_rate([rate.count for *_, rate in found], [rate.n for *_, rate in found], 0.95)
    chance = chance_of_worst(called, ways, rng, _OF_WORST)
    grouping, group, _ = found[worst.at]
    name = f"{grouping.title} {grouping.name(group)}"
    null = Null(
        value=chance.mean,
        low=chance.usual.low,
        high=chance.usual.high,
        n=len(called),
        of="random groups",
        rule=f"the worst of the {len(found)} groups when the verdicts on the {len(called)} test reals are dealt at "
        f"random, {_OF_WORST} times; as large or larger in a share of {chance.p_value:.4g} (p-value). The worst here "
        f"is {name}",
        p_value=min(1.0, 2 * chance.p_value),
    )
    return worst, null, (name, grouping.real_rows[grouping.real_groups == group])


def _tests(judged: Sequence[_Judged]) -> Table:
    """Return every gap that was tested, corrected for all of them together."""
    tests: list[tuple[str, str, Gap]] = []
    for one in judged:
        for rate, found in (("FPR of test reals", one.fpr), ("TPR of generated", one.tpr)):
            if found is not None:
                tests.append((one.grouping.title, rate, found))
    adjusted = holm([found.chance.p_value for *_, found in tests])
    rows: list[list[str | int | float | None]] = [
        [title, rate, found.n, found.value, found.chance.mean, found.chance.p_value, p]
        for (title, rate, found), p in zip(tests, adjusted, strict=True)
    ]
    columns = ["groups by", "rate", "n", "gap", "by chance, mean", "p", "p (Holm)"]
    return Table(title="Gaps between groups, and how often chance makes one as large", columns=columns, rows=rows)


def _table(one: _Judged) -> Table:
    ordered = sorted(one.errors.values(), key=lambda e: -(e.fpr.value if e.fpr else 0.0))[:_LISTED]
    rows: list[list[str | int | float | None]] = []
    for errors in sorted(ordered, key=lambda e: e.group):
        area = errors.auc.interval(0.95) if errors.auc else None
        rows.append([
            one.grouping.name(errors.group), *_cells(errors.fpr), one.alone.get(errors.group), *_cells(errors.tpr),
            errors.auc.value if errors.auc else None, area.low if area else None, area.high if area else None,
        ])  # fmt: skip
    columns = [
        one.grouping.title, "reals", "FPR", "FPR low", "FPR high", "p against other reals (Holm)",
        "generated", "TPR", "TPR low", "TPR high", "AUC", "AUC low", "AUC high",
    ]  # fmt: skip
    title = f"Errors by {one.grouping.title}"
    if len(one.errors) > len(ordered):
        title += f": the {_LISTED} with the highest FPR of {len(one.errors)}"
    return Table(title=title, columns=columns, rows=rows)


def _cells(rate: Rate | None) -> list[str | int | float | None]:
    return [0, None, None, None] if rate is None else [rate.n, rate.value, rate.bounds.low, rate.bounds.high]


def _curve(one: _Judged, promised: float) -> Curve:
    series = []
    for name, rates in (
        ("test reals called generated (FPR)", {g: e.fpr for g, e in one.errors.items()}),
        ("generated samples called generated (TPR)", {g: e.tpr for g, e in one.errors.items()}),
    ):
        known = [(float(group + 1), rate) for group, rate in sorted(rates.items()) if rate is not None]
        series.append(
            Series(
                name=name,
                x=[x for x, _ in known],
                y=[rate.value for _, rate in known],
                low=[rate.bounds.low for _, rate in known],
                high=[rate.bounds.high for _, rate in known],
            )
        )
    return Curve(
        title=f"Errors by {one.grouping.title}",
        x=Axis(title=f"{one.grouping.title}: parts of the test reals, as many in each, lowest first"),
        y=Axis(title="share called generated"),
        series=series,
        rules=[Rule(at=promised, label="promised FPR", orient="y")],
        points=True,
    )


def _exhibits(view: View, real: Tensor, threshold: float, worst: tuple[str, Tensor] | None) -> list[Exhibit]:
    if worst is None or view.against != "test":
        return []
    name, rows = worst
    scores = real[rows]
    order = torch.argsort(scores, stable=True)[: min(_SHOWN, int((scores < threshold).sum()))]
    if not len(order):
        return []
    return [
        Exhibit(
            title="Reals called generated in the worst group",
            rule=f"the {len(order)} lowest scores of {len(rows)} test reals, {name}",
            side="real",
            indices=rows[order].tolist(),
            captions=[f"score {float(scores[i]):.3g}" for i in order],
        )
    ]


def _interval(bounds: Bounds, method: str) -> Interval:
    return Interval(low=bounds.low, high=bounds.high, level=0.95, method=method, covers=_COVERS)
