"""``report`` and ``gate`` over the document of an audit of 10,000 samples, as processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.measuring import Pair, record, run
from ganaudit.document.files import load_document, sealed, write_document
from ganaudit.document.model import AuditDocument, Curve, Detail, EvaluatorResult, Series
from ganaudit.report.sheets import read_samples

_REPORTS = Path(__file__).parents[1] / "reports"
_BAR_SECONDS = 2.0
_BAR_MEGABYTES = 300
_SAMPLES = 10_000
_POINTS = 4
"""How many times as many points a curve has: those of the reports have up to 200, whatever the number of samples."""
_PROBE = """
import json, resource, sys
from ganaudit.cli.main import run
code = run(sys.argv[1:])
peaks = [resource.getrusage(of).ru_maxrss * 1024 for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print("TOLD", json.dumps([[m for m in ("torch", "scipy", "sklearn") if m in sys.modules], *peaks]))
sys.exit(code)
"""
"""What was loaded, and the largest resident sets of the process itself and of the one it starts to draw charts."""

_POLICY = """[[gate]]
id = "quality"
measure = "frechet-distance/fd"
limit = 1e9

[[gate]]
id = "attacks"
measure = "adversarial-robustness/robust-accuracy-at-{budget}"
limit = 0.0
"""


def reporting(repeats: int = 7) -> list[dict[str, Any]]:
    """Return a row each for a report drawn anew, one with kept charts, and a gate; ratio: the bar over the time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _large(folder)
        (folder / "policy.toml").write_text(_POLICY)
        verbs = {
            "report, every chart drawn": ["report", str(folder), "--no-cache"],
            "report, charts kept": ["report", str(folder)],
            "gate": ["gate", str(folder), "--policy", str(folder / "policy.toml")],
        }
        return [_row(folder, what, words, repeats) for what, words in verbs.items()]


def _row(folder: Path, what: str, words: list[str], repeats: int) -> dict[str, Any]:
    command = [sys.executable, "-c", _PROBE, *words]
    # As on a machine where the package is installed: its modules are compiled, which the first run sees to.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment = {**compiled, "GANAUDIT_CACHE": str(folder / "cache")}
    runs = [run(command, environment) for _ in range(repeats + 1)][1:]
    seconds = statistics.median(r.seconds for r in runs)
    told = [json.loads(r.output.partition("TOLD ")[2].splitlines()[0]) for r in runs]
    peak = max(own + other for _, own, other in told) / 1e6
    loaded = {str(names) for names, _, _ in told}
    return record(
        f"{what}, of {_SAMPLES} samples",
        f"the bar: {_BAR_SECONDS:g} s, {_BAR_MEGABYTES} MB, no torch",
        Pair(seconds, _BAR_SECONDS, _BAR_SECONDS / seconds),
        1.0,
        None,
        least=round(min(r.seconds for r in runs), 3),
        most=round(max(r.seconds for r in runs), 3),
        processor_seconds=round(statistics.median(r.cpu_seconds for r in runs), 3),
        peak_megabytes=round(peak),
        memory_met="yes" if peak <= _BAR_MEGABYTES else "no",
        heavy_modules=", ".join(sorted(loaded)),
        load=round(os.getloadavg()[0], 1),
    )


def _large(folder: Path) -> None:
    """Write the document of ``reports/digits`` as 10,000 samples would leave it, with its pictures."""
    document = load_document(_REPORTS / "digits")
    for name, content in read_samples(document, _REPORTS / "digits").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    results = [_grown(result) for result in document.results]
    plan = {**document.plan, "samples": _SAMPLES}
    large: AuditDocument = document.model_copy(update={"results": results, "plan": plan})
    write_document(sealed(large), folder / "document.json")


def _grown(result: EvaluatorResult) -> EvaluatorResult:
    numbers = [m.model_copy(update={"n": max(m.n, _SAMPLES)}) for m in result.measurements]
    details: list[Detail] = [_denser(d) if isinstance(d, Curve) else d for d in result.details]
    return result.model_copy(update={"measurements": numbers, "details": details})


def _denser(curve: Curve) -> Curve:
    return curve.model_copy(update={"series": [_between(s) for s in curve.series]})


def _between(series: Series) -> Series:
    """Return the series with points in equal steps between its own, on the same lines."""

    def fine(values: list[float]) -> list[float]:
        steps = [a + (b - a) * k / _POINTS for a, b in pairwise(values) for k in range(_POINTS)]
        return [*steps, *values[-1:]]

    more = {key: fine(v) for key in ("low", "high") if (v := getattr(series, key)) is not None}
    return series.model_copy(update={"x": fine(series.x), "y": fine(series.y), **more})
