"""The narrowed evidence an evaluator is handed, and the contract it fulfils."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np
from torch import Tensor

from ganaudit.data.oracles.oracle import Oracle
from ganaudit.document.errors import EvidenceError
from ganaudit.document.spec import EvaluatorSpec, Findings
from ganaudit.evidence.evidence import Evidence
from ganaudit.evidence.handing import handed
from ganaudit.features.engine import extracted
from ganaudit.features.extractor import block_of
from ganaudit.numerics.moments import GroupedMoments
from ganaudit.numerics.quantise import Quantiser
from ganaudit.numerics.randomness import generator
from ganaudit.numerics.world import World
from ganaudit.subjects.subject import Subject

__all__ = ["Evaluator", "View"]


class View:
    """Reads the declared nodes of the evidence and refuses every other: a declaration cannot drift from its use."""

    def __init__(self, evidence: Evidence, declared: Sequence[str]) -> None:
        self._evidence = evidence
        self._declared = frozenset(declared)

    def __getitem__(self, node: str) -> Tensor:
        self._declares(node)
        return self._evidence.node(node)

    def _declares(self, node: str) -> None:
        if node not in self._declared:
            raise EvidenceError(
                f"evidence {node!r} was read without being declared; declared: {sorted(self._declared)}"
            )

    def blocks(self, node: str) -> Iterator[tuple[int, Tensor]]:
        """Yield (first row, rows) of a declared node over all its rows; memory does not grow with their number."""
        self._declares(node)
        return self._evidence.blocks(node)

    def count(self, node: str) -> int:
        """Return how many rows a declared node has, without computing it."""
        self._declares(node)
        return self._evidence.count(node)

    def moments(self, side: str) -> GroupedMoments:
        """Return the moments of the features of a side, declared as ``moments/SIDE``."""
        self._declares(f"moments/{side}")
        return self._evidence.moments(side)

    def values(self, side: str, indices: Sequence[int], judge: Subject | None = None) -> tuple[Tensor, Tensor | None]:
        """Return samples of a set as the discriminator is given them, and their labels where it is told the class.

        Declared as ``values/SET`` or ``values/SIDE``; float32 in the subject's range, generated ones before any
        quantisation. ``judge``: the subject whose discriminator will read them, where it is another.
        """
        self._declares(f"values/{side}")
        return self._evidence.values(f"values/{side}", list(indices), judge)

    def features_of(self, x: Tensor, quantiser: Quantiser | None = None) -> Tensor:
        """Return the features (B, D) of samples ``x`` of the evaluator's own, float32 in the subject's range.

        Some ``values/`` is declared. They become levels by ``quantiser``, the plan's where it is None; "none" leaves
        them as they are. They are not kept: a few hundred at a time.
        """
        return self._extracted(x, quantiser)["features"]

    def logits_of(self, x: Tensor) -> Tensor:
        """Return the logits (B, K) of such samples; the extractor is a classifier, as for a node ``logits/``."""
        return self._extracted(x, None)["logits"]

    @property
    def differentiable(self) -> Callable[[Tensor], Tensor] | None:
        """Returns features (B, D) of samples in the subject's range, with gradients; None if the extractor has none.

        Some ``values/`` is declared. Values beyond the range count as its ends; nothing is rounded.
        """
        self._calls_networks()
        extract = getattr(self._evidence.extractor, "differentiable", None)
        low, high = self._evidence.subject.sample.low, self._evidence.subject.sample.high
        images = len(self._evidence.subject.sample.shape) == 3
        if extract is None or not images:
            return None
        return lambda x: extract(((x - low) / (high - low)).clamp(0, 1) * 255)

    def _extracted(self, x: Tensor, quantiser: Quantiser | None) -> dict[str, Tensor]:
        self._calls_networks()
        evidence, subject = self._evidence, self._evidence.subject
        given = handed(x, subject.sample.low, subject.sample.high, quantiser or evidence.plan.quantiser)
        block = block_of(evidence.extractor, subject.device)
        return extracted(evidence.extractor.extract, given, block, subject.device, subject.room)

    def others(self, side: str) -> Mapping[str, Tensor]:
        """Return scores that lie between subjects, by the other's name, declared as ``others/SIDE``; float64 (N,).

        A set (fake, train, calibration, test): what each other discriminator gives its samples. ``generated``: what
        the audited discriminator gives the samples that each other generator makes of the same seed.
        """
        self._declares(f"others/{side}")
        return self._evidence.others_scores(side)

    @property
    def other_subjects(self) -> Mapping[str, Subject]:
        """The other subjects by name, their networks in the audited one's range; some ``others/`` is declared."""
        if not any(node.startswith("others/") for node in self._declared):
            raise EvidenceError("the other subjects were asked for without any others/SET being declared")
        return {name: other.subject for name, other in self._evidence.others.items()}

    @property
    def subject(self) -> Subject:
        """The subject itself, for evaluators that must call its networks; they declare the ``values`` they work on."""
        self._calls_networks()
        return self._evidence.subject

    def _calls_networks(self) -> None:
        if not any(node.startswith("values/") for node in self._declared):
            raise EvidenceError("the subject's networks were asked for without any values/SET being declared")

    def missing(self, node: str) -> str | None:
        """Return why a node cannot be had, or None."""
        return self._evidence.missing(node)

    def trained_on(self, split: str) -> bool:
        """Return whether the subject is known to have been trained on a split of the reference."""
        return self._evidence.reference.seen.get(split) == "seen"

    @property
    def world(self) -> World:
        """The processes that share the work; pass it on to every sweep that takes one."""
        return self._evidence.ranks

    def chance(self, name: str) -> np.random.Generator:
        """Return chance of (plan seed, ``name``): for a number that several evaluators show, so that they show one."""
        return generator(self._evidence.plan.seed, name)

    @property
    def null_rule(self) -> str:
        """Which reals stand in for generated samples."""
        return self._evidence.null.rule

    @property
    def against(self) -> str:
        """The split of reals that generated samples are compared with."""
        return self._evidence.plan.against

    @property
    def oracle(self) -> Oracle | None:
        """What reads attributes off samples of this reference, where its samples follow a written rule."""
        return self._evidence.reference.oracle

    @property
    def label_classes(self) -> tuple[str, ...]:
        """Names of the classes that the labels of reals stand for; empty where they have none."""
        reference = self._evidence.reference
        return () if reference.statistics is not None else tuple(reference.split(self.against).classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes the extractor's logits stand for, where the reference has as many."""
        reference = self._evidence.reference
        names = reference.split(self.against).classes if reference.statistics is None else ()
        return tuple(names) if len(names) == self._evidence.extractor.classes else ()


class Evaluator(Protocol):
    """Asks one question of the evidence. Its options are the fields of its dataclass.

    It prints nothing, opens no file and sets no limit; all its randomness comes from ``rng``.
    """

    spec: ClassVar[EvaluatorSpec]

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return what was found; raises NotAssessable saying what it would need."""
