"""From a plan to the objects of one audit; everything that can be wrong is found here, before any work."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganaudit import locations, registry
from ganaudit.auditing.extraction import chosen, handed_over, statistics_warnings
from ganaudit.auditing.loaders import subject_loaders
from ganaudit.auditing.options import chosen_evaluators
from ganaudit.auditing.trust import trust_warnings
from ganaudit.config import PROFILES, AuditPlan, OtherPlan
from ganaudit.data.reading import ReadOptions
from ganaudit.data.reference import Reference, check_matches, load_reference
from ganaudit.document.errors import ConfigError, SourceError, SubjectError, nearest
from ganaudit.evidence.evidence import Evidence, EvidencePlan
from ganaudit.evidence.others import Other, beside
from ganaudit.evidence.ranks import SINGLE, Ranks
from ganaudit.evidence.store import Store
from ganaudit.evidence.view import Evaluator
from ganaudit.features.choice import Choice
from ganaudit.features.extractor import Extractor
from ganaudit.progress import Progress
from ganaudit.protocol import DEFAULT, Protocol, protocol
from ganaudit.subjects.loading import LoadOptions, load_subject
from ganaudit.subjects.score_sign import with_score_sign
from ganaudit.subjects.subject import Subject

__all__ = ["Setting", "open_reference", "open_subject", "settle"]


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """Everything one audit works with."""

    plan: AuditPlan
    subject: Subject
    reference: Reference
    choice: Choice
    evidence: Evidence
    evaluators: dict[str, Evaluator]
    """By id, those that will be asked."""
    left_out: tuple[str, ...]
    """Registered evaluators that the plan does not ask."""
    broken: dict[str, str]
    """Registered evaluators that cannot be loaded, with the reason."""
    options: dict[str, dict[str, Any]]
    warnings: tuple[str, ...]
    store: Store
    protocol: Protocol
    progress: Progress

    def at(self, samples: int) -> Setting:
        """Return the same setting with ``samples`` generated samples; rows that are there already are taken over."""
        evidence = self.evidence
        grown = Evidence(
            self.subject,
            self.reference,
            evidence.extractor,
            replace(evidence.plan, samples=samples),
            self.store,
            self.progress,
            evidence.ranks,
            evidence,
            evidence.others,
        )
        return replace(self, evidence=grown)


def settle(
    plan: AuditPlan,
    subject: Subject | None,
    reference: Reference | None,
    progress: Progress,
    ranks: Ranks = SINGLE,
    extractor: Extractor | None = None,
    others: Mapping[str, Subject] | None = None,
) -> Setting:
    """Return the objects of the audit that ``plan`` describes; objects given here stand in for what the plan names.

    Raises ConfigError, SubjectError, SourceError or ExtractorError before anything is generated or extracted.
    """
    _check_device(plan.device)
    followed = protocol(plan.protocol)
    asked = chosen_evaluators(plan, followed)
    subject = with_score_sign(subject, plan.score_sign) if subject is not None else open_subject(plan, progress)
    reference = _with_seen(reference or open_reference(plan, subject, progress), subject).disjoint()
    against = _against(plan, reference)
    around = _others(plan, subject, others or {}, progress)
    warnings = trust_warnings(subject, around)
    warnings += _reference_warnings(reference, against) + _others_warnings(around, subject, reference)
    if reference.statistics is None:
        check_matches(subject.sample.shape, reference)
    if extractor is None:
        choice, extractor = chosen(plan, followed, subject, reference)
    else:
        choice = handed_over(extractor, plan, followed, subject.sample.shape)
    known = reference.statistics
    warnings += statistics_warnings(plan, known, choice, extractor) if known is not None else []
    reals = len(reference.split(against)) if known is None else known.n or PROFILES[plan.profile]
    samples, notes = _sample_count(plan, subject, reals)
    store = Store(locations.cache_dir() / "evidence" if plan.cache else None)
    evidence = Evidence(
        subject,
        reference,
        extractor,
        EvidencePlan(
            samples=samples,
            seed=plan.seed,
            against=against,
            batch=plan.batch_size,
            quantiser=followed.quantiser,
        ),
        store,
        progress,
        ranks,
        others=around,
    )
    known_names = registry.names("evaluators")
    left_out = tuple(n for n in known_names if n not in asked.evaluators and n not in asked.broken)
    if extractor.caution and (choice.is_fallback or choice.id != reference.extractor):
        warnings.append(f"features come from {choice.id}: {extractor.caution}")
    warnings += _size_warnings(plan, subject, reference, samples, extractor)
    return Setting(
        plan=plan,
        subject=subject,
        reference=reference,
        choice=choice,
        evidence=evidence,
        evaluators=asked.evaluators,
        left_out=left_out,
        broken=asked.broken,
        options=asked.options,
        warnings=(*_subject_warnings(subject), *warnings, *notes, *_protocol_warnings(followed, samples)),
        store=store,
        protocol=followed,
        progress=progress,
    )


def open_subject(plan: AuditPlan, progress: Progress) -> Subject:
    """Return the subject that the plan names: a reference model, else a path."""
    if not plan.subject:
        raise ConfigError("subject: required, but not given; name a reference model or a path")
    folder = locations.reference_model(plan.subject)
    # A path that exists is what the user sees in front of them; a reference model's bare name never has a separator.
    is_path = os.sep in plan.subject and Path(plan.subject).exists()
    spec = plan.subject if folder is None or is_path else str(folder)
    loaders = subject_loaders()
    load = LoadOptions(
        network=_network,
        latent=plan.latent,
        value_range=plan.range,
        classes=plan.classes,
        discriminator=plan.discriminator,
        trust_code=plan.trust_code,
        device=plan.device,
        read=_read_options(plan),
        progress=progress,
    )
    subject = load_subject(spec, loaders, locations.reference_models() | locations.controls(), load)
    if folder and spec == str(folder):
        subject = replace(subject, path=None, kind="reference model")
    return with_score_sign(subject, plan.score_sign)


def _others(plan: AuditPlan, subject: Subject, given: Mapping[str, Subject], progress: Progress) -> dict[str, Other]:
    """Return the other subjects that the plan names or that are given, as they stand beside ``subject``."""
    opened = {name: _open_other(name, asked, plan, progress) for name, asked in plan.others.items()}
    return {name: beside(name, other, subject) for name, other in {**opened, **given}.items()}


def _open_other(name: str, asked: OtherPlan, plan: AuditPlan, progress: Progress) -> Subject:
    told = {key: value for key, value in asked if value is not None}
    own = plan.model_copy(update={"discriminator": None, **told})
    try:
        return open_subject(own, progress)
    except (SubjectError, SourceError) as error:
        raise type(error)(f"other {name!r}: {error}") from None


def _others_warnings(others: Mapping[str, Other], subject: Subject, reference: Reference) -> list[str]:
    warnings, known = [], {subject.digest: "the audited subject"}
    for name, other in others.items():
        digest = other.subject.digest
        if digest in known:
            warnings.append(f"other {name!r} is {known[digest]} once more: nothing is learnt from comparing them")
        known.setdefault(digest, f"other {name!r}")
        seen = other.subject.training.get("split_digest")
        warnings += [
            f"other {name!r} was trained on the {split} reals: its threshold and its scores promise nothing there"
            for split in ("calibration", "test")
            if split in reference.splits and reference.splits[split].digest == seen
        ]
    return warnings


def _network(name: str) -> Callable[..., nn.Module]:
    known = registry.names("networks")
    if name not in known:
        raise SubjectError(f"network {name!r}: unknown; {nearest(name, known)}")
    found: Callable[..., nn.Module] = registry.find("networks", name)
    return found


def _check_device(device: str) -> None:
    if device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"device {device!r}: no CUDA device is at hand; use --device cpu")
    if device != "cpu":
        # Reduced-precision products would make the numbers of two machines differ in the third digit.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def _read_options(plan: AuditPlan) -> ReadOptions:
    options = ReadOptions(
        resize=plan.resize, skip_unreadable=plan.skip_unreadable, features=plan.extractor.id == "identity"
    )
    return replace(options, value_range=plan.range) if plan.range is not None else options


def open_reference(plan: AuditPlan, subject: Subject | None, progress: Progress) -> Reference:
    """Return the reference that the plan names, else the set that ``subject`` says it was trained on."""
    spec = plan.reference
    if spec is None:
        spec = str(subject.training.get("data", "")) if subject is not None else ""
        if spec not in registry.names("datasets"):
            raise ConfigError(
                f"reference: required for {subject.name if subject else 'this'}, but not given; a built-in set "
                f"({', '.join(registry.names('datasets'))}), a path, or train=PATH,calibration=PATH,test=PATH"
            )
    named = registry.names("datasets")

    def datasets(name: str) -> Callable[..., Reference] | None:
        return registry.find("datasets", name) if name in named else None

    shape = subject.sample.shape if subject is not None else ()
    size = (shape[-2], shape[-1]) if len(shape) in (2, 3) else None
    return load_reference(
        spec if isinstance(spec, str) else {str(k): v for k, v in spec.items()},
        _read_options(plan),
        datasets,
        progress,
        size=size,
    )


def _with_seen(reference: Reference, subject: Subject) -> Reference:
    """Return the reference with what is known of this subject's training: a recorded digest beats any assumption."""
    recorded = subject.training.get("split_digest")
    if not recorded:
        if reference.form != "built-in" or subject.kind in ("directory", "control", "reference model"):
            return reference
        # A foreign subject may have been trained on any split of a public set.
        return replace(reference, seen=dict.fromkeys(reference.seen, "unknown"))
    seen = {
        name: "seen" if samples.digest == recorded else reference.seen.get(name, "unknown")
        for name, samples in reference.splits.items()
    }
    return replace(reference, seen=seen)


