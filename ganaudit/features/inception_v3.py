"""Inception-v3 in the lineage of the FID: torch-fidelity's network with weights from a local file, made fast.

The network is the published one. Normalisations are folded into their convolutions in float64, rectifiers run inside
them, memory is channels-last; what comes out differs from torch-fidelity's by float32 rounding alone.
"""

from __future__ import annotations

import hashlib
import io
import os
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load
from torch import Tensor, nn

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import Activations, ExtractorOptions
from ganaudit.features.fused import FusedConvolution
from ganaudit.features.precision import check_precision
from ganaudit.features.preprocessing import Preprocessing
from ganaudit.weights.cache import resolve

__all__ = ["InceptionV3", "InceptionV3At64", "InceptionV3At192", "InceptionV3At768", "weights_at_hand"]

_FILE = "weights-inception-2015-12-05-6726825d.pth"
_SHA256_PREFIX = "6726825d"
_SIZE = 299
_HOW = (
    f"`ganaudit weights fetch inception-v3` brings it; or get {_FILE} (or pt_inception-2015-12-05-6726825d.pth, the "
    "same weights) from the releases of torch-fidelity or pytorch-fid and give it with --extractor-weights FILE, "
    "[extractor] weights = FILE, or GANAUDIT_INCEPTION_WEIGHTS"
)
_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1")
_SECOND = ("Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2")
_THIRD = (*(f"Mixed_5{c}" for c in "bcd"), *(f"Mixed_6{c}" for c in "abcde"))
_LAST = ("Mixed_7a", "Mixed_7b", "Mixed_7c")
_PATHS = {
    64: _STEM,
    192: (*_STEM, *_SECOND),
    768: (*_STEM, *_SECOND, *_THIRD),
    2048: (*_STEM, *_SECOND, *_THIRD, *_LAST),
}


class InceptionV3:
    """The 2015-12-05 Inception network: 2048 pooled features and 1008 logits without bias."""

    id: ClassVar[str] = "inception-v3"
    dimensions: int = 2048
    """Which layer is read: its number of channels names it."""
    classes: int = 1008

    def __init__(self, options: ExtractorOptions) -> None:
        if len(options.shape) != 3 or options.shape[0] not in (1, 3):
            raise ExtractorError(f"{self.id}: takes grey or RGB images; found shape {options.shape}")
        path = options.weights or weights_at_hand()
        if path is None:
            raise ExtractorError(f"{self.id}: no weights file was given; {_HOW}")
        check_precision(options.precision, options.device)
        weights, sha256 = _read_weights(path)
        self.device = options.device
        self.precision = options.precision
        self._preprocess = options.preprocessing or Preprocessing()
        self.preprocessing = self._preprocess.describe(_SIZE)
        self._weights, self._path = weights, path
        if _layout(weights) != _LAYOUT:
            _network(weights, path)  # raises, and says what does not fit
        layer = "" if self.dimensions == 2048 else f" layer {self.dimensions}"
        told = "" if options.precision == "fp32" else f" {options.precision}"
        self.digest = f"inception-v3/3{layer}{told} sha256:{sha256} {self._preprocess}"
        standard = sha256.startswith(_SHA256_PREFIX)
        grey = " Grey images are repeated to three channels." if options.shape[0] == 1 else ""
        self.caution = grey.strip() if standard else (
            f"these are not the weights that published numbers rest on (sha256 {sha256[:8]}..., "
            f"published: {_SHA256_PREFIX}...).{grey}"
        )  # fmt: skip

    @torch.no_grad()
    def extract(self, images: Tensor) -> Activations:
        """Return the pooled features (B, D) of the layer and, at 2048, the logits without bias (B, 1008), float32."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        x = self._preprocess.apply(images.to(self.device, non_blocking=True), _SIZE)
        body, head = self._parts
        x = body(x.to(_DTYPES[self.precision]))
        # Pooled and classified in float32, also after a body in bf16: these sums would lose most.
        features = x.to(torch.float32).mean((2, 3))
        return Activations(features, features @ head.T if self.classes else None)

    @cached_property
    def _parts(self) -> tuple[nn.Module, Tensor]:
        """The network up to the layer, and the weight of the classifier; built when first needed.

        Where all features lie in the store already they never are, and building them takes seconds.
        """
        network = _network(self._weights, self._path)
        head = network.fc.weight.detach().clone().to(self.device, torch.float32)
        body = _fused(network, self.dimensions, _DTYPES[self.precision]).to(self.device)
        self._weights = {}
        return body, head


class InceptionV3At64(InceptionV3):
    """Inception-v3 after its first pooling: 64 pooled features, of edges and colours."""

    id: ClassVar[str] = "inception-v3-64"
    dimensions = 64
    classes = 0


class InceptionV3At192(InceptionV3):
    """Inception-v3 after its second pooling: 192 pooled features, of textures."""

    id: ClassVar[str] = "inception-v3-192"
    dimensions = 192
    classes = 0


class InceptionV3At768(InceptionV3):
    """Inception-v3 before its last blocks: 768 pooled features, of parts."""

    id: ClassVar[str] = "inception-v3-768"
    dimensions = 768
    classes = 0


_LAYOUT = "d84f693f2abd7fea61cb31c87d3b2f268bf707c1bae1db219afdad3363959cb0"
"""Digest of the names and shapes of the network's weights, so that a wrong file is found before anything is read."""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def weights_at_hand() -> Path | None:
    """Return the file that ``GANAUDIT_INCEPTION_WEIGHTS`` names, else the verified one in the cache, else None.

    Raises WeightsError when the file in the cache is not the published one.
    """
    value = os.environ.get("GANAUDIT_INCEPTION_WEIGHTS")
    return Path(value) if value else resolve("inception-v3")


