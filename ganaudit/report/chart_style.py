"""What every chart shares: colours, dashes, axes, legends, rules and the limits on how much is drawn."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import altair as alt

from ganaudit.document.model import Axis, Rule
from ganaudit.report.words import count, number, plain, short

__all__ = [
    "COLOURS",
    "COLUMN_PADDING",
    "DASHES",
    "FILLS",
    "MOST_SERIES",
    "SHAPES",
    "Spec",
    "axis",
    "colour",
    "cycle",
    "drawable_rules",
    "evenly",
    "first",
    "layered",
    "legend",
    "line_channels",
    "part",
    "percent",
    "rule_layers",
    "scale",
    "stacked",
    "styled",
    "tell_rules",
    "unique",
]

# Okabe-Ito hues, the blue a little lighter: luminance 0.19 to 0.30, so each stands out 3:1 on white and on near-black.
COLOURS = ["#2080c0", "#d55e00", "#009e73", "#cc79a7", "#7a7a7a"]
DASHES = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4]]
SHAPES = ["circle", "diamond", "square", "triangle-up", "cross"]
# The same hues as fills of bars: full, faint, half; the difference survives grey print.
FILLS = [
    "rgba(32,128,192,0.75)",
    "rgba(213,94,0,0.12)",
    "rgba(0,158,115,0.45)",
    "rgba(204,121,167,0.25)",
    "rgba(122,122,122,0.6)",
]
MOST_SERIES = 10
_MOST_RULES = 6
COLUMN_PADDING = 30
"""Room behind a name in a legend: a reader's font may be a sixth wider than the one by which the place was measured."""
_MOST_WIDE = 300
"""Pixels that a name in a legend or at a rule may take."""
_SHORT = (1e-6, 1e9)
"""Between these the written number of a tick needs no limit on its width."""
_WIDEST = 12
"""Pixels that an ASCII character of 11 takes at most."""

_Item = TypeVar("_Item")
Spec = dict[str, Any]
"""A part of a Vega-Lite specification, with the rows that it names under ``datasets``."""


def part(rows: list[dict[str, Any]], chart: alt.Chart) -> Spec:
    """Return one mark and its encodings, made without data, as a specification over ``rows``."""
    text = json.dumps(rows)
    name = f"data-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    made: Spec = chart.to_dict(validate=False, context={"top_level": False})
    return made | {"data": {"name": name, "format": {"type": "json"}}, "datasets": {name: text}}


def layered(units: Sequence[Spec], **more: Any) -> Spec:
    """Return units drawn over one another; rows that are common to all are read once.

    Put together as plain data: Altair copies every part of a chart whenever it is put into another, which took half the
    time of a page.
    """
    parts, found = _datasets_apart(units)
    common = parts[0]["data"]
    if all(part["data"] == common for part in parts):
        more["data"] = common
        parts = [{k: v for k, v in part.items() if k != "data"} for part in parts]
    return {"layer": parts, **more, "datasets": found}


def stacked(panels: Sequence[Spec], **more: Any) -> Spec:
    """Return panels below one another."""
    parts, found = _datasets_apart(panels)
    return {"vconcat": parts, **more, "datasets": found}


def _datasets_apart(specs: Sequence[Spec]) -> tuple[list[Spec], dict[str, str]]:
    found = {name: text for spec in specs for name, text in spec["datasets"].items()}
    return [{k: v for k, v in spec.items() if k != "datasets"} for spec in specs], found


def scale(of: Axis, nice: bool = True) -> alt.Scale:
    """Return the scale an axis asks for."""
    return alt.Scale(type="log" if of.log else "linear", zero=False, nice=nice and not of.log)


def axis(values: Sequence[float] | None = None, **more: Any) -> alt.Axis:
    """Return an axis; with ``values``, a logarithmic one whose ticks stand at their powers of ten."""
    ticks: dict[str, Any] = {"format": "~r", "tickCount": 6}
    if values is not None:
        ticks = {"format": "~g", "values": _decades(values)}
    return alt.Axis(**(ticks | more))


