"""GA1: numbers that compare generated samples with real ones."""

from __future__ import annotations

import re

from ganaudit.linting.claim import Claim, Sheet
from ganaudit.linting.metrics import METRICS, normal
from ganaudit.linting.rule import Found, Rule, each

__all__ = ["RULES"]

_FRECHET = ("fid", "fd", "mifid")
_IN_PIXELS = ("fid", "kid", "is", "mifid")
"""What is measured with the Inception network, so on images resized to 299."""
_DIMENSIONS = 2048
_USUAL = 10_000
_CLASSES = 1008
"""Outputs of the Inception network of the FID lineage."""
_NEIGHBOURS = ("precision", "recall", "density", "coverage")


_INCEPTION = re.compile(r"inception|tf1|clean_?fid|pytorch_?fid|torch_?fidelity|torchmetrics|stylegan")
"""Names of the network, and of tools that people name in its place."""


def _dimensions(claim: Claim) -> int | None:
    """Return how many features there are: as stated, or those of the network that FID is called after, else None."""
    if claim.dimensions is not None:
        return claim.dimensions
    named = normal(claim.extractor or "")
    return _DIMENSIONS if (_INCEPTION.search(named) if named else claim.metric in ("fid", "mifid")) else None


def _singular(claim: Claim) -> str | None:
    n, d = claim.n, _dimensions(claim)
    if n is None or d is None or n > d or claim.null is not None:
        return None
    return f"{n} samples for features of {d} dimensions"


def _few(claim: Claim) -> str | None:
    n, d = claim.n, _dimensions(claim)
    if n is None or d is None or not d < n < _USUAL or claim.null is not None or d < 768:
        return None
    return f"{n} samples, {claim.n_real or '?'} real and {claim.n_fake or '?'} generated"


def _no_extractor(claim: Claim) -> str | None:
    named = claim.extractor is not None or not (METRICS[claim.metric].compares or claim.metric in ("is", "vendi"))
    return None if named else "no feature extractor is named"


def _no_flip(claim: Claim) -> str | None:
    return "it is not said whether the real samples were mirrored" if claim.flip is None else None


def _no_resize(claim: Claim) -> str | None:
    return "it is not said how images were resized to the network's input" if claim.resize is None else None


def _no_antialias(claim: Claim) -> str | None:
    if claim.resize is None or claim.antialias is not None:
        return None
    if re.search(r"pil|pillow|clean|tf1|legacy", normal(claim.resize)):
        return None  # these names settle it
    return f"resized by {claim.resize!r}, and not said whether with antialiasing"


def _lossy(claim: Claim) -> str | None:
    real, fake = (None if f is None else normal(f).lstrip(".") for f in (claim.real_format, claim.fake_format))
    if fake in ("jpg", "jpeg"):
        return "the generated images were stored as JPEG"
    if real and fake and real != fake:
        return f"real images come from {real}, generated ones from {fake}"
    return None


def _of_subsets(claim: Claim) -> str | None:
    if claim.std is None or claim.subsets is None or _over_others(claim):
        return None
    return f"± {claim.std:g} is over {claim.subsets} subsets of the same samples"


def _of_splits(claim: Claim) -> str | None:
    if claim.std is None or claim.splits in (None, 1) or _over_others(claim):
        return None
    return f"± {claim.std:g} is over {claim.splits} splits of the same samples"


def _over_others(claim: Claim) -> bool:
    """Return whether a spread is said to be over repetitions, such as trainings, and not over the samples of one."""
    of_samples = claim.covers is None or re.search(r"sample|subset|split|image", claim.covers.lower())
    return claim.repeats is not None or not of_samples


def _no_classes(claim: Claim) -> str | None:
    network = normal(claim.extractor or "")
    found = re.search(r"clip|dino|swav|simclr|mae|vggish|random|pixel|lpips|encodec|clap", network)
    return f"computed with {claim.extractor}, which has no class probabilities" if found else None


def _above_classes(claim: Claim) -> str | None:
    inception = "inception" in normal(claim.extractor or "")
    # The classes of the data set bound nothing: CIFAR-10's own training images score 11.2 with Inception.
    most = _CLASSES if inception or claim.classes is None else claim.classes
    if claim.value is None or claim.value <= most or (not inception and claim.extractor is None and claim.classes):
        return None
    return f"{claim.text or claim.value} with a classifier of {most} classes"


