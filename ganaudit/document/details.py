"""The closed set of shapes in which a result shows more than a number: table, curve, histogram, pictures, note."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

__all__ = [
    "Axis",
    "Curve",
    "Detail",
    "Gallery",
    "GalleryItem",
    "Histogram",
    "HistogramSeries",
    "Note",
    "Picture",
    "Record",
    "Rule",
    "Series",
    "Slider",
    "Table",
    "Triplet",
    "Triplets",
]


class Record(BaseModel):
    """A part of a document: frozen, without unknown keys, without numbers that are not finite."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, use_attribute_docstrings=True
    )


class Shown(Record):
    """What all shapes have in common."""

    volatile: bool = False
    """Whether each run measures it anew, as the machine and its load then are: equal audits differ in it."""


class Axis(Record):
    """An axis of a chart."""

    title: str
    log: bool = False


class Rule(Record):
    """A straight line across a chart at a value that matters, with its label."""

    at: FiniteFloat
    label: str
    orient: Literal["x", "y"] = "x"


class Series(Record):
    """One line of a curve; ``low`` and ``high`` draw a band around it."""

    name: str
    x: list[FiniteFloat]
    y: list[FiniteFloat]
    low: list[FiniteFloat] | None = None
    high: list[FiniteFloat] | None = None

    @model_validator(mode="after")
    def _of_one_length(self) -> Series:
        lengths = {len(values) for values in (self.x, self.y, self.low, self.high) if values is not None}
        if len(lengths) > 1:
            raise ValueError(f"series {self.name!r}: x, y, low and high must be of one length")
        return self


class Slider(Record):
    """A control that steps through the rows of a table, for whoever can use it; the table alone says as much."""

    label: str
    """What is moved."""
    start: int = Field(default=0, ge=0)
    """The row it stands on at first."""
    column: int = Field(default=0, ge=0)
    """The column that names a row as the control is moved."""
    marks: int | None = Field(default=None, ge=0)
    """The column whose texts name the rows that matter; other rows are empty there."""


class Table(Shown):
    """Rows under named columns."""

    kind: Literal["table"] = "table"
    title: str
    columns: list[str]
    rows: list[list[str | int | FiniteFloat | None]]
    slider: Slider | None = None
    """Where the rows are steps of one thing, such as a threshold."""
    folded: bool = False
    """Whether a page shows its title alone until a reader opens it: long tables that only back up shorter ones."""

    @model_validator(mode="after")
    def _rows_fit_columns(self) -> Table:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.title!r}: every row needs {len(self.columns)} cells")
        return self

    @model_validator(mode="after")
    def _slider_fits(self) -> Table:
        slider = self.slider
        if slider is None:
            return self
        if slider.start >= len(self.rows):
            raise ValueError(f"table {self.title!r}: the slider starts at row {slider.start} of {len(self.rows)}")
        if max(slider.column, slider.marks or 0) >= len(self.columns):
            raise ValueError(f"table {self.title!r}: the slider names a column that is not there")
        return self


class Curve(Shown):
    """One or more lines over a common axis, drawn as one chart."""

    kind: Literal["curve"] = "curve"
    title: str
    x: Axis
    y: Axis
    series: list[Series]
    rules: list[Rule] = Field(default_factory=list)
    points: bool = False
    """Whether each point is marked."""


class HistogramSeries(Record):
    """The heights of one histogram: shares of that series' own samples, in [0, 1]."""

    name: str
    shares: list[FiniteFloat]


class Histogram(Shown):
    """Shares per bin; bins are numeric (``edges``, one more than bins) or named (``labels``)."""

    kind: Literal["histogram"] = "histogram"
    title: str
    x: Axis
    edges: list[FiniteFloat] | None = None
    labels: list[str] | None = None
    series: list[HistogramSeries]
    rules: list[Rule] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_kind_of_bin(self) -> Histogram:
        if (self.edges is None) == (self.labels is None):
            raise ValueError("a histogram has either edges or labels")
        bins = len(self.labels) if self.labels is not None else len(self.edges or []) - 1
        if any(len(s.shares) != bins for s in self.series):
            raise ValueError(f"every series of this histogram needs {bins} shares")
        if self.edges is not None and any(b <= a for a, b in pairwise(self.edges)):
            raise ValueError("the edges of a histogram must rise")
        return self


class Picture(Record):
    """A picture shown: its file beside the document, and what proves it."""

    file: str
    """Path relative to the document."""
    sha256: str


class GalleryItem(Picture):
    """One sample shown, and what names it."""

    index: int
    """Its place in its source: sample i of the subject is (seed, i)."""
    caption: str = ""


class Gallery(Shown):
    """Samples as evidence, with the rule by which they were chosen."""

    kind: Literal["gallery"] = "gallery"
    title: str
    rule: str
    """The rule of selection, in plain words."""
    side: Literal["real", "fake"]
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    items: list[GalleryItem]


class Triplet(Record):
    """One sample before a change, the change made visible, and the sample after it."""

    index: int
    """Its place in its source, as in a gallery."""
    before: Picture
    change: Picture
    """``factor`` times the change, around the middle of the range."""
    after: Picture
    factor: FiniteFloat = Field(gt=0.0)
    norm: FiniteFloat = Field(ge=0.0)
    """Size of the change, in the unit of its triplets."""
    score_before: FiniteFloat
    score_after: FiniteFloat
    caption: str = ""


class Triplets(Shown):
    """Samples before and after a change as evidence, with the rule by which they were chosen."""

    kind: Literal["triplets"] = "triplets"
    title: str
    rule: str
    """The rule of selection, in plain words."""
    side: Literal["real", "fake"]
    unit: str
    """Which norm of the changes is told, and in which unit."""
    threshold: FiniteFloat | None = None
    """A score strictly below it is called generated."""
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    items: list[Triplet]


class Note(Shown):
    """A remark that belongs to a result."""

    kind: Literal["note"] = "note"
    text: str


Detail = Annotated[Table | Curve | Histogram | Gallery | Triplets | Note, Field(discriminator="kind")]
