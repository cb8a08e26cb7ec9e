"""Which evidence can be had, and in words why some cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganaudit.data.reference import Reference
from ganaudit.evidence.nodes import SIDES
from ganaudit.evidence.null import NullDesign
from ganaudit.evidence.others import Other
from ganaudit.features.extractor import Extractor
from ganaudit.subjects.subject import Subject

__all__ = ["Availability"]

_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Availability:
    """What follows from subject, reference and extractor alone, before anything is computed."""

    subject: Subject
    reference: Reference
    extractor: Extractor
    null: NullDesign
    against: str
    others: Mapping[str, Other]

    def missing(self, node: str) -> str | None:
        """Return why a node cannot be had, or None when it can."""
        kind, _, side = node.partition("/")
        if kind == "scores":
            return self._missing_scores(side)
        if kind == "values" and side not in SIDES:
            return self._missing_set(side) or self._missing_values(side) or self._unlabelled(self.subject, side)
        if kind == "others":
            return self._missing_others(side)
        if self.reference.statistics is not None and side == "real" and kind != "moments":
            return "the reference is a mean and a covariance of features, without samples"
        if side.startswith("null") and self.null.fake is None:
            return self.null.rule
        if kind == "logits" and not self.extractor.classes:
            return f"the extractor {self.extractor.id} is no classifier, so there are no class probabilities"
        if kind == "labels":
            return self._missing_labels(side)
        if kind == "features" and side not in SIDES:
            return self._missing_set(side)
        return self._missing_values(side) if kind == "values" else None

    def _missing_values(self, side: str) -> str | None:
        split = side if side in self.reference.splits else self.against
        samples = self.subject.samples if side == "fake" else self.reference.split(split)
        if samples is not None and samples.kind == "features":
            return f"{samples.name} holds rows of features; what they were taken from is not there"
        return None

    def _missing_scores(self, side: str) -> str | None:
        if self.subject.discriminator is None:
            return "the subject has no discriminator (--discriminator FILE gives one)"
        if side == "calibration" and self.reference.seen.get(side) == "seen":
            return (
                "the subject was trained on the calibration reals, and train reals set no threshold (--reference "
                "calibration=PATH names reals that training has not seen)"
            )
        return self._missing_set(side) or self._unlabelled(self.subject, side)

    def _missing_others(self, side: str) -> str | None:
        if not self.others:
            return (
                "0 other subjects were given (--other NAME=SUBJECT, or [others] in audit.toml: another checkpoint of "
                "the run, another training, or any subject with a discriminator of samples of this shape)"
            )
        if side == "generated":
            lacks = self.subject.discriminator is None
            return "the subject has no discriminator (--discriminator FILE gives one)" if lacks else None
        reasons = [self._unlabelled(other.subject, side) for other in self.others.values()]
        return self._missing_set(side) or next((reason for reason in reasons if reason is not None), None)

    def _missing_set(self, side: str) -> str | None:
        if self.reference.statistics is not None and side != "fake":
            return f"the reference is a mean and a covariance of features: it has no {side} reals"
        if why := self.reference.without(side):
            return f"{why}; --reference {side}=PATH names reals that training has not seen"
        if side in ("calibration", "test") and side not in self.reference.splits:
            return (
                f"the reference has no {side} split of reals; train reals are never substituted "
                f"(--reference {side}=PATH names reals that training has not seen)"
            )
        if side == "train" and side not in self.reference.splits:
            return (
                "the reference has no train split of reals (--reference train=PATH,test=PATH names those that training "
                "has seen)"
            )
        return None

    def _unlabelled(self, judge: Subject, side: str) -> str | None:
        """Return why the discriminator of ``judge`` cannot be told the classes of reals, or None."""
        if side == "fake" or not judge.judges_labels:
            return None
        real = self.reference.splits[side]
        if real.labels is None:
            return f"the discriminator is told the class, and the {side} reals have no labels"
        if len(real.classes or ()) not in (0, judge.classes):
            return f"the discriminator knows {judge.classes} classes, the reference has {len(real.classes)}"
        return None

    def _missing_labels(self, side: str) -> str | None:
        if self.reference.statistics is not None:
            return "the reference is a mean and a covariance of features, without labels"
        if side == "train":
            lacks = "train" in self.reference.splits and self.reference.splits["train"].labels is None
            return "the train reals have no labels" if lacks else self._missing_set("train")
        real = self.reference.split(self.against)
        if side == "fake" and self.subject.samples is None:
            if not self.subject.classes:
                return "the generator is unconditional: its samples have no labels"
            if real.labels is not None and len(real.classes or ()) not in (0, self.subject.classes):
                return f"the generator has {self.subject.classes} classes, the reference {len(real.classes)}"
            return None
        sides = {"fake": self.subject.samples, "real": real, "null-fake": self.null.fake, "null-real": self.null.real}
        samples = sides[side]
        assert samples is not None
        if samples.labels is None:
            return f"the samples of {samples.name} have no labels"
        if side == "fake" and samples.classes != real.classes:
            return (
                f"the classes of the subject's samples ({_listed(samples.classes)}) are not those of the reference "
                f"({_listed(real.classes)}); give the labels of both the same names, in the same order"
            )
        return None


def _listed(classes: Sequence[str] | None) -> str:
    names = list(classes or ())
    shown = ", ".join(names[:_SHOWN]) + (f", ... {names[-1]}" if len(names) > _SHOWN else "")
    return f"{len(names)}: {shown}" if names else "without names"
