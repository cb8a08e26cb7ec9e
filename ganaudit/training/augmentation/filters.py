"""Filters of images (B, C, H, W); ``u`` (B, n) holds uniform draws of 0..1, the law of each is in its docstring."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganaudit.training.augmentation.laws import standard_normal

__all__ = ["bands"]

_POWERS = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Share of each band in the power of natural images, whose spectrum falls as 1/f²; from the coarsest band on."""


def bands(x: Tensor, u: Tensor, strength: float) -> Tensor:
    """Return each image with four bands of frequencies, an octave apart, amplified by random factors; linear in x.

    Band b is amplified by g_b = 2^(``strength`` n_b), n_b standard normal, and everything divided by
    sqrt(1 + p_b (g_b² - 1)) for each b, p the share of a band in the power of natural images, which so keep theirs on
    average. Bands are centred, from half an octave below the finest pattern on, at 1/sqrt(2), 1/sqrt(8), 1/sqrt(32) and
    below 1/sqrt(128) of its frequency, and pass into each other along cos². The filter acts along columns and rows, on
    borders that mirror the image: it is diagonal in the DCT-II.
    Source: image-space filtering of Karras et al. 2020, arXiv:2006.06676, appendix B, which parts bands by wavelets
    where cos² does here.
    """
    gains = [torch.exp2(strength * standard_normal(u[:, b])) for b in range(4)]
    power = torch.stack([1.0 + p * (g.square() - 1.0) for p, g in zip(_POWERS, gains, strict=True)]).prod(0)
    amplified = (torch.stack(gains, 1) / power.sqrt()[:, None]).to(x.dtype)
    rows, columns = (_filter(side, amplified)[:, None] for side in x.shape[2:])
    return rows @ x @ columns  # symmetric


def _filter(side: int, gains: Tensor) -> Tensor:
    """Return symmetric matrices (B, side, side) that amplify the bands by ``gains`` (B, 4)."""
    index = torch.arange(side, device=gains.device, dtype=gains.dtype)
    cosines = (math.pi / side * index[:, None] * (index + 0.5)).cos() * math.sqrt(2 / side)
    cosines = torch.where(index[:, None] == 0, cosines / math.sqrt(2), cosines)
    octave = (torch.log2(index / side) + 3.5).clamp(0.0, 3.0)
    away = (octave - torch.arange(4, device=gains.device)[:, None]).clamp(-1.0, 1.0)
    # What is added to the identity, so that gains of 1 leave an image as it is bit for bit.
    more = (gains - 1.0) @ (math.pi / 2 * away).cos().square()
    return torch.eye(side, device=gains.device, dtype=gains.dtype) + cosines.T @ (more[:, :, None] * cosines)
