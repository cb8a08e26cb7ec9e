"""What happens to samples without an enemy: compression, blur, resizing, rounding, noise, light, loudness."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ganaudit.attacks.chance import Draws
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.spatial import mirrored
from ganaudit.attacks.threat import Kind, Threat
from ganaudit.document.errors import nearest

__all__ = ["CORRUPTIONS", "LEVELS", "Corruption", "Degradation", "Level", "applicable", "corrupt"]

Level = Literal["slight", "moderate", "strong"]
Medium = Literal["images", "waveforms"]

LEVELS: tuple[Level, ...] = ("slight", "moderate", "strong")
"""Severities, the mildest first."""

_REACH = 4.0  # standard deviations of the Gaussian kept; what is cut off weighs 6e-5
_COLOURS = (1, 3)


@dataclass(frozen=True, slots=True)
class Degradation:
    """One kind of damage and how much of it each level does."""

    title: str
    unit: str
    """What the amounts are."""
    amounts: dict[Level, float]
    apply: Callable[[Tensor, float, np.random.Generator], Tensor]
    """Samples in [0, 1] and an amount to samples, clipped by the caller."""


def corrupt(x: Tensor, name: str, level: str, rng: np.random.Generator, low: float, high: float) -> Tensor:
    """Return ``x`` (B, C, H, W) or (B, C, T), values in [low, high], damaged by ``name`` at ``level``; same dtype.

    ``CORRUPTIONS`` lists names and amounts. Only ``noise`` draws from ``rng``, and what a sample gets depends on
    ``rng`` and that sample. Clipped to [low, high]; cut off from the gradient tape. ValueError for an unknown name or
    level, another number of axes, values outside the range or no numbers, and JPEG on other than 1 or 3 channels.
    """
    found = _degradation(x, name)
    if level not in found.amounts:
        raise ValueError(f"level: found {level!r}; allowed: {', '.join(LEVELS)}")
    if not low < high:
        raise ValueError(f"range: found {low} to {high}; allowed: low below high")
    unit = (x.detach() - low) / (high - low)
    slack = 1e-5
    if not bool(((unit >= -slack) & (unit <= 1 + slack)).all()):
        raise ValueError(f"x: found values outside {low:g} to {high:g}, or no numbers; allowed: values of that range")
    made = found.apply(unit.clamp(0, 1), found.amounts[level], rng)
    return (low + made.clamp(0, 1) * (high - low)).clamp(low, high).to(x.dtype)


def applicable(x: Tensor) -> tuple[str, ...]:
    """Return the names of the corruptions that samples like ``x`` can have."""
    medium = _medium(x)
    return tuple(name for name in CORRUPTIONS[medium] if name != "jpeg" or x.shape[1] in _COLOURS)


@dataclass(frozen=True, slots=True)
class Corruption:
    """One corruption as an attack that nobody steers: what a critic's verdicts lose without an enemy.

    The level is the budget: the caller's ball has to be the whole range. ValueError for an unknown level; a name that
    the samples cannot have is refused when they come.
    """

    name: str = "noise"
    level: str = "moderate"

    id: ClassVar[str] = "corruption"
    kind: ClassVar[Kind] = "baseline"
    title: ClassVar[str] = "Damage without an enemy"
    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"level: found {self.level!r}; allowed: {', '.join(LEVELS)}")
        known = sorted({name for table in CORRUPTIONS.values() for name in table})
        if self.name not in known:
            raise ValueError(f"name: found {self.name!r}; {nearest(self.name, known)}")

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return the damaged samples; the critic is not asked."""
        return corrupt(x, self.name, self.level, rng, threat.low, threat.high)


def _medium(x: Tensor) -> Medium:
    if x.ndim not in (3, 4):
        raise ValueError(
            f"x: found shape {tuple(x.shape)}; allowed: images (B, channels, height, width), "
            "waveforms (B, channels, time)"
        )
    return "waveforms" if x.ndim == 3 else "images"


def _degradation(x: Tensor, name: str) -> Degradation:
    medium = _medium(x)
    table = CORRUPTIONS[medium]
    if name not in table:
        raise ValueError(f"name: found {name!r}; {nearest(name, sorted(table))} for {medium}")
    return table[name]


