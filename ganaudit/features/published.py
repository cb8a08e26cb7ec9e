"""What extractors with published weights share: where the file is, whether it is the published one, how it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganaudit.document.errors import ExtractorError, WeightsError
from ganaudit.features.extractor import Activations, ExtractorOptions
from ganaudit.features.framing import Framing
from ganaudit.features.precision import check_precision
from ganaudit.features.tensors import read_tensors
from ganaudit.weights.cache import WeightsCache
from ganaudit.weights.files import hashed

__all__ = ["PublishedNetwork", "filled", "rgb"]


class PublishedNetwork:
    """An image encoder built from a weights file: the one given, else the verified one of ``ganaudit weights``.

    Grey images are repeated to three channels. In bf16 the products run in bf16 and sums, normalisations and what comes
    out in float32 (torch's autocast).
    """

    id: ClassVar[str]
    dimensions: int
    classes: int = 0
    framing: ClassVar[Framing]
    preprocessing: str
    caution: str = ""

    def __init_subclass__(cls) -> None:
        if "framing" in vars(cls):
            cls.preprocessing = cls.framing.describe()

    def __init__(self, options: ExtractorOptions) -> None:
        if len(options.shape) != 3 or options.shape[0] not in (1, 3):
            raise ExtractorError(f"{self.id}: takes grey or RGB images; found samples of shape {options.shape}")
        check_precision(options.precision, options.device)
        self.device, self.precision = options.device, options.precision
        weights, sha256, told = _weights(self.id, options.weights)
        try:
            network, last = self._built({n: t.float() if t.is_floating_point() else t for n, t in weights.items()})
        except (KeyError, RuntimeError, ValueError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())[:300]
            raise ExtractorError(f"{self.id}: {told} does not fit the network: {reason}; {_how(self.id)}") from None
        self._network = network.requires_grad_(False).eval().to(options.device)
        self._last = last.requires_grad_(False).to(options.device) if last else None
        ran = "" if options.precision == "fp32" else f" {options.precision}"
        self.digest = f"{self.id}/1{ran} sha256:{sha256} {self.framing}"
        self.caution = _caution(self.id, sha256, options, self.caution)

    @property
    def side(self) -> int:
        """The height and width of the images the network sees."""
        assert self.framing.size is not None
        return self.framing.size[0]

    def _built(self, weights: dict[str, Tensor]) -> tuple[nn.Module, nn.Linear | None]:
        """Return the network from its input to the features, and the layer from there to the logits.

        Raises KeyError, RuntimeError or ValueError when the tensors are those of another network.
        """
        raise NotImplementedError

    @torch.no_grad()
    def extract(self, images: Tensor) -> Activations:
        """Return features (B, D) and, of a classifier, logits (B, classes), float32."""
        x = self.framing.apply(rgb(images.to(self.device, non_blocking=True)))
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.precision == "bf16"):
            features = self._network(x)
        features = features.to(torch.float32)
        if self._last is None:
            return Activations(features)
        return Activations(features, functional.linear(features, self._last.weight, self._last.bias))


def rgb(images: Tensor) -> Tensor:
    """Return images (B, 3, H, W) of grey or RGB ones."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def filled(make: Callable[[], nn.Module], weights: dict[str, Tensor]) -> nn.Module:
    """Return the network that ``make`` builds with exactly these weights.

    Raises RuntimeError naming what is missing, unexpected or of another shape.
    """
    with torch.device("meta"):  # weights at random would be drawn and thrown away, which takes seconds
        network = make()
    network.load_state_dict(weights, strict=True, assign=True)
    return network


def _weights(id: str, given: Path | None) -> tuple[dict[str, Tensor], str, str]:
    """Return the tensors, the sha256 of their file, and the file in words."""
    try:
        path = given or WeightsCache().resolve(id)
        if path is None:
            raise ExtractorError(f"{id}: no weights file is there; {_how(id)}")
        sha256, _ = hashed(path)
        return read_tensors(path), sha256, f"weights file {path}"
    except WeightsError as error:
        raise ExtractorError(f"{id}: {error}; {_how(id)}") from None


def _how(id: str) -> str:
    return (
        f"`ganaudit weights fetch {id}` downloads the published file, `ganaudit weights add FILE` takes it from this "
        "machine, --extractor-weights FILE names any file"
    )


def _caution(id: str, sha256: str, options: ExtractorOptions, note: str) -> str:
    cache = WeightsCache()
    entry, held = cache.entries.get(id), cache.held(id)
    # A verified file of the cache is the published one, or its tensors written anew.
    published = held.state == "verified" and held.record is not None and held.record.sha256 == sha256
    parts = [note] if note else []
    if entry is not None and not published and sha256 != entry.sha256:
        parts.append(f"these are not the published weights (sha256 {sha256[:8]}..., published: {entry.sha256[:8]}...)")
    if options.shape[0] == 1:
        parts.append("grey images are repeated to three channels")
    return "; ".join(parts)
