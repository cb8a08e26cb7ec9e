"""The product of all that a recipe is made of: networks, objectives, regularisers and augmentations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ganaudit.training.augmentation import OPERATIONS
from ganaudit.training.config import RegulariserConfig
from ganaudit.training.objectives import OBJECTIVES

__all__ = ["AUDIO", "OBJECTIVE_NAMES", "PAIRS", "REGULARISERS", "Combination", "combinations"]

PAIRS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "residual": ("residual", {"width": 8, "depth": 1, "planes": 2}, {"width": 8, "depth": 1, "planes": 2}),
    "seed": ("seed", {"width": 4}, {"width": 4}),
    "unet": ("unet", {"width": 4, "planes": 2, "critic_width": 4}, {"width": 4}),
    "dcgan": ("dcgan", {"width": 4}, {"width": 4}),
    "dcgan spectral": ("dcgan", {"width": 4, "norm": "group"}, {"width": 4, "spectral": True}),
    "sn-resnet": ("sn-resnet", {"width": 4}, {"width": 4}),
    "r3": ("r3", {"width": 16, "blocks": 1}, {"width": 16, "blocks": 1}),
    "coordinate": ("coordinate", {"width": 6, "depth": 1, "mapping": 8}, {"width": 4}),
    "wavegan": ("wavegan", {"width": 4}, {"width": 4}),
    "spectrogram": ("spectrogram", {"width": 4}, {"width": 6, "depth": 1, "window": 64}),
}
"""Tiny networks of every family: its name, and the options of generator and discriminator."""
AUDIO = ("wavegan", "spectrogram")
OBJECTIVE_NAMES = tuple(sorted(OBJECTIVES))
_NO_TERMS = ("end", "discriminator_every", "generator_every")
REGULARISERS = tuple(name for name in RegulariserConfig.model_fields if name not in _NO_TERMS)
_WAYS = ("seen", "data", "adaptive")


@dataclass(frozen=True)
class Combination:
    """One recipe."""

    pair: str
    objective: str
    regulariser: str
    """Empty: none."""
    way: str
    """``seen``, ``data`` or ``adaptive``; empty: no augmentation."""
    operation: str

    @property
    def digest(self) -> int:
        """Return a number that is the combination's own, whatever else there is."""
        text = "/".join((self.pair, self.objective, self.regulariser, self.way, self.operation))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    @property
    def sections(self) -> dict[str, Any]:
        """Return the sections of the configuration."""
        found: dict[str, Any] = {}
        if self.regulariser:
            found["regularisers"] = {self.regulariser: 1.0}
        if self.way == "adaptive":
            found["augmentation"] = {"seen": [self.operation], "adaptive": True, "speed": 100}
        elif self.way:
            found["augmentation"] = {self.way: [self.operation]}
        return found

    @property
    def refusal(self) -> str | None:
        """Return what the words of the refusal must begin with; None where it is to be trained.

        As the papers have it, and not as the code does: consistency compares a sample with its augmentation, ADA reads
        on which side of the boundary a score lies, and LeCam is of one score.
        """
        if self.regulariser == "consistency" and self.way not in ("seen", "adaptive"):
            return "regularisers.consistency"
        if self.way == "adaptive" and self.objective in ("wasserstein", "relativistic-pairing"):
            return "augmentation.adaptive"
        if self.objective == "softmax" and self.regulariser == "lecam":
            return "regularisers.lecam"
        return None


def combinations() -> Iterator[Combination]:
    """Yield every combination of networks, objective, regulariser and augmentation for the networks' samples."""
    for pair in PAIRS:
        kind = "audio" if pair in AUDIO else "image"
        operations = [name for name, operation in OPERATIONS.items() if operation.kind == kind]
        augmentations = [("", "")] + [(way, name) for name in operations for way in _WAYS]
        for objective in OBJECTIVE_NAMES:
            for regulariser in ("", *REGULARISERS):
                for way, operation in augmentations:
                    yield Combination(pair, objective, regulariser, way, operation)
