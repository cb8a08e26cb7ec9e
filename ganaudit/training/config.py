"""train.toml: everything a training run depends on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ganaudit.document.errors import ConfigError
from ganaudit.document.policy import problems_of

__all__ = [
    "AuditConfig",
    "AugmentationConfig",
    "AverageConfig",
    "DataConfig",
    "NetworkConfig",
    "OptimiserConfig",
    "RegulariserConfig",
    "Schedule",
    "TrainConfig",
    "load_config",
    "parted",
]

Objective = Literal[
    "non-saturating", "saturating", "softmax", "least-squares", "hinge", "wasserstein", "relativistic-pairing"
]

Schedule = Literal["cosine", "linear", "constant"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class NetworkConfig(_Section):
    """A registered network and its options; size, channels and classes come from the data."""

    network: str
    options: dict[str, int | float | bool | str] = Field(default_factory=dict)


class DataConfig(_Section):
    """How samples that are not a built-in set are read."""

    resize: tuple[int, int] | None = None
    """Width and height every image is resized to, antialiased bicubic."""
    range: tuple[float, float] = (-1.0, 1.0)
    """What samples stored as floats span; they are brought to -1 to 1."""
    skip_unreadable: bool = False
    """Whether files that cannot be read are left out, and counted, in place of ending the run."""
    labels: Path | None = None
    """A CSV file with the columns file and label; without it labels are the names of subfolders."""
    held_out: float = Field(default=0.1, ge=0, le=0.5)
    """Share of a path that is never trained on, by a fixed rule on row numbers: a look at health needs unseen reals."""


class RegulariserConfig(_Section):
    """What is added to the losses. A gradient penalty is coefficient / 2 times a batch mean of squares."""

    r1: float = Field(default=0.0, ge=0)
    """At reals: coefficient / 2 · mean |grad D|²."""
    r2: float = Field(default=0.0, ge=0)
    """At generated samples: coefficient / 2 · mean |grad D|²."""
    wgan_gp: float = Field(default=0.0, ge=0)
    """At points between reals and generated samples: coefficient / 2 · mean (|grad D| - 1)²; the paper's 10 is 20."""
    dragan: float = Field(default=0.0, ge=0)
    """At perturbed reals: coefficient / 2 · mean (|grad D| - 1)²; the paper's 10 is 20."""
    consistency: float = Field(default=0.0, ge=0)
    """coefficient / 2 · mean (D(x) - D(augmented x))² of reals, and of generated (bCR); the paper's 10 is 20."""
    lecam: float = Field(default=0.0, ge=0)
    """coefficient / 2 · squared distance of scores from the running mean of the other side (LeCam); its 0.3 is 0.6."""
    path_length: float = Field(default=0.0, ge=0)
    """Of the generator: coefficient / 2 · mean (path length - its running mean)²; StyleGAN2's 2 is 4."""
    end: float = Field(default=1.0, ge=0, le=1)
    """Share of all coefficients that is left at the end; they fall along half a cosine."""
    discriminator_every: int = Field(default=1, ge=1)
    """Gradient penalties in one of so many steps, as a step of their own with the coefficient times as much."""
    generator_every: int = Field(default=4, ge=1)
    """The same for the path length."""

    @property
    def penalties(self) -> dict[str, float]:
        """Return the gradient penalties of the discriminator that are asked for, with their coefficients."""
        found = {"r1": self.r1, "r2": self.r2, "wgan_gp": self.wgan_gp, "dragan": self.dragan}
        return {name: coefficient for name, coefficient in found.items() if coefficient > 0}


