"""Which augmentations of a training show in generated samples, and which of them the discriminator does not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.keys import member
from ganaudit.document.model import Detail, Measurement, Note, Null
from ganaudit.document.spec import EvaluatorSpec, Exhibit, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.judging import chosen
from ganaudit.evidence.leak_distances import distance_table
from ganaudit.evidence.leak_panel import ALPHA, Panel
from ganaudit.evidence.leak_tables import leak_table, risk_table, trace_table, verdict
from ganaudit.evidence.leaks import Asked, Copies, Looked, copies, cut, expected, fill_of, looked, strange
from ganaudit.evidence.score_sides import Reading, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.augmentations import OPERATIONS, Operation
from ganaudit.numerics.intervals import student
from ganaudit.numerics.invariance import Invariance, invariance

__all__ = ["AugmentationBias"]

_LEAK, _INVARIANCE = "leak-{operation}", "invariance-{operation}"
_NOISE = 4.0  # standard deviations of the resolution of a classifier that sees nothing
_SHOWN = 16
_FEWEST = 20  # calibration reals
_COVERS = "the drawing of generated samples and of the calibration reals that error rates are taken from"
_GAP_COVERS = "the drawing of the test reals that are changed; the spread of scores held fixed"


@dataclass(frozen=True, slots=True)
class AugmentationBias:
    """Leaks of seven augmentations by classifiers of calibration reals and their changed copies."""

    samples: int = 2000
    """Generated samples and test reals that are looked at, at most, of each."""
    reals: int = 500
    """Calibration reals that classifiers are fitted to, and test reals that are changed, at most; work grows with
    the cube of it."""
    folds: int = 5
    """Classifiers of each operation, so that every calibration real has an answer from one that has not seen it."""
    least: float = 0.4
    """How plainly reals and their changed copies must be told apart, sensitivity + specificity - 1, for a leak to be
    identifiable; 0.4 is what a judge has that is right 70 times of 100 on both."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="augmentation-bias",
        title="Augmentation bias",
        question="Does the generator make samples that only augmentation could have shown it?",
        needs=("values/fake",),
        wants=("values/calibration", "values/test", "values/train", "scores/test"),
        minimum={"values/fake": 2},
        measurements=(
            MeasurementSpec(
                key=_LEAK,
                title="Leak of {operation}",
                meaning="Share of generated samples that look changed by the operation, errors of the judge taken off.",
                unit="share of samples",
                better="lower",
                bounds=(0.0, 1.0),
                estimator="its entry of C^-1 q, cut to 0..1: q the answers of kernel ridge classifiers (16 x 16 places "
                "at most), C their confusion on held-out calibration reals and their changed copies (Rogan-Gladen; "
                "BBSE beside other operations that leak)",
            ),
            MeasurementSpec(
                key=_INVARIANCE,
                title="Invariance gap under {operation}",
                meaning="How far a discriminator's score moves when a real is changed: 0 does not see the change.",
                unit="interquartile ranges of real scores",
                better="none",
                bounds=(0.0, None),
                estimator="mean of |D(Tx) - D(x)| over test reals, divided by the interquartile range of D(x)",
            ),
        ),
        misleads=(
            "A leak is the share that no longer looks like reals but like changed reals, to a classifier of coarse "
            "places. Other defects can look alike: blurred samples pass for enlarged ones, odd colours for changed "
            "ones, so that both are told as a likeness where no record says that the operation was used. Where no "
            "mixture of reals and changed reals explains the scores, and the answer hangs on it, no leak is claimed, "
            "none is ruled out and no number given; a defect whose scores such a mixture does explain is still taken "
            "for a leak. An operation that "
            "leaves the data as they are, such as a mirror on symmetric shapes, cannot be seen and does no harm. "
            "Operations act at the usual strengths: a weaker one leaks at a higher rate than is told."
        ),
        references=(
            "Rogan and Gladen, Estimating Prevalence from the Results of a Screening Test, Am. J. Epidemiol. 107, 1978",
            "Lipton et al., Detecting and Correcting for Label Shift with Black Box Predictors, 2018, arXiv:1802.03916",
            "Lang and Reiczigel, Confidence limits for prevalence of disease, Prev. Vet. Med. 113, 2014",
            "Karras et al., Training GANs with Limited Data, 2020, arXiv:2006.06676 (leaks)",
            "Zhao et al., Differentiable Augmentation, 2020, arXiv:2006.10738 (operations)",
            "Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statist. 6, 1979",
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, least in (("folds", 2), ("samples", 2), ("reals", 20)):
            whole(getattr(self, name), name, least)
        if self.reals < 2 * self.folds:
            raise ValueError(f"reals: found {self.reals}; allowed: {2 * self.folds} or more, twice folds")
        proportion(self.least, "least")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return leaks, what single images show, distances to changed reals and what the discriminator sees."""
        shape = view.subject.sample.shape
        if len(shape) != 3:
            raise NotAssessable(f"the {len(OPERATIONS)} operations change images; found samples of shape {shape}")
        lacking, side = self._lacking(view), _plain_side(view)
        if side is None and lacking is not None:
            raise NotAssessable(f"{lacking}; and there are 0 test and train reals to hold samples against")
        # Train reals get chances of their own: they are looked at where there are no test reals, and move no leak.
        own = rng if side == "test" else np.random.default_rng(deepcopy(rng).integers(2**63))
        rows = self._rows(view, side, lacking, rng, own)
        fake = looked(view, "fake", rows["fake"])
        plain = None if side is None else looked(view, side, rows["plain"])
        asked = self._asked(view, rows, fake, plain, (rng, own), lacking)
        test = plain if side == "test" else None
        measurements = [self._leak(one, len(fake.described), test, view) for one in asked]
        measurements += [self._gap(one, view, rng) for one in asked]
        held, where = self._held(view, rows, side)
        shown = [
            *([] if plain is None else [trace_table(asked, fake, plain, str(side))]),
            *distance_table(asked, fake, held, (str(side), where), rng),
            *risk_table(asked),
        ]
        details: list[Detail] = [Note(text=_UNJUDGED.format(lacking, side)), *shown]
        if lacking is None:
            formula = Note(text=_FORMULA.format(self.folds, len(rows["calibration"])))
            details = [Note(text=verdict(asked, measurements, _LEAK)), leak_table(asked, self.least), *shown, formula]
        return Findings(measurements, details, _warnings(asked), {"alpha": ALPHA}, _exhibits(asked, rows["fake"]))

    def _rows(
        self, view: View, side: str | None, lacking: str | None, rng: np.random.Generator, own: np.random.Generator
    ) -> dict[str, list[int]]:
        fake = chosen(view, "fake", view.count("values/fake"), self.samples, rng)
        known, plain = [], []
        if lacking is None:
            known = chosen(view, "calibration", view.count("values/calibration"), self.reals, rng)
        if side is not None:
            plain = chosen(view, side, view.count(f"values/{side}"), self.samples, own)
        return {"fake": fake, "calibration": known, "plain": plain}

    def _lacking(self, view: View) -> str | None:
        """Return why there are no classifiers, and so no leaks, or None."""
        missing = view.missing("values/calibration")
        if missing is not None:
            return f"leaks need calibration reals, which the generator has not seen, to fit classifiers to: {missing}"
        there, needed = min(view.count("values/calibration"), self.reals), max(_FEWEST, 2 * self.folds)
        if there < needed:
            return f"leaks need {needed} calibration reals to fit classifiers to; there are {there}"
        return None

    def _asked(
        self, view: View, rows: Mapping[str, list[int]], fake: Looked, plain: Looked | None,
        chance: tuple[np.random.Generator, np.random.Generator], lacking: str | None,
    ) -> list[Asked]:  # fmt: skip
        training, sample = view.subject.training, view.subject.sample
        problems = {name: operation.problem(sample.shape) for name, operation in OPERATIONS.items()}
        usable = [operation for name, operation in OPERATIONS.items() if problems[name] is None]
        fills = {one.name: fill_of(training, one, sample.low, sample.high) for one in usable}
        rng, own = chance
        known = {} if lacking else copies(view, "calibration", rows["calibration"], usable, fills, rng)[0]
        side = _plain_side(view)
        changed, scores = (
            copies(view, side, self._changed(rows), usable, fills, own, asked=True) if side is not None else ({}, None)
        )
        visible = {name: made.described for name, made in known.items() if made.changed}
        others = plain.described if plain is not None and side == "test" else None
        still = [name for name, operation in OPERATIONS.items() if operation.isometry]
        panel = Panel(visible, fake.described, others, self.folds, self.least, rng, still)
        leaks = panel.leaks() if visible else {}
        claimed = [name for name, one in leaks.items() if one is not None and one.is_claimed]
        found = []
        for name, operation in OPERATIONS.items():
            seen = expected(training, operation)
            if problems[name] is not None:
                found.append(Asked(operation, seen, problems[name], gap_reason=problems[name] or ""))
                continue
            gap, why = _invariance(view, scores, changed.get(name))
            if lacking is not None:
                found.append(Asked(operation, seen, lacking, None, None, None, changed.get(name), gap, why))
                continue
            apart = panel.apart(name) if name in visible else 0.0
            leak = leaks.get(name)
            reason = strange(leak, operation) if leak else _unseen(known[name], operation, apart, panel.bar, claimed)
            likeliest = panel.likeliest(name) if name in claimed else None
            found.append(Asked(operation, seen, reason, leak, apart, likeliest, changed.get(name), gap, why))
        return found

    def _leak(self, one: Asked, n: int, real: Looked | None, view: View) -> Measurement:
        key, sizes = member(_LEAK, one.operation.name), {"fake": n}
        if one.reason is not None or one.leak is None:
            reason = one.reason if one.reason and any(map(str.isdigit, one.reason)) else f"{one.reason} (n = {n})"
            return Reading(None, sizes, reason=reason).measured(self.spec, key)
        base: Null | str = str(view.missing("values/test"))
        if real is not None and one.leak.real is not None:
            ends = one.leak.real.interval(0.95)
            count = len(real.described)
            rule = f"{count} test reals in place of generated samples, judged by the same classifiers"
            base = Null(value=cut(one.leak.real.value), low=ends.low, high=ends.high, n=count, rule=rule)
        around = interval_of(one.leak.fake.interval(0.95), "Lang-Reiczigel, states of one real together", _COVERS)
        return Reading(cut(one.leak.fake.value), sizes, around, base).measured(self.spec, key)

    def _gap(self, one: Asked, view: View, rng: np.random.Generator) -> Measurement:
        key = member(_INVARIANCE, one.operation.name)
        if one.gap is None or one.copies is None or one.copies.scores is None:
            n = 0 if one.copies is None else len(one.copies.described)
            reason = one.gap_reason if any(map(str.isdigit, one.gap_reason)) else f"{one.gap_reason} (n = {n})"
            return Reading(None, {"real": n}, reason=reason).measured(self.spec, key)
        n, scores = len(one.copies.scores), view["scores/test"].double()
        order = torch.from_numpy(rng.permutation(len(scores)))
        others = (scores[order] - scores[order.roll(1)]).abs() / _spread(scores)
        ends = student(others, 0.95)
        null = Null(value=float(others.mean()), low=max(0.0, ends.low), high=ends.high, n=len(others),
                    of="another real", rule="another test real in place of the changed copy")  # fmt: skip
        around = interval_of(one.gap.bounds, "Student", _GAP_COVERS)
        return Reading(one.gap.gap, {"real": n}, around, null).measured(self.spec, key)

    def _changed(self, rows: Mapping[str, list[int]]) -> list[int]:
        """Return the reals that are changed and shown to the discriminator."""
        return rows["plain"][:: max(1, -(-len(rows["plain"]) // self.reals))]

    def _held(self, view: View, rows: Mapping[str, list[int]], side: str | None) -> tuple[Tensor | None, str]:
        """Return other reals than those that are changed, described, and where they are from or why there are none."""
        if rows["calibration"]:
            return looked(view, "calibration", rows["calibration"]).described, "calibration reals"
        rest = sorted(set(rows["plain"]) - set(self._changed(rows)))
        if side is None or len(rest) < 2:
            return None, f"none but the {len(rows['plain'])} that are changed"
        return looked(view, side, rest).described, f"{side} reals that are not changed"


_UNJUDGED = (
    "No leak is looked for: {}. What {} reals alone can tell goes on: what single images show, distances to reals and "
    "to changed reals, and what the discriminator sees of a change where test reals are there to ask it about."
)
_FORMULA = (
    "Classifiers see at most 16 x 16 places of each channel, of samples as a file holds them. Each of {} is fitted to "
    "a part of {} calibration reals and their changed copies; error rates are those on the reals left out. A leak is "
    "claimed where generated samples are moved more often than calibration reals and than test reals, at 5 % over all "
    "operations together (Holm), unless another defect explains it: no mixture of reals and changed reals fits (1 %), "
    "and by the distance from the nearest, over what the judge tells apart, the share may be 0."
)


def _plain_side(view: View) -> str | None:
    """Return the reals that samples are held against as they are: test, else train ones, of which it takes two."""
    sides = ("test", "train")
    return next((s for s in sides if view.missing(f"values/{s}") is None and view.count(f"values/{s}") > 1), None)


def _spread(scores: Tensor) -> float:
    return float(scores.quantile(0.75) - scores.quantile(0.25))


def _invariance(view: View, scores: Tensor | None, changed: Copies | None) -> tuple[Invariance | None, str]:
    if changed is None:
        return None, str(view.missing("values/test") or "there are fewer than 2 test reals")
    if scores is None or changed.scores is None:
        return None, str(view.missing("scores/test"))
    if len(scores) < 2:
        return None, f"needs 2 test reals or more; there are {len(scores)}"
    spread = _spread(view["scores/test"].double())
    if not spread > 0:
        return None, f"{len(scores)} test reals all score alike: 0 spread to tell by"
    return invariance(scores, changed.scores, spread), ""


def _unseen(known: Copies, operation: Operation, apart: float, bar: float, claimed: Sequence[str]) -> str:
    """Return why the leak of an operation has no number."""
    n = len(known.described)
    if not known.changed:
        return f"not identifiable: {operation.name} changes none of {n} calibration reals"
    if claimed and apart >= bar:
        return (
            f"not identifiable: {n} calibration reals changed by {operation.name} cannot be told from those changed by "
            f"{' or '.join(claimed)}, which leaks"
        )
    return (
        f"not identifiable: {n} calibration reals and their changed copies are told apart by {apart:.2f} only "
        f"(sensitivity + specificity - 1; {bar:.2f} is needed): to this judge {operation.name} leaves the data as they "
        "are"
    )


def _warnings(asked: Sequence[Asked]) -> list[str]:
    return [
        f"generated samples look {one.operation.looks or f'changed by {one.operation.name}'}, though {one.doubt}: "
        "look at them for another defect"
        for one in asked
        if one.claimed and one.doubt
    ]


def _exhibits(asked: Sequence[Asked], rows: Sequence[int]) -> list[Exhibit]:
    shown = []
    for one in asked:
        if not one.claimed or one.likeliest is None:
            continue
        order = torch.argsort(one.likeliest, descending=True, stable=True)[:_SHOWN].tolist()
        shown.append(
            Exhibit(
                title=f"Generated samples that look most changed: {one.operation.law}",
                rule=f"the {len(order)} of {len(rows)} with the highest score of the judge of {one.operation.name}",
                side="fake",
                indices=[rows[i] for i in order],
            )
        )
    return shown
