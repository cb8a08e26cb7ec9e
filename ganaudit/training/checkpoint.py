"""Checkpoints: tensors as safetensors, counters in their metadata; atomic, never pickled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganaudit.document.errors import ConfigError
from ganaudit.document.files import write_atomically
from ganaudit.training.config import TrainConfig
from ganaudit.training.loop import State

__all__ = ["FILE", "Counters", "load_checkpoint", "save_checkpoint"]

FILE = "checkpoint.safetensors"
# What may differ between the run that wrote a checkpoint and the one that goes on from it.
_FREE = ("device", "checkpoint")


@dataclass(frozen=True, slots=True)
class Counters:
    """How far a run has come."""

    steps: int = 0
    seconds: float = 0.0


def save_checkpoint(folder: Path, config: TrainConfig, state: State, counters: Counters) -> None:
    """Write networks, average and both optimisers with the counters, replacing the checkpoint before."""
    tensors: dict[str, Tensor] = {}
    for role, module in _modules(state).items():
        tensors |= {f"{role}/{name}": value for name, value in module.state_dict().items()}
    for role, optimiser in _optimisers(state).items():
        for index, entries in optimiser.state_dict()["state"].items():
            tensors |= {f"{role}/{index}/{name}": value for name, value in entries.items()}
    metadata = {
        "config": config.model_dump_json(exclude=set(_FREE)),
        "counters": json.dumps({"steps": counters.steps, "seconds": counters.seconds}),
    }
    content = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, metadata=metadata)
    write_atomically(folder / FILE, content)


def load_checkpoint(folder: Path, config: TrainConfig, state: State) -> Counters:
    """Put the checkpoint of ``folder`` into ``state`` and return its counters.

    Raises ConfigError when there is none, it cannot be read, or it was written under another configuration.
    """
    path = folder / FILE
    if not path.is_file():
        raise ConfigError(f"--resume: {path}: no such file; leave --resume out to begin anew")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"--resume: {path} cannot be read: {error}; leave --resume out to begin anew") from None
    _check_config(path, json.loads(metadata.get("config", "{}")), config)
    for role, module in _modules(state).items():
        module.load_state_dict(_below(tensors, role))
    for role, optimiser in _optimisers(state).items():
        _restore(optimiser, _below(tensors, role))
    counters = json.loads(metadata["counters"])
    return Counters(steps=counters["steps"], seconds=counters["seconds"])


def _modules(state: State) -> dict[str, torch.nn.Module]:
    return {"generator": state.generator, "discriminator": state.discriminator, "average": state.average}


def _optimisers(state: State) -> dict[str, torch.optim.Adam]:
    return {
        "generator_optimiser": state.generator_optimiser,
        "discriminator_optimiser": state.discriminator_optimiser,
    }


def _below(tensors: dict[str, Tensor], role: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{role}/"): t for name, t in tensors.items() if name.startswith(f"{role}/")}


def _restore(optimiser: torch.optim.Adam, tensors: dict[str, Tensor]) -> None:
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition("/")
        entries.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": entries, "param_groups": optimiser.state_dict()["param_groups"]})


def _check_config(path: Path, written: dict[str, Any], config: TrainConfig) -> None:
    ours = config.model_dump(mode="json", exclude=set(_FREE))
    differing = [key for key in ours if ours[key] != written.get(key)]
    if differing:
        told = "; ".join(f"{key}: {written.get(key)!r} then, {ours[key]!r} now" for key in differing)
        raise ConfigError(f"--resume: {path} was written under another configuration: {told}")
