"""The seed pair: the smallest discriminator that says how real an image is and where.

The discriminator has two convolutions, each followed by mean pooling, one transposed convolution that gives a
confidence for each pixel, and one fully connected layer that gives the logits. Both see the same features, as in the
smallest U-Net discriminator (Schönfeld et al., A U-Net Based Discriminator for Generative Adversarial Networks, 2020,
arXiv:2002.12655).
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
    chosen,
    drawn,
    image_range,
    rectified,
    scale_factor,
)

__all__ = ["SeedDiscriminator", "SeedGenerator"]

_KERNEL = 5


class SeedGenerator(nn.Module):
    """The smallest generator: latent (B, latent) to image (B, channels, size, size) in [-1, 1].

    Size is 8 times the scale factor. A fully connected layer to ``2 * width`` planes of a quarter of the side, then two
    transposed convolutions. With ``classes`` an embedding of the class stands beside the latent.
    """

    kind: ClassVar[Literal["image", "audio"]] = "image"

    def __init__(self, size: int, channels: int, latent: int, *, classes: int = 0, width: int = 32) -> None:
        super().__init__()
        self.side = 2 * scale_factor(size)
        self.planes = 2 * whole(width, "width", 1)
        whole(channels, "channels", 1)
        self.input = LatentInput(latent, classes)
        self.map = drawn(nn.Linear(self.input.features, self.planes * self.side**2))
        self.middle = drawn(nn.ConvTranspose2d(self.planes, width, 4, stride=2, padding=1))
        self.image = drawn(nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), 0.5)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images."""
        x = self.map(self.input(z, labels)).view(-1, self.planes, self.side, self.side)
        x = self.image(rectified(self.middle(rectified(x))))
        return image_range(x, z)


class SeedDiscriminator(Discriminator):
    """Two answers, how real and where: image (B, channels, size, size) to logits and a map of raw confidences.

    Logits are (B, outputs), the map is (B, size, size); size is 8 times the scale factor. With ``width`` w: convolution
    5x5 to w planes, pooling, convolution 5x5 to 2w planes, pooling; from there the transposed convolution 8x8 with
    stride 4, and the fully connected layer, which with ``classes`` projects on the class. ``head`` says which of the
    two answers is the score of an audit: ``score``, the logits, or ``confidence``, the mean of the map.
    """

    def __init__(
        self, size: int, channels: int, *, classes: int = 0, outputs: int = 1, width: int = 32, head: str = "score"
    ) -> None:
        super().__init__()
        side = 2 * scale_factor(size)
        whole(channels, "channels", 1)
        whole(width, "width", 1)
        self.head = chosen(head, "head", ("score", "confidence"))
        self.first = drawn(nn.Conv2d(channels, width, _KERNEL, padding=_KERNEL // 2))
        self.second = drawn(nn.Conv2d(width, 2 * width, _KERNEL, padding=_KERNEL // 2))
        self.map = drawn(nn.ConvTranspose2d(2 * width, 1, 8, stride=4, padding=2), 0.5)
        self.last = Head(2 * width * side**2, classes, outputs, gain=0.5)

    def responses(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return logits (B, outputs) and the map of raw confidences (B, size, size)."""
        features = self._features(x)
        return self.last(features.flatten(1), labels), self._confidences(features)

    def confidences(self, x: Tensor) -> Tensor:
        """Return the map of raw confidences (B, size, size) alone, larger for more real; it depends on no label."""
        return self._confidences(self._features(x))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return one raw score for each sample (B,), by ``head``."""
        if self.head == "confidence":
            return self.confidences(x).mean((1, 2))
        return super().forward(x, labels)

    def _features(self, x: Tensor) -> Tensor:
        x = functional.avg_pool2d(rectified(self.first(x)), 2)
        return functional.avg_pool2d(rectified(self.second(x)), 2)

    def _confidences(self, features: Tensor) -> Tensor:
        confidences: Tensor = self.map(features)[:, 0]
        return confidences.to(self.map.weight.dtype)