class AugmentationConfig(_Section):
    """Two different things: what is done to the data set, and to all that the discriminator sees."""

    data: tuple[str, ...] = ()
    """Operations on the reals alone, each by its law on every sample: they become part of the law that is learned."""
    seen: tuple[str, ...] = ()
    """Operations on reals and generated samples alike, before the discriminator: the generator need not copy them."""
    probability: float = Field(default=0.5, ge=0, lt=1)
    """Of each operation in ``seen``; below 1, so that the data can be told from what is done to them."""
    adaptive: bool = False
    """Whether the probability follows the discriminator's overfitting, from 0 on (ADA)."""
    target: float = Field(default=0.6, gt=0, lt=1)
    """Mean sign of the scores of reals that adaptive augmentation steers to."""
    speed: int = Field(default=500_000, ge=1)
    """Real images in which the adaptive probability can go from 0 to 1."""
    options: dict[str, dict[str, int | float]] = Field(default_factory=dict)
    """Options of operations by their names, such as translation = { share = 0.0625 }."""


class OptimiserConfig(_Section):
    """Adam for both networks."""

    rate: float = Field(default=1e-3, gt=0)
    generator_rate: float | None = Field(default=None, gt=0)
    """The generator's own rate; none: the same."""
    schedule: Schedule = "cosine"
    """How the rate falls from the first step to the end of the run: along half a cosine, on a line, or not at all."""
    end: float = Field(default=0.05, ge=0, le=1)
    """Share of the rate that is left at the end; the schedule ``constant`` does not read it."""
    warmup: int = Field(default=0, ge=0)
    """Images over which the rate rises from 0."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)


class AverageConfig(_Section):
    """The moving average of the generator's weights, which is the generator that is kept."""

    power: float = Field(default=12.0, gt=0)
    """Step t of the run enters with weight t^power: the memory grows with the run."""


class AuditConfig(_Section):
    """The cheap audits while training."""

    every: int = Field(default=0, ge=0)
    """Real images between two of them; 0: none. No clock has a part in it, so every run chooses the same snapshot."""
    measure: str = "frechet-distance/fd"
    """EVALUATOR/KEY by which the best snapshot is kept: lower or higher is better as the measure says."""
    samples: int = Field(default=1000, ge=16)
    extractor: str | None = None
    """Feature extractor; none: that of the data set, else the audit's own choice."""
    share: float = Field(default=0.03, gt=0, le=1)
    """Share of the time that audits should take; where they take more, the run says so and goes on."""


_LATER = (("optimiser", "schedule"),)