def _against(plan: AuditPlan, reference: Reference) -> str:
    against = plan.against or reference.default_against()
    allowed = [*reference.splits, "all"]
    if against not in allowed:
        why = reference.without(against) or "the reference has no such split"
        raise ConfigError(f"against {against!r}: {why}; allowed: {', '.join(allowed)}")
    return against


def _subject_warnings(subject: Subject) -> tuple[str, ...]:
    return tuple(check.removeprefix("caution: ") for check in subject.checks if check.startswith("caution: "))


def _reference_warnings(reference: Reference, against: str) -> list[str]:
    warnings = []
    if against != "all" and reference.seen.get(against) == "seen":
        warnings.append(f"the subject was trained on the {against} split it is compared with")
    if against != "all" and reference.seen.get(against) == "unknown":
        warnings.append(f"whether the subject was trained on the {against} reals is unknown")
    for split, (out, n) in reference.left_out.items():
        left = "" if split in reference.splits else f"; none is left, and the audit is against the {against} reals"
        warnings.append(f"{out} of {n} {split} reals are also in the train split, value for value, and left out{left}")
    skipped = sum(len(samples.unreadable) for samples in reference.splits.values())
    if skipped:
        names = [name for samples in reference.splits.values() for name in samples.unreadable]
        warnings.append(f"{skipped} unreadable files of the reference were left out: {', '.join(names[:5])}")
    return warnings


