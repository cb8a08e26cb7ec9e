"""Checks that every function of this package makes on what it is given; each failure is a ValueError."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LARGEST", "bounded", "matrix", "pair", "proportion", "vector", "whole"]

LARGEST = 1e100
"""The size of a feature from which on squares of squares, in whatever unit, could leave float64."""


def matrix(values: Tensor, name: str, least: int) -> Tensor:
    """Return ``values`` (N, D) cut off from the gradient tape, dtype and device as they were.

    Raises ValueError when it is not a real matrix of finite numbers with at least ``least`` rows and one column.
    """
    if values.ndim != 2 or values.shape[1] < 1:
        raise ValueError(f"{name}: found shape {tuple(values.shape)}; allowed: (samples, features)")
    return _checked(values, name, least)


def bounded(values: Tensor, name: str, least: int) -> Tensor:
    """Return ``values`` (N, D) checked as by ``matrix``; raises ValueError also for an entry of 1e100 or more."""
    values = matrix(values, name, least)
    # No other type reaches that far.
    if values.dtype == torch.float64 and values.numel():
        low, high = torch.aminmax(values)
        largest = max(-float(low), float(high))
        if not largest < LARGEST:
            raise ValueError(f"{name}: found a feature of size {largest:g}; allowed: below 1e100")
    return values


def vector(values: Tensor, name: str, least: int) -> Tensor:
    """Return ``values`` (N) in float64.

    Raises ValueError when it is not a real vector of finite numbers with at least ``least`` entries.
    """
    if values.ndim != 1:
        raise ValueError(f"{name}: found shape {tuple(values.shape)}; allowed: (samples,)")
    return _checked(values, name, least).double()


def pair(real: Tensor, fake: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Return ``real`` (N, D) and ``fake`` (M, D), each checked as by ``bounded``.

    Raises ValueError also when the two differ in the number of features.
    """
    checked = bounded(real, "real", least), bounded(fake, "fake", least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"fake: found {fake.shape[1]} features; allowed: {real.shape[1]}, as in real")
    return checked


def proportion(value: float, name: str) -> float:
    """Return ``value``; raises ValueError unless it lies strictly between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name}: found {value}; allowed: above 0 and below 1")
    return float(value)


def whole(value: int, name: str, least: int, most: int | None = None) -> int:
    """Return ``value``; raises ValueError unless ``least <= value <= most`` (no upper limit when ``most`` is None)."""
    if value < least or (most is not None and value > most):
        limit = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"{name}: found {value}; allowed: {limit}")
    return int(value)


def _checked(values: Tensor, name: str, least: int) -> Tensor:
    if values.is_complex():
        raise ValueError(f"{name}: found dtype {values.dtype}; allowed: real numbers")
    if len(values) < least:
        raise ValueError(f"{name}: found {len(values)} samples; allowed: {least} or more")
    values = values.detach()
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"{name}: found NaN or infinity; allowed: finite numbers")
    return values