class TrainConfig(_Section):
    """One training run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    data: str = "digits"
    """A built-in set, whose train split is all that is seen, or a folder, archive or array of samples."""
    reading: DataConfig = DataConfig()
    scale: int = Field(default=1, ge=1)
    """Scale factor k of a built-in set: digits are 8k, shapes 32k, glyphs 16k pixels wide and high."""
    conditional: bool = False
    """Whether both networks are told the class."""
    images: int = Field(ge=1)
    """Real samples shown to the discriminator, the measure of progress."""
    batch: int = Field(default=64, ge=2)
    accumulate: int = Field(default=1, ge=1)
    """Parts that a batch is cut into, one after the other; their gradients are added."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: networks compute in bfloat16; scores, losses, penalties, averages and optimisers stay in float32."""
    backend: Literal["eager", "cudagraph"] = "eager"
    """cudagraph: on CUDA, a step is recorded once and replayed, which spares small networks the wait for Python."""
    deterministic: bool = True
    """On CUDA: convolutions by kernels that give the same bits every time."""
    latent: int = Field(default=64, ge=1)
    generator: NetworkConfig
    discriminator: NetworkConfig
    objective: Objective = "relativistic-pairing"
    regularisers: RegulariserConfig = RegulariserConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    average: AverageConfig = AverageConfig()
    audit: AuditConfig = AuditConfig()
    checkpoint: int = Field(default=100_000, ge=1)
    """Images between two checkpoints; the last two are kept."""
    snapshot: int = Field(default=0, ge=0)
    """Images between two subjects kept on the way, as they are then, in the folder snapshots; 0: none."""
    log: int = Field(default=3_200, ge=1)
    """Images between two lines of the log; somewhat more where penalties come every few steps, so that all are told."""
    tensorboard: bool = False
    """Whether the log is also written for TensorBoard, to the folder tensorboard; needs ganaudit[tensorboard]."""
    health: int = Field(default=50_000, ge=1)
    """Images between two looks at the health of the run."""

    @property
    def steps(self) -> int:
        """Steps of the whole run; the last one may go past ``images``."""
        return -(-self.images // self.batch)

    def recorded(self, without: Sequence[str] = ()) -> dict[str, Any]:
        """Return all sections but ``without`` as plain values, for a digest.

        A key that came later is left out while it has the default: what a configuration of before says has not changed.
        """
        plan = self.model_dump(mode="json", exclude=set(without))
        for section, key in _LATER:
            if section in plan and plan[section][key] == TrainConfig.model_fields[section].default.model_dump()[key]:
                del plan[section][key]
        return plan

    @model_validator(mode="after")
    def _possible(self) -> TrainConfig:
        problems = list(_impossible(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _impossible(config: TrainConfig) -> list[str]:
    """Return why a configuration cannot be trained, as far as it shows without networks and data."""
    seen, regularisers, rate = config.augmentation.seen, config.regularisers, config.optimiser
    rules = [
        (
            config.augmentation.adaptive and not seen,
            "augmentation.adaptive: there is nothing to adapt; name operations in augmentation.seen",
        ),
        (
            config.augmentation.adaptive and config.objective in ("wasserstein", "relativistic-pairing"),
            f"augmentation.adaptive: reads on which side of the boundary scores of reals lie; objective "
            f"{config.objective!r} has none: give a probability, or choose another objective",
        ),
        (
            regularisers.consistency > 0 and not seen,
            "regularisers.consistency: compares samples with their augmentation; name operations in augmentation.seen",
        ),
        (
            config.objective == "softmax" and not config.conditional,
            "objective 'softmax': tells classes apart, so it needs labels; set conditional = true",
        ),
        (
            config.objective == "softmax" and regularisers.lecam > 0,
            "regularisers.lecam: is defined for one score, objective 'softmax' has one for each class",
        ),
        (
            config.backend == "cudagraph" and config.device == "cpu",
            "backend 'cudagraph': records work of a CUDA device; give device = \"cuda\", or leave backend out",
        ),
        (
            rate.schedule == "constant" and rate.end not in (1.0, OptimiserConfig().end),
            f"optimiser.end: found {rate.end:g}; schedule 'constant' keeps the rate: leave it out or set it to 1",
        ),
        (
            config.batch % config.accumulate != 0,
            f"accumulate: a batch of {config.batch} cannot be cut into {config.accumulate} equal parts",
        ),
    ]
    return [told for is_so, told in rules if is_so]


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


def parted(text: str) -> list[str]:
    """Return the ``key=value`` texts of one line, parted by white space that is in no brackets and no quotation marks.

    So ``a=[1, 2] b="x y"`` are two.
    """
    found, depth = [""], 0
    for piece in _PIECES.findall(text):
        depth = max(0, depth + (piece in ("[", "{")) - (piece in ("]", "}")))
        if piece.isspace() and depth == 0:
            found.append("")
        else:
            found[-1] += piece
    return [pair for pair in found if pair]


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


_PIECES = re.compile(r"""
    "(?:\\.|[^"\\])*"   # a string of TOML with its escapes
    | '[^']*'            # one without
    | \s+ | .
""", re.VERBOSE)  # fmt: skip

_KNOWN = {
    "": list(TrainConfig.model_fields),
    "reading": list(DataConfig.model_fields),
    "generator": list(NetworkConfig.model_fields),
    "discriminator": list(NetworkConfig.model_fields),
    "regularisers": list(RegulariserConfig.model_fields),
    "augmentation": list(AugmentationConfig.model_fields),
    "optimiser": list(OptimiserConfig.model_fields),
    "average": list(AverageConfig.model_fields),
    "audit": list(AuditConfig.model_fields),
}
