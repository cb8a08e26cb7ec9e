"""Penalties on discriminator and generator.

One definition of the coefficient everywhere: coefficient / 2 times a mean of squares. Pure functions: what is random is
passed in, running means are passed in and returned. A penalty uses the running mean as it was passed in, and the
returned one is linear in the batch; so ranks with equal batches need only average what is returned.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Anchors",
    "Number",
    "consistency_penalty",
    "gradient_norms",
    "interpolates",
    "lazy",
    "lecam_penalty",
    "one_centred_penalty",
    "path_length_penalty",
    "path_lengths",
    "perturbed",
    "zero_centred_penalty",
]


Number = float | Tensor
"""A plain number, or a scalar tensor where it must be read from the device when the work is done."""


class Anchors(NamedTuple):
    """Running means of the responses to real and to generated samples, scalar tensors off the gradient tape."""

    real: Tensor
    fake: Tensor


def gradient_norms(scores: Tensor, samples: Tensor) -> Tensor:
    """Return the squared norm (B,) of each score's gradient with respect to its own sample (B, ...).

    Differentiable, so that a penalty on it trains the network. The scores of a batch must not depend on one another's
    samples (no batch statistics), or the gradient of their sum is not each one's own.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def zero_centred_penalty(norms: Tensor, coefficient: Number) -> Tensor:
    """Return coefficient / 2 times the mean of squared gradient norms (B,): R1 at reals, R2 at generated samples.

    Source: Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018, arXiv:1801.04406.
    """
    return coefficient / 2.0 * norms.mean()


def one_centred_penalty(norms: Tensor, coefficient: Number) -> Tensor:
    """Return coefficient / 2 times the mean of (norm - 1)^2, from squared gradient norms (B,).

    WGAN-GP at ``interpolates``, DRAGAN at ``perturbed`` reals. The papers write lambda times the mean: their 10 is a
    coefficient of 20 here. Where a norm is 0 its derivative is taken as 0.
    Source: Gulrajani et al., Improved Training of Wasserstein GANs, 2017, arXiv:1704.00028, equation 3.
    """
    return coefficient / 2.0 * (_root(norms) - 1.0).square().mean()


