"""train.toml: everything a training run depends on."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganaudit.document.errors import ConfigError
from ganaudit.document.policy import problems_of

__all__ = [
    "AugmentationConfig",
    "AverageConfig",
    "NetworkConfig",
    "OptimiserConfig",
    "PenaltyConfig",
    "TrainConfig",
    "load_config",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class NetworkConfig(_Section):
    """A registered network and its options; size and channels come from the data."""

    network: str
    options: dict[str, int | float | bool | str] = Field(default_factory=dict)


class PenaltyConfig(_Section):
    """Zero-centred gradient penalties on the discriminator: R1 at reals, R2 at generated samples.

    Each is coefficient / 2 times the batch mean of the squared norm of the score's gradient.
    """

    r1: float = Field(default=1.0, ge=0)
    r2: float = Field(default=1.0, ge=0)
    end: float = Field(default=1.0, ge=0, le=1)
    """Share of the coefficients that is left at the end; they fall along half a cosine."""
    every: int = Field(default=1, ge=1)
    """Computed in one of so many steps, with the coefficient multiplied by as much."""


class AugmentationConfig(_Section):
    """What is done to all that the discriminator sees, real and generated alike."""

    shift: float = Field(default=0.0, ge=0, lt=1)
    """Probability that a sample is shifted; below 1, so that the unshifted data can be told from the shifted."""
    pixels: int = Field(default=1, ge=1)
    """The largest shift, in pixels each way."""


class OptimiserConfig(_Section):
    """Adam for both networks."""

    rate: float = Field(default=1e-3, gt=0)
    end: float = Field(default=0.05, ge=0, le=1)
    """Share of the rate that is left at the end; it falls along half a cosine."""
    warmup: int = Field(default=0, ge=0)
    """Images over which the rate rises from 0."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)


class AverageConfig(_Section):
    """The moving average of the generator's weights, which is the generator that is kept."""

    power: float = Field(default=12.0, gt=0)
    """Step t of the run enters with weight t^power: the memory grows with the run."""


class TrainConfig(_Section):
    """One training run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    data: str = "digits"
    """A built-in set; its train split is all that is seen."""
    scale: int = Field(default=2, ge=1)
    """Scale factor k: samples are 8k pixels wide and high."""
    images: int = Field(ge=1)
    """Real images shown to the discriminator, the measure of progress."""
    batch: int = Field(default=64, ge=2)
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    latent: int = Field(default=64, ge=1)
    generator: NetworkConfig
    discriminator: NetworkConfig
    objective: Literal["relativistic-pairing"] = "relativistic-pairing"
    penalty: PenaltyConfig = PenaltyConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    average: AverageConfig = AverageConfig()
    checkpoint: int = Field(default=100_000, ge=1)
    """Images between two checkpoints."""

    @property
    def steps(self) -> int:
        """Steps of the whole run; the last one may go past ``images``."""
        return -(-self.images // self.batch)


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Return the configuration of a file with ``key=value`` texts laid over it; keys may be dotted.

    Raises ConfigError when the file cannot be read or anything in it is wrong.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"train config {path}: no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"train config {path}: cannot be read: {error}") from None
    for text in overrides:
        _lay_over(data, text)
    try:
        return TrainConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(problems_of(error, f"train config {path}", _KNOWN)) from None


def _lay_over(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r}: KEY=VALUE is asked for, such as --set optimiser.rate=0.001")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a string
    *sections, last = key.strip().split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise ConfigError(f"--set {text!r}: {section} is a value, not a table")
    data[last] = parsed


_KNOWN = {
    "": list(TrainConfig.model_fields),
    "generator": list(NetworkConfig.model_fields),
    "discriminator": list(NetworkConfig.model_fields),
    "penalty": list(PenaltyConfig.model_fields),
    "augmentation": list(AugmentationConfig.model_fields),
    "optimiser": list(OptimiserConfig.model_fields),
    "average": list(AverageConfig.model_fields),
}
