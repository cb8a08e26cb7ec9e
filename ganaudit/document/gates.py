"""What a policy asks and what the answer is: gates and waivers are data, verdicts are data."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationInfo, field_validator, model_validator

__all__ = ["Gate", "Policy", "Verdict", "Waiver"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Gate(_Strict):
    """One demand on one number of the document. Its direction comes from the measurement."""

    id: str
    measure: str
    """``<evaluator>/<key>``."""
    limit: FiniteFloat | None = None
    baseline: bool = False
    """Hold the number against the same number of a baseline document instead of a limit."""
    margin: FiniteFloat = Field(default=0.0, ge=0.0)
    """With ``baseline``: the loss that is allowed."""
    confidence: float | None = Field(default=None, gt=0.0, lt=1.0)
    """The confidence the interval must have; a number without an interval is then inconclusive."""
    min_n: int = Field(default=0, ge=0)
    level: Literal["error", "warn", "info"] = "error"

    @model_validator(mode="after")
    def _limit_or_baseline(self) -> Gate:
        if (self.limit is None) == (not self.baseline):
            raise ValueError("a gate needs either limit or baseline = true")
        if self.margin and not self.baseline:
            raise ValueError("margin belongs to baseline = true")
        return self


class Waiver(_Strict):
    """A failed gate that somebody accepted, for one subject, up to a ceiling, until a day."""

    gate: str
    subject: str
    """Digest of the subject it is granted to."""
    ceiling: FiniteFloat
    """The worst value it covers."""
    reason: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    expires: date


class Policy(_Strict):
    """The gates of a project and how hard they are."""

    fail_on: Literal["error", "warn", "never"] = "error"
    on_inconclusive: Literal["error", "warn", "pass"] = "error"
    gate: list[Gate] = Field(default_factory=list)
    waiver: list[Waiver] = Field(default_factory=list)

    # Validators of the fields, not of the whole: they speak up beside every other problem of the policy.
    @field_validator("gate")
    @classmethod
    def _ids_are_unique(cls, gates: list[Gate]) -> list[Gate]:
        ids = [g.id for g in gates]
        doubled = sorted({i for i in ids if ids.count(i) > 1})
        if doubled:
            raise ValueError(f"gate ids must be unique; used twice: {', '.join(doubled)}")
        return gates

    @field_validator("waiver")
    @classmethod
    def _gates_exist(cls, waivers: list[Waiver], info: ValidationInfo) -> list[Waiver]:
        if "gate" in info.data:
            lost = sorted({w.gate for w in waivers} - {g.id for g in info.data["gate"]})
            if lost:
                raise ValueError(f"waivers name gates that do not exist: {', '.join(lost)}")
        return waivers


class Verdict(_Strict):
    """The answer to one gate."""

    gate: str
    measure: str
    level: Literal["error", "warn", "info"]
    outcome: Literal["passed", "failed", "inconclusive", "missing", "waived"]
    blocking: bool
    """Whether this outcome alone keeps the exit code from being 0."""
    value: FiniteFloat | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    limit: FiniteFloat | None = None
    direction: Literal["lower", "higher"] | None = None
    n: int | None = None
    n_needed: int | None = None
    """About how many samples would decide an inconclusive gate."""
    message: str
