"""What a run will cost: parameters, floating-point operations and time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ganaudit.data.reference import Reference
from ganaudit.numerics.allocator import keep_memory
from ganaudit.training.config import TrainConfig
from ganaudit.training.denormals import flushed_denormals
from ganaudit.training.networks.cost import Cost, cost
from ganaudit.training.run import Run

__all__ = ["Forecast", "forecast"]

_WARM, _TIMED = 2, 4


@dataclass(frozen=True, slots=True)
class Forecast:
    """What ``--dry-run`` tells."""

    generator: Cost
    discriminator: Cost
    samples: int
    """Real samples in the training split."""
    shape: tuple[int, ...]
    images_per_second: float
    seconds: float
    """Of all steps, from a few steps on this machine as it is now; audits and checkpoints come on top."""


def forecast(config: TrainConfig, reference: Reference) -> Forecast:
    """Return the cost of a run after a few steps of it, which leave nothing behind.

    Raises ConfigError as ``train`` does for what cannot be trained.
    """
    run = Run(config, Path(), reference)
    # Whole periods, so that penalties of one in so many steps are timed with their true share.
    timed = -(-_TIMED // run.loop.period) * run.loop.period
    keep_memory()
    with flushed_denormals():
        for number in range(_WARM):
            run.loop.step(number)
        start = time.perf_counter()
        for number in range(_WARM, _WARM + timed):
            run.loop.step(number)
        if run.data.device.type == "cuda":
            torch.cuda.synchronize(run.data.device)
        per_step = (time.perf_counter() - start) / timed
    data, state = run.data, run.state
    z = torch.zeros(1, config.latent, device=data.device)
    labels = None if data.labels is None else torch.zeros(1, dtype=torch.int64, device=data.device)
    x = torch.zeros(1, *data.shape, device=data.device)
    return Forecast(
        _cost(state.generator, z, labels),
        _cost(state.discriminator, x, labels),
        len(data),
        data.shape,
        config.batch / per_step,
        per_step * config.steps,
    )


def _cost(network: nn.Module, x: torch.Tensor, labels: torch.Tensor | None) -> Cost:
    return cost(network, *((x,) if labels is None else (x, labels)))
