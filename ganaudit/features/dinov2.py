"""DINOv2's image encoders on torchvision's vision transformer, weights from a local file.

torch-fidelity takes DINOv2's code from torch.hub, so it cannot do without a network connection. But the published
networks S, B and L are plain vision transformers but for LayerScale, a factor per channel on the output of every
attention and perceptron, and that is a factor on the rows of the last matrix inside: folded in, nothing else is left.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VisionTransformer

from ganaudit.features.framing import IMAGENET_MEAN, IMAGENET_STD, Framing
from ganaudit.features.published import PublishedNetwork, filled

__all__ = ["DinoV2", "DinoV2VitB14", "DinoV2VitL14", "DinoV2VitS14"]

_PATCH = 14
_HEAD = 64
"""Channels per attention head, in all of them."""
_OFFSET = 0.1
"""What DINOv2 adds to the number of patches before it resizes its positions; the published features rest on it."""


class DinoV2(PublishedNetwork):
    """A vision transformer of DINOv2 (Oquab et al., 2023): the normalised class token.

    Takes the published ``dinov2_vit*14_pretrain.pth`` and files with their tensors under their names; the variants with
    registers and the giant one are other networks.
    """

    framing = Framing((224, 224), "bicubic", mean=IMAGENET_MEAN, std=IMAGENET_STD)
    caution = "DINOv2 class tokens; torch-fidelity resizes without antialiasing, so its numbers differ"
    layers: ClassVar[int]

    def _built(self, weights: dict[str, Tensor]) -> tuple[nn.Module, nn.Linear | None]:
        for name, what in (("register_tokens", "registers"), ("blocks.0.mlp.w12.weight", "the giant network's layers")):
            if name in weights:
                raise ValueError(f"these are weights with {what}, which this extractor does not know")

        def make() -> nn.Module:
            width = self.dimensions
            network: nn.Module = VisionTransformer(self.side, _PATCH, self.layers, width // _HEAD, width, 4 * width)
            network.heads = nn.Identity()
            return network

        return filled(make, _renamed(weights, self.layers, self.side // _PATCH)), None


class DinoV2VitS14(DinoV2):
    """DINOv2 ViT-S/14: 384 features of an image at 224 pixels."""

    id: ClassVar[str] = "dinov2-vit-s-14"
    dimensions = 384
    layers = 12


class DinoV2VitB14(DinoV2):
    """DINOv2 ViT-B/14: 768 features of an image at 224 pixels."""

    id: ClassVar[str] = "dinov2-vit-b-14"
    dimensions = 768
    layers = 12


class DinoV2VitL14(DinoV2):
    """DINOv2 ViT-L/14: 1024 features of an image at 224 pixels; the network of Stein et al. (2023)."""

    id: ClassVar[str] = "dinov2-vit-l-14"
    dimensions = 1024
    layers = 24


_OF_BLOCK = {
    "norm1": "ln_1",
    "norm2": "ln_2",
    "attn.proj": "self_attention.out_proj",
    "mlp.fc1": "mlp.0",
    "mlp.fc2": "mlp.3",
}
_SCALED = {"attn.proj": "ls1", "mlp.fc2": "ls2"}
"""The layers whose outputs LayerScale multiplies, and the name of the factors."""


def _renamed(weights: dict[str, Tensor], layers: int, side: int) -> dict[str, Tensor]:
    """Return the weights under torchvision's names, LayerScale folded in, positions at ``side`` x ``side`` patches.

    Raises KeyError for a tensor that is missing and ValueError for one that has no place.
    """
    left = dict(weights)
    left.pop("mask_token", None)  # of the training; no image is masked here
    found = {
        "class_token": left.pop("cls_token"),
        "encoder.pos_embedding": _positions(left.pop("pos_embed"), side),
    }
    for kind in ("weight", "bias"):
        found[f"conv_proj.{kind}"] = left.pop(f"patch_embed.proj.{kind}")
        found[f"encoder.ln.{kind}"] = left.pop(f"norm.{kind}")
    for i in range(layers):
        block, place = f"blocks.{i}", f"encoder.layers.encoder_layer_{i}"
        for kind in ("weight", "bias"):
            found[f"{place}.self_attention.in_proj_{kind}"] = left.pop(f"{block}.attn.qkv.{kind}")
            for theirs, ours in _OF_BLOCK.items():
                tensor = left.pop(f"{block}.{theirs}.{kind}")
                if theirs in _SCALED:
                    tensor = _scaled(tensor, weights[f"{block}.{_SCALED[theirs]}.gamma"])
                found[f"{place}.{ours}.{kind}"] = tensor
        for factors in _SCALED.values():
            left.pop(f"{block}.{factors}.gamma")
    if left:
        raise ValueError(f"{len(left)} tensors have no place in the network, such as {min(left)!r}")
    return found


def _scaled(tensor: Tensor, factors: Tensor) -> Tensor:
    shape = (-1, *([1] * (tensor.dim() - 1)))
    return (tensor.double() * factors.double().reshape(shape)).to(torch.float32)


def _positions(positions: Tensor, side: int) -> Tensor:
    """Return position embeddings (1, 1 + side², D) of those of another number of patches, as DINOv2 resizes them."""
    count = positions.shape[1] - 1
    width = math.isqrt(max(count, 0))
    if positions.dim() != 3 or width * width != count or count < 1:
        raise ValueError(f"pos_embed of shape {tuple(positions.shape)}: expected 1 and a square number of patches")
    if width == side:
        return positions
    of_class, of_patches = positions[:, :1], positions[:, 1:]
    grid = of_patches.reshape(1, width, width, -1).permute(0, 3, 1, 2)
    scale = (side + _OFFSET) / width
    grid = functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic", align_corners=False)
    return torch.cat([of_class, grid.permute(0, 2, 3, 1).reshape(1, side * side, -1)], 1)
