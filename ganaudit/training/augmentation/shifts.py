"""Augmentation of everything the discriminator sees, real and generated alike, so that the generator need not copy it.

Shifts by whole pixels: plain indexing, linear in the image, so gradients of any order pass.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ganaudit.numerics.randomness import uniforms

__all__ = ["draw_shifts", "shifted"]


def draw_shifts(start: int, count: int, probability: float, pixels: int, seed: int, stream: int) -> Tensor:
    """Return whole-pixel shifts (count, 2), int64 in -pixels..pixels, rows ``start`` on; zero for those left alone.

    Row i depends on (seed, stream, i) alone. With probability p a sample is shifted by a uniform draw; because the
    unshifted sample stays the likeliest, the generator is not free to shift its own samples instead (Karras et al.,
    Training Generative Adversarial Networks with Limited Data, 2020, arXiv:2006.06676).
    """
    u = uniforms(seed, stream, start, count, 3)
    moves = np.floor(u[:, 1:] * (2 * pixels + 1)).astype(np.int64) - pixels
    return torch.from_numpy(np.where(u[:, :1] < probability, moves, 0))


def shifted(x: Tensor, shifts: Tensor, paper: float = -1.0) -> Tensor:
    """Return images (B, C, H, W), image b moved by ``shifts[b]`` rows and columns; ``paper`` fills the uncovered."""
    reach = int(shifts.abs().max()) if len(shifts) else 0
    if reach == 0:
        return x
    batch, _, height, width = x.shape
    shifts = shifts.to(x.device)
    rows = torch.arange(height, device=x.device)[None, :] + reach - shifts[:, :1]
    columns = torch.arange(width, device=x.device)[None, :] + reach - shifts[:, 1:]
    wide = functional.pad(x, (reach, reach, reach, reach), value=paper)
    picked = wide[torch.arange(batch, device=x.device)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)
