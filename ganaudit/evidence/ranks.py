"""The processes of one audit: alone, or those that ``torchrun`` started on one or many machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from ganaudit.document.errors import ConfigError
from ganaudit.numerics.world import World

__all__ = ["SINGLE", "Ranks", "device_of", "is_launched", "launched"]

T = TypeVar("T")

_PATIENCE = timedelta(hours=2)
"""How long a process waits for the slowest; one that dies is noticed at once by torchrun."""


class Ranks(World, Protocol):
    """A world that also passes objects around, for evidence; each call is made by every process in the same order."""

    is_writer: bool
    """Whether this process writes into the store of its machine."""

    def gathered(self, value: T) -> list[T]:
        """Return what every process has given, in the order of their ranks."""


class _Single:
    rank = 0
    size = 1
    is_writer = True

    def mine(self, parts: int) -> Iterator[int]:
        return iter(range(parts))

    def total(self, values: Tensor) -> Tensor:
        return values

    def least(self, values: Tensor) -> Tensor:
        return values

    def gathered(self, value: T) -> list[T]:
        return [value]


SINGLE: Ranks = _Single()
"""One process alone."""


class _Launched:
    """The process group that torchrun's environment variables describe."""

    def __init__(self) -> None:
        from torch import distributed

        self._distributed = distributed
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self.is_writer = _number("LOCAL_RANK", 0) == 0

    def mine(self, parts: int) -> Iterator[int]:
        return iter(range(self.rank, parts, self.size))

    def total(self, values: Tensor) -> Tensor:
        return self._reduced(values, self._distributed.ReduceOp.SUM)

    def least(self, values: Tensor) -> Tensor:
        return self._reduced(values, self._distributed.ReduceOp.MIN)

    def gathered(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.size
        # Pickled by torch, between processes of one launch: nothing foreign is ever unpickled.
        self._distributed.all_gather_object(values, value)
        return values

    def _reduced(self, values: Tensor, operation: Any) -> Tensor:
        is_bool = values.dtype == torch.bool
        # Wide enough for a truth from each of many processes.
        made = values.to(torch.int32) if is_bool else values.clone()
        made = made.contiguous()
        self._distributed.all_reduce(made, operation)
        return made.to(torch.bool) if is_bool else made


def device_of(device: str, ranks: Ranks) -> str:
    """Return the device of this process: of several on one machine each takes the GPU of its own number."""
    return f"cuda:{_number('LOCAL_RANK', 0)}" if device == "cuda" and ranks.size > 1 else device


def is_launched() -> bool:
    """Return whether this process is one of several that torchrun has started; raises ConfigError as ``launched``."""
    return _number("WORLD_SIZE", 1) > 1


def _number(name: str, default: int) -> int:
    found = os.environ.get(name, str(default))
    if not found.isdecimal():
        raise ConfigError(f"environment variable {name}={found!r}: allowed is a whole number, as torchrun sets it")
    return int(found)


@contextmanager
def launched(device: str) -> Iterator[Ranks]:
    """Open the process group of this launch, or yield ``SINGLE`` where there is none; it is closed at the end.

    gloo carries what lies on CPUs and nccl what lies on GPUs. Raises ConfigError when the environment names a launch
    that cannot be joined.
    """
    from torch import distributed

    if not is_launched() or distributed.is_initialized():
        yield _Launched() if distributed.is_initialized() else SINGLE
        return
    backend = "gloo" if device == "cpu" else "cpu:gloo,cuda:nccl"
    if device != "cpu":
        torch.cuda.set_device(_number("LOCAL_RANK", 0))
    try:
        distributed.init_process_group(backend, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        found = ", ".join(f"{name}={os.environ.get(name, 'not set')}" for name in names)
        raise ConfigError(
            f"several processes were asked for ({found}), and they cannot find each other: {error}; start them with "
            "torchrun --nproc-per-node=N -m ganaudit audit ..."
        ) from None
    try:
        yield _Launched()
    finally:
        distributed.destroy_process_group()
