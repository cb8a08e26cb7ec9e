"""The second latent space of a generator in two parts: w, which a mapping network makes of z."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ganaudit.document.errors import SubjectError
from ganaudit.subjects.subject import Subject

__all__ = ["Mapped", "mapped"]

_TRIED = 4
_NEAR = 1e-4  # of the width of the range: two calls of one network differ by rounding alone


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """A generator in its two parts."""

    subject: Subject
    """The same subject, but generating from w, (B, ...), without labels."""
    make: Callable[[Tensor, Tensor | None], Tensor]

    @torch.no_grad()
    def w(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return w (B, ...) of latents (B, d) and, where the subject takes classes, labels (B,), on the CPU."""
        block = self.subject.block or len(z)
        parts = []
        for start in range(0, len(z), block):
            rows = torch.arange(start, start + block).clamp(max=len(z) - 1)
            parts.append(self.make(z[rows], None if labels is None else labels[rows]))
        return torch.cat(parts)[: len(z)]


class _Synthesis(nn.Module):
    def __init__(self, part: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self._part = part

    def forward(self, w: Tensor) -> Any:
        return self._part(w)


def mapped(subject: Subject) -> Mapped | str:
    """Return the subject's generator in two parts, or in words why it has no w.

    A generator has one where it is in the parts ``mapping`` and ``synthesis``, as StyleGAN's is: two callables with
    synthesis(mapping(z)) = generator(z), or synthesis(mapping(z, labels)) where it takes classes. Held to it on a few
    latents: a part that goes by one of these names and is something else is no w.
    """
    parts = [getattr(subject.generator, name, None) for name in ("mapping", "synthesis")]
    if subject.generator is None or subject.latent is None or not all(callable(part) for part in parts):
        return "no w space: the generator is not in two parts named mapping and synthesis"
    mapping, synthesis = parts
    assert mapping is not None
    assert synthesis is not None

    def make(z: Tensor, labels: Tensor | None) -> Tensor:
        given = z[:, :, None, None] if subject.spatial_latent else z
        told = [t.to(subject.device) for t in (given, labels) if t is not None]
        w: Tensor = mapping(*told)
        return w.cpu()

    made = Mapped(replace(subject, generator=_Synthesis(synthesis), spatial_latent=False), make)
    z, labels = subject.latent.draw(0, 0, _TRIED), subject.labels(0, 0, _TRIED)
    try:
        x, y = subject.generate(z, labels), made.subject.generate(made.w(z, labels))
    except (SubjectError, RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0][:120]
        return f"no w space: synthesis(mapping(z)) fails: {told}"
    off = float((x - y).abs().max())
    if off > _NEAR * (subject.sample.high - subject.sample.low):
        return f"no w space: synthesis(mapping(z)) is off what the generator makes of z by {off:.3g}"
    return made