def _against_train(claim: Claim) -> str | None:
    if claim.split is None or normal(claim.split) not in ("train", "training", "train_split", "training_set"):
        return None
    return f"compared with the split {claim.split!r}, which the generator has seen"


def _no_neighbours(claim: Claim) -> str | None:
    return "the number of neighbours k is not stated" if claim.neighbours is None else None


def _unequal_sides(claim: Claim) -> str | None:
    real, fake = claim.n_real, claim.n_fake
    if real is None or fake is None or real == fake:
        return None
    return f"{real} real and {fake} generated samples"


def _another_network(claim: Claim) -> str | None:
    if claim.extractor is None or _INCEPTION.search(normal(claim.extractor)):
        return None
    return f"called {claim.name}, computed with {claim.extractor}"


def _transposed(claim: Claim) -> str | None:
    return "computed by torchmetrics" if normal(claim.tool or "").startswith("torchmetrics") else None


def _authenticity(claim: Claim) -> str | None:
    return "no value of unseen real samples stands beside it" if claim.null is None else None


def _scaled(claim: Claim) -> str | None:
    if claim.unit is not None or claim.value is None or not claim.value >= 0.5:
        return None
    return f"{claim.text or claim.value}, with no unit"


def _plan_of_train(sheet: Sheet) -> list[Found]:
    if sheet.plan is not None and sheet.plan.against == "train":
        return [Found("against", "", "the plan compares with the train split")]
    return []


def _of_train(sheet: Sheet) -> list[Found]:
    return [*each(_against_train, *_COMPARING, own=True)(sheet), *_plan_of_train(sheet)]


_COMPARING = tuple(name for name, metric in METRICS.items() if metric.compares and name not in ("ct", "authenticity"))

