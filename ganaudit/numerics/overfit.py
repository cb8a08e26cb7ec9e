"""Whether a discriminator knows its training reals by heart."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import proportion, vector
from ganaudit.numerics.detection import Auc, auc
from ganaudit.numerics.intervals import Bounds, clopper_pearson

__all__ = ["Overfit", "discriminator_overfit"]


@dataclass(frozen=True, slots=True)
class Overfit:
    """How the critic scores reals that it was trained on, reals that it was not, and fakes."""

    ratio: float | None
    """r_v, estimated: 0 where both kinds of reals score alike, 1 where unseen reals score like fakes; may leave it."""
    bounds: Bounds | None
    """Fieller's interval of r_v."""
    reason: str | None
    """Why there is no ratio; None where there is one."""
    sign: float
    """r_t, the mean sign of the scores of training reals, -1 to 1; raw scores, so it moves with an offset."""
    sign_bounds: Bounds
    """From a Clopper-Pearson interval of the share of scores above 0; a score of 0 counts half."""
    seen_over_unseen: Auc
    """P(training real > unseen real): 1/2 where the critic has learnt nothing by heart; unchanged by any rising map."""
    means: tuple[float, float, float]
    """Mean scores of training reals, of unseen reals and of fakes."""


def discriminator_overfit(train: Tensor, unseen: Tensor, fake: Tensor, level: float = 0.95) -> Overfit:
    """Return r_v = (E train - E unseen)/(E train - E fake), r_t and the rank test, from scores (T,), (V,) and (M,).

    ``train`` are reals that the critic was trained on, ``unseen`` reals that it was not. The interval of r_v is
    Fieller's: all r that make (E train - E unseen) - r (E train - E fake) no further from 0 than z standard errors of
    it, the covariance of the two differences through E train taken in. Where the denominator itself is not clear of 0
    by z standard errors, no ratio can be told and the reason is given. r_v is unchanged by scale and offset of the
    scores. The draws of samples count, the training of the critic does not.

    Raises ValueError when a side is not a vector of 2 or more finite scores or ``level`` is not in (0, 1).
    Source: Karras et al. 2020, arXiv:2006.06676 (r_v, r_t); Fieller 1954.
    """
    sides = [vector(s, name, least=2) for s, name in ((train, "train"), (unseen, "unseen"), (fake, "fake"))]
    z = float(special.ndtri((1 + proportion(level, "level")) / 2))
    seen, held, made = (float(side.mean()) for side in sides)
    errors = [float(side.var(correction=1)) / len(side) for side in sides]
    gap, reach = seen - held, seen - made
    ratio, bounds, reason = None, None, None
    if reach**2 <= z**2 * (errors[0] + errors[2]):
        reason = (
            f"training reals and fakes score alike (mean difference {reach:.4g}, standard error "
            f"{math.sqrt(errors[0] + errors[2]):.2g}): there is no scale to measure the gap on"
        )
    else:
        ratio = gap / reach
        bounds = _fieller(gap, reach, errors[0] + errors[1], errors[0] + errors[2], errors[0], z)
    positive = float((sides[0] > 0).sum()) + float((sides[0] == 0).sum()) / 2
    share = clopper_pearson(positive, len(sides[0]), level)
    return Overfit(
        ratio,
        bounds,
        reason,
        2 * positive / len(sides[0]) - 1,
        Bounds(2 * share.low - 1, 2 * share.high - 1),
        auc(sides[0], sides[1]),
        (seen, held, made),
    )


def _fieller(above: float, below: float, above_var: float, below_var: float, shared: float, z: float) -> Bounds:
    """Return the r with (above - r below)² <= z² (above_var - 2 r shared + r² below_var); below² > z² below_var."""
    a = below**2 - z**2 * below_var
    b = above * below - z**2 * shared
    c = above**2 - z**2 * above_var
    # The estimate itself is always a solution, so the root is real but for rounding.
    root = math.sqrt(max(0.0, b**2 - a * c))
    return Bounds((b - root) / a, (b + root) / a)
