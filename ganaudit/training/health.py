"""The health of a run: signs of collapse, overfitting, saturation and breakage, with the numbers behind each.

Numbers are ratios to what real samples show in equal number, so that they need no scale of their own. Collapse is
looked for in features, where an extractor that needs no download suits the samples, and in the values themselves.

A look at 256 samples takes, on one core of a common processor and for features and values each, about half a second for
colour images of 32 pixels, two seconds for 64; features of larger ones and of sounds cost less than their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ganaudit.training.features import Features

__all__ = ["ALARMS", "Alarm", "Look", "Verdict", "effective_rank", "look", "nearest", "overfit", "spread", "verdict"]

Alarm = Literal["collapse", "overfit", "saturation", "broken"]
ALARMS: tuple[Alarm, ...] = ("collapse", "overfit", "saturation", "broken")

_SPREAD = 0.5
"""Below half the spread of reals a batch has collapsed, or is on its way."""
_RANK = 0.35
_DISTINCT = 0.25
"""Below a quarter of the reals' distance to the nearest neighbour a batch is made of near copies."""
_GAP = 0.5
"""Share of the way from generated samples to train reals that held-out reals have fallen back."""
_SIGN = 0.9
_SATURATED = 0.25
_EDGE = 0.99
"""Values beyond it, in [-1, 1], lie at the end of the range."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found."""

    images: int
    spread: float
    """Mean distance of two generated samples over that of two reals; 1 where they spread alike."""
    rank: float
    """Effective rank of the values of generated samples over that of as many reals."""
    distinct: float
    """Mean distance of a generated sample to its nearest neighbour in the batch over that of reals; 0 for copies."""
    overfit: float | None
    """r_v: 0 where held-out reals score as train reals do, 1 where they score as generated samples; None without."""
    sign: float | None
    """r_t: mean sign of the scores of train reals about the objective's boundary, -1 to 1; None where it has none."""
    saturation: float
    """Share of generated values at an end of the range, less that of reals."""
    broken: int
    """Entries of gradients that were not finite, since the beginning."""
    penalty: float | None = None
    """Share of the gradient penalties in the sum of the norms of the discriminator's gradients; None without."""
    features: str = ""
    """Id of the extractor whose features were looked at; empty: values alone."""
    feature_spread: float | None = None
    """As ``spread``, of features. It raises no alarm: what it is worth depends on the extractor's scale."""
    feature_rank: float | None = None
    """As ``rank``, of features."""
    feature_distinct: float | None = None
    """As ``distinct``, of features."""

    @property
    def dimensions(self) -> float:
        """Effective rank of features over that of reals; of values where there are no features."""
        return self.rank if self.feature_rank is None else self.feature_rank

    @property
    def apart(self) -> float:
        """The lesser of ``distinct`` and ``feature_distinct``: copies with noise are far apart in values alone."""
        return self.distinct if self.feature_distinct is None else min(self.distinct, self.feature_distinct)

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Return what is wrong at this look."""
        found: list[Alarm] = []
        if self.spread < _SPREAD or self.dimensions < _RANK or self.apart < _DISTINCT:
            found.append("collapse")
        if self.overfit is not None and self.overfit > _GAP and (self.sign is None or self.sign > _SIGN):
            found.append("overfit")
        if self.saturation > _SATURATED:
            found.append("saturation")
        if self.broken:
            found.append("broken")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run ended, for a reader."""

    verdict: Literal["healthy", "doubtful", "broken"]
    alarms: tuple[Alarm, ...]
    words: str
    looks: tuple[Look, ...]

    def describe(self) -> dict[str, Any]:
        """Return the verdict as plain values."""
        return asdict(self)


def spread(x: Tensor) -> float:
    """Return the root mean squared distance of two of the samples (N, ...), over all pairs, float64.

    sqrt(2 N/(N - 1) · sum of the variances of the coordinates), the variances with divisor N.
    """
    rows = x.flatten(1).double()
    return float((2 * len(rows) / (len(rows) - 1) * rows.var(dim=0, correction=0).sum()).sqrt())


def effective_rank(x: Tensor) -> float:
    """Return exp of the entropy of the normalised eigenvalues of the covariance of samples (N, ...).

    1 to min(N - 1, D): so many directions of equal strength would give the same.

    0 where all samples are equal. Source: Roy and Vetterli, The effective rank, 2007.
    """
    rows = x.flatten(1).double()
    rows = rows - rows.mean(dim=0)
    gram = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    values = torch.linalg.eigvalsh(gram).clamp_min(0)
    total = values.sum()
    if float(total) == 0:
        return 0.0
    shares = values / total
    return float(torch.special.entr(shares).sum().exp())


