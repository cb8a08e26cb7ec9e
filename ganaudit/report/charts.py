"""The only place that draws: details and measurements as static SVG, by Altair and vl-convert.

Every chart is inline markup without script, style attribute or address. Texts and axes are drawn in ``currentColor``,
so they follow the page's light and dark colours. Series differ in colour and in dash, shape or fill. Equal input gives
equal bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode

from ganaudit.document.model import Axis, Curve, Histogram, Measurement, Rule, Series
from ganaudit.report.chart_style import (
    COLOURS,
    COLUMN_PADDING,
    FILLS,
    MOST_SERIES,
    SHAPES,
    Spec,
    axis,
    colour,
    cycle,
    drawable_rules,
    evenly,
    first,
    layered,
    legend,
    line_channels,
    part,
    percent,
    rule_layers,
    scale,
    stacked,
    styled,
    tell_rules,
    unique,
)
from ganaudit.report.svg import Chart, ChartError
from ganaudit.report.words import count, direction, number, plain, span

__all__ = ["ChartError", "curve", "histogram", "measurements", "trend"]

_WIDTH = 560
_HEIGHT = 230
_TREND = (150, 34)
_MOST_POINTS = 400
_MOST_BINS = 120
_MOST_LABELS = 30
_MOST_NUMBERS = 24
_NAMES = 190
"""The most room that row names take in the interval plot."""

_VALIDATES = False
"""Whether a whole specification is held against Vega-Lite's schema, as the tests have it for every kind of chart."""
_Row = dict[str, Any]


@debug_mode(False)  # else Altair checks each piece as it is made: half the time of making it
def curve(detail: Curve, prefix: str = "chart") -> Chart:
    """Draw lines over a common axis, with their bands, points and rules; ids start with ``prefix``.

    Raises ChartError when a series' x, y and band differ in length, or when nothing can be drawn.
    """
    notes: list[str] = []
    series = first(detail.series, MOST_SERIES, "series", notes)
    names = unique([s.name for s in series])
    rows = [row for name, s in zip(names, series, strict=True) for row in _points(name, s, notes)]
    rows = _on_log_axes(rows, detail, notes)
    if not rows:
        raise ChartError("there is no point to draw")
    rules = drawable_rules(detail.rules, detail.x.log, detail.y.log, notes)
    layers = _lines(rows, names, detail) + rule_layers(rules, [r["x"] for r in rows], detail.x.log)
    told = [_tell_line(name, [r for r in rows if r["series"] == name]) for name in names]
    # The legend is the lines' own, so that it shows their dashes; points and bands would turn it into blobs.
    own = {"legend": {"color": "independent", "strokeDash": "independent", "shape": "independent"}}
    chart = layered(layers, resolve=own)
    values = [r[key] for r in rows for key in ("x", "y", "low", "high")]
    return _finish(chart, detail.title, [*told, *tell_rules(rules), *notes], rules, values, prefix)


@debug_mode(False)
def histogram(detail: Histogram, prefix: str = "chart") -> Chart:
    """Draw shares per bin: overlaid steps over numeric bins, grouped bars over named ones.

    Raises ChartError when there is nothing to draw.
    """
    notes: list[str] = []
    series = first(detail.series, MOST_SERIES, "series", notes)
    names = unique([s.name for s in series])
    shares = [list(s.shares) for s in series]
    if not shares or not shares[0]:
        raise ChartError("there is no bin to draw")
    draw = _steps if detail.labels is None else _bars
    chart, told, rules = draw(detail, names, shares, notes)
    values = [*(detail.edges or []), *(share for one in shares for share in one)]
    return _finish(chart, detail.title, [*told, *tell_rules(rules), *notes], rules, values, prefix)


@debug_mode(False)
def measurements(rows: Sequence[Measurement], prefix: str = "chart") -> Chart:
    """Draw each number with its interval, and its null with its range, on an axis in its own unit.

    Numbers of one unit and similar size share an axis. Raises ChartError when no number has a value.
    """
    notes: list[str] = []
    drawn = first([m for m in rows if m.value is not None], _MOST_NUMBERS, "numbers", notes)
    if not drawn:
        raise ChartError("no number has a value")
    titles = unique([m.title for m in drawn])
    groups = _alike(drawn)
    room = min(_NAMES, 40 + 6 * max(map(len, titles)))
    panels = [_panel([(titles[i], drawn[i]) for i in group], room, top=group is groups[0]) for group in groups]
    chart = stacked(panels, spacing=18, resolve={"scale": {"x": "independent", "y": "independent"}})
    told = [_tell_measurement(m) for m in drawn]
    return _finish(
        chart,
        "Numbers with their intervals and nulls",
        [*told, *notes],
        [],
        [end for m in drawn for end in _extent(m)],
        prefix,
    )


