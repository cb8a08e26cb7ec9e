"""Start-up self-test: a backend's gradient of a gradient penalty against eager's.

Backends have been found that drop second derivatives in silence; training then goes on with no penalty at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ganaudit.document.errors import ConfigError
from ganaudit.training.regularisers import gradient_norms, zero_centred_penalty

__all__ = ["PenaltyProbe", "check_second_order", "difference_bound"]

_BATCH, _SIDE, _PLANES = 4, 8, 6
_STAGES = (
    12  # products in a row to a penalty's gradient: two layers, each in forward, backward and both backwards again
)


class PenaltyProbe:
    """A tiny discriminator, samples for it and the gradient of their R1 penalty.

    Strided convolution, tanh (its second derivative is not 0), linear layer with a bias, which the penalty does not
    depend on. Weights and samples are the same on every device: drawn on the CPU in float32 from a fixed seed.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        chance = torch.Generator().manual_seed(20)
        self.network = nn.Sequential(
            nn.Conv2d(1, _PLANES, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(_PLANES * 16, 1)
        )
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=chance) / parameter[0].numel() ** 0.5)
        self.network.to(device)
        self.samples = torch.randn(_BATCH, 1, _SIDE, _SIDE, generator=chance).to(device).requires_grad_()

    def penalty_gradient(self) -> list[Tensor]:
        """Return the gradient of the penalty (coefficient 2: the mean squared norm) by each parameter, in order."""
        scores = self.network(self.samples).float()
        penalty = zero_centred_penalty(gradient_norms(scores, self.samples), 2.0)
        parameters = list(self.network.parameters())
        found = torch.autograd.grad(penalty, parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]


def check_second_order(
    run_penalty: Callable[[], Sequence[Tensor]],
    eager: Callable[[], Sequence[Tensor]],
    backend: str,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Return the largest relative difference between the backend's gradients of a penalty and eager's.

    Both callables return the gradients of one penalty by the same parameters; usually ``PenaltyProbe.penalty_gradient``
    through the backend and as it is. Per tensor the difference is |found - eager| / |eager| in Euclidean norms; where
    eager's is 0, over the norm of all of eager's. ``dtype`` is what the backend's products round to: bfloat16 under
    autocast, float16 also for TF32, which has as many digits.

    Raises ConfigError, naming the backend, the difference and the bound of ``difference_bound``, when the difference is
    larger, not a number, or the backend gives other shapes.
    """
    expected = [g.detach().double() for g in eager()]
    found = [g.detach().double() for g in run_penalty()]
    refusal = f"backend {backend!r}: the gradient of a gradient penalty is not eager's: "
    if [g.shape for g in found] != [g.shape for g in expected]:
        raise ConfigError(f"{refusal}{len(found)} tensors of other shapes than eager's {len(expected)}; use eager")
    difference, bound = _largest_difference(found, expected), difference_bound(dtype)
    if not difference <= bound:
        raise ConfigError(
            f"{refusal}largest relative difference {difference:.3g}; allowed: {bound:.3g}, from the rounding of "
            f"{dtype}; use the backend 'eager'"
        )
    return difference


def difference_bound(dtype: torch.dtype) -> float:
    """Return the largest relative difference that rounding explains: stages (eps + length eps of the accumulator).

    A penalty's gradient on the probe is a chain of 12 products. Each rounds its result to ``dtype`` once and its sum,
    of at most ``length`` = 96 terms, in the accumulator: float32 for half precision, else ``dtype`` itself. First
    order, all roundings to the same side; wrong second derivatives differ by the order of 1.
    """
    accumulator = torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
    return _STAGES * (torch.finfo(dtype).eps + _PLANES * 16 * torch.finfo(accumulator).eps)


def _largest_difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    total = float(torch.stack([g.norm() for g in expected]).norm())
    pairs = [(float((f - e).norm()), float(e.norm()) or total or 1.0) for f, e in zip(found, expected, strict=True)]
    differences = torch.tensor([size / scale for size, scale in pairs], dtype=torch.float64)
    return float(differences.max())  # torch's maximum keeps NaN, Python's does not
