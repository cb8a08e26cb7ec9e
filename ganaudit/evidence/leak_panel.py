"""Which share of samples each operation changed, other leaks beside it taken into account."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy import special
from torch import Tensor
from torch.nn import functional

from ganaudit.numerics.kernel_classifier import fitted_classifier
from ganaudit.numerics.label_shift import Share, misfit, resolution, state_share

__all__ = ["ALPHA", "Leak", "Panel"]

ALPHA = 0.05
"""The chance of claiming any leak where there is none."""

_SURE, _MIXTURES = 0.99, 9
_POOR_FIT = 0.01
_UNLIKE = 0.1  # of those taken for changed, the part that may be unlike changed reals
_HIDDEN = 0.1  # the largest share that a number may hide and still be told
_NOISE = 4.0  # standard deviations of the resolution of a classifier that sees nothing


@dataclass(frozen=True, slots=True, eq=False)
class Leak:
    """The share of generated samples that one operation changed."""

    fake: Share
    real: Share | None
    """The same of test reals; None without any."""
    misfit: tuple[float, float]
    """Distance of generated scores from every mixture of reals and copies, and its p-value."""
    misfit_among: tuple[float, float]
    """The same among those alone that are taken for changed."""
    above_real: float | None
    """Standard errors by which generated samples are changed more often than test reals."""
    beside: tuple[str, ...] = ()
    """Other operations whose leaks are taken into account."""
    corrected: float = 1.0
    """p-value after Holm."""
    isometry: bool = False
    """Whether the operation only gives pixels other places, so that odd values or detail do not look like it."""

    strangers: tuple[str, ...] = ()
    """Other operations that the samples which carry this share look changed by as well, and are not."""

    @property
    def off(self) -> float:
        """By how much the share may be off: the distance of all scores from the nearest mixture, over the resolution.

        A defect that carries no more samples over the boundary between states than it carries past any other score
        moves the votes by no more than that distance, and the share by no more than this.
        """
        return self.misfit[0] / self.fake.resolution

    @property
    def is_poor(self) -> bool:
        """Whether no mixture of reals and copies explains the scores, at 1 %."""
        return self.fit < _POOR_FIT

    @property
    def is_odd(self) -> bool:
        """Whether what looks like a leak may be another defect instead: a poor fit, large enough to change the answer.

        At least the distance ``misfit_among`` of those taken for changed is unlike changed reals (a part that is added
        to a law moves it by no more than itself); what is left of the low end of the share must exceed ``off``. Of an
        operation that is no isometry, whose looks other defects share, no more than a tenth may be unlike. Nor may the
        samples that carry the share be strangers.
        """
        if self.strangers or not self.is_poor:
            return bool(self.strangers)
        unlike = self.misfit_among[0]
        if not self.isometry and max(unlike, self.fake.value - 1) > _UNLIKE:
            return True
        return (1 - unlike) * self.fake.interval(0.95).low <= self.off

    @property
    def is_claimed(self) -> bool:
        """Whether a leak is claimed: more than chance changes, and not taken back as another defect."""
        return self.corrected <= ALPHA and not self.is_odd

    @property
    def is_withheld(self) -> bool:
        """Whether neither a leak nor that there is none can be told, since the samples differ in another way.

        Of what is not significant: where all scores are no mixture, and a share above a tenth could be hidden by that.
        """
        if self.corrected <= ALPHA or self.strangers:
            return self.is_odd
        return 3 * self.misfit[1] < _POOR_FIT and self.off > _HIDDEN

    @property
    def fit(self) -> float:
        """How often chance alone takes a mixture of reals and copies as far from itself, of three signs together.

        All scores, those taken for changed, and a share above 1; three times the least p-value (Bonferroni).
        """
        beyond = float(special.ndtr(-(self.fake.value - 1) / self.fake.error)) if self.fake.error > 0 else 1.0
        return min(1.0, 3 * min(self.misfit[1], self.misfit_among[1], beyond))

    @property
    def p_value(self) -> float:
        """How often chance alone changes as many: against held-out calibration and test reals, the greater."""
        least = self.fake.value / self.fake.error
        return float(special.ndtr(-(least if self.above_real is None else min(least, self.above_real))))


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """What one classifier of several states says."""

    known: Tensor
    """(M, K, K) scores of known samples in every state, by those not fitted to them."""
    fake: Tensor
    """(N, F, K) scores of generated samples, by all."""
    real: Tensor | None

    @property
    def answers(self) -> Tensor:
        """(M, K, K) votes on known samples."""
        return _votes(self.known)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Calibration reals in the states of several operations, and the samples that are held against them."""

    known: Mapping[str, Tensor]
    """(M, K, D) of each operation; state 0 is as they are."""
    fake: Tensor
    """(N, D) generated samples."""
    real: Tensor | None
    """(N, D) test reals; None without any."""
    folds: int
    least: float
    """The resolution from which an operation counts as seen, where there are reals enough."""
    rng: np.random.Generator
    isometries: Collection[str] = ()
    """Operations that only give pixels other places."""
    _judged: dict[tuple[str, ...], _Judged] = field(default_factory=dict)

    @property
    def bar(self) -> float:
        """The resolution from which an operation counts as seen."""
        return max([self.least, *(_NOISE * math.sqrt(0.5 / len(known)) for known in self.known.values())])

    def apart(self, name: str) -> float:
        """Return how plainly held-out reals are told from their copies: Youden's J where there is one changed state."""
        states = self.known[name].shape[1]
        return resolution(self._judge((name,)).answers.mean(0).T, range(1, states))

    def likeliest(self, name: str) -> Tensor:
        """Return the score of each generated sample for being changed by ``name``, (N,)."""
        return -_margin(self._judge((name,)).fake.mean(1), range(1))

    def leak(self, name: str, beside: Sequence[str] = ()) -> Leak | None:
        """Return the share that ``name`` changed where the operations ``beside`` leak too; None if it cannot be seen.

        One classifier tells reals, and their copies changed by each of these operations, from each other; its votes
        are corrected by its confusion (Rogan-Gladen, with more than two states BBSE). Votes on known samples are those
        of the one classifier that was not fitted to them, on others those of all: both have one mean in each state.
        """
        names = tuple(sorted([*beside, name]))
        found, states = self._judge(names), self._states(names, name)
        answers = found.answers
        if resolution(answers.mean(0).T, states) < self.bar:
            return None
        fake = _votes(found.fake).mean(1)
        share = state_share(fake, answers, states)
        # One classifier's score each, as known samples have: a mean of several would scatter less.
        turn = torch.arange(len(fake))
        scores, held_out = _margin(found.fake[turn, turn % self.folds], states), _margin(found.known, states)
        mixed = _mixtures(torch.linalg.solve(answers.mean(0).T, fake.mean(0)), states, share)
        real = None if found.real is None else _votes(found.real).mean(1)
        return Leak(
            share,
            None if real is None else state_share(real, answers, states),
            misfit(scores, held_out, mixed),
            misfit(scores, held_out, mixed, above=0.0),
            None if real is None else _above(fake, real, share.weights),
            tuple(beside),
            isometry=name in self.isometries,
        )

    def leaks(self) -> dict[str, Leak | None]:
        """Return the leak of every operation, found one after the other: the plainest first, then beside it the next.

        A sample that one operation changed looks changed to the judges of others as well. Each step claims the least
        p-value of those that are not odd, if it is no more than 5 % over the number of operations left (Holm), and
        takes it into account in all others from then on. What is odd never is: it stands for another defect, which
        would pass into the others. Nor is a claim that those found after it explain, or make odd, or that odd ones
        explain: then all is asked again without it. None for an operation that cannot be seen, or not beside those
        that leak.
        """
        barred: dict[str, tuple[str, ...]] = {}
        while True:
            found, claimed = self._claims(barred)
            strangers = {name: self._strangers(name, found, list(claimed)) for name in claimed}
            lost = [name for name in claimed if strangers[name] or not ((one := found[name]) and one.is_claimed)]
            if not lost:
                return found
            last = max(lost, key=lambda name: claimed[name])
            barred[last] = strangers[last]

    def _strangers(self, name: str, found: Mapping[str, Leak | None], claimed: Sequence[str]) -> tuple[str, ...]:
        """Return the odd operations without whose likenesses less than half of a claimed share is left.

        What is odd about samples is not asked beside a claim, since it would take a true leak for its own. But a leak
        is as frequent among samples that do not look so; where they are no more than half, that says too little.
        """
        names = tuple(sorted(claimed))
        judged, states = self._judge(names), self._states(names, name)
        votes, carried = _votes(judged.fake).mean(1), []
        whole = state_share(votes, judged.answers, states).value
        for other, one in found.items():
            if one is None or one.corrected > ALPHA or not one.is_odd:
                continue
            # By a judge that knows the claims, lest what they changed is taken for odd.
            both = tuple(sorted([*claimed, other]))
            likely = _votes(self._judge(both).fake).mean(1)[:, list(self._states(both, other))].sum(1)
            usual = likely < 1 / 2
            if 2 * int(usual.sum()) <= len(usual):
                continue
            if state_share(votes[usual], judged.answers, states).value < whole / 2:
                carried.append(other)
        return tuple(carried)

    def _claims(self, barred: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, Leak | None], dict[str, float]]:
        """Return the leak of every operation, and corrected p-values of those that the others are asked beside."""
        found = {name: self.leak(name) for name in self.known}
        left = {name: one for name, one in found.items() if one is not None}
        claimed: dict[str, float] = {}
        reached = 0.0
        while plain := [name for name, one in left.items() if name not in barred and not one.is_odd]:
            name = min(plain, key=lambda one: left[one].p_value)
            reached = max(reached, min(1.0, left[name].p_value * len(left)))
            if reached > ALPHA:
                break
            claimed[name] = reached
            again = {one: self.leak(one, list(claimed)) for one in left if one != name}
            found.update(again)
            # Those that cannot be seen beside the others still count for the number of questions.
            left = {one: leak or replace(left[one], above_real=0.0) for one, leak in again.items()}
        for name, one in found.items():
            if name in claimed:
                together = self.leak(name, [other for other in claimed if other != name])
                # What was claimed early may be explained by what was found later.
                found[name] = together and replace(together, corrected=max(claimed[name], together.p_value))
            elif one is not None:
                # An odd one passes no doubt on: it is withheld for its own p-value.
                least = 0.0 if one.is_odd else reached
                corrected = max(least, min(1.0, one.p_value * max(1, len(left))))
                found[name] = replace(one, corrected=corrected, strangers=barred.get(name, ()))
        return found, claimed

    def _judge(self, names: tuple[str, ...]) -> _Judged:
        if names not in self._judged:
            known = torch.cat([self.known[names[0]][:, :1], *(self.known[name][:, 1:] for name in names)], 1)
            classifier = fitted_classifier(known, self.rng, self.folds)
            real = None if self.real is None else classifier.scores(self.real)
            self._judged[names] = _Judged(classifier.held_out, classifier.scores(self.fake), real)
        return self._judged[names]

    def _states(self, names: Sequence[str], name: str) -> range:
        start = 1
        for one in names:
            stop = start + self.known[one].shape[1] - 1
            if one == name:
                break
            start = stop
        return range(start, stop)


