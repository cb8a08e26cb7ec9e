"""A Vega-Lite specification to SVG that may stand inside a page: static, named, self-contained."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass

from ganaudit.report.converting import Converter, Here

__all__ = ["Chart", "ChartError", "is_clean"]

_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = {"svg", "g", "path", "line", "rect", "text", "tspan", "defs", "clipPath", "title", "desc"}
_DROPPED = {"font-family", "pointer-events"}
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


class ChartError(ValueError):
    """The data of a chart cannot be drawn; the message says why."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart before it is drawn: what it shows, and what it says in words."""

    specification: str
    """Vega-Lite, as one line of JSON."""
    title: str
    description: str
    prefix: str
    """What every id in the drawing starts with."""

    def svg(self) -> str:
        """Return the drawing as ``begin`` makes it."""
        return self.begin(Here())()

    def begin(self, converter: Converter) -> Callable[[], str]:
        """Give the chart to the converter; what is returned waits for an ``<svg>`` element with title and description.

        Width and height are left to the page's style sheet. It raises ChartError when the chart cannot be drawn.
        """
        drawn = converter.begin(self.specification)

        def finished() -> str:
            try:
                root = ET.fromstring(drawn())  # noqa: S314  written by vl-convert a moment ago: no entities, no doctype
            except (ValueError, ET.ParseError) as error:
                raise ChartError(f"the chart cannot be drawn: {str(error).splitlines()[0][:200]}") from None
            return _inline(root, self)

        return finished


def _inline(root: ET.Element, chart: Chart) -> str:
    ids = {e.attrib["id"]: f"{chart.prefix}-clip-{i}" for i, e in enumerate(e for e in root.iter() if "id" in e.attrib)}
    for element in root.iter():
        _strict(element, ids)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    _name(root, chart.title, chart.description, chart.prefix)
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def is_clean(drawing: str) -> bool:
    """Return whether ``drawing`` is an ``<svg>`` element with nothing in it that a static page does not allow."""
    if "<!" in drawing or "<?" in drawing:
        return False
    try:
        root = ET.fromstring(drawing)  # noqa: S314  no doctype, so no entities
        for element in root.iter():
            _check(element)
    except (ChartError, ET.ParseError):
        return False
    addresses = [v for e in root.iter() for k, v in e.attrib.items() if "url(" in v and not k.startswith("aria-")]
    return root.tag == f"{{{_SVG}}}svg" and all(_REFERENCE.fullmatch(value) for value in addresses)


def _check(element: ET.Element) -> None:
    tag = element.tag.removeprefix(f"{{{_SVG}}}")
    if tag not in _ELEMENTS:
        raise ChartError(f"the chart came out with a <{tag}> element, which a static page does not allow")
    for key in element.attrib:
        if key == "style" or key.endswith("href") or key.startswith("on"):
            raise ChartError(f"the chart came out with a {key} attribute, which a static page does not allow")


def _strict(element: ET.Element, ids: dict[str, str]) -> None:
    _check(element)
    for key, value in list(element.attrib.items()):
        if key in _DROPPED:
            del element.attrib[key]
        elif key == "id":
            element.attrib[key] = ids[value]
        elif "url(" in value and not key.startswith("aria-"):
            element.attrib[key] = _REFERENCE.sub(lambda m: f"url(#{ids[m.group(1)]})", value)


def _name(root: ET.Element, title: str, description: str, prefix: str) -> None:
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        child = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{prefix}-{tag}"})
        child.text = text
        root.insert(place, child)
    root.attrib.update(
        {
            "class": "chart",
            "role": "graphics-document",
            "aria-roledescription": "chart",
            "aria-labelledby": f"{prefix}-title",
            "aria-describedby": f"{prefix}-desc",
        }
    )