def _size_warnings(
    plan: AuditPlan, subject: Subject, reference: Reference, samples: int, extractor: Extractor
) -> list[str]:
    """Return what weakens numbers for reasons that lie in the samples as such."""
    warnings = []
    if plan.resize is not None and plan.protocol != DEFAULT:
        width, height = plan.resize
        warnings.append(
            f"every image was resized to {width}x{height} before the protocol {plan.protocol} resized it again: "
            "published numbers know one resize only"
        )
    if reference.statistics is None:
        against = plan.against or reference.default_against()
        real = reference.split(against)
        if subject.samples is not None and subject.samples.digest == real.digest:
            warnings.append(f"the subject's samples are the {against} reals themselves, value for value")
        fewest = min(samples, len(real))
        if fewest < extractor.dimensions:
            warnings.append(
                f"{fewest} samples in {extractor.dimensions} dimensions: fewer than one for each, so fd is mostly "
                "bias; kd and the numbers from neighbours bear it better"
            )
    return warnings


def _protocol_warnings(followed: Protocol, samples: int) -> tuple[str, ...]:
    words = f"protocol {followed.id}: "
    told: tuple[str, ...] = (words + followed.caution,) if followed.caution else ()
    if followed.samples is not None and followed.samples != samples:
        told += (f"{words}its published numbers rest on {followed.samples} generated samples, this audit on {samples}",)
    return told


def _sample_count(plan: AuditPlan, subject: Subject, reals: int) -> tuple[int, list[str]]:
    if subject.samples is not None:
        held = len(subject.samples)
        notes = []
        if plan.samples is not None and plan.samples > held:
            notes.append(f"{plan.samples} samples were asked for; the subject holds {held}, all are used")
        skipped = subject.samples.unreadable
        if skipped:
            notes.append(f"{len(skipped)} unreadable files of the subject were left out: {', '.join(skipped[:5])}")
        return min(plan.samples or held, held), notes
    if plan.until is not None:
        return plan.samples or PROFILES[plan.profile], []
    return plan.samples or max(2, min(reals, PROFILES[plan.profile])), []
