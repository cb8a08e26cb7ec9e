"""The extractor of the reference model ``digits``: a small classifier trained on the train split of the digits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import Activations, ExtractorOptions
from ganaudit.locations import reference_model

__all__ = ["Classifier", "DigitsCnn"]

_SIZE = 16
_FILE = "digits-cnn.safetensors"


class Classifier(nn.Module):
    """Four convolutions and two linear layers on grey 16x16 images in [-1, 1]."""

    def __init__(self, width: int = 32, features: int = 64, classes: int = 10) -> None:
        super().__init__()
        wide = width + width // 2
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(1, width, 3, padding=1),
                nn.Conv2d(width, width, 3, stride=2, padding=1),
                nn.Conv2d(width, wide, 3, padding=1),
                nn.Conv2d(wide, wide, 3, stride=2, padding=1),
            ]
        )
        self.penultimate = nn.Linear(wide * (_SIZE // 4) ** 2, features)
        self.last = nn.Linear(features, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return penultimate activations (B, features) of images (B, 1, 16, 16)."""
        for convolution in self.convolutions:
            x = functional.relu(convolution(x))
        activations: Tensor = functional.leaky_relu(self.penultimate(x.flatten(1)), 0.2)
        return activations

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        logits: Tensor = self.last(self.features(x))
        return logits


class DigitsCnn:
    """64 penultimate activations and 10 logits of a digit classifier; grey images are resized to 16x16."""

    id: ClassVar[str] = "digits-cnn"
    dimensions = 64
    classes = 10
    preprocessing = "antialiased bicubic resize to 16x16 where the size differs, uint8 / 127.5 - 1"
    caution = "made for handwritten digits; its numbers cannot be held against published ones"

    def __init__(self, options: ExtractorOptions) -> None:
        if len(options.shape) != 3 or options.shape[0] != 1:
            raise ExtractorError(f"digits-cnn: takes grey images (1, H, W); found samples of shape {options.shape}")
        path = options.weights or _shipped()
        try:
            content = path.read_bytes()
            network = Classifier()
            network.load_state_dict(load(content))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ExtractorError(f"digits-cnn: weights file {path} cannot be used: {error}") from None
        self.device = options.device
        self.digest = f"digits-cnn/1 sha256:{hashlib.sha256(content).hexdigest()}"
        self._network = network.requires_grad_(False).eval().to(options.device)

    @torch.no_grad()
    def extract(self, images: Tensor) -> Activations:
        """Return features (B, 64) and logits (B, 10)."""
        features = self.differentiable(images)
        return Activations(features.cpu(), self._network.last(features).cpu())

    def differentiable(self, images: Tensor) -> Tensor:
        """Return the features (B, 64), differentiable in the levels, on the device."""
        x = images.to(self.device, torch.float32)
        if x.shape[2:] != (_SIZE, _SIZE):
            x = functional.interpolate(x, (_SIZE, _SIZE), mode="bicubic", antialias=True).clamp(0, 255)
        return self._network.features(x / 127.5 - 1.0)


def _shipped() -> Path:
    folder = reference_model("digits")
    if folder is None or not (folder / _FILE).is_file():
        raise ExtractorError(
            f"digits-cnn: {_FILE} is not installed; `make reference` trains it, --extractor-weights names one"
        )
    return folder / _FILE
