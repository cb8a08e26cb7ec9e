"""What scores say as probabilities, in tables: tests, recalibrations, the parts of the Brier score."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ganaudit.document.model import Table
from ganaudit.evidence.score_sides import BOTH, Reading, interval_of
from ganaudit.numerics.calibration import Brier, Calibration, CalibrationTest, Reliability
from ganaudit.numerics.detection_costs import LikelihoodRatioCost
from ganaudit.numerics.intervals import Bounds, normal
from ganaudit.numerics.recalibration import Line, Recalibrated

__all__ = ["MAPS", "boldness", "brier_table", "in_words", "line_readings", "recalibration_table", "tests_table"]

MAPS = {"temperature": "temperature", "isotonic": "isotonic", "platt": "Platt scaling"}
"""Recalibrations by the word of ``recalibrated``, as they are shown."""

_Cell = str | int | float | None


def tests_table(found: CalibrationTest, real: int, fake: int) -> Table:
    """Return tests that labels could have been drawn from the probabilities said, of ``real`` + ``fake`` samples."""
    rows: list[list[_Cell]] = [
        [
            "Dawid: do they add up to the share of reals?",
            *_tested(found.z, found.z_p_value),
            "each label drawn as its score says, so that the number of reals is free; too cautious here, where it is "
            "fixed",
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
        known = f" ({m.line.slope:.4g} score {m.line.offset:+.4g})" if m.line is not None else known
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


def line_readings(line: Line | None, sizes: Mapping[str, int], why_not: str) -> dict[str, Reading]:
    """Return slope and offset of Platt scaling with normal intervals; ``why_not`` says why there is no line."""
    keys = ("platt-slope", "platt-offset")
    if line is None:
        return {key: Reading(None, sizes, reason=why_not) for key in keys}
    method = "normal, sandwich standard error"
    nothing = "reals cannot be told from reals, so the best slope and offset for them are 0, whatever the scores are"
    return {
        key: Reading(value, sizes, interval_of(normal(value, error, 0.95), method, BOTH), nothing)
        for key, value, error in zip(
            keys, (line.slope, line.offset), (line.slope_error, line.offset_error), strict=True
        )
    }


def boldness(line: Line) -> str:
    """Return in words what Platt scaling says of scores: by which factor too bold or too timid, and how far shifted.

    Concluded from 95 % intervals: a slope that may be 1 is near 1, an offset that may be 0 is none.
    """
    slope, offset = normal(line.slope, line.slope_error, 0.95), normal(line.offset, line.offset_error, 0.95)
    told = f"Platt scaling finds slope {_span(line.slope, slope)} and offset {_span(line.offset, offset)}: scores "
    if slope.high < 0:
        told += "point the wrong way"
    elif slope.low <= 0:
        told += "tell too little for a slope"
    elif slope.low > 1:
        told += f"are {line.slope:.3g} times too timid"
    else:
        told += f"are {1 / line.slope:.3g} times too bold" if slope.high < 1 else "have about the right scale"
    if offset.low <= 0 <= offset.high:
        return told + " and no offset that can be told from 0."
    return told + f" and shifted: {line.offset:+.3g} nats put them right."


def in_words(found: Calibration, temperature: float | None, line: Line | None, constant: bool) -> str:
    """Return what was found in a paragraph: the error against chance, and what would put the scores right.

    ``constant`` says that all scores are one number.
    """
    error = found.equal_mass
    verdict = "more than chance explains" if error.p_value < 0.05 else "what chance alone can make of calibrated scores"
    text = f"The calibration error of {error.value:.3g} is {verdict} (p = {error.p_value:.2g}, by chance "
    text += f"{error.expected:.3g}). Uninformative scores have a Brier score of {found.brier.uncertainty:.3f} and a "
    text += f"log-loss of {math.log(2):.3f}: all means count both sides alike, whatever their sizes."
    if constant:
        return f"{text} All scores are one number, constant: they are read as no probabilities, and no map helps them."
    if line is not None:
        text += f" {boldness(line)}"
    if temperature is None:
        return text
    return (
        f"{text} The best divisor without an offset, the temperature, is {temperature:.3g}; an offset moves it, so "
        "slope and offset tell what scores are, not the temperature."
    )


def _span(value: float, bounds: Bounds) -> str:
    return f"{value:.3g} ({bounds.low:.3g} to {bounds.high:.3g})"
