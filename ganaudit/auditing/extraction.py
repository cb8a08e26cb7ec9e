"""Which extractor an audit runs, with which conventions, and whether published statistics are of the same features."""

from __future__ import annotations

from pathlib import Path

from ganaudit import registry
from ganaudit.config import AuditPlan
from ganaudit.data.reference import Reference
from ganaudit.data.statistics import FeatureStatistics
from ganaudit.document.errors import ConfigError, SourceError
from ganaudit.features.choice import Choice, choose_extractor
from ganaudit.features.extractor import Extractor, ExtractorOptions, check_takes
from ganaudit.features.inception_v3 import weights_at_hand
from ganaudit.features.preprocessing import Preprocessing
from ganaudit.protocol import DEFAULT, Protocol, protocol
from ganaudit.subjects.subject import Subject

__all__ = ["chosen", "extractor_options", "handed_over", "statistics_warnings"]


def chosen(plan: AuditPlan, followed: Protocol, subject: Subject, reference: Reference) -> tuple[Choice, Extractor]:
    """Return the extractor of an audit and the rule that picked it.

    Raises SourceError when one side holds features and the other images, ConfigError for what a protocol or precision
    does not allow, ExtractorError when it cannot be built.
    """
    kinds, shape = {}, subject.sample.shape
    if reference.statistics is None:
        real = reference.split(reference.default_against())
        kinds, shape = {"reference": real.kind == "features"}, real.shape
    if subject.samples is not None:
        kinds["subject"] = subject.samples.kind == "features"
    if len(set(kinds.values())) > 1:
        raise SourceError(f"subject and reference: one holds features, the other images ({kinds})")
    _check_rates(subject, reference)
    asked = plan.extractor.id or followed.extractor
    # The cache is only asked where the answer matters: a wrong file in it is an error, and nobody else's.
    needs_rule = asked is None and reference.extractor is None and not any(kinds.values())
    weights = plan.extractor.weights or (weights_at_hand() if needs_rule else None)
    if followed.extractor is not None and not (asked or "").startswith(followed.extractor):
        raise ConfigError(
            f"protocol {followed.id!r} is defined for the extractor {followed.extractor}; {asked!r} was asked for: "
            f"leave --extractor out, or use --protocol {DEFAULT}"
        )
    choice = choose_extractor(
        asked,
        available=registry.names("extractors"),
        reference_extractor=reference.extractor,
        reference_name=reference.name,
        are_features=any(kinds.values()),
        shape=shape,
        has_weights=weights is not None,
    )
    build = registry.find("extractors", choice.id)
    check_takes(build, choice.id, shape)
    extractor: Extractor = build(extractor_options(plan, followed, shape))
    found = getattr(extractor, "precision", "fp32")
    if found != plan.precision and choice.id != "identity":
        raise ConfigError(
            f"precision {plan.precision!r}: the extractor {choice.id} runs in {found} only; use --precision {found}"
        )
    return choice, extractor


def _check_rates(subject: Subject, reference: Reference) -> None:
    """Raise SourceError when the sounds of both sides were recorded at different rates."""
    fake = subject.samples.rate if subject.samples is not None else None
    for name, samples in reference.splits.items():
        if None not in (fake, samples.rate) and fake != samples.rate:
            raise SourceError(
                f"subject and reference: the subject's sounds have {fake} values a second, the reference's {name} "
                f"{samples.rate}; resample one side"
            )


def handed_over(extractor: Extractor, plan: AuditPlan, followed: Protocol, shape: tuple[int, ...] = ()) -> Choice:
    """Return the choice of an extractor that was handed over.

    Raises ConfigError for what is none or does not fit, ExtractorError when it takes another kind than ``shape``.
    """
    lacking = [name for name in ("id", "digest", "dimensions", "classes", "preprocessing", "caution", "extract")
               if not hasattr(extractor, name)]  # fmt: skip
    if lacking:
        raise ConfigError(
            f"extractor {type(extractor).__name__}: is no extractor, it lacks {', '.join(lacking)}; give an id, or "
            "wrap a network by ganaudit.features.module.Module.of(network, declaration, digest, options)"
        )
    if followed.id != DEFAULT or plan.precision != getattr(extractor, "precision", "fp32"):
        raise ConfigError(
            f"extractor {extractor.id}: was handed over as it is; protocol {plan.protocol!r} and precision "
            f"{plan.precision!r} cannot be applied to it"
        )
    check_takes(extractor, extractor.id, shape)
    return Choice(extractor.id, "handed over in this process")


def statistics_warnings(plan: AuditPlan, known: FeatureStatistics, choice: Choice, extractor: Extractor) -> list[str]:
    """Return what a reader must know of published statistics; raises where they are of other features than ours."""
    path = Path(known.source).name
    if len(known.mean) != extractor.dimensions:
        raise SourceError(
            f"reference {path}: holds statistics of {len(known.mean)} features, the extractor {choice.id} gives "
            f"{extractor.dimensions}; name the extractor they were made with by --extractor"
        )
    for what, made, here in (
        ("extractor", known.extractor, extractor.digest),
        ("protocol", known.protocol, protocol(plan.protocol).fingerprint),
    ):
        if made is not None and made != here:
            raise SourceError(
                f"reference {path}: its statistics were made with the {what} {made}, this audit has {here}; numbers "
                f"across two are not comparable: use the {what} they were made with, or make them again with "
                "`ganaudit statistics`"
            )
    if plan.precision != "fp32":
        raise ConfigError(
            f"precision {plan.precision!r}: both sides must run in one precision, and that of the statistics {path} "
            "is not this one; use --precision fp32"
        )
    if known.extractor is None:
        return [
            f"the statistics {path} do not say which extractor and protocol they were made with: the numbers are right "
            f"only if it was {choice.id} with the same weights, and protocol {plan.protocol}"
        ]
    return []


def extractor_options(
    plan: AuditPlan, followed: Protocol, shape: tuple[int, ...], precision: str | None = None
) -> ExtractorOptions:
    """Return what the extractor is built with, in the plan's precision or another."""
    preprocessing = None
    if followed.resize is not None and followed.normalisation is not None:
        preprocessing = Preprocessing(followed.resize, followed.normalisation)
    return ExtractorOptions(
        shape=shape,
        weights=plan.extractor.weights,
        device=plan.device,
        precision="bf16" if (precision or plan.precision) == "bf16" else "fp32",
        preprocessing=preprocessing,
    )
