"""The self-test: numbers whose answer is known, and controls whose defect is, on this machine and installation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import torch

import ganaudit
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

__all__ = ["WATCHED", "Check", "checks", "selftest", "short_reference"]

WATCHED: dict[str, Side] = {
    "augmentation-bias/leak-hflip": "above",
    "augmentation-bias/leak-vflip": "above",
    "augmentation-bias/leak-rot90": "above",
    "augmentation-bias/leak-shift": "above",
    "augmentation-bias/leak-cutout": "above",
    "memorisation/exact-copy-rate": "above",
    "memorisation/copy-rate": "above",
}
"""The numbers that the controls are held to."""

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
    for defect, severity, evaluators, wanted in _CONTROLS:
        yield _control(defect, severity, evaluators, wanted, reference)


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


_CONTROLS: tuple[tuple[str, float, tuple[str, ...], frozenset[str]], ...] = (
    ("perfect", 0.0, ("augmentation-bias", "memorisation"), frozenset()),
    ("flip-leaking", 0.5, ("augmentation-bias",), frozenset({"augmentation-bias/leak-hflip"})),
    ("memorising", 0.1, ("memorisation",), frozenset({"memorisation/exact-copy-rate"})),
)
"""Defect, severity, evaluators, and the numbers that must raise an alarm."""


def _control(
    defect: str, severity: float, evaluators: tuple[str, ...], wanted: frozenset[str], reference: Reference
) -> Check:
    law = replace(LAWS["glyphs"], rows=_SPLITS["train"])  # copies are of reals that the reference holds
    described = ControlFile.model_validate({"set": law.name, "defect": defect, "severity": severity})
    subject = subject_of_control(described, defect, law=law)
    document = audit(
        subject, reference, samples=_SAMPLES, seed=_SEED, cache=False, evaluators={name: {} for name in evaluators}
    )
    asked = {result.evaluator: result for result in document.results if result.evaluator in evaluators}
    broken = [f"{name}: {result.reason}" for name, result in asked.items() if result.status != "measured"]
    raised = {alarm.measure: f"{alarm.measure} {alarm.value:.3g}" for alarm in alarms(document, WATCHED)}
    words = ", ".join(sorted(wanted)) or "no alarm"
    # A planted defect may show in other numbers too; a perfect generator in none.
    passed = not broken and wanted <= raised.keys() and (bool(wanted) or not raised)
    name = f"control: {defect}" + (f" {severity:.0%}" if severity else "")
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
