"""Everything that changes while a run goes on; noise, order and augmentation follow from the position alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ganaudit.training.config import TrainConfig
from ganaudit.training.health import Look

__all__ = ["State", "laid_out_as", "trained_parameters"]

_REGISTERS = ("probability", "sign_sum", "sign_count", "lecam_real", "lecam_fake", "path_mean", "broken")


@dataclass(slots=True, eq=False)
class State:
    """Networks, averages, optimisers and registers of one run."""

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    """The averaged generator, the one that is kept."""
    generator_optimiser: torch.optim.Adam
    discriminator_optimiser: torch.optim.Adam
    registers: dict[str, Tensor]
    """Scalars that steps read and write, on the device: nobody waits for them.

    ``probability`` of augmentation; ``sign_sum`` and ``sign_count`` of scores of reals since it last changed;
    ``lecam_real`` and ``lecam_fake``, running means of scores; ``path_mean``; ``broken``, how many entries of
    gradients were not finite.
    """
    best: dict[str, float] = field(default_factory=dict)
    """Measure of the best snapshot so far and the images it was taken at."""
    looks: list[Look] = field(default_factory=list)
    """Looks at the health of the run, from its beginning."""
    penalty: float | None = None
    """Share of the gradient penalties when it was last told."""
    data: str = ""
    """Digest of what is trained on."""
    audits: list[dict[str, float]] = field(default_factory=list)
    """What each audit on the way measured, with ``images`` and ``seconds``."""

    @classmethod
    def fresh(cls, config: TrainConfig, generator: nn.Module, discriminator: nn.Module, device: torch.device) -> State:
        """Return the state at the beginning."""
        plan = config.optimiser

        def adam(network: nn.Module, rate: float) -> torch.optim.Adam:
            return torch.optim.Adam(
                trained_parameters(network),
                lr=rate,
                betas=(plan.beta1, plan.beta2),
                eps=1e-8,
                fused=True,
                capturable=config.backend == "cudagraph",
            )

        registers = {name: torch.zeros((), device=device) for name in _REGISTERS}
        if not config.augmentation.adaptive:
            registers["probability"].fill_(config.augmentation.probability)
        return cls(
            generator,
            discriminator,
            copy.deepcopy(generator),
            adam(generator, plan.generator_rate or plan.rate),
            adam(discriminator, plan.rate),
            registers,
        )

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the networks by name."""
        yield from (
            ("generator", self.generator),
            ("discriminator", self.discriminator),
            ("average", self.average),
        )

    def optimisers(self) -> Iterator[tuple[str, torch.optim.Adam]]:
        """Yield the optimisers by name."""
        yield "generator_optimiser", self.generator_optimiser
        yield "discriminator_optimiser", self.discriminator_optimiser


def trained_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that training moves: a network may hold others, such as a copy of another network."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def laid_out_as(tensor: Tensor, like: Tensor) -> Tensor:
    """Return ``tensor`` in the memory layout of ``like``: a fused optimiser pairs entries by their place in memory."""
    return tensor if tensor.stride() == like.stride() else torch.empty_like(like).copy_(tensor)
