"""The data of a chart as a table of few rows, for a page that has no room for the chart."""

from __future__ import annotations

import math

from ganaudit.document.model import Curve, Histogram, Table
from ganaudit.report.words import count, number

__all__ = ["data_table"]

Cell = str | int | float | None
_MOST_BANDS = 2
"""Lines of one table whose bands have room beside them."""
_LEAST = 3
"""Points of a line that has rows of its own: both ends and the middle."""


def data_table(detail: Curve | Histogram, most: int) -> tuple[Table, str]:
    """Return about ``most`` rows of a chart's data, and what a reader must know of them; empty where nothing.

    Points of lines are taken evenly, with both ends; bins are put together by their sums, named ones cut.
    """
    return _curve(detail, most) if isinstance(detail, Curve) else _histogram(detail, most)


def _curve(detail: Curve, most: int) -> tuple[Table, str]:
    series = detail.series
    longest = max((len(s.x) for s in series), default=0)
    if series and all(s.x == series[0].x for s in series):
        kept = _evenly(longest, most)
        columns, across = [detail.x.title], [_picked(series[0].x, kept)]
        banded = len(series) <= _MOST_BANDS
        for s in series:
            columns.append(s.name if len(series) > 1 else detail.y.title)
            across.append(_picked(s.y, kept))
            if banded and s.low is not None and s.high is not None:
                columns.append("band" if len(series) == 1 else f"band of {s.name}")
                across.append([f"{number(s.low[i])} to {number(s.high[i])}" for i in kept])
        rows = [list(row) for row in zip(*across, strict=True)]
    else:
        banded, each = False, max(_LEAST, most // max(1, len(series)))
        columns = ["line", detail.x.title, detail.y.title]
        rows = [[s.name, s.x[i], s.y[i]] for s in series for i in _evenly(len(s.x), each)]
        kept = _evenly(longest, each)
    told = [f"{len(kept)} of {count(longest)} points, evenly spaced"] if len(kept) < longest else []
    told += ["without bands"] if not banded and any(s.low is not None for s in series) else []
    return Table(title=detail.title, columns=columns, rows=rows), ", ".join(told)


def _picked(values: list[float], kept: list[int]) -> list[Cell]:
    return [values[i] for i in kept]


def _histogram(detail: Histogram, most: int) -> tuple[Table, str]:
    columns = [detail.x.title, *(s.name for s in detail.series)]
    shares = [s.shares for s in detail.series]
    if detail.labels is not None:
        named: list[list[Cell]] = [
            [label, *(s[i] for s in shares)] for i, label in enumerate(detail.labels[: max(1, most)])
        ]
        told = "" if len(named) == len(detail.labels) else f"the first {len(named)} of {count(len(detail.labels))} bins"
        return Table(title=detail.title, columns=columns, rows=named), told
    edges = detail.edges or []
    bins = len(edges) - 1
    step = max(1, math.ceil(bins / max(1, most)))
    rows: list[list[Cell]] = [
        [
            f"{number(edges[i])} to {number(edges[min(i + step, bins)])}",
            *(math.fsum(s[i : i + step]) for s in shares),
        ]
        for i in range(0, bins, step)
    ]
    return Table(title=detail.title, columns=columns, rows=rows), "" if step == 1 else f"bins put together by {step}"


def _evenly(n: int, most: int) -> list[int]:
    if n <= most:
        return list(range(n))
    return sorted({round(i * (n - 1) / max(1, most - 1)) for i in range(most)})
