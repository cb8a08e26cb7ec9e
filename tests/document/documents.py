"""Small documents, built from what matters to a test."""

from __future__ import annotations

from typing import Any

from ganaudit.document.model import (
    AuditDocument,
    Comparability,
    DeclaredMeasurement,
    Environment,
    EvaluatorResult,
    ExtractorRecord,
    Interval,
    Measurement,
    ReferenceRecord,
    SplitRecord,
    SubjectRecord,
)

SUBJECT = "sha256:" + "a" * 64


def interval(low: float, high: float, level: float = 0.95) -> Interval:
    return Interval(low=low, high=high, level=level, method="test", covers="the draw of both sides")


def number(
    value: float | None,
    spread: tuple[float, float] | None = None,
    *,
    better: str = "lower",
    n: int = 1000,
    level: float = 0.95,
    key: str = "fd",
    **more: Any,
) -> Measurement:
    data: dict[str, Any] = {
        "key": key,
        "title": key,
        "value": value,
        "n": n,
        "unit": "1",
        "better": better,
        "null_reason": "not needed here",
    }
    if spread is None:
        data["interval_reason"] = "the estimator has none"
    else:
        data["interval"] = interval(*spread, level)
    if value is None:
        data["reason"] = "the covariance is singular"
    return Measurement.model_validate(data | more)


def result(
    *measurements: Measurement, evaluator: str = "frechet-distance", status: str = "measured", **more: Any
) -> EvaluatorResult:
    promised = [
        DeclaredMeasurement(key=key, title=key, unit="1", better="lower", meaning="a number")
        for key in ("fd", "fd-corrected")
    ]
    data: dict[str, Any] = {
        "evaluator": evaluator,
        "title": evaluator,
        "question": "How far?",
        "status": status,
        "measurements": list(measurements),
        "declares": promised,
    }
    if status != "measured":
        data["reason"] = "it was made so by a test"
    return EvaluatorResult.model_validate(data | more)


def document(*results: EvaluatorResult, fields: dict[str, Any] | None = None, **more: Any) -> AuditDocument:
    data: dict[str, Any] = {
        "subject": SubjectRecord(
            name="g",
            kind="directory",
            digest=SUBJECT,
            trust="data",
            has_generator=True,
            has_discriminator=False,
            sample="1x8x8 in [-1, 1]",
        ),
        "reference": ReferenceRecord(
            name="r",
            kind="folder",
            digest="sha256:" + "b" * 64,
            against="test",
            null_rule="train against test",
            splits={"test": SplitRecord(n=1000, digest="sha256:" + "c" * 64, seen="unseen")},
            sample="1x8x8",
        ),
        "extractor": ExtractorRecord(id="pixels", why="small", digest="pixels/1", dimensions=64, preprocessing="none"),
        "plan": {"seed": 0, "samples": 1000},
        "environment": Environment(
            ganaudit="0.1.0",
            python="3.11",
            platform="Linux",
            processor="x86_64",
            device="cpu",
            threads=1,
            precision="fp32",
            packages={"torch": "2"},
            command="ganaudit audit g",
        ),
        "comparability": Comparability(digest="sha256:" + "d" * 64, fields=fields or {"extractor": "pixels/1"}),
        "started": "2026-11-22T00:00:00+00:00",
        "seconds": 1.5,
        "results": list(results),
    }
    return AuditDocument.model_validate(data | more)