def _decades(values: Sequence[float]) -> list[float]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    steps = (1, 2, 5) if high - low <= 2 else (1,)
    every = max(1, math.ceil((high - low) / 8))
    ticks = [step * 10.0**power for power in range(low, high + 1, every) for step in steps]
    inside = [t for t in ticks if min(values) <= t <= max(values)]
    return inside if len(inside) > 1 else sorted({min(values), max(values)})


def line_channels(names: list[str]) -> dict[str, Any]:
    """Return colour and dash of the lines of these series."""
    dash = alt.Scale(domain=names, range=cycle(DASHES, names))
    return {"color": colour(names), "strokeDash": alt.StrokeDash("series:N", scale=dash, legend=legend(names))}


def colour(names: list[str], keyed: bool = True) -> alt.Color:
    """Return the colour channel of these series, with the legend when ``keyed``."""
    key = legend(names) if keyed else None
    return alt.Color("series:N", scale=alt.Scale(domain=names, range=cycle(COLOURS, names)), legend=key)


def legend(names: list[str], bars: bool = False) -> alt.Legend | None:
    """Return the legend of these series, none for a single one."""
    if len(names) == 1:
        return None
    symbol: dict[str, Any] = {"symbolSize": 110} if bars else {"symbolSize": 420, "symbolType": "stroke"}
    symbol |= {"symbolOpacity": 1, "symbolStrokeWidth": 1.5 if bars else 2}
    return alt.Legend(
        title=None, orient="bottom", columns=2, columnPadding=COLUMN_PADDING, labelLimit=_limit(names), **symbol
    )


def _limit(texts: Sequence[str]) -> int:
    """Return the limit on the width of texts; 0, which spares measuring them again, where none can reach it."""
    fits = all(text.isascii() and len(text) * _WIDEST < _MOST_WIDE for text in texts)
    return 0 if fits else _MOST_WIDE


