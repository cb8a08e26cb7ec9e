"""Runs the evaluators of a setting one after another and writes one document."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganaudit import registry
from ganaudit.auditing import finished
from ganaudit.auditing.gallery import compared, exhibited, galleries, is_sample_file
from ganaudit.auditing.records import (
    comparability,
    environment,
    extractor_record,
    other_records,
    plan_record,
    reference_record,
    subject_record,
)
from ganaudit.auditing.setting import Setting, settle
from ganaudit.auditing.shift import measured_shift
from ganaudit.auditing.stamp import last_selftest
from ganaudit.auditing.until import Until, grown
from ganaudit.auditing.withholding import Withholding
from ganaudit.config import AuditPlan, make_plan
from ganaudit.data.reference import Reference
from ganaudit.document.errors import GanauditError, NotFiniteError, PluginError
from ganaudit.document.files import check_writable, sealed, write_atomically, write_document
from ganaudit.document.model import AuditDocument, EvaluatorResult, Measurement, PrecisionShift
from ganaudit.document.redaction import private_of_this_machine, redacted
from ganaudit.document.spec import EvaluatorSpec, Findings, NotAssessable
from ganaudit.evidence.ranks import SINGLE, Ranks
from ganaudit.evidence.view import Evaluator, View
from ganaudit.features.extractor import Extractor
from ganaudit.numerics.allocator import keep_memory
from ganaudit.numerics.intervals import clopper_pearson
from ganaudit.numerics.randomness import generator
from ganaudit.progress import Progress, Silent
from ganaudit.subjects.subject import Subject

__all__ = ["Audited", "audit", "run", "write"]

_SHIFT_TOLD = 0.005
_FAILURES_TOLD = 20
_LOG = logging.getLogger("ganaudit")


@dataclass(frozen=True, slots=True)
class Audited:
    """A finished audit: the document and the sample files it names."""

    document: AuditDocument
    files: dict[str, bytes]
    remarks: tuple[str, ...] = ()
    """What the run is worth telling that is no property of the audit."""


def audit(
    subject: str | Path | Subject,
    reference: str | Path | Reference | dict[str, str] | None = None,
    *,
    out: str | Path | None = None,
    extractor: str | Mapping[str, Any] | Extractor | None = None,
    others: Mapping[str, str | Path | Subject] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> AuditDocument:
    """Return the audit document of ``subject`` held against ``reference``.

    ``options`` are the keys of ``audit.toml``: ``samples=500``, ``seed=0``, ``evaluators={"frechet-distance": {}}`` and
    so on, and ``trust_code=True``, which no file can say and which lets code of subjects named by text be run.
    ``extractor`` is an id, the table ``{"id": ..., "weights": ...}``, or an object with the contract of
    ``ganaudit.features.extractor.Extractor``, such as ``ganaudit.features.module.Module.of(network, ...)``. ``others``
    are subjects beside this one, by a name of yours.
    With ``out`` the document and its samples are written there.
    Raises a UserError (ConfigError, SubjectError, SourceError, ...) when something given cannot be used.
    """
    if out is not None:
        check_writable(Path(out))
    data: dict[str, Any] = dict(options)
    if not isinstance(subject, Subject):
        data["subject"] = str(subject)
    if reference is not None and not isinstance(reference, Reference):
        data["reference"] = str(reference) if isinstance(reference, Path) else reference
    beside = others or {}
    named = {name: str(other) for name, other in beside.items() if not isinstance(other, Subject)}
    data |= {"others": named} if named else {}
    made = None if extractor is None or isinstance(extractor, str | Mapping) else extractor
    if isinstance(extractor, str | Mapping):
        data["extractor"] = {"id": extractor} if isinstance(extractor, str) else dict(extractor)
    plan = make_plan(data, "options", registry.names("evaluators"))
    audited = run(
        plan,
        subject=subject if isinstance(subject, Subject) else None,
        reference=reference if isinstance(reference, Reference) else None,
        extractor=made,
        others={name: other for name, other in beside.items() if isinstance(other, Subject)},
        progress=progress,
    )
    if out is not None:
        write(audited, Path(out))
    return audited.document


def run(
    plan: AuditPlan,
    *,
    subject: Subject | None = None,
    reference: Reference | None = None,
    extractor: Extractor | None = None,
    others: Mapping[str, Subject] | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
    ranks: Ranks = SINGLE,
) -> Audited:
    """Return the finished audit of ``plan``; objects given here stand in for what the plan names.

    Of several ``ranks`` every one runs this and holds the same document at the end.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    keep_memory()
    setting = settle(plan, subject, reference, progress or Silent(), ranks, extractor, others)
    until = grown(setting, _measured, _why_not) if plan.until is not None else None
    setting = until.setting if until is not None else setting
    withholding = Withholding(setting)
    shown, files = galleries(setting, withholding)
    results, conventions = [], {}
    for name in registry.names("evaluators"):
        if name in setting.broken:
            result = _unloadable(name, setting.broken[name], "failed")
        elif name in setting.evaluators:
            result, found, pictures = _result(name, setting, withholding)
            conventions[name] = found
            files.update(pictures)
        else:
            result = _skipped(name)
        results.append(result)
    shift = measured_shift(setting)
    document = AuditDocument(
        subject=subject_record(setting),
        others=other_records(setting),
        reference=reference_record(setting),
        extractor=extractor_record(setting, shift),
        plan=plan_record(setting, until),
        environment=environment(setting, list(command) if command else None, last_selftest()),
        comparability=comparability(setting, conventions),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - clock, 3),
        warnings=[
            *setting.warnings,
            *_grown_warnings(plan, until),
            *_shift_warnings(shift),
            *_failure_warnings(setting),
            *_memory_warnings(setting),
            *withholding.warnings,
        ],
        galleries=shown,
        results=results,
    )
    problem = setting.store.problem
    document = redacted(document, private_of_this_machine())
    return Audited(document, files, (f"evidence was not kept: {problem}",) if problem else ())


