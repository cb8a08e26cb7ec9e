"""What several networks share: drawing of weights, sizes, the way classes come in, the last layer, the range of images.

Every network has one interface. A generator takes latents (B, latent) and, where it knows classes, labels (B,) int64;
it returns samples in [-1, 1]. A discriminator returns ``responses``: first logits (B, outputs), raw and larger for
more real, then maps of raw responses where it has any; calling it gives one raw score for each sample.

None of these layers mixes the samples of a batch except batch normalisation, which must be asked for.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganaudit.numerics.arguments import whole
from ganaudit.training.networks.spectral import SpectralNorm

__all__ = [
    "SLOPE",
    "Discriminator",
    "Head",
    "LatentInput",
    "ResidualBlock",
    "chosen",
    "clamped",
    "doublings",
    "drawn",
    "enlarged",
    "full_precision",
    "image_range",
    "normalisation",
    "planes_at",
    "raw_score",
    "rectified",
    "scale_factor",
]

SLOPE = 0.2
_FULL_WIDTH = 32  # pixels up to which maps are as wide as asked; beyond, width falls as the side grows
_Layer = TypeVar("_Layer", nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)


def drawn(layer: _Layer, gain: float = 1.0) -> _Layer:
    """Return the layer with He-normal weights for the leaky rectifier, times ``gain``, and zero biases.

    Source: He et al., Delving Deep into Rectifiers, 2015, arXiv:1502.01852.
    """
    fan_in = float(layer.weight[0].numel())
    if isinstance(layer, nn.ConvTranspose2d):
        # The weight is (in, out, h, w), and of a kernel only one in stride^2 entries meets an output.
        fan_in = layer.weight[:, 0].numel() / math.prod(layer.stride)
    nn.init.normal_(layer.weight, std=gain * math.sqrt(2.0 / (1.0 + SLOPE**2) / fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def rectified(x: Tensor) -> Tensor:
    """Return the leaky rectifier of ``x`` with slope 0.2 below zero."""
    return functional.leaky_relu(x, SLOPE)


def enlarged(x: Tensor) -> Tensor:
    """Return maps (B, C, H, W) with every pixel repeated to 2x2."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def clamped(x: Tensor, training: bool) -> Tensor:
    """Return ``x`` within [-1, 1]; in training a tenth of what lies beyond leaks: no value is without a gradient."""
    inside = x.clamp(-1.0, 1.0)
    return torch.lerp(inside, x, 0.1) if training else inside


def image_range(x: Tensor, like: Tensor) -> Tensor:
    """Return the hyperbolic tangent of ``x`` in the dtype of ``like``: in bfloat16 it would have 256 grey levels."""
    return x.to(like.dtype).tanh()


def scale_factor(size: int, base: int = 8) -> int:
    """Return k of ``size = base * k``; raises ValueError when ``size`` is not a multiple of ``base``."""
    if size < base or size % base:
        raise ValueError(f"size must be a multiple of {base}; found {size}")
    return size // base


def doublings(size: int, least: int = 1) -> int:
    """Return m of ``size = 4 * 2^m``; raises ValueError when there is none of ``least`` or more."""
    m = max(size, 1).bit_length() - 3
    if m < least or size != 4 * 2**m:
        first = 4 * 2**least
        raise ValueError(f"size must be 4 times a power of 2, from {first} ({first}, {2 * first}, …); found {size}")
    return m


