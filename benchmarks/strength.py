"""Robust accuracy of the reference models' discriminators under our gradient steps, foolbox's, and one step.

All at the same budgets, steps and threshold, on the same samples: generated ones that shall pass as real, and test
reals that shall be called generated. Run it as ``python -m benchmarks.strength``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ganaudit.attacks.accused import Accused, accused
from ganaudit.attacks.critic import SIDES
from ganaudit.attacks.gradient import Fgsm, Pgd
from ganaudit.attacks.peer import FoolboxPgd
from ganaudit.attacks.threat import Attack, Budget, Threat
from ganaudit.auditing.setting import settle
from ganaudit.config import make_plan
from ganaudit.evidence.view import View
from ganaudit.numerics.detection import conformal_threshold
from ganaudit.progress import Silent

MODELS = ("digits", "shapes", "glyphs", "tones")
SAMPLES, STEPS, FPR = 256, 20, 0.05
IMAGES, SOUNDS = (0.004, 0.008, 0.016, 0.032), (0.0001, 0.0003, 0.001, 0.003)
"""Budgets (linf) over the width of the range."""

OURS = "ours"
ATTACKS: dict[str, Attack] = {OURS: Pgd(STEPS), "foolbox": FoolboxPgd(STEPS), "one step": Fgsm()}


def strength() -> list[dict[str, Any]]:
    """Return a row for each model and side.

    ``error``: the largest difference over the budgets of the robust accuracy under ours and that under another; above 0
    ours was the weaker. One sample is 1/n.
    """
    untimed = dict.fromkeys(("ours_seconds", "peer_seconds", "ratio", "target"))
    rows = []
    for model in MODELS:
        for found, shares in _sides(model):
            held = {name: [_held(found, attack, share) for share in shares] for name, attack in ATTACKS.items()}
            behind = max(mine - other for name in ATTACKS for mine, other in zip(held[OURS], held[name], strict=True))
            side = "generated" if found.side == "fake" else "reals"
            work = (
                f"robust accuracy of {model}, {side}, n = {len(found.x)}, linf {_words(shares, '{:g}')}, {STEPS} steps"
            )
            told = {name.replace(" ", "_"): _words(values, "{:.3f}") for name, values in held.items()}
            rows.append({"work": work, "peer": "foolbox PGD, one step", **untimed, "error": behind, **told})
    return rows


def _sides(model: str) -> Iterator[tuple[Accused, tuple[float, ...]]]:
    """Yield the samples of both sides as the evaluator of robustness puts them, and the budgets they are asked."""
    plan = make_plan({"subject": model, "samples": SAMPLES, "evaluators": {}}, "benchmark", [])
    setting = settle(plan, None, None, Silent())
    subject = setting.subject
    needed = ("values/test", "values/fake", "scores/calibration")
    view = View(setting.evidence, needed)
    threshold = conformal_threshold(view["scores/calibration"], FPR)
    if threshold is None:
        raise RuntimeError(f"{model}: too few calibration reals for a threshold at {FPR:g}")
    count = min(SAMPLES, len(setting.reference.split("test")))
    for side in SIDES:
        x, labels = view.values("fake" if side == "fake" else "test", range(count))
        shares = IMAGES if len(subject.sample.shape) == 3 else SOUNDS
        yield accused(subject, x, labels, side, threshold), shares


def _held(found: Accused, attack: Attack, share: float) -> float:
    """Return the share of samples still called rightly under an attack, those called wrongly before among the rest."""
    low, high = found.groups[0].critic.low, found.groups[0].critic.high
    threat = Threat(Budget("linf", share * (high - low)), low, high, found.side)
    return found.attempt(attack, threat, np.random.default_rng(0)).robust_accuracy


def _words(values: tuple[float, ...] | list[float], form: str) -> str:
    return " ".join(form.format(value) for value in values)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for row in strength():
        print(row)
