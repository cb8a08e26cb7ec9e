"""Carries out the attacks of a campaign on one side of a trial, and keeps count of what they ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.accused import Accused
from ganaudit.attacks.balls import norms
from ganaudit.attacks.blackbox import RandomNoise, RandomSearch, Square
from ganaudit.attacks.corruptions import Corruption, applicable
from ganaudit.attacks.gradient import Apgd, Fgsm, Pgd
from ganaudit.attacks.masking import masking_panel, planted_panel
from ganaudit.attacks.minimal import minimal_norms
from ganaudit.attacks.panel import Panel, Verdict
from ganaudit.attacks.patch import Patch, PatchSearch, window
from ganaudit.attacks.spatial import Spatial, unbounded
from ganaudit.attacks.threat import Attack, Budget, Kind, Norm, Threat
from ganaudit.attacks.trial import Outcome
from ganaudit.attacks.universal import Universal, alone
from ganaudit.subjects.subject import Subject

__all__ = ["PANEL", "PROFILES", "Entry", "Profile", "Run"]

_SEED = 0

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


class Run:
    """Carries attacks out and keeps count.

    ``plugged``: attacks beside our own, made within every ball.
    """

    def __init__(
        self,
        subject: Subject,
        mine: Accused,
        profile: Profile,
        rng: np.random.Generator,
        plugged: Sequence[Attack] = (),
    ) -> None:
        self._subject, self._mine, self._profile, self._rng = subject, mine, profile, rng
        self._plugged = plugged
        self._span = subject.sample.high - subject.sample.low
        self.entries: list[Entry] = []
        self.notes: dict[str, None] = {}
        self.forward = self.backward = 0

    def within(self, norm: Norm, share: float) -> None:
        """Run the attacks that stay within a ball of ``share`` of the range."""
        profile = self._profile
        attacks: list[Attack] = [RandomNoise()]
        # Windows have no l1 form. Against l2 they find more for the same queries, and directions cost a draw for each
        # query and sample.
        attacks += [Square(profile.queries)] if norm != "l1" else []
        attacks += [RandomSearch(profile.queries)] if norm != "l2" else []
        if self._mine.differentiable:
            attacks += [Fgsm(), Pgd(profile.steps, profile.restarts), Apgd(profile.steps, profile.restarts)]
            attacks += [Universal(profile.steps)] if norm == "linf" else []
        stated = _words(norm, share, self._mine.x.ndim)
        for attack in attacks:
            self._enter(attack, self._threat(norm, share), norm, share, stated)
        for attack in self._plugged:
            if attack.kind == "white-box" and not self._mine.differentiable:
                self.notes[f"{attack.id} needs gradients, and the discriminator gives none: not made"] = None
            else:
                self._plug(attack, norm, share, stated)

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

    def _plug(self, attack: Attack, norm: Norm, share: float, stated: str) -> None:
        """Make an attack of others with chance of its own: it moves no number of ours but what it fools."""
        own, self._rng = self._rng, np.random.default_rng(_SEED)
        try:
            self._enter(attack, self._threat(norm, share), norm, share, stated)
        except ValueError as error:  # most know some norms only
            self.notes[f"{attack.id} in {norm}: not made, {error}"] = None
        finally:
            self._rng = own

    def _counted(self, outcome: Outcome) -> Outcome:
        self.forward, self.backward = self.forward + outcome.forward, self.backward + outcome.backward
        self.notes.update(dict.fromkeys(outcome.notes))
        return outcome


def _words(norm: Norm, share: float, axes: int) -> str:
    levels = f" ({255 * share:.3g}/255)" if norm == "linf" and axes != 3 else ""
    return f"{share:.4g}{levels}"
