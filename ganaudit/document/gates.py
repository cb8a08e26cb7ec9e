"""What a policy asks and what the answer is: gates and waivers are data, verdicts are data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

__all__ = ["Gate", "Policy", "Verdict", "Waiver", "doubled_ids", "lost_waivers"]


Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A text that says something."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Gate(_Strict):
    """One demand on one number of the document, or on each number of a family. Its direction is the measurement's."""

    id: Said
    measure: str
    """``<evaluator>/<key>``, or a family such as ``augmentation-bias/leak-{operation}``: each slice is judged."""
    limit: FiniteFloat | None = None
    baseline: bool = False
    """Hold the number against the same number of a baseline instead of a limit."""
    null: bool = False
    """Hold the number against its null, real against real, instead of a limit."""
    margin: FiniteFloat = Field(default=0.0, ge=0.0)
    """With ``baseline`` or ``null``: the loss that is allowed, in the number's unit."""
    ratio: FiniteFloat = Field(default=1.0, ge=1.0)
    """With ``null``: by which factor the number may be worse than its null, before the margin."""
    anchor_margin: FiniteFloat | None = Field(default=None, ge=0.0)
    """With ``baseline``: the loss that is allowed since the anchor, summed over all that was accepted after it."""
    confidence: float | None = Field(default=None, gt=0.0, lt=1.0)
    """The confidence the interval must have. Where it has less and its method allows, it is made wider: at most 0.999
    by an approximate law, any by an exact one; else the gate is inconclusive, as on a number without an interval."""
    min_n: int = Field(default=0, ge=0)
    replicates: int = Field(default=1, ge=1)
    """How many audits of other seeds, this one among them, the number is the mean of."""
    slices: list[str] = Field(default_factory=list)
    """With a family: the entries it is asked of, each of which must be there; all that were measured where empty."""
    level: Literal["error", "warn", "info"] = "error"

    @model_validator(mode="after")
    def _one_ground(self) -> Gate:
        grounds = [self.limit is not None, self.baseline, self.null]
        if sum(grounds) != 1:
            raise ValueError("a gate needs either limit or baseline = true, or null = true")
        if self.margin and self.limit is not None:
            raise ValueError("margin belongs to baseline = true or null = true")
        if self.ratio != 1.0 and not self.null:
            raise ValueError("ratio belongs to null = true")
        if self.anchor_margin is not None and not self.baseline:
            raise ValueError("anchor_margin belongs to baseline = true")
        if len(set(self.slices)) < len(self.slices):
            raise ValueError("slices must differ from each other")
        if self.slices and not ("{" in self.measure or "*" in self.measure):
            raise ValueError("slices belong to a family, such as augmentation-bias/leak-{operation}")
        return self


class Waiver(_Strict):
    """A failed gate that somebody accepted, for one subject, up to a ceiling, until a day."""

    gate: str
    slice: str | None = None
    """The one slice of its gate that it covers; every slice where it is not given."""
    subject: str
    """Digest of the subject it is granted to."""
    ceiling: FiniteFloat
    """The worst value it covers."""
    reason: Said
    owner: Said
    expires: date


class Policy(_Strict):
    """The gates of a project and how hard they are."""

    fail_on: Literal["error", "warn", "never"] = "error"
    on_inconclusive: Literal["error", "warn", "pass"] = "error"
    multiplicity: Literal["slices", "gates", "none"] = "slices"
    """For how many comparisons at once a failure must hold: those of its gate, those of the whole policy, or one."""
    min_gates: int = Field(default=0, ge=0)
    """How many numbers must have been judged, passed or failed, before the policy can pass."""
    gate: list[Gate] = Field(default_factory=list)
    waiver: list[Waiver] = Field(default_factory=list)

    # Validators of the fields, not of the whole: they speak up beside every other problem of the policy.
    @field_validator("gate")
    @classmethod
    def _ids_are_unique(cls, gates: list[Gate]) -> list[Gate]:
        problem = doubled_ids([g.id for g in gates])
        if problem:
            raise ValueError(problem)
        return gates

    @field_validator("waiver")
    @classmethod
    def _gates_exist(cls, waivers: list[Waiver], info: ValidationInfo) -> list[Waiver]:
        if "gate" in info.data:
            problem = lost_waivers([w.gate for w in waivers], [g.id for g in info.data["gate"]])
            if problem:
                raise ValueError(problem)
        return waivers


def doubled_ids(ids: Sequence[str]) -> str | None:
    """Return which ids of gates stand twice, in words, or None."""
    doubled = sorted({i for i in ids if ids.count(i) > 1})
    return f"gate ids must be unique; used twice: {', '.join(doubled)}" if doubled else None


def lost_waivers(named: Sequence[str], ids: Sequence[str]) -> str | None:
    """Return which gates that waivers name are not among ``ids``, in words, or None."""
    lost = sorted(set(named) - set(ids))
    return f"waivers name gates that do not exist: {', '.join(lost)}" if lost else None


class Verdict(_Strict):
    """The answer to one gate, or to one slice of it."""

    gate: str
    slice: str = ""
    """Which number of a family; empty for a gate on a plain number."""
    measure: str
    level: Literal["error", "warn", "info"]
    outcome: Literal["passed", "failed", "inconclusive", "missing", "waived"]
    blocking: bool
    """Whether this outcome alone keeps the exit code from being 0."""
    value: FiniteFloat | None = None
    low: FiniteFloat | None = None
    """Lower end of the range it was judged by; none where the number has no interval of its own, its value alone was
    judged, and at most the chance of what it was held against counted."""
    high: FiniteFloat | None = None
    """Upper end of that range."""
    limit: FiniteFloat | None = None
    direction: Literal["lower", "higher"] | None = None
    n: int | None = None
    n_needed: int | None = None
    """About how many samples would decide an inconclusive gate, rounded up to two digits; of both audits where it is
    held against a baseline, none where it is held against its null, which moves with n too."""
    held: FiniteFloat | None = None
    """The value of the baseline or of the null that it was held against."""
    anchor: FiniteFloat | None = None
    """The value of the anchor that it was held against."""
    waiver: Waiver | None = None
    """The waiver that covers it."""
    message: str

    @property
    def name(self) -> str:
        """The gate, with its slice in brackets where it has one."""
        return f"{self.gate}[{self.slice}]" if self.slice else self.gate
