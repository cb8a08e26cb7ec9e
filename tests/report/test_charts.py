"""Charts are static, named, legible on both grounds and equal for equal input."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

from ganaudit.document.model import AuditDocument, Axis, Curve, Histogram, HistogramSeries, Measurement, Rule, Series
from ganaudit.report import chart_style, charts
from ganaudit.report.chart_style import COLOURS, cycle
from ganaudit.report.words import plain

from .hostile import BAD
from .page import contrast

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Altair checks every chart of these tests against Vega-Lite's schema, which a report leaves out."""
    monkeypatch.setattr(charts, "_VALIDATES", True)


def line(**change: Any) -> Curve:
    series = [
        Series(name="real", x=[0.0, 0.1, 1.0], y=[0.0, 0.5, 1.0], low=[0.0, 0.4, 0.9], high=[0.1, 0.6, 1.0]),
        Series(name="fake", x=[0.0, 1.0], y=[0.0, 1.0]),
    ]
    data = {"title": "Lines", "x": Axis(title="x"), "y": Axis(title="y"), "series": series, "points": True}
    return Curve.model_validate(data | {"rules": [Rule(at=0.5, label="half")]} | change)


def curve(prefix: str = "chart", **change: Any) -> str:
    return charts.curve(line(**change), prefix).svg()


def steps(**change: Any) -> Histogram:
    series = [HistogramSeries(name="real", shares=[0.25, 0.75]), HistogramSeries(name="fake", shares=[0.5, 0.5])]
    data = {"title": "Steps", "x": Axis(title="score"), "edges": [0.0, 1.0, 2.0], "series": series}
    return Histogram.model_validate(data | change)


def bars(labels: list[str]) -> Histogram:
    shares = [1 / len(labels)] * len(labels)
    series = [HistogramSeries(name=name, shares=shares) for name in ("real", "fake")]
    return Histogram(title="Bars", x=Axis(title="class"), labels=labels, series=series)


def numbers(document: AuditDocument) -> list[Measurement]:
    return [m for r in document.results for m in r.measurements]


