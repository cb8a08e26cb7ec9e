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


def score_cautions(real: Tensor, fake: Tensor, calibration: Tensor | None, train: Tensor | None = None) -> list[str]:
    """Return warnings on scores of test reals, generated samples and, where known, calibration and train reals.

    A critic without opinion, scores that are probabilities, many scores of one value, and scores that point the wrong
    way. The last is looked for on calibration reals, where there are any, so that the test reals choose nothing.
    """
    sides = [side for side in (real, fake, calibration) if side is not None]
    if are_constant(*sides):
        return [
            f"the discriminator gives every sample the same score ({float(fake[0]):.6g}): it tells nothing apart, and "
            "no number made of its scores means anything"
        ]
    found = [_probabilities(*sides), _ties(*sides)]
    named = "test" if calibration is None else "calibration"
    found.append(_reversed(fake, real if calibration is None else calibration, named, train))
    return [text for text in found if text is not None]


def are_constant(*sides: Tensor) -> bool:
    """Return whether all scores of all sides are one number."""
    return all(bool((side == sides[0][0]).all()) for side in sides)


def look_like_probabilities(*sides: Tensor) -> bool:
    """Return whether all scores lie in [0, 1], as after a sigmoid, and are not one number, which tells nothing."""
    return not are_constant(*sides) and all(float(side.min()) >= 0.0 and float(side.max()) <= 1.0 for side in sides)


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


def _reversed(fake: Tensor, unseen: Tensor, named: str, train: Tensor | None) -> str | None:
    area = auc(unseen, fake)
    if area.interval(0.95).high >= 0.5:
        return None
    told = f"generated samples score above reals that were not seen in training (area {area.value:.3f}, with the sign "
    told += f"turned {1 - area.value:.3f}, on {named} reals): "
    seen = None if train is None else auc(train, fake).interval(0.95)
    if seen is not None and seen.high < 0.5:
        return told + "so do they above train reals, so " + _REVERSED
    if seen is not None and seen.low > 0.5:
        return told + "train reals score above them, so it learnt its train reals by heart and finds others strange"
    return told + _REVERSED + ", or it learnt its train reals by heart"
