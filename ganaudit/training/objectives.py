"""Adversarial objectives: losses of raw scores, larger score for more real."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["relativistic_discriminator_loss", "relativistic_generator_loss"]


def relativistic_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean over pairs of softplus(fake - real), scores (B,) each.

    It falls as a real sample scores above the generated one it is paired with; log 2 where they are equal.
    Source: Jolicoeur-Martineau, The Relativistic Discriminator, 2018, arXiv:1807.00734; pairing as in Huang et al.,
    The GAN is dead; long live the GAN!, 2024, arXiv:2501.05441.
    """
    return softplus(fake - real).mean()


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean over pairs of softplus(real - fake): the same game seen from the other side."""
    return softplus(real - fake).mean()
