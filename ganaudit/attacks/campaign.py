"""All attacks on one side of a trial, over the budgets of a profile, reduced to what a report needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.accused import Accused
from ganaudit.attacks.campaign_run import Entry, Profile, Run
from ganaudit.attacks.critic import Side
from ganaudit.attacks.panel import POINT, REPEATS, VARIES, Panel, Row, Verdict, share_row
from ganaudit.attacks.threat import Attack, Norm, least_radius
from ganaudit.subjects.subject import Subject

__all__ = ["Campaign", "budgets_for", "campaign", "least_budget"]


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """What all attacks did to the samples of one side."""

    accused: Accused
    threshold: float
    budgets: dict[Norm, tuple[float, ...]]
    """Over the width of the range, rising; the norm asked about comes first, and another beside it."""
    scores: Tensor
    """Before any attack, (N,) float64."""
    entries: tuple[Entry, ...]
    minimal: dict[Norm, Tensor]
    """Smallest changes found, (N,) float64 over the width of the range; infinite where none was. Empty without
    gradients."""
    nearest: Tensor | None
    """The samples after the smallest change of the norm asked about, (N, ...); None without gradients."""
    reached: Tensor
    """Their scores, (N,) float64; those before any attack without gradients."""
    pushed: dict[float, Tensor]
    """By budget of the norm asked about: the worst scores found for every sample, called rightly or not."""
    noised: Tensor
    """The worst scores under noise at the headline budget."""
    panel: Panel | None
    """None where no sample is called rightly: there is nothing to attack."""
    planted: tuple[Verdict, int] | None
    """What the same panel says of a linear critic planted on its samples, and how many those are; None as ``panel``
    and without gradients."""
    notes: tuple[str, ...]
    passes: tuple[int, int]
    """Samples sent through the discriminator, and gradients taken."""
    failed: Mapping[Side, tuple[str, ...]] = field(default_factory=dict)
    """By side: the rows of the panel that void what attacks with gradients found, of this campaign and the other's."""

    @property
    def norm(self) -> Norm:
        """The norm asked about."""
        return next(iter(self.budgets))

    @property
    def headline(self) -> float:
        """The budget of the numbers that are told at one budget only."""
        return _headline(self.budgets[self.norm])

    @property
    def clean(self) -> Tensor:
        """Which samples are called wrongly as they stand, (N,) bool."""
        return self.scores >= self.threshold if self.accused.side == "fake" else self.scores < self.threshold

    @property
    def masked(self) -> bool:
        """Whether the panel of either side voids what attacks with gradients found."""
        return bool(self.failed)

    @property
    def blind(self) -> bool:
        """Whether nothing found with gradients may be told: there are none, or they mislead."""
        return self.masked or not self.accused.differentiable

    @property
    def unread(self) -> Literal["chance", "constant"] | None:
        """Why no attack at all says anything: scores differ when asked for twice, or all are one; None otherwise."""
        rows = {row for failed in self.failed.values() for row in failed}
        return "chance" if REPEATS in rows else "constant" if VARIES in rows else None

    def beside(self, other: Campaign) -> Campaign:
        """Return this campaign with what the panel of the other side of the same critic says as well."""
        return replace(self, failed={**self.failed, **other.failed})

    def broken_at(self, norm: Norm, *, queries: bool = False, stored: bool = False, noise: bool = True) -> Tensor:
        """Return the smallest budget of ``norm`` at which anything fooled each sample, (N,) float64.

        0 for one called wrongly as it stands, infinite for one that nothing fooled. Attacks within a ball count at its
        radius, smallest changes at their size. ``queries``: attacks without gradients only. ``stored``: still fooled
        after rounding to the levels of a file; smallest changes do not count there, since rounding undoes them.
        ``noise``: random noise counts as an attack.
        """
        least = torch.full_like(self.scores, math.inf)
        if not stored:
            least[self.clean] = 0.0
        for entry in self.entries:
            left_out = (queries and entry.kind == "white-box") or (not noise and entry.kind == "baseline")
            if entry.norm == norm and entry.share is not None and not left_out:
                hit = entry.stored if stored else entry.fooled
                least = torch.where(hit, least.clamp(max=entry.share), least)
        if norm in self.minimal and not queries and not stored:
            least = torch.minimum(least, self.minimal[norm])
        return least

    def fooled(
        self, norm: Norm, share: float, *, queries: bool = False, stored: bool = False, noise: bool = True
    ) -> Tensor:
        """Return which samples any attack of ``norm`` fooled within ``share`` of the range, (N,) bool.

        What works within a smaller ball works within a larger one: the share of them never falls as budgets grow. The
        options are those of ``broken_at``.
        """
        return self.broken_at(norm, queries=queries, stored=stored, noise=noise) <= share


