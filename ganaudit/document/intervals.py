"""What a number is held against before anybody judges it: its interval, and its null."""

from __future__ import annotations

from pydantic import Field, FiniteFloat, model_validator

from ganaudit.document.details import Record

__all__ = ["Interval", "Null"]


class Interval(Record):
    """A range that holds the quantity with the given confidence, and what variation that confidence is about."""

    low: FiniteFloat
    high: FiniteFloat
    level: float = Field(default=0.95, gt=0.0, lt=1.0)
    """Confidence, in (0, 1)."""
    method: str
    """How it was computed, in the field's terms."""
    covers: str
    """Which variation it covers, in plain words; anything else is not in it."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Interval:
        # A gate takes both ends at their word: turned round, every limit between them would be met.
        if self.low > self.high:
            raise ValueError(f"an interval's low must not be above its high; found {self.low:g}, {self.high:g}")
        return self


_OF_REALS = "real against real"


class Null(Record):
    """What the statistic comes to where there is nothing to find: as a rule the same, real samples against real."""

    value: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    n: int
    """Samples on the side that stood in for the generated ones."""
    of: str = _OF_REALS
    """What it was taken from in a few words, where it is something else than reals against reals: random noise."""
    rule: str
    """How it was made: which real samples were compared with which."""
    p_value: float | None = Field(default=None, ge=0.0, le=1.0)
    """Of a test that the value is as this null, where one was made; it then decides, not the ranges. Two-sided, or of
    larger values alone where only these tell of a defect, as for a distance of shares."""

    @property
    def otherwise(self) -> str:
        """What it was taken from where that is not reals against reals; else empty."""
        return "" if self.of == _OF_REALS else self.of
