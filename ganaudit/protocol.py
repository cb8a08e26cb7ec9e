"""Protocols: named bundles of every convention that changes a number, so that numbers meet only where they may."""

from __future__ import annotations

import hashlib
import json
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ganaudit.document.errors import ConfigError, nearest

__all__ = ["DEFAULT", "Protocol", "protocol", "protocols"]

DEFAULT = "ganaudit"


class Protocol(BaseModel):
    """One protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    id: str
    title: str
    source: str
    """Which papers or programs it repeats."""
    extractor: str | None = None
    """The network it is defined for; None leaves the choice to the audit."""
    resize: Literal["tf1-bilinear", "bilinear", "bilinear-antialias", "bicubic-antialias"] | None = None
    normalisation: Literal["(u - 128) / 128", "2 u / 255 - 1"] | None = None
    quantiser: Literal["round", "floor", "none"] = "round"
    """How generated values become levels 0..255."""
    samples: int | None = None
    """How many generated samples its published numbers rest on."""
    caution: str = ""
    evaluators: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Options of evaluators that differ from their defaults; what the plan names goes before."""

    @property
    def fingerprint(self) -> str:
        """Return ``sha256:...`` over every convention; equal fingerprints mean equal protocols, whatever their name."""
        said = self.model_dump(mode="json", exclude={"id", "title", "source", "caution"})
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@lru_cache(maxsize=1)
def protocols() -> dict[str, Protocol]:
    """Return all protocols by id, in the order of ``protocols.toml``."""
    text = (Path(__file__).parent / "protocols.toml").read_text(encoding="utf-8")
    return {name: Protocol.model_validate({"id": name, **said}) for name, said in tomllib.loads(text).items()}


def protocol(name: str) -> Protocol:
    """Return one protocol; raises ConfigError for an unknown name."""
    known = protocols()
    if name not in known:
        raise ConfigError(f"protocol {name!r}: unknown; {nearest(name, list(known))}")
    return known[name]
