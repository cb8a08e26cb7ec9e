"""torchvision's ImageNet classifiers: penultimate activations and logits, weights from a local file."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torchvision import models

from ganaudit.features.framing import IMAGENET_MEAN, IMAGENET_STD, Framing, Kernel
from ganaudit.features.published import PublishedNetwork, filled

__all__ = ["ConvNextTiny", "Resnet50", "SwinT", "TorchvisionBackbone", "Vgg16"]


def _framing(kernel: Kernel) -> Framing:
    # The whole image, not the middle that torchvision's own evaluation cuts out: a generator's faults at the border
    # are to be seen. Each network keeps the kernel it was evaluated with.
    return Framing((224, 224), kernel, mean=IMAGENET_MEAN, std=IMAGENET_STD)


class TorchvisionBackbone(PublishedNetwork):
    """A classifier of torchvision, cut before its last layer; torchvision's own download is never used."""

    classes = 1000
    caution = "features of an ImageNet classifier; published FIDs rest on another network"
    model: ClassVar[str]
    """torchvision's name of it."""
    last: ClassVar[str]
    """The linear layer that makes logits of features."""

    def _built(self, weights: dict[str, Tensor]) -> tuple[nn.Module, nn.Linear | None]:
        network = filled(lambda: models.get_model(self.model, weights=None, num_classes=self.classes), weights)
        last = network.get_submodule(self.last)
        assert isinstance(last, nn.Linear)
        network.set_submodule(self.last, nn.Identity())
        return network, last


class Resnet50(TorchvisionBackbone):
    """ResNet-50: 2048 pooled features and 1000 logits."""

    id: ClassVar[str] = "resnet50"
    dimensions = 2048
    framing = _framing("bilinear")
    model = "resnet50"
    last = "fc"


class Vgg16(TorchvisionBackbone):
    """VGG-16: 4096 features, the second fully connected layer after its rectifier, and 1000 logits.

    The layer that the improved precision and recall of Kynkäänniemi et al. (2019) rest on.
    """

    id: ClassVar[str] = "vgg16"
    dimensions = 4096
    framing = _framing("bilinear")
    model = "vgg16"
    last = "classifier.6"


class ConvNextTiny(TorchvisionBackbone):
    """ConvNeXt-Tiny: 768 pooled and normalised features and 1000 logits."""

    id: ClassVar[str] = "convnext-tiny"
    dimensions = 768
    framing = _framing("bilinear")
    model = "convnext_tiny"
    last = "classifier.2"


class SwinT(TorchvisionBackbone):
    """Swin-T: 768 pooled features and 1000 logits."""

    id: ClassVar[str] = "swin-t"
    dimensions = 768
    framing = _framing("bicubic")
    model = "swin_t"
    last = "head"
