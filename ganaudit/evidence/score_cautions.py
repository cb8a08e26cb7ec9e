"""What is odd about scores and must be said before any number that is made of them."""

from __future__ import annotations

import torch
from torch import Tensor

from ganaudit.numerics.detection import auc

__all__ = ["are_constant", "look_like_probabilities", "score_cautions"]

_END = 0.05
_AT_ENDS = 0.1
_TIED = 0.05
_REVERSED = "the sign may be reversed, with smaller meaning real (--score-sign turns it)"


def score_cautions(real: Tensor, fake: Tensor, calibration: Tensor, train: Tensor | None = None) -> list[str]:
    """Return warnings on scores of test reals, generated samples, calibration reals and, where known, train reals.

    A critic without opinion, scores that are probabilities, many scores of one value, and scores that point the wrong
    way. The last is looked for on calibration reals, so that the test reals choose nothing.
    """
    if are_constant(real, fake, calibration):
        return [
            f"the discriminator gives every sample the same score ({float(fake[0]):.6g}): it tells nothing apart, and "
            "no number made of its scores means anything"
        ]
    found = [_probabilities(real, fake, calibration), _ties(real, fake, calibration)]
    found.append(_reversed(fake, calibration, train))
    return [text for text in found if text is not None]


def are_constant(*sides: Tensor) -> bool:
    """Return whether all scores of all sides are one number."""
    return all(bool((side == sides[0][0]).all()) for side in sides)


def look_like_probabilities(*sides: Tensor) -> bool:
    """Return whether all scores lie in [0, 1], as after a sigmoid."""
    return all(float(side.min()) >= 0.0 and float(side.max()) <= 1.0 for side in sides)


def _probabilities(*sides: Tensor) -> str | None:
    if not look_like_probabilities(*sides):
        return None
    scores = torch.cat(sides)
    ends = float(((scores <= _END) | (scores >= 1 - _END)).double().mean())
    sure = f", {ends:.0%} of them within {_END:g} of its ends" if ends >= _AT_ENDS else ""
    are = "they are probabilities" if sure else "they may be probabilities"
    return (
        f"all {len(scores)} scores lie in [0, 1]{sure}: {are}, as after a sigmoid, and no raw scores. Ranks stay as "
        "they are but for ties; costs and calibration read scores as log-likelihood ratios and are wrong then. Give "
        "the discriminator's last output before the sigmoid"
    )


def _ties(*sides: Tensor) -> str | None:
    values, counts = torch.unique(torch.cat(sides), return_counts=True)
    most = int(counts.argmax())
    share = float(counts[most]) / float(counts.sum())
    if share <= _TIED or len(values) == 1:
        return None
    return (
        f"{share:.0%} of all scores are exactly {float(values[most]):.6g}: equal scores cannot be ranked, and a "
        "threshold among them calls fewer reals generated than it may"
    )


def _reversed(fake: Tensor, calibration: Tensor, train: Tensor | None) -> str | None:
    area = auc(calibration, fake)
    if area.interval(0.95).high >= 0.5:
        return None
    told = f"generated samples score above reals that were not seen in training (area {area.value:.3f}, with the sign "
    told += f"turned {1 - area.value:.3f}, on calibration reals): "
    seen = None if train is None else auc(train, fake).interval(0.95)
    if seen is not None and seen.high < 0.5:
        return told + "so do they above train reals, so " + _REVERSED
    if seen is not None and seen.low > 0.5:
        return told + "train reals score above them, so it learnt its train reals by heart and finds others strange"
    return told + _REVERSED + ", or it learnt its train reals by heart"
