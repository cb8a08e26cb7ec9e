"""Charts converted in a process of their own: the same SVG, the same errors, and none lost when the process ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.model import Axis, Curve, Series
from ganaudit.report import charts
from ganaudit.report.converting import Aside, Here
from ganaudit.report.svg import ChartError


def specification(name: str = "a", points: int = 3) -> str:
    values = [float(i) for i in range(points)]
    curve = Curve(
        title=name, x=Axis(title="x"), y=Axis(title="y"), series=[Series(name=name, x=values, y=values)], points=True
    )
    return charts.curve(curve).specification


def test_the_process_beside_gives_what_this_one_gives_in_any_order_of_asking() -> None:
    names = ["a", "β \u2028\n", "c" * 40]
    with Aside() as aside:
        begun = {name: aside.begin(specification(name, 400)) for name in names}
        found = {name: begun[name]() for name in reversed(names)}
    assert found == {name: Here().begin(specification(name, 400))() for name in names}


def test_more_than_a_pipe_holds_goes_through_before_anything_is_fetched() -> None:
    with Aside() as aside:
        begun = [aside.begin(specification(f"s{i}", 400)) for i in range(12)]
        assert sum(len(specification(f"s{i}", 400)) for i in range(12)) > 2**16 * 2
        assert len({one() for one in begun}) == 12


def test_what_cannot_be_drawn_is_the_same_error_and_the_next_one_is_drawn() -> None:
    broken = json.dumps({"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "mark": "no such mark"})
    with pytest.raises(ValueError, match="conversion failed") as here:
        Here().begin(broken)()
    with Aside() as aside:
        first, second = aside.begin(broken), aside.begin(specification())
        with pytest.raises(ValueError, match="conversion failed") as beside:
            first()
        assert second().startswith("<svg")
    assert str(beside.value).splitlines()[0] == str(here.value).splitlines()[0]


def test_a_chart_that_the_process_refuses_is_a_chart_error() -> None:
    chart = charts.Chart('{"mark": "none"}', "t", "d", "p")
    with Aside() as aside, pytest.raises(ChartError, match="cannot be drawn"):
        chart.begin(aside)()


def test_a_process_that_ends_too_early_loses_no_chart() -> None:
    with Aside() as aside:
        first = aside.begin(specification("a"))
        assert first().startswith("<svg")
        assert aside._process is not None
        os.kill(aside._process.pid, signal.SIGKILL)
        late = [aside.begin(specification(name)) for name in "bcd"]
        assert [one() for one in late] == [Here().begin(specification(name))() for name in "bcd"]


def test_where_no_process_starts_charts_are_drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("no process may be started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with Aside() as aside:
        assert aside.begin(specification())() == Here().begin(specification())()
    monkeypatch.setattr(sys, "executable", "")
    with Aside() as aside:
        assert aside.begin(specification())() == Here().begin(specification())()


def test_the_process_ends_with_the_block_and_leaves_no_thread_waiting() -> None:
    with Aside() as aside:
        unfetched = aside.begin(specification())
        process, threads = aside._process, aside._threads
    assert process is not None
    assert process.poll() is not None
    assert not any(thread.is_alive() for thread in threads)
    assert unfetched() == Here().begin(specification())()


def test_the_process_reads_no_module_of_the_folder_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "vl_convert", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Aside() as aside:
        assert aside.begin(specification())().startswith("<svg")
        assert aside._process is not None
        assert aside._process.poll() is None, "it was the process that drew"
    assert not (tmp_path / "ran").exists()


def test_the_process_starts_once_and_not_before_it_is_needed() -> None:
    with Aside() as aside:
        assert aside._process is None
        aside.start()
        first = aside._process
        aside.start()
        assert first is not None
        assert aside._process is first