def interpolates(real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """Return u real + (1 - u) fake, one ``u`` of (B,) in 0..1 per sample: where WGAN-GP takes the gradient.

    A leaf off the tape of both that asks for its gradient. Raises ValueError when the shapes differ.
    """
    _same(real, fake, "fake")
    return torch.lerp(fake.detach(), real.detach(), _each(u, real)).requires_grad_()


def perturbed(real: Tensor, u: Tensor, v: Tensor, deviation: Tensor | None = None) -> Tensor:
    """Return real + u s/2 (2v - 1): where DRAGAN takes the gradient.

    ``u`` (B,) and ``v`` (B, ...) are uniform in 0..1; s is the standard deviation (divisor n) of all entries of the
    batch, or ``deviation``, which ranks pass so that all use the same. The noise is centred, as the paper's is; the
    authors' code draws v in place of 2v - 1, which also brightens. A leaf off the tape that asks for its gradient.
    Raises ValueError when the shapes of ``real`` and ``v`` differ.
    Source: Kodali et al., On Convergence and Stability of GANs, 2017, arXiv:1705.07215.
    """
    _same(real, v, "v")
    real = real.detach()
    scale = real.std(correction=0) if deviation is None else deviation.detach()
    noise = (2.0 * v.to(real.dtype) - 1.0) * (scale / 2.0).to(real.dtype)
    return (real + _each(u, real) * noise).requires_grad_()


def path_lengths(images: Tensor, latents: Tensor, noise: Tensor) -> Tensor:
    """Return the lengths (B,) of J^T y per sample, J the derivative of the image by its latent.

    ``noise`` is standard normal of the images' shape; y = noise / sqrt(pixels), with pixels = H W (samples of time T
    for audio), channels not counted. Latents (B, L, D) of several layers: the root of the mean over layers of squared
    lengths. Differentiable. The images of a batch must not depend on one another's latents. Raises ValueError when the
    shapes of ``images`` and ``noise`` differ.
    Source: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020, arXiv:1912.04958, section 3.2.
    """
    _same(images, noise, "noise")
    projected = (images * noise).sum() / math.sqrt(math.prod(images.shape[2:]))
    (gradient,) = torch.autograd.grad(projected, latents, create_graph=True)
    return _root(gradient.square().sum(-1).reshape(len(latents), -1).mean(1))


def path_length_penalty(
    lengths: Tensor, mean: Tensor, coefficient: Number, decay: float = 0.01
) -> tuple[Tensor, Tensor]:
    """Return coefficient / 2 times the mean of (length - mean)^2, and the next running mean.

    ``mean`` is a scalar tensor, 0 at the start, and a constant of the penalty; the next is
    mean + decay (E length - mean), off the tape. The authors' code takes the next mean in the penalty already, and
    writes gamma times the mean: its 2 is a coefficient of 4 here.
    Source: Karras et al. 2020, arXiv:1912.04958, section 3.2.
    """
    mean = mean.detach()
    return coefficient / 2.0 * (lengths - mean).square().mean(), _moved_mean(mean, lengths, decay)


def consistency_penalty(responses: Tensor, augmented: Tensor, coefficient: Number) -> Tensor:
    """Return coefficient / 2 times the mean squared difference of the responses to samples and to their augmentations.

    Balanced consistency (bCR) is this at reals plus this at generated samples; the gradient passes through both
    arguments. The paper writes lambda times the mean: its 10 is a coefficient of 20 here. Raises ValueError when the
    shapes differ.
    Source: Zhao et al., Improved Consistency Regularization for GANs, 2020, arXiv:2002.04724.
    """
    _same(responses, augmented, "augmented")
    return coefficient / 2.0 * (responses - augmented).square().mean()


def lecam_penalty(
    real: Tensor, fake: Tensor, anchors: Anchors, coefficient: Number, decay: float = 0.01
) -> tuple[Tensor, Anchors]:
    """Return coefficient / 2 times E (real - anchor of fake)^2 + E (fake - anchor of real)^2, and the next anchors.

    Responses (B, ...); the anchors are constants of the penalty, 0 at the start, and each moves by ``decay`` times its
    distance from the batch mean. The formula is the paper's; the authors' code leaves out the terms of reals below
    the anchor of fake and of fakes above that of real. The paper's lambda is half the coefficient: its 0.3 is 0.6 here.
    Source: Tseng et al., Regularizing Generative Adversarial Networks under Limited Data, 2021, arXiv:2104.03310.
    """
    high, low = anchors.real.detach(), anchors.fake.detach()
    penalty = coefficient / 2.0 * ((real - low).square().mean() + (fake - high).square().mean())
    return penalty, Anchors(_moved_mean(high, real, decay), _moved_mean(low, fake, decay))


def lazy(rate: Number, betas: tuple[float, float], every: int) -> tuple[Number, tuple[float, float]]:
    """Return Adam's rate c and betas^c with c = k / (k + 1), for a penalty of its own phase every k = ``every`` steps.

    There are then k + 1 steps of the optimiser to k of the loss; with c it moves and forgets as fast per step of the
    loss as without the penalty. The penalty is multiplied by k outside. Not for a penalty that is added to the loss
    of the same optimiser step. Raises ValueError when ``every`` is below 1.
    Source: Karras et al. 2020, arXiv:1912.04958, appendix B, "lazy regularization".
    """
    if every < 1:
        raise ValueError(f"every: found {every}; allowed: 1 or more")
    share = every / (every + 1)
    return rate * share, (betas[0] ** share, betas[1] ** share)


def _root(squares: Tensor) -> Tensor:
    """Return the square root, at 0 with the derivative 0 in place of infinity, which would turn into NaN."""
    return squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt()


def _moved_mean(mean: Tensor, values: Tensor, decay: float) -> Tensor:
    return mean + decay * (values.detach().mean().to(mean.dtype) - mean)


def _each(u: Tensor, samples: Tensor) -> Tensor:
    """Return ``u`` (B,) in a shape that acts on each sample of (B, ...)."""
    if u.shape != samples.shape[:1]:
        raise ValueError(f"u: found shape {tuple(u.shape)}; allowed: ({len(samples)},), one for each sample")
    return u.detach().to(samples.dtype).reshape(-1, *[1] * (samples.dim() - 1))


def _same(first: Tensor, second: Tensor, name: str) -> None:
    if first.shape != second.shape:
        raise ValueError(f"{name}: found shape {tuple(second.shape)}; allowed: {tuple(first.shape)}")
