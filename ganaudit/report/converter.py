"""The program that ``converting.Aside`` runs: a specification a line in, its SVG as a line of JSON out."""

from __future__ import annotations

import json
import sys

_FIRST = json.dumps(
    {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": [{"x": 0, "y": 0, "s": "a"}, {"x": 1, "y": 1, "s": "b"}]},
        "mark": "line",
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
            "color": {"field": "s", "type": "nominal"},
        },
    }
)
"""A chart that nobody sees: the engine is loaded and warm when the first one comes."""


def _main(packages: str) -> None:
    sys.path.append(packages)
    import vl_convert

    vl_convert.vegalite_to_svg(_FIRST, allowed_base_urls=[])
    for line in sys.stdin:
        try:
            told = {"svg": vl_convert.vegalite_to_svg(line, allowed_base_urls=[])}
        except ValueError as error:
            told = {"error": str(error)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1])
