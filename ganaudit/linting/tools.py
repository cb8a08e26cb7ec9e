"""What a program's defaults settle of a number that it wrote, so that nobody has to state it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ganaudit.linting.claim import Claim
from ganaudit.linting.metrics import METRICS, normal

__all__ = ["completed", "tool_of"]

_INCEPTION = {"extractor": "inception-v3 (2015-12-05)", "dimensions": 2048}
_SETTLES: Mapping[str, Mapping[str, Any]] = {
    "torch-fidelity": {**_INCEPTION, "resize": "TF1 bilinear", "antialias": False},
    "stylegan": {**_INCEPTION, "resize": "TF1 bilinear", "antialias": False},
    "clean-fid": {**_INCEPTION, "resize": "PIL bicubic", "antialias": True},
    "pytorch-fid": {**_INCEPTION, "resize": "torch bilinear", "antialias": False},
    "torchmetrics": {**_INCEPTION, "resize": "torch bilinear"},
}
_SETTLES_OF_METRIC: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("torch-fidelity", "kid"): {"subsets": 100},
    ("torch-fidelity", "is"): {"splits": 10},
    ("torch-fidelity", "precision"): {"extractor": "vgg16", "dimensions": 4096, "neighbours": 3},
    ("torch-fidelity", "recall"): {"extractor": "vgg16", "dimensions": 4096, "neighbours": 3},
    ("torch-fidelity", "ppl"): {"dtype": "uint8", "epsilon": 1e-4, "path": "end", "space": "z"},
    ("stylegan", "precision"): {"extractor": "vgg16", "dimensions": 4096, "neighbours": 3},
    ("stylegan", "recall"): {"extractor": "vgg16", "dimensions": 4096, "neighbours": 3},
    ("stylegan", "kid"): {"subsets": 100},
    ("stylegan", "is"): {"splits": 10},
    ("stylegan", "ppl"): {"dtype": "float32", "epsilon": 1e-4, "path": "end", "space": "w"},
    ("torchmetrics", "kid"): {"subsets": 100},
    ("torchmetrics", "is"): {"splits": 10},
    ("torchmetrics", "ppl"): {"epsilon": 1e-4, "path": "end", "space": "z"},
    ("fvcore", "flops"): {"counts": "multiply-adds"},
    ("thop", "flops"): {"counts": "multiply-adds"},
    ("ptflops", "flops"): {"counts": "multiply-adds"},
    ("torchinfo", "flops"): {"counts": "multiply-adds"},
    ("foolbox", "robust-accuracy"): {},
}
_OF_KEYS = {
    "frechet_inception_distance", "kernel_inception_distance", "inception_score", "perceptual_path_length",
}  # fmt: skip
"""Keys that torch-fidelity writes and no other program does."""


def tool_of(keys: list[str]) -> str | None:
    """Return the program whose keys these are, or None."""
    plain = {normal(key) for key in keys}
    written = {key for key in plain if key.removesuffix("_mean").removesuffix("_std") in _OF_KEYS}
    return "torch-fidelity" if written else None


def completed(claim: Claim) -> Claim:
    """Return the claim with what its program's defaults settle filled in where the file says nothing."""
    tool = _plain(claim.tool)
    if tool is None:
        return claim
    settled = dict(_SETTLES.get(tool, {})) if METRICS[claim.metric].compares or claim.metric == "is" else {}
    settled |= _SETTLES_OF_METRIC.get((tool, claim.metric), {})
    if "extractor" in settled and claim.extractor is not None:
        settled.pop("dimensions", None)
    gaps: dict[str, Any] = {name: value for name, value in settled.items() if getattr(claim, name) is None}
    return replace(claim, **gaps)


def _plain(tool: str | None) -> str | None:
    """Return the program's name as the tables above spell it."""
    if tool is None:
        return None
    plain = normal(tool).replace("_", "-")
    for known in (*_SETTLES, "fvcore", "thop", "ptflops", "torchinfo", "foolbox"):
        if plain == known or plain.startswith(f"{known}-") or plain.replace("-", "") == known.replace("-", ""):
            return known
    return "stylegan" if plain.startswith("stylegan") else None
