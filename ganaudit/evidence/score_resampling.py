"""What the discriminator would buy: generated samples chosen by their score, as if it were a log-likelihood ratio."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Detail, Note, Table
from ganaudit.numerics.detection import auc
from ganaudit.numerics.detection_intervals import resampled_bounds
from ganaudit.numerics.resampling import (
    area_left,
    effective_share,
    metropolis_rate,
    rejection_acceptance,
    shares_by_score,
)

__all__ = ["resampling_details"]

_Cell = str | int | float | None
_Statistic = Callable[[Tensor, Tensor], float]
_PARTS = 5
_RESAMPLES, _SEEN = 200, 20_000
_UNIT = (0.0, 1.0)


def resampling_details(
    real: Tensor, fake: Tensor, said: Mapping[str, tuple[Tensor, Tensor]], p_value: float, rng: np.random.Generator
) -> list[Detail]:
    """Return how many generated samples would be kept and how often, and how their scores would then lie.

    ``real`` (N,) and ``fake`` (M,) are raw scores, ``said`` holds (N,) and (M,) by name, what the same samples are
    taken to say, log-likelihood ratios in nats; ``p_value`` is that of the calibration error of the raw ones. ``rng``
    draws the resamples of the intervals.
    """
    return [_gains(real, fake, said, rng), _shares(real, fake, said), Note(text=_words(p_value))]


def _gains(real: Tensor, fake: Tensor, said: Mapping[str, tuple[Tensor, Tensor]], rng: np.random.Generator) -> Table:
    area = auc(real, fake)
    own = area.interval(0.95)
    rows: list[list[_Cell]] = [["as they are", "AUC before choosing", area.value, own.low, own.high]]
    for name, (seen, scores) in said.items():
        rows.append([name, "kept by rejection sampling", float(rejection_acceptance(scores).mean()), None, None])
        statistics: tuple[tuple[str, _Statistic], ...] = (
            ("proposals that Metropolis-Hastings accepts", lambda _, s: metropolis_rate(s)),
            ("samples that those chosen are worth, over all", lambda _, s: effective_share(s)),
            ("AUC left among those chosen", area_left),
        )
        for what, statistic in statistics:
            rows.append([name, what, statistic(seen, scores), *_bounds(statistic, seen, scores, rng)])
    title = f"What choosing among {len(fake)} generated samples by score would give"
    return Table(title=title, columns=["scores", "what", "value", "low", "high"], rows=rows)


def _bounds(statistic: _Statistic, real: Tensor, fake: Tensor, rng: np.random.Generator) -> list[_Cell]:
    if len(real) + len(fake) > _SEEN:  # of so many the spread is too small to look at, and long to find
        return [None, None]
    found = resampled_bounds(statistic, real, fake, rng, 0.95, "percentile", _UNIT, _RESAMPLES)
    return [None, None] if found is None else [found.low, found.high]


def _shares(real: Tensor, fake: Tensor, said: Mapping[str, tuple[Tensor, Tensor]]) -> Table:
    """Return where raw scores lie, in fifths of the test reals: of reals, of generated, of generated once chosen."""
    cuts = torch.arange(1, _PARTS) * len(real) // _PARTS
    edges = torch.unique(real.sort().values[cuts])
    groups = [torch.searchsorted(edges, side.contiguous(), right=True) for side in (real, fake)]
    of_real, of_fake = (torch.bincount(group, minlength=len(edges) + 1).double() / len(group) for group in groups)
    chosen = [
        torch.bincount(groups[1], shares_by_score(scores), minlength=len(edges) + 1) for _, scores in said.values()
    ]
    rows: list[list[_Cell]] = [
        [_named(edges, i), float(of_real[i]), float(of_fake[i]), *(float(one[i]) for one in chosen)]
        for i in range(len(edges) + 1)
        if float(of_real[i]) + float(of_fake[i]) > 0
    ]
    columns = [
        "raw score",
        "share of test reals",
        "share of generated",
        *(f"generated, chosen by {name} scores" for name in said),
    ]
    return Table(title="Where scores lie, before and after choosing", columns=columns, rows=rows)


def _named(edges: Tensor, i: int) -> str:
    if i == 0:
        return f"below {float(edges[0]):.4g}"
    if i == len(edges):
        return f"{float(edges[-1]):.4g} or more"
    return f"{float(edges[i - 1]):.4g} to below {float(edges[i]):.4g}"


def _words(p_value: float) -> str:
    raw = "chance explains their calibration error" if p_value >= 0.05 else "their calibration error is no chance"
    return (
        "Choosing by score: rejection sampling keeps a generated sample with probability exp(score less the greatest), "
        "a Metropolis-Hastings chain moves to a proposed one with min(1, exp(score less the present one)). Both give "
        "the law of the reals where scores are log-likelihood ratios and the generator misses nothing. Raw scores are "
        f"taken at their word, which needs calibration: here {raw} (p = {p_value:.2g}). Platt scaling, fitted on other "
        "samples than it is used on, puts slope and offset right and no other fault. Where the chosen shares are "
        "those of the test reals, the score has no more to give; it says nothing of what it does not see. The greatest "
        "score of these samples is not the greatest there is: of more samples rejection keeps a smaller share, so it "
        "has no interval. Low and high: 95 %, the drawing of samples, Platt scaling held fixed. "
        "Nothing was chosen for any other number of this audit."
    )
