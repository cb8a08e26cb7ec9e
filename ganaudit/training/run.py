"""A training run: from a configuration to a subject directory."""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import ganaudit
from ganaudit import registry
from ganaudit.data.reference import Reference
from ganaudit.document.errors import ConfigError, nearest
from ganaudit.numerics.randomness import child_seed
from ganaudit.progress import Progress, Silent, Task
from ganaudit.subjects.digests import json_digest
from ganaudit.subjects.directory import write_directory
from ganaudit.subjects.subject import LatentSpec, SampleSpec
from ganaudit.training.checkpoint import FILE, Counters, load_checkpoint, save_checkpoint
from ganaudit.training.config import NetworkConfig, TrainConfig
from ganaudit.training.denormals import flushed_denormals
from ganaudit.training.loop import State, Step, step

__all__ = ["Trained", "train"]

_NOTE_EVERY = 50


@dataclass(frozen=True, slots=True)
class Trained:
    """How a run ended."""

    images: int
    """Real images shown in all."""
    seconds: float
    """Time spent in steps, over all sittings."""
    finished: bool
    """False when it stopped at a checkpoint before its end."""


def train(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train, checkpoint as it goes, and write the subject directory at the end.

    ``stop_after`` images it checkpoints and ends as an interruption would; an interruption checkpoints and is raised
    again. Raises ConfigError for unknown names, options a network refuses or a device that is not there.
    """
    reference = _data(config)
    real = reference.splits["train"]
    images = real.values(slice(None), -1.0, 1.0).to(_device(config.device))
    state = _state(config, real.shape)
    if not resume:
        _check_empty(folder)
    counters = load_checkpoint(folder, config, state) if resume else Counters()
    last = config.steps if stop_after is None else min(config.steps, -(-stop_after // config.batch))
    with flushed_denormals(), (progress or Silent()).task(f"training {config.name}", config.images, "images") as task:
        task.advance(min(counters.steps * config.batch, config.images))
        counters = _steps(config, state, images, counters, last, folder, task)
    finished = counters.steps >= config.steps
    if finished:
        _export(config, folder, state, reference, counters)
    return Trained(counters.steps * config.batch, counters.seconds, finished)


def _check_empty(folder: Path) -> None:
    """Refuse to begin anew where an earlier run lies: a model is not lost by repeating a command."""
    for name in (FILE, "subject.toml"):
        if (folder / name).exists():
            raise ConfigError(
                f"{folder / name}: an earlier run lies there; --resume goes on with it, --out names another folder"
            )


def _steps(
    config: TrainConfig, state: State, images: Tensor, counters: Counters, last: int, folder: Path, task: Task
) -> Counters:
    done, begun, before = counters.steps, time.perf_counter(), counters.seconds

    def now() -> Counters:
        return Counters(done, before + time.perf_counter() - begun)

    saved = done
    every = max(1, config.checkpoint // config.batch)
    try:
        while done < last:
            shown = step(config, state, images, done)
            done += 1
            task.advance(config.batch)
            if done % _NOTE_EVERY == 0:
                _note(task, shown)
            if done - saved >= every and done < last:
                save_checkpoint(folder, config, state, now())
                saved = done
    finally:
        # Also after an interruption: a step is whole or not begun, so what was reached can be gone on from.
        save_checkpoint(folder, config, state, now())
    return now()


def _note(task: Task, shown: Step) -> None:
    losses = [float(v) for v in (shown.discriminator_loss, shown.generator_loss, shown.gap)]
    if any(v != v for v in losses):
        raise ConfigError(
            "training diverged: a loss is not a number; lower optimiser.rate or raise penalty.r1 and penalty.r2"
        )
    task.note(f"D {losses[0]:.3f} G {losses[1]:.3f} gap {losses[2]:+.2f}")


def _device(name: str) -> torch.device:
    if name != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: no CUDA device is at hand; use --device cpu")
    return torch.device(name)


def _data(config: TrainConfig) -> Reference:
    known = registry.names("datasets")
    if config.data not in known:
        raise ConfigError(f"data {config.data!r}: no built-in set has this name; {nearest(config.data, known)}")
    side = 8 * config.scale
    reference: Reference = registry.find("datasets", config.data)(size=(side, side))
    return reference


def _state(config: TrainConfig, shape: tuple[int, ...]) -> State:
    device = _device(config.device)
    with torch.random.fork_rng(devices=[]):
        # Weights are drawn on the CPU from the run's seed, whatever drew random numbers before.
        torch.manual_seed(child_seed(config.seed, "weights") % 2**63)
        generator = _network(config.generator, shape, latent=config.latent).to(device)
        discriminator = _network(config.discriminator, shape).to(device)
    plan = config.optimiser
    adam: Callable[[nn.Module], torch.optim.Adam] = lambda network: torch.optim.Adam(  # noqa: E731
        network.parameters(), lr=plan.rate, betas=(plan.beta1, plan.beta2), eps=1e-8, fused=True
    )
    return State(generator, discriminator, copy.deepcopy(generator), adam(generator), adam(discriminator))


def _network(plan: NetworkConfig, shape: tuple[int, ...], **sizes: int) -> nn.Module:
    build = registry.find("networks", plan.network)
    allowed = [name for name in inspect.signature(build).parameters if name not in ("size", "channels", "latent")]
    unknown = [name for name in plan.options if name not in allowed]
    if unknown:
        raise ConfigError(
            [f"network {plan.network!r}: option {name!r}: unknown; {nearest(name, allowed)}" for name in unknown]
        )
    try:
        network: nn.Module = build(**_options(plan, shape, **sizes))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"network {plan.network!r}: refuses {plan.options}: {error}") from None
    return network


def _options(plan: NetworkConfig, shape: tuple[int, ...], **sizes: int) -> dict[str, Any]:
    channels, height, _ = shape
    return {"size": height, "channels": channels, **sizes, **plan.options}


def _augmentation(config: TrainConfig) -> str:
    plan = config.augmentation
    if plan.shift == 0:
        return "none"
    return f"shifts of up to {plan.pixels} pixels with probability {plan.shift:g}, of all the discriminator sees"


def _export(config: TrainConfig, folder: Path, state: State, reference: Reference, counters: Counters) -> None:
    shape = reference.splits["train"].shape
    networks = {
        "generator": (config.generator, _options(config.generator, shape, latent=config.latent), state.average),
        "discriminator": (config.discriminator, _options(config.discriminator, shape), state.discriminator),
    }
    write_directory(
        folder,
        config.name,
        LatentSpec(config.latent),
        SampleSpec(shape, -1.0, 1.0),
        {role: (plan.network, options, module.state_dict()) for role, (plan, options, module) in networks.items()},
        training={
            "data": config.data,
            "split": "train",
            "split_digest": reference.splits["train"].digest,
            "images": counters.steps * config.batch,
            "seed": config.seed,
            "weights": "moving average of the generator; discriminator as it stood at the end",
            "augmentation": _augmentation(config),
            "config_digest": json_digest(config.model_dump(mode="json", exclude={"device", "checkpoint"})),
            "ganaudit": ganaudit.__version__,
        },
    )