def _measured(name: str, setting: Setting) -> list[Measurement]:
    """Return the measurements of one evaluator, none where it cannot answer yet."""
    if _unassessable(setting.evaluators[name].spec, setting) is not None:
        return []
    try:
        return _evaluated(setting.evaluators[name], setting).measurements
    except (NotAssessable, NotFiniteError):
        return []


def _why_not(name: str, setting: Setting) -> str | None:
    return _unassessable(setting.evaluators[name].spec, setting)


def _grown_warnings(plan: AuditPlan, until: Until | None) -> list[str]:
    return [until.warning(plan.until)] if until is not None and plan.until is not None else []


def _shift_warnings(shift: PrecisionShift | None) -> list[str]:
    if shift is None or abs(shift.relative) <= _SHIFT_TOLD:
        return []
    return [
        f"the reduced precision moved the Fréchet distance of {shift.samples} + {shift.samples} samples by "
        f"{100 * shift.relative:+.2f} %: compare with audits of the same precision only"
    ]


def _memory_warnings(setting: Setting) -> list[str]:
    """Return what was halved for want of memory, by any of the processes, with the subject or with another."""
    others = [f"other {n!r}: {t}" for n, o in setting.evidence.others.items() for t in o.subject.room.told()]
    told = setting.evidence.ranks.gathered([*setting.subject.room.told(), *others])
    return sorted({sentence for one in told for sentence in one})


def _failure_warnings(setting: Setting) -> list[str]:
    """Return which samples of the audit the generator failed on."""
    plan = setting.evidence.plan
    failed = [sample for sample in setting.subject.failures.of(plan.seed) if sample < plan.samples]
    if not failed:
        return []
    ends = clopper_pearson(len(failed), plan.samples, 0.95)
    told = ", ".join(map(str, failed[:_FAILURES_TOLD])) + (", ..." if len(failed) > _FAILURES_TOLD else "")
    return [
        f"the generator made NaN or infinity of {len(failed)} of {plan.samples} latents "
        f"({len(failed) / plan.samples:.2%}; 95 %: {ends.low:.2%} to {ends.high:.2%}): samples {told} of seed "
        f"{plan.seed}. Each was drawn again, so every number is about the samples that it does make"
    ]


def write(audited: Audited, folder: Path) -> None:
    """Write samples, then the document; each file atomically, the document last. Samples of an earlier audit go."""
    if (folder / "samples").is_dir():
        for path in (folder / "samples").iterdir():
            if is_sample_file(path.name) and f"samples/{path.name}" not in audited.files:
                path.unlink()
    for name, content in audited.files.items():
        write_atomically(folder / name, content)
    write_document(sealed(audited.document), folder / "document.json")


