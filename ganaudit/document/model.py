"""The audit document: frozen, versioned, strict JSON. Gates, reports and comparisons read nothing else.

Every number carries how many samples it rests on, an interval that says what it covers and the same statistic of
real against real (the null), or the words why one of them is missing. NaN and infinity cannot be written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, FiniteFloat, model_validator

from ganaudit.document.details import (
    Axis,
    Curve,
    Detail,
    Gallery,
    GalleryItem,
    Histogram,
    HistogramSeries,
    Note,
    Picture,
    Record,
    Rule,
    Series,
    Slider,
    Table,
    Triplet,
    Triplets,
)
from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.gates import Verdict
from ganaudit.document.intervals import Interval, Null
from ganaudit.document.keys import family

__all__ = [
    "SCHEMA",
    "AuditDocument",
    "Axis",
    "Comparability",
    "Curve",
    "Detail",
    "Environment",
    "ErrorParts",
    "EvaluatorResult",
    "ExtractorRecord",
    "Gallery",
    "GalleryItem",
    "Histogram",
    "HistogramSeries",
    "Interval",
    "Measurement",
    "Note",
    "Null",
    "OtherRecord",
    "Picture",
    "PolicyFile",
    "PrecisionShift",
    "ReferenceRecord",
    "Rule",
    "SelfTest",
    "Series",
    "Slider",
    "SplitRecord",
    "SubjectRecord",
    "Table",
    "Triplet",
    "Triplets",
]

SCHEMA = "ganaudit.document/1"


class Measurement(Record):
    """One number, what it rests on and what it can be held against."""

    key: str
    title: str
    value: FiniteFloat | None
    reason: str | None = None
    """Why there is no value; required when ``value`` is null."""
    interval: Interval | None = None
    interval_reason: str | None = None
    """Why there is no interval; required when ``interval`` is null and there is a value."""
    n: int = Field(ge=0)
    """Samples the value rests on: the smaller side."""
    sizes: dict[str, int] = Field(default_factory=dict)
    """Samples by side, such as real and fake."""
    unit: str
    better: Literal["lower", "higher", "target", "none"]
    target: FiniteFloat | None = None
    """The ideal value when ``better`` is target."""
    null: Null | None = None
    null_reason: str | None = None
    """Why there is no null; required when ``null`` is null and there is a value."""
    estimator: str = ""
    """The estimator in the field's terms: divisor, bias, convention."""
    error_parts: ErrorParts | None = None
    """Its error by groups of samples, where its interval can be split so: for the difference from another audit's."""
    volatile: bool = False
    """Whether each run measures it anew, as the machine and its load then are: equal audits differ in it."""

    @model_validator(mode="after")
    def _says_why(self) -> Measurement:
        if self.value is None and not self.reason:
            raise ValueError(f"{self.key}: a measurement without a value needs the reason")
        if self.value is not None and self.interval is None and not self.interval_reason:
            raise ValueError(f"{self.key}: a value without an interval needs interval_reason")
        if self.value is not None and self.null is None and not self.null_reason:
            raise ValueError(f"{self.key}: a value without a null needs null_reason")
        return self


class DeclaredMeasurement(Record):
    """What an evaluator's spec promises to measure; gates check their keys against these."""

    key: str
    """A word in braces makes it a family, as in ``robust-accuracy-at-{budget}``."""
    title: str
    unit: str
    better: Literal["lower", "higher", "target", "none"]
    meaning: str
    least: FiniteFloat | None = None
    """The smallest value it can have; null where there is none, or where an old document does not tell."""
    most: FiniteFloat | None = None
    """The largest value it can have, likewise."""


class EvaluatorResult(Record):
    """What one evaluator found, or why it did not."""

    evaluator: str
    title: str
    question: str
    status: Literal["measured", "not_assessable", "skipped", "failed"]
    reason: str | None = None
    """Why it was not measured; required unless the status is measured."""
    requested: bool = False
    """Whether the plan asked for it by name."""
    measurements: list[Measurement] = Field(default_factory=list)
    details: list[Detail] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)
    declares: list[DeclaredMeasurement] = Field(default_factory=list)
    references: list[str] = Field(default_factory=list)
    """Papers and standards behind the numbers."""
    misleads: str = ""
    """When these numbers mislead, in plain words."""
    seconds: float = 0.0

    @model_validator(mode="after")
    def _says_why(self) -> EvaluatorResult:
        if self.status != "measured" and not self.reason:
            raise ValueError(f"{self.evaluator}: status {self.status} needs a reason")
        return self


class SubjectRecord(Record):
    """What was audited."""

    name: str
    kind: str
    """The loader that read it."""
    path: str | None = None
    digest: str
    """sha256 over weights and spec, or over the samples."""
    trust: Literal["data", "operators", "code", "in-process"]
    """What its files could have run while being read."""
    has_generator: bool
    has_discriminator: bool
    latent: str | None = None
    sample: str
    """Shape and range of a sample."""
    classes: int = 0
    parameters: dict[str, int] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    """What the subject's own files say of its training; not checked."""
    checks: list[str] = Field(default_factory=list)
    """What the self-check on one tiny batch found."""


class OtherRecord(Record):
    """A subject beside the audited one: its discriminator judged the same samples."""

    name: str
    """The name that the plan gives it."""
    subject: str
    """The name that its own files give it."""
    kind: str
    """The loader that read it."""
    path: str | None = None
    digest: str
    """sha256 over weights and spec, or over the samples."""
    trust: Literal["data", "operators", "code", "in-process"]
    """What its files could have run while being read."""
    classes: int = 0
    converted: str | None = None
    """How values are mapped between its range and the audited subject's; null where both are one."""
    training: dict[str, Any] = Field(default_factory=dict)
    """What its own files say of its training; not checked."""