RULES = (
    Rule("GA101", "fewer-samples-than-dimensions", "error",
         "With no more samples than dimensions the covariance is singular: most of the distance is the bias of the "
         "small n, and software differs in what it makes of it.",
         "Use more samples than dimensions, at best 50,000, a kernel distance, which has no bias, or state the same "
         "distance of real against real samples at this n (null).",
         "Chong and Forsyth 2020, arXiv:1911.07023; mseitzer/pytorch-fid README on dimensions",
         each(_singular, *_FRECHET)),
    Rule("GA102", "few-samples", "warning",
         "The bias of a Fréchet distance falls by about 1/n and depends on the generator: below 10,000 it can exceed "
         "what is compared and reverse an order.",
         "Use 10,000 samples or more on both sides, or state the same distance of real against real samples (null).",
         "Chong and Forsyth 2020, arXiv:1911.07023; toshas/torch-fidelity issue 32 (FID 40 of train against "
         "validation images)", each(_few, *_FRECHET)),
    Rule("GA103", "no-extractor", "warning",
         "Scale and order follow from the features; there are several ports of Inception, with other weights, layers "
         "and input sizes.",
         "Name network, weights and layer.",
         "Stein et al. 2023, arXiv:2306.04675", each(_no_extractor)),
    Rule("GA104", "mirroring-unsaid", "warning",
         "Data sets are often mirrored for training. A distance from mirrored reals is another number than one from "
         "reals as they are, and favours generators that were trained mirrored.",
         "State whether the reference holds mirrored images (flip).",
         "mit-han-lab/data-efficient-gans issue 70; NVlabs/stylegan3, metrics/metric_main.py",
         each(_no_flip, *_FRECHET)),
    Rule("GA105", "resize-unsaid", "warning",
         "The resize before the network alone moves FID by several units: FFHQ resized by other libraries than PIL "
         "scores 6 and more against itself.",
         "Name library and filter, and whether it antialiases.",
         "Parmar et al. 2022, arXiv:2104.11222", each(_no_resize, *_IN_PIXELS)),
    Rule("GA106", "antialias-unsaid", "warning",
         "Bilinear is three filters: that of TF1 and torch's default do not antialias, PIL's does. torchmetrics "
         "changed its own default in 2025.",
         "State whether the resize antialiases, and the version of the library.",
         "Lightning-AI/torchmetrics pull request 3177; Parmar et al. 2022, arXiv:2104.11222",
         each(_no_antialias, *_IN_PIXELS)),
    Rule("GA107", "lossy-images", "warning",
         "Compression is read as quality: where the data are JPEG, storing the generated images as JPEG lowers FID, "
         "where they are not it raises it. LSUN church scores best with generated images at JPEG quality 87.",
         "Store generated images without loss, from the generator's own values, and say how the reals were stored.",
         "Parmar et al. 2022, arXiv:2104.11222", each(_lossy, *_IN_PIXELS, "fd", *_NEIGHBOURS)),
    Rule("GA108", "spread-of-subsets", "warning",
         "Subsets overlap, so their spread is neither a standard error nor falls with n as one: it depends on how "
         "large the subsets are.",
         "State an interval over samples or trainings; call this number the spread of subsets.",
         "toshas/torch-fidelity issue 21", each(_of_subsets, "kid")),
    Rule("GA109", "spread-of-splits", "warning",
         "Each split has a tenth of the samples, and IS is biased by n: their spread is that of another number. It "
         "leaves out seeds and trainings.",
         "State an interval over samples or trainings; call this number the spread of splits.",
         "Barratt and Sharma 2018, arXiv:1801.01973", each(_of_splits, "is")),
    Rule("GA110", "score-without-classes", "error",
         "An inception score is about class probabilities. Features put through a softmax give a number near 1 that "
         "says nothing of classes.",
         "Use a classifier of the data, or another metric.",
         "Barratt and Sharma 2018, arXiv:1801.01973; torch-fidelity's own tests have 1.03 for CLIP",
         each(_no_classes, "is")),
    Rule("GA111", "score-above-classes", "error",
         "The score is at most the number of the classifier's classes, so this is another number or another unit.",
         "Check the formula; name the classifier and its classes.",
         "Salimans et al. 2016, arXiv:1606.03498: exp of a mutual information, at most the entropy of the classes",
         each(_above_classes, "is")),
    Rule("GA112", "against-training-data", "warning",
         "A generator that copies its training images has the best distance there is: of StyleGAN2 the distance from "
         "the training images is below that of the validation images.",
         "Compare with reals it has not seen, or state a test of memorisation beside it.",
         "NVlabs/stylegan2-ada issue 53 (2.42 against 3.1); Meehan et al. 2020, arXiv:2004.05675", _of_train),
    Rule("GA113", "neighbours-unsaid", "warning",
         "k = 3 and k = 5 are both usual and give other numbers.",
         "State k, and whether a sample on the boundary counts.",
         "Kynkäänniemi et al. 2019, arXiv:1904.06991 (3); Naeem et al. 2020, arXiv:2002.09797 (5)",
         each(_no_neighbours, *_NEIGHBOURS)),
    Rule("GA114", "unequal-sides", "warning",
         "What equal distributions score depends on both sizes: coverage with k = 5 is 0.87 with half as many fake "
         "samples as reals, 0.97 with as many and 0.996 with twice as many.",
         "Use equal numbers on both sides.",
         "Naeem et al. 2020, arXiv:2002.09797, lemma 2: expected coverage depends on both sizes",
         each(_unequal_sides, *_NEIGHBOURS)),
    Rule("GA115", "inception-in-name-only", "warning",
         "FID and KID mean the Inception network. Numbers of other features have another scale and cannot be held "
         "against published ones.",
         "Call it a Fréchet or kernel distance, and name the features.",
         "Stein et al. 2023, arXiv:2306.04675", each(_another_network, "fid", "kid", "mifid")),
    Rule("GA116", "memorisation-transposed", "warning",
         "torchmetrics takes the nearest distance of each real sample, where the definition takes that of each "
         "generated one: copying a few training images costs nothing.",
         "Use the mean over generated samples, or a test of memorisation.",
         "the definition: jybai/generative-memorization-benchmark, src/competition_scoring.py",
         each(_transposed, "mifid")),
    Rule("GA117", "authenticity-without-null", "warning",
         "The authenticity of a perfect model is not 0.5: it runs from 0.33 in one dimension to 0.8 in 64.",
         "State the same number with unseen reals in the place of generated samples (null).",
         "simulation: equal distributions in 1, 2, 8, 32 and 64 dimensions give 0.33, 0.38, 0.58, 0.78, 0.82",
         each(_authenticity, "authenticity")),
    Rule("GA118", "kernel-scale-unsaid", "note",
         "KID is often stated times 1,000; 0.5 is large for one that is not.",
         "State the unit, 1 or 10^-3.",
         "GaParmar/clean-fid README, which has KID x 10^3", each(_scaled, "kid")),
)  # fmt: skip
