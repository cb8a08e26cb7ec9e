"""Small configurations that the tests of training share."""

from __future__ import annotations

from typing import Any

from ganaudit import registry
from ganaudit.data.reference import Reference
from ganaudit.training.config import TrainConfig
from ganaudit.training.source import opened

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": "digits",
    "scale": 2,
    "images": 640,
    "batch": 32,
    "latent": 8,
    "generator": {"network": "residual-generator", "options": {"width": 16, "depth": 1, "planes": 2}},
    "discriminator": {"network": "residual-discriminator", "options": {"width": 16, "depth": 1, "planes": 2}},
    "regularisers": {"r1": 1.0, "r2": 1.0},
    "augmentation": {"seen": ["translation"], "options": {"translation": {"pixels": 1, "fill": -1.0}}},
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {**base, **changes}


def tiny(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate(merged(TINY, changes))


def data_of(config: TrainConfig) -> Reference:
    return opened(config, registry.names("datasets"), lambda name: registry.find("datasets", name))


SHORT = {"images": 192}

RECIPES: dict[str, dict[str, Any]] = {
    "merged penalties": SHORT,
    "lazy penalties": {**SHORT, "regularisers": {"r1": 1.0, "r2": 1.0, "discriminator_every": 2}},
    "wgan-gp": {**SHORT, "objective": "wasserstein", "regularisers": {"wgan_gp": 10.0}},
    "dragan": {**SHORT, "objective": "non-saturating", "regularisers": {"dragan": 10.0}},
    "path length": {**SHORT, "regularisers": {"r1": 1.0, "path_length": 2.0, "generator_every": 2}},
    "consistency and lecam": {
        **SHORT,
        "objective": "hinge",
        "regularisers": {"consistency": 1.0, "lecam": 0.3},
        "augmentation": {"seen": ["translation", "cutout"]},
    },
    "adaptive augmentation": {
        **SHORT,
        "objective": "non-saturating",
        "augmentation": {"seen": ["flip", "colour"], "adaptive": True, "speed": 1000},
        "regularisers": {"r1": 1.0},
    },
    "data augmentation": {**SHORT, "augmentation": {"data": ["flip", "crop"]}},
    "accumulated": {**SHORT, "accumulate": 2},
    "a rate on a line": {**SHORT, "optimiser": {"schedule": "linear", "end": 0.2, "warmup": 64}},
    "a constant rate": {**SHORT, "optimiser": {"schedule": "constant"}},
    "turned and filtered": {**SHORT, "augmentation": {"seen": ["turn", "scaling", "rotation", "stretch", "bands"]}},
}
