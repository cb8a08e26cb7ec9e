"""What evidence is made with: the plan, generated samples a block at a time, scores of rows, and the subject's key."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.data.samples import Samples
from ganaudit.evidence.handing import handed
from ganaudit.evidence.rows import Rows
from ganaudit.features.engine import BLOCK, GPU_BLOCK, extracted
from ganaudit.features.extractor import Extractor, block_of
from ganaudit.numerics.quantise import Quantiser
from ganaudit.subjects.digests import is_known, weights_digest
from ganaudit.subjects.subject import Subject

__all__ = ["EvidencePlan", "block_of_subject", "key_of", "made", "rows_made", "scored", "taken"]


@dataclass(frozen=True, slots=True)
class EvidencePlan:
    """What changes the evidence besides subject, reference and extractor."""

    samples: int
    """Generated samples."""
    seed: int
    against: str
    batch: int = 512
    """Samples in memory at once; never changes a number."""
    quantiser: Quantiser = "round"
    """How generated values become levels 0..255."""


def block_of_subject(subject: Subject) -> int:
    """Return how many samples the subject makes or judges at once; a program may take one number only."""
    return subject.block or (BLOCK if subject.device == "cpu" else GPU_BLOCK)


def key_of(subject: Subject) -> list[str]:
    """Return what a subject's numbers depend on: its digest, and for modules of Python code what they make and tell.

    The code of such modules is in no file that has a digest, and may have changed since the last run.
    """
    known = [subject.digest] + ([subject.runtime] if subject.runtime else [])
    networks = [one for one in (subject.generator, subject.discriminator) if one is not None]
    if not networks or (subject.trust not in ("in-process", "code") and all(map(is_known, networks))):
        return known
    if subject.generator is None:
        assert subject.samples is not None
        return [*known, weights_digest(scored(subject, subject.samples, 0, block_of_subject(subject)))]
    # Of one seed, so that the scores of reals, which no seed changes, are found again under every other.
    x = made(subject, 0, 0)
    shown = {"x": x}
    if subject.discriminator is not None:
        shown["scores"] = subject.discriminate(x, subject.labels(0, 0, len(x)))
    return [*known, weights_digest(shown)]


def made(subject: Subject, seed: int, start: int) -> Tensor:
    """Return one block of generated samples from sample ``start`` on; what fails is drawn again."""
    return subject.drawn(seed, start, block_of_subject(subject))


def rows_made(subject: Subject, extractor: Extractor, plan: EvidencePlan, start: int, stop: int) -> dict[str, Tensor]:
    """Return features, logits, scores and redraws of some generated samples, from whole blocks of them."""
    images, scores, block = [], [], block_of_subject(subject)
    for first in range(start, stop, block):
        x = made(subject, plan.seed, first)
        images.append(handed(x, subject.sample.low, subject.sample.high, plan.quantiser))
        if subject.discriminator is not None:
            scores.append(subject.discriminate(x, subject.labels(plan.seed, first, block)))
    inputs = torch.cat(images)[: stop - start]
    found = extracted(extractor.extract, inputs, block_of(extractor, subject.device), subject.device, subject.room)
    found["redraws"] = subject.failures.redraws(plan.seed, start, stop - start)
    return found | {"scores": torch.cat(scores)[: stop - start]} if scores else found


def scored(judge: Subject, samples: Samples, start: int, stop: int) -> dict[str, Tensor]:
    """Return the scores of some rows of ``samples`` by the discriminator of ``judge``."""
    block, (low, high) = block_of_subject(judge), (judge.sample.low, judge.sample.high)
    parts = []
    for first in range(start, stop, block):
        indices = [min(i, len(samples) - 1) for i in range(first, first + block)]
        labels = None if samples.labels is None else torch.from_numpy(samples.labels[indices])
        parts.append(judge.discriminate(samples.values(indices, low, high), labels))
    return {"scores": torch.cat(parts)[: stop - start]}


def taken(table: dict[str, Rows], rows: Tensor, start: int, stop: int) -> dict[str, Tensor]:
    """Return some rows of a table that is there already."""
    return {name: column.tensor[rows[start:stop]] for name, column in table.items()}
