"""Audits while training: the averaged generator, every so many samples, and the best snapshot so far.

When an audit is due depends on the samples shown alone, never on a clock: two runs choose the same snapshot, and so
does one that was interrupted.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save
from torch import nn

from ganaudit.document.errors import ConfigError
from ganaudit.document.files import write_atomically
from ganaudit.training.config import TrainConfig
from ganaudit.training.data import TrainingData
from ganaudit.training.export import Log
from ganaudit.training.state import State

__all__ = ["Trial", "Trials", "passes"]

Trial = Callable[[nn.Module, TrainingData], tuple[float, bool, dict[str, float]]]
"""Takes a generator in eval mode; returns the named measure, whether lower is better, and all measures."""


class Trials:
    """The audits of one run and the best snapshot so far."""

    def __init__(
        self, config: TrainConfig, folder: Path, trial: Trial | None, told: Callable[[str], None] = lambda _: None
    ) -> None:
        self._plan, self._batch, self._folder = config.audit, config.batch, folder
        self._trial = trial if config.audit.every else None
        self._told, self._has_told = told, False
        self._named: list[Path] = []

    def maybe(self, images: int, seconds: float, state: State, data: TrainingData, log: Log | None) -> None:
        """Audit when the last step went past a multiple of ``audit.every`` samples; tell when audits take too long."""
        if self._trial is None or not passes(images, self._batch, self._plan.every):
            return
        begun = time.perf_counter()
        value, lower, measures = self._trial(copy.deepcopy(state.average).eval(), data)
        took = round(time.perf_counter() - begun, 3)
        state.audits.append({"images": images, "seconds": took, **measures})
        if log is not None:
            log.write(images=images, audit=measures, audit_seconds=took)
        best = state.best.get("value")
        if best is None or (value < best if lower else value > best):
            state.best = {"value": value, "images": float(images)}
            tensors = {name: t.detach().cpu().contiguous() for name, t in state.average.state_dict().items()}
            write_atomically(self._path(state), save(tensors))
        self._weigh(images, seconds + took, state)

    def excess(self, seconds: float, state: State) -> str:
        """Return the words for audits that took more than their share of ``seconds``; empty where they did not."""
        spent = sum(one["seconds"] for one in state.audits)
        if not spent > self._plan.share * seconds:
            return ""
        return (
            f"{len(state.audits)} audits took {spent / seconds:.0%} of the time, more than audit.share = "
            f"{self._plan.share:g}: raise audit.every or lower audit.samples"
        )

    def _weigh(self, images: int, seconds: float, state: State) -> None:
        """Tell once that audits take more than their share."""
        words = self.excess(seconds, state)
        if words and not self._has_told:
            self._has_told = True
            self._told(f"{images} images: {words}")

    def settle(self, state: State) -> None:
        """Let go of snapshots that neither of the last two checkpoints names; to be called when one was written."""
        self._named = [*self._named[-1:], self._path(state)]
        if len(self._named) == 2:
            for path in set(self._folder.glob("best-*.safetensors")) - set(self._named):
                path.unlink(missing_ok=True)

    def check(self, state: State) -> None:
        """Raise ConfigError when the best snapshot that a checkpoint names is gone: the run could not end with it."""
        if self._trial is not None and state.best and not self._path(state).is_file():
            raise ConfigError(
                f"--resume: {self._path(state)}: the best snapshot so far is not there; bring it back, or begin anew"
            )

    def choose(self, state: State) -> None:
        """Put the best snapshot into the averaged generator, where there is one."""
        if self._trial is not None and state.best:
            state.average.load_state_dict(load_file(self._path(state)))

    def _path(self, state: State) -> Path:
        return self._folder / f"best-{int(state.best.get('images', 0)):012d}.safetensors"


def passes(images: int, batch: int, every: int) -> bool:
    """Return whether the last ``batch`` of ``images`` samples went past a multiple of ``every``."""
    return images > 0 and images // every > (images - batch) // every
