"""What campaigns could not decide, in words: why numbers are void, and what a reader must know first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ganaudit.attacks.campaign import Campaign, budgets_for, least_budget
from ganaudit.attacks.threat import Norm
from ganaudit.subjects.subject import SampleSpec

__all__ = [
    "HOW_TO_READ",
    "NAMES",
    "attacked",
    "checked_budgets",
    "held_budgets",
    "passes",
    "unusual",
    "void_reason",
    "warned",
    "written",
]

NAMES = {"fake": "generated samples", "real": "reals"}
HOW_TO_READ = (
    "Budgets are shares of the width of the range of values. An attack may leave neither its ball nor the range, and "
    "is tested again afterwards. What works within a small ball counts for every larger one. In the table of detection "
    "every sample is attacked, called rightly or not; at budget 0 it repeats the numbers of discriminator-detection on "
    "these few samples, not on all."
)


def attacked(fakes: Campaign, reals: Campaign, fpr: float) -> str:
    """Return which samples are attacked, of how many, and by which threshold they are judged."""
    caught, kept = (int((~found.clean).sum()) for found in (fakes, reals))
    return (
        f"Of {len(fakes.clean)} generated samples {caught} are called generated as they stand, of {len(reals.clean)} "
        f"reals {kept} are called real; only these are attacked, and the share of all is told. The threshold "
        f"{fakes.threshold:.6g} lets {fpr:g} of reals be called generated."
    )


def passes(campaigns: Sequence[Campaign]) -> str:
    """Return how many scores were asked for and gradients taken."""
    forward, backward = (sum(found.passes[i] for found in campaigns) for i in (0, 1))
    return f"{forward} scores and {backward} gradients"


def written(budget: float) -> str:
    """Return a budget as it is written: the fewest digits that mean this number, without an exponent."""
    return np.format_float_positional(budget, trim="-")


def checked_budgets(budgets: Sequence[float]) -> None:
    """Raise ValueError where ``budgets`` cannot be attacked: no finite shares, twice the same, or 0 alone."""
    if any(not (math.isfinite(budget) and budget >= 0) for budget in budgets):
        raise ValueError(f"budgets: found {list(budgets)}; allowed: finite shares of the range, 0 or more")
    if len(set(budgets)) < len(budgets):
        raise ValueError(f"budgets: found {list(budgets)}; allowed: each once; leave out what stands twice")
    if budgets and not any(budgets):
        raise ValueError(
            f"budgets: found {list(budgets)}, at which nothing is changed; allowed: one above 0 at least; add one, "
            "such as 0.008, or leave the option out for the usual ones"
        )


def unusual(found: Campaign) -> list[str]:
    """Return what a reader must know of budgets that change nothing, or more than there is."""
    told, p = [], found.accused.x[0].numel()
    if 0.0 in found.budgets[found.norm]:
        told.append("budget 0: nothing was changed; its numbers are the shares called rightly as they stand")
    widest = {"linf": 1.0, "l2": math.sqrt(p), "l1": float(p)}[found.norm]
    beyond = [written(share) for share in found.budgets[found.norm] if share > widest]
    if beyond:
        told.append(
            f"budget {', '.join(beyond)}: more than the whole range in {found.norm} ({widest:g}), within which any "
            "sample may become any other"
        )
    return told


def held_budgets(
    x: Tensor, norm: Norm, budgets: Sequence[float], sample: SampleSpec
) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Return which ``budgets`` samples ``x`` can hold (none given: of the usual ones), which not, and why not.

    Budgets are shares of the width of the range. 0 changes nothing and can always be held.
    """
    asked, least = tuple(budgets) or budgets_for(x, norm), least_budget(x, norm, sample.low, sample.high)
    kept = tuple(share for share in asked if share == 0 or share >= least)
    kind = str(x.dtype).removeprefix("torch.")
    why = (
        f"cannot be represented: values from {sample.low:g} to {sample.high:g} are {kind}, and a change so small is "
        f"lost in rounding; the smallest budget in {norm} that says anything here is {least:.2g}"
    )
    return kept, tuple(share for share in asked if share not in kept), why


def void_reason(found: Campaign) -> str | None:
    """Return why nothing found with gradients may be told, or None."""
    n = len(found.clean)
    if found.unread == "chance":
        return (
            f"voided: the same samples score differently when asked for twice, so that a verdict on these {n} is a "
            "matter of chance (noise, or dropout that was left on); no attack is needed to turn one"
        )
    if found.unread == "constant":
        return (
            f"the score is constant on these {n} samples, those of the other side and noise over the whole range: "
            "nothing moves it, and robustness says nothing"
        )
    if not found.accused.differentiable:
        return (
            f"the discriminator gives no gradients on these {n} samples: attacks that need them were not made; those "
            "that only ask for scores are told apart"
        )
    if found.masked:
        failed = "; ".join(f"{NAMES[side]}: {', '.join(rows)}" for side, rows in found.failed.items())
        return (
            f"voided: the masking panel failed ({failed}); attacks on these {n} samples were misled, which is no "
            "robustness"
        )
    return None


def _all_fooled(found: Campaign) -> bool:
    """Return whether no sample stood at any budget: found zero is exact, whatever checks could not decide."""
    return all(bool(found.fooled(found.norm, share).all()) for share in found.budgets[found.norm])


def warned(fakes: Campaign, reals: Campaign) -> list[str]:
    """Return what a reader must know before the numbers of both sides."""
    told = []
    for found in (fakes, reals):
        side = NAMES[found.accused.side]
        verdict = "masked" if found.masked else None if found.panel is None else found.panel.verdict
        if found.unread is not None:
            told.append(f"{side}: {void_reason(found)}")
        elif not found.accused.differentiable:
            told.append(f"the discriminator gives no gradients: {side} were attacked by asking for scores alone")
        elif verdict == "masked":
            told.append(
                f"{side}: {void_reason(found)}; a critic can look robust because its gradients vanish or mislead"
            )
        elif verdict == "weakened" and found.panel is not None and not _all_fooled(found):
            failed = ", ".join(row.name for row in found.panel.rows if not row.passed and row.few is None)
            few = {row.few: None for row in found.panel.rows if row.few is not None}
            undecided = ", ".join(row.name for row in found.panel.rows if row.few is not None)
            why = [f"the masking panel is weakened ({failed})"] if failed else []
            if few:
                samples = " and ".join(map(str, few))
                why.append(f"with {samples} of them called rightly the masking panel cannot decide: {undecided}")
            told.append(f"robust accuracy on {side} may be too high: {'; '.join(why)}")
        told += [f"attacks on {side}: {note}" for note in found.notes]
    return told