def nearest(x: Tensor) -> float:
    """Return the mean Euclidean distance of each sample (N, ...) to the nearest other one, float64."""
    rows = x.flatten(1).double()
    distances = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    return float(distances.fill_diagonal_(torch.inf).amin(1).mean())


def overfit(train: Tensor, held_out: Tensor, fake: Tensor) -> float:
    """Return r_v = (E D(train) - E D(held out)) / (E D(train) - E D(generated)) of scores.

    Source: Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, arXiv:2006.06676.
    """
    gap = float(train.double().mean() - fake.double().mean())
    return float(train.double().mean() - held_out.double().mean()) / gap if gap > 0 else 0.0


def look(
    images: int,
    fake: Tensor,
    real: Tensor,
    scores: tuple[Tensor, Tensor, Tensor | None],
    broken: int,
    penalty: float | None,
    has_boundary: bool = True,
    features: Features | None = None,
) -> Look:
    """Return a look at generated and as many real samples in [-1, 1], and at their features where there are any.

    ``scores`` are of train reals, generated samples and held-out reals, less the objective's boundary where it has one.
    """
    train, generated, held = scores
    if not bool(torch.isfinite(fake).all()):
        # Nothing can be said of such samples but that; their gradients were counted long before.
        return Look(images, 0.0, 0.0, 0.0, None, None, 0.0, max(broken, 1), None)
    values = _diversity(fake, real)
    seen = (None, None, None) if features is None else _diversity(features.of(fake), features.of(real))
    edge = [float((x.abs() > _EDGE).double().mean()) for x in (fake, real)]
    return Look(
        images=images,
        spread=values[0],
        rank=values[1],
        distinct=values[2],
        overfit=None if held is None else overfit(train, held, generated),
        sign=float(train.double().sign().mean()) if has_boundary else None,
        saturation=edge[0] - edge[1],
        broken=broken,
        penalty=penalty,
        features="" if features is None else features.name,
        feature_spread=seen[0],
        feature_rank=seen[1],
        feature_distinct=seen[2],
    )


def _diversity(fake: Tensor, real: Tensor) -> tuple[float, float, float]:
    """Return spread, effective rank and distance to the nearest neighbour, each over that of reals."""
    of_reals, rank, between = spread(real), effective_rank(real), nearest(real)
    return (
        spread(fake) / of_reals if of_reals > 0 else 0.0,
        effective_rank(fake) / rank if rank > 0 else 0.0,
        nearest(fake) / between if between > 0 else 1.0,
    )


_WORDS: dict[Alarm, str] = {
    "collapse": "generated samples spread over {spread:.0%} of what reals do, the effective rank of {what} is "
    "{dimensions:.0%}, they lie {apart:.0%} as far from each other as reals",
    "overfit": "held-out reals have fallen back {overfit:.0%} of the way to generated samples in the scores",
    "saturation": "{saturation:.0%} more generated values than real ones lie at the ends of the range",
    "broken": "{broken} entries of gradients were not finite",
}


def verdict(looks: Sequence[Look], caution: str = "") -> Verdict:
    """Return the verdict on a run: what the last look shows, and what earlier ones showed that has passed.

    ``caution``, where there is one, ends its words; it makes no run doubtful.
    """
    if not looks:
        words = "the run was too short for a look at its health"
        return Verdict("healthy", (), "; ".join(filter(None, (words, caution))), ())
    last = looks[-1]
    what = f"their {last.features} features" if last.features else "their values"
    more = {"what": what, "dimensions": last.dimensions, "apart": last.apart}
    told = [_WORDS[alarm].format(**asdict(last), **more) for alarm in last.alarms]
    passed = [a for a in dict.fromkeys(a for one in looks[:-1] for a in one.alarms) if a not in last.alarms]
    told += [f"there were signs of {alarm} on the way, which have passed" for alarm in passed]
    state: Literal["healthy", "doubtful", "broken"] = "healthy"
    if last.alarms:
        state = "broken" if "broken" in last.alarms else "doubtful"
    words = "; ".join(told) or (
        f"generated samples spread over {last.spread:.0%} of what reals do, effective rank of {what} "
        f"{last.dimensions:.0%}, no alarm"
    )
    return Verdict(state, last.alarms, "; ".join(filter(None, (words, caution))), tuple(looks))