def cycle(values: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return one of ``values`` for each name.

    What is generated has the first and what is real the second in every chart of a page, whichever comes first.
    Beyond five, colours and the rest turn over at different places, so that no two of ten series look alike.
    """
    shift = 0 if values is COLOURS else 1
    return [values[(i + shift * (i // len(values))) % len(values)] for i in _slots(names)]


def _slots(names: Sequence[str]) -> list[int]:
    wanted: dict[str, int] = {}
    for name in names:
        lowered = name.lower()
        slot = 0 if "generated" in lowered or "fake" in lowered else 1 if "real" in lowered else None
        if slot is not None and slot not in wanted.values():
            wanted[name] = slot
    free = iter(i for i in range(len(names) + 2) if i not in wanted.values())
    return [wanted[name] if name in wanted else next(free) for name in names]


def drawable_rules(rules: Iterable[Rule], x_log: bool, y_log: bool, notes: list[str]) -> list[Rule]:
    """Return the rules that have a place on their axis, at most six."""
    drawable = [r for r in rules if r.at > 0 or not (x_log if r.orient == "x" else y_log)]
    return first(drawable, _MOST_RULES, "rules", notes)


def rule_layers(rules: list[Rule], xs: Sequence[float], log: bool) -> list[Spec]:
    """Return the layers that draw rules; labels of upright rules stand above the plot, each in its own row."""
    layers: list[Spec] = []
    upright = [r for r in rules if r.orient == "x"]
    place = _place([*xs, *(r.at for r in upright)], log)
    for row, rule in enumerate(upright):
        layers += _rule(rule, "y", -4 - 14 * row, align=_align(place(rule.at)))
    for rule in (r for r in rules if r.orient == "y"):
        layers += _rule(rule, "x", "width", align="right", dx=-4, dy=-3)
    return layers


def _rule(rule: Rule, across: str, place: int | str, **text: Any) -> list[Spec]:
    said = plain(rule.label)
    rows = [{"at": rule.at, "label": said}]
    at = {rule.orient: (alt.X if rule.orient == "x" else alt.Y)("at:Q")}
    line = alt.Chart().mark_rule(color="currentColor", strokeDash=[3, 3], opacity=0.8)
    text["limit"] = _limit([said])
    words = alt.Chart().mark_text(baseline="bottom", color="currentColor", fontSize=11, aria=False, **text)
    line = line.encode(**at, description=alt.Description("label:N"))
    label = part(rows, words.encode(**at, text=alt.Text("label:N")))
    label["encoding"][across] = {"value": place}
    return [part(rows, line), label]


def _align(place: float) -> str:
    return "left" if place < 0.3 else "right" if place > 0.7 else "center"


def _place(xs: Sequence[float], log: bool) -> Callable[[float], float]:
    at = (lambda v: math.log10(v)) if log else (lambda v: v)
    low, high = at(min(xs, default=0.0)), at(max(xs, default=1.0))
    return lambda v: 0.5 if high == low else (at(v) - low) / (high - low)


def tell_rules(rules: list[Rule]) -> list[str]:
    """Return the rules in words."""
    return [f"line at {r.orient} = {short(r.at)}: {plain(r.label)}" for r in rules]


def first(items: Sequence[_Item], most: int, what: str, notes: list[str]) -> list[_Item]:
    """Return at most the first ``most`` items, and note when some are left out."""
    if len(items) > most:
        notes.append(f"the first {most} of {count(len(items))} {what} are drawn")
    return list(items[:most])


def evenly(n: int, most: int, notes: list[str]) -> list[int]:
    """Return at most ``most`` of the indices below ``n``, evenly spaced with both ends, and note when thinned."""
    if n <= most:
        return list(range(n))
    notes.append(f"{most} of {count(n)} points drawn, evenly spaced")
    return sorted({round(i * (n - 1) / (most - 1)) for i in range(most)})


def unique(names: Iterable[str]) -> list[str]:
    """Return the names made plain and told apart where two are equal."""
    told: dict[str, None] = {}
    for name in map(plain, names):
        again, candidate = 1, name
        while candidate in told:
            again += 1
            candidate = f"{name} ({again})"
        told[candidate] = None
    return list(told)


def percent(share: float) -> str:
    """Write a share as a percentage."""
    return f"{number(100 * share, 3)} %"


@cache
def _style() -> tuple[Spec, str]:
    """Return the configuration of every chart, in the page's ink, and the version of the grammar."""
    ink: Any = "currentColor"
    faint = {"gridOpacity": 0.13, "domainOpacity": 0.5, "tickOpacity": 0.5}
    inked = {"labelColor": ink, "titleColor": ink, "tickColor": ink, "domainColor": ink, "gridColor": ink}
    fonts: Any = {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "titlePadding": 8}
    # Liberation Sans comes inside vl-convert: text is measured alike on every machine.
    chart = alt.Chart().mark_point().configure(font="Liberation Sans", background="transparent")
    chart = chart.configure_view(stroke=None).configure_axis(**inked, **faint, **fonts, labelPadding=4)
    made = chart.configure_legend(labelColor=ink, titleColor=ink, labelFontSize=11).to_dict(validate=False)
    return made["config"], made["$schema"]


def styled(chart: Spec, values: Iterable[float]) -> Spec:
    """Return the whole specification of a chart in the page's ink; ``values`` are all that its axes cover."""
    config, schema = _style()
    size = max(map(abs, values), default=0.0)
    if size == 0 or _SHORT[0] < size < _SHORT[1]:
        # Where there is a limit, the engine measures each label once more: a tenth of the time of a chart.
        config = config | {"axis": config["axis"] | {"labelLimit": 0}}
    return {"config": config, **chart, "$schema": schema}
