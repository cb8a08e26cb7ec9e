"""Checkpoints: tensors as safetensors with their digest, counters in the metadata; atomic, never pickled.

The last two are kept. A newest one that cannot be read, or whose bytes are not those it was written with, is passed
over for the one before, and the run says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganaudit.document.errors import ConfigError
from ganaudit.document.files import write_atomically
from ganaudit.document.redaction import private_of_this_machine
from ganaudit.subjects.digests import json_digest, weights_digest
from ganaudit.training.config import TrainConfig
from ganaudit.training.health import Look
from ganaudit.training.state import State, laid_out_as

__all__ = ["HARMLESS", "Counters", "checkpoints", "load_checkpoint", "save_checkpoint"]

_NAME = re.compile(r"checkpoint-(\d{12})\.safetensors")
_KEPT = 2
HARMLESS = ("device", "backend", "deterministic", "checkpoint", "snapshot", "log", "tensorboard", "health", "audit")
"""Sections of a configuration that change no number of the training, or only its last digits."""


@dataclass(frozen=True, slots=True)
class Counters:
    """How far a run has come."""

    steps: int = 0
    seconds: float = 0.0


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in ``folder``, the newest first."""
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda path: path.name, reverse=True)


def save_checkpoint(folder: Path, config: TrainConfig, state: State, counters: Counters) -> Path:
    """Write everything that the run goes on from, and let all but the last two checkpoints go.

    Raises OutputError when it cannot be written; the checkpoints before stay as they are.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in _tensors(state).items()}
    metadata = {
        "config": private_of_this_machine().redact(config.model_dump_json()),
        "counters": json.dumps(
            {
                "steps": counters.steps,
                "seconds": counters.seconds,
                "best": state.best,
                "looks": [asdict(look) for look in state.looks],
                "audits": state.audits,
                "penalty": state.penalty,
                "data": state.data,
            }
        ),
        "torch": torch.__version__,
    }
    metadata["digest"] = _digest(metadata, tensors)
    path = folder / f"checkpoint-{counters.steps:012d}.safetensors"
    write_atomically(path, save(tensors, metadata=metadata))
    # Those of more steps than this one could not be used, or the run would have gone on from them.
    earlier = [old for old in checkpoints(folder) if old.name < path.name]
    for old in {*checkpoints(folder)} - {path, *earlier[: _KEPT - 1]}:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(
    folder: Path, config: TrainConfig, state: State, allow_change: bool, told: Callable[[str], None]
) -> Counters:
    """Put the newest good checkpoint of ``folder`` into ``state`` and return its counters.

    ``told`` hears of checkpoints that were passed over. Raises ConfigError when there is none that can be read, or it
    was written under another configuration.
    """
    found = checkpoints(folder)
    if not found:
        raise ConfigError(f"--resume: {folder}: holds no checkpoint; leave --resume out to begin anew")
    problems = []
    for path in found:
        try:
            metadata, tensors = _read(path)
        except (SafetensorError, OSError, ValueError) as error:
            problems.append(f"{path.name}: {error}")
            told(f"{path} cannot be used ({error}); going back to the one before")
            continue
        _check_config(path, json.loads(metadata["config"]), config, allow_change)
        _restore(state, tensors)
        counters = json.loads(metadata["counters"])
        if counters["data"] != state.data:
            raise ConfigError(
                f"--resume: {path} was trained on other samples: their digest was {counters['data']}, that of the data "
                f"as they are now is {state.data}; bring them back, or begin anew without --resume"
            )
        state.best, state.audits, state.penalty = counters["best"], counters["audits"], counters["penalty"]
        state.looks = [Look(**look) for look in counters["looks"]]
        return Counters(steps=counters["steps"], seconds=counters["seconds"])
    raise ConfigError(
        [f"--resume: no checkpoint in {folder} can be used; leave --resume out and name another --out", *problems]
    )


def _tensors(state: State) -> dict[str, Tensor]:
    tensors = {f"register/{name}": value for name, value in state.registers.items()}
    for role, module in state.modules():
        tensors |= {f"{role}/{name}": value for name, value in module.state_dict().items()}
    for role, optimiser in state.optimisers():
        for index, entries in optimiser.state_dict()["state"].items():
            tensors |= {f"{role}/{index}/{name}": value for name, value in entries.items()}
    return tensors


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with safe_open(str(path), framework="pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    if not {"config", "counters", "digest"} <= set(metadata):
        raise ValueError("it does not say what it was written with")
    if _digest(metadata, tensors) != metadata["digest"]:
        raise ValueError("its content is not what was written: the digests differ")
    return metadata, tensors


def _digest(metadata: dict[str, str], tensors: dict[str, Tensor]) -> str:
    said = {key: metadata[key] for key in ("config", "counters")}
    return json_digest({**said, "tensors": weights_digest(tensors)})


def _restore(state: State, tensors: dict[str, Tensor]) -> None:
    for name, register in state.registers.items():
        register.copy_(tensors[f"register/{name}"])
    for role, module in state.modules():
        module.load_state_dict(_below(tensors, role))
    for role, optimiser in state.optimisers():
        entries: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below(tensors, role).items():
            index, _, key = name.partition("/")
            entries.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": entries, "param_groups": optimiser.state_dict()["param_groups"]})
        for parameter, kept in optimiser.state.items():
            kept.update({k: laid_out_as(t, parameter) for k, t in kept.items() if t.shape == parameter.shape})


def _below(tensors: dict[str, Tensor], role: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{role}/"): t for name, t in tensors.items() if name.startswith(f"{role}/")}


def _check_config(path: Path, written: dict[str, Any], config: TrainConfig, allow_change: bool) -> None:
    # Paths are kept without the home directory: a checkpoint that is passed on tells of nobody.
    ours = json.loads(private_of_this_machine().redact(config.model_dump_json()))
    written = json.loads(private_of_this_machine().redact(json.dumps(_completed(written))))
    changed = [key for key in sorted({*ours, *written}) if ours.get(key) != written.get(key)]
    harmful = [key for key in changed if key not in HARMLESS]
    if not changed or (allow_change and not harmful):
        return
    told = "; ".join(f"{key}: {written.get(key)!r} then, {ours.get(key)!r} now" for key in changed)
    way = (
        f"{_named(harmful)} would make it another run: set it back, or begin anew without --resume"
        if harmful
        else "none of it changes what is learned: --allow-change goes on with it"
    )
    raise ConfigError(f"--resume: {path} was written under another configuration: {told}; {way}")


def _completed(written: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the defaults of keys that came after it was written."""
    try:
        return TrainConfig.model_validate(written).model_dump(mode="json")
    except ValidationError:
        return written  # of another version, whose keys the comparison then tells


def _named(keys: Sequence[str]) -> str:
    return ", ".join(keys)