def _jpeg(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    channels = unit.shape[1]
    if channels not in _COLOURS:
        raise ValueError(f"x: found {channels} channels; allowed for jpeg: 1 or 3")
    levels = (unit * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    made = np.empty_like(levels)
    for position, picture in enumerate(levels):
        file = io.BytesIO()
        Image.fromarray(picture[..., 0] if channels == 1 else picture).save(file, "JPEG", quality=round(amount))
        with Image.open(file) as image:
            made[position] = np.asarray(image).reshape(picture.shape)
    return torch.from_numpy(made).permute(0, 3, 1, 2).to(unit) / 255


def _blur(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    rows, columns = (_gaussian(size, amount).to(unit) for size in unit.shape[2:])
    return rows @ unit @ columns.T


def _gaussian(size: int, sigma: float) -> Tensor:
    """Return the blur of a line of ``size`` values as a matrix; edges mirrored about the outermost value."""
    reach = int(_REACH * sigma + 0.5)
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-steps.square() / (2 * sigma**2))
    weights /= weights.sum()
    here = torch.arange(size)[:, None]
    places = mirrored((here + steps).double(), size).long()
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, places, weights.expand(size, -1))


def _resize(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    full = unit.shape[2:]
    small = [max(1, round(size * amount)) for size in full]
    less = functional.interpolate(unit, small, mode="bilinear", antialias=True, align_corners=False)
    back: Tensor = functional.interpolate(less, full, mode="bilinear", antialias=True, align_corners=False)
    return back


def _quantise(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    return (unit * (amount - 1)).round() / (amount - 1)


def _noise(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    return unit + amount * Draws(rng, unit).normal(*unit.shape[1:]).to(unit)


def _light(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    return unit + amount


def _hiss(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    power = (unit - 0.5).square().mean((1, 2), keepdim=True)
    noise = Draws(rng, unit).normal(*unit.shape[1:]).to(unit)
    return unit + noise * power.sqrt() * 10 ** (-amount / 20)


def _low_pass(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    size = unit.shape[2]
    spectrum = torch.fft.rfft(unit.double(), dim=2)
    kept = torch.arange(spectrum.shape[2], device=unit.device) <= amount * size / 2
    made: Tensor = torch.fft.irfft(spectrum * kept, n=size, dim=2)
    return made.to(unit)


def _bits(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    # As integers in a file: 2^bits steps from the bottom, the top one short.
    steps = 2**amount
    return (unit * steps).round().clamp(max=steps - 1) / steps


def _loudness(unit: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    return 0.5 + (unit - 0.5) * 10 ** (amount / 20)


def _by_level(slight: float, moderate: float, strong: float) -> dict[Level, float]:
    return {"slight": slight, "moderate": moderate, "strong": strong}


CORRUPTIONS: dict[Medium, dict[str, Degradation]] = {
    "images": {
        "jpeg": Degradation("JPEG", "quality of Pillow, 1 to 95, colour at half size", _by_level(90, 75, 50), _jpeg),
        "blur": Degradation("Gaussian blur", "standard deviation in px", _by_level(0.5, 1, 2), _blur),
        "resize": Degradation("Smaller and back, bilinear", "share of each side", _by_level(0.75, 0.5, 0.25), _resize),
        "quantisation": Degradation("Fewer levels", "levels", _by_level(64, 16, 8), _quantise),
        "noise": Degradation("Gaussian noise", "standard deviation over the range", _by_level(0.02, 0.05, 0.1), _noise),
        "brightness": Degradation("Brighter", "added, over the range", _by_level(0.05, 0.1, 0.2), _light),
        "darkness": Degradation("Darker", "added, over the range", _by_level(-0.05, -0.1, -0.2), _light),
    },
    "waveforms": {
        "noise": Degradation("White noise", "signal to noise in dB", _by_level(40, 30, 20), _hiss),
        "low-pass": Degradation("Ideal low-pass", "share of the band kept", _by_level(0.75, 0.5, 0.25), _low_pass),
        "quantisation": Degradation("Fewer bits", "bits", _by_level(10, 8, 6), _bits),
        "gain": Degradation("Louder, clipped", "dB", _by_level(1, 3, 6), _loudness),
        "attenuation": Degradation("Quieter", "dB", _by_level(-1, -3, -6), _loudness),
    },
}
"""Names, amounts and units for each medium."""
