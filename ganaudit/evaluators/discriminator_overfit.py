"""Whether the discriminator knows the reals it was trained on by heart: its scores of them, of others, of generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Detail, Measurement, Note, Null, Rule, Table
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec
from ganaudit.evidence.score_cautions import score_cautions
from ganaudit.evidence.score_charts import score_laws
from ganaudit.evidence.score_quality import overfit_ratio, overfit_spec
from ganaudit.evidence.score_sides import interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.detection import conformal_threshold, false_positive_rate
from ganaudit.numerics.overfit import Overfit, discriminator_overfit

__all__ = ["DiscriminatorOverfit"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_RATE = 0.05


@dataclass(frozen=True, slots=True)
class DiscriminatorOverfit:
    """How far the scores of unseen reals have fallen from those of train reals."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="discriminator-overfit",
        title="Overfitting of the discriminator",
        question="Does the discriminator score the reals of its training unlike reals it has never seen?",
        needs=("scores/train", "scores/test", "scores/fake"),
        wants=("scores/calibration",),
        minimum={"scores/train": 2, "scores/test": 2, "scores/fake": 2},
        measurements=(
            overfit_spec("r-v"),
            MeasurementSpec(
                key="r-t",
                title="Mean sign of train scores r_t",
                meaning="1: the discriminator calls all train reals real about 0; -1: none of them.",
                unit="mean sign",
                better="none",
                bounds=(-1.0, 1.0),
                estimator="mean of the sign of raw scores; a score of 0 counts as neither",
            ),
            MeasurementSpec(
                key="seen-over-unseen",
                title="Train reals over unseen ones",
                meaning="Chance that a train real scores above an unseen one; 0.5 is nothing learnt by heart.",
                unit="probability",
                better="target",
                target=0.5,
                bounds=(0.0, 1.0),
                estimator="Mann-Whitney on raw scores, ties count half",
            ),
        ),
        misleads=(
            "It takes the train split of the reference for the reals that the discriminator was trained on: where it "
            "was not, or where training used other crops or mirrored copies, the gap comes out too small. Train and "
            "test reals of two sources differ without any overfitting. r_t is read about a score of 0, which means "
            "nothing for critics whose objective fixes differences only (relativistic, Wasserstein)."
        ),
        references=(
            "Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, arXiv:2006.06676",
            "Fieller, Some Problems in Interval Estimation, 1954",
        ),
    )

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return both ratios and the rank of train over unseen reals, and the same of calibration reals as null."""
        train, test, fake = view["scores/train"], view["scores/test"], view["scores/fake"]
        found = discriminator_overfit(train, test, fake)
        stand_in = view["scores/calibration"] if view.missing("scores/calibration") is None else None
        why_not = view.missing("scores/calibration")
        null = None
        if stand_in is not None:
            null = discriminator_overfit(stand_in, test, fake) if len(stand_in) > 1 else None
            why_not = None if null else "needs 2 calibration reals"
        measurements = self._measured(found, null, why_not, {"train": train, "test": test, "fake": fake}, stand_in)
        laws = {"train reals": train, "test reals": test, "generated": fake}
        rules = [Rule(at=mean, label=f"mean: {name}") for name, mean in zip(laws, found.means, strict=True)]
        details: list[Detail] = [score_laws(laws, rules), _laws(laws), *_train_threshold(train, test)]
        warnings = score_cautions(test, fake, stand_in, train)
        by_heart = found.seen_over_unseen.interval(0.95).low
        if by_heart > (0.5 if null is None else null.seen_over_unseen.interval(0.95).high):
            warnings.append(
                f"the discriminator knows reals of its training (they score above unseen ones with chance "
                f"{found.seen_over_unseen.value:.3f}): a threshold set on train reals promises nothing"
            )
        return Findings(measurements, details, warnings)

    def _measured(
        self,
        found: Overfit,
        null: Overfit | None,
        why_not: str | None,
        sides: dict[str, Tensor],
        stand_in: Tensor | None,
    ) -> list[Measurement]:
        sizes = {side: len(scores) for side, scores in sides.items()}
        n = 0 if stand_in is None else len(stand_in)
        nulls = _nulls(null, n)
        drawn = "the drawing of train reals; not the training of the discriminator"
        sign = interval_of(found.sign_bounds, "Clopper-Pearson of the share above 0", drawn)
        pair = {side: sizes[side] for side in ("train", "test")}
        return [
            overfit_ratio(found, sizes, null, n, why_not or "").measured(self.spec, "r-v"),
            self.spec.measurement(
                "r-t", found.sign, {"train": sizes["train"]}, interval=sign, null=nulls.get("r-t"), null_reason=why_not
            ),
            self.spec.measurement(
                "seen-over-unseen",
                found.seen_over_unseen.value,
                pair,
                interval=interval_of(
                    found.seen_over_unseen.interval(0.95),
                    "DeLong, logit scale",
                    "the drawing of train and test reals; not the training of the discriminator",
                ),
                null=nulls.get("seen-over-unseen"),
                null_reason=why_not,
            ),
        ]


def _nulls(null: Overfit | None, n: int) -> dict[str, Null]:
    if null is None:
        return {}
    rule = f"{n} calibration reals in place of train reals"
    area = null.seen_over_unseen.interval(0.95)
    return {
        "r-t": Null(value=null.sign, low=null.sign_bounds.low, high=null.sign_bounds.high, n=n, rule=rule),
        "seen-over-unseen": Null(value=null.seen_over_unseen.value, low=area.low, high=area.high, n=n, rule=rule),
    }


def _laws(laws: dict[str, Tensor]) -> Table:
    rows: list[list[str | int | float | None]] = []
    for name, scores in laws.items():
        quantiles = torch.quantile(scores, scores.new_tensor(_QUANTILES)) if len(scores) < 2**24 else None
        cells = [None] * len(_QUANTILES) if quantiles is None else quantiles.tolist()
        rows.append([name, len(scores), float(scores.mean()), float(scores.std(correction=1)), *cells])
    columns = ["", "samples", "mean", "standard deviation", *(f"{100 * q:g} % quantile" for q in _QUANTILES)]
    return Table(title="Laws of the scores", columns=columns, rows=rows)


def _train_threshold(train: Tensor, test: Tensor) -> list[Note]:
    at = conformal_threshold(train, _RATE)
    if at is None:
        return []
    text = (
        f"A threshold set on train reals for {_RATE:.0%} of reals calls {false_positive_rate(test, at):.1%} of "
        f"{len(test)} test reals generated. Thresholds are set on calibration reals for this reason."
    )
    return [Note(text=text)]
