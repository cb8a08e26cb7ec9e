"""A U-Net generator that is fed back what the discriminator said, pixel by pixel, of its previous output.

The discriminator is the seed pair's: its map of confidences tells where an image looks generated. A relative is
feedback adversarial learning (Huh et al., Feedback Adversarial Learning, CVPR 2019).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganaudit.numerics.arguments import whole
from ganaudit.training.networks.layers import LatentInput, drawn, enlarged, image_range, rectified, scale_factor
from ganaudit.training.networks.seed import SeedDiscriminator

__all__ = ["UNetGenerator"]


class UNetGenerator(nn.Module):
    """A U-Net fed back what its critic says: latent (B, latent) to image (B, channels, size, size) in [-1, 1].

    Size is 8 times the scale factor; one U-Net is passed through ``rounds`` times. A fully connected layer makes
    ``planes`` planes of a quarter of the side from the latent; enlarged, they are the U-Net's input beside one plane of
    condition. That is 0 in the first round, then tanh(m / 2) = 2 sigmoid(m) - 1 of the discriminator's map m of the
    image of the round before, computed without gradient. Only the last round is trained: the others end in the
    condition.

    ``critic`` is a copy of the discriminator, so that a saved generator needs nothing else. It takes no gradient; the
    training loop copies the discriminator's state into it after each discriminator step. ``critic_width`` and
    ``critic_outputs`` are the discriminator's ``width`` and ``outputs``. With ``classes`` an embedding of the class
    stands beside the latent.
    """

    kind: ClassVar[Literal["image", "audio"]] = "image"

    def __init__(
        self,
        size: int,
        channels: int,
        latent: int,
        *,
        classes: int = 0,
        width: int = 16,
        planes: int = 8,
        rounds: int = 2,
        critic_width: int = 32,
        critic_outputs: int = 1,
    ) -> None:
        super().__init__()
        self.side = 2 * scale_factor(size)
        whole(width, "width", 1)
        self.planes, self.rounds = whole(planes, "planes", 1), whole(rounds, "rounds", 1)
        self.input = LatentInput(latent, classes)
        self.map = drawn(nn.Linear(self.input.features, planes * self.side**2))
        self.enter = _convolution(planes + 1, width)
        self.down = drawn(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1))
        self.down_again = drawn(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1))
        # The latent's own map is there at the bottom as well: pooling it from the full side would lose it.
        self.bottom = _convolution(4 * width + planes, 4 * width)
        self.up = _convolution(4 * width + 2 * width, 2 * width)
        self.up_again = _convolution(2 * width + width, width)
        self.image = drawn(nn.Conv2d(width, channels, 3, padding=1), 0.5)
        self.critic = SeedDiscriminator(
            size, channels, classes=classes, outputs=critic_outputs, width=critic_width
        ).requires_grad_(False)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images of the last round."""
        planes = self.map(self.input(z, labels)).view(-1, self.planes, self.side, self.side)
        size = 4 * self.side
        condition = z.new_zeros(len(z), 1, size, size)
        for _ in range(self.rounds - 1):
            with torch.no_grad():
                image = image_range(self._pass(planes, condition), z)
                condition = (self.critic.confidences(image) / 2).tanh()[:, None]
        return image_range(self._pass(planes, condition), z)

    def _pass(self, planes: Tensor, condition: Tensor) -> Tensor:
        wide = functional.interpolate(planes, scale_factor=4.0, mode="nearest")
        full = rectified(self.enter(torch.cat([wide, condition.to(wide.dtype)], 1)))
        half = rectified(self.down(full))
        x = rectified(self.down_again(half))
        x = rectified(self.bottom(torch.cat([x, planes], 1)))
        x = rectified(self.up(torch.cat([enlarged(x), half], 1)))
        x = rectified(self.up_again(torch.cat([enlarged(x), full], 1)))
        image: Tensor = self.image(x)
        return image


def _convolution(planes_in: int, planes_out: int) -> nn.Conv2d:
    return drawn(nn.Conv2d(planes_in, planes_out, 3, padding=1))
