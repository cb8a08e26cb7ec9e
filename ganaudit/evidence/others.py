"""Other subjects beside the audited one, brought to its range of values so that their networks may be exchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from ganaudit.document.errors import SubjectError
from ganaudit.subjects.subject import SampleSpec, Subject

__all__ = ["Other", "beside"]


@dataclass(frozen=True, slots=True, eq=False)
class Other:
    """A subject whose discriminator judges the samples of the audited one."""

    name: str
    subject: Subject
    """Its networks speak the audited subject's range; the digest is that of the subject as it was opened."""
    converted: str | None
    """How values are mapped, in words; None where both ranges are one."""


class _Made(nn.Module):
    """A generator of values in one range as one of values in another."""

    def __init__(self, network: nn.Module, given: SampleSpec, wanted: SampleSpec) -> None:
        super().__init__()
        self.network, self._given, self._wanted = network, given, wanted

    def forward(self, *inputs: Tensor) -> Tensor:
        return _mapped(self.network(*inputs), self._given, self._wanted)


class _Judged(nn.Module):
    """A discriminator of values in one range as one of values in another."""

    def __init__(self, network: nn.Module, given: SampleSpec, wanted: SampleSpec) -> None:
        super().__init__()
        self.network, self._given, self._wanted = network, given, wanted

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        found: Tensor = self.network(_mapped(x, self._given, self._wanted), *labels)
        return found


def beside(name: str, other: Subject, subject: Subject) -> Other:
    """Return ``other`` as it can stand beside ``subject``: its networks take and make values in ``subject``'s range.

    Raises SubjectError, naming ``name``, when it has no discriminator, its samples have another shape, or a
    discriminator of the two is told the class and they do not have equally many classes.
    """
    if other.discriminator is None:
        raise SubjectError(
            f"other {name!r}: {other.name} ({other.kind}) has no discriminator; allowed: subjects that have one, such "
            "as a reference model, a folder written by `ganaudit train`, or in audit.toml a table [others.NAME] with "
            "subject and discriminator"
        )
    if other.sample.shape != subject.sample.shape:
        raise SubjectError(
            f"other {name!r}: {other.name} takes samples of shape {other.sample.shape}; allowed: "
            f"{subject.sample.shape}, the shape of the audited subject {subject.name}"
        )
    ours, theirs = _classes(subject), _classes(other)
    if ours != theirs and (other.judges_labels or subject.judges_labels):
        told = other if other.judges_labels else subject
        raise SubjectError(
            f"other {name!r}: the discriminator of {told.name} is told the class; {other.name} has {theirs} classes "
            f"and the audited subject {subject.name} has {ours}; allowed: equally many"
        )
    return _converted(name, other, subject.sample)


def _classes(subject: Subject) -> int:
    return subject.classes if subject.samples is None else len(subject.samples.classes)


def _converted(name: str, other: Subject, wanted: SampleSpec) -> Other:
    given = other.sample
    if (given.low, given.high) == (wanted.low, wanted.high):
        return Other(name, other, None)
    assert other.discriminator is not None
    made = None if other.generator is None else _Made(other.generator, given, wanted).eval()
    judge = _Judged(other.discriminator, wanted, given).eval()
    moved = replace(other, sample=wanted, generator=made, discriminator=judge)
    spans = [f"[{one.low:g}, {one.high:g}]" for one in (wanted, given)]
    return Other(name, moved, f"values in {spans[0]} are mapped linearly onto its range {spans[1]}")


def _mapped(x: Tensor, given: SampleSpec, wanted: SampleSpec) -> Tensor:
    return (x - given.low) * ((wanted.high - wanted.low) / (given.high - given.low)) + wanted.low
