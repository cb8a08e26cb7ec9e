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
from ganaudit.attacks.balls import norms
from ganaudit.attacks.blackbox import RandomNoise, RandomSearch, Square
from ganaudit.attacks.corruptions import Corruption, applicable
from ganaudit.attacks.critic import Side
from ganaudit.attacks.gradient import Apgd, Fgsm, Pgd
from ganaudit.attacks.masking import masking_panel, planted_panel
from ganaudit.attacks.minimal import minimal_norms
from ganaudit.attacks.panel import POINT, REPEATS, VARIES, Panel, Row, Verdict, share_row
from ganaudit.attacks.patch import Patch, PatchSearch, window
from ganaudit.attacks.spatial import Spatial, unbounded
from ganaudit.attacks.threat import Attack, Budget, Kind, Norm, Threat, least_radius
from ganaudit.attacks.trial import Outcome
from ganaudit.attacks.universal import Universal, alone
from ganaudit.subjects.subject import Subject

__all__ = ["PANEL", "PROFILES", "Campaign", "Entry", "Profile", "budgets_for", "campaign", "least_budget"]

PANEL = 32
"""Samples of one class for the panel, which asks whether attacks work, not how often."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How much is spent."""

    samples: int
    """Of each side."""
    steps: int
    restarts: int
    queries: int
    minimal_steps: int
    spatial: Spatial
    levels: tuple[Literal["slight", "moderate", "strong"], ...]