@debug_mode(False)
def trend(values: Sequence[float], title: str, prefix: str = "chart") -> Chart:
    """Draw values in their order as a small line without axes, the last one marked; ids start with ``prefix``.

    Raises ChartError when there are fewer than two.
    """
    if len(values) < 2:
        raise ChartError("a trend needs two values")
    notes: list[str] = []
    rows = [{"x": i, "y": values[i]} for i in evenly(len(values), _MOST_POINTS, notes)]
    x = alt.X("x:Q", axis=None, scale=alt.Scale(zero=False, nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(zero=False, nice=False))
    line = alt.Chart().mark_line(strokeWidth=2, color=COLOURS[0], aria=False).encode(x=x, y=y)
    end = alt.Chart().mark_point(filled=True, size=55, opacity=1, color=COLOURS[0], aria=False).encode(x=x, y=y)
    chart = layered([part(rows, line), part(rows[-1:], end)], width=_TREND[0], height=_TREND[1])
    told = f"{count(len(values))} values from {number(values[0])} to {number(values[-1])}"
    ends = f"lowest {number(min(values))}, highest {number(max(values))}"
    return _finish(chart | {"autosize": "pad"}, f"Trend of {title}", [told, ends, *notes], [], values, prefix)


# --- curves ----------------------------------------------------------------------------------------------------------


def _points(name: str, s: Series, notes: list[str]) -> list[_Row]:
    low, high = (s.y, s.y) if s.low is None or s.high is None else (s.low, s.high)
    if not len(s.x) == len(s.y) == len(low) == len(high):
        raise ChartError(f"series {s.name!r} has x, y and band of different lengths")
    return [
        {"series": name, "i": i, "x": s.x[i], "y": s.y[i], "low": low[i], "high": high[i]}
        for i in evenly(len(s.x), _MOST_POINTS, notes)
    ]


def _on_log_axes(rows: list[_Row], detail: Curve, notes: list[str]) -> list[_Row]:
    kept = [r for r in rows if (r["x"] > 0 or not detail.x.log) and (r["y"] > 0 or not detail.y.log)]
    lost = len(rows) - len(kept)
    if lost:
        points = "1 point" if lost == 1 else f"{count(lost)} points"
        notes.append(f"{points} at or below zero cannot be drawn on a logarithmic axis")
    if detail.y.log:
        floor = min((r["y"] for r in kept), default=1.0)
        kept = [{**r, "low": max(r["low"], floor), "high": max(r["high"], floor)} for r in kept]
    return kept


def _lines(rows: list[_Row], names: list[str], detail: Curve) -> list[Spec]:
    x = alt.X("x:Q", title=plain(detail.x.title), scale=scale(detail.x), axis=_ticks(detail.x, [r["x"] for r in rows]))
    ticks = _ticks(detail.y, [r["y"] for r in rows])
    y = alt.Y("y:Q", title=plain(detail.y.title), scale=scale(detail.y), axis=ticks)
    base = alt.Chart().encode(x=x)
    layers = []
    if any(s.low is not None and s.high is not None for s in detail.series):
        band = base.mark_area(opacity=0.18, aria=False)
        low = alt.Y("low:Q", title=plain(detail.y.title), scale=scale(detail.y), axis=ticks)
        layers.append(band.encode(y=low, y2=alt.Y2("high:Q"), color=colour(names, keyed=False)))
    line = base.mark_line(strokeWidth=2, strokeJoin="round").encode(y=y, **line_channels(names))
    layers.append(line.encode(order=alt.Order("i:Q"), description=alt.Description("series:N")))
    if detail.points or len(rows) <= len(names):
        rows = [{**r, "say": f"{r['series']}: {number(r['x'])}, {number(r['y'])}"} for r in rows]
        shape = alt.Shape("series:N", scale=alt.Scale(domain=names, range=cycle(SHAPES, names)), legend=None)
        points = base.mark_point(size=46, filled=True, opacity=1).encode(y=y, color=colour(names, keyed=False))
        layers.append(points.encode(shape=shape, description=alt.Description("say:N")))
    return [part(rows, layer) for layer in layers]


def _ticks(of: Axis, values: list[float]) -> alt.Axis:
    return axis(values) if of.log else axis()


def _tell_line(name: str, rows: list[_Row]) -> str:
    if not rows:
        return f"{name}: no point drawn"
    start, end = rows[0], rows[-1]
    ends = f"from ({number(start['x'])}, {number(start['y'])}) to ({number(end['x'])}, {number(end['y'])})"
    ys = [r["y"] for r in rows]
    return f"{name}: {ends}, y between {number(min(ys))} and {number(max(ys))}, {count(len(rows))} points"


# --- histograms ------------------------------------------------------------------------------------------------------

_Drawn = tuple[Spec, list[str], list[Rule]]


def _steps(detail: Histogram, names: list[str], shares: list[list[float]], notes: list[str]) -> _Drawn:
    edges, shares = _merged(list(detail.edges or []), shares, notes)
    log = detail.x.log and edges[0] > 0
    if detail.x.log and not log:
        notes.append("the axis is linear: its lowest edge is not above zero")
    over = Axis(title=detail.x.title, log=log)
    rows = [
        {"series": name, "i": i, "x": edge, "y": heights[min(i, len(heights) - 1)]}
        for name, heights in zip(names, shares, strict=True)
        for i, edge in enumerate(edges)
    ]
    x = alt.X("x:Q", title=plain(over.title), scale=scale(over, nice=False), axis=_ticks(over, edges))
    y = alt.Y("y:Q", title="share of samples", stack=None, axis=axis(format=".1~%"))
    base = alt.Chart().encode(x=x, y=y)
    area = base.mark_area(interpolate="step-after", opacity=0.2, aria=False).encode(color=colour(names))
    line = base.mark_line(interpolate="step-after", strokeWidth=2).encode(**line_channels(names))
    line = line.encode(description=alt.Description("series:N"))
    rules = drawable_rules(detail.rules, log, False, notes)
    layers = [part(rows, area), part(rows, line), *rule_layers(rules, edges, log)]
    return layered(layers), [_tell_steps(n, edges, h) for n, h in zip(names, shares, strict=True)], rules


def _merged(edges: list[float], shares: list[list[float]], notes: list[str]) -> tuple[list[float], list[list[float]]]:
    bins = len(edges) - 1
    if bins <= _MOST_BINS:
        return edges, shares
    step = math.ceil(bins / _MOST_BINS)
    notes.append(f"{count(bins)} bins drawn as groups of {step}")
    starts = range(0, bins, step)
    return [edges[i] for i in starts] + edges[-1:], [[math.fsum(s[i : i + step]) for i in starts] for s in shares]


def _tell_steps(name: str, edges: list[float], heights: list[float]) -> str:
    top = max(range(len(heights)), key=heights.__getitem__)
    total = math.fsum(heights)
    told = f"{name}: fullest bin [{number(edges[top])}, {number(edges[top + 1])}] with {percent(heights[top])}"
    if total <= 0:
        return told
    mean = math.fsum(h / total * (lo / 2 + hi / 2) for h, (lo, hi) in zip(heights, pairwise(edges), strict=True))
    return f"{told}, mean about {number(mean)}"


def _bars(detail: Histogram, names: list[str], shares: list[list[float]], notes: list[str]) -> _Drawn:
    labels = unique(first(detail.labels or [], _MOST_LABELS, "bins", notes))
    rows = [
        {"series": name, "bin": label, "y": height, "say": f"{name}, {label}: {percent(height)}"}
        for name, heights in zip(names, shares, strict=True)
        for label, height in zip(labels, heights, strict=False)
    ]
    upright = len(labels) <= 14 and max(map(len, labels)) <= 9
    key = legend(names, bars=True)
    bars = alt.Chart().mark_bar(strokeWidth=1.5)
    bars = bars.encode(
        fill=alt.Fill("series:N", scale=alt.Scale(domain=names, range=cycle(FILLS, names)), legend=key),
        stroke=alt.Stroke("series:N", scale=alt.Scale(domain=names, range=cycle(COLOURS, names)), legend=key),
        description=alt.Description("say:N"),
    )
    title, height = plain(detail.x.title), axis(format=".1~%")
    if upright:
        x = alt.X("bin:N", sort=None, title=title, axis=alt.Axis(labelAngle=0, grid=False))
        y = alt.Y("y:Q", title="share of samples", axis=height, stack=None)
        bars = bars.encode(x=x, xOffset=alt.XOffset("series:N", sort=names), y=y)
    else:
        y = alt.Y("bin:N", sort=None, title=title, axis=alt.Axis(grid=False, labelLimit=_NAMES))
        x = alt.X("y:Q", title="share of samples", axis=height, stack=None)
        bars = bars.encode(y=y, yOffset=alt.YOffset("series:N", sort=names), x=x)
    rules = drawable_rules([r for r in detail.rules if upright and r.orient == "y"], False, False, notes)
    tall = _HEIGHT if upright else len(labels) * max(14, 8 * len(names) + 4)
    chart = layered([part(rows, bars), *rule_layers(rules, [], False)], height=tall)
    return chart, [_tell_bars(n, labels, h) for n, h in zip(names, shares, strict=True)], rules


def _tell_bars(name: str, labels: list[str], heights: list[float]) -> str:
    return f"{name}: " + ", ".join(f"{label} {percent(h)}" for label, h in zip(labels, heights, strict=False))


# --- numbers with intervals ------------------------------------------------------------------------------------------

_SIDES = ["this generator", "null"]


def _alike(rows: Sequence[Measurement]) -> list[list[int]]:
    groups: list[list[int]] = []
    for i, m in enumerate(rows):
        home = next((g for g in groups if rows[g[0]].unit == m.unit and _similar([rows[j] for j in g], m)), None)
        if home is None:
            groups.append([i])
        else:
            home.append(i)
    return groups


def _similar(group: list[Measurement], m: Measurement) -> bool:
    sizes = [max(map(abs, _extent(one))) for one in [*group, m]]
    return max(sizes) <= 12 * min(sizes)


def _extent(m: Measurement) -> list[float]:
    ends = [m.value]
    ends += [m.interval.low, m.interval.high] if m.interval else []
    ends += [m.null.value, m.null.low, m.null.high] if m.null else []
    return [e for e in ends if e is not None]


def _panel(group: list[tuple[str, Measurement]], room: int, top: bool) -> Spec:
    rows = [row for title, m in group for row in _marks(title, m)]
    ways = sorted({direction(m)[1] for _, m in group})
    unit = plain(group[0][1].unit) or "no unit"
    over = f"{unit} ({ways[0]})" if len(ways) == 1 else unit
    names = alt.Axis(minExtent=room, maxExtent=room, labelLimit=room - 24, ticks=False, grid=False, domain=False)
    lanes = alt.YOffset("side:N", sort=_SIDES, scale=alt.Scale(domain=_SIDES))
    y = alt.Y("row:N", sort=None, title=None, axis=names)
    spread = alt.Scale(zero=False, nice=True)
    base = alt.Chart().encode(y=y, yOffset=lanes, color=_side("Color", COLOURS, top))
    ends = base.transform_filter("isValid(datum.low)")
    ends = ends.encode(x=alt.X("low:Q", title=over, scale=spread, axis=axis()), x2=alt.X2("high:Q"))
    solid = ends.transform_filter(alt.datum.side == _SIDES[0]).mark_rule(strokeWidth=3, aria=False)
    dashed = ends.transform_filter(alt.datum.side == _SIDES[1]).mark_rule(strokeWidth=2, strokeDash=[4, 3], aria=False)
    points = base.mark_point(filled=True, size=75, opacity=1).encode(
        x=alt.X("value:Q", title=over, scale=spread, axis=axis()),
        shape=_side("Shape", SHAPES, top),
        description=alt.Description("say:N"),
    )
    layers = [part(rows, layer) for layer in (solid, dashed, points)]
    return layered(layers, width=_WIDTH - room - 24, height=38 * len(group))


def _side(channel: str, values: Sequence[str], top: bool) -> Any:
    look: dict[str, Any] = {"symbolSize": 80, "symbolStrokeWidth": 2, "columnPadding": COLUMN_PADDING}
    key = alt.Legend(title=None, orient="top", **look) if top else None
    return getattr(alt, channel)("side:N", scale=alt.Scale(domain=_SIDES, range=list(values[:2])), legend=key)


def _marks(title: str, m: Measurement) -> list[_Row]:
    assert m.value is not None
    low, high = (m.interval.low, m.interval.high) if m.interval else (None, None)
    rows: list[_Row] = [{"side": _SIDES[0], "value": m.value, "low": low, "high": high, "ends": span(m.interval)}]
    if m.null is not None:
        ends = {"low": m.null.low, "high": m.null.high, "ends": span(m.null)}
        rows.append({"side": _SIDES[1], "value": m.null.value, **ends})
    for row in rows:
        row["row"] = title
        side = row["side"] if row["side"] == _SIDES[0] or m.null is None else f"null, {plain(m.null.of)}"
        row["say"] = f"{title}, {side}: {number(row['value'])} {row.pop('ends')}".rstrip()
    return rows


def _tell_measurement(m: Measurement) -> str:
    assert m.value is not None
    told = " ".join(filter(None, [f"{plain(m.title)}: {number(m.value)}", plain(m.unit), span(m.interval)]))
    return told if m.null is None else f"{told}, {plain(m.null.of)} {number(m.null.value)} {span(m.null)}".rstrip()


def _finish(chart: Spec, title: str, told: list[str], rules: list[Rule], values: Sequence[float], prefix: str) -> Chart:
    if "vconcat" not in chart:
        above = 6 + 15 * sum(r.orient == "x" for r in rules)
        padding = {"left": 4, "right": 8, "top": above, "bottom": 4}
        room = {"width": _WIDTH, "height": _HEIGHT, "autosize": {"type": "fit-x", "contains": "padding"}}
        chart = room | {"padding": padding} | chart
    spec = styled(chart, [*values, *(rule.at for rule in rules)])
    if _VALIDATES:
        (alt.VConcatChart if "vconcat" in spec else alt.LayerChart).validate(spec)
    return Chart(json.dumps(spec), plain(title), ". ".join(told) + ".", prefix)
