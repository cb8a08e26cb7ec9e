"""How a training went, as the subject's own files tell it: tables and curves for a reader.

The record is a claim of the subject and hostile input like the rest of it: what has not the expected form stays among
the plain pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ganaudit.document.model import Axis, Curve, Rule, Series, Table

__all__ = ["history_of"]

_MOST = 100
_AT = "images"
_TITLES = {"looks": "Health while training", "audits": "Audits while training"}
_RATIOS = {"spread": "spread of generated over real", "rank": "effective rank of generated over real"}

Row = Mapping[str, Any]


def history_of(training: Mapping[str, Any]) -> tuple[dict[str, Any], list[Curve], list[Table]]:
    """Return what is left of the record as pairs, curves over the images shown, and the tables behind them."""
    pairs, curves, tables = dict(training), [], []
    for key, title in _TITLES.items():
        rows = _rows(training.get(key))
        if rows is None:
            continue
        del pairs[key]
        tables.append(_table(title, rows))
        curves += _health(rows) if key == "looks" else _measures(rows)
    return pairs, curves, tables


def _rows(found: Any) -> list[Row] | None:
    if not isinstance(found, list) or not 0 < len(found) <= _MOST:
        return None
    is_fit = all(isinstance(row, Mapping) and _number(row.get(_AT)) is not None and len(row) <= _MOST for row in found)
    return found if is_fit else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _table(title: str, rows: list[Row]) -> Table:
    names = list(dict.fromkeys(str(key) for row in rows for key in row if key != _AT))
    return Table(
        title=title,
        columns=[_AT, *names],
        rows=[[_cell(row.get(name)) for name in (_AT, *names)] for row in rows],
    )


def _cell(value: Any) -> str | int | float | None:
    if isinstance(value, list):
        return ", ".join(str(v) for v in value) or None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return value
    number = _number(value)
    return number if number is not None or value is None else str(value)


def _series(rows: list[Row], key: str, name: str) -> Series | None:
    points = [(_number(row[_AT]), _number(row.get(key))) for row in rows]
    kept = [(x, y) for x, y in points if x is not None and y is not None]
    return Series(name=name, x=[x for x, _ in kept], y=[y for _, y in kept]) if len(kept) > 1 else None


def _health(rows: list[Row]) -> list[Curve]:
    series = [s for key, name in _RATIOS.items() if (s := _series(rows, key, name)) is not None]
    if not series:
        return []
    return [
        Curve(
            title="Diversity while training",
            x=Axis(title="real images shown"),
            y=Axis(title="share of what reals show"),
            series=series,
            rules=[Rule(at=1.0, label="as reals", orient="y")],
            points=True,
        )
    ]


def _measures(rows: list[Row]) -> list[Curve]:
    keys = [k for k in dict.fromkeys(str(key) for row in rows for key in row) if k.count("/") == 1]
    found = [(key, s) for key in keys if (s := _series(rows, key, key)) is not None]
    # Measures have units of their own: a chart for each.
    return [
        Curve(
            title=f"{key} while training",
            x=Axis(title="real images shown"),
            y=Axis(title=key),
            series=[series],
            points=True,
        )
        for key, series in found[:4]
    ]
