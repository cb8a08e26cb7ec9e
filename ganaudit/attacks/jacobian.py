"""How evenly a generator spreads its latents: the singular values of its Jacobian.

A generator is a function from latents (B, d) to samples (B, ...), differentiable twice, that treats every row by
itself. Where the Jacobian is badly conditioned, some latent directions change the sample a lot and others not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import matrix, whole
from ganaudit.numerics.memory import Room

__all__ = ["Conditioning", "conditioning", "singular_values"]

Generate = Callable[[Tensor], Tensor]

_NOISE = 16.0


@dataclass(frozen=True, slots=True)
class Conditioning:
    """The log condition number of J^T J over N latents: 2·ln(largest/smallest singular value) of J."""

    mean: float | None
    """In natural units: 4.6 is a factor of 10 between directions. None when no latent has one."""
    sd: float | None
    """Standard deviation over latents, divisor N - 1; None below 2."""
    n: int
    """Latents in mean and sd."""
    collapsed: int
    """Latents left out: their smallest singular value is lost in rounding, so that a direction changes nothing."""


def singular_values(
    generate: Generate,
    z: Tensor,
    rng: np.random.Generator,
    *,
    directions: int = 128,
    outputs: int | None = None,
    batch: int = 64,
    room: Room | None = None,
) -> Tensor:
    """Return the singular values of the Jacobian of ``generate`` at each latent of ``z`` (N, d), largest first.

    (N, k) float64 with k = min(d, ``directions``, values of a sample), in units of the samples per unit of the latent.
    d <= ``directions``: the whole Jacobian, column by column as directional derivatives (the gradient of a gradient,
    so no forward-mode rule is needed), d forward and backward passes a latent.
    d > ``directions``: the Jacobian on a random subspace of that many directions, the same for all latents; its
    singular values lie between the true largest and smallest, so that a condition number is a lower bound.
    ``outputs``: fold the values of a sample with random signs into that many sums, which bounds memory to ``outputs``
    numbers a direction; squares of singular values stay right on average, off by about sqrt(2 k²/``outputs``) at most
    in the typical case. None: no folding. ``room``: remembers how many directions fitted into memory at once.

    ValueError for latents that are no finite matrix, samples without gradients, ``directions`` below 2, and ``outputs``
    not above ``directions``. RuntimeError, as torch's own, where an operator has no second derivative.
    Source: Odena et al. 2018; folding: Clarkson and Woodruff 2013.
    """
    matrix(z, "z", 1)
    whole(directions, "directions", 2)
    whole(batch, "batch", 1)
    if outputs is not None:
        whole(outputs, "outputs", min(directions, z.shape[1]) + 1)
    ways, room = _ways(z, directions, rng), room or Room()
    fold: _Fold | None = None
    found = []
    for latent in z.detach():
        columns: list[Tensor] = []

        def differentiate(start: int, stop: int, latent: Tensor = latent, columns: list[Tensor] = columns) -> None:
            nonlocal fold
            column = _along(generate, latent, ways[start:stop])
            if outputs is not None and column.shape[1] > outputs:
                fold = fold or _Fold(column.shape[1], outputs, rng, z.device)
                column = fold(column)
            columns.append(column)

        room.parts("differentiating the generator", len(ways), differentiate, batch=batch)
        found.append(torch.linalg.svdvals(torch.cat(columns).double()))
    return torch.stack(found)


def conditioning(singular: Tensor, precision: torch.dtype = torch.float32) -> Conditioning:
    """Return mean and spread of the log condition number of J^T J from singular values (N, k), largest first.

    ``precision``: the type the generator computed in; a smallest singular value below 16 roundings of the largest
    counts as zero, that is a log condition number above 26.3 in float32. ValueError for no latents, one singular
    value alone, and values that are negative or not finite.
    Source: Odena et al. 2018.
    """
    values = matrix(singular, "singular", 1).double()
    if values.shape[1] < 2 or bool((values < 0).any()):
        raise ValueError("singular: found fewer than 2 values a latent, or one below 0; allowed: 2 or more, 0 or above")
    largest, smallest = values[:, 0], values[:, -1]
    kept = smallest > _NOISE * torch.finfo(precision).eps * largest
    logs = 2 * (largest[kept] / smallest[kept]).log()
    n = len(logs)
    return Conditioning(
        mean=float(logs.mean()) if n else None,
        sd=float(logs.std(correction=1)) if n > 1 else None,
        n=n,
        collapsed=len(values) - n,
    )


class _Fold:
    """Random signs and places that fold D values into fewer."""

    def __init__(self, size: int, outputs: int, rng: np.random.Generator, device: torch.device) -> None:
        self._outputs = outputs
        self._places = torch.from_numpy(rng.integers(outputs, size=size)).to(device)
        self._signs = torch.from_numpy(rng.integers(2, size=size) * 2.0 - 1).to(device)

    def __call__(self, column: Tensor) -> Tensor:
        folded = torch.zeros(len(column), self._outputs, dtype=torch.float64, device=column.device)
        return folded.index_add_(1, self._places, column.double() * self._signs)


def _ways(z: Tensor, directions: int, rng: np.random.Generator) -> Tensor:
    """Return the directions (k, d) to differentiate along: all axes, or a random subspace's orthonormal basis."""
    d = z.shape[1]
    if d <= directions:
        return torch.eye(d, dtype=z.dtype, device=z.device)
    basis: Tensor = torch.linalg.qr(torch.from_numpy(rng.standard_normal((d, directions))))[0]
    return basis.T.to(z)


def _along(generate: Generate, latent: Tensor, ways: Tensor) -> Tensor:
    """Return the derivatives (k, D) of the sample at ``latent`` (d,) along the rows of ``ways`` (k, d)."""
    with torch.enable_grad():
        copies = latent.repeat(len(ways), 1).requires_grad_(True)
        made: Tensor = generate(copies).flatten(1)
        if not made.requires_grad:
            raise ValueError("generate: found samples without gradients; allowed: a differentiable generator")
        # J^T u is linear in u, so that its gradient along a direction v is J v, whatever u is.
        weights = torch.ones_like(made, requires_grad=True)
        (back,) = torch.autograd.grad(made, copies, weights, create_graph=True, allow_unused=True)
        if back is None:  # a constant generator
            return torch.zeros_like(made).detach()
        forth = torch.autograd.grad(back, weights, ways, allow_unused=True)[0] if back.requires_grad else None
    if forth is None and bool(back.any()):
        # What is marked as differentiable once loses the way back to u without an error.
        raise RuntimeError("its first derivative cannot be differentiated: an operator in it has no second one")
    return torch.zeros_like(made).detach() if forth is None else forth.detach()
