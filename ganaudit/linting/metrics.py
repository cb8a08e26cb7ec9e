"""Which metric a name means: the vocabulary, and what names such as ``fid50k_full`` and ``best_fid`` say besides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ALIASES", "METRICS", "Metric", "normal", "recognise"]

_INF = float("inf")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the field."""

    title: str
    low: float = -_INF
    high: float = _INF
    better: str = "none"
    compares: bool = False
    """Whether it compares features of two sets of samples."""
    biased: bool = False
    """Whether its expectation moves with the number of samples."""


METRICS: Mapping[str, Metric] = {
    "fid": Metric("Fréchet inception distance", low=0, better="lower", compares=True, biased=True),
    "fd": Metric("Fréchet distance of other features", low=0, better="lower", compares=True, biased=True),
    "fd-infinity": Metric("Fréchet distance without bias", better="lower", compares=True),
    "kid": Metric("kernel inception distance", better="lower", compares=True),
    "cmmd": Metric("CLIP maximum mean discrepancy", better="lower", compares=True),
    "mifid": Metric("memorisation-informed FID", low=0, better="lower", compares=True, biased=True),
    "is": Metric("inception score", low=1, better="higher", biased=True),
    "precision": Metric("precision of samples", 0, 1, "higher", compares=True, biased=True),
    "recall": Metric("recall of samples", 0, 1, "higher", compares=True, biased=True),
    "density": Metric("density", low=0, better="higher", compares=True),
    "coverage": Metric("coverage", 0, 1, "higher", compares=True, biased=True),
    "vendi": Metric("Vendi score", low=1, better="higher", biased=True),
    "authenticity": Metric("authenticity", 0, 1, "higher", compares=True),
    "ct": Metric("data-copying statistic C_T", compares=True),
    "ppl": Metric("perceptual path length", low=0, better="lower"),
    "accuracy": Metric("accuracy of a detector", 0, 1, "higher"),
    "auc": Metric("area under the ROC curve", 0, 1, "higher"),
    "ap": Metric("average precision", 0, 1, "higher"),
    "f1": Metric("F1 score of a detector", 0, 1, "higher"),
    "detector-precision": Metric("precision of a detector", 0, 1, "higher"),
    "eer": Metric("equal error rate", 0, 1, "lower"),
    "tpr": Metric("true positive rate", 0, 1, "higher"),
    "fpr": Metric("false positive rate", 0, 1, "lower"),
    "ece": Metric("expected calibration error", 0, 1, "lower"),
    "brier": Metric("Brier score", 0, 1, "lower"),
    "robust-accuracy": Metric("accuracy under attack", 0, 1, "higher"),
    "attack-success": Metric("share of attacks that succeed", 0, 1, "lower"),
    "flops": Metric("operations of a forward pass", low=0),
    "macs": Metric("multiply-adds of a forward pass", low=0),
    "step-flops": Metric("operations of a training step", low=0),
    "parameters": Metric("parameters", low=0),
    "latency": Metric("latency", low=0, better="lower"),
    "throughput": Metric("throughput", low=0, better="higher"),
    "energy": Metric("energy", low=0, better="lower"),
    "other": Metric("a number of an audit"),
}

_NAMES = {
    "fid": "fid frechet_inception_distance frechet_distance_inception fid_score",
    "fd": "fd frechet_distance fd_dinov2 fd_dino dino_fd clip_fid fid_clip fd_clip frechet_dino_distance",
    "fd-infinity": "fd_infinity fd_inf fid_infinity fid_inf",
    "kid": "kid kernel_inception_distance",
    "cmmd": "cmmd",
    "mifid": "mifid memorization_informed_fid memorization_informed_frechet_inception_distance",
    "is": "is isc inception_score",
    "precision": "precision improved_precision",
    "recall": "recall improved_recall",
    "density": "density",
    "coverage": "coverage",
    "vendi": "vendi vendi_score",
    "authenticity": "authenticity authpct auth_pct",
    "ct": "ct c_t",
    "ppl": "ppl perceptual_path_length path_length",
    "accuracy": "accuracy acc detector_accuracy detection_accuracy clean_accuracy clean_acc natural_accuracy "
    "standard_accuracy balanced_accuracy",
    "auc": "auc auroc roc_auc auc_roc",
    "ap": "ap average_precision auprc pr_auc",
    "f1": "f1 f1_score",
    "detector-precision": "detector_precision",
    "eer": "eer equal_error_rate",
    "tpr": "tpr true_positive_rate detection_rate",
    "fpr": "fpr false_positive_rate false_alarm_rate",
    "ece": "ece expected_calibration_error",
    "brier": "brier brier_score",
    "robust-accuracy": "robust_accuracy robust_acc adversarial_accuracy adv_acc adv_accuracy accuracy_under_attack",
    "attack-success": "attack_success attack_success_rate asr",
    "flops": "flops gflops mflops tflops forward_flops",
    "macs": "macs gmacs mmacs multiply_adds",
    "step-flops": "step_flops training_flops train_flops training_step_flops step_gflops training_gflops",
    "parameters": "params parameters num_params n_params param_count",
    "latency": "latency latency_ms latency_s latency_p50 inference_time inference_time_ms",
    "throughput": "throughput images_per_second img_per_s samples_per_second",
    "energy": "energy energy_j energy_kwh energy_joules joules_per_sample",
}
ALIASES = {name: metric for metric, names in _NAMES.items() for name in names.split()}

