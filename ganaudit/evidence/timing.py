"""Times of one piece of work done over and over, and the energy that went on meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.evidence.meters import Meter

__all__ = ["Timed", "timed"]

_WARM, _LEAST, _PATIENCE = 2, 3, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """What was timed."""

    seconds: Tensor
    """(N,) float64, one for each run, warm-up left out."""
    joules: float | None
    """Of all N runs together; None without a meter."""


def timed(work: Callable[[], object], device: str, seconds: float, enough: int, most: int, meter: Meter) -> Timed:
    """Return the times of ``work()`` after a warm-up, each from an idle device to an idle device, off any tape.

    Runs go on for about ``seconds`` and until there are ``enough`` of them, but at most twice as long, and never
    beyond ``most``; three there are always. What ``work`` raises is passed on.
    """
    wait = _synchronise(device)
    found: list[float] = []
    with torch.no_grad():
        begun = time.perf_counter()
        for _ in range(_WARM):
            work()
            wait()
            if time.perf_counter() - begun > seconds:
                break
        before, begun = meter.read(), time.perf_counter()
        while len(found) < most:
            start = time.perf_counter()
            work()
            wait()
            end = time.perf_counter()
            found.append(end - start)
            spent = end - begun
            if spent >= (seconds if len(found) >= enough else _PATIENCE * seconds) and len(found) >= _LEAST:
                break
        joules = meter.between(before, meter.read()) if meter.name else None
    return Timed(torch.tensor(found, dtype=torch.float64), joules)


def _synchronise(device: str) -> Callable[[], None]:
    return (lambda: torch.cuda.synchronize(device)) if device.startswith("cuda") else (lambda: None)
