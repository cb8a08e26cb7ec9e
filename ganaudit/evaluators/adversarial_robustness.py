"""Attacks on the discriminator's threshold: generated samples changed to pass, real ones changed to be accused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.accused import Accused, accused
from ganaudit.attacks.campaign import PROFILES, Campaign, campaign, l2_shares, linf_shares
from ganaudit.attacks.campaign_tables import (
    attack_table,
    detection_table,
    panel_table,
    robust_bounds,
    robustness_curve,
)
from ganaudit.attacks.threat import Norm
from ganaudit.document.model import Detail, Note, Null
from ganaudit.document.spec import EvaluatorSpec, Exhibit, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.judging import chosen
from ganaudit.evidence.score_sides import BOTH, Reading, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.detection import auc, calibration_size_needed, conformal_threshold
from ganaudit.numerics.intervals import quantile_bounds

__all__ = ["AdversarialRobustness"]

_SHOWN = 8
_SHARE = "share of samples"
_UNIT = (0.0, 1.0)
_WORST = "1 - share fooled by any attack within linf 2/255 of the range (sound: 3e-4); unsuccessful attacks: too high"
_NAMES = {"fake": "generated samples", "real": "reals"}


def _robust(key: str, title: str, meaning: str, estimator: str = _WORST) -> MeasurementSpec:
    return MeasurementSpec(
        key=key, title=title, meaning=meaning, unit=_SHARE, better="higher", bounds=_UNIT, estimator=estimator
    )


@dataclass(frozen=True, slots=True)
class AdversarialRobustness:
    """How little must change before the discriminator's threshold errs, on both sides."""

    profile: Literal["quick", "standard", "full"] = "quick"
    """Samples of each side, gradient steps and restarts: 64, 20, 1; 256, 50, 2; or 1000, 100, 5."""
    fpr: float = 0.05
    """The share of reals that may be called generated; the threshold is chosen for it on calibration reals."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="adversarial-robustness",
        title="Adversarial robustness of the discriminator",
        question="How small a change makes the discriminator call a generated sample real, or a real one generated?",
        needs=("values/test", "values/fake", "scores/calibration", "scores/test", "scores/fake"),
        minimum={"scores/test": 2, "scores/fake": 2, "scores/calibration": 2},
        measurements=(
            _robust(
                "robust-accuracy-fake",
                "Robust accuracy on generated samples",
                "Share of generated samples still called so after every attack within 2/255 of the range.",
            ),
            _robust(
                "robust-accuracy-real",
                "Robust accuracy on reals",
                "Share of reals that no attack within 2/255 of the range could get called generated.",
            ),
            _robust(
                "stored-robust-accuracy-fake",
                "Robust accuracy on generated samples, as stored",
                "The same counting only attacked samples that still pass after rounding to the levels of a file.",
                "as robust accuracy, after rounding to 256 levels (sound: 16 bits)",
            ),
            _robust(
                "stored-robust-accuracy-real",
                "Robust accuracy on reals, as stored",
                "The same counting only attacked reals still accused after rounding to the levels of a file.",
                "as robust accuracy, after rounding to 256 levels (sound: 16 bits)",
            ),
            _robust(
                "query-robust-accuracy-fake",
                "Robust accuracy on generated samples without gradients",
                "Share still called generated after attacks that only ask for scores, within 2/255 of the range.",
                "as robust accuracy, by random noise, random search and square windows alone",
            ),
            _robust(
                "query-robust-accuracy-real",
                "Robust accuracy on reals without gradients",
                "Share still called real after attacks that only ask for scores, within 2/255 of the range.",
                "as robust accuracy, by random noise, random search and square windows alone",
            ),
            MeasurementSpec(
                key="median-minimal-linf",
                title="Median smallest change of any value",
                meaning="Half of the generated samples that are caught pass with every value changed by no more.",
                unit="share of the range",
                better="higher",
                bounds=_UNIT,
                estimator="lower median of the smallest linf norms found, of samples called generated: an upper bound",
            ),
            MeasurementSpec(
                key="median-minimal-l2",
                title="Median smallest change in length",
                meaning="Half of the generated samples that are caught pass with a change no longer than this.",
                unit="widths of the range",
                better="higher",
                bounds=(0.0, None),
                estimator="lower median of the smallest l2 norms found, over samples called generated: an upper bound",
            ),
            MeasurementSpec(
                key="auc-under-attack",
                title="Area under the ROC curve under attack",
                meaning="Chance that a real scores above an attacked generated sample; below 0.5 is worse than none.",
                unit="probability",
                better="higher",
                bounds=_UNIT,
                estimator="Mann-Whitney; generated samples pushed up within linf 2/255, reals as they are",
            ),
        ),
        misleads=(
            "An attack that fails proves nothing: robust accuracy is an upper bound, and the checks in the masking "
            "panel say whether attacks worked at all. A discriminator that catches few generated samples is not robust "
            "on them and has nothing to lose: read the share caught at budget 0 first. Budgets are small changes of "
            "every value; other changes are in the table. Generated samples are attacked before any rounding to 8 bits."
        ),
        references=(
            "Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, 2018, arXiv:1706.06083",
            "Croce and Hein, Reliable Evaluation of Adversarial Robustness, 2020, arXiv:2003.01690",
            "Pintor et al., Fast Minimum-norm Adversarial Attacks, 2021, arXiv:2102.12827",
            "Andriushchenko et al., Square Attack, 2020, arXiv:1912.00049",
            "Carlini et al., On Evaluating Adversarial Robustness, 2019, arXiv:1902.06705",
            "Carlini and Farid, Evading Deepfake-Image Detectors, 2020, arXiv:2004.00622",
        ),
    )

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(f"profile: found {self.profile!r}; allowed: {', '.join(PROFILES)}")
        if not 0.0 < self.fpr < 1.0:
            raise ValueError("fpr must lie between 0 and 1")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return robust accuracy on both sides, smallest changes, detection under attack, and the masking panel."""
        calibration = view["scores/calibration"]
        threshold = conformal_threshold(calibration, self.fpr)
        if threshold is None:
            raise NotAssessable(
                f"a false positive rate of {self.fpr:g} needs {calibration_size_needed(self.fpr)} calibration reals; "
                f"there are {len(calibration)}"
            )
        profile = PROFILES[self.profile]
        rows = {side: chosen(view, node, len(view[f"scores/{node}"]), profile.samples, rng)
                for side, node in (("fake", "fake"), ("real", "test"))}  # fmt: skip
        fake, real = _accused(view, rows["fake"], "fake", threshold), _accused(view, rows["real"], "real", threshold)
        fakes = campaign(view.subject, fake, real, threshold, profile, rng)
        reals = campaign(view.subject, real, fake, threshold, profile, rng)
        by_key = {m.key: m for m in (r.measured(self.spec, key) for key, r in self._readings(fakes, reals, view))}
        exhibits = [_exhibit(fakes, rows["fake"])]
        exhibits += [_exhibit(reals, rows["real"])] if view.against == "test" else []
        return Findings(
            [by_key[m.key] for m in self.spec.measurements],
            self._details(fakes, reals, calibration),
            _warnings(fakes, reals),
            conventions={"samples": profile.samples, "steps": profile.steps, "restarts": profile.restarts},
            exhibits=[exhibit for exhibit in exhibits if exhibit.indices],
        )

    def _readings(self, fakes: Campaign, reals: Campaign, view: View) -> list[tuple[str, Reading]]:
        readings = []
        for found in (fakes, reals):
            side, share = found.accused.side, linf_shares(found.accused.x)[1]
            readings += [
                (f"robust-accuracy-{side}", _accuracy(found, share)),
                (f"stored-robust-accuracy-{side}", _accuracy(found, share, stored=True)),
                (f"query-robust-accuracy-{side}", _accuracy(found, share, queries=True)),
            ]
        readings += [("median-minimal-linf", _smallest(fakes, "linf")), ("median-minimal-l2", _smallest(fakes, "l2"))]
        return [*readings, ("auc-under-attack", _area(fakes, view["scores/test"]))]

    def _details(self, fakes: Campaign, reals: Campaign, calibration: Tensor) -> list[Detail]:
        both, x = (fakes, reals), fakes.accused.x
        forward, backward = (sum(found.passes[i] for found in both) for i in (0, 1))
        curves: list[tuple[Campaign, Norm]] = [(fakes, "linf"), (reals, "linf"), (fakes, "l2"), (reals, "l2")]
        caught, kept = (int((~found.clean).sum()) for found in both)
        return [
            Note(text=(
                f"Of {len(fakes.clean)} generated samples {caught} are called generated as they stand, of "
                f"{len(reals.clean)} reals {kept} are called real; only these are attacked, and the share of all is "
                f"told. The threshold {fakes.threshold:.6g} lets {self.fpr:g} of reals be called generated. Profile "
                f"{self.profile}: {forward} scores and {backward} gradients."
            )),
            panel_table(both),
            *[robustness_curve(found, norm, linf_shares(x) if norm == "linf" else l2_shares(x))
              for found, norm in curves],
            *([] if fakes.masked or reals.masked else [detection_table(fakes, reals, calibration)]),
            attack_table(both),
            Note(text=(
                "Budgets are shares of the width of the range of values. An attack may leave neither its ball nor the "
                "range, and is tested again afterwards. What works within a small ball counts for every larger one. "
                "In the table of detection every sample is attacked, called rightly or not. Galleries show samples "
                "as they were before the attack."
            )),
        ]  # fmt: skip


