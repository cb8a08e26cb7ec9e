"""Inception-v3 in the lineage of the FID: torch-fidelity's network and TF1 resize, with weights from a local file."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load
from torch import Tensor

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import Activations, ExtractorOptions

__all__ = ["InceptionV3"]

_FILE = "weights-inception-2015-12-05-6726825d.pth"
_SHA256_PREFIX = "6726825d"
_HOW = (
    f"get {_FILE} (or pt_inception-2015-12-05-6726825d.pth, the same weights) from the releases of torch-fidelity or "
    "pytorch-fid and give it with --extractor-weights FILE, [extractor] weights = FILE, or GANAUDIT_INCEPTION_WEIGHTS"
)


class InceptionV3:
    """The 2015-12-05 Inception network: 2048 pooled features and 1008 logits without bias."""

    id: ClassVar[str] = "inception-v3"
    dimensions = 2048
    classes = 1008
    preprocessing = "TF1 bilinear resize to 299x299 without antialiasing, (uint8 - 128) / 128"

    def __init__(self, options: ExtractorOptions) -> None:
        if len(options.shape) != 3 or options.shape[0] not in (1, 3):
            raise ExtractorError(f"inception-v3: takes grey or RGB images; found shape {options.shape}")
        path = options.weights or _from_environment()
        if path is None:
            raise ExtractorError(f"inception-v3: no weights file was given; {_HOW}")
        weights, sha256 = _read_weights(path)
        self.device = options.device
        self.network = _network(weights, path).to(options.device)
        self.digest = f"inception-v3 sha256:{sha256}"
        standard = sha256.startswith(_SHA256_PREFIX)
        grey = " Grey images are repeated to three channels." if options.shape[0] == 1 else ""
        self.caution = grey.strip() if standard else (
            f"these are not the weights that published numbers rest on (sha256 {sha256[:8]}..., "
            f"published: {_SHA256_PREFIX}...).{grey}"
        )  # fmt: skip

    @torch.no_grad()
    def extract(self, images: Tensor) -> Activations:
        """Return features (B, 2048) and logits without bias (B, 1008)."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        features, logits = self.network(images.to(self.device))
        return Activations(features.cpu(), logits.cpu())


def _from_environment() -> Path | None:
    value = os.environ.get("GANAUDIT_INCEPTION_WEIGHTS")
    return Path(value) if value else None


def _read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    if not path.is_file():
        raise ExtractorError(f"inception-v3: weights file {path}: no such file; {_HOW}")
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        if path.suffix == ".safetensors":
            return load(content), sha256
        # weights_only: tensors and containers, never code.
        weights: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything on a file that is none of its own
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExtractorError(
            f"inception-v3: weights file {path} cannot be read as plain tensors: {told[:200]}; {_HOW}"
        ) from None
    named = isinstance(weights, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in weights.items())
    if not named:
        raise ExtractorError(f"inception-v3: weights file {path} does not hold named tensors and nothing else; {_HOW}")
    return weights, sha256


def _network(weights: dict[str, Tensor], path: Path) -> torch.nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class _Local(FeatureExtractorInceptionV3):  # type: ignore[misc]
        # Upstream's constructor unpickles the weights file itself; here tensors come in afterwards.
        def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
            return None

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    network: torch.nn.Module = _Local(
        "inception-v3", ["2048", "logits_unbiased"], feature_extractor_weights_path=nothing
    )
    try:
        torch.nn.Module.load_state_dict(network, weights)
    except RuntimeError as error:
        first = str(error).splitlines()
        raise ExtractorError(
            f"inception-v3: weights file {path} does not fit the network: {' '.join(first[:2])[:300]}; {_HOW}"
        ) from None
    network.requires_grad_(False)
    return network.eval()
