"""Every pair of networks with every objective, every regulariser and every operation: twenty steps, all finite."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.features.precision import has_bf16
from ganaudit.training.augmentation import OPERATIONS
from ganaudit.training.config import TrainConfig
from ganaudit.training.objectives import OBJECTIVES
from ganaudit.training.run import Run

from .product import AUDIO, PAIRS

STEPS, BATCH = 20, 4

PARTNERS = {"unet": "seed", "coordinate": "dcgan"}


@cache
def data(kind: str) -> Reference:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 32)
    if kind == "audio":
        array, form, span = rng.uniform(-1, 1, (32, 1, 256)).astype(np.float32), "floats", (-1.0, 1.0)
    else:
        array, form, span = rng.integers(0, 256, (32, 16, 16, 1), dtype=np.uint8), "images", None
    splits = {
        name: Samples.of(array.copy(), form, name, "built-in", labels=labels, classes=("a", "b", "c"), value_range=span)
        for name in ("train", "calibration")
    }
    return Reference.of("noise", "built-in", splits, seen={"train": "seen", "calibration": "unseen"}, rule="made here")


def recipe(pair: str = "residual", objective: str = "relativistic-pairing", **more: Any) -> Run:
    family, generator, discriminator = PAIRS[pair]
    classes = {"critic_outputs": 4} if pair == "unet" and objective == "softmax" else {}
    config = TrainConfig.model_validate(
        {
            "name": "recipe",
            "images": STEPS * BATCH,
            "batch": BATCH,
            "latent": 4,
            "objective": objective,
            "conditional": objective == "softmax",
            "generator": {
                "network": f"{'wavegan' if family == 'spectrogram' else family}-generator",
                "options": {**generator, **classes},
            },
            "discriminator": {
                "network": f"{PARTNERS.get(family, family)}-discriminator",
                "options": discriminator,
            },
            **more,
        }
    )
    return Run(config, Path(), data("audio" if pair in AUDIO else "image"))


def assert_trains(run: Run) -> None:
    before = [p.detach().clone() for p in run.state.generator.parameters() if p.requires_grad]
    for number in range(STEPS):
        shown = run.loop.step(number, tells=number == STEPS - 1)
    values: list[Tensor] = [*shown.values.values(), *shown.shares.values()]
    for _, module in run.state.modules():
        values += list(module.state_dict().values())
    assert all(bool(torch.isfinite(v.float()).all()) for v in values)
    assert float(run.state.registers["broken"]) == 0
    after = [p.detach() for p in run.state.generator.parameters() if p.requires_grad]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_pairs_and_objectives(pair: str, objective: str) -> None:
    assert_trains(recipe(pair, objective))


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_pairs_with_penalties_and_classes(pair: str, conditional: bool) -> None:
    regularisers = {"r1": 0.5, "r2": 0.5, "path_length": 1.0, "generator_every": 2}
    assert_trains(recipe(pair, conditional=conditional, regularisers=regularisers))


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp", "dragan", "consistency", "lecam", "path_length"])
@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_objectives_and_regularisers(objective: str, name: str, every: int) -> None:
    more: dict[str, Any] = {"regularisers": {name: 1.0, "discriminator_every": every}}
    if name == "consistency":
        more["augmentation"] = {"seen": ["translation"]}
    if (objective, name) == ("softmax", "lecam"):
        with pytest.raises(ValueError, match="one score"):
            recipe(objective=objective, **more)
        return
    assert_trains(recipe(objective=objective, **more))


@pytest.mark.parametrize("where", ["seen", "data", "adaptive"])
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_operations(operation: str, where: str) -> None:
    pair = "wavegan" if OPERATIONS[operation].kind == "audio" else "residual"
    if where == "adaptive":
        plan = {"seen": [operation], "adaptive": True, "speed": 100}
        run = recipe(pair, "hinge", augmentation=plan, regularisers={"r1": 1.0})
        assert_trains(run)
        # Five changes of 16 images in 100 each, up or down, from 0 and never below it.
        assert round(float(run.state.registers["probability"]) / 0.16, 4) in range(6)
        return
    assert_trains(recipe(pair, augmentation={where: [operation]}, regularisers={"r1": 1.0}))


@pytest.mark.skipif(not has_bf16("cpu"), reason="this processor has no bf16 instructions")
@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_bf16(pair: str) -> None:
    run = recipe(pair, precision="bf16", regularisers={"r1": 0.5})
    assert_trains(run)
    kept = [p.dtype for _, module in run.state.modules() for p in module.parameters()]
    assert set(kept) == {torch.float32}


def test_the_unet_is_fed_back_the_discriminator_as_it_stands() -> None:
    run = recipe("unet")
    assert_trains(run)
    now = run.state.discriminator.state_dict()
    for network in (run.state.generator, run.state.average):
        critic = network.critic.state_dict()
        assert all(torch.equal(critic[name], now[name]) for name in now)


def test_a_penalty_is_refused_where_batches_are_mixed() -> None:
    from ganaudit.document.errors import ConfigError

    plan = {"network": "dcgan-discriminator", "options": {"width": 4, "norm": "batch"}}
    with pytest.raises(ConfigError, match="mixes the samples of a batch"):
        recipe("dcgan", regularisers={"r1": 1.0}, discriminator=plan)
