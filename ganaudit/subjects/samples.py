"""Samples without a generator: a folder, an archive or an array file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from ganaudit.data.reading import read_samples
from ganaudit.data.samples import Samples
from ganaudit.subjects.check import discriminator_findings
from ganaudit.subjects.digests import json_digest
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.programs import findings_of, read_discriminator
from ganaudit.subjects.subject import SampleSpec, Subject

__all__ = ["SUFFIXES", "SampleFiles", "subject_of_samples"]

SUFFIXES = (".zip", ".npz", ".npy")


class SampleFiles:
    """Reads samples only; there is nothing to generate from and nothing to attack."""

    id: ClassVar[str] = "samples"
    formats: ClassVar[str] = "samples only (a folder of images or audio, .zip, .npz, .npy)"

    def accepts(self, path: Path) -> bool:
        """Return whether ``path`` is a folder or a file that holds samples."""
        return path.is_dir() or path.suffix in SUFFIXES

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject; raises SourceError or SubjectError when samples or discriminator cannot be used.

        A discriminator may stand beside them; it is given the samples as they were stored, in ``--range``.
        """
        value_range = options.value_range or (-1.0, 1.0)
        read = replace(options.read, value_range=value_range)
        subject = subject_of_samples(read_samples(path, read, options.progress), path)
        if options.discriminator is None:
            return subject
        program = read_discriminator(options)
        subject = replace(
            subject,
            digest=json_digest({"samples": subject.digest, "discriminator": program.digest}),
            sample=SampleSpec(subject.sample.shape, *value_range),
            trust=program.trust,
            discriminator=program.module,
            block=program.block,
            device=options.device,
            checks=(
                *subject.checks,
                *findings_of([program]),
                "the discriminator reads the samples as stored, after any quantisation",
            ),
            runtime=program.runtime,
        )
        assert subject.samples is not None
        rows = [i % len(subject.samples) for i in range(subject.block or 4)]
        found = discriminator_findings(subject, subject.samples.values(rows, *value_range))
        return replace(subject, checks=(*subject.checks, *found))


def subject_of_samples(samples: Samples, path: Path | None = None) -> Subject:
    """Return the subject that consists of ``samples``."""
    low, high = samples.value_range or (0.0, 255.0)
    return Subject(
        name=samples.name,
        kind="samples",
        digest=samples.digest,
        sample=SampleSpec(tuple(samples.shape), low, high),
        trust="data",
        samples=samples,
        path=str(path) if path else None,
        checks=(f"{len(samples)} {samples.kind} of {samples.describe()}",),
    )
