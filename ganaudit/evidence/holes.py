"""Holes on paths through the latent: poor samples on the way between two good ones, by arc and by chord."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.document.model import Null, Table
from ganaudit.evidence.score_sides import Reading, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.holes import Cut, broken, chance_below, poor_below, predicted_share
from ganaudit.numerics.interpolation import chance_of_dip, dips
from ganaudit.numerics.intervals import clopper_pearson

__all__ = ["CHANCE", "Judge", "hole_reading", "hole_table", "judge_of"]

CHANCE = 0.05
"""How often unrelated reals in place of the samples between two ends may hold a poor one."""

_TAIL = 0.05
_COVERS = "the drawing of latents, the cut held fixed; not the training of the generator"


@dataclass(frozen=True, slots=True)
class Judge:
    """What counts as poor, or why nothing can be said."""

    cut: Cut | None
    reason: str = ""

    @property
    def words(self) -> str:
        """What a poor sample does, by the rank of the cut among calibration reals; empty where there is no cut."""
        if self.cut is None:
            return ""
        share = chance_below(self.cut.rank, self.cut.n, 1)
        place = "the lowest" if self.cut.rank == 1 else f"number {self.cut.rank} from below"
        return f"scores lower than all but {share:.2%} of reals (below {place} of {self.cut.n} calibration reals)"


def judge_of(view: View, unjudged: str | None, inside: int, poor: Mapping[str, Tensor]) -> Judge:
    """Return the cut of calibration reals for ``inside`` points between two ends, or why none can be trusted.

    Calibration reals, which the discriminator has not seen: it may score train reals higher than any other sample.
    ``poor``: scores (N,) by name of what may be poor. A discriminator that scores none of it below the cut more often
    than a real is blind to holes; finding none then says nothing.
    """
    if unjudged is not None:
        return Judge(None, unjudged)
    missing = view.missing("scores/calibration")
    if missing is not None:
        return Judge(None, f"{missing}: how low reals score is not known")
    cut = poor_below(view["scores/calibration"], inside, CHANCE)
    blind = _blind(cut, poor)
    return Judge(None, blind) if blind else Judge(cut)


def _blind(cut: Cut, poor: Mapping[str, Tensor]) -> str:
    """Return why the discriminator sees no hole, or an empty text where it knows something as poor."""
    usual, told = chance_below(cut.rank, cut.n, 1), []
    for name, scores in poor.items():
        n, below = len(scores), int((scores < cut.score).sum())
        if n and clopper_pearson(below, n, 0.95).low > usual:
            return ""
        told.append(f"{below} of {n} {name}")
    if not told:
        return ""
    return (
        f"the discriminator is blind to holes: {' and '.join(told)} score below {cut.score + 0.0:.4g}, where "
        f"{usual:.2%} of reals do, so garbage on a path would pass as well"
    )


def hole_reading(scores: Tensor | None, judge: Judge, paths: int) -> Reading:
    """Return the share of paths between two good samples that lead through a poor one; ``scores`` (T, N)."""
    if judge.cut is None or scores is None:
        return Reading(None, {"fake": max(paths, 1)}, reason=f"{judge.reason}; {paths} paths are not judged")
    if not scores.shape[1]:
        return Reading(None, {"fake": 1}, reason="0 paths are left that the generator makes all of")
    counted, poor = broken(scores, judge.cut.score)
    n, count = int(counted.sum()), int(poor.sum())
    if not n:
        told = f"0 of {scores.shape[1]} paths have two ends that score {judge.cut.score:.4g} or more, as reals do"
        return Reading(None, {"fake": scores.shape[1]}, reason=told)
    usual = predicted_share(judge.cut, n)
    rule = (
        f"the chance that one of {judge.cut.points} unrelated reals scores below {judge.cut.score:.4g}, number "
        f"{judge.cut.rank} from below of {judge.cut.n} calibration reals; low and high: over {n} paths and the drawing "
        "of these reals"
    )
    of = "unrelated reals"
    null = Null(value=judge.cut.chance, low=usual.low, high=usual.high, n=judge.cut.n, of=of, rule=rule)
    return Reading(
        count / n, {"fake": n}, interval_of(clopper_pearson(count, n, 0.95), "Clopper-Pearson", _COVERS), null
    )


def hole_table(walks: Mapping[str, Tensor], judge: Judge) -> list[Table]:
    """Return holes of every path by both cuts: that of reals, and the 5 % quantile of the paths' own ends.

    ``walks``: scores (T, N) by the name of the path. Beside each the share that unrelated generated samples would give.
    """
    rows: list[list[str | int | float | None]] = []
    for path, scores in walks.items():
        if not scores.shape[1]:
            continue
        if judge.cut is not None:
            counted, poor = broken(scores, judge.cut.score)
            rows.append([path, "of calibration reals, good ends", *_cells(scores, judge.cut.score, counted, poor)])
        cut = float(torch.quantile(torch.cat([scores[0], scores[-1]]), _TAIL))
        every = torch.ones(scores.shape[1], dtype=torch.bool)
        rows.append([path, "5 % of the ends, all paths", *_cells(scores, cut, every, dips(scores, cut))])
    columns = ["path", "cut", "score", "paths", "with a hole", "low", "high", "of unrelated generated samples"]
    return [Table(title="Holes by path and by cut", columns=columns, rows=rows)] if rows else []


def _cells(scores: Tensor, cut: float, counted: Tensor, poor: Tensor) -> list[str | int | float | None]:
    n, count = int(counted.sum()), int(poor.sum())
    ends = torch.cat([scores[0], scores[-1]])
    chance = chance_of_dip(float((ends < cut).double().mean()), len(scores) - 2)
    if not n:
        return [cut, 0, None, None, None, chance]
    sure = clopper_pearson(count, n, 0.95)
    return [cut, n, count / n, sure.low, sure.high, chance]