def _votes(scores: Tensor) -> Tensor:
    """Return 1 for the highest of scores (..., K) and 0 for the others."""
    return functional.one_hot(scores.argmax(-1), scores.shape[-1]).double()


def _margin(scores: Tensor, states: Sequence[int]) -> Tensor:
    """Return by how much the best of ``states`` leads the best of the others."""
    others = [state for state in range(scores.shape[-1]) if state not in states]
    return scores[..., list(states)].amax(-1) - scores[..., others].amax(-1)


def _mixtures(mixed: Tensor, states: Sequence[int], share: Share) -> Tensor:
    """Return mixtures (V, K) whose share of ``states`` goes over its interval at 99 %; what is within keeps its parts.

    Among the few that are taken for changed a share that is off by its error is off by a large part.
    """
    inside = torch.zeros_like(mixed)
    inside[list(states)] = 1.0
    parts = []
    for side in (inside, 1 - inside):
        own = mixed.clamp(min=0) * side
        parts.append(own / own.sum() if float(own.sum()) > 0 else side / side.sum())
    ends = share.interval(_SURE)
    shares = torch.linspace(ends.low, ends.high, _MIXTURES, dtype=torch.float64)[:, None]
    return shares * parts[0] + (1 - shares) * parts[1]


def _above(fake: Tensor, real: Tensor, weights: Tensor) -> float:
    """Return the standard errors by which answers (N, K) say more of a state for ``fake`` than for ``real``."""
    values = [answers @ weights for answers in (fake, real)]
    error = math.sqrt(sum(float(v.var(correction=0) + weights.square().sum() / len(v)) / len(v) for v in values))
    return (float(values[0].mean()) - float(values[1].mean())) / error
