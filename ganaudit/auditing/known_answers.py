"""The self-test: numbers whose answer is known, and controls whose defect is, on this machine and installation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import torch

import ganaudit
from ganaudit import registry
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.gradient import Pgd
from ganaudit.attacks.threat import Budget, Threat
from ganaudit.attacks.trial import attempt
from ganaudit.auditing.session import audit
from ganaudit.auditing.stamp import keep_selftest
from ganaudit.data.glyphs import GLYPHS, draw_glyphs, render_glyphs
from ganaudit.data.laws import LAWS
from ganaudit.data.samples import Samples
from ganaudit.data.splits import Reference
from ganaudit.document.alarms import Side, alarms
from ganaudit.document.model import SelfTest
from ganaudit.numerics.detection import auc
from ganaudit.numerics.frechet import frechet_distance
from ganaudit.numerics.moments import Moments
from ganaudit.numerics.randomness import normals, uniforms
from ganaudit.progress import Progress
from ganaudit.subjects.control import ControlFile, subject_of_control

__all__ = ["WATCHED", "Check", "checks", "coverage", "selftest", "short_reference"]

WATCHED: dict[str, Side] = {
    "frechet-distance/fd-corrected": "above",
    "kernel-distance/kd": "above",
    "precision-recall/precision": "below",
    "precision-recall/recall": "below",
    "diversity/near-duplicate-rate": "above",
    "two-sample-test/accuracy": "above",  # its area says the same of the same samples
    "discriminator-detection/auc": "either",
    "discriminator-overfit/seen-over-unseen": "above",
    "adversarial-robustness/masking": "above",
    "memorisation/exact-copy-rate": "above",
    "memorisation/copy-rate": "above",
    "memorisation/distance-auc": "above",
    "memorisation/membership-auc": "above",
    **{
        f"augmentation-bias/leak-{operation}": "above"
        for operation in ("hflip", "vflip", "rot90", "shift", "crop", "cutout", "colour")
    },
    "coverage-bias/class-discrepancy": "above",
    "coverage-bias/modes-missing": "above",
    "coverage-bias/js-divergence": "above",
    "interpolation-similarity/similarity-by-score": "below",
    "interpolation-similarity/holes": "above",
    "interpolation-similarity/holes-lerp": "above",
}
"""The numbers that controls are held to, here and in the detection matrix."""

_SPLITS = {"train": 1000, "calibration": 500, "test": 500}
_SAMPLES, _SEED = 400, 0


@dataclass(frozen=True, slots=True)
class Check:
    """One known answer."""

    name: str
    expected: str
    found: str
    passed: bool


def checks() -> Iterator[Check]:
    """Yield the known answers, one after the other; those of controls take some seconds each."""
    for check in (_frechet, _auc, _robust_accuracy):
        yield check()
    reference = short_reference()
    for planted in _CONTROLS:
        yield _control(planted, reference)


def selftest(progress: Progress) -> tuple[SelfTest, list[Check]]:
    """Return what came of all checks, and leave it in the cache for the documents of later audits.

    Raises OutputError when the cache cannot be written.
    """
    found = []
    with progress.task("known answers", 3 + len(_CONTROLS), "checks") as task:
        for check in checks():
            found.append(check)
            task.advance(1)
    stamp = SelfTest(
        passed=all(check.passed for check in found),
        checks=len(found),
        ganaudit=ganaudit.__version__,
        torch=torch.__version__,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    keep_selftest(stamp)
    return stamp, found


def _frechet() -> Check:
    """Mean and covariance of two Gaussians in closed form: |m|^2 + D (1 - s)^2 for N(0, I) and N(m, s^2 I)."""
    size, s = 16, 1.5
    mean = torch.linspace(-1, 1, size, dtype=torch.float64)
    real = Moments.from_statistics(1000, torch.zeros_like(mean), torch.eye(size, dtype=torch.float64))
    fake = Moments.from_statistics(1000, mean, s**2 * torch.eye(size, dtype=torch.float64))
    expected, found = float(mean @ mean) + size * (1 - s) ** 2, frechet_distance(real, fake)
    return Check("Fréchet distance of two Gaussians", f"{expected:.10g}", f"{found:.10g}",
                 math.isclose(expected, found, rel_tol=1e-9))  # fmt: skip


def _auc() -> Check:
    """Area of N(1, 1) against N(0, 1): the normal distribution function at 1/2^(1/2)."""
    n = 20_000
    real, fake = (torch.from_numpy(normals(_SEED, stream, 0, n, 1)[:, 0] + 1 - stream) for stream in (0, 1))
    expected, found = 0.5 * (1 + math.erf(0.5)), auc(real, fake)
    return Check("AUC of two Gaussians one apart", f"{expected:.4f} ± {4 * found.standard_error:.4f}",
                 f"{found.value:.4f}", abs(found.value - expected) < 4 * found.standard_error)  # fmt: skip


def _robust_accuracy() -> Check:
    """Linear critic: a sample is fooled within e in the largest norm where its margin is at most e |w|_1."""
    x = torch.from_numpy(uniforms(_SEED, 2, 0, 64, 64) * 0.4 - 0.2).float().view(64, 1, 8, 8)
    w = torch.from_numpy(normals(_SEED, 3, 0, 64, 1)[:, 0])
    scores = x.flatten(1).double() @ w
    threshold = float(scores.max()) + 0.1
    distances = ((threshold - scores) / w.abs().sum()).sort().values
    radius = float(distances[31] + distances[32]) / 2
    critic = Critic(lambda x: x.flatten(1).double() @ w, threshold, -1.0, 1.0)
    outcome = attempt(critic, Pgd(12), x, Threat(Budget("linf", radius), -1.0, 1.0, "fake"), np.random.default_rng(0))
    kept = int((~outcome.fooled).sum())
    return Check("robust accuracy of a linear critic", "32 of 64", f"{kept} of 64", kept == 32)


@dataclass(frozen=True, slots=True)
class Planted:
    """One control of the self-test."""

    defect: str
    severity: float
    evaluators: tuple[str, ...]
    """Those that are asked: the ones made for the defect."""
    wanted: frozenset[str]
    """Numbers that must raise an alarm; none may where this is empty."""
    critic: str = "sensible"


def _made_for(defect: str, severity: float, *wanted: str, critic: str = "sensible") -> Planted:
    names = tuple(dict.fromkeys(measure.partition("/")[0] for measure in wanted))
    return Planted(defect, severity, names, frozenset(wanted), critic)


_CAUGHT: tuple[Planted, ...] = (
    _made_for("flip-leaking", 0.5, "augmentation-bias/leak-hflip"),
    _made_for("crop-leaking", 0.5, "augmentation-bias/leak-crop"),
    _made_for("colour-leaking", 0.5, "augmentation-bias/leak-colour"),
    _made_for("memorising", 0.1, "memorisation/exact-copy-rate", "memorisation/copy-rate"),
    _made_for("mode-dropped", 0.5, "coverage-bias/class-discrepancy", "precision-recall/recall"),
    _made_for("noisy", 0.2, "frechet-distance/fd-corrected", "kernel-distance/kd", "two-sample-test/accuracy"),
    _made_for("latent-ignoring", 0.8, "diversity/near-duplicate-rate"),
    _made_for("hole-in-latent", 0.2, "interpolation-similarity/holes"),
    _made_for("noisy", 0.3, "discriminator-detection/auc", critic="inverted"),
    _made_for("noisy", 0.1, "discriminator-overfit/seen-over-unseen", critic="overfit"),
)
_CONTROLS: tuple[Planted, ...] = (
    # What must speak of a defect must be silent without one.
    Planted("perfect", 0.0, tuple(dict.fromkeys(n for one in _CAUGHT for n in one.evaluators)), frozenset()),
    *_CAUGHT,
)
_BY_FORMULA = {"frechet-distance", "discriminator-detection", "adversarial-robustness"}
"""Evaluators a closed form of which is checked."""
_OPTIONS = {
    "augmentation-bias": {"reals": 250},
    "interpolation-similarity": {"pairs": 64, "paths": 100, "inversion": 0},
}
"""Less work than by default: a self-test is to take half a minute."""


def coverage() -> tuple[list[str], list[str], list[str]]:
    """Return the evaluators held to controls, those held to a formula alone, and those not asked, each sorted."""
    by_control = {name for one in _CONTROLS for name in one.evaluators}
    every = set(registry.names("evaluators"))
    formula = _BY_FORMULA - by_control
    return sorted(by_control), sorted(formula), sorted(every - by_control - formula)


def _control(planted: Planted, reference: Reference) -> Check:
    law = replace(LAWS["glyphs"], rows=_SPLITS["train"])  # copies are of reals that the reference holds
    described = ControlFile.model_validate(
        {"set": law.name, "defect": planted.defect, "severity": planted.severity, "discriminator": planted.critic}
    )
    subject = subject_of_control(described, planted.defect, law=law)
    asked = {name: _OPTIONS.get(name, {}) for name in planted.evaluators}
    document = audit(subject, reference, samples=_SAMPLES, seed=_SEED, cache=False, evaluators=asked)
    results = [result for result in document.results if result.evaluator in asked]
    broken = [f"{result.evaluator}: {result.reason}" for result in results if result.status != "measured"]
    raised = {alarm.measure: f"{alarm.measure} {alarm.value:.3g}" for alarm in alarms(document, WATCHED)}
    words = ", ".join(sorted(planted.wanted)) or "no alarm"
    # A planted defect may show in other numbers too; a perfect generator in none.
    passed = not broken and planted.wanted <= raised.keys() and (bool(planted.wanted) or not raised)
    name = f"control: {planted.defect}" + (f" {planted.severity:.0%}" if planted.severity else "")
    name += "" if planted.critic == "sensible" else f", {planted.critic} discriminator"
    return Check(name, words, "; ".join(broken) or ", ".join(raised.values()) or "no alarm", passed)


def short_reference() -> Reference:
    """Return the first samples of each split of the set ``glyphs``: an audit against them takes seconds."""
    splits = {}
    for split, count in _SPLITS.items():
        drawn = draw_glyphs(f"glyphs/{split}", 0, count)
        images = render_glyphs(drawn, 16)[..., None]
        splits[split] = Samples.of(
            images, "images", f"glyphs/{split}", "built-in", labels=drawn.glyph.copy(), classes=tuple(GLYPHS)
        )
    return Reference.of(
        "glyphs, in short",
        "built-in",
        splits,
        seen={"train": "seen", "calibration": "unseen", "test": "unseen"},
        rule=f"the first {', '.join(map(str, _SPLITS.values()))} samples of the splits of glyphs",
    )
