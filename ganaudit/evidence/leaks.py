"""Reals, their changed copies and generated samples, described alike; and which share of samples an operation moved."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ganaudit.evidence.handing import filed
from ganaudit.evidence.judging import judged, portions
from ganaudit.evidence.leak_panel import ALPHA, Leak
from ganaudit.evidence.view import View
from ganaudit.numerics.augmentations import DRAWS, MIDDLE, Operation
from ganaudit.numerics.invariance import Invariance
from ganaudit.numerics.traces import border_energy, centroid, constant_border, constant_square, spread

__all__ = [
    "TRACES",
    "Asked",
    "Copies",
    "Expected",
    "Looked",
    "Trace",
    "changed_levels",
    "copies",
    "cut",
    "described",
    "expected",
    "fill_of",
    "looked",
    "one_changed",
    "strange",
]

_PLACES = 16
_LEVELS = 255.0
_SLACK = 8.0  # levels: a generator paints no rectangle of exactly one
_ADA = 0.8  # Karras et al. 2020: up to this probability a generator can undo what the discriminator always sees


@dataclass(frozen=True, slots=True)
class Trace:
    """A number read off one image alone, and the operation that moves it."""

    name: str
    operation: str
    measure: Callable[[Tensor], Tensor]
    """Levels (B, C, H, W) -> (B,) float64."""


def _off_centre(x: Tensor) -> Tensor:
    distance: Tensor = torch.linalg.vector_norm(centroid(x) - 0.5, dim=1)
    return distance


TRACES = (
    Trace("energy of the border against the inside", "shift", border_energy),
    Trace("rows and columns of one value at the border (share of the pixels)", "shift", constant_border),
    Trace("distance of the centroid from the middle (share of the side)", "shift", _off_centre),
    Trace("largest square of one value (share of the side)", "cutout", lambda x: constant_square(x, _SLACK)),
    Trace("spread about the centroid (share of the side)", "crop", spread),
)


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """Samples of one side as they are."""

    described: Tensor
    """(N, D) float64, see ``looked``."""
    traces: Tensor
    """(N, traces) float64."""


@dataclass(slots=True, eq=False)
class Copies:
    """Reals in every state of one operation."""

    described: Tensor
    """(M, K, D) float64; state 0 is as they are."""
    changed: int
    """How many of the M the operation changed."""
    traces: Mapping[str, Tensor] = field(default_factory=dict)
    """Of changed copies, (M,) each: the traces that belong to the operation."""
    scores: Tensor | None = None
    """(M,) of changed copies, where the discriminator was asked."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Whether the subject's own record lets an operation's leak be expected."""

    used: bool | None
    """None where nothing is recorded."""
    leaks: bool | None
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One operation and what was found, or why nothing can be."""

    operation: Operation
    expected: Expected
    reason: str | None = None
    leak: Leak | None = None
    apart: float | None = 0.0
    """How plainly its judge tells reals from their changed copies; None where there is no judge."""
    likeliest: Tensor | None = None
    """(N,) score of each generated sample for being changed, where a leak is claimed."""
    copies: Copies | None = None
    """Changed test reals, else train ones."""
    gap: Invariance | None = None
    gap_reason: str = ""

    @property
    def claimed(self) -> bool:
        """Whether a leak is claimed."""
        return self.reason is None and self.leak is not None and self.leak.is_claimed

    @property
    def withheld(self) -> bool:
        """Whether neither a leak nor that there is none can be told, though the operation can be seen."""
        return self.leak is not None and self.leak.is_withheld

    @property
    def doubt(self) -> str:
        """Why what looks like a leak may be another defect; empty where nothing says so.

        Looks that imperfect generators have of themselves are a leak only where the record says that it was used.
        """
        if self.expected.used is False:
            return "by the record it was never used"
        return self.operation.imitated if self.expected.used is None else ""

    @property
    def caution(self) -> str:
        """By how much a claimed share may be off, where no mixture explains the scores; empty where one does."""
        if not self.claimed or self.leak is None or not self.leak.is_poor:
            return ""
        return (
            f"no mixture of reals and reals so changed explains the scores in full (p = {self.leak.fit:.2g}): the "
            f"samples differ from the data in another way too, by which the share may be off by {self.leak.off:.2f}"
        )


def strange(leak: Leak, operation: Operation) -> str | None:
    """Return why nothing can be told of the leak of an operation that can be seen, or None where something can.

    A share is the answer only to samples that are a mixture of reals and changed reals; blurred ones, say, look
    enlarged to a judge that knows nothing else, and not mirrored even where they are.
    """
    if not leak.is_withheld:
        return None
    n, high = leak.fake.n, leak.fake.interval(0.95).high
    if leak.strangers:
        return (
            f"not told: the samples differ from the data in another way; {n} generated samples look changed by "
            f"{operation.name}, but so do those that look changed by {' and '.join(leak.strangers)} and are not"
        )
    if leak.corrected <= ALPHA:
        return (
            f"not told: the samples differ from the data in another way; {n} generated samples look changed by "
            f"{operation.name}, but no mixture of reals and reals so changed explains their scores (p = {leak.fit:.2g})"
        )
    return (
        f"not told: the samples differ from the data in another way; the scores of {n} generated samples are as far as "
        f"{leak.misfit[0]:.2f} from those of any mixture of reals and reals changed by {operation.name} "
        f"(p = {leak.fit:.2g}), by which a leak of up to {min(1.0, high + leak.off):.2f} could be hidden"
    )


def looked(view: View, side: str, rows: list[int]) -> Looked:
    """Return samples of a set as they are, described by at most 16 x 16 places and by their traces."""
    seen, traces = [], []
    for x, _ in portions(view, side, rows):
        levels = _levels(view, x)
        seen.append(described(levels))
        traces.append(torch.stack([trace.measure(levels) for trace in TRACES], 1))
    return Looked(torch.cat(seen), torch.cat(traces))


def copies(
    view: View,
    side: str,
    rows: list[int],
    operations: Sequence[Operation],
    fills: Mapping[str, float],
    rng: np.random.Generator,
    *,
    asked: bool = False,
) -> tuple[dict[str, Copies], Tensor | None]:
    """Return reals ``rows`` of a set in every state of each operation, and their own scores (M,).

    With ``asked`` traces of changed copies are taken, and the discriminator, where there is one, is asked about them;
    of several changed states one is drawn. Copies are made levels again, as reals are, and described alike.
    """
    draws = {operation.name: torch.from_numpy(rng.random((len(rows), DRAWS))) for operation in operations}
    picks = torch.from_numpy(rng.random(len(rows)))
    critic = asked and view.missing("scores/test") is None
    parts: dict[str, list[Copies]] = {operation.name: [] for operation in operations}
    own, start = [], 0
    for x, labels in portions(view, side, rows):
        part = slice(start, start + len(x))
        start += len(x)
        plain = _levels(view, x)
        if critic:
            own.append(judged(view.subject, x, labels))
        for operation in operations:
            changed = changed_levels(plain, operation, draws[operation.name][part], fills[operation.name])
            made = Copies(
                torch.stack([described(state) for state in (plain, *changed)], 1),
                int((torch.stack(changed) != plain).flatten(2).any(2).any(0).sum()),
            )
            if asked:
                place = (picks[part] * len(changed)).long().clamp(max=len(changed) - 1)
                one = torch.stack(changed)[place, torch.arange(len(x))]
                made.traces = {t.name: t.measure(one) for t in TRACES if t.operation == operation.name}
                made.scores = judged(view.subject, _ranged(view, one), labels) if critic else None
            parts[operation.name].append(made)
    return {name: _joined(found) for name, found in parts.items()}, torch.cat(own) if own else None


def one_changed(described: Tensor, rng: np.random.Generator) -> Tensor:
    """Return one changed state of each of ``described`` (M, K, D), drawn where there are several, (M, D)."""
    state = torch.from_numpy(rng.integers(1, described.shape[1], len(described)))
    return described[torch.arange(len(described)), state]


def changed_levels(levels: Tensor, operation: Operation, u: Tensor, fill: float) -> list[Tensor]:
    """Return levels 0..255 (B, C, H, W) in every changed state of an operation, rounded to levels again."""
    return [(_LEVELS * state).round().clamp(0, _LEVELS) for state in operation.apply(levels / _LEVELS, u, fill)]


def described(levels: Tensor) -> Tensor:
    """Return what classifiers see of levels (B, C, H, W): means over at most 16 x 16 places, 0..1, (B, D) float64."""
    sides = [min(side, _PLACES) for side in levels.shape[2:]]
    return functional.adaptive_avg_pool2d(levels.double() / _LEVELS, (sides[0], sides[1])).flatten(1)


def expected(training: Mapping[str, Any], operation: Operation) -> Expected:
    """Return what the record of a training lets expect of an operation: which augmentations it names, and how often."""
    if "augmentation" not in training:
        return Expected(None, None, "not recorded")
    for key, of_data in (("augmentation_data", True), ("augmentation_seen", False)):
        used = [name for name in training.get(key, ()) if name in operation.trained]
        if used and of_data:
            return Expected(True, True, f"expected: {used[0]} changed the data themselves")
        if used:
            probability = float(training.get("augmentation_probability", 1.0))
            if probability > _ADA:
                return Expected(True, True, f"expected: {used[0]} with probability {probability:.2g}, above {_ADA:g}")
            return Expected(True, False, f"not expected: {used[0]} with probability {probability:.2g}, up to {_ADA:g}")
    return Expected(False, False, "not expected: not used")


def fill_of(training: Mapping[str, Any], operation: Operation, low: float, high: float) -> float:
    """Return what an operation fills with, as a share of the range: what the record names, else the middle."""
    for law in training.get("augmentation_laws", ()):
        _, name, *rest = f"{law}: : ".split(": ")
        found = re.search(r"(?:filled with|set to) (-?[\d.]+)", " ".join(rest))
        if name in operation.trained and found:
            return min(1.0, max(0.0, (float(found[1]) - low) / (high - low)))
    return MIDDLE


def _levels(view: View, x: Tensor) -> Tensor:
    sample = view.subject.sample
    return filed(x, sample.low, sample.high).float()


def _ranged(view: View, levels: Tensor) -> Tensor:
    sample = view.subject.sample
    return (sample.low + (sample.high - sample.low) * (levels.double() / _LEVELS)).float()


def _joined(parts: list[Copies]) -> Copies:
    scores = [part.scores for part in parts if part.scores is not None]
    return Copies(
        torch.cat([part.described for part in parts]),
        sum(part.changed for part in parts),
        {name: torch.cat([part.traces[name] for part in parts]) for name in parts[0].traces},
        torch.cat(scores) if scores else None,
    )


def cut(value: float) -> float:
    """Return a share cut to 0..1."""
    return min(1.0, max(0.0, value))