Draw = Callable[[AuditDocument, str], str]
KINDS: dict[str, Draw] = {
    "curve": lambda _, prefix: charts.curve(line(), prefix).svg(),
    "log curve": lambda _, prefix: curve(prefix, x=Axis(title="x", log=True), y=Axis(title="y", log=True)),
    "histogram": lambda _, prefix: charts.histogram(steps(), prefix).svg(),
    "bars": lambda _, prefix: charts.histogram(bars(list("0123456789")), prefix).svg(),
    "lying bars": lambda _, prefix: charts.histogram(
        bars([f"a long name of class {i}" for i in range(9)]), prefix
    ).svg(),
    "measurements": lambda document, prefix: charts.measurements(numbers(document), prefix).svg(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_is_static_markup_with_words_of_its_own(kind: str, document: AuditDocument) -> None:
    svg = KINDS[kind](document, "one")
    assert svg == KINDS[kind](document, "one")
    assert "style=" not in svg
    assert svg.count("http") == 1, "the namespace and no other address"
    root = ET.fromstring(svg)
    assert root.get("class") == "chart"
    assert "width" not in root.attrib
    assert float((root.get("viewBox") or "").split()[2]) == pytest.approx(560, abs=40)
    assert root.find(f"{SVG}title").text  # type: ignore[union-attr]
    assert len(root.find(f"{SVG}desc").text) > 30  # type: ignore[union-attr, arg-type]
    assert root.get("aria-labelledby") == "one-title"
    assert any(e.get("aria-label") for e in root.iter())
    for element in root.iter():
        assert not any(k.startswith("on") or k.endswith("href") for k in element.attrib)
        if element.tag == f"{SVG}text":
            assert element.get("fill") == "currentColor"
    other = {e.attrib["id"] for e in ET.fromstring(KINDS[kind](document, "two")).iter() if "id" in e.attrib}
    assert not other & {e.attrib["id"] for e in root.iter() if "id" in e.attrib}


def test_series_colours_stand_out_on_light_and_dark() -> None:
    for colour in COLOURS:
        assert contrast(colour, "#ffffff") >= 3.0
        assert contrast(colour, "#14171b") >= 3.0


@pytest.mark.parametrize("n", [2, 5, 10])
def test_no_two_series_share_colour_and_dash(n: int) -> None:
    series = [Series(name=f"s{i}", x=[0.0, 1.0, 2.0], y=[float(i), 1.0, 2.0]) for i in range(n)]
    root = ET.fromstring(curve(series=series, rules=[], points=False))
    lines = [e for e in root.iter() if e.get("aria-label") in {s.name for s in series}]
    assert len({(e.get("stroke"), e.get("stroke-dasharray")) for e in lines}) == n


def test_generated_and_real_look_the_same_in_every_chart() -> None:
    assert cycle(COLOURS, ["real (test)", "generated"]) == [COLOURS[1], COLOURS[0]]
    assert cycle(COLOURS, ["generated against real", "null: real against real"]) == COLOURS[:2]
    assert cycle(COLOURS, ["chance", "detector"]) == COLOURS[:2]
    assert cycle(COLOURS, ["chance", "fake a", "fake b", "real"]) == [COLOURS[i] for i in (2, 0, 3, 1)]


def test_the_text_alternative_holds_the_key_numbers(document: AuditDocument) -> None:
    assert "real: from (0, 0) to (1, 1), y between 0 and 1, 3 points" in curve()
    assert "line at x = 0.5: half" in curve()
    assert "real: fullest bin [1, 2] with 75 %, mean about 1.250" in charts.histogram(steps()).svg()
    assert "real: a 50 %, b 50 %" in charts.histogram(bars(["a", "b"])).svg()
    told = "Recall: 0.7031 share [0.6670, 0.7410], real against real 0.9310 [0.9120, 0.9490]"
    assert told in charts.measurements(numbers(document)).svg()


def test_lines_keep_their_own_order_and_zero_has_no_place_on_a_log_axis() -> None:
    loop = [Series(name="loop", x=[0.0, 2.0, 1.0], y=[0.0, 1.0, 2.0])]
    assert "from (0, 0) to (1, 2)" in curve(series=loop)
    svg = curve(series=loop, x=Axis(title="x", log=True))
    assert "1 point at or below zero cannot be drawn on a logarithmic axis" in svg
    assert "the axis is linear" in charts.histogram(steps(x=Axis(title="x", log=True))).svg()


def test_what_is_thinned_is_told() -> None:
    many = [
        Series(name=f"s{i}", x=[float(j) for j in range(1000)], y=[float(j) for j in range(1000)]) for i in range(12)
    ]
    svg = curve(series=many[:1], points=False)
    assert "400 of 1\u202f000 points drawn, evenly spaced" in svg
    assert "to (999, 999)" in svg
    assert "the first 10 of 12 series are drawn" in curve(
        series=[s.model_copy(update={"x": s.x[:3], "y": s.y[:3]}) for s in many]
    )
    fine = steps(edges=[float(i) for i in range(301)], series=[HistogramSeries(name="r", shares=[1 / 300] * 300)])
    assert "300 bins drawn as groups of 3" in charts.histogram(fine).svg()
    assert "the first 30 of 40 bins are drawn" in charts.histogram(bars([f"label {i}" for i in range(40)])).svg()


def test_impossible_data_is_refused_with_the_reason() -> None:
    with pytest.raises(charts.ChartError, match="different lengths"):
        # The model refuses such a series; one built around it must not crash the page either.
        charts.curve(line().model_copy(update={"series": [Series.model_construct(name="s", x=[1.0, 2.0], y=[1.0])]}))
    with pytest.raises(charts.ChartError, match="no point to draw"):
        charts.curve(line(series=[]))
    with pytest.raises(charts.ChartError, match="no bin to draw"):
        charts.histogram(steps(series=[]))
    with pytest.raises(charts.ChartError, match="no number has a value"):
        charts.measurements([])


@pytest.mark.parametrize("extreme", [1e300, -1e300, 1e-300, 0.0])
def test_extreme_numbers_draw_or_are_refused_but_never_crash(extreme: float) -> None:
    series = [Series(name="s", x=[extreme, 1.0], y=[1.0, extreme])]
    for x in (False, True):
        try:
            svg = curve(series=series, x=Axis(title="x", log=x), y=Axis(title="y", log=x))
        except charts.ChartError:
            continue
        assert "NaN" not in svg
        assert max(len(e.text or "") for e in ET.fromstring(svg).iter(f"{SVG}text")) < 60


@pytest.mark.parametrize("kind", KINDS)
def test_labels_that_are_not_measured_twice_look_the_same(
    kind: str, document: AuditDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    swift = KINDS[kind](document, "one")
    monkeypatch.setattr(chart_style, "_SHORT", (float("inf"), float("inf")))
    monkeypatch.setattr(chart_style, "_WIDEST", 10_000)
    assert KINDS[kind](document, "one") == swift


def test_a_long_name_is_cut_in_the_legend() -> None:
    names = ["n" * 25, "n" * 400]
    series = [Series(name=name, x=[0.0, 1.0], y=[0.0, 1.0]) for name in names]
    shown = [e.text or "" for e in ET.fromstring(curve(series=series, rules=[])).iter(f"{SVG}text")]
    assert max(map(len, shown)) < 100
    assert any(text.endswith("…") for text in shown)


def test_hostile_names_stay_text() -> None:
    name = BAD + "\x00\u202e datum['x'] {{x}} ${x}"
    series = [Series(name=name, x=[0.0, 1.0], y=[0.0, 1.0]), Series(name=name, x=[0.0, 1.0], y=[1.0, 0.0])]
    svg = curve(title=name, x=Axis(title=name), series=series, rules=[Rule(at=0.5, label=name)])
    assert "<script" not in svg
    shown = {e.text for e in ET.fromstring(svg).iter(f"{SVG}text")}
    assert plain(name) in shown or any(t and t.startswith(BAD) for t in shown)


def test_drawing_needs_neither_pandas_nor_torch() -> None:
    code = (
        "import sys; import ganaudit.report.html, ganaudit.report.markdown, ganaudit.report.junit;"
        "print(sorted({'pandas', 'numpy', 'torch', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
