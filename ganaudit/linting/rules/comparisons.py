"""GA5: numbers held against each other, and numbers picked from many."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from ganaudit.linting.claim import Claim, Sheet
from ganaudit.linting.metrics import METRICS, normal
from ganaudit.linting.rule import Found, Rule, each

__all__ = ["RULES"]

_PROTOCOL = ("extractor", "dimensions", "resize", "antialias", "flip", "split", "neighbours", "fake_format", "tool")
_OF_ATTACK = ("epsilon", "norm", "range", "attack")
_OF_PATH = ("space", "path", "epsilon", "dtype")
_OF_COST = ("device", "batch", "counts", "scope", "unit")
_OF_METRIC: dict[str, tuple[str, ...]] = {
    "robust-accuracy": _OF_ATTACK, "attack-success": _OF_ATTACK, "ppl": _OF_PATH,
    "flops": _OF_COST, "macs": _OF_COST, "step-flops": _OF_COST, "latency": _OF_COST, "throughput": _OF_COST,
}  # fmt: skip


def _sizes(claim: Claim) -> tuple[object, ...]:
    return (claim.n_real, claim.n_fake)


def _conditions(claim: Claim) -> tuple[object, ...]:
    return tuple(getattr(claim, name) for name in _named(claim))


def _named(claim: Claim) -> tuple[str, ...]:
    if METRICS[claim.metric].compares or claim.metric == "is":
        return _PROTOCOL
    return _OF_METRIC.get(claim.metric, ("threshold_source", "base_rate", "split"))


def _never_alike(sheet: Sheet, condition: Callable[[Claim], tuple[object, ...]]) -> Iterator[tuple[Claim, Claim]]:
    """Yield, for each metric of several models, two claims of different models that no shared condition joins."""
    metrics: dict[str, dict[str, list[Claim]]] = {}
    for claim in sheet.foreign:
        if claim.model is not None:
            metrics.setdefault(claim.metric, {}).setdefault(claim.model, []).append(claim)
    for models in metrics.values():
        first, *others = models.values()
        known = {condition(claim) for claim in first}
        for theirs in others:
            if not known & {condition(claim) for claim in theirs}:
                yield first[0], theirs[0]
                break


def _other_sizes(sheet: Sheet) -> Iterator[Found]:
    for first, other in _never_alike(sheet, _sizes):
        if METRICS[other.metric].biased:
            text = f"{other.model}: {_size(other)}; {first.model}: {_size(first)}"
            yield Found(other.where, other.name, text)


def _size(claim: Claim) -> str:
    named = (("real", claim.n_real), ("generated", claim.n_fake))
    told = [f"{n} {side}" for side, n in named if n is not None]
    return " and ".join(told) or "n not stated"


def _other_conditions(sheet: Sheet) -> Iterator[Found]:
    for first, other in _never_alike(sheet, _conditions):
        differing = [
            f"{name} ({_word(getattr(other, name))} and {_word(getattr(first, name))})"
            for name in _named(other)
            if getattr(other, name) != getattr(first, name)
        ]
        yield Found(other.where, other.name, f"{other.model} and {first.model} differ in {', '.join(differing)}")


def _word(value: object) -> str:
    return "not stated" if value is None else str(value)


def _gain_without_spread(claim: Claim) -> str | None:
    if claim.improvement is None or claim.half_width is not None:
        return None
    return f"a gain of {abs(claim.improvement):g} and no interval"


def _gain_within_spread(claim: Claim) -> str | None:
    width = claim.half_width
    if claim.improvement is None or width is None or not math.isfinite(width) or abs(claim.improvement) > width:
        return None
    return f"a gain of {abs(claim.improvement):g} with ± {width:g} on the number itself"


def _picked(claim: Claim) -> str | None:
    picked = re.search(r"best|min|max|lowest|highest|oracle|early_stop", normal(claim.selection or ""))
    if not picked or claim.metric in ("accuracy", "f1"):
        return None  # a detector's best threshold has its own rule
    apart = re.search(r"val|held|other|separate|calib", normal(claim.selection or ""))
    return None if apart else f"selected as {claim.selection!r} of several, on the number itself"


RULES = (
    Rule("GA501", "compared-across-sizes", "warning",
         "These numbers are biased by the number of samples, each generator by another amount: different n decides "
         "the order.",
         "Measure all at one n, or use numbers without bias.",
         "Chong and Forsyth 2020, arXiv:1911.07023", _other_sizes),
    Rule("GA502", "compared-across-protocols", "error",
         "One name, several protocols: WGAN-GP on CIFAR-10 has published FIDs from 22 to 54.",
         "Measure all under one protocol; otherwise give them different names.",
         "POSTECH-CVLab/PyTorch-StudioGAN and kwotsin/mimicry, tables of the same models", _other_conditions),
    Rule("GA503", "gain-without-spread", "warning",
         "A gain without a spread may be the next seed's loss.",
         "State the interval of the difference, best with the same latents and the same reals.",
         "Lucic et al. 2018, arXiv:1711.10337", each(_gain_without_spread)),
    Rule("GA504", "gain-within-spread", "warning",
         "The gain is no larger than the spread of the number itself.",
         "State the interval of the difference, from more samples or more trainings.",
         "Lucic et al. 2018, arXiv:1711.10337", each(_gain_within_spread)),
    Rule("GA505", "best-of-many", "warning",
         "The best of many snapshots by a noisy number is best by its noise as well: the same number measured once "
         "more is worse.",
         "Select by other samples or another number, and state this one measured anew.",
         "Lucic et al. 2018, arXiv:1711.10337, on the best of a budget of runs", each(_picked)),
)  # fmt: skip
