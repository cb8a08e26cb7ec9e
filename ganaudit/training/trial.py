"""Audits while training: the averaged generator, every so many samples, within a share of the time."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import nn

from ganaudit.document.files import write_atomically
from ganaudit.training.config import TrainConfig
from ganaudit.training.data import TrainingData
from ganaudit.training.export import Log
from ganaudit.training.state import State

__all__ = ["BEST", "Trial", "Trials"]

Trial = Callable[[nn.Module, TrainingData], tuple[float, bool, dict[str, float]]]
"""Takes a generator in eval mode; returns the named measure, whether lower is better, and all measures."""

BEST = "best.safetensors"


class Trials:
    """The audits of one run and the best snapshot so far."""

    def __init__(self, config: TrainConfig, folder: Path, trial: Trial | None) -> None:
        self._plan, self._folder = config.audit, folder
        self._trial = trial if config.audit.every else None
        self._next = config.audit.every
        self._spent = 0.0
        self._last = 0.0
        self.curve: list[dict[str, Any]] = []

    def maybe(self, images: int, seconds: float, state: State, data: TrainingData, log: Log | None) -> None:
        """Audit when it is time and the share of the time allows it."""
        if self._trial is None or images < self._next:
            return
        if self.curve and self._spent + self._last > self._plan.share * seconds:
            return
        self._next = (images // self._plan.every + 1) * self._plan.every
        begun = time.perf_counter()
        value, lower, measures = self._trial(copy.deepcopy(state.average).eval(), data)
        self._last = time.perf_counter() - begun
        self._spent += self._last
        entry = {"images": images, **measures}
        self.curve.append(entry)
        if log is not None:
            log.write(images=images, audit=measures, audit_seconds=round(self._last, 3))
        best = state.best.get("value")
        if best is None or (value < best if lower else value > best):
            state.best = {"value": value, "images": float(images)}
            tensors = {name: t.detach().cpu().contiguous() for name, t in state.average.state_dict().items()}
            write_atomically(self._folder / BEST, save(tensors))

    def choose(self, state: State) -> None:
        """Put the best snapshot into the averaged generator, where there is one."""
        path = self._folder / BEST
        if self._trial is not None and state.best and path.is_file():
            state.average.load_state_dict(load_file(path))
