"""What a network of the user's own takes and gives: a TOML file beside it, since no format of networks says it."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ganaudit.document.errors import ConfigError
from ganaudit.document.policy import problems_of
from ganaudit.features.framing import Fit, Framing, Kernel

__all__ = ["Declaration", "read_declaration"]

_EXAMPLE = """size = 224                # or [height, width], or "any"
resize = "bicubic"        # or "bilinear", "nearest"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]   # or instead of both: range = [-1, 1]"""


class Declaration(BaseModel):
    """How images become the input of a network, and which of its outputs are features."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    size: int | tuple[int, int] | Literal["any"]
    """Height and width the network takes; ``any`` leaves images as they come."""
    resize: Kernel = "bicubic"
    antialias: bool = True
    fit: Fit = "squash"
    """``squash`` brings the whole image to the size; ``crop`` keeps its proportions and cuts the middle out."""
    channels: Literal["rgb", "grey", "any"] = "rgb"
    """``rgb``: grey images are repeated to three channels."""
    mean: tuple[float, ...] | None = None
    """Mean of each channel, or one for all, of values in 0..1."""
    std: tuple[float, ...] | None = None
    range: tuple[float, float] | None = None
    """The values that black and white become; instead of ``mean`` and ``std``."""
    features: int | str | None = Field(default=None)
    """Number or name of the output that holds the features, where there is more than one; default the first."""
    logits: int | str | None = None
    """Number or name of the output that holds class scores."""
    classes: tuple[str, ...] = ()
    """What the class scores stand for, in their order; of a classifier that reads an attribute."""
    pool: Literal["none", "mean", "first"] = "none"
    """How maps (B, D, H, W) or tokens (B, T, D) become features (B, D): their mean, or the first token."""

    @model_validator(mode="after")
    def _whole(self) -> Declaration:
        if (self.mean is None) != (self.std is None) or (self.mean is None) == (self.range is None):
            raise ValueError("say either mean and std, or range")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range: low must be below high; found {self.range[0]:g}, {self.range[1]:g}")
        self.framing()
        return self

    def framing(self) -> Framing:
        """Return what is done with images; raises ValueError for sizes or statistics that cannot be."""
        size = None if self.size == "any" else (self.size, self.size) if isinstance(self.size, int) else self.size
        mean, std = self.mean, self.std
        if self.range is not None:
            low, high = self.range
            mean, std = (-low / (high - low),), (1 / (high - low),)
        assert mean is not None
        assert std is not None
        if max(len(mean), len(std)) > 4 or not all(map(math.isfinite, (*mean, *std))):
            raise ValueError(f"mean and std: one per channel, at most 4; found {mean} and {std}")
        return Framing(size, self.resize, self.antialias, self.fit, mean, std)


def read_declaration(path: Path) -> Declaration:
    """Return what a TOML file declares; raises ConfigError with every problem at once, each with its key."""
    where = f"declaration {path}"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return Declaration.model_validate(data)
    except FileNotFoundError:
        raise ConfigError(f"{where}: no such file; it says what the network takes, such as\n{_EXAMPLE}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{where}: cannot be read: {error}") from None
    except ValidationError as error:
        raise ConfigError(problems_of(error, where, {"": list(Declaration.model_fields)})) from None
