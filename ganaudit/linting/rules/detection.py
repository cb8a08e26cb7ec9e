"""GA2: numbers of detectors, a discriminator's scores and thresholds."""

from __future__ import annotations

import math
import re

from ganaudit.linting.claim import Claim
from ganaudit.linting.metrics import normal
from ganaudit.linting.rule import Rule, each

__all__ = ["RULES"]

_AT_THRESHOLD = ("accuracy", "f1", "detector-precision", "tpr", "fpr")
_RANKED = ("auc", "ap", "eer")
_ON_ITSELF = re.compile(r"best|oracle|youden|max|optimal|test|same|tuned|searched|sweep")
_APART = re.compile(r"val|calib|held|train|dev|cross|conformal|fixed|separate")


def _chosen_on_itself(claim: Claim) -> bool:
    source = normal(claim.threshold_source or "")
    picked = claim.metric in ("accuracy", "f1") and claim.selection in ("best", "max", "oracle", "highest")
    return picked or bool(_ON_ITSELF.search(source) and not _APART.search(source))


def _oracle(claim: Claim) -> str | None:
    if not _chosen_on_itself(claim):
        return None
    if claim.threshold_source is None:
        return f"the number is called {claim.name}: the threshold that is best on these samples"
    return f"the threshold was chosen by {claim.threshold_source!r}"


def _no_source(claim: Claim) -> str | None:
    if claim.threshold_source is not None or _chosen_on_itself(claim) or claim.fpr is not None:
        return None
    if claim.threshold in (0.0, 0.5):
        return None
    at = "the threshold" if claim.threshold is None else f"the threshold {claim.threshold:g}"
    return f"it is not said where {at} comes from"


def _by_habit(claim: Claim) -> str | None:
    source = normal(claim.threshold_source or "fixed")
    if claim.threshold not in (0.0, 0.5) or not re.fullmatch(r"fixed|default|constant|habit|convention", source):
        return None
    return f"the threshold is {claim.threshold:g}, which no data chose"


def _no_base_rate(claim: Claim) -> str | None:
    return "the share of generated samples is not stated" if claim.base_rate is None else None


def _squashed(claim: Claim) -> str | None:
    kind = normal(claim.scores or "")
    found = re.search(r"sigmoid|softmax|prob|round|quanti|uint8|integer|clipped|binar|label|hard", kind)
    return f"ranked by scores that are {claim.scores!r}" if found else None


def _torchmetrics(claim: Claim) -> str | None:
    raw = re.search(r"raw|logit|critic|unbounded|margin", normal(claim.scores or "raw"))
    if not normal(claim.tool or "").startswith("torchmetrics") or not raw:
        return None
    return f"computed by torchmetrics on {'scores of unstated range' if claim.scores is None else claim.scores}"


def _reversed(claim: Claim) -> str | None:
    value, high = claim.value, claim.high
    if value is None or not value < 0.5 or (high is not None and high >= 0.5) or claim.name.endswith("worst-auc"):
        return None
    return f"{claim.text or value} is below chance"


def _too_rare(claim: Claim) -> str | None:
    if not claim.fpr or claim.n_real is None or claim.n_real * claim.fpr >= 10 * (1 - 1e-9):
        return None
    needed = math.ceil(10 / claim.fpr - 1e-6)
    return f"at a false positive rate of {claim.fpr:g} with {claim.n_real} reals; about {needed} are needed"


def _no_bins(claim: Claim) -> str | None:
    return "the number of bins is not stated" if claim.bins is None else None


def _on_train(claim: Claim) -> str | None:
    if claim.split is None or normal(claim.split) not in ("train", "training", "training_set", "train_split"):
        return None
    return f"measured with the reals of the split {claim.split!r}"


RULES = (
    Rule("GA201", "oracle-threshold", "error",
         "A threshold chosen on the samples it is judged by makes the best of their chance: nobody can use it, and "
         "the number is too good by an unknown amount.",
         "Choose the threshold on other samples (calibration) and state the number on these.",
         "WisconsinAIVision/UniversalFakeDetect, validate.py; PeterWang512/CNNDetection issues 2, 14, 20, 23",
         each(_oracle, *_AT_THRESHOLD)),
    Rule("GA202", "threshold-unsaid", "warning",
         "The same scores give any accuracy between chance and the best, depending on the threshold.",
         "State the threshold and the samples it was chosen on, or a number without one, such as AUC.",
         "PeterWang512/CNNDetection issue 14: the ranking holds where the cut-off does not",
         each(_no_source, *_AT_THRESHOLD)),
    Rule("GA203", "threshold-by-habit", "warning",
         "A discriminator's scores have no natural zero: those of StyleGAN2 are negative for real and generated "
         "images alike.",
         "Choose the threshold on unseen reals for a false positive rate you state.",
         "NVlabs/stylegan3 issue 180; NVlabs/stylegan2-ada issue 28", each(_by_habit, *_AT_THRESHOLD)),
    Rule("GA204", "base-rate-unsaid", "warning",
         "At nine reals for each generated sample, calling all of them real scores 0.9.",
         "State the share of generated samples, and rates of errors for each side.",
         "PeterWang512/CNNDetection issue 13, on average precision",
         each(_no_base_rate, "accuracy", "f1", "ap", "detector-precision")),
    Rule("GA205", "squashed-scores", "warning",
         "Sigmoid and rounding turn scores that differ into ties, which count half: far from 0 a float32 sigmoid is "
         "exactly 1.",
         "Rank by raw scores.",
         "IEEE 754 binary32: 1 - sigmoid(18) is below half the spacing of floats under 1", each(_squashed, *_RANKED)),
    Rule("GA206", "sigmoid-by-batch", "error",
         "torchmetrics puts a sigmoid over each batch that holds a value outside 0 to 1, so scores of other batches "
         "are not on one scale: an AUC of 0.92 becomes 0.50 for scores around 50.",
         "Compute AUC, EER and average precision over all raw scores at once.",
         "Lightning-AI/torchmetrics issues 2819, 2195, 3179", each(_torchmetrics, *_RANKED, "ece")),
    Rule("GA207", "below-chance", "warning",
         "An AUC below 0.5 says that the sign of the scores is reversed, or that the classes are: the detector is "
         "better than it looks.",
         "State which scores mean real, and turn them round if need be.",
         "AUC(-s) = 1 - AUC(s)", each(_reversed, "auc", own=True)),
    Rule("GA208", "rate-too-rare", "error",
         "A quantile of n reals at a rate below 10/n hangs on a handful of them, and is too good on average: at a "
         "rate of 0.001 and 1,000 reals, 0.18 where 0.14 is true.",
         "Use 10 / rate reals or more, or a larger rate.",
         "simulation: two unit Gaussians two apart, exact value 0.1378, mean of plug-in estimates 0.1755",
         each(_too_rare, "tpr")),
    Rule("GA209", "bins-unsaid", "note",
         "The calibration error of a perfectly calibrated detector grows with the number of bins.",
         "State the bins, and the value of a calibrated detector at this n.",
         "simulation: 200,000 calibrated scores give 0.0022 with 15 bins, 0.0068 with 100", each(_no_bins, "ece")),
    Rule("GA210", "judged-on-training-reals", "warning",
         "A discriminator knows its training images: on them it separates better than on any other.",
         "Use reals that it has not seen.",
         "Karras et al. 2020, arXiv:2006.06676, section 2",
         each(_on_train, *_AT_THRESHOLD, *_RANKED, "ece", "brier")),
)  # fmt: skip
