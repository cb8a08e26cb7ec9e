"""Coverage in a few sentences, and reals that show what generated samples lack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganaudit.document.model import Measurement, Note
from ganaudit.document.spec import Exhibit
from ganaudit.document.standing import against_null
from ganaudit.evidence.class_quality import Reached
from ganaudit.evidence.filled_bins import Filled
from ganaudit.evidence.standing_shares import Standing

__all__ = ["examples", "in_words", "unlike"]

_NAMED, _SHOWN = 10, 16
_UNLIKE = 0.5
"""Share of generated samples near no real from which on the classes read off them are doubted."""


def in_words(
    discrepancy: Measurement, by: Standing | None, stands: Sequence[Standing], one: Standing | None, gone: Sequence[int]
) -> str:
    """Return how the shares of ``by`` stand, which values of ``one`` are missing and who read each attribute."""
    named = f"The discrepancy of {by.reading.name if by is not None else 'class'} shares"
    words = [against_null(discrepancy, named, "a perfect generator") or _alone(discrepancy, named)]
    if one is not None and gone:
        listed = ", ".join(one.reading.values[j] for j in gone[:_NAMED]) + (", ..." if len(gone) > _NAMED else "")
        words.append(f"Missing of {one.reading.name}: {listed}.")
        words.append(f"Chance cannot explain {int(one.beyond_chance[list(gone)].sum())} of these {len(gone)}.")
    elif one is not None:
        words.append(f"No value of {one.reading.name} is missing.")
    return " ".join([*words, *(_reader(one) for one in stands)])


def _alone(discrepancy: Measurement, named: str) -> str:
    if discrepancy.value is None:
        return f"{named} cannot be told: {discrepancy.reason}."
    return f"{named} is {discrepancy.value:.4g}."


def _reader(one: Standing) -> str:
    words = f"{one.reading.name} is read by {one.reading.source}"
    if one.reading.right is not None:
        words += ", right for {} of {} held-out reals".format(*one.reading.right)
    if not one.shares.is_corrected:
        return f"{words}; what it says counts as true."
    confusion = one.reading.confusion
    if confusion is not None and confusion.right == confusion.sizes.sum():
        return f"{words}: it made no errors to take out."
    return f"{words}; its errors are taken out."


def unlike(near: Reached, by: Standing) -> list[Note]:
    """Return a caution where most generated samples lie near no real, so that a classifier was never tried on such."""
    apart = 1 - float(near.precise.mean())
    if apart < _UNLIKE:
        return []
    text = (
        f"{apart:.0%} of the {len(near.precise)} generated samples looked at lie near no real: how often "
        f"{by.reading.source} errs on reals says little of what it reads off these."
    )
    return [Note(text=text)]


def examples(one: Standing | None, gone: Sequence[int], bins: Filled, level: float) -> list[Exhibit]:
    """Return reals of the values that are missing, or else of the bins that generated samples fill too little."""
    if one is not None and gone:
        reading = one.reading
        at = [(reading.values[j], int(i)) for j in gone for i in reading.real_rows[reading.real == j][:2]]
        title, rule = "Reals of missing modes", f"the first 2 reals of each value of {reading.name} that is missing"
    else:
        test = bins.test
        low = [j for j in np.argsort(test.z, kind="stable")[:4] if test.z[j] < 0 and test.adjusted[j] <= level]
        at = [(f"bin {j}, z {test.z[j]:.3g}", int(i)) for j in low for i in np.flatnonzero(bins.rows == j)[:4]]
        title, rule = "Reals of bins that generated samples fill too little", "the first 4 reals of the 4 lowest z"
    if not at:
        return []
    at = at[:_SHOWN]
    return [Exhibit(title=title, rule=rule, side="real", indices=[i for _, i in at], captions=[n for n, _ in at])]
