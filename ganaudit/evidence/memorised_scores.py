"""What the discriminator's scores tell of who was in the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ganaudit.evidence.memorised import Estimate, Held
from ganaudit.evidence.view import View
from ganaudit.numerics.copying import members_caught
from ganaudit.numerics.detection import auc
from ganaudit.numerics.overfit import Overfit, discriminator_overfit

__all__ = ["Membership", "membership"]

_RATES = {"membership-tpr-at-fpr-1pct": 0.01, "membership-tpr-at-fpr-0.1pct": 0.001}


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """Train reals told from unseen ones by score."""

    estimates: Mapping[str, Estimate]
    nulls: Mapping[str, Estimate]
    """Unseen reals in place of the train reals."""
    n_train: int
    n_held: int
    overfit: Overfit
    """r_v of the same scores, which must not contradict the area."""
    null_overfit: Overfit


def membership(view: View, held: Held) -> Membership | str:
    """Return what scores tell of membership, or why there are none."""
    for split in ("train", *held.splits, "fake"):
        reason = view.missing(f"scores/{split}")
        if reason is not None:
            return reason
    train, fake = view["scores/train"], view["scores/fake"]
    compared, stand_in = held.rows(view, "scores")
    return Membership(
        _estimates(train, compared),
        _estimates(stand_in, compared),
        len(train),
        len(compared),
        discriminator_overfit(train, compared, fake),
        discriminator_overfit(stand_in, compared, fake),
    )


def _estimates(members: Tensor, others: Tensor) -> dict[str, Estimate]:
    area, n = auc(members, others), len(members)
    found = {"membership-auc": Estimate(area.value, area.interval(0.95), n)}
    for key, share in _RATES.items():
        caught = members_caught(members, others, share)
        found[key] = Estimate(None, None, n) if caught is None else Estimate(caught.value, caught.bounds, n)
    return found
