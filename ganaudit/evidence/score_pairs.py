"""Two discriminators on the same samples: whose ranking is better, by DeLong's paired test."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ganaudit.document.model import Detail, Note, Table
from ganaudit.numerics.detection_comparison import auc_difference

__all__ = ["paired_areas"]

_COLUMNS = [
    "other",
    "AUC of this discriminator",
    "AUC of the other",
    "difference",
    "low",
    "high",
    "p-value",
]


def paired_areas(
    real: Tensor, fake: Tensor, others_real: Mapping[str, Tensor], others_fake: Mapping[str, Tensor]
) -> list[Detail]:
    """Return a table of areas under the ROC curve by other subject, and a note on how to read it.

    ``real`` (N,) and ``fake`` (M,) are this discriminator's scores, the mappings those of each other one, row i of the
    same sample. Intervals of the difference are at 95 %, p-values two-sided, of one comparison each.
    """
    rows: list[list[str | int | float | None]] = []
    for name, theirs in others_real.items():
        found = auc_difference((real, fake), (theirs, others_fake[name]))
        ends = found.interval(0.95)
        # Where every sample is ranked alike nothing varies that an interval could be made of.
        alike = found.standard_error == 0
        low, high = (None, None) if alike else (ends.low, ends.high)
        rows.append([name, found.first.value, found.second.value, found.value, low, high, found.p_value])
    text = (
        f"Both discriminators scored the same {len(real)} test reals and the same {len(fake)} samples of this "
        "subject's generator, so that what the samples have in common cancels (DeLong's paired test). Above 0 this "
        "discriminator ranks them better; it was trained against this generator, which the other need not have been. "
        f"Each row is one comparison, not corrected for the {len(rows)} made. A difference without an interval: both "
        "rank every sample alike."
    )
    return [Table(title="Against other discriminators, same samples", columns=_COLUMNS, rows=rows), Note(text=text)]
