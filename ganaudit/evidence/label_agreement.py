"""Whether samples show the class that they were asked for or came with, read by something else than their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganaudit.document.model import Measurement, Null
from ganaudit.document.spec import EvaluatorSpec
from ganaudit.document.standing import against_null
from ganaudit.evidence.attributes import Reading, Source, class_reading
from ganaudit.evidence.share_measurements import interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.intervals import Bounds, wilson

__all__ = ["Agreement", "agreement", "agreement_measurement"]

_OTHERS: Sequence[Source] = ("oracle", "classifier", "probe")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often the label told is the class read."""

    hits: int
    n: int
    by_chance: float
    """Share that labels shuffled among the same samples would hit: sum over classes of share told times share read."""
    right: tuple[int, int] | None
    """Held-out reals whose label is read off them, and all of them."""
    source: str
    asked: bool
    """Whether a generator was told the labels; else the samples came with them."""

    @property
    def bounds(self) -> Bounds:
        """The share of hits, 95 %."""
        return wilson(self.hits, self.n, 0.95)

    @property
    def usual(self) -> Bounds | None:
        """That of reals and their own labels."""
        return None if self.right is None else wilson(*self.right, 0.95)

    @property
    def warning(self) -> str | None:
        """What to say of labels that hit no more often than shuffled ones, while those of reals do; else None."""
        usual = self.usual
        # Where nearly all samples are of one class shuffling changes nothing: only what reals exceed is a fault.
        if usual is None or self.bounds.low > self.by_chance or self.bounds.high >= usual.low:
            return None
        assert self.right is not None
        fault = (
            "the generator ignores the class it is told, or numbers its classes otherwise than the reference"
            if self.asked
            else "their order or numbering is wrong, and nothing that rests on them holds"
        )
        return (
            f"labels do not match the samples: {self.hits} of {self.n} ({self.hits / self.n:.3g}) show the class of "
            f"their label, as read by {self.source}; labels shuffled among them would in {self.by_chance:.3g}, and "
            f"those of reals do in {self.right[0] / self.right[1]:.3g}: {fault}"
        )


def agreement(view: View, by: Reading | None, why: str, samples: int, rng: np.random.Generator) -> Agreement | str:
    """Return how often labels are what ``by`` reads, or in words why that cannot be told (``why``: there is no ``by``).

    Labels that are themselves taken for the class are held against the first of oracle, classifier and probe that can
    be had and is better than chance.
    """
    lacks = why if by is None else view.missing("labels/fake")
    if by is None or lacks is not None:
        return f"needs labels of generated samples and a way to read their class: {lacks}"
    found = by if by.read is not None else _another(view, samples, rng)
    if isinstance(found, str):
        return f"nothing but the labels themselves tells the class of the generated samples: {found}"
    told = view["labels/fake"].numpy()[found.fake_rows]
    known = told >= 0
    n, k = int(known.sum()), len(found.values)
    if not n:
        return f"0 of {len(told)} generated samples have a label"
    told, read = told[known], found.fake[known]
    told_of, read_of = (np.bincount(one[one >= 0], minlength=k) / n for one in (told, read))
    by_chance, is_asked = float((told_of * read_of).sum()), view.missing("values/fake") is None
    asked = is_asked and view.subject.samples is None
    return Agreement(int((told == read).sum()), n, by_chance, found.right, found.source, asked)


def agreement_measurement(
    spec: EvaluatorSpec, found: Agreement | str, no_null: str | None
) -> tuple[Measurement, str | None]:
    """Return ``label-agreement`` beside that of reals with their own labels, and a sentence that compares the two."""
    key = "label-agreement"
    if isinstance(found, str):
        return spec.measurement(key, None, {"fake": 0}, reason=found, null_reason=no_null), None
    null, usual = None, found.usual
    if found.right is not None and usual is not None and no_null is None:
        rule = f"{found.right[1]} held-out reals: the class read against their label"
        value = found.right[0] / found.right[1]
        null = Null(value=value, low=usual.low, high=usual.high, n=found.right[1], of="own labels", rule=rule)
    made = spec.measurement(
        key,
        found.hits / found.n,
        {"fake": found.n},
        interval=interval_of(
            found.bounds, "Wilson score", "the drawing of generated samples, the classifier held fixed"
        ),
        null=null,
        null_reason=no_null,
    )
    told = "they were asked for" if found.asked else "of their label"
    return made, against_null(made, f"The share of samples that show the class {told}", "reals with their own labels")


def _another(view: View, samples: int, rng: np.random.Generator) -> Reading | str:
    refused = []
    for source in _OTHERS:
        found = class_reading(view, source, samples, rng)
        if not isinstance(found, str):
            return found
        refused.append(found)
    return "; ".join(dict.fromkeys(refused))
