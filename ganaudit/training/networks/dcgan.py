"""Deep convolutional GAN: strided convolutions only.

Source: Radford et al., Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks,
2015, arXiv:1511.06434. Where we differ: weights are drawn by He's rule, as the paper's fixed 0.02 suits one width and
batch normalisation only; the discriminator normalises nothing unless asked, so that gradient penalties mean something.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from ganaudit.numerics.arguments import whole
from ganaudit.training.networks.layers import (
    SLOPE,
    Discriminator,
    Head,
    LatentInput,
    doublings,
    drawn,
    image_range,
    normalisation,
)
from ganaudit.training.networks.spectral import SpectralConv2d

__all__ = ["DcganDiscriminator", "DcganGenerator"]

_SIDE = 4
_MOST = 8  # times the width: the planes of the smallest maps


def _planes(width: int, doubled: int) -> list[int]:
    """Return the planes of maps of 4, 8, … pixels, one for each doubling up to the image."""
    whole(width, "width", 1)
    return [width * min(2**i, _MOST) for i in reversed(range(doubled))]


class DcganGenerator(nn.Module):
    """Transposed convolutions: latent (B, latent) to image (B, channels, size, size) in [-1, 1].

    Size is 4, doubled at least once. A fully connected layer to a 4x4 map, then for each doubling a normalisation, a
    rectifier and a transposed convolution 4x4. The last map before the image has ``width`` planes, each one before
    twice as many, at most eight times. ``norm``: ``batch`` (the paper's), ``group`` or ``none``. With ``classes`` an
    embedding of the class stands beside the latent.
    """

    kind: ClassVar[Literal["image", "audio"]] = "image"

    def __init__(
        self, size: int, channels: int, latent: int, *, classes: int = 0, width: int = 64, norm: str = "batch"
    ) -> None:
        super().__init__()
        self.planes = _planes(width, doublings(size))
        whole(channels, "channels", 1)
        self.input = LatentInput(latent, classes)
        self.map = drawn(nn.Linear(self.input.features, self.planes[0] * _SIDE**2))
        layers: list[nn.Module] = []
        for here, there in zip(self.planes, [*self.planes[1:], channels], strict=True):
            bias = norm == "none" or there == channels
            deconvolution = nn.ConvTranspose2d(here, there, 4, stride=2, padding=1, bias=bias)
            layers += [normalisation(norm, here), nn.ReLU(), drawn(deconvolution)]
        self.body = nn.Sequential(*layers)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images."""
        x = self.map(self.input(z, labels)).view(-1, self.planes[0], _SIDE, _SIDE)
        return image_range(self.body(x), z)


class DcganDiscriminator(Discriminator):
    """Strided convolutions: image (B, channels, size, size) to logits (B, outputs).

    The generator's maps in reverse order. For each halving a convolution 4x4 with stride 2 and a leaky rectifier; the
    last layer reads the 4x4 map whole, with ``classes`` it projects on the class. ``norm``: ``none``, ``group``, or
    ``batch`` (the paper's, after all but the first convolution), which mixes the samples of a batch. ``spectral``:
    every weight has spectral norm 1.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        *,
        classes: int = 0,
        outputs: int = 1,
        width: int = 64,
        norm: str = "none",
        spectral: bool = False,
    ) -> None:
        super().__init__()
        whole(channels, "channels", 1)
        planes = _planes(width, doublings(size))[::-1]
        self.per_sample = norm != "batch"
        layers: list[nn.Module] = []
        for here, there in zip([channels, *planes[:-1]], planes, strict=True):
            layers.append(SpectralConv2d(here, there, 4, 2, 1) if spectral else drawn(nn.Conv2d(here, there, 4, 2, 1)))
            if len(layers) > 1:
                layers.append(normalisation(norm, there))
            layers.append(nn.LeakyReLU(SLOPE))
        self.body = nn.Sequential(*layers)
        self.last = Head(planes[-1] * _SIDE**2, classes, outputs, gain=0.5, spectral=spectral)

    def responses(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return logits (B, outputs)."""
        return (self.last(self.body(x).flatten(1), labels),)
