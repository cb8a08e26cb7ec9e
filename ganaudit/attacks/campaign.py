"""All attacks on one side of a trial, over the budgets of a profile, reduced to what a report needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.accused import Accused
from ganaudit.attacks.blackbox import RandomNoise, RandomSearch, Square
from ganaudit.attacks.corruptions import Corruption, applicable
from ganaudit.attacks.gradient import Apgd, Fgsm, Pgd
from ganaudit.attacks.masking import Panel, masking_panel
from ganaudit.attacks.minimal import minimal_norms
from ganaudit.attacks.patch import Patch, PatchSearch, window
from ganaudit.attacks.spatial import Spatial, unbounded
from ganaudit.attacks.threat import Attack, Budget, Kind, Norm, Threat
from ganaudit.attacks.trial import Outcome
from ganaudit.attacks.universal import Universal
from ganaudit.subjects.subject import Subject

__all__ = ["PROFILES", "Campaign", "Entry", "Profile", "campaign", "l2_shares", "linf_shares"]

_PANEL = 32  # samples: the panel asks whether attacks work, not how often


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


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """What all attacks did to the samples of one side."""

    accused: Accused
    threshold: float
    scores: Tensor
    """Before any attack, (N,) float64."""
    entries: tuple[Entry, ...]
    minimal: dict[Norm, Tensor]
    """Smallest changes found, (N,) float64 over the width of the range; infinite where none was. Empty without
    gradients."""
    pushed: dict[float, Tensor]
    """By share of the range (linf): the worst scores found for every sample, called rightly or not."""
    noised: Tensor
    """The worst scores under noise at the headline budget."""
    panel: Panel | None
    """None where no sample is called rightly: there is nothing to attack."""
    notes: tuple[str, ...]
    passes: tuple[int, int]
    """Samples sent through the discriminator, and gradients taken."""

    @property
    def clean(self) -> Tensor:
        """Which samples are called wrongly as they stand, (N,) bool."""
        return self.scores >= self.threshold if self.accused.side == "fake" else self.scores < self.threshold

    @property
    def masked(self) -> bool:
        """Whether the panel voids what attacks with gradients found."""
        return self.panel is not None and self.panel.verdict == "masked"

    def fooled(self, norm: Norm, share: float, *, queries: bool = False, stored: bool = False) -> Tensor:
        """Return which samples any attack of ``norm`` fooled within ``share`` of the range, (N,) bool.

        What works within a smaller ball works within a larger one. ``queries``: attacks without gradients only.
        ``stored``: still fooled after rounding to the levels of a file; changes of the smallest norm do not count
        there, since rounding undoes them.
        """
        found = torch.zeros_like(self.clean) if stored else self.clean.clone()
        for entry in self.entries:
            if entry.norm == norm and entry.share is not None and entry.share <= share:
                if queries and entry.kind == "white-box":
                    continue
                found |= entry.stored if stored else entry.fooled
        if norm in self.minimal and not queries and not stored:
            found |= self.minimal[norm] <= share
        return found


def linf_shares(x: Tensor) -> tuple[float, ...]:
    """Return the linf budgets over the width of the range; the second is the headline.

    Images: 1, 2, 4 and 8 levels of 255. Waveforms: 1e-4 to 3e-3, about 7 to 200 levels of 16 bits.
    """
    return (1e-4, 3e-4, 1e-3, 3e-3) if x.ndim == 3 else tuple(level / 255 for level in (1, 2, 4, 8))


def l2_shares(x: Tensor) -> tuple[float, ...]:
    """Return the l2 budgets over the width of the range: 0.25, 0.5 and 1 for 3·32·32 values, grown by sqrt(values)."""
    grown = math.sqrt(x[0].numel() / 3072)
    return tuple(size * grown for size in (0.25, 0.5, 1.0))


def campaign(
    subject: Subject, mine: Accused, other: Accused, threshold: float, profile: Profile, rng: np.random.Generator
) -> Campaign:
    """Return what the attacks of ``profile`` do to ``mine``; ``other`` holds samples of the other side."""
    run = _Run(subject, mine, profile, rng)
    scores = mine.scores()
    shares = linf_shares(mine.x)
    for share in shares:
        run.within("linf", share)
    for share in l2_shares(mine.x):
        run.within("l2", share)
    run.apart()
    pushed, noised = run.pushed(shares)
    minimal = run.minimal()
    panel = run.panel(other, scores, threshold, shares[1])
    for share in shares:
        kept = [entry.scores for entry in run.entries if entry.norm == "linf" and (entry.share or 0) <= share]
        every = torch.stack([scores, *kept, *[found for less, found in pushed.items() if less <= share]])
        pushed[share] = every.amax(0) if mine.side == "fake" else every.amin(0)
    return Campaign(
        mine, threshold, scores, tuple(run.entries), minimal, pushed, noised, panel, tuple(run.notes),
        (run.forward, run.backward),
    )  # fmt: skip


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
        attacks: list[Attack] = [RandomNoise(), Square(profile.queries)]
        # Against l2 squares find more for the same queries, and directions cost a draw for each query and sample.
        attacks += [RandomSearch(profile.queries)] if norm == "linf" else []
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

    def pushed(self, shares: Sequence[float]) -> tuple[dict[float, Tensor], Tensor]:
        """Return the worst scores by budget over all samples, and those under noise at the second budget."""
        opened, profile = self._mine.opened(), self._profile
        attack: Attack = Pgd(profile.steps) if opened.differentiable else Square(profile.queries)
        found = {share: self._counted(opened.attempt(attack, self._threat("linf", share), self._rng)).scores_after
                 for share in shares}  # fmt: skip
        noise = self._counted(opened.attempt(RandomNoise(), self._threat("linf", shares[1]), self._rng))
        return found, noise.scores_after

    def minimal(self) -> dict[Norm, Tensor]:
        if not self._mine.differentiable:
            return {}
        found: dict[Norm, Tensor] = {}
        for norm in ("linf", "l2"):
            outcome = self._mine.each(
                lambda critic, x, norm=norm: minimal_norms(  # type: ignore[misc]
                    critic, x, norm, side=self._mine.side, steps=self._profile.minimal_steps
                )
            )
            found[norm] = self._counted(outcome).norms / self._span
        return found

    def panel(self, other: Accused, scores: Tensor, threshold: float, share: float) -> Panel | None:
        """Return the checks on some samples called rightly, of the class with most of them; None without any."""
        right = scores < threshold if self._mine.side == "fake" else scores >= threshold
        kept = self._mine.part(right).groups
        if not kept:
            return None
        group = max(kept, key=lambda one: len(one.places))
        x = self._mine.x[torch.nonzero(right)[:, 0]][group.places[:_PANEL]]
        beside = [one.places for one in other.groups if one.label == group.label]
        found = masking_panel(
            group.critic, x, self._threat("linf", share), self._rng, steps=self._profile.steps,
            queries=self._profile.queries, network=self._subject.discriminator,
            other=other.x[beside[0]] if beside else None,
        )  # fmt: skip
        self.forward, self.backward = self.forward + found.forward, self.backward + found.backward
        self.notes.update(dict.fromkeys(found.notes))
        return found

    def _threat(self, norm: Norm, share: float) -> Threat:
        sample = self._subject.sample
        return Threat(Budget(norm, share * self._span), sample.low, sample.high, self._mine.side)

    def _enter(self, attack: Attack, threat: Threat, norm: Norm | None, share: float | None, stated: str) -> None:
        found = self._counted(self._mine.attempt(attack, threat, self._rng))
        self.entries.append(Entry(
            attack.title, attack.kind, norm, share, stated, found.fooled, found.fooled_quantised, found.scores_after,
            found.forward, found.backward,
        ))  # fmt: skip

    def _counted(self, outcome: Outcome) -> Outcome:
        self.forward, self.backward = self.forward + outcome.forward, self.backward + outcome.backward
        self.notes.update(dict.fromkeys(outcome.notes))
        return outcome


def _words(norm: Norm, share: float, axes: int) -> str:
    if norm == "l2":
        return f"{share:.3g} of the range (l2)"
    return f"{share:g} of the range" if axes == 3 else f"{255 * share:g}/255 of the range"
