"""The content of ``subject.toml``: what a subject directory says of itself. Read without torch."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ganaudit.document.digests import json_digest
from ganaudit.document.errors import SubjectError
from ganaudit.document.policy import problems_of

__all__ = ["Latent", "Network", "Sample", "SubjectFile", "identity_digest", "read_subject_file"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)


class Network(_Section):
    """A known network: its registered name, its options and its weights."""

    network: str
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    options: dict[str, int | float | bool | str] = Field(default_factory=dict)


class Latent(_Section):
    """The law of the latents."""

    size: int = Field(ge=1)
    law: Literal["normal", "uniform"] = "normal"


class Sample(_Section):
    """What a sample is."""

    shape: tuple[int, ...] = Field(min_length=2, max_length=3)
    """(C, H, W) of images, (C, T) of audio."""
    range: tuple[float, float]
    classes: int = Field(default=0, ge=0)
    label_law: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    """Probability of each class in the data; empty: all the same."""

    @model_validator(mode="after")
    def _is_law(self) -> Sample:
        if self.label_law and (len(self.label_law) != self.classes or abs(sum(self.label_law) - 1) > 1e-6):
            raise ValueError(
                f"label_law: found {len(self.label_law)} entries of the sum {sum(self.label_law):g}; allowed: one for "
                f"each of {self.classes} classes, of the sum 1"
            )
        return self


class SubjectFile(_Section):
    """The content of ``subject.toml``."""

    schema_: Literal["ganaudit.subject/1"] = Field(default="ganaudit.subject/1", alias="schema")
    name: str
    latent: Latent
    sample: Sample
    generator: Network
    discriminator: Network | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    """What training says of itself: data, digest of the split it saw, images shown, seed, augmentation."""


_KNOWN = {
    "": ["schema", *(name for name in SubjectFile.model_fields if name != "schema_")],
    "latent": list(Latent.model_fields),
    "sample": list(Sample.model_fields),
    "generator": list(Network.model_fields),
    "discriminator": list(Network.model_fields),
}


def read_subject_file(path: Path) -> SubjectFile:
    """Return the content of a ``subject.toml``; raises SubjectError with every problem."""
    try:
        return SubjectFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SubjectError(f"{path}: cannot be read: {error}") from None
    except ValidationError as error:
        raise SubjectError("\n".join(problems_of(error, str(path), _KNOWN))) from None


def identity_digest(described: SubjectFile) -> str:
    """Return the digest of the subject: over everything described but its name and what is said of its training."""
    # The training record is a claim about the weights, not a part of them: it stays out of the digest.
    identity = described.model_dump(mode="json", by_alias=True, exclude={"training", "name"})
    if not described.sample.label_law:
        del identity["sample"]["label_law"]  # as it was before there was one: digests of subjects are to stay
    return json_digest(identity)