def _read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    if not path.is_file():
        raise ExtractorError(f"inception-v3: weights file {path}: no such file; {_HOW}")
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        if path.suffix == ".safetensors":
            return load(content), sha256
        # weights_only: tensors and containers, never code.
        weights: Any = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything on a file that is none of its own
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExtractorError(
            f"inception-v3: weights file {path} cannot be read as plain tensors: {told[:200]}; {_HOW}"
        ) from None
    named = isinstance(weights, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in weights.items())
    if not named:
        raise ExtractorError(f"inception-v3: weights file {path} does not hold named tensors and nothing else; {_HOW}")
    return weights, sha256


def _layout(weights: dict[str, Tensor]) -> str:
    # Counters of batches are in newer files only, and nothing rests on them.
    named = sorted(f"{n} {tuple(t.shape)}" for n, t in weights.items() if not n.endswith("num_batches_tracked"))
    return hashlib.sha256("\n".join(named).encode()).hexdigest()


def _network(weights: dict[str, Tensor], path: Path) -> Any:
    """Return torch-fidelity's network with ``weights``."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class _Local(FeatureExtractorInceptionV3):  # type: ignore[misc]
        # Upstream's constructor unpickles the weights file itself; here tensors come in afterwards.
        def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
            return None

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.device("meta"):  # weights at random would be drawn and thrown away, which takes seconds
        network = _Local("inception-v3", ["2048"], feature_extractor_weights_path=nothing)
    try:
        nn.Module.load_state_dict(network, weights, assign=True)
    except RuntimeError as error:
        first = str(error).splitlines()
        raise ExtractorError(
            f"inception-v3: weights file {path} does not fit the network: {' '.join(first[:2])[:300]}; {_HOW}"
        ) from None
    return network.requires_grad_(False).eval()


def _fused(network: Any, layer: int, dtype: torch.dtype) -> nn.Module:
    """Return the network up to ``layer``, every convolution fused with what follows it."""

    def fuse(module: nn.Module) -> nn.Module:
        if hasattr(module, "conv") and hasattr(module, "bn"):
            return FusedConvolution(module.conv, module.bn, dtype)  # type: ignore[arg-type]
        for name, child in module.named_children():
            setattr(module, name, fuse(child))
        return module

    return nn.Sequential(*(fuse(getattr(network, name)) for name in _PATHS[layer])).eval()
