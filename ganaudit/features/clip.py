"""CLIP's image encoders: torch-fidelity's network, weights from a local file, CLIP's own kernel and statistics."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ganaudit.features.framing import CLIP_MEAN, CLIP_STD, Framing
from ganaudit.features.published import PublishedNetwork, filled

__all__ = ["Clip", "ClipVitB16", "ClipVitB32", "ClipVitL14", "ClipVitL14At336"]

_PREFIX = "visual."


class Clip(PublishedNetwork):
    """A vision transformer of CLIP (Radford et al., 2021): image embeddings, not normalised to unit length.

    Takes OpenAI's files, or any file with their tensors under OpenAI's names; the text encoder is left out. float16
    weights are computed with in float32.
    """

    caution = (
        "CLIP embeddings; torch-fidelity resizes without antialiasing and CMMD brings embeddings to unit length, so "
        "their numbers differ"
    )
    patch: ClassVar[int]
    width: ClassVar[int]
    layers: ClassVar[int]

    def _built(self, weights: dict[str, Tensor]) -> tuple[nn.Module, nn.Linear | None]:
        from torch_fidelity.feature_extractor_clip import CLIPVisual

        named = {name.removeprefix(_PREFIX): tensor for name, tensor in weights.items() if name.startswith(_PREFIX)}
        if not named:
            raise ValueError("no tensor's name begins with 'visual.', as those of OpenAI's files do")

        def make() -> nn.Module:
            model = CLIPVisual(self.dimensions, self.side, self.layers, self.width, self.patch)
            encoder: nn.Module = model.visual
            return encoder

        return filled(make, named), None


def _framing(size: int) -> Framing:
    return Framing((size, size), "bicubic", mean=CLIP_MEAN, std=CLIP_STD)


class ClipVitB32(Clip):
    """CLIP ViT-B/32: 512 features of an image at 224 pixels."""

    id: ClassVar[str] = "clip-vit-b-32"
    dimensions = 512
    framing = _framing(224)
    patch, width, layers = 32, 768, 12


class ClipVitB16(Clip):
    """CLIP ViT-B/16: 512 features of an image at 224 pixels."""

    id: ClassVar[str] = "clip-vit-b-16"
    dimensions = 512
    framing = _framing(224)
    patch, width, layers = 16, 768, 12


class ClipVitL14(Clip):
    """CLIP ViT-L/14: 768 features of an image at 224 pixels."""

    id: ClassVar[str] = "clip-vit-l-14"
    dimensions = 768
    framing = _framing(224)
    patch, width, layers = 14, 1024, 24


class ClipVitL14At336(Clip):
    """CLIP ViT-L/14 at 336 pixels: 768 features; the network of CMMD (Jayasumana et al., 2024)."""

    id: ClassVar[str] = "clip-vit-l-14-336px"
    dimensions = 768
    framing = _framing(336)
    patch, width, layers = 14, 1024, 24
