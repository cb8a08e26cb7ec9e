"""The adaptive probability of augmentation (ADA): more of it when the discriminator knows the training data too well.

Source: Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, arXiv:2006.06676, section 3.1.
Pure functions of tensors; nothing is read back to the host.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Signs", "adjusted", "counted"]


class Signs(NamedTuple):
    """Running sums since the last adjustment: of the signs of scores and of how many there were, float64 scalars.

    Ranks add both up.
    """

    total: Tensor
    seen: Tensor

    @classmethod
    def none(cls, device: torch.device | str = "cpu") -> Signs:
        """Return the sums of no scores."""
        zero = torch.zeros((), dtype=torch.float64, device=device)
        return cls(zero, zero.clone())

    def mean(self) -> Tensor:
        """Return r_t, the mean sign, in -1..1; 0 when nothing was counted.

        Towards 1 the discriminator tells all real training samples: it overfits. It has a meaning only for objectives
        that fix a ``boundary``.
        """
        return self.total / self.seen.clamp_min(1.0)


def counted(signs: Signs, scores: Tensor, boundary: float = 0.0) -> Signs:
    """Return the sums with the scores (B,) of real samples added; a score at the boundary counts as 0."""
    found = (scores.detach() - boundary).sign().double()
    return Signs(signs.total + found.sum(), signs.seen + found.numel())


def adjusted(
    p: Tensor, sign_mean: Tensor, target: float, images: int | Tensor, speed: float, limit: float = 1.0
) -> Tensor:
    """Return clamp(p + sign(sign_mean - target) images / speed, 0, limit), a scalar tensor in the dtype of ``p``.

    ``images`` is how many real images were shown since the last adjustment; ``speed`` is in how many p may go from 0
    to 1 (the paper: target 0.6, speed 500,000).

    Raises ValueError when ``speed`` is not above 0 or ``limit`` not in 0..1.
    """
    if not speed > 0:
        raise ValueError(f"speed: found {speed}; allowed: above 0")
    if not 0.0 <= limit <= 1.0:
        raise ValueError(f"limit: found {limit}; allowed: 0 to 1")
    step = (sign_mean.double() - target).sign() * images / speed
    return (p.double() + step).clamp(0.0, limit).to(p.dtype)
