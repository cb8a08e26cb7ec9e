"""The moving average of weights."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["average_into", "power_decay"]


def power_decay(step: int, power: float) -> float:
    """Return the share of the old average kept at ``step`` (from 0), so that step t weighs as t^power.

    (1 - 1 / (step + 1))^(power + 1): nothing is kept at step 0, and the memory is a fixed share of the run.
    Source: Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models, 2024, arXiv:2312.02696.
    """
    return float((1.0 - 1.0 / (step + 1)) ** (power + 1.0))


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the trained parameters of ``average`` to decay * average + (1 - decay) * network; all else is copied."""
    pairs = list(zip(average.parameters(), network.parameters(), strict=True))
    trained = [(kept, new) for kept, new in pairs if new.requires_grad]
    torch._foreach_lerp_([kept for kept, _ in trained], [new for _, new in trained], 1.0 - decay)
    rest = [(kept, new) for kept, new in pairs if not new.requires_grad]
    for kept, new in [*rest, *zip(average.buffers(), network.buffers(), strict=True)]:
        kept.copy_(new)
