"""Networks of the recipe ``residual``: a residual trunk over the whole 8x8 map, convolutions between map and image.

Small images are seen whole, so that a trunk of linear layers costs less than convolutions of equal quality; the
scale factor only changes the convolutions. No layer mixes the samples of a batch, so gradient penalties are exact.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional

from ganaudit.numerics.arguments import whole
from ganaudit.training.networks.layers import (
    Discriminator,
    Head,
    LatentInput,
    ResidualBlock,
    clamped,
    drawn,
    rectified,
    scale_factor,
)

__all__ = ["ResidualDiscriminator", "ResidualGenerator"]

_MAP = 8


class ResidualGenerator(nn.Module):
    """Latent (B, latent) to image (B, channels, size, size) in [-1, 1]; size is 8 times the scale factor.

    Linear trunk of ``depth`` residual blocks, a map of ``cells`` times ``cells`` and ``planes``, antialiased bicubic
    enlargement, two convolutions. With ``classes`` an embedding of the class stands beside the latent.
    """

    kind: ClassVar[Literal["image", "audio"]] = "image"

    def __init__(
        self,
        size: int = 16,
        channels: int = 1,
        latent: int = 64,
        *,
        classes: int = 0,
        width: int = 224,
        depth: int = 2,
        planes: int = 8,
        cells: int = _MAP,
    ) -> None:
        super().__init__()
        scale_factor(size)
        _check(channels, width, depth, planes)
        if not 1 <= cells <= size:
            raise ValueError(f"cells: found {cells}; allowed: 1 to the size, {size}")
        self.size, self.planes, self.cells = size, planes, cells
        self.input = LatentInput(latent, classes)
        self.first = drawn(nn.Linear(self.input.features, width))
        self.trunk = nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))
        self.map = drawn(nn.Linear(width, planes * cells**2))
        self.convolution = drawn(nn.Conv2d(planes, 2 * planes, 3, padding=1))
        self.image = drawn(nn.Conv2d(2 * planes, channels, 3, padding=1), 0.5)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images; in training values beyond the range leak through, so that none is without a gradient."""
        x = self.first(self.input(z, labels))
        # In the latents' precision: on CPU the enlargement knows no bfloat16.
        x = self.map(rectified(self.trunk(x))).to(z.dtype).view(-1, self.planes, self.cells, self.cells)
        x = functional.interpolate(x, (self.size, self.size), mode="bicubic", align_corners=False, antialias=True)
        x = self.image(rectified(self.convolution(x)))
        return clamped(x.to(z.dtype), self.training)


class ResidualDiscriminator(Discriminator):
    """Image (B, channels, size, size) to one raw score (B,), larger for more real.

    A convolution, mean pooling to 8x8, and a linear trunk of ``depth`` residual blocks. With ``classes`` the last
    layer projects on the class.
    """

    def __init__(
        self,
        size: int = 16,
        channels: int = 1,
        *,
        classes: int = 0,
        outputs: int = 1,
        width: int = 224,
        depth: int = 2,
        planes: int = 8,
    ) -> None:
        super().__init__()
        self.factor = scale_factor(size)
        _check(channels, width, depth, planes)
        self.convolution = drawn(nn.Conv2d(channels, planes, 3, padding=1))
        self.first = drawn(nn.Linear(planes * _MAP * _MAP, width))
        self.trunk = nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))
        self.last = Head(width, classes, outputs, gain=0.5)

    def responses(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return logits (B, outputs)."""
        x = functional.avg_pool2d(rectified(self.convolution(x)), self.factor)
        x = rectified(self.trunk(self.first(x.flatten(1))))
        return (self.last(x, labels),)


def _check(channels: int, width: int, depth: int, planes: int) -> None:
    whole(channels, "channels", 1)
    whole(width, "width", 1)
    whole(depth, "depth", 0)
    whole(planes, "planes", 1)
