"""GA3: accuracy under attack."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ganaudit.linting.claim import Claim, Sheet
from ganaudit.linting.metrics import normal
from ganaudit.linting.rule import Found, Rule, each

__all__ = ["RULES"]

_ATTACKED = ("robust-accuracy", "attack-success")
_ONE_STEP = re.compile(r"fgsm|fgm|one_step|single_step|noise|gaussian|uniform|random_noise|none")
_WITHOUT_STEPS = re.compile(r"fgsm|fgm|one_step|single_step|noise|gaussian|uniform|none|autoattack|auto_attack|aa")
_FEW_STEPS = 10
_OF_A_SERIES = ("model", "attack", "norm", "range", "steps", "unit")


def _attack(claim: Claim) -> str:
    return normal(claim.attack or "")


def _is_linf(claim: Claim) -> bool:
    return claim.norm is None or bool(re.search(r"inf|∞|max", normal(claim.norm) + claim.norm))


def _no_range(claim: Claim) -> str | None:
    if claim.epsilon is None or claim.range is not None or _too_large(claim) is not None:
        return None
    return f"epsilon {claim.epsilon:.4g} with no range of the values"


def _half_of_what_it_says(claim: Claim) -> str | None:
    if claim.epsilon is None or claim.range != (-1.0, 1.0) or not _is_linf(claim):
        return None
    levels = claim.epsilon * 255
    if not 0.5 < levels < 64.5 or abs(levels - round(levels)) > 1e-3 * levels:
        return None
    return f"epsilon {round(levels)}/255 on values from -1 to 1 is {levels / 2:g}/255 of the range"


def _too_large(claim: Claim) -> str | None:
    if claim.epsilon is None or not _is_linf(claim):
        return None
    width = 1.0 if claim.range is None else claim.range[1] - claim.range[0]
    if claim.epsilon < width:
        return None
    what = "unstated" if claim.range is None else f"{claim.range[0]:g} to {claim.range[1]:g}"
    return f"epsilon {claim.epsilon:g}, where the range of the values is {what}"


def _no_budget(claim: Claim) -> str | None:
    return "no epsilon is stated" if claim.epsilon is None else None


def _no_norm(claim: Claim) -> str | None:
    return "the norm is not stated" if claim.norm is None else None


def _no_attack(claim: Claim) -> str | None:
    if claim.attack is None:
        return "no attack is named"
    if claim.steps is None and not _WITHOUT_STEPS.search(_attack(claim)):
        return f"the attack is {claim.attack}, with no number of steps"
    return None


def _weak(claim: Claim) -> str | None:
    if claim.attack is None:
        return None
    if _ONE_STEP.search(_attack(claim)) and not re.search(r"pgd|auto|square|apgd", _attack(claim)):
        return f"the strongest attack named is {claim.attack}"
    if claim.steps is not None and claim.steps < _FEW_STEPS:
        return f"{claim.attack} with {claim.steps} steps"
    return None


def _short_of_the_ball(claim: Claim) -> str | None:
    eps, steps, size = claim.epsilon, claim.steps, claim.step_size
    if eps is None or "pgd" not in _attack(claim) or "apgd" in _attack(claim):
        return None
    if normal(claim.tool or "").startswith("foolbox") and size is None and steps in (None, 40):
        return "foolbox's own steps, 40 of epsilon / 30, go 1.33 epsilon in all"
    if steps is None or size is None or steps * size >= 2 * eps * (1 - 1e-9) or steps < _FEW_STEPS:
        return None
    return f"{steps} steps of {size:.3g} go {steps * size / eps:.2g} epsilon in all"


def _unchecked(claim: Claim) -> str | None:
    told = claim.masking_check is not None or claim.masked is not None
    if told and claim.masking_check is not False:
        return None
    return "it is not said whether the attack was checked for masked gradients"


def _masked(claim: Claim) -> str | None:
    return "the gradients were found to be masked" if claim.masked else None


def _above_clean(sheet: Sheet) -> Iterator[Found]:
    clean = {c.model: c.value for c in sheet.foreign if c.metric == "accuracy" and "clean" in normal(c.name)}
    for claim in sheet.foreign:
        against = claim.clean_accuracy if claim.clean_accuracy is not None else clean.get(claim.model)
        if claim.metric != "robust-accuracy" or claim.value is None or against is None:
            continue
        if claim.value > against:
            yield Found(claim.where, claim.name, f"{claim.text or claim.value} under attack, {against:g} without")


def _grows_with_budget(sheet: Sheet) -> Iterator[Found]:
    """Tell of an accuracy that rises although the budget does, everything else being equal."""
    series: dict[tuple[object, ...], list[tuple[float, float, Claim]]] = {}
    for claim in sheet.foreign:
        if claim.metric == "robust-accuracy" and claim.epsilon is not None and claim.value is not None:
            alike = tuple(getattr(claim, name) for name in _OF_A_SERIES)
            series.setdefault(alike, []).append((claim.epsilon, claim.value, claim))
    for points in series.values():
        points.sort(key=lambda point: point[:2])
        lowest = points[0]
        for point in points[1:]:
            noise = (point[2].half_width or 0.0) + (lowest[2].half_width or 0.0)
            if point[0] > lowest[0] and point[1] > lowest[1] + noise:
                text = f"{point[1]:.4g} at epsilon {point[0]:.3g}, {lowest[1]:.4g} at {lowest[0]:.3g}"
                yield Found(point[2].where, point[2].name, text)
            lowest = min(lowest, point, key=lambda one: one[1])


def _one(claim: Claim) -> str | None:
    if claim.value != 1 or not claim.epsilon or claim.metric != "robust-accuracy":
        return None
    return f"exactly 1 at epsilon {claim.epsilon:.3g}"


def _torchattacks(claim: Claim) -> str | None:
    if not normal(claim.tool or "").startswith("torchattacks") or claim.range is None or claim.range[0] >= 0:
        return None
    return f"computed by torchattacks on values from {claim.range[0]:g} to {claim.range[1]:g}"


RULES = (
    Rule("GA301", "range-unsaid", "warning",
         "Epsilon means a share of the range only together with the range: 8/255 is twice as much on 0 to 1 as on -1 "
         "to 1, where GANs work.",
         "State the range of the values, or epsilon as a share of it.",
         "Harry24k/adversarial-attacks-pytorch issue 145", each(_no_range, *_ATTACKED)),
    Rule("GA302", "half-the-budget", "warning",
         "k/255 is meant for values from 0 to 1. On -1 to 1 it is half of what readers take it for.",
         "Double it, or state it as a share of the range.",
         "a range of width 2 has 127.5 levels of a file in each unit", each(_half_of_what_it_says, *_ATTACKED)),
    Rule("GA303", "budget-as-wide-as-the-range", "error",
         "With a budget as wide as the range every sample can become every other: either the unit is wrong (8 for "
         "8/255) or the accuracy means nothing.",
         "State epsilon in the units of the stated range.",
         "the definition of the L-infinity ball", each(_too_large, *_ATTACKED)),
    Rule("GA304", "budget-unsaid", "error",
         "Accuracy under attack without the size of the change is no number: it is that without an attack at 0 and "
         "0 at the whole range.",
         "State epsilon, its norm and the range.",
         "Carlini et al. 2019, arXiv:1902.06705", each(_no_budget, *_ATTACKED)),
    Rule("GA305", "norm-unsaid", "warning",
         "The same epsilon is a small change in one norm and a large one in another.",
         "State the norm.",
         "Carlini et al. 2019, arXiv:1902.06705", each(_no_norm, *_ATTACKED)),
    Rule("GA306", "attack-unsaid", "warning",
         "Accuracy under attack is an upper bound that is as good as the attack.",
         "Name the attack, its steps, their size and its restarts.",
         "Carlini et al. 2019, arXiv:1902.06705", each(_no_attack, *_ATTACKED)),
    Rule("GA307", "weak-attack", "warning",
         "One step, few steps or noise find only part of what an attacker finds: the accuracy is too high.",
         "Use at least some tens of steps from several starts, and an attack without gradients beside it.",
         "Athalye et al. 2018, arXiv:1802.00420; Carlini et al. 2019, arXiv:1902.06705", each(_weak, *_ATTACKED)),
    Rule("GA308", "attack-cannot-cross-its-ball", "warning",
         "From a random start the far side is 2 epsilon away. Steps that sum to less cannot reach it: a linear "
         "detector whose exact accuracy is 0.50 scores 0.53 to 0.55.",
         "Make steps times size 2.5 epsilon or more.",
         "bethgelab/foolbox issues 610, 685, 704", each(_short_of_the_ball, *_ATTACKED)),
    Rule("GA309", "masking-unchecked", "warning",
         "Where scores are large or saturated, gradients vanish and attacks fail: detectors whose exact accuracy is "
         "0.25 score 0.9 in every library. It looks like robustness.",
         "Check it: the whole range must succeed, more steps must change nothing, an attack without gradients must "
         "not do better.",
         "Athalye et al. 2018, arXiv:1802.00420; Carlini et al. 2019, arXiv:1902.06705",
         each(_unchecked, "robust-accuracy")),
    Rule("GA310", "gradients-masked", "error",
         "An accuracy that rests on masked gradients is that of a broken attack.",
         "Attack the raw score, without a sigmoid or a cross-entropy over it, and state the number anew.",
         "Athalye et al. 2018, arXiv:1802.00420", each(_masked, "robust-accuracy", own=True)),
    Rule("GA311", "better-under-attack", "error",
         "An attack may leave a sample as it is, so accuracy under attack cannot exceed accuracy without one on the "
         "same samples.",
         "Check that both rest on the same samples and the same threshold, and that the attack keeps its best.",
         "the definition of a minimum over a ball that holds its centre", _above_clean),
    Rule("GA312", "better-with-a-larger-budget", "error",
         "A larger ball holds the smaller one: accuracy cannot rise with the budget, unless the attack is broken.",
         "Keep the best of all smaller budgets, with more steps for larger ones.",
         "Carlini et al. 2019, arXiv:1902.06705", _grows_with_budget),
    Rule("GA313", "untouched-by-attack", "warning",
         "Not one sample fell. Of a detector of one output, argmax over a single column is always 0, so an attack "
         "that waits for a change reports 1.",
         "Attack the raw score against the threshold and check that the whole range succeeds.",
         "Trusted-AI/adversarial-robustness-toolbox issue 306", each(_one, *_ATTACKED)),
    Rule("GA314", "library-wants-zero-to-one", "error",
         "torchattacks takes values from 0 to 1, clips to them and checks nothing: on values from -1 to 1 it moved "
         "pixels by 0.9975 at epsilon 0.01.",
         "Map values to 0 to 1 before and back after, halve epsilon, and measure the change yourself.",
         "Harry24k/adversarial-attacks-pytorch issue 145", each(_torchattacks, *_ATTACKED)),
)  # fmt: skip