def _accused(view: View, rows: list[int], side: Literal["fake", "real"], threshold: float) -> Accused:
    x, labels = view.values("fake" if side == "fake" else "test", rows)
    calibration = view["scores/calibration"].double()
    spread = float(calibration.quantile(0.75) - calibration.quantile(0.25))
    return accused(view.subject, x, labels, side, threshold, spread)


def _void(found: Campaign) -> str | None:
    """Return why nothing found with gradients may be told, or None."""
    n = len(found.clean)
    if not found.accused.differentiable:
        return (
            f"the discriminator gives no gradients on these {n} samples: attacks that need them were not made; those "
            "that only ask for scores are told apart"
        )
    if found.masked and found.panel is not None:
        failed = ", ".join(row.name for row in found.panel.rows if row.passed is False and row.voids)
        return (
            f"voided: the masking panel failed for {_NAMES[found.accused.side]} ({failed}); attacks on these {n} "
            "samples were misled, which is no robustness"
        )
    return None


def _accuracy(found: Campaign, share: float, *, queries: bool = False, stored: bool = False) -> Reading:
    side = found.accused.side
    sizes: dict[str, int] = {side: len(found.clean)}
    reason = None if queries else _void(found)
    if reason is not None:
        return Reading(None, sizes, reason=reason)
    value, bounds = robust_bounds(found.fooled("linf", share, queries=queries, stored=stored))
    noise = next(e for e in found.entries if e.kind == "baseline" and e.norm == "linf" and e.share == share)
    chance, ends = robust_bounds(noise.stored if stored else noise.fooled)
    return Reading(
        value,
        sizes,
        interval_of(bounds, "Clopper-Pearson", f"the drawing of {_NAMES[side]}; not attacks that were not tried"),
        Null(value=chance, low=ends.low, high=ends.high, n=len(found.clean),
             rule="random noise of the same budget in place of an attack, the best of 10 draws for each sample"),
    )  # fmt: skip


