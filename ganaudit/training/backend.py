"""How the work of a step is started: operation by operation, or recorded once and replayed as one CUDA graph.

On a fast device small networks wait for Python to start their kernels; a recording starts them all at once. It reads
and writes fixed places in memory, so everything that a step is given is copied to where the recording looks for it.
Source: Nguyen et al., Accelerating PyTorch with CUDA Graphs, 2021; PyTorch's notes on CUDA semantics.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from ganaudit.training.config import TrainConfig
from ganaudit.training.selftest import PenaltyProbe, check_second_order

__all__ = ["Backend", "CudaGraphs", "Eager", "Recorder", "backend_of"]

_G = TypeVar("_G")
Shown = dict[str, dict[str, Tensor]]
_WARM = 3
"""Steps of a kind that are done one operation after the other before it is recorded: libraries choose their kernels and
optimisers make their state in the first ones, which a recording must not contain."""


class Backend(Protocol):
    """What starts the work of a step."""

    takes_numbers: bool
    """Whether a step may be given plain numbers; otherwise each is a tensor on the device."""

    def run(self, kind: Hashable, given: _G, work: Callable[[_G], Shown]) -> Shown:
        """Return ``work(given)``; what is done depends on ``kind`` and on the tensors in ``given`` alone."""
        ...


class Eager:
    """Operation by operation: any device, any shapes, any number of processes."""

    takes_numbers = True

    def run(self, kind: Hashable, given: _G, work: Callable[[_G], Shown]) -> Shown:
        """Return ``work(given)``."""
        return work(given)


Recorder = Callable[[Callable[[], Shown]], tuple[Callable[[], None], Shown]]
"""Records what a function starts, without doing it; returns what does it, and where its results will lie."""


@dataclass(slots=True, eq=False)
class _Recording:
    given: Any
    replay: Callable[[], None]
    shown: Shown


class CudaGraphs:
    """One recording for each kind of step, made at the fourth of that kind and replayed from then on.

    ``recorder`` is CUDA's unless a test gives another. Several processes cannot be recorded: their sums wait for each
    other in the middle of a step.
    """

    takes_numbers = False

    def __init__(self, device: torch.device, recorder: Recorder | None = None) -> None:
        self._recorder = recorder or (lambda work: _captured(work, device))
        self._seen: dict[Hashable, int] = {}
        self._recordings: dict[Hashable, _Recording] = {}

    def run(self, kind: Hashable, given: _G, work: Callable[[_G], Shown]) -> Shown:
        """Return what ``work(given)`` shows; copies, since the next step writes to the same places."""
        seen = self._seen[kind] = self._seen.get(kind, 0) + 1
        if seen <= _WARM:
            return work(given)
        recording = self._recordings.get(kind)
        if recording is None:
            kept = _each(given, lambda tensor: tensor.detach().clone())
            recording = _Recording(kept, *self._recorder(lambda: work(kept)))
            self._recordings[kind] = recording
        else:
            _copy(recording.given, given)
        recording.replay()
        return {part: {name: t.clone() for name, t in found.items()} for part, found in recording.shown.items()}


def _captured(work: Callable[[], Shown], device: torch.device) -> tuple[Callable[[], None], Shown]:
    """Record what ``work`` starts on ``device`` as a CUDA graph."""
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        shown = work()
    return graph.replay, shown


def _each(given: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Return ``given`` with ``function`` of every tensor in it, through lists, dictionaries and data classes."""
    if isinstance(given, Tensor):
        return function(given)
    if isinstance(given, dict):
        return {key: _each(value, function) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return type(given)(_each(value, function) for value in given)
    if is_dataclass(given) and not isinstance(given, type):
        return replace(given, **{field.name: _each(getattr(given, field.name), function) for field in fields(given)})
    return given


def _tensors(given: Any) -> list[Tensor]:
    """Return every tensor in ``given``, in order."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    _each(given, keep)
    return found


def _copy(places: Any, given: Any) -> None:
    """Copy every tensor of ``given`` to its place; the shapes are those of the recording."""
    for place, tensor in zip(_tensors(places), _tensors(given), strict=True):
        if place.shape != tensor.shape:
            raise ValueError(f"shape {tuple(tensor.shape)} in a step recorded with {tuple(place.shape)}")
        place.copy_(tensor, non_blocking=True)


def backend_of(config: TrainConfig, device: torch.device) -> Backend:
    """Return what starts the work of a step on ``device``.

    Raises ConfigError when the backend, device and precision give another gradient of a gradient penalty than eager
    float32 on the CPU does, and the configuration asks for one.
    """

    def fresh() -> Backend:
        return CudaGraphs(device) if config.backend == "cudagraph" else Eager()

    exact = config.backend == "eager" and device.type == "cpu" and config.precision == "fp32"
    if config.regularisers.penalties and not exact:
        _check_penalty(fresh(), config, device)
    return fresh()


def _check_penalty(backend: Backend, config: TrainConfig, device: torch.device) -> None:
    probe, is_half = PenaltyProbe(device), config.precision == "bf16"

    def work(_: None) -> Shown:
        # A recording must hold the weights' own casts: none that an earlier step left in autocast's store.
        with torch.autocast(device.type, torch.bfloat16, enabled=is_half, cache_enabled=config.backend == "eager"):
            return {"gradients": {str(i): g for i, g in enumerate(probe.penalty_gradient())}}

    def through() -> list[Tensor]:
        found = [backend.run("probe", None, work) for _ in range(_WARM + 2)][-1]  # the last one is replayed
        return [gradient.cpu() for gradient in found["gradients"].values()]

    name = f"{config.backend} {device.type} {config.precision}"
    kind = torch.bfloat16 if is_half else torch.float32
    check_second_order(through, PenaltyProbe("cpu").penalty_gradient, name, kind)
