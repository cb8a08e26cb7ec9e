"""What a network costs: trained parameters and floating-point operations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganaudit import registry

__all__ = ["Cost", "Row", "cost", "table"]

_SAMPLES = {"image": (3, 32), "audio": (1, 4096)}  # channels and size of the table's samples
_LATENT = 64


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one network."""

    parameters: int
    """Numbers that training moves."""
    flops: int
    """Floating-point operations of the forward pass of one sample; a multiplication and an addition are two.

    Matrix products and convolutions alone: what acts on each number by itself is left out.
    """


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of networks."""

    network: str
    kind: str
    """``image`` or ``audio``."""
    size: int
    channels: int
    cost: Cost


def cost(network: nn.Module, *inputs: Tensor) -> Cost:
    """Return the cost of ``network`` on ``inputs``, all with the same number of samples first; flops are per sample.

    The network is as before afterwards: it is run once, in eval mode and without gradients.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(*inputs)
    finally:
        for module, training in modes:
            module.training = training
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return Cost(parameters, counter.get_total_flops() // len(inputs[0]))


def table() -> list[Row]:
    """Return the cost of every network that ganaudit brings, by name, with its default options and no classes.

    Images are 3 x 32 x 32, waveforms 1 x 4096, latents 64 numbers.
    """
    own = [entry.name for entry in registry.entries("networks") if entry.origin == "ganaudit"]
    return [_row(name) for name in own]


def _row(name: str) -> Row:
    build = registry.find("networks", name)
    channels, size = _SAMPLES[build.kind]
    with torch.random.fork_rng(devices=[]):
        if name.endswith("-generator"):
            return Row(name, build.kind, size, channels, cost(build(size, channels, _LATENT), torch.zeros(1, _LATENT)))
        sides = 2 if build.kind == "image" else 1
        return Row(
            name, build.kind, size, channels, cost(build(size, channels), torch.zeros(1, channels, *[size] * sides))
        )
