"""Images between real ranges and 8-bit levels; waveforms as 16-bit levels."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

__all__ = ["QUANTISERS", "Quantiser", "quantised", "to_int16", "to_range", "to_uint8"]

Quantiser: TypeAlias = Literal["round", "floor", "none"]

QUANTISERS: tuple[str, ...] = get_args(Quantiser)


def quantised(x: Tensor, low: float, high: float, quantiser: Quantiser) -> Tensor:
    """Return the values of ``x`` as levels 0..255, shape of ``x``.

    ``round``: ``to_uint8``. ``floor``: floor(255 (x - low)/(high - low)) in float32, clipped, uint8: half a level
    darker, as torchmetrics does. ``none``: 255 (x - low)/(high - low) clipped, float32, not quantised, as clean-fid
    does with generators.
    Raises ValueError as ``to_uint8`` does, and for another quantiser.
    """
    if quantiser == "round":
        return to_uint8(x, low, high)
    if quantiser not in QUANTISERS:
        raise ValueError(f"quantiser: found {quantiser!r}; allowed: {', '.join(QUANTISERS)}")
    _check_range(low, high)
    values = x.detach().to(torch.float32)
    if bool(values.isnan().any()):
        raise ValueError("x: found NaN; allowed: numbers")
    levels = (((values - low) / (high - low)).clamp(0, 1) * 255).clamp(0, 255)
    return levels.to(torch.uint8) if quantiser == "floor" else levels


def to_uint8(x: Tensor, low: float, high: float) -> Tensor:
    """Return the nearest of the 256 levels to every entry of ``x``, uint8, shape of ``x``.

    floor(255 (x - low)/(high - low) + 1/2), in float64, clipped to 0..255: level 0 stands for ``low`` and 255 for
    ``high``, and a value half way goes up. It undoes ``to_range`` exactly.
    Raises ValueError when ``low < high`` does not hold or an entry is NaN (infinities are clipped).
    """
    _check_range(low, high)
    values = _numbers(x)
    return ((values - low) / (high - low) * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8)


def to_int16(x: Tensor, low: float, high: float) -> Tensor:
    """Return the nearest of the 65,536 levels of a sound file to every entry of ``x``, int16, shape of ``x``.

    floor(65536 (x - low)/(high - low) + 1/2) - 32768, in float64, clipped to -32768..32767: level -32768 stands for
    ``low``, and ``high`` lies one level above the last. It undoes division of levels by 32768 exactly.
    Raises ValueError as ``to_uint8`` does.
    """
    _check_range(low, high)
    levels = ((_numbers(x) - low) / (high - low) * 65536 + 0.5).floor() - 32768
    return levels.clamp(-32768, 32767).to(torch.int16)


def to_range(u8: Tensor, low: float, high: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the value of every 8-bit level between ``low`` (level 0) and ``high`` (level 255), shape of ``u8``.

    low + u8/255 (high - low), computed in float64 and then rounded to ``dtype``.
    Raises ValueError when ``u8`` is not uint8, ``dtype`` is not floating or ``low < high`` does not hold.
    """
    _check_range(low, high)
    if u8.dtype != torch.uint8:
        raise ValueError(f"u8: found dtype {u8.dtype}; allowed: {torch.uint8}")
    if not dtype.is_floating_point:
        raise ValueError(f"dtype: found {dtype}; allowed: a floating dtype")
    return (low + u8.double() / 255 * (high - low)).to(dtype)


def _numbers(x: Tensor) -> Tensor:
    values = x.detach().double()
    if bool(values.isnan().any()):
        raise ValueError("x: found NaN; allowed: numbers")
    return values


def _check_range(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"low, high: found {low}, {high}; allowed: low below high")
