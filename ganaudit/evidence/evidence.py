"""Evidence: what evaluators may ask for, computed on first use, once, and kept under a complete key.

Nodes, by name: ``features/SIDE``, ``logits/SIDE`` and ``scores/SET``; SIDE is real, fake, null-real or null-fake, SET
is fake, train, calibration or test. Each is one tensor with a row per sample.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.document.errors import EvidenceError
from ganaudit.evidence.null import NullDesign, null_design, rows
from ganaudit.evidence.store import Store
from ganaudit.features.engine import BLOCK, in_blocks
from ganaudit.features.extractor import Extractor
from ganaudit.numerics.quantise import to_uint8
from ganaudit.progress import Progress, Task
from ganaudit.subjects.digests import weights_digest
from ganaudit.subjects.subject import Subject

__all__ = ["SCORE_SETS", "SIDES", "Evidence", "EvidencePlan", "node_names"]

SIDES = ("real", "fake", "null-real", "null-fake")
SCORE_SETS = ("fake", "train", "calibration", "test")
_VERSION = 1  # raise it when the code below computes other tensors


def node_names() -> list[str]:
    """Return the name of every node."""
    return [f"{kind}/{side}" for kind in ("features", "logits") for side in SIDES] + [f"scores/{s}" for s in SCORE_SETS]


@dataclass(frozen=True, slots=True)
class EvidencePlan:
    """What changes the evidence besides subject, reference and extractor."""

    samples: int
    """Generated samples."""
    seed: int
    against: str
    batch: int = 512
    """Samples in memory at once; never changes a number."""


class Evidence:
    """The evidence of one audit."""

    def __init__(
        self,
        subject: Subject,
        reference: Reference,
        extractor: Extractor,
        plan: EvidencePlan,
        store: Store,
        progress: Progress,
    ) -> None:
        self.subject = subject
        self.reference = reference
        self.extractor = extractor
        self.plan = plan
        self._store = store
        self._progress = progress
        self._memory: dict[str, dict[str, Tensor]] = {}
        self.null: NullDesign = null_design(reference, plan.against, plan.samples, plan.seed)

    def missing(self, node: str) -> str | None:
        """Return why a node cannot be had from this subject, reference and extractor, or None when it can."""
        kind, _, side = node.partition("/")
        if kind == "scores":
            return self._missing_scores(side)
        if kind == "logits" and not self.extractor.classes:
            return f"the extractor {self.extractor.id} is no classifier, so there are no class probabilities"
        if side.startswith("null") and self.null.fake is None:
            return self.null.rule
        return None

    def _missing_scores(self, side: str) -> str | None:
        if self.subject.discriminator is None:
            return "the subject has no discriminator (--discriminator FILE gives one)"
        if side in ("calibration", "test") and side not in self.reference.splits:
            return f"the reference has no {side} split of reals; train reals are never substituted"
        if side == "train" and side not in self.reference.splits:
            return "the reference has no train split"
        return None

    def count(self, node: str) -> int:
        """Return how many rows a node has, without computing it."""
        kind, _, side = node.partition("/")
        if side == "fake":
            return self.plan.samples
        if kind == "scores":
            return len(self.reference.splits[side])
        samples = self._side(side)
        return len(samples) if samples is not None else 0

    def node(self, name: str) -> Tensor:
        """Return one node's tensor; raises EvidenceError when it does not exist or cannot be had."""
        reason = self.missing(name) if name in node_names() else "no node has this name"
        if reason is not None:
            raise EvidenceError(f"evidence {name!r}: {reason}")
        kind, _, side = name.partition("/")
        if side == "fake":
            return self._fake()[kind]
        if kind == "scores":
            return self._scores(side)["scores"]
        return self._activations(side)[kind]

    def fake_images(self, indices: list[int]) -> Tensor:
        """Return generated samples as uint8 (B, C, H, W); sample i is the i-th of this audit."""
        if self.subject.samples is not None:
            return self._fake_samples().images(indices)
        starts = sorted({i // self._block * self._block for i in indices})
        blocks = {start: self._generated(start) for start in starts}
        made = torch.stack([blocks[i // self._block * self._block][i % self._block] for i in indices])
        return to_uint8(made, self.subject.sample.low, self.subject.sample.high)

    @property
    def _block(self) -> int:
        return self.subject.block or BLOCK

    @cached_property
    def _subject_key(self) -> list[str]:
        """Return what the subject's numbers depend on: its digest, and for modules of this process what they make.

        The code of such modules is in no file and may have changed since the last run.
        """
        subject = self.subject
        if subject.trust not in ("in-process", "code") or subject.generator is None:
            return [subject.digest]
        # Of one seed, so that the scores of reals, which no seed changes, are found again under every other.
        x = subject.generate(subject.latents(0, 0, self._block), subject.labels(0, 0, self._block))
        made = {"x": x} if subject.discriminator is None else {"x": x, "scores": subject.discriminate(x)}
        return [subject.digest, weights_digest(made)]

    def _side(self, side: str) -> Samples | None:
        if side == "real":
            return self.reference.split(self.plan.against)
        return self.null.fake if side == "null-fake" else self.null.real

    def _fake_samples(self) -> Samples:
        samples = self.subject.samples
        assert samples is not None
        if self.plan.samples == len(samples):
            return samples
        return samples.take(rows(len(samples), self.plan.samples, self.plan.seed, "fake"), samples.name)

    def _kept(self, memory: str, key: dict[str, Any], compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        if memory not in self._memory:
            device = self.subject.device
            # Another library version, device or thread count may round differently: it makes another key.
            full = {
                **key,
                "version": _VERSION,
                "torch": torch.__version__,
                "device": device if device == "cpu" else torch.cuda.get_device_name(device),
                "machine": [platform.machine(), torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()],
            }
            found = self._store.read(full)
            if found is None:
                found = compute()
                self._store.write(full, found)
            self._memory[memory] = found
        return self._memory[memory]

    def _activations(self, side: str) -> dict[str, Tensor]:
        samples = self._side(side)
        assert samples is not None
        key = {"node": "activations", "samples": samples.digest, "extractor": self.extractor.digest}
        label = f"features of {len(samples)} {samples.name}"
        return self._kept(f"activations {samples.digest}", key, lambda: self._extract(samples, label))

    def _extract(self, samples: Samples, label: str) -> dict[str, Tensor]:
        if samples.kind == "features":
            return {"features": samples.features(list(range(len(samples))))}

        def work(start: int, count: int) -> tuple[Tensor, ...]:
            made = self.extractor.extract(samples.images(_padded(start, count, len(samples))))
            return (made.features,) if made.logits is None else (made.features, made.logits)

        with self._progress.task(label, len(samples)) as task:
            parts = in_blocks(work, len(samples), self.plan.batch, task)
        return dict(zip(("features", "logits"), parts, strict=False))

    def _scores(self, split: str) -> dict[str, Tensor]:
        samples = self.reference.splits[split]
        key = {"node": "scores", "samples": samples.digest, "subject": self._subject_key}
        return self._kept(f"scores {samples.digest}", key, lambda: self._score(samples, f"scores of {split} reals"))

    def _score(self, samples: Samples, label: str) -> dict[str, Tensor]:
        low, high = self.subject.sample.low, self.subject.sample.high

        def work(start: int, count: int) -> tuple[Tensor, ...]:
            return (self.subject.discriminate(samples.values(_padded(start, count, len(samples)), low, high)),)

        with self._progress.task(label, len(samples)) as task:
            return {"scores": in_blocks(work, len(samples), self.plan.batch, task, self._block)[0]}

    def _fake(self) -> dict[str, Tensor]:
        """Return features, logits and scores of the generated samples, all from one generation."""
        plan = self.plan
        key = {
            "node": "fake",
            "subject": self._subject_key,
            "extractor": self.extractor.digest,
            "samples": plan.samples,
            "seed": plan.seed,
        }
        return self._kept("fake", key, self._make_fake)

    def _make_fake(self) -> dict[str, Tensor]:
        if self.subject.samples is not None:
            samples = self._fake_samples()
            made = self._extract(samples, f"features of {len(samples)} generated")
            if self.subject.discriminator is not None:
                made |= self._score(samples, "scores of generated")
            return made
        with self._progress.task(f"generating {self.plan.samples} samples", self.plan.samples) as task:
            return self._generate(task)

    def _generate(self, task: Task) -> dict[str, Tensor]:
        subject = self.subject

        def work(start: int, count: int) -> tuple[Tensor, ...]:
            del count
            x = self._generated(start)
            made = self.extractor.extract(to_uint8(x, subject.sample.low, subject.sample.high))
            parts = [made.features]
            if made.logits is not None:
                parts.append(made.logits)
            if subject.discriminator is not None:
                parts.append(subject.discriminate(x))
            return tuple(parts)

        parts = in_blocks(work, self.plan.samples, self.plan.batch, task, self._block)
        names = ["features"]
        names += ["logits"] if self.extractor.classes else []
        names += ["scores"] if subject.discriminator is not None else []
        return dict(zip(names, parts, strict=True))

    def _generated(self, start: int) -> Tensor:
        z = self.subject.latents(self.plan.seed, start, self._block)
        return self.subject.generate(z, self.subject.labels(self.plan.seed, start, self._block))


def _padded(start: int, count: int, n: int) -> list[int]:
    """Return ``count`` indices from ``start``; past the end the last one is repeated."""
    return [min(i, n - 1) for i in range(start, start + count)]
