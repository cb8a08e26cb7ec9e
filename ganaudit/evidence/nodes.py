"""The names of evidence.

``features/SIDE``, ``logits/SIDE``, ``labels/SIDE``, ``moments/SIDE``, ``scores/SET``, ``values/SET``, ``values/SIDE``
and ``features/SET``; SIDE is real, fake, null-real or null-fake, SET is fake, train, calibration or test. Moments are a
``GroupedMoments``; values, the samples as the discriminator is given them, are asked for some at a time; every other
node is one tensor with a row per sample. A SIDE's values need no discriminator. ``others/SET`` are the scores of a set
by the discriminator of each other subject, ``others/generated`` the scores of each other subject's generated samples by
the audited discriminator; both by the other's name. ``labels/train`` are those of the train split.
"""

from __future__ import annotations

__all__ = ["KINDS", "PARTNER", "SCORE_SETS", "SIDES", "node_names"]

SIDES = ("real", "fake", "null-real", "null-fake")
SCORE_SETS = ("fake", "train", "calibration", "test")
KINDS = ("features", "logits", "labels", "moments")

PARTNER = {"real": "fake", "fake": "real", "null-real": "null-fake", "null-fake": "null-real"}
"""The side that each is compared with."""


def node_names() -> list[str]:
    """Return the name of every node."""
    return [
        *(f"{kind}/{side}" for kind in KINDS for side in SIDES),
        *(f"{kind}/{s}" for kind in ("scores", "values", "others") for s in SCORE_SETS),
        *(f"features/{s}" for s in SCORE_SETS if s not in SIDES),
        *(f"values/{side}" for side in SIDES if side not in SCORE_SETS),
        "labels/train",
        "others/generated",
    ]
