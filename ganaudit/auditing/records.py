"""What the document says of subject, reference, extractor and environment."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

import ganaudit
from ganaudit.auditing.setting import Setting
from ganaudit.auditing.until import Until
from ganaudit.config import AuditPlan, ReviewPlan
from ganaudit.document.model import (
    Comparability,
    Environment,
    ExtractorRecord,
    OtherRecord,
    PrecisionShift,
    ReferenceRecord,
    SelfTest,
    SplitRecord,
    SubjectRecord,
)
from ganaudit.document.redaction import private_of_this_machine, shell_line
from ganaudit.evidence.store import digest_of

__all__ = [
    "comparability",
    "environment",
    "extractor_record",
    "other_records",
    "plan_record",
    "reference_record",
    "subject_record",
]

_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "torch-fidelity", "pillow", "safetensors")


def subject_record(setting: Setting) -> SubjectRecord:
    """Return the record of what was audited."""
    subject = setting.subject
    networks = {"generator": subject.generator, "discriminator": subject.discriminator}
    return SubjectRecord(
        name=subject.name,
        kind=subject.kind,
        path=subject.path,
        digest=subject.digest,
        trust=subject.trust,
        has_generator=subject.generator is not None,
        has_discriminator=subject.discriminator is not None,
        latent=subject.latent.describe() if subject.latent else None,
        sample=subject.samples.describe() if subject.samples is not None else subject.sample.describe(),
        classes=subject.classes,
        # A program of another runtime does not tell its parameters: no number is better than 0.
        parameters={
            role: count
            for role, network in networks.items()
            if network is not None and (count := sum(p.numel() for p in network.parameters()))
        },
        training=dict(subject.training),
        checks=list(subject.checks),
    )


def other_records(setting: Setting) -> list[OtherRecord]:
    """Return the records of the subjects beside the audited one, in the order they were named."""
    return [
        OtherRecord(
            name=name,
            subject=other.subject.name,
            kind=other.subject.kind,
            path=other.subject.path,
            digest=other.subject.digest,
            trust=other.subject.trust,
            classes=other.subject.classes,
            converted=other.converted,
            training=dict(other.subject.training),
        )
        for name, other in setting.evidence.others.items()
    ]


def reference_record(setting: Setting) -> ReferenceRecord:
    """Return the record of the reals."""
    reference = setting.reference
    splits = {
        name: SplitRecord(n=len(samples), digest=samples.digest, seen=reference.seen.get(name, "unknown"))
        for name, samples in reference.splits.items()
    }
    any_split = next(iter(reference.splits.values()), None)
    known = reference.statistics
    described = (
        any_split.describe() if any_split else f"mean and covariance of {len(known.mean) if known else 0} features"
    )
    return ReferenceRecord(
        name=reference.name,
        kind=f"{reference.form}; {reference.rule}",
        digest=reference.digest,
        against=setting.evidence.plan.against,
        null_rule=setting.evidence.null.rule,
        splits=splits,
        sample=described,
        classes=list(any_split.classes) if any_split else [],
        licence=reference.licence,
        unreadable=sum(len(samples.unreadable) for samples in reference.splits.values()),
        left_out={split: out for split, (out, _) in reference.left_out.items()},
    )


def extractor_record(setting: Setting, shift: PrecisionShift | None) -> ExtractorRecord:
    """Return the record of the extractor, the rule that picked it and what its precision changes."""
    extractor = setting.evidence.extractor
    return ExtractorRecord(
        id=extractor.id,
        why=setting.choice.why,
        digest=extractor.digest,
        dimensions=extractor.dimensions,
        preprocessing=extractor.preprocessing,
        caution=extractor.caution,
        precision=setting.plan.precision,
        protocol=setting.protocol.id,
        shift=shift,
    )


def plan_record(setting: Setting, until: Until | None) -> dict[str, Any]:
    """Return the plan with every default filled in, as far as it changes a number, and who is to sign it off."""
    plan, evidence = setting.plan, setting.evidence.plan
    return {
        "subject": plan.subject or setting.subject.name,
        "reference": plan.reference or setting.reference.name,
        "against": evidence.against,
        "samples": evidence.samples,
        "seed": evidence.seed,
        "profile": plan.profile,
        "precision": plan.precision,
        "protocol": plan.protocol,
        "extractor": evidence_extractor(setting),
        "evaluators": setting.options,
        "score_sign": plan.score_sign,
        "resize": list(plan.resize) if plan.resize else None,
        "skip_unreadable": plan.skip_unreadable,
        "real_samples": plan.real_samples,
        "until": _until_record(plan, until),
        **({"others": _others_record(setting)} if setting.evidence.others else {}),
        **({"review": plan.review.model_dump(mode="json")} if plan.review != ReviewPlan() else {}),
    }


def _others_record(setting: Setting) -> dict[str, Any]:
    named = {name: asked.model_dump(mode="json", exclude_none=True) for name, asked in setting.plan.others.items()}
    others = setting.evidence.others
    return {name: named.get(name, {"subject": other.subject.name}) for name, other in others.items()}


def _until_record(plan: AuditPlan, until: Until | None) -> dict[str, Any] | None:
    if plan.until is None or until is None:
        return None
    steps = [{"samples": s.samples, "value": s.value, "half_width": s.half_width} for s in until.steps]
    return {**plan.until.model_dump(mode="json"), "is_reached": until.is_reached, "steps": steps}


def evidence_extractor(setting: Setting) -> str:
    """Return the id of the extractor in use."""
    return setting.evidence.extractor.id


def comparability(setting: Setting, conventions: dict[str, dict[str, Any]]) -> Comparability:
    """Return what must be equal before numbers of two audits may be compared; what an evaluator adds stays with it."""
    evidence = setting.evidence
    fields: dict[str, Any] = {
        "against": evidence.plan.against,
        "extractor": evidence.extractor.digest,
        "precision": setting.plan.precision,
        "preprocessing": evidence.extractor.preprocessing,
        "protocol": setting.protocol.id,
        "protocol_fingerprint": setting.protocol.fingerprint,
        "reference": setting.reference.digest,
        "samples_real": evidence.count("moments/real"),
        "samples_fake": evidence.plan.samples,
        "evaluators": {
            name: {**setting.options.get(name, {}), **conventions.get(name, {}), **_company(setting, name)}
            for name in setting.evaluators
        },
    }
    return Comparability(digest=f"sha256:{digest_of(fields)}", fields=fields)


def _company(setting: Setting, evaluator: str) -> dict[str, Any]:
    """Return the other subjects, by name and digest, where an evaluator's numbers rest on them."""
    others, spec = setting.evidence.others, setting.evaluators[evaluator].spec
    # Evaluators that only want others have their numbers without them too: they add a table, and stay comparable.
    if not others or not any(node.startswith("others/") for node in spec.needs):
        return {}
    return {"others": {name: other.subject.digest for name, other in others.items()}}


def environment(setting: Setting, command: list[str] | None, selftest: SelfTest | None = None) -> Environment:
    """Return where and with what the numbers were made; no host name, user name or home directory."""
    device = setting.plan.device
    tf32 = "" if device == "cpu" else ", TF32 off"
    typed = shell_line(command, private_of_this_machine()) if command else None
    return Environment(
        ganaudit=ganaudit.__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processor=torch.backends.cpu.get_cpu_capability(),
        device=device if device == "cpu" else f"{device} ({torch.cuda.get_device_name(device)})",
        threads=torch.get_num_threads(),
        precision=f"{setting.plan.precision} extractor{tf32}, float64 reductions",
        packages={name: _version(name) for name in _PACKAGES},
        command=typed or f"{sys.implementation.name}: ganaudit.audit(...)",
        selftest=selftest,
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
