"""What is linted: one record for a number that somebody states, and one for the file that it stands in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ganaudit.config import AuditPlan
from ganaudit.document.gates import Gate, Policy
from ganaudit.document.model import AuditDocument

__all__ = ["Audited", "Claim", "Oddity", "Sheet", "Written"]


class Written(float):
    """A number together with the text it was read from, which tells how many digits somebody wrote."""

    text: str

    def __new__(cls, value: float, text: str) -> Written:
        """Return ``value`` as written in ``text``."""
        made = super().__new__(cls, value)
        made.text = text
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One number somebody states, and all that is said of how it came about. None: it is not said."""

    metric: str
    """A key of ``metrics.METRICS``."""
    name: str
    """The name it has in the file."""
    where: str
    """Row or key in the file."""
    value: float | None
    text: str = ""
    """The value as it stands in the file; empty where only the number is known."""
    own: bool = False
    """Whether it stands in an audit document, which says of every number what is missing and why."""
    model: str | None = None
    """What was measured: a model, a run, a snapshot."""
    n_real: int | None = None
    n_fake: int | None = None
    repeats: int | None = None
    """Trainings or draws that a spread is over."""
    std: float | None = None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    covers: str | None = None
    """What a spread or an interval is over."""
    extractor: str | None = None
    dimensions: int | None = None
    resize: str | None = None
    antialias: bool | None = None
    flip: str | None = None
    """Whether the real samples were mirrored as well."""
    real_format: str | None = None
    fake_format: str | None = None
    splits: int | None = None
    subsets: int | None = None
    neighbours: int | None = None
    bins: int | None = None
    classes: int | None = None
    epsilon: float | None = None
    norm: str | None = None
    range: tuple[float, float] | None = None
    attack: str | None = None
    steps: int | None = None
    step_size: float | None = None
    masking_check: bool | None = None
    masked: bool | None = None
    clean_accuracy: float | None = None
    threshold: float | None = None
    threshold_source: str | None = None
    fpr: float | None = None
    """The false positive rate that a rate of hits is stated at."""
    base_rate: float | None = None
    scores: str | None = None
    """What the scores are: raw, sigmoid, rounded ..."""
    split: str | None = None
    """Which real samples it was measured with: train, test ..."""
    selection: str | None = None
    counts: str | None = None
    """For operations: multiply-adds or single operations."""
    scope: str | None = None
    """For operations: a forward pass or a training step."""
    dtype: str | None = None
    space: str | None = None
    path: str | None = None
    device: str | None = None
    batch: int | None = None
    measured: str | None = None
    unit: str | None = None
    tool: str | None = None
    version: str | None = None
    null: float | None = None
    baseline: str | None = None
    improvement: float | None = None
    volatile: bool = False

    @property
    def n(self) -> int | None:
        """Samples of the smaller side that is told, or None."""
        told = [n for n in (self.n_real, self.n_fake) if n is not None]
        return min(told) if told else None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, else the standard error, else the standard deviation, or None."""
        if self.low is not None and self.high is not None:
            return (self.high - self.low) / 2
        return self.se if self.se is not None else self.std


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something met while reading that a rule tells of."""

    kind: Literal["unknown-metric", "unread-field", "said-twice"]
    where: str
    name: str
    told: str


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit document says beside its numbers."""

    newer: str = ""
    """Its schema, where this version of ganaudit knows only an older one."""
    profile: str = ""
    selftest_passed: bool | None = None
    warnings: tuple[tuple[str, str], ...] = ()
    """(where, text), of the document and of each evaluator."""
    unanswered: tuple[tuple[str, str, str], ...] = ()
    """(evaluator, status, reason), of those that failed or were asked for and could not answer."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file as the rules see it."""

    kind: Literal["claims", "document", "policy", "plan"]
    claims: tuple[Claim, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    policy: Policy | None = None
    plan: AuditPlan | None = None
    audited: Audited | None = None
    document: AuditDocument | None = None
    """The audit document itself, where it is of this version's schema."""

    @property
    def foreign(self) -> Iterator[Claim]:
        """The claims that are not of an audit document."""
        return (claim for claim in self.claims if not claim.own)

    @property
    def gates(self) -> list[Gate]:
        """The gates of its policy, if it has one."""
        return list(self.policy.gate) if self.policy else []
