"""Recorded steps: they depend on nothing but what they are given, and a wrong recording is refused.

No CUDA device is needed: a recorder that does the work again at every replay stands in for CUDA's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganaudit.document.errors import ConfigError
from ganaudit.training import backend as backends
from ganaudit.training.backend import CudaGraphs, Eager, backend_of
from ganaudit.training.run import Run
from tests.training.recipes import RECIPES, data_of, tiny

CPU = torch.device("cpu")
Parts = dict[str, dict[str, Tensor]]


def again(work: Callable[[], Parts]) -> tuple[Callable[[], None], Parts]:
    """Record without doing; a replay works on whatever lies in the recorded places by then."""
    shown: Parts = {"values": {}, "shares": {}, "gradients": {}}

    def replay() -> None:
        for part, found in work().items():
            shown[part].update(found)

    return replay, shown


def stale(work: Callable[[], Parts]) -> tuple[Callable[[], None], Parts]:
    """A broken recorder: replays give nothing but zeros."""
    return lambda: None, {part: {k: torch.zeros_like(t) for k, t in found.items()} for part, found in work().items()}


def run_of(name: str, recorded: bool) -> Run:
    run = Run(tiny(**RECIPES[name]), Path(), data_of(tiny(**RECIPES[name])))
    if recorded:
        run.loop.backend = CudaGraphs(CPU, again)
    return run


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recorded_steps_are_eager_ones(name: str) -> None:
    eager, recorded = run_of(name, False), run_of(name, True)
    steps = 14  # kinds that come every other step are replayed as well
    for number in range(steps):
        ours, theirs = recorded.loop.step(number), eager.loop.step(number)
        for key, value in theirs.values.items():
            torch.testing.assert_close(ours.values[key], value, rtol=1e-3, atol=1e-4)
    kept = recorded.loop.backend._recordings  # type: ignore[attr-defined]
    assert len(kept) == (2 if "lazy" in name or "path" in name else 1)
    for (_, one), (_, other) in zip(recorded.state.modules(), eager.state.modules(), strict=True):
        for key, value in other.state_dict().items():
            # Rates and coefficients are float32 there and float64 here.
            torch.testing.assert_close(one.state_dict()[key], value, rtol=1e-3, atol=2e-4)


def test_rates_and_coefficients_are_read_at_every_replay() -> None:
    changes: dict[str, Any] = {"optimiser": {"rate": 1e-3, "end": 0.0}, "regularisers": {"r1": 1.0, "end": 0.0}}
    config = tiny(images=320, **changes)
    run = Run(config, Path(), data_of(config))
    run.loop.backend = CudaGraphs(CPU, again)
    moved = []
    for number in range(config.steps):
        before = torch.cat([p.detach().flatten().clone() for p in run.state.generator.parameters()])
        run.loop.step(number)
        after = torch.cat([p.detach().flatten() for p in run.state.generator.parameters()])
        moved.append(float((after - before).norm()))
    # A rate kept from the time of the recording, the fourth step, would move weights as far as that one did.
    assert moved[-1] < 0.1 * moved[4]


def test_steps_that_tell_are_not_recorded() -> None:
    run = run_of("lazy penalties", True)
    for number in range(6):
        shown = run.loop.step(number, tells=True)
    assert set(shown.shares) >= {"discriminator/adversarial", "generator/adversarial"}
    assert not run.loop.backend._recordings  # type: ignore[attr-defined]


def test_results_are_copies() -> None:
    graphs, place = CudaGraphs(CPU, again), torch.zeros(())

    def work(given: Tensor) -> Parts:
        place.copy_(given)
        return {"values": {"seen": place}}

    shown = [graphs.run("kind", torch.tensor(float(i)), work)["values"]["seen"] for i in range(8)]
    assert [float(v) for v in shown[3:]] == [3.0, 4.0, 5.0, 6.0, 7.0]


def test_another_shape_than_the_recorded_one() -> None:
    graphs = CudaGraphs(CPU, again)
    for _ in range(5):
        graphs.run("kind", [torch.zeros(2)], lambda given: {"values": {"sum": given[0].sum()}})
    with pytest.raises(ValueError, match=r"shape \(3,\) in a step recorded with \(2,\)"):
        graphs.run("kind", [torch.zeros(3)], lambda given: {"values": {"sum": given[0].sum()}})


@pytest.mark.parametrize(("recorder", "refused"), [(again, False), (stale, True)])
def test_a_recording_that_loses_the_penalty_is_refused(
    recorder: backends.Recorder, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny().model_copy(update={"backend": "cudagraph"})
    monkeypatch.setattr(backends, "_captured", lambda work, device: recorder(work))
    if refused:
        with pytest.raises(ConfigError, match=r"backend 'cudagraph cpu fp32'.*largest relative difference 1"):
            backend_of(config, CPU)
    else:
        assert isinstance(backend_of(config, CPU), CudaGraphs)


def test_backend_of_eager_is_eager() -> None:
    assert isinstance(backend_of(tiny(), CPU), Eager)
    assert isinstance(backend_of(tiny(precision="bf16"), CPU), Eager)


def test_recording_is_refused_without_a_cuda_device_in_the_configuration() -> None:
    with pytest.raises(ValueError, match="backend 'cudagraph': records work of a CUDA device"):
        tiny(backend="cudagraph")


def test_recording_is_refused_for_several_processes() -> None:
    from ganaudit.evidence.ranks import SINGLE
    from ganaudit.training.run import check_processes

    class Two:
        rank, size = 0, 2

    config = tiny().model_copy(update={"backend": "cudagraph"})
    check_processes(config, SINGLE)
    with pytest.raises(ConfigError, match="backend 'cudagraph': 2 processes wait for each other"):
        check_processes(config, Two())  # type: ignore[arg-type]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_lines_of_the_log_tell_every_term(every: int) -> None:
    config = tiny(regularisers={"r1": 1.0, "path_length": 1.0, "discriminator_every": every, "generator_every": 2})
    run = Run(config, Path(), data_of(config))
    telling = [number for number in range(1, 50) if run.loop.tells(number, 100)]
    assert len(set(np.diff(telling))) == 1
    assert 96 <= np.diff(telling)[0] * config.batch <= 96 + 6 * config.batch
    shown = run.loop.step(telling[0], tells=True)
    assert set(shown.shares) == {
        "discriminator/adversarial", "discriminator/r1", "generator/adversarial", "generator/path_length"
    }  # fmt: skip


def test_lines_come_at_multiples_where_every_step_tells_all() -> None:
    config = tiny(log=64)
    run = Run(config, Path(), data_of(config))
    assert [n for n in range(8) if run.loop.tells(n, config.log)] == [1, 3, 5, 7]
