"""Which samples a discriminator is most wrong about, on both sides."""

from __future__ import annotations

import torch
from torch import Tensor

from ganaudit.document.spec import Exhibit
from ganaudit.evidence.score_cautions import are_constant
from ganaudit.evidence.score_sides import ScoreSides

__all__ = ["extremes"]

_SHOWN = 16


def extremes(sides: ScoreSides, are_reals_shown: bool) -> list[Exhibit]:
    """Return the samples that the discriminator is most wrong about; none where it has no opinion."""
    if are_constant(sides.real, sides.fake):
        return []
    found = []
    top = torch.argsort(sides.fake, descending=True, stable=True)[:_SHOWN].tolist()
    unseen, named = (sides.real, "test") if sides.calibration is None else (sides.calibration, "calibration")
    found.append(
        Exhibit(
            title="Generated samples that look most real to the discriminator",
            rule=f"the {len(top)} highest scores of {len(sides.fake)} generated samples, highest first",
            side="fake",
            indices=top,
            captions=[_caption(i, sides.fake, unseen, f"{named} reals") for i in top],
        )
    )
    if are_reals_shown:  # galleries of reals show the split that is compared with
        low = torch.argsort(sides.real, stable=True)[:_SHOWN].tolist()
        found.append(
            Exhibit(
                title="Real samples that the discriminator is surest are generated",
                rule=f"the {len(low)} lowest scores of {len(sides.real)} test reals, lowest first",
                side="real",
                indices=low,
                captions=[_caption(i, sides.real, sides.fake, "generated samples") for i in low],
            )
        )
    return found


def _caption(index: int, scores: Tensor, others: Tensor, named: str) -> str:
    below = float((others < scores[index]).double().mean())
    return f"sample {index}: score {float(scores[index]):.4g}, above {below:.1%} of {named}"
