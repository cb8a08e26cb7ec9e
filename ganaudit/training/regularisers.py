"""Gradient penalties. One definition of the coefficient everywhere: coefficient / 2 times a mean squared norm."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gradient_norms", "zero_centred_penalty"]


def gradient_norms(scores: Tensor, samples: Tensor) -> Tensor:
    """Return the squared norm (B,) of each score's gradient with respect to its own sample (B, ...).

    Differentiable, so that a penalty on it trains the network. The scores of a batch must not depend on one another's
    samples (no batch statistics), or the gradient of their sum is not each one's own.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def zero_centred_penalty(norms: Tensor, coefficient: float) -> Tensor:
    """Return coefficient / 2 times the mean of squared gradient norms (B,): R1 at reals, R2 at generated samples.

    Source: Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018, arXiv:1801.04406.
    """
    return coefficient / 2.0 * norms.mean()
