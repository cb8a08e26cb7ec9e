"""What weakens a pass: everything that a reader must weigh before trusting the verdict, each with where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ganaudit.document.model import AuditDocument, Measurement
from ganaudit.report import words
from ganaudit.report.gate_cards import cards

__all__ = ["FEW", "Caution", "cautions"]

FEW = 100
"""Samples below which a number is named among what weakens a pass: a share then moves by a whole percentage point."""


@dataclass(frozen=True, slots=True)
class Caution:
    """One thing to weigh."""

    text: str
    evaluator: str = ""
    """The evaluator it belongs to; empty for the audit as a whole."""


def cautions(document: AuditDocument) -> list[Caution]:
    """Return what weakens a pass: of the judge, of the audit, of the gates, of the numbers, of each evaluator."""
    told = [Caution(text) for text in dict.fromkeys([*document.remarks, *document.warnings])]
    told += _of_the_gates(document)
    caution = document.extractor.caution
    if caution and not any(caution.lower().rstrip(".") in text.lower() for text in document.warnings):
        told.append(Caution(f"Extractor {document.extractor.id}: {caution}"))
    measured = [r for r in document.results if r.status == "measured"]
    for result in measured:
        told += [Caution(text, result.evaluator) for text in _masked(result.measurements)]
        told += [Caution(text, result.evaluator) for text in result.warnings]
    told += [Caution(text, result.evaluator) for result in measured for text in _few(result.measurements)]
    return told


def _of_the_gates(document: AuditDocument) -> Iterator[Caution]:
    for card in cards(document, document.verdicts):
        for line in card.lines:
            verdict = line.verdict
            if line.beyond_floor:
                yield Caution(
                    f"Gate {verdict.name} asks for more than the noise allows: its limit is "
                    f"{words.number(verdict.limit or 0.0)}, the noise floor {line.floor}",
                    verdict.measure.partition("/")[0],
                )
            found = document.measurement(verdict.measure)
            if verdict.outcome == "passed" and found is not None and line.alone:
                unsure = "; the chance of its limit alone was counted" if line.unsure_limit else ""
                yield Caution(
                    f"Gate {verdict.name} passed on a value alone: {found.title} has no interval "
                    f"({found.interval_reason}){unsure}",
                    verdict.measure.partition("/")[0],
                )


def _masked(measurements: list[Measurement]) -> Iterator[str]:
    for m in measurements:
        if m.key == "masking" and m.value:
            yield "Gradient masking was found: the attacks are not to be relied on, and robustness may be far lower"


def _few(measurements: list[Measurement]) -> Iterator[str]:
    # A count of operations rests on one sample and is none the worse for it: it has neither interval nor null.
    chancy = [m for m in measurements if m.value is not None and (m.interval or m.null) and not m.volatile]
    few = [m for m in chancy if 0 < m.n < FEW]
    if few:
        sizes = sorted({m.n for m in few})
        n = f"n = {sizes[0]}" if len(sizes) == 1 else f"n from {sizes[0]} to {sizes[-1]}"
        keys = ", ".join(m.key for m in few[:3]) + (f" and {len(few) - 3} more" if len(few) > 3 else "")
        yield f"Few samples: {keys} rest{'s' if len(few) == 1 else ''} on {n}, below {FEW}"