def planes_at(width: int, side: int) -> int:
    """Return how many planes a map of ``side`` pixels has: ``width`` up to 32 pixels, then half for every doubling."""
    return max(width * _FULL_WIDTH // max(side, _FULL_WIDTH), 1)


def chosen(value: str, name: str, allowed: tuple[str, ...]) -> str:
    """Return ``value``; raises ValueError unless it is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name}: found {value!r}; allowed: {', '.join(allowed)}")
    return value


def normalisation(name: str, planes: int) -> nn.Module:
    """Return the layer for maps of ``planes``: ``none``, ``batch``, or ``group`` (per sample, at most 8 groups).

    Raises ValueError for another name.
    """
    chosen(name, "norm", ("none", "batch", "group"))
    if name == "batch":
        return nn.BatchNorm2d(planes)
    return nn.GroupNorm(math.gcd(8, planes), planes) if name == "group" else nn.Identity()


def raw_score(logits: Tensor) -> Tensor:
    """Return one raw score (B,) of logits (B, outputs), larger for more real.

    One output is the score. Of K + 1 outputs, K classes of reals and last "generated", it is the log-odds of any class
    against the last: logsumexp of the first K less the last.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    return logits[:, :-1].logsumexp(1) - logits[:, -1]


class LatentInput(nn.Module):
    """Latents (B, latent), with the learned embedding of the class, as wide again, beside them where there are classes.

    Embeddings start as normal draws, the law of the latents. ``features`` is the width of what comes out.
    """

    def __init__(self, latent: int, classes: int) -> None:
        super().__init__()
        self.latent = whole(latent, "latent", 1)
        self.classes = _class_count(classes)
        self.features = 2 * latent if classes else latent
        self.embedding = nn.Embedding(classes, latent) if classes else None

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return (B, features); raises ValueError when latents do not fit or labels are lacking."""
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise ValueError(f"latents: found shape {tuple(z.shape)}; allowed: (samples, {self.latent})")
        if self.embedding is None:
            return z
        return torch.cat([z, self.embedding(_given(labels, self.classes))], 1)


class Head(nn.Linear):
    """The last layer: features (B, F) to logits (B, outputs), in the precision of the weights even under autocast.

    With classes and one output the logit of class y is w·f + b + e_y·f, the projection of Miyato and Koyama, cGANs with
    Projection Discriminator, 2018, arXiv:1802.05637. With ``classes + 1`` outputs the classes are what is to be found,
    so labels are not read. ``spectral`` divides both weights by their largest singular value.
    """

    def __init__(
        self, features: int, classes: int = 0, outputs: int = 1, *, gain: float = 1.0, spectral: bool = False
    ) -> None:
        whole(outputs, "outputs", 1)
        if _class_count(classes) and outputs not in (1, classes + 1):
            raise ValueError(f"outputs: found {outputs}; allowed with {classes} classes: 1 or {classes + 1}")
        super().__init__(features, outputs)
        drawn(self, gain)
        self.classes = classes
        self.spectral = SpectralNorm(self.weight) if spectral else None
        self.projection = self.projection_spectral = None
        if classes and outputs == 1:
            self.projection = nn.Embedding(classes, features)
            nn.init.normal_(self.projection.weight, std=gain / math.sqrt(features))
            self.projection_spectral = SpectralNorm(self.projection.weight) if spectral else None

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits; raises ValueError when labels are lacking."""
        with full_precision(x):
            x = x.to(self.weight.dtype)
            weight = self.weight if self.spectral is None else self.spectral(self.weight)
            logits = functional.linear(x, weight, self.bias)
            if self.projection is None:
                return logits
            table = self.projection.weight
            if self.projection_spectral is not None:
                table = self.projection_spectral(table)
            rows = functional.embedding(_given(labels, self.classes), table)
            return logits + (rows * x).sum(1, keepdim=True)


class ResidualBlock(nn.Module):
    """x + small(rectified(linear(rectified(x)))): near the identity at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = drawn(nn.Linear(width, width))
        self.outer = drawn(nn.Linear(width, width), 0.25)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width)."""
        y: Tensor = x + self.outer(rectified(self.inner(rectified(x))))
        return y


class Discriminator(nn.Module):
    """The part that all discriminators share."""

    kind: ClassVar[Literal["image", "audio"]] = "image"
    per_sample: bool = True
    """Whether a score depends on its own sample alone; a gradient penalty means nothing otherwise."""

    def responses(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return logits (B, outputs), then maps of raw responses, if any."""
        raise NotImplementedError

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return one raw score for each sample (B,), larger for more real."""
        return raw_score(self.responses(x, labels)[0])


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Return a block without autocast, for what bfloat16 has too few digits."""
    kind = x.device.type
    # Entered only where it changes something, so that exported programs hold no trace of it.
    # The device "meta", on which operations are counted without being done, knows no autocast.
    on = kind != "meta" and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()


def _class_count(classes: int) -> int:
    if classes < 0 or classes == 1:
        raise ValueError(f"classes: found {classes}; allowed: 0 (none), or 2 or more")
    return classes


def _given(labels: Tensor | None, classes: int) -> Tensor:
    if labels is None:
        raise ValueError(f"labels: found none; this network knows {classes} classes and must be told one per sample")
    return labels
