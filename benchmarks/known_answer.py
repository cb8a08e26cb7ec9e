"""One known answer beside what is measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Answer", "several"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A number whose value is known by other means."""

    id: str
    what: str
    expected: float | int
    measured: float | int
    tolerance: float
    """The largest distance that counts as met; 0: equal."""
    test: str
    """The test that holds it, by file and name."""
    remark: str = ""
    """How the tolerance comes about, or why the answer cannot be met as it was written."""

    @property
    def off(self) -> float:
        """The distance of the measured from the expected."""
        return abs(float(self.measured) - float(self.expected))

    @property
    def met(self) -> bool:
        """Whether that is within the tolerance."""
        return self.off <= self.tolerance


def several(
    id: str, test: str, rows: Iterable[tuple[str, float | int, float | int, float]], remark: str = ""
) -> Iterator[Answer]:
    """Yield answers of one id and one test from (what, expected, measured, tolerance)."""
    for what, expected, measured, tolerance in rows:
        yield Answer(id, what, expected, measured, tolerance, test, remark)
