"""What campaigns could not decide, in words: why numbers are void, and what a reader must know first."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ganaudit.attacks.campaign import Campaign, budgets_for, least_budget
from ganaudit.attacks.threat import Norm
from ganaudit.subjects.subject import SampleSpec

__all__ = ["NAMES", "held_budgets", "void_reason", "warned"]

NAMES = {"fake": "generated samples", "real": "reals"}


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


def warned(fakes: Campaign, reals: Campaign) -> list[str]:
    """Return what a reader must know before the numbers of both sides."""
    told = []
    for found in (fakes, reals):
        side = NAMES[found.accused.side]
        verdict = "masked" if found.masked else None if found.panel is None else found.panel.verdict
        if not found.accused.differentiable:
            told.append(f"the discriminator gives no gradients: {side} were attacked by asking for scores alone")
        elif verdict == "masked":
            told.append(
                f"{side}: {void_reason(found)}; a critic can look robust because its gradients vanish or mislead"
            )
        elif verdict == "weakened" and found.panel is not None:
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
