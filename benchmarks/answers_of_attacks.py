"""Known answers on attacks and certificates: K08 to K12."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.known_answer import Answer
from ganaudit.attacks.balls import NORMS, Norm
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.gradient import Pgd
from ganaudit.attacks.masking import masking_panel
from ganaudit.attacks.minimal import MinimalNorm
from ganaudit.attacks.smoothing import certify
from ganaudit.attacks.threat import Budget, Threat
from ganaudit.attacks.trial import attempt

__all__ = ["attacked"]

_N, _SIDE = 64, 8
_DUAL: dict[Norm, float] = {"linf": 1, "l2": 2, "l1": np.inf}


def attacked() -> Iterator[Answer]:
    """Yield the answers on attacks, masking and certificates."""
    for of in (_linear, _masking, _certified):
        yield from of()


def _setting(norm: Norm = "linf") -> tuple[torch.Tensor, np.ndarray, float, float, int]:
    """Return samples in the middle of -1..1, weights, a threshold, a radius, and how many samples it leaves."""
    inner = 0.05 if norm == "l1" else 0.2
    x = torch.from_numpy(inner * (2 * np.random.default_rng(0).random((_N, 1, _SIDE, _SIDE)) - 1)).float()
    w = np.random.default_rng(1).standard_normal(_SIDE**2)
    scores = x.flatten(1).double().numpy() @ w
    threshold = float(scores.max()) + 0.05 * float(np.ptp(scores))
    distances = np.sort((threshold - scores) / np.linalg.norm(w, _DUAL[norm]))
    # Half way across the widest gap near the middle: no rounding decides.
    at = 28 + int(np.argmax(np.diff(distances[28:37])))
    return x, w, threshold, float(distances[at] + distances[at + 1]) / 2, _N - at - 1


def _critic(w: np.ndarray, threshold: float, c: float = 1.0, t0: float = 0.0) -> Critic:
    weights = torch.from_numpy(w)
    return Critic(lambda x: c * (x.flatten(1).double() @ weights) + t0, c * threshold + t0, -1.0, 1.0)


def _linear() -> Iterator[Answer]:
    test = "tests/attacks/test_linear.py::test_robust_accuracy_is_the_closed_form"
    for norm in NORMS:
        x, w, threshold, radius, left = _setting(norm)
        threat = Threat(Budget(norm, radius), -1.0, 1.0, "fake")
        for attack in (Pgd(12), MinimalNorm()):
            found = attempt(_critic(w, threshold), attack, x, threat, np.random.default_rng(0))
            name = type(attack).__name__
            yield Answer("K08", f"linear critic, {norm}, {name}: samples of {_N} that hold", left,
                         int((~found.fooled).sum()), 0.0, test)  # fmt: skip
    x, w, threshold, radius, left = _setting()
    threat = Threat(Budget("linf", radius), -1.0, 1.0, "fake")
    for c, t0 in ((1e-3, 50.0), (1.0, -50.0), (1e3, 50.0)):
        found = attempt(_critic(w, threshold, c, t0), Pgd(12), x, threat, np.random.default_rng(0))
        yield Answer("K09", f"the same of {c:g} D {t0:+g}", left, int((~found.fooled).sum()), 0.0,
                     "tests/attacks/test_linear.py::test_unit_and_zero_of_the_score_change_nothing")  # fmt: skip
    whole = Threat(Budget("linf", 2.0), -1.0, 1.0, "fake")
    found = attempt(_critic(w, threshold), Pgd(12), x, whole, np.random.default_rng(0))
    yield Answer("K11", "share fooled by a budget of the whole range", 1.0, float(found.fooled.double().mean()), 0.0,
                 "tests/attacks/test_linear.py::test_the_whole_range_fools_always")  # fmt: skip


def _masking() -> Iterator[Answer]:
    x = torch.from_numpy(0.4 * (2 * np.random.default_rng(0).random((96, 1, _SIDE, _SIDE)) - 1)).float()
    w = torch.from_numpy(np.random.default_rng(1).standard_normal(_SIDE**2)).float()
    tau = float((x.flatten(1) @ w).quantile(0.9))
    threat = Threat(Budget("linf", 0.04), -1.0, 1.0, "fake")

    def is_masked(critic: Critic) -> int:
        return int(masking_panel(critic, x, threat, np.random.default_rng(0)).verdict == "masked")

    for slope in (1.0, 50.0, 1000.0):
        critic = Critic(lambda x, k=slope: torch.sigmoid(k * (x.flatten(1) @ w - tau)), 0.5, -1.0, 1.0)  # type: ignore[misc]
        yield Answer("K10", f"sigmoid of slope {slope:g} is told as masked", int(slope > 1), is_masked(critic), 0.0,
                     "tests/attacks/test_masking.py::test_a_saturated_sigmoid_masks")  # fmt: skip
    critic = Critic(lambda x: 1000 * (x.flatten(1) @ w), 1000 * tau, -1.0, 1.0)
    yield Answer("K10", "raw score x 1000, attacked by its margin, is told as masked", 0, is_masked(critic), 0.0,
                 "tests/attacks/test_masking.py::test_so_it_is_in_any_unit",
                 "there is no cross-entropy adapter to fail: attacks follow the raw margin")  # fmt: skip


def _certified() -> Iterator[Answer]:
    """w = (3, 4), x = (1, 1): the distance to the plane is 1.4 whatever the noise."""
    w = torch.tensor([3.0, 4.0])
    critic, n, test = Critic(lambda x: x @ w, 0.0, -10.0, 10.0), 100_000, "tests/cli/test_discriminator_answers.py"
    test += "::test_certified_radius_of_a_linear_critic"
    above = 0
    for sigma in (0.25, 0.5, 1.0, 2.0):
        found = certify(critic, torch.ones(5, 2), sigma, np.random.default_rng(0), n=n, alpha=0.001, batch=20_000)
        above += int((found.radius > 1.4).sum())
        guess, proved = float(found.estimate.median()), float(found.radius.median())
        remark = f"estimate of {n:,} draws, the median of five samples; proved: {proved:.4f}"
        if math.isinf(guess):
            remark = f"cannot be met as written: where all {n:,} draws agree they prove this much and estimate nothing"
        yield Answer("K12", f"radius of a linear critic under noise, sigma = {sigma:g}", 1.4,
                     proved if math.isinf(guess) else guess, 0.014, test, remark)  # fmt: skip
    yield Answer(
        "K12", "certificates of the four sigmas, five samples each, above the true radius", 0, above, 0.0, test
    )
    for sigma in (0.5, 1.0, 2.0):
        found = certify(critic, torch.ones(1, 2), sigma, np.random.default_rng(0), n=1_000_000, batch=100_000)
        yield Answer("K12", f"proved radius of a million draws, sigma = {sigma:g}", 1.4, float(found.radius[0]), 0.014,
                     "tests/attacks/test_smoothing.py::test_k12_within_one_percent", "never above 1.4")  # fmt: skip
