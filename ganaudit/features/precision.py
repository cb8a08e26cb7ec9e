"""In which precision a network runs, and whether this machine has the instructions for it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

from ganaudit.document.errors import ExtractorError

__all__ = ["Precision", "check_precision", "has_bf16"]

Precision: TypeAlias = Literal["fp32", "bf16"]


def has_bf16(device: str) -> bool:
    """Return whether ``device`` multiplies bf16 in hardware; emulation would be slower than fp32."""
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, lambda: False)()) for probe in probes)


def check_precision(precision: Precision, device: str) -> None:
    """Raise ExtractorError when this device cannot run ``precision``."""
    if precision == "bf16" and not has_bf16(device):
        raise ExtractorError(
            f"--precision bf16: {device} has no bf16 instructions (AVX512-BF16 or AMX on a CPU, a GPU from 2020 on); "
            "found none; use --precision fp32"
        )
