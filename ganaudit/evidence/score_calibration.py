"""What scores say as probabilities, in tables: tests, recalibrations, the parts of the Brier score."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ganaudit.document.model import Table
from ganaudit.numerics.calibration import Brier, Calibration, CalibrationTest, Reliability
from ganaudit.numerics.detection_costs import LikelihoodRatioCost
from ganaudit.numerics.recalibration import Recalibrated

__all__ = ["MAPS", "brier_table", "recalibration_table", "tests_table"]

MAPS = {"temperature": "temperature", "isotonic": "isotonic", "platt": "Platt scaling"}
"""Recalibrations by the word of ``recalibrated``, as they are shown."""

_Cell = str | int | float | None


def tests_table(found: CalibrationTest, real: int, fake: int) -> Table:
    """Return tests that labels could have been drawn from the probabilities said, of ``real`` + ``fake`` samples."""
    rows: list[list[_Cell]] = [
        [
            "Dawid: do they add up to the reals found?",
            *_tested(found.z, found.z_p_value),
            "each label drawn from its probability, so that the number of reals is free; too cautious here, where it "
            "is fixed",
        ],
        [
            "Spiegelhalter: is the Brier score the one they promise?",
            *_tested(found.spiegelhalter, found.spiegelhalter_p_value),
            "as above; sees what cancels in the sum: above 0 too bold on both sides, below 0 too timid",
        ],
    ]
    sides = [None, None] if found.z_sides is None else [found.z_sides, found.p_value]
    fixed: list[_Cell] = [
        "Do they add up, over the scatter at these numbers of both sides? (z)",
        *sides,
        "exact for many samples; none where all probabilities of a side agree",
    ]
    return Table(
        title=f"Tests of calibration: Z is N(0, 1) for a calibrated critic ({real} reals, {fake} generated samples)",
        columns=["test", "Z", "p-value, two-sided", "law it is held against"],
        rows=[fixed, *rows],
    )


def _tested(z: float, p_value: float) -> list[_Cell]:
    # Infinite where probabilities of 0 or 1 are wrong: no number of a document, but the p-value is one.
    return [z if math.isfinite(z) else None, p_value]


def recalibration_table(
    found: Calibration,
    cost: LikelihoodRatioCost,
    maps: Mapping[str, Recalibrated | None],
    logits: tuple[Calibration, LikelihoodRatioCost] | None,
) -> Table:
    """Return errors and losses of raw scores, of their logits where they look like probabilities, and after maps."""
    columns = ["scores", "calibration error", "by chance alone", "p-value", "Z", "Brier score", "log-loss", "Cllr"]
    rows = [_row("raw", found, cost)]
    if logits is not None:
        rows.append(_row("logits of the scores, read as probabilities", *logits))
    for word, m in maps.items():
        name = MAPS[word]
        if m is None:
            rows.append([f"after {name}", *[None] * (len(columns) - 1)])
            continue
        known = f" ({m.temperature:.4g})" if m.temperature is not None else ""
        rows.append(_row(f"after {name}{known}", m.calibration, m.cost))
    return Table(title="What recalibration would give (no other number here uses it)", columns=columns, rows=rows)


def _row(name: str, found: Calibration, cost: LikelihoodRatioCost) -> list[_Cell]:
    z = found.test.z if found.test.z_sides is None else found.test.z_sides
    error = found.equal_mass
    values = [error.value, error.expected, error.p_value, z if math.isfinite(z) else None]
    return [name, *values, found.brier.value, found.log_loss.value, cost.value]


def brier_table(curve: Reliability, score: Brier) -> Table:
    """Return Murphy's parts of the Brier score and those within bins, with the sign they count with."""
    rows: list[list[_Cell]] = [
        ["reliability (adds)", score.reliability],
        ["resolution (takes off)", score.resolution],
        ["uncertainty of the labels (adds)", score.uncertainty],
        ["variance of probabilities within bins (adds)", score.within_variance],
        ["covariance with the labels within bins (takes off)", score.within_covariance],
        ["Brier score", score.value],
    ]
    return Table(title=f"The Brier score in {len(curve.count)} bins", columns=["part", "value"], rows=rows)
