"""The self-check of a subject: one tiny batch shows whether it does what it claims."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ganaudit.document.errors import SubjectError
from ganaudit.subjects.subject import SampleSpec, Subject

__all__ = ["checked", "discriminator_findings"]

_BATCH = 4
# A generator without a squashing output overshoots its range a little; beyond this share the range itself is wrong.
_OVERSHOOT = 0.25


def checked(subject: Subject) -> Subject:
    """Return the subject with its sample shape filled in and the findings of the check recorded.

    Asserts shape, dtype, finiteness, range, eval mode, and equal output for equal input, on latents 0 to 3 of seed 0.
    Raises SubjectError for what makes an audit meaningless; what only weakens it is a finding.
    """
    if subject.generator is None:
        return subject
    batch = subject.block or _BATCH
    subject, x = _first_batch(subject, batch)
    z, labels = subject.latents(0, 0, batch), subject.labels(0, 0, batch)
    subject = replace(subject, sample=SampleSpec(tuple(x.shape[1:]), subject.sample.low, subject.sample.high))
    findings = [f"{batch} samples of shape {tuple(x.shape[1:])}, finite"]
    failed = subject.failures.redraws(0, 0, batch).count_nonzero()
    if failed:
        findings.append(f"caution: {int(failed)} of the first {batch} latents gave NaN or infinity, and were replaced")
    findings += _range_findings(subject, x)
    assert subject.generator is not None
    if subject.generator.training:
        raise SubjectError(f"generator of {subject.name}: still in training mode after eval()")
    if not torch.equal(x, subject.generate(z, labels)):
        findings.append("caution: equal latents gave unequal samples: the generator draws noise of its own")
    elif subject.block is None and not _made_apart(subject, z, labels, x):
        findings.append("caution: a sample depends on the batch it is in: the same seed gives other samples elsewhere")
    if len(x) > 1 and bool((x == x[:1]).all()):
        findings.append("caution: different latents gave equal samples: the generator may be constant")
    if subject.spatial_latent:
        findings.append("latents are given as (B, size, 1, 1)")
    if subject.label_law:
        low, high = min(subject.label_law), max(subject.label_law)
        findings.append(f"labels are drawn by the law of its training data: shares of {low:.3g} to {high:.3g}")
    if subject.discriminator is not None:
        subject = _as_it_judges(subject, x, labels)
        findings += discriminator_findings(subject, x, labels)
    return replace(subject, checks=(*subject.checks, *findings))


def _first_batch(subject: Subject, batch: int) -> tuple[Subject, Tensor]:
    """Return the subject and its first samples, with latents (B, size, 1, 1) where it refuses (B, size)."""
    try:
        return subject, subject.drawn(0, 0, batch)
    except SubjectError as error:
        spatial = replace(subject, spatial_latent=True)
        try:
            return spatial, spatial.drawn(0, 0, batch)
        except SubjectError:
            raise error from None


def _made_apart(subject: Subject, z: Tensor, labels: Tensor | None, x: Tensor) -> bool:
    """Return whether samples come out alike in another batch, of two: batch statistics refuse a batch of one."""
    halves = (slice(0, len(z) // 2), slice(len(z) // 2, len(z)))
    try:
        apart = torch.cat([subject.generate(z[half], None if labels is None else labels[half]) for half in halves])
    except SubjectError:
        return True  # a program that wants larger batches cannot be asked
    scale = float(x.abs().max()) + 1e-6
    return torch.allclose(apart, x, rtol=1e-3, atol=1e-3 * scale)


def _range_findings(subject: Subject, x: Tensor) -> list[str]:
    low, high = subject.sample.low, subject.sample.high
    found = f"[{float(x.min()):.4g}, {float(x.max()):.4g}]"
    tolerance = 1e-6 * (high - low)
    outside = float(((x < low - tolerance) | (x > high + tolerance)).to(torch.float64).mean())
    if outside > _OVERSHOOT:
        raise SubjectError(
            f"generator of {subject.name}: {outside:.0%} of its values lie outside the declared range "
            f"[{low:g}, {high:g}] (found {found}); declare the right one with --range LOW,HIGH"
        )
    if outside > 0:
        return [f"caution: {outside:.2%} of values lie outside [{low:g}, {high:g}] (found {found}); they are clipped"]
    return [f"values in {found}, inside [{low:g}, {high:g}]"]


def _as_it_judges(subject: Subject, x: Tensor, labels: Tensor | None) -> Subject:
    """Return the subject, told labels with what it scores where its discriminator refuses samples alone."""
    if labels is None:
        return subject
    try:
        subject.discriminate(x)
    except SubjectError as error:
        told = replace(subject, judges_labels=True)
        try:
            told.discriminate(x, labels)
        except SubjectError:
            raise error from None
        return told
    return subject


def discriminator_findings(subject: Subject, x: Tensor, labels: Tensor | None = None) -> list[str]:
    """Return what the discriminator does on the samples ``x``; raises SubjectError when it is not usable."""
    assert subject.discriminator is not None
    scores = subject.discriminate(x, labels)
    if subject.discriminator.training:
        raise SubjectError(f"discriminator of {subject.name}: still in training mode after eval()")
    findings = [f"discriminator gives one finite score per sample ({float(scores.min()):.4g} to "
                f"{float(scores.max()):.4g} on them)", *_form(subject, x, labels)]  # fmt: skip
    if not torch.equal(scores, subject.discriminate(x, labels)):
        # Noise makes scores differ in any batch: whether the batch does so too cannot be told then.
        findings.append("caution: equal samples gave unequal scores: the discriminator draws noise of its own")
    elif subject.block is None and not _same_alone(subject, x, labels, scores):
        findings.append("caution: a sample's score depends on the batch it is in (batch statistics)")
    if subject.judges_labels:
        findings.append(
            "the discriminator is told the class: of reals their own, of generated samples the one asked for"
        )
    return findings


@torch.no_grad()
def _form(subject: Subject, x: Tensor, labels: Tensor | None) -> list[str]:
    """Return in words how one score is made of what the discriminator returns, where that is more than one number."""
    assert subject.discriminator is not None
    told = (x, labels) if subject.judges_labels else (x,)
    found = subject.discriminator(*[t.to(subject.device) for t in told if t is not None])
    words = []
    if isinstance(found, tuple | list):
        if len(found) > 1:
            words.append(f"caution: of the {len(found)} outputs of the discriminator the first is read as the score")
        found = found[0]
    places = found[0].numel()
    if places > 1:
        shape = "x".join(map(str, found.shape[1:]))
        words.append(f"caution: the score is the mean of a map of {places} scores of the discriminator, {shape}")
    return words


def _same_alone(subject: Subject, x: Tensor, labels: Tensor | None, scores: Tensor) -> bool:
    ones = [slice(i, i + 1) for i in range(len(x))]
    try:
        alone = torch.cat([subject.discriminate(x[one], None if labels is None else labels[one]) for one in ones])
    except SubjectError:
        return False  # statistics over a batch of one may be refused
    return torch.allclose(alone, scores, rtol=1e-3, atol=1e-4 * float(scores.abs().max() + 1))
