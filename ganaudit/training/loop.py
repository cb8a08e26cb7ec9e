"""The training loop: one step is a discriminator phase, a generator phase and the average."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganaudit.training.augmentation import draw_shifts, shifted
from ganaudit.training.average import average_into, power_decay
from ganaudit.training.config import TrainConfig
from ganaudit.training.objectives import relativistic_discriminator_loss, relativistic_generator_loss
from ganaudit.training.order import image_rows, noise
from ganaudit.training.regularisers import gradient_norms, zero_centred_penalty

__all__ = ["State", "Step", "falling", "step"]


_DISCRIMINATOR_STREAM, _GENERATOR_STREAM = 3, 4  # of augmentation draws; 0 to 2 are latents, labels and noise


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything that changes while training; noise and order follow from the step alone."""

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    """The averaged generator, the one that is kept."""
    generator_optimiser: torch.optim.Adam
    discriminator_optimiser: torch.optim.Adam


@dataclass(frozen=True, slots=True)
class Step:
    """What one step showed; kept on the device until somebody asks, so that no step waits for it."""

    discriminator_loss: Tensor
    generator_loss: Tensor
    gap: Tensor
    """Mean score of reals minus mean score of generated samples."""


def falling(progress: float, end: float) -> float:
    """Return the factor 1 at progress 0, ``end`` at progress 1, along half a cosine."""
    return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def step(config: TrainConfig, state: State, images: Tensor, number: int) -> Step:
    """Do step ``number`` (from 0) on ``images``, the whole data set in [-1, 1], (N, C, H, W), and return its losses.

    Gradients are taken with respect to one network's parameters at a time; ``requires_grad`` is never toggled.
    """
    start = number * config.batch
    progress = number / config.steps
    _set_rates(config, state, start, progress)
    rows = image_rows(len(images), start, config.batch, config.seed)
    real = images[rows.to(images.device)]
    fake = state.generator(noise(start, config.batch, config.latent, config.seed).to(images.device))
    discriminator_loss, gap = _discriminator_phase(config, state, real, fake.detach(), number, progress)
    generator_loss = _generator_phase(config, state, real, fake, number)
    average_into(state.average, state.generator, power_decay(number, config.average.power))
    return Step(discriminator_loss, generator_loss, gap)


def _set_rates(config: TrainConfig, state: State, start: int, progress: float) -> None:
    plan = config.optimiser
    rise = min(1.0, (start + config.batch) / plan.warmup) if plan.warmup else 1.0
    for optimiser in (state.generator_optimiser, state.discriminator_optimiser):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * falling(progress, plan.end) * rise


def _discriminator_phase(
    config: TrainConfig, state: State, real: Tensor, fake: Tensor, number: int, progress: float
) -> tuple[Tensor, Tensor]:
    penalty, discriminator = config.penalty, state.discriminator
    penalised = number % penalty.every == 0 and (penalty.r1 > 0 or penalty.r2 > 0)
    # One pass over both halves costs less than two; the networks have no batch statistics that could mix them.
    both = _seen(config, torch.cat([real, fake]), number, _DISCRIMINATOR_STREAM).detach().requires_grad_(penalised)
    scores = discriminator(both)
    real_scores, fake_scores = scores[: len(real)], scores[len(real) :]
    loss = relativistic_discriminator_loss(real_scores, fake_scores)
    shown = loss.detach()
    if penalised:
        left = falling(progress, penalty.end) * penalty.every
        norms = gradient_norms(scores, both)
        loss = loss + zero_centred_penalty(norms[: len(real)], penalty.r1 * left)
        loss = loss + zero_centred_penalty(norms[len(real) :], penalty.r2 * left)
    _descend(state.discriminator_optimiser, discriminator, loss)
    return shown, (real_scores.mean() - fake_scores.mean()).detach()


def _generator_phase(config: TrainConfig, state: State, real: Tensor, fake: Tensor, number: int) -> Tensor:
    both = _seen(config, torch.cat([real, fake]), number, _GENERATOR_STREAM)
    with torch.no_grad():
        real_scores = state.discriminator(both[: len(real)])
    loss = relativistic_generator_loss(real_scores, state.discriminator(both[len(real) :]))
    _descend(state.generator_optimiser, state.generator, loss)
    return loss.detach()


def _seen(config: TrainConfig, both: Tensor, number: int, stream: int) -> Tensor:
    """Return reals and generated samples as the discriminator sees them in one phase."""
    plan = config.augmentation
    if plan.shift == 0:
        return both
    return shifted(both, draw_shifts(number * len(both), len(both), plan.shift, plan.pixels, config.seed, stream))


def _descend(optimiser: torch.optim.Adam, network: nn.Module, loss: Tensor) -> None:
    parameters = list(network.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimiser.step()