def _smallest(found: Campaign, norm: Norm) -> Reading:
    caught = ~found.clean
    n = int(caught.sum())
    sizes = {"fake": n}
    reason = _void(found)
    if reason is None and n == 0:
        reason = f"none of {len(found.clean)} generated samples is called generated: there is nothing to change"
    if reason is not None:
        return Reading(None, sizes, reason=reason)
    norms = found.minimal[norm][caught].sort().values
    k = (n + 1) // 2
    value = float(norms[k - 1])
    if not math.isfinite(value):
        lost = int((~torch.isfinite(norms)).sum())
        return Reading(None, sizes, reason=f"for {lost} of {n} samples no change that passes was found: no median")
    # A bound may fall on a sample for which nothing was found: no number then.
    whole = torch.where(torch.isfinite(norms), norms, torch.finfo(torch.float64).max)
    bounds = quantile_bounds(whole, k, 0.95)
    bounded = math.isfinite(bounds.low) and bounds.high < torch.finfo(torch.float64).max
    return Reading(
        value,
        sizes,
        interval_of(
            bounds, "order statistics (binomial)", "the drawing of generated samples; attacks give upper bounds"
        )
        if bounded
        else f"{n} samples called generated are too few for a bound on both sides",
        "a distance to the threshold has no counterpart of reals against reals; noise is in the table of attacks",
    )


def _area(found: Campaign, reals: Tensor) -> Reading:
    sizes = {"real": len(reals), "fake": len(found.scores)}
    reason = _void(found)
    if reason is not None:
        return Reading(None, sizes, reason=reason)
    share = linf_shares(found.accused.x)[1]
    area, chance = auc(reals, found.pushed[share]), auc(reals, found.noised)
    ends = chance.interval(0.95)
    return Reading(
        area.value,
        sizes,
        interval_of(area.interval(0.95), "DeLong, logit scale", BOTH),
        Null(value=chance.value, low=ends.low, high=ends.high, n=len(found.noised),
             rule="generated samples under random noise of the same budget, against the same reals"),
    )  # fmt: skip


def _warnings(fakes: Campaign, reals: Campaign) -> list[str]:
    told = []
    for found in (fakes, reals):
        side = _NAMES[found.accused.side]
        verdict = None if found.panel is None else found.panel.verdict
        if not found.accused.differentiable:
            told.append(f"the discriminator gives no gradients: {side} were attacked by asking for scores alone")
        elif verdict == "masked":
            told.append(f"{_void(found)}; a critic can look robust because its gradients vanish")
        elif verdict == "weakened" and found.panel is not None:
            failed = ", ".join(row.name for row in found.panel.rows if not row.passed)
            told.append(f"robust accuracy on {side} may be too high: the masking panel is weakened ({failed})")
        told += [f"attacks on {side}: {note}" for note in found.notes]
    return told


def _exhibit(found: Campaign, rows: list[int]) -> Exhibit:
    """Show the samples that took the least, as they were before."""
    side = found.accused.side
    title = "Generated samples that pass with the least change" if side == "fake" else "Reals accused with least change"
    norms = found.minimal.get("linf", torch.full_like(found.scores, math.inf))
    open_: Callable[[int], bool] = lambda i: not bool(found.clean[i]) and math.isfinite(float(norms[i]))  # noqa: E731
    order = [int(i) for i in norms.argsort(stable=True) if open_(int(i))][:_SHOWN]
    if _void(found) is not None:
        order = []
    long = found.minimal.get("l2", norms)
    captions = [f"linf {255 * float(norms[i]):.3g}/255, l2 {float(long[i]):.3g} of the range" for i in order]
    rule = "smallest linf change found, of those called rightly; shown as they were before it"
    return Exhibit(title, rule, side, [rows[i] for i in order], captions)
