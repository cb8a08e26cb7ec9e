"""Audits while training: the averaged generator, every so many samples, within a share of the time."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save
from torch import nn

from ganaudit.document.files import write_atomically
from ganaudit.training.config import TrainConfig
from ganaudit.training.data import TrainingData
from ganaudit.training.export import Log
from ganaudit.training.state import State

__all__ = ["Trial", "Trials"]

Trial = Callable[[nn.Module, TrainingData], tuple[float, bool, dict[str, float]]]
"""Takes a generator in eval mode; returns the named measure, whether lower is better, and all measures."""


class Trials:
    """The audits of one run and the best snapshot so far."""

    def __init__(self, config: TrainConfig, folder: Path, trial: Trial | None) -> None:
        self._plan, self._folder = config.audit, folder
        self._trial = trial if config.audit.every else None
        self._named: list[Path] = []

    def maybe(self, images: int, seconds: float, state: State, data: TrainingData, log: Log | None) -> None:
        """Audit when it is time and the share of the time allows it."""
        done = state.audits
        last = int(done[-1]["images"]) if done else 0
        if self._trial is None or images // self._plan.every <= last // self._plan.every:
            return
        spent = sum(one["seconds"] for one in done)
        if done and spent + done[-1]["seconds"] > self._plan.share * seconds:
            return
        begun = time.perf_counter()
        value, lower, measures = self._trial(copy.deepcopy(state.average).eval(), data)
        took = round(time.perf_counter() - begun, 3)
        done.append({"images": images, "seconds": took, **measures})
        if log is not None:
            log.write(images=images, audit=measures, audit_seconds=took)
        best = state.best.get("value")
        if best is None or (value < best if lower else value > best):
            state.best = {"value": value, "images": float(images)}
            tensors = {name: t.detach().cpu().contiguous() for name, t in state.average.state_dict().items()}
            write_atomically(self._path(state), save(tensors))

    def settle(self, state: State) -> None:
        """Let go of snapshots that neither of the last two checkpoints names; to be called when one was written."""
        self._named = [*self._named[-1:], self._path(state)]
        if len(self._named) == 2:
            for path in set(self._folder.glob("best-*.safetensors")) - set(self._named):
                path.unlink(missing_ok=True)

    def choose(self, state: State) -> None:
        """Put the best snapshot into the averaged generator, where there is one."""
        if self._trial is not None and state.best:
            state.average.load_state_dict(load_file(self._path(state)))

    def _path(self, state: State) -> Path:
        return self._folder / f"best-{int(state.best.get('images', 0)):012d}.safetensors"
