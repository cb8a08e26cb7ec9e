"""Meters of energy that a machine may have: RAPL of Intel and AMD processors on Linux, NVML of NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Meter", "meter_of"]

_POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class Meter:
    """A counter of joules that only rises, or why there is none."""

    name: str
    """What it measures, or an empty text."""
    reason: str
    """Why there is none, or an empty text."""
    read: Callable[[], float] = lambda: 0.0
    """Returns joules since some time; may wrap around at ``wrap``."""
    wrap: float = 0.0

    def between(self, before: float, after: float) -> float:
        """Return the joules between two readings, wrapped around at most once."""
        return after - before if after >= before else after - before + self.wrap


def meter_of(device: str, powercap: Path = _POWERCAP) -> Meter:
    """Return the meter of what does the work: NVML for ``cuda``, else RAPL; a meter without a name where none is."""
    return _nvml(device) if device.startswith("cuda") else _rapl(powercap)


def _rapl(folder: Path) -> Meter:
    """Return the meter over all processor packages: zones ``intel-rapl:N``, whatever the maker."""
    zones = sorted(zone for zone in folder.glob("intel-rapl:*") if zone.name.count(":") == 1)
    if not zones:
        return Meter("", "0 processor packages with an energy counter (RAPL) are shown by this system")
    try:
        wraps = [int((zone / "max_energy_range_uj").read_text()) for zone in zones]
        _joules(zones)
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or "its counter is no number"
        return Meter("", f"the energy counters (RAPL) of {len(zones)} processor packages cannot be read: {told}")
    # Packages wrap one by one: only a single one's wrap can be told from the sum.
    name = f"RAPL, {len(zones)} processor package{'s' if len(zones) > 1 else ''} with all that runs on them"
    return Meter(name, "", lambda: _joules(zones), wraps[0] / 1e6)


def _joules(zones: list[Path]) -> float:
    return sum(int((zone / "energy_uj").read_text()) for zone in zones) / 1e6


def _nvml(device: str) -> Meter:
    try:
        import pynvml

        pynvml.nvmlInit()
        handle: Any = pynvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except ImportError:
        return Meter("", "0 meters: the package nvidia-ml-py, which reads that of a GPU, is not installed")
    except Exception as error:  # its own classes, which exist only where it is installed
        return Meter("", f"the energy counter of GPU {device} (NVML) cannot be read: {error}")
    read = pynvml.nvmlDeviceGetTotalEnergyConsumption
    return Meter("NVML, the whole GPU", "", lambda: float(read(handle)) / 1e3)