class SplitRecord(Record):
    """One split of the reference."""

    n: int
    digest: str
    seen: Literal["seen", "unseen", "unknown"]
    """Whether the subject was trained on it."""


class ReferenceRecord(Record):
    """The real samples it was held against."""

    name: str
    kind: str
    digest: str
    against: str
    """The split that fidelity evaluators compare with."""
    null_rule: str
    """Which real samples stood in for generated ones in the nulls."""
    splits: dict[str, SplitRecord]
    sample: str
    classes: list[str] = Field(default_factory=list)
    licence: str = ""
    unreadable: int = 0
    """Files left out because they could not be read (--skip-unreadable)."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Rows of a split that were left out because the train split has them too, value for value."""


class PrecisionShift(Record):
    """What a reduced precision changes, measured: the same samples through the same network in fp32 and in it."""

    samples: int
    """Samples of each side that went through both."""
    feature_error: FiniteFloat
    """Norm of the difference of all their features over the norm of those in fp32."""
    fd_fp32: FiniteFloat
    """Fréchet distance of these samples in fp32, in squared feature units."""
    fd: FiniteFloat
    """The same in the reduced precision."""
    relative: FiniteFloat
    """(fd - fd_fp32) / fd_fp32."""


class ExtractorRecord(Record):
    """The network that turned samples into features."""

    id: str
    why: str
    """The rule by which the audit picked it."""
    digest: str
    dimensions: int
    preprocessing: str
    caution: str = ""
    """What readers must know before comparing its numbers with published ones."""
    precision: str = "fp32"
    """What the network ran in; both sides always in the same."""
    protocol: str = "ganaudit"
    """The named bundle of conventions that was followed."""
    shift: PrecisionShift | None = None
    """What a precision other than fp32 changes."""


class SelfTest(Record):
    """What the last ``ganaudit selftest`` on the machine came to."""

    passed: bool
    checks: int
    """Known answers that were asked for."""
    ganaudit: str
    """The version that was tested; torch likewise."""
    torch: str
    when: str
    """UTC."""


class PolicyFile(Record):
    """The file that a policy was read from."""

    name: str
    """Where it lay, seen from the folder of the audit; from the root or from ``~`` where both share no folder."""
    digest: str
    """sha256 of the file; of a ``pyproject.toml``, over the canonical JSON of the policy in it, defaults left out."""

    def places(self, folder: Path) -> list[Path]:
        """Return where the file may lie, given the audit's folder: where it lay then, or beside the audit."""
        then = Path(self.name).expanduser() if self.name.startswith("~") else folder / self.name
        return [then, folder / then.name]


class Environment(Record):
    """Where and with what the numbers were made."""

    ganaudit: str
    python: str
    platform: str
    processor: str
    device: str
    threads: int
    precision: str
    packages: dict[str, str]
    command: str
    """The exact command that repeats this audit."""
    selftest: SelfTest | None = None
    """Null where none was run, or where its record is gone."""
    policy_file: PolicyFile | None = Field(default=None, exclude_if=lambda found: found is None)
    """The file of the policy that judged; absent where there is none, as for a preset."""


class Comparability(Record):
    """What must be equal before two audits' numbers may be compared."""

    digest: str
    fields: dict[str, Any]


class AuditDocument(Record):
    """One audit, whole."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )

    schema_: Literal["ganaudit.document/1"] = Field(default="ganaudit.document/1", alias="schema")
    subject: SubjectRecord
    others: list[OtherRecord] = Field(default_factory=list)
    """Subjects that stood beside it."""
    reference: ReferenceRecord
    extractor: ExtractorRecord
    plan: dict[str, Any]
    environment: Environment
    comparability: Comparability
    started: str
    """UTC, ISO 8601."""
    seconds: float
    warnings: list[str] = Field(default_factory=list)
    """What a reader must know before trusting any number below."""
    galleries: list[Gallery] = Field(default_factory=list)
    results: list[EvaluatorResult]
    policy: dict[str, Any] | None = None
    """The policy that was judged, as it stood."""
    verdicts: list[Verdict] = Field(default_factory=list)
    remarks: list[str] = Field(default_factory=list)
    """What the judge had to say beside the verdicts."""
    changed: str | None = None
    """How it was found changed since it was written, when it was judged again; such a document never passes."""
    integrity: str | None = None
    """sha256 over everything else as it was written; another one tells that the document was changed since."""

    def result(self, evaluator: str) -> EvaluatorResult | None:
        """Return the result of one evaluator, or None when the document has no row for it."""
        return next((r for r in self.results if r.evaluator == evaluator), None)

    def measurement(self, measure: str) -> Measurement | None:
        """Return the measurement named ``<evaluator>/<key>``, or None."""
        evaluator, _, key = measure.partition("/")
        result = self.result(evaluator)
        return None if result is None else next((m for m in result.measurements if m.key == key), None)

    def declared(self, measure: str) -> DeclaredMeasurement | None:
        """Return what was promised of ``<evaluator>/<key>``, itself or its family, or None."""
        evaluator, _, key = measure.partition("/")
        result = self.result(evaluator)
        promised = result.declares if result is not None else []
        found = family(key, (d.key for d in promised))
        return next((d for d in promised if d.key == found), None)

    def measures(self) -> list[str]:
        """Return every ``<evaluator>/<key>`` this document measured or could have measured, families by their name."""
        names = {f"{r.evaluator}/{m.key}" for r in self.results for m in r.measurements}
        names |= {f"{r.evaluator}/{d.key}" for r in self.results for d in r.declares}
        return sorted(names)