def _unloadable(name: str, reason: str, status: str) -> EvaluatorResult:
    return EvaluatorResult.model_validate(
        {
            "evaluator": name,
            "title": name,
            "question": "unknown: it cannot be loaded",
            "status": status,
            "reason": reason,
        }
    )


def _skipped(name: str) -> EvaluatorResult:
    try:
        spec: EvaluatorSpec = registry.find("evaluators", name).spec
    except PluginError as error:
        return _unloadable(name, f"not asked for, and cannot be loaded: {error}", "skipped")
    return _row(spec, "skipped", "not asked for: the plan names other evaluators", requested=False)


def _result(
    name: str, setting: Setting, withholding: Withholding
) -> tuple[EvaluatorResult, dict[str, Any], dict[str, bytes]]:
    evaluator = setting.evaluators[name]
    spec, clock = evaluator.spec, time.perf_counter()
    requested = name in setting.plan.evaluators
    options = setting.options[name]
    reason = _unassessable(spec, setting)
    if reason is not None:
        return _row(spec, "not_assessable", reason, requested=requested, options=options), {}, {}
    try:
        found = _evaluated(evaluator, setting)
    except (NotAssessable, NotFiniteError) as answer:  # at latents of its own; samples that fail are drawn again
        return _row(spec, "not_assessable", str(answer), requested=requested, options=options), {}, {}
    except GanauditError:
        raise  # the evidence itself is unusable: every number would be
    except Exception as error:
        # One evaluator's fault must not cost the finished work of the others; the document shows it as failed.
        _LOG.exception("evaluator %s failed", name)
        reason = f"{type(error).__name__}: {error}"
        return _row(spec, "failed", reason[:500], requested=requested, options=options), {}, {}
    shown, files = exhibited(setting, withholding, name, found.exhibits)
    changed, more = compared(setting, withholding, name, found.comparisons)
    row = _row(spec, "measured", None, requested=requested, options=options).model_copy(
        update={
            "measurements": found.measurements,
            "details": [*found.details, *shown, *changed],
            "warnings": found.warnings,
            "seconds": round(time.perf_counter() - clock, 3),
        }
    )
    return row, dict(found.conventions), {**files, **more}


def _evaluated(evaluator: Evaluator, setting: Setting) -> Findings:
    key = finished.key_of(evaluator.spec.id, setting) if setting.plan.cache else None
    if key is None:
        return _found(evaluator, setting)
    ranks, failures, seed = setting.evidence.ranks, setting.subject.failures, setting.plan.seed
    known = finished.find(key, failures, seed)
    if all(ranks.gathered(known is not None)) and known is not None:
        return known
    found = _found(evaluator, setting)
    if ranks.is_writer:
        finished.keep(key, found, failures, seed)
    return found


def _found(evaluator: Evaluator, setting: Setting) -> Findings:
    view = View(setting.evidence, (*evaluator.spec.needs, *evaluator.spec.wants))
    found = evaluator.evaluate(view, generator(setting.plan.seed, evaluator.spec.id))
    surprising = {m.key for m in found.measurements if evaluator.spec.promise(m.key) is None}
    if surprising:
        raise ValueError(f"measured what its spec does not declare: {', '.join(sorted(surprising))}")
    return found


def _unassessable(spec: EvaluatorSpec, setting: Setting) -> str | None:
    evidence = setting.evidence
    reason = spec.unmet(evidence.missing)
    if reason is not None:
        return reason
    for node, least in spec.minimum.items():
        count = evidence.count(node)
        if count < least:
            return f"needs at least {least} rows of {node}; there are {count}"
    return None


def _row(
    spec: EvaluatorSpec, status: str, reason: str | None, *, requested: bool, options: dict[str, Any] | None = None
) -> EvaluatorResult:
    return EvaluatorResult.model_validate(
        {
            "evaluator": spec.id,
            "title": spec.title,
            "question": spec.question,
            "status": status,
            "reason": reason,
            "requested": requested,
            "options": options or {},
            "declares": [m.model_dump() for m in spec.declared()],
            "references": list(spec.references),
            "misleads": spec.misleads,
        }
    )
