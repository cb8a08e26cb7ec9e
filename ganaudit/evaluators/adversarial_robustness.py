"""Attacks on the discriminator's threshold: generated samples changed to pass, real ones changed to be accused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks import campaign_tables as tables
from ganaudit.attacks import campaign_words as words
from ganaudit.attacks.accused import Accused, accused
from ganaudit.attacks.campaign import Campaign, campaign
from ganaudit.attacks.campaign_run import PANEL, PROFILES
from ganaudit.attacks.detection_tables import detection_curve, detection_table, few_words
from ganaudit.attacks.panel import DECIDES
from ganaudit.attacks.plugins import plugged
from ganaudit.attacks.threat import Norm
from ganaudit.document.alarms import YES_OR_NO
from ganaudit.document.keys import member
from ganaudit.document.model import Detail, Note, Null
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.judging import called_rightly, chosen
from ganaudit.evidence.score_sides import BOTH, Reading, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion
from ganaudit.numerics.detection import auc, calibration_size_needed, conformal_threshold
from ganaudit.numerics.intervals import quantile_bounds
from ganaudit.numerics.paired import mcnemar

__all__ = ["AdversarialRobustness"]

_SHARE = "share of samples"
_UNIT = (0.0, 1.0)
_WORST = "1 - share fooled by any attack within the budget; attacks that fail leave it too high"
_ACCURACY = {
    "fake": ("robust-accuracy-at-{budget}", "stored-robust-accuracy-at-{budget}", "query-robust-accuracy-at-{budget}"),
    "real": (
        "false-alarm-robustness-at-{budget}",
        "stored-false-alarm-robustness-at-{budget}",
        "query-false-alarm-robustness-at-{budget}",
    ),
}
"""Families by side: as found, after storing, without gradients."""


def _robust(key: str, title: str, meaning: str, estimator: str = _WORST) -> MeasurementSpec:
    return MeasurementSpec(
        key=key, title=title, meaning=meaning, unit=_SHARE, better="higher", bounds=_UNIT, estimator=estimator
    )


def _distance(key: str, title: str, meaning: str) -> MeasurementSpec:
    return MeasurementSpec(
        key=key, title=title, meaning=meaning, unit="share of the range", better="higher", bounds=(0.0, None),
        estimator="lower median of the smallest norms found over the width of the range: an upper bound",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AdversarialRobustness:
    """How little must change before the discriminator's threshold errs, on both sides."""

    profile: Literal["quick", "standard", "full"] = "quick"
    """Samples of each side, gradient steps and restarts: 64, 20, 1; 256, 50, 2; or 1000, 100, 5. Where it is not given,
    the plan's profile if that was given, else quick. On `digits`, one core: quick 11 s, standard 79 s; full takes about
    20 times the gradients of standard."""
    fpr: float = 0.05
    """The share of reals that may be called generated; the threshold is chosen for it on calibration reals. Where it is
    not given, that of `discriminator-detection`."""
    norm: Norm = "linf"
    """What a budget limits: the largest change of a value (linf), the length of the change (l2), or its sum (l1)."""
    budgets: tuple[float, ...] = ()
    """Norms of the change over the width of the range; none: linf 0.004 to 0.032, about 1 to 8 of 255 levels (sounds
    1e-4 to 3e-3), l2 0.25 to 1 and l1 3 to 12, both for 3072 values. The second of them above 0 is the headline."""
    attacks: tuple[str, ...] = ()
    """Attacks by id, such as `foolbox-pgd` or those of plugins, made beside ours at every budget; they count alike."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="adversarial-robustness",
        title="Adversarial robustness of the discriminator",
        question="How small a change makes the discriminator call a generated sample real, or a real one generated?",
        needs=("values/test", "values/fake", "scores/calibration", "scores/test", "scores/fake"),
        minimum={"scores/test": 2, "scores/fake": 2, "scores/calibration": 2},
        measurements=(
            _robust(
                "robust-accuracy-at-{budget}",
                "Robust accuracy on generated samples, budget {budget}",
                "Share of generated samples still called so after every attack within the budget.",
            ),
            _robust(
                "false-alarm-robustness-at-{budget}",
                "Robust accuracy on reals, budget {budget}",
                "Share of reals that no attack within the budget could get called generated.",
            ),
            _robust(
                "stored-robust-accuracy-at-{budget}",
                "Robust accuracy on generated samples as stored, budget {budget}",
                "The same counting only attacked samples that still pass after rounding to the levels of a file.",
                "as robust accuracy, after rounding to 256 levels (sound: 16 bits); at the headline budget",
            ),
            _robust(
                "stored-false-alarm-robustness-at-{budget}",
                "Robust accuracy on reals as stored, budget {budget}",
                "The same counting only attacked reals still accused after rounding to the levels of a file.",
                "as robust accuracy, after rounding to 256 levels (sound: 16 bits); at the headline budget",
            ),
            _robust(
                "query-robust-accuracy-at-{budget}",
                "Robust accuracy on generated samples without gradients, budget {budget}",
                "Share still called generated after attacks within the budget that only ask for scores.",
                "as robust accuracy, by random noise, random search and square windows alone; at the headline budget",
            ),
            _robust(
                "query-false-alarm-robustness-at-{budget}",
                "Robust accuracy on reals without gradients, budget {budget}",
                "Share still called real after attacks within the budget that only ask for scores.",
                "as robust accuracy, by random noise, random search and square windows alone; at the headline budget",
            ),
            _distance(
                "median-distance",
                "Median smallest change of generated samples",
                "Half of the generated samples that are caught pass with a change no larger than this.",
            ),
            _distance(
                "median-distance-real",
                "Median smallest change of reals",
                "Half of the reals that are called real are called generated after a change no larger than this.",
            ),
            MeasurementSpec(
                key="auc-under-attack",
                title="Area under the ROC curve under attack",
                meaning="Chance that a real scores above an attacked generated sample; below 0.5 is worse than none.",
                unit="probability",
                better="higher",
                bounds=_UNIT,
                estimator="Mann-Whitney; the generated samples chosen for attack pushed up within the headline budget, "
                "all test reals as they are",
            ),
            MeasurementSpec(
                key="masking",
                title="Gradients are masked",
                meaning="1 where checks of the attacks failed, so that robustness was hidden and not measured; else 0.",
                unit=YES_OR_NO,
                better="lower",
                bounds=_UNIT,
                estimator="1 when a row of the masking panel that voids the numbers failed on either side",
                interval=False,
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
        proportion(self.fpr, "fpr")
        if self.norm not in get_args(Norm):
            raise ValueError(f"norm: found {self.norm!r}; allowed: {', '.join(get_args(Norm))}")
        words.checked_budgets(self.budgets)
        plugged(self.attacks, 1)

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
        asked, lost = self._held(view, fake.x)
        fakes, reals = (
            campaign(
                view.subject,
                mine,
                other,
                threshold,
                profile,
                rng,
                self.norm,
                asked,
                _spare(view, mine, threshold),
                plugged(self.attacks, profile.steps),
            )
            for mine, other in ((fake, real), (real, fake))
        )
        # It is one critic: gradients that mislead on one side are not trusted on the other.
        fakes, reals = fakes.beside(reals), reals.beside(fakes)
        told = [
            found
            for found in (fakes, reals)
            if words.void_reason(found) is None and (found is fakes or view.against == "test")
        ]
        comparisons = [tables.closest(found, rows[found.accused.side], view.subject.sample) for found in told]
        return Findings(
            [reading.measured(self.spec, key) for key, reading in [*self._readings(fakes, reals, view), *lost]],
            self._details(fakes, reals, calibration),
            [*words.warned(fakes, reals), *words.unusual(fakes)],
            conventions={
                "samples": profile.samples,
                "steps": profile.steps,
                "restarts": profile.restarts,
                "budgets": list(fakes.budgets[self.norm]),
            },
            comparisons=[one for one in comparisons if one is not None],
        )

    def _held(self, view: View, x: Tensor) -> tuple[tuple[float, ...], list[tuple[str, Reading]]]:
        """Return the budgets that samples can hold, and readings without a number of those they cannot."""
        kept, small, why = words.held_budgets(x, self.norm, self.budgets, view.subject.sample)
        if not any(kept):
            raise NotAssessable(f"budget {', '.join(map(words.written, small))} {why}")
        return kept, [
            (member(_ACCURACY[side][0], words.written(share)),
             Reading(None, {side: len(view[f"scores/{node}"])}, reason=f"budget {words.written(share)} {why}"))
            for side, node in (("fake", "fake"), ("real", "test"))
            for share in small
        ]  # fmt: skip

    def _readings(self, fakes: Campaign, reals: Campaign, view: View) -> list[tuple[str, Reading]]:
        readings = [
            (member(_ACCURACY[found.accused.side][0], words.written(share)), _accuracy(found, share))
            for found in (fakes, reals)
            for share in found.budgets[self.norm]
        ]
        for at, way in ((1, {"stored": True}), (2, {"queries": True})):
            readings += [
                (member(_ACCURACY[found.accused.side][at], words.written(found.headline)),
                 _accuracy(found, found.headline, **way))
                for found in (fakes, reals)
            ]  # fmt: skip
        readings += [("median-distance", _smallest(fakes)), ("median-distance-real", _smallest(reals))]
        return [*readings, ("auc-under-attack", _area(fakes, view["scores/test"])), ("masking", _masking(fakes, reals))]

    def _details(self, fakes: Campaign, reals: Campaign, calibration: Tensor) -> list[Detail]:
        both, told, under = (fakes, reals), fakes.unread is None, list[Detail]()
        if not fakes.masked:
            under = [f(fakes, reals, calibration) for f in (detection_curve, detection_table)]
        return [
            Note(text=f"{words.attacked(fakes, reals, self.fpr)} Profile {self.profile}: {words.passes(both)}."),
            tables.panel_table(both),
            *([tables.robustness_curve(found, norm) for norm in fakes.budgets for found in both] if told else []),
            *([tables.noise_table(both)] if told else []),
            *([tables.distance_table(both)] if fakes.minimal and not (fakes.masked and reals.masked) else []),
            *under,
            tables.attack_table(both),
            Note(text=" ".join([words.HOW_TO_READ, *([few_words(calibration) or ""] if under else [])]).strip()),
        ]


def _accused(view: View, rows: list[int], side: Literal["fake", "real"], threshold: float) -> Accused:
    x, labels = view.values("fake" if side == "fake" else "test", rows)
    calibration = view["scores/calibration"].double()
    spread = float(calibration.quantile(0.75) - calibration.quantile(0.25))
    return accused(view.subject, x, labels, side, threshold, spread)


def _spare(view: View, mine: Accused, threshold: float) -> Accused | None:
    """Return samples called rightly for the masking panel, of all that have scores; None without any."""
    node = "fake" if mine.side == "fake" else "test"
    told = max(1, view.subject.classes) if view.subject.judges_labels else 1
    rows = called_rightly(view[f"scores/{node}"], threshold, mine.side)[: told * PANEL]
    return _accused(view, rows, mine.side, threshold) if rows else None


def _accuracy(found: Campaign, share: float, *, queries: bool = False, stored: bool = False) -> Reading:
    side = found.accused.side
    sizes: dict[str, int] = {side: len(found.clean)}
    reason = None if share == 0 or (queries and found.unread is None) else words.void_reason(found)
    if reason is not None:
        return Reading(None, sizes, reason=reason)
    value, bounds = tables.robust_bounds(found.fooled(found.norm, share, queries=queries, stored=stored))
    around = interval_of(
        bounds, "Clopper-Pearson", f"the drawing of {words.NAMES[side]}; not attacks that were not tried"
    )
    if share == 0:
        return Reading(value, sizes, around, "nothing is changed at budget 0, by an attack or by noise")
    noise = next(e for e in found.entries if e.kind == "baseline" and e.norm == found.norm and e.share == share)
    chance, ends = tables.robust_bounds(noise.stored if stored else noise.fooled)
    p_value = mcnemar(*tables.against_noise(found, share, queries=queries, stored=stored))
    return Reading(
        value,
        sizes,
        around,
        Null(value=chance, low=ends.low, high=ends.high, n=len(found.clean), of="random noise",
             rule="random noise of the same budget in place of an attack, the best of 10 draws for each sample; "
             "p-value of McNemar's test on the same samples, of the attacks other than noise", p_value=p_value),
    )  # fmt: skip


def _smallest(found: Campaign) -> Reading:
    caught = ~found.clean
    n = int(caught.sum())
    side = found.accused.side
    sizes: dict[str, int] = {side: n}
    reason = words.void_reason(found)
    if reason is None and n == 0:
        called = "generated" if side == "fake" else "real"
        reason = f"none of {len(found.clean)} {words.NAMES[side]} is called {called}: there is nothing to change"
    if reason is not None:
        return Reading(None, sizes, reason=reason)
    norms = found.minimal[found.norm][caught].sort().values
    k = (n + 1) // 2
    value = float(norms[k - 1])
    if not math.isfinite(value):
        lost = int((~torch.isfinite(norms)).sum())
        return Reading(None, sizes, reason=f"for {lost} of {n} samples no change that crosses was found: no median")
    # A bound may fall on a sample for which nothing was found: no number then.
    whole = torch.where(torch.isfinite(norms), norms, torch.finfo(torch.float64).max)
    bounds = quantile_bounds(whole, k, 0.95)
    bounded = math.isfinite(bounds.low) and bounds.high < torch.finfo(torch.float64).max
    return Reading(
        value,
        sizes,
        interval_of(
            bounds, "order statistics (binomial)", f"the drawing of {words.NAMES[side]}; attacks give upper bounds"
        )
        if bounded
        else f"{n} samples called rightly are too few for a bound on both sides",
        "a distance to the threshold has no counterpart of reals against reals; noise is in the table of attacks",
    )


def _masking(fakes: Campaign, reals: Campaign) -> Reading:
    panels = [(found.accused.side, found.panel) for found in (fakes, reals)
              if found.panel is not None and found.accused.differentiable]  # fmt: skip
    sizes = {"fake": len(fakes.clean), "real": len(reals.clean)}
    if not panels:
        return Reading(None, sizes, reason=words.void_reason(fakes) or (
            f"no sample of {len(fakes.clean)} + {len(reals.clean)} is called rightly: nothing was attacked"
        ))  # fmt: skip
    if fakes.unread is not None:
        return Reading(None, sizes, reason=words.void_reason(fakes))
    masked = any(panel.verdict == "masked" for _, panel in panels)
    if not masked and all(panel.undecided for _, panel in panels):
        told = "; ".join(f"{words.NAMES[side]}: {', '.join(panel.undecided)}" for side, panel in panels)
        return Reading(None, sizes, reason=f"too few samples are called rightly for the panel to decide ({told})")
    return Reading(
        float(masked), sizes, "a yes or no; the rows of the panel have their numbers and limits", _planted(fakes, reals)
    )


def _planted(fakes: Campaign, reals: Campaign) -> Null | str:
    """Return what the panel says of planted critics, by the rule of its rows: few samples decide a failure alone."""
    planted = [found.planted for found in (fakes, reals) if found.planted is not None]
    decided = [(verdict == "masked", n) for verdict, n in planted if verdict == "masked" or n >= DECIDES]
    if not decided:
        most = max(n for _, n in planted)
        return f"linear critics could be planted on {most} samples at most; fewer than {DECIDES} decide nothing"
    chance = float(any(failed for failed, _ in decided))
    return Null(
        value=chance, low=chance, high=chance, n=min(n for _, n in decided), of="a planted linear critic",
        rule="the same panel on linear critics planted on the same samples, whose gradients are right",
    )  # fmt: skip


def _area(found: Campaign, reals: Tensor) -> Reading:
    sizes = {"real": len(reals), "fake": len(found.scores)}
    reason = words.void_reason(found)
    if reason is not None:
        return Reading(None, sizes, reason=reason)
    area, chance = auc(reals, found.pushed[found.headline]), auc(reals, found.noised)
    ends = chance.interval(0.95)
    return Reading(
        area.value,
        sizes,
        interval_of(area.interval(0.95), "DeLong, logit scale", BOTH),
        Null(value=chance.value, low=ends.low, high=ends.high, n=len(found.noised), of="random noise",
             rule="generated samples under random noise of the same budget, against the same reals"),
    )  # fmt: skip