PROFILES: dict[str, Profile] = {
    "quick": Profile(64, 20, 1, 100, 30, Spatial(shifts=3, angles=3, delays=3, speeds=3), ("moderate",)),
    "standard": Profile(256, 50, 2, 300, 40, Spatial(), ("slight", "moderate", "strong")),
    "full": Profile(1000, 100, 5, 500, 60, Spatial(), ("slight", "moderate", "strong")),
}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One attack at one budget on N samples."""

    title: str
    kind: Kind
    norm: Norm | None
    """None where the attack keeps its own budget."""
    share: float | None
    """Radius over the width of the range; None as ``norm``."""
    stated: str
    """The budget in words."""
    fooled: Tensor
    stored: Tensor
    """Fooled after rounding to the levels of a file, (N,) bool."""
    scores: Tensor
    """After the attack, (N,) float64."""
    forward: int
    backward: int
    alone: int = 0
    """Samples called rightly that were left as they are: alone in their class, with none other to be fitted on."""

    @property
    def made(self) -> bool:
        """Whether any sample was attacked, of those called rightly."""
        return not self.alone or self.backward > 0


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
) -> Campaign:
    """Return what the attacks of ``profile`` do to ``mine``; ``other`` holds samples of the other side.

    ``budgets`` of ``norm``: shares of the width of the range, one of them above 0 and none of the others below
    ``least_budget``; none: those of ``budgets_for``. A second norm is tried beside it, where samples can hold its
    budgets. ``spare``: samples of the side for the masking panel, called rightly; without them those of ``mine`` are
    taken, which may be few.
    """
    run = _Run(subject, mine, profile, rng)
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


class _Run:
    """Carries attacks out and keeps count."""

    def __init__(self, subject: Subject, mine: Accused, profile: Profile, rng: np.random.Generator) -> None:
        self._subject, self._mine, self._profile, self._rng = subject, mine, profile, rng
        self._span = subject.sample.high - subject.sample.low
        self.entries: list[Entry] = []
        self.notes: dict[str, None] = {}
        self.forward = self.backward = 0

    def within(self, norm: Norm, share: float) -> None:
        profile = self._profile
        attacks: list[Attack] = [RandomNoise()]
        # Windows have no l1 form. Against l2 they find more for the same queries, and directions cost a draw for each
        # query and sample.
        attacks += [Square(profile.queries)] if norm != "l1" else []
        attacks += [RandomSearch(profile.queries)] if norm != "l2" else []
        if self._mine.differentiable:
            attacks += [Fgsm(), Pgd(profile.steps, profile.restarts), Apgd(profile.steps, profile.restarts)]
            attacks += [Universal(profile.steps)] if norm == "linf" else []
        for attack in attacks:
            self._enter(attack, self._threat(norm, share), norm, share, _words(norm, share, self._mine.x.ndim))

    def apart(self) -> None:
        """Run the attacks that keep a budget of their own, and the damages that nobody steers."""
        x, profile = self._mine.x, self._profile
        threat = unbounded(self._subject.sample.low, self._subject.sample.high, self._mine.side)
        covered = f"{100 * window(x, 0.01).share:.2g} % of a sample"
        attacks: list[tuple[Attack, str]] = [(profile.spatial, profile.spatial.stated(x))]
        attacks.append((PatchSearch(queries=profile.queries), covered))
        if self._mine.differentiable:
            attacks.append((Patch(steps=profile.steps, places=2), covered))
        attacks += [(Corruption(name, level), f"{name}, {level}") for name in applicable(x) for level in profile.levels]
        for attack, stated in attacks:
            self._enter(attack, threat, None, None, stated)

    def pushed(self, norm: Norm, shares: Sequence[float], headline: float) -> tuple[dict[float, Tensor], Tensor]:
        """Return the worst scores by budget over all samples, and those under noise at the headline budget."""
        opened, profile = self._mine.opened(), self._profile
        blind: Attack = RandomSearch(profile.queries) if norm == "l1" else Square(profile.queries)
        attack = Pgd(profile.steps) if opened.differentiable else blind
        found = {share: self._counted(opened.attempt(attack, self._threat(norm, share), self._rng)).scores_after
                 for share in shares if share > 0}  # fmt: skip
        noise = self._counted(opened.attempt(RandomNoise(), self._threat(norm, headline), self._rng))
        return found, noise.scores_after

    def minimal(self, kinds: Sequence[Norm]) -> tuple[dict[Norm, Tensor], Tensor | None, Tensor | None]:
        """Return the smallest changes by norm, and the samples and scores after those of the first."""
        if not self._mine.differentiable:
            return {}, None, None
        outcomes = [
            self._counted(self._mine.each(
                lambda critic, x, norm=norm: minimal_norms(  # type: ignore[misc]
                    critic, x, norm, side=self._mine.side, steps=self._profile.minimal_steps
                )
            ))
            for norm in kinds
        ]  # fmt: skip
        x, found, order = self._mine.x.cpu().double(), {}, None
        for norm in kinds:
            # What was made for one norm has a size in the other, which may be the smaller one.
            sizes = torch.stack([
                torch.where(one.fooled, norms(one.samples.double() - x, norm), math.inf) for one in outcomes
            ])  # fmt: skip
            found[norm] = sizes.amin(0) / self._span
            order = sizes.argmin(0) if order is None else order
        rows = torch.arange(len(x))
        nearest, reached = (torch.stack([getattr(one, name) for one in outcomes])[order, rows]
                            for name in ("samples", "scores_after"))  # fmt: skip
        return found, nearest, reached

    def panel(
        self, right: Accused, other: Accused, norm: Norm, share: float
    ) -> tuple[Panel | None, tuple[Verdict, int] | None]:
        """Return the checks on samples called rightly, of the class with most, and the verdict on a planted critic."""
        if not right.groups:
            return None, None
        group = max(right.groups, key=lambda one: len(one.places))
        x, threat = right.x[group.places[:PANEL]], self._threat(norm, share)
        spent = {"steps": self._profile.steps, "queries": self._profile.queries}
        found = masking_panel(
            group.critic, x, threat, self._rng, **spent, network=self._subject.discriminator,
            other=other.x,
        )  # fmt: skip
        self.forward, self.backward = self.forward + found.forward, self.backward + found.backward
        self.notes.update(dict.fromkeys(found.notes))
        if not group.critic.differentiable:
            return found, None
        return found, (planted_panel(x, threat, self._rng, **spent).verdict, len(x))

    def _threat(self, norm: Norm, share: float) -> Threat:
        sample = self._subject.sample
        return Threat(Budget(norm, share * self._span), sample.low, sample.high, self._mine.side)

    def _enter(self, attack: Attack, threat: Threat, norm: Norm | None, share: float | None, stated: str) -> None:
        found = self._counted(self._mine.attempt(attack, threat, self._rng))
        left = alone(self._mine, found, threat) if isinstance(attack, Universal) else 0
        self.entries.append(Entry(
            attack.title, attack.kind, norm, share, stated, found.fooled, found.fooled_quantised, found.scores_after,
            found.forward, found.backward, left,
        ))  # fmt: skip

    def _counted(self, outcome: Outcome) -> Outcome:
        self.forward, self.backward = self.forward + outcome.forward, self.backward + outcome.backward
        self.notes.update(dict.fromkeys(outcome.notes))
        return outcome


def _words(norm: Norm, share: float, axes: int) -> str:
    levels = f" ({255 * share:.3g}/255)" if norm == "linf" and axes != 3 else ""
    return f"{share:.4g}{levels}"
