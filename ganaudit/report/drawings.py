"""Charts as they are drawn, or as they were drawn before from the same data by the same code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ganaudit.document.errors import OutputError
from ganaudit.document.files import write_atomically
from ganaudit.document.model import Curve, Histogram, Measurement
from ganaudit.report.converting import Converter, Here
from ganaudit.report.svg import Chart, is_clean

__all__ = ["Drawing", "Drawings"]

_CODE = ("charts.py", "chart_style.py", "svg.py", "words.py")
_LIBRARIES = ("altair", "vl-convert-python")

Drawing = Callable[[], str]
"""What waits for a chart as SVG; it raises ChartError when the chart cannot be drawn."""


class Drawings:
    """Draws charts; with a folder, keeps each under the digest of everything that it follows from.

    Loading what draws takes longer than a whole page without charts, so it is loaded when something must be drawn.
    A kept drawing is looked through like a new one before it enters a page. Each method begins a drawing: where the
    converter works beside this process, all should be begun before the first is waited for.
    """

    def __init__(self, folder: Path | None = None, converter: Converter | None = None) -> None:
        self._folder = folder
        self._converter = converter or Here()

    def detail(self, detail: Curve | Histogram, prefix: str) -> Drawing:
        """Begin a curve or histogram; raises ChartError when it cannot be drawn."""

        def chart() -> Chart:
            from ganaudit.report import charts

            return charts.curve(detail, prefix) if isinstance(detail, Curve) else charts.histogram(detail, prefix)

        return self._begun(detail.model_dump, prefix, chart)

    def measurements(self, measured: Sequence[Measurement], prefix: str) -> Drawing:
        """Begin measurements with intervals and nulls; raises ChartError when they cannot be drawn."""

        def chart() -> Chart:
            from ganaudit.report import charts

            return charts.measurements(list(measured), prefix)

        return self._begun(lambda mode: [m.model_dump(mode=mode) for m in measured], prefix, chart)

    def trend(self, values: Sequence[float], title: str, prefix: str) -> Drawing:
        """Begin a small line through the values; raises ChartError when they are fewer than two."""

        def chart() -> Chart:
            from ganaudit.report import charts

            return charts.trend(values, title, prefix)

        return self._begun(lambda mode: {"trend": list(values), "title": title}, prefix, chart)

    def _begun(self, content: Callable[..., Any], prefix: str, chart: Callable[[], Chart]) -> Drawing:
        if self._folder is None:
            return chart().begin(self._converter)
        text = json.dumps([_code(), content(mode="json"), prefix], sort_keys=True)
        path = self._folder / f"{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}.svg"
        with suppress(OSError, UnicodeDecodeError):
            kept = path.read_text(encoding="utf-8")
            if is_clean(kept):
                return lambda: kept
        drawn = chart().begin(self._converter)

        def keep() -> str:
            drawing = drawn()
            with suppress(OutputError):  # a page does not depend on what is kept
                write_atomically(path, drawing.encode())
            return drawing

        return keep


@cache
def _code() -> list[str]:
    """Return what stands for the code that draws."""
    files = resources.files("ganaudit.report")
    return [
        *(hashlib.sha256((files / name).read_bytes()).hexdigest() for name in _CODE),
        *(version(name) for name in _LIBRARIES),
    ]
