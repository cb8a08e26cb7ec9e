"""Claims without a trap, one for each kind of metric; a test spoils one field of one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ganaudit.linting.catalogue import RULES
from ganaudit.linting.linter import lint

SPREAD = {"covers": "the draw of samples", "level": 0.95}
OF_IMAGES = {
    "n_real": 50_000,
    "n_fake": 50_000,
    "extractor": "inception-v3 of 2015-12-05, pool3",
    "resize": "PIL bicubic",
    "antialias": "yes",
    "flip": "no",
    "image_format": "png",
    "split": "test",
}
CLEAN: dict[str, dict[str, Any]] = {
    "fid": {"metric": "FID", "value": 12.3, "low": 12.1, "high": 12.5, **OF_IMAGES, **SPREAD},
    "kid": {"metric": "KID", "value": 0.012, "low": 0.011, "high": 0.013, **OF_IMAGES, **SPREAD},
    "is": {"metric": "IS", "value": 8.1, "low": 8.0, "high": 8.2, **OF_IMAGES, **SPREAD},
    "recall": {"metric": "recall", "value": 0.62, "low": 0.61, "high": 0.63, "k": 3, **OF_IMAGES, **SPREAD},
    "mifid": {"metric": "MiFID", "value": 14.2, "low": 14.0, "high": 14.4, **OF_IMAGES, **SPREAD},
    "authenticity": {
        "metric": "authenticity", "value": 0.71, "low": 0.7, "high": 0.72, "null": 0.72, **OF_IMAGES, **SPREAD,
    },
    "accuracy": {
        "metric": "accuracy", "value": 0.83, "low": 0.81, "high": 0.85, "n_real": 2000, "n_fake": 2000,
        "threshold": -0.41, "threshold_source": "calibration split", "base_rate": 0.5, "split": "test", **SPREAD,
    },
    "auc": {
        "metric": "AUC", "value": 0.91, "low": 0.9, "high": 0.92, "n_real": 2000, "n_fake": 2000, "scores": "raw",
        "split": "test", **SPREAD,
    },
    "tpr": {"metric": "TPR", "value": 0.4, "low": 0.35, "high": 0.45, "n_real": 2000, "n_fake": 2000, "at_fpr": 0.01,
            **SPREAD},
    "ece": {"metric": "ECE", "value": 0.04, "low": 0.03, "high": 0.05, "n_real": 2000, "n_fake": 2000, "bins": 15,
            **SPREAD},
    "robust": {
        "metric": "robust accuracy", "value": 0.41, "low": 0.38, "high": 0.44, "n_fake": 1000, "epsilon": 0.02,
        "norm": "linf", "range": [0, 1], "attack": "PGD", "steps": 100, "step_size": 0.0005, "masking_check": "passed",
        "clean_accuracy": 0.8, **SPREAD,
    },
    "ppl": {
        "metric": "PPL", "value": 31.0, "low": 30.0, "high": 32.0, "n_fake": 50_000, "space": "w", "path": "end",
        "epsilon": 1e-4, "dtype": "float32", **SPREAD,
    },
    "flops": {"metric": "FLOPs", "value": 209_256_448, "counts": "two for a multiply-add"},
    "step": {"metric": "training step FLOPs", "value": 1_245_773_824, "counts": "two for a multiply-add",
             "scope": "step"},
    "latency": {"metric": "latency", "value": 3.2, "low": 3.1, "high": 3.3, "device": "one CPU core", "batch": 1,
                **SPREAD},
    "energy": {"metric": "energy", "value": 4.0, "low": 3.9, "high": 4.1, "measured": "NVML counter", **SPREAD},
}  # fmt: skip


def spoilt(base: str, **changes: Any) -> dict[str, Any]:
    """Return a clean claim with some fields changed; None takes a field out."""
    return {key: value for key, value in (CLEAN[base] | changes).items() if value is not None}


def tripped(path: Path, content: Any) -> list[str]:
    """Return the ids of the rules that speak up on ``content``, written to ``path``, once each, sorted."""
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return sorted({finding.rule for finding in lint(path, RULES)})