def budgets_for(x: Tensor, norm: Norm) -> tuple[float, ...]:
    """Return the budgets of samples ``x`` (N, ...) where none are given, norms over the width of the range, rising.

    linf: about 1, 2, 4 and 8 levels of 255 for images; 1e-4 to 3e-3 for waveforms, about 7 to 200 levels of 16 bits.
    l2: 0.25, 0.5 and 1 for 3·32·32 values, grown by the root of their number, since then each value moves alike. l1: 3,
    6 and 12 for as many, grown by their number. To three digits.
    """
    values = x[0].numel() / 3072
    if norm == "linf":
        return (1e-4, 3e-4, 1e-3, 3e-3) if x.ndim == 3 else (0.004, 0.008, 0.016, 0.032)
    sizes = (0.25, 0.5, 1.0) if norm == "l2" else (3.0, 6.0, 12.0)
    grown = math.sqrt(values) if norm == "l2" else values
    return tuple(float(f"{size * grown:.3g}") for size in sizes)


def least_budget(x: Tensor, norm: Norm, low: float, high: float) -> float:
    """Return the smallest budget, over the width of the range, that samples ``x`` can hold; see ``least_radius``."""
    return least_radius(norm, x, low, high) / (high - low)


def _headline(budgets: Sequence[float]) -> float:
    """Return the second of the budgets above 0, or the only one."""
    above = [budget for budget in budgets if budget > 0]
    return above[min(1, len(above) - 1)]


def campaign(
    subject: Subject,
    mine: Accused,
    other: Accused,
    threshold: float,
    profile: Profile,
    rng: np.random.Generator,
    norm: Norm = "linf",
    budgets: Sequence[float] = (),
    spare: Accused | None = None,
    plugged: Sequence[Attack] = (),
) -> Campaign:
    """Return what the attacks of ``profile`` do to ``mine``; ``other`` holds samples of the other side.

    ``budgets`` of ``norm``: shares of the width of the range, one of them above 0 and none of the others below
    ``least_budget``; none: those of ``budgets_for``. A second norm is tried beside it, where samples can hold its
    budgets. ``spare``: samples of the side for the masking panel, called rightly; without them those of ``mine`` are
    taken, which may be few. ``plugged``: attacks of others, made within every ball beside ours; they count as ours do.
    """
    run = Run(subject, mine, profile, rng, plugged)
    scores = mine.scores()
    beside: Norm = "l2" if norm == "linf" else "linf"
    asked: dict[Norm, tuple[float, ...]] = {
        norm: tuple(sorted(budgets)) or budgets_for(mine.x, norm),
        beside: budgets_for(mine.x, beside),
    }
    if asked[beside][0] < least_budget(mine.x, beside, subject.sample.low, subject.sample.high):
        del asked[beside]
    for kind, shares in asked.items():
        for share in shares:
            if share > 0:  # within a ball of radius 0 lies the sample alone
                run.within(kind, share)
    run.apart()
    shares, headline = asked[norm], _headline(asked[norm])
    pushed, noised = run.pushed(norm, shares, headline)
    minimal, nearest, reached = run.minimal(tuple(asked))
    right = scores < threshold if mine.side == "fake" else scores >= threshold
    panel, planted = run.panel(mine.part(right) if spare is None else spare, other, norm, headline)
    readable = panel is not None and panel.verdict not in ("chance", "constant")
    if panel is not None and readable and mine.differentiable and bool(right.any()):
        panel = replace(panel, rows=(*panel.rows, _search_against_gradients(run.entries, int(right.sum()))))
    for share in shares:
        kept = [entry.scores for entry in run.entries if entry.norm == norm and (entry.share or 0) <= share]
        every = torch.stack([scores, *kept, *[found for less, found in pushed.items() if less <= share]])
        pushed[share] = every.amax(0) if mine.side == "fake" else every.amin(0)
    return Campaign(
        mine, threshold, asked, scores, tuple(run.entries), minimal, nearest,
        scores if reached is None else reached, pushed, noised, panel, planted, tuple(run.notes),
        (run.forward, run.backward), _failed(mine.side, panel),
    )  # fmt: skip


def _failed(side: Side, panel: Panel | None) -> dict[Side, tuple[str, ...]]:
    rows = () if panel is None else tuple(row.name for row in panel.rows if row.passed is False and row.voids)
    return {side: rows} if rows else {}


def _search_against_gradients(entries: Sequence[Entry], n: int) -> Row:
    """Return the check that no attack that only asks for scores fools more samples than those with gradients do.

    Over all budgets and all ``n`` samples called rightly, where the rest of the panel looks at one budget and a few
    dozen samples: gradients may lead astray at one size of step only.
    """
    worst, told = 0.0, "at no budget"
    for norm, share in dict.fromkeys((e.norm, e.share) for e in entries if e.norm is not None):
        here = [e for e in entries if (e.norm, e.share) == (norm, share)]
        white = int(torch.stack([e.fooled for e in here if e.kind == "white-box"]).any(0).sum())
        for entry in here:
            behind = 0.0 if entry.kind == "white-box" else (int(entry.fooled.sum()) - white) / n
            if behind > worst:
                worst, told = behind, f"{entry.title.lower()} within {share:g} ({norm})"
    words = f"largest share of samples called rightly that only asking for scores fools, beyond gradients: {told}"
    name = "gradients beat search at every budget"
    return share_row(name, worst, n, max(POINT, 1 / n) + 1e-12, words, voids=True)
