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
from ganaudit.report.svg import is_clean

__all__ = ["Drawings"]

_CODE = ("charts.py", "chart_style.py", "svg.py", "words.py")
_LIBRARIES = ("altair", "vl-convert-python")


class Drawings:
    """Draws charts; with a folder, keeps each under the digest of everything that it follows from.

    Loading what draws takes longer than a whole page without charts, so it is loaded when something must be drawn.
    A kept drawing is looked through like a new one before it enters a page.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def detail(self, detail: Curve | Histogram, prefix: str) -> str:
        """Return a curve or histogram as SVG; raises ChartError when it cannot be drawn."""

        def draw() -> str:
            from ganaudit.report import charts

            return charts.curve(detail, prefix) if isinstance(detail, Curve) else charts.histogram(detail, prefix)

        return self._drawn(detail.model_dump(mode="json"), prefix, draw)

    def measurements(self, measured: Sequence[Measurement], prefix: str) -> str:
        """Return measurements with intervals and nulls as SVG; raises ChartError when they cannot be drawn."""

        def draw() -> str:
            from ganaudit.report import charts

            return charts.measurements(list(measured), prefix)

        return self._drawn([m.model_dump(mode="json") for m in measured], prefix, draw)

    def trend(self, values: Sequence[float], title: str, prefix: str) -> str:
        """Return a small line through the values as SVG; raises ChartError when they are fewer than two."""

        def draw() -> str:
            from ganaudit.report import charts

            return charts.trend(values, title, prefix)

        return self._drawn({"trend": list(values), "title": title}, prefix, draw)

    def _drawn(self, content: Any, prefix: str, draw: Callable[[], str]) -> str:
        if self._folder is None:
            return draw()
        text = json.dumps([_code(), content, prefix], sort_keys=True)
        path = self._folder / f"{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}.svg"
        with suppress(OSError, UnicodeDecodeError):
            kept = path.read_text(encoding="utf-8")
            if is_clean(kept):
                return kept
        drawing = draw()
        with suppress(OutputError):  # a page does not depend on what is kept
            write_atomically(path, drawing.encode())
        return drawing


@cache
def _code() -> list[str]:
    """Return what stands for the code that draws."""
    files = resources.files("ganaudit.report")
    return [
        *(hashlib.sha256((files / name).read_bytes()).hexdigest() for name in _CODE),
        *(version(name) for name in _LIBRARIES),
    ]