_STYLEGAN = re.compile(r"(fid|kid|is|pr|ppl)(\d{1,6})k(\d{1,6})?(_full)?(?:_(precision|recall|mean))?")
_AT_EPSILON = re.compile(r"(robust|adversarial|adv)_acc(?:uracy)?_(?:at|eps|epsilon)_(\d+(?:\.\d+)?)(?:_(255))?")
_TPR_AT = re.compile(r"tpr_?(?:at|@)_?(?:fpr_?)?(\d+(?:\.\d+)?)_?(pct|%)?_?(?:fpr)?")
_SELECTED = {"best", "min", "max", "lowest", "highest", "oracle"}
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "test": "test", "all": "all"}
_SCALES = {"x1000", "x103", "1e3", "x1e3", "x10_3"}
_IDLE = ({"mean", "full", "avg", "value"}, {"score", "detector"})
"""Words that say nothing more; those of the second set only where the name is not known with them."""


def normal(name: str) -> str:
    """Return a name with lower-case letters, digits, dots, ``@`` and ``%``, everything else an underscore."""
    plain = name.strip().lower().replace("×", "_x").replace("³", "3")
    return re.sub(r"[^a-z0-9.@%]+", "_", plain).strip("_")


def recognise(name: str) -> tuple[str, dict[str, Any]] | None:
    """Return the metric that a name means and the fields of a claim that the name itself tells, or None."""
    # Names of ganaudit's own, evaluator/key, mean what their key does.
    plain = normal(name.rpartition("/")[2] if name.count("/") == 1 and "-" in name.partition("/")[0] else name)
    if plain in ALIASES:
        return ALIASES[plain], _of_alias(plain)
    for pattern, hints in ((_STYLEGAN, _of_stylegan), (_AT_EPSILON, _of_budget), (_TPR_AT, _of_rate)):
        found = pattern.fullmatch(plain)
        if found:
            return hints(found)
    return _by_parts(plain)


def _of_alias(plain: str) -> dict[str, Any]:
    if "clip" in plain:
        return {"extractor": "clip"}
    if "dino" in plain:
        return {"extractor": "dinov2"}
    if plain in ("detector_accuracy", "detection_accuracy"):
        return {}
    units = {"g": "10^9", "m": "10^6", "t": "10^12"}
    if re.fullmatch(r"(step_|training_)?[gmt](flops|macs)", plain):
        return {"unit": units[plain.rpartition("_")[2][0]]}
    return {}


def _of_stylegan(found: re.Match[str]) -> tuple[str, dict[str, Any]]:
    # Every number of that code has its sizes in its name; "full" compares with all reals, never mirrored.
    what, thousands, k, full, side = found.groups()
    hints: dict[str, Any] = {"n_fake": int(thousands) * 1000, "tool": "stylegan", "split": "train"}
    if what == "pr":
        hints |= {"neighbours": int(k)} if k else {}
        return (side if side in ("precision", "recall") else "precision"), hints
    if what in ("fid", "kid"):
        hints |= {"flip": "reals not mirrored" if full else None}
        hints |= {"n_real": hints["n_fake"]} if not full else {}
    return what, {name: value for name, value in hints.items() if value is not None}


def _of_budget(found: re.Match[str]) -> tuple[str, dict[str, Any]]:
    return "robust-accuracy", {"epsilon": float(found[2]) / (255.0 if found[3] else 1.0)}


def _of_rate(found: re.Match[str]) -> tuple[str, dict[str, Any]]:
    rate = float(found[1])
    return "tpr", {"fpr": rate / 100 if found[2] or rate >= 1 else rate}


def _by_parts(plain: str) -> tuple[str, dict[str, Any]] | None:
    """Read a name such as ``best_fid``, ``fid_10k`` or ``val_fid``: one metric, and words that say more of it."""
    hints: dict[str, Any] = {}
    left = []
    for part in plain.replace("x10_3", "x1000").replace("x_10_3", "x1000").split("_"):
        if part in _SELECTED:
            hints["selection"] = part
        elif part in _SPLITS:
            hints["split"] = _SPLITS[part]
        elif re.fullmatch(r"\d{1,6}k", part):
            hints["n_fake"] = int(part[:-1]) * 1000
        elif part in _SCALES:
            hints["unit"] = "10^-3"
        elif part not in _IDLE[0]:
            left.append(part)
    if "_".join(left) == "clean_fid":
        return "fid", hints | {"tool": "clean-fid"}
    for rest in ("_".join(left), "_".join(part for part in left if part not in _IDLE[1])):
        if rest in ALIASES:
            return ALIASES[rest], _of_alias(rest) | hints
    return None
