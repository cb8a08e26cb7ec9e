"""What an evaluator says of itself before it runs, and what it hands back: the vocabulary of the evaluator contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.keys import family, member, part
from ganaudit.document.model import DeclaredMeasurement, Detail, Interval, Measurement, Null

if TYPE_CHECKING:  # the vocabulary itself loads without torch
    from torch import Tensor

__all__ = ["Comparison", "EvaluatorSpec", "Exhibit", "Findings", "MeasurementSpec", "NotAssessable"]


@dataclass(frozen=True, slots=True)
class MeasurementSpec:
    """One number an evaluator promises."""

    key: str
    """A word in braces makes it a family, one number for each entry of an option: ``robust-accuracy-at-{budget}``."""
    title: str
    """The entry takes the place of the braces here as well."""
    meaning: str
    """What the number says, in one plain sentence."""
    unit: str
    better: Literal["lower", "higher", "target", "none"]
    estimator: str
    """Formula and conventions: divisor, bias, ties."""
    bounds: tuple[float | None, float | None] = (None, None)
    """The range of possible values; None is unbounded."""
    target: float | None = None
    interval: bool = True
    """Whether it ever has an interval, given samples enough."""
    volatile: bool = False
    """Whether each run measures it anew, such as a time: equal audits differ in it."""


@dataclass(frozen=True, slots=True)
class EvaluatorSpec:
    """One question and the numbers that answer it."""

    id: str
    title: str
    question: str
    needs: tuple[str, ...]
    """Evidence nodes without which it cannot answer, and the nodes of its nulls (``.../null-...``), which may miss."""
    measurements: tuple[MeasurementSpec, ...]
    misleads: str
    """When these numbers mislead."""
    minimum: Mapping[str, int] = field(default_factory=dict)
    """The fewest samples of a node it can use."""
    references: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    """Evidence nodes of which it needs one or more, whichever: wanted ones too, each to be asked for by ``missing``."""
    wants: tuple[str, ...] = ()
    """Evidence nodes it reads where they exist, after asking ``view.missing``; the view refuses every node that is
    neither needed nor wanted."""

    def measurement(
        self,
        key: str,
        value: float | None,
        sizes: Mapping[str, int],
        *,
        interval: Interval | None = None,
        interval_reason: str | None = None,
        null: Null | None = None,
        null_reason: str | None = None,
        reason: str | None = None,
        estimator: str | None = None,
        error_parts: ErrorParts | None = None,
    ) -> Measurement:
        """Return the measurement ``key`` with title, unit, direction and estimator filled in from this spec."""
        spec = self.promise(key)
        assert spec is not None, f"{self.id} promises no {key}"
        return Measurement(
            key=key,
            title=member(spec.title, part(spec.key, key) or ""),
            value=value,
            reason=reason,
            interval=interval,
            interval_reason=interval_reason,
            n=min(sizes.values()),
            sizes=dict(sizes),
            unit=spec.unit,
            better=spec.better,
            target=spec.target,
            null=null,
            null_reason=null_reason,
            estimator=estimator or spec.estimator,
            error_parts=error_parts,
            volatile=spec.volatile,
        )

    def unmet(self, missing: Callable[[str], str | None]) -> str | None:
        """Return why evidence that it cannot do without is not there, by ``missing`` of a node, or None.

        A number without its null is still a number, so nodes of nulls may miss; the null then says why.
        """
        reasons = [missing(node) for node in self.needs if "/null-" not in node]
        either = [missing(node) for node in self.one_of]
        if either and None not in either:
            named = " or ".join(self.one_of)
            reasons.append(f"needs {named}: {'; '.join(reason for reason in either if reason)}")
        return next((reason for reason in reasons if reason is not None), None)

    @property
    def needed(self) -> list[str]:
        """The evidence that it cannot do without, in words."""
        return [*self.needs, *([" or ".join(self.one_of)] if self.one_of else [])]

    def promise(self, key: str) -> MeasurementSpec | None:
        """Return what is promised of the number ``key``, itself or its family, or None."""
        found = family(key, (m.key for m in self.measurements))
        return next((m for m in self.measurements if m.key == found), None)

    def declared(self) -> list[DeclaredMeasurement]:
        """Return the promised measurements as the document records them."""
        return [
            DeclaredMeasurement(
                key=m.key,
                title=m.title,
                unit=m.unit,
                better=m.better,
                meaning=m.meaning,
                least=m.bounds[0],
                most=m.bounds[1],
            )
            for m in self.measurements
        ]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Samples that an evaluator wants shown, by their numbers; the audit turns them into a gallery."""

    title: str
    rule: str
    """How they were chosen, in plain words."""
    side: Literal["real", "fake"]
    indices: Sequence[int]
    captions: Sequence[str] = ()
    """One for each, or none."""
    samples: Tensor | None = field(default=None, compare=False)
    """Samples of the evaluator's own in place of numbered ones, float (B, C, H, W) or (B, C, T) in the subject's range,
    as many as ``indices``, which then name nothing. Reports show eight to a row. Side "real": reals can be seen."""
    beside: Sequence[int] = ()
    """Numbers of train reals, one for each generated sample or none: each is shown at the right of its sample."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Samples of an evaluator's own before and after a change; the audit turns them into rows of three pictures.

    Raises ValueError when its parts do not fit together or a number is not finite.
    """

    title: str
    rule: str
    """How they were chosen, in plain words."""
    side: Literal["real", "fake"]
    """real also where a real sample can be seen in a changed one: a plan without real samples leaves it out."""
    indices: Sequence[int]
    """Their numbers: row i of ``before`` and ``after`` is sample ``indices[i]``, each shown once."""
    before: Tensor
    """Images (B, C, H, W), C 1 or 3, or waveforms (B, C, T), as the discriminator read them."""
    after: Tensor
    """The same after the change, shape of ``before``."""
    value_range: tuple[float, float]
    """The least and the largest value a sample may have."""
    scores_before: Sequence[float]
    scores_after: Sequence[float]
    norms: Sequence[float]
    """Sizes of the changes, 0 or more."""
    unit: str
    """Which norm that is, and in which unit."""
    threshold: float | None = None
    """A score strictly below it is called generated; None where there is no verdict."""
    captions: Sequence[str] = ()
    """One for each, or none."""

    def __post_init__(self) -> None:
        n, shape = len(self.indices), tuple(self.before.shape)
        if len(shape) not in (3, 4) or shape[0] != n or tuple(self.after.shape) != shape:
            found = f"{n} indices, before {shape}, after {tuple(self.after.shape)}"
            raise ValueError(f"comparison {self.title!r}: found {found}; allowed: one shape, a row for each index")
        if len(shape) == 4 and shape[1] not in (1, 3):
            raise ValueError(f"comparison {self.title!r}: found {shape[1]} channels; allowed: images of 1 or 3")
        if len(set(self.indices)) < n:
            raise ValueError(f"comparison {self.title!r}: a sample is shown twice; allowed: each index once")
        low, high = self.value_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"comparison {self.title!r}: found range {low}, {high}; allowed: the lower first")
        numbers = {"scores_before": self.scores_before, "scores_after": self.scores_after, "norms": self.norms}
        for name, given in numbers.items():
            if len(given) != n or not all(map(math.isfinite, given)):
                raise ValueError(f"comparison {self.title!r}: {name} needs {n} finite numbers")
        if any(size < 0 for size in self.norms):
            raise ValueError(f"comparison {self.title!r}: norms must not be below 0")
        if self.captions and len(self.captions) != n:
            raise ValueError(f"comparison {self.title!r}: found {len(self.captions)} captions; allowed: {n} or none")
        if not bool(self.before.isfinite().all() and self.after.isfinite().all()):
            raise ValueError(f"comparison {self.title!r}: a value of before or after is not finite")


@dataclass(frozen=True, slots=True)
class Findings:
    """What an evaluator found."""

    measurements: list[Measurement]
    details: list[Detail] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    conventions: Mapping[str, Any] = field(default_factory=dict)
    """Choices that change the numbers beyond the options; they enter the comparability key."""
    exhibits: list[Exhibit] = field(default_factory=list)
    """At most a few dozen samples each."""
    comparisons: list[Comparison] = field(default_factory=list)
    """At most a dozen samples each."""


class NotAssessable(Exception):  # noqa: N818 - an answer, not an error
    """Raised by an evaluator that cannot answer on this evidence; the message says what it would need."""
