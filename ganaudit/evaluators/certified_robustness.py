"""What is certain about the discriminator under noise: verdicts and error rates that no small change can turn."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.accused import Accused, accused
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.smoothing import Certificates, certified_rates, certify, largest_radius, smoothed_scores
from ganaudit.document.model import Axis, Curve, Detail, Note, Null, Rule, Series, Table
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.judging import chosen
from ganaudit.evidence.score_sides import Reading, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.detection import calibration_size_needed, conformal_threshold
from ganaudit.numerics.intervals import clopper_pearson, quantile_bounds

__all__ = ["CertifiedRobustness"]

_SHARE = "share of samples"
_UNIT = (0.0, 1.0)
_FACTORS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
_GUESS = 50
_ENDLESS = 1e300  # stands for a radius without end, where only the order counts
_SIGMAS = (0.05, 0.02, 0.01, 0.005)
_ASKED = 24
_HELD = "the drawing of {}; each certificate errs with probability alpha besides"
_ONE_SIDED = "only reals are in it: there is no generated side to replace"


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    certificates: Certificates
    low: Tensor
    """Bounds of the smoothed score by radius, (R, N)."""
    high: Tensor


@dataclass(frozen=True, slots=True)
class CertifiedRobustness:
    """Verdicts of the discriminator asked under Gaussian noise, and the radius within which they are certain."""

    sigma: float | None = None
    """Standard deviation of the noise, as a share of the width of the range. None: the largest of 0.05, 0.02, 0.01 and
    0.005 under which most of 24 calibration reals are called real more often than not, else the smallest."""
    samples: int = 24
    """Samples of each side."""
    draws: int = 400
    """Noisy copies of each sample; the largest radius that can be certified grows with their logarithm."""
    alpha: float = 0.001
    """Probability at most with which one certificate is wrong."""
    fpr: float = 0.05
    """The share of reals that may be called generated; the threshold is chosen for it on calibration reals."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="certified-robustness",
        title="Certified robustness of the discriminator",
        question="Within what distance can no change at all turn the verdict of the discriminator asked under noise?",
        needs=("values/calibration", "values/test", "values/fake", "scores/calibration", "scores/test", "scores/fake"),
        minimum={"scores/test": 2, "scores/fake": 2, "scores/calibration": 2},
        measurements=(
            MeasurementSpec(
                key="certified-accuracy-fake",
                title="Certified accuracy on generated samples",
                meaning="Share of generated samples certain to be called so within l2 distance sigma/2.",
                unit=_SHARE,
                better="higher",
                bounds=_UNIT,
                estimator="randomised smoothing, Clopper-Pearson at 1 - alpha, abstaining counts as wrong",
            ),
            MeasurementSpec(
                key="certified-accuracy-real",
                title="Certified accuracy on reals",
                meaning="Share of reals certain to be called real within l2 distance sigma/2.",
                unit=_SHARE,
                better="higher",
                bounds=_UNIT,
                estimator="randomised smoothing, Clopper-Pearson at 1 - alpha, abstaining counts as wrong",
            ),
            MeasurementSpec(
                key="median-certified-radius",
                title="Median certified radius",
                meaning="Half of the generated samples are certain to be called so within at least this l2 distance.",
                unit="widths of the range",
                better="higher",
                bounds=(0.0, None),
                estimator="lower median of sigma Phi^-1(lower bound of the share); 0 where wrong or abstained; capped",
            ),
            MeasurementSpec(
                key="median-radius-estimate",
                title="Median radius, estimated",
                meaning="About what more draws would certify for half of the generated samples; it proves nothing.",
                unit="widths of the range",
                better="higher",
                bounds=(0.0, None),
                estimator="lower median of sigma Phi^-1(share); 0 where wrong or abstained; biased upwards (Phi^-1)",
            ),
            MeasurementSpec(
                key="certified-fpr",
                title="Certified false positive rate",
                meaning="No change of reals within l2 distance sigma/2 can get a larger share called generated.",
                unit=_SHARE,
                better="lower",
                bounds=_UNIT,
                estimator="median smoothing: share whose lower bound of the median score is below the threshold",
            ),
            MeasurementSpec(
                key="certified-tpr",
                title="Certified true positive rate",
                meaning="No change of generated samples within l2 distance sigma/2 leaves a smaller share caught.",
                unit=_SHARE,
                better="higher",
                bounds=_UNIT,
                estimator="median smoothing: share whose upper bound of the median score is below the threshold",
            ),
        ),
        misleads=(
            "The certificate is for the discriminator asked many times under noise, not for the discriminator itself, "
            "and for l2 distances only. Noise moves scores, and the threshold is that of samples without noise: where "
            "all noisy samples look generated, generated ones are certified and every real is accused, which a warning "
            "tells. Sigma, where none is given, is chosen on calibration reals; audits of different sigma cannot be "
            "compared. Few draws cap the radius."
        ),
        references=(
            "Cohen et al., Certified Adversarial Robustness via Randomized Smoothing, 2019, arXiv:1902.02918",
            "Chiang et al., Detection as Regression: Certified Object Detection by Median Smoothing, 2020, "
            "arXiv:2007.03730",
        ),
    )

    def __post_init__(self) -> None:
        if self.sigma is not None and not 0.0 < self.sigma < float("inf"):
            raise ValueError(f"sigma: found {self.sigma}; allowed: above 0 and finite")
        whole(self.samples, "samples", 1)
        whole(self.draws, "draws", 1)
        proportion(self.alpha, "alpha")
        proportion(self.fpr, "fpr")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return certified accuracy and error rates at sigma/2, the median radius, and curves over the radius."""
        calibration = view["scores/calibration"]
        threshold = conformal_threshold(calibration, self.fpr)
        if threshold is None:
            raise NotAssessable(
                f"a false positive rate of {self.fpr:g} needs {calibration_size_needed(self.fpr)} calibration reals; "
                f"there are {len(calibration)}"
            )
        span = view.subject.sample.high - view.subject.sample.low
        # Chance of its own: what is certified under a sigma does not hang on whether it was given or chosen.
        own = np.random.default_rng(int(deepcopy(rng).integers(2**63)))
        sigma = self.sigma or self._fitting(view, threshold, span, own)
        sides = []
        for side, node in (("fake", "fake"), ("real", "test")):
            rows = chosen(view, node, len(view[f"scores/{node}"]), self.samples, rng)
            x, labels = view.values(node, rows)
            found = accused(view.subject, x, labels, "fake" if side == "fake" else "real", threshold)
            sides.append(self._certified(found, sigma * span, rng))
        fake, real = sides
        readings = self._readings(fake, real, threshold, span, sigma)
        return Findings(
            [readings[m.key].measured(self.spec, m.key) for m in self.spec.measurements],
            self._details(fake, real, threshold, span, sigma),
            _constant(fake.certificates, real.certificates, sigma),
            {"sigma": sigma},
        )

    def _fitting(self, view: View, threshold: float, span: float, rng: np.random.Generator) -> float:
        """Return the largest sigma under which most calibration reals are called real, of the list, or its smallest."""
        x, labels = view.values(
            "calibration", chosen(view, "calibration", len(view["scores/calibration"]), _ASKED, rng)
        )
        held = accused(view.subject, x, labels, "real", threshold)
        for sigma in _SIGMAS:
            kept = [
                certify(group.critic, held.x[group.places], sigma * span, rng, n0=1, n=_GUESS, alpha=0.5)
                for group in held.groups
            ]
            # A share of the verdict that was guessed: it is that of "real", or its complement.
            real = sum(int(((one.share > 0.5) == one.called_real).sum()) for one in kept)
            if 2 * real > len(x):
                return sigma
        return _SIGMAS[-1]

    def _certified(self, found: Accused, sigma: float, rng: np.random.Generator) -> _Side:
        n = len(found.x)
        radii = [factor * sigma for factor in _FACTORS]
        real, abstained = torch.empty(n, dtype=torch.bool), torch.empty(n, dtype=torch.bool)
        numbers = torch.empty(4, n, dtype=torch.float64)
        low, high = torch.empty(len(radii), n, dtype=torch.float64), torch.empty(len(radii), n, dtype=torch.float64)
        for group in found.groups:
            x, places, critic = found.x[group.places], group.places, group.critic
            one = certify(critic, x, sigma, rng, n0=_GUESS, n=self.draws, alpha=self.alpha)
            real[places], abstained[places] = one.called_real, one.abstained
            numbers[:, places] = torch.stack([one.radius, one.estimate, one.share, one.share_low])
            low[:, places], high[:, places] = self._bounds(critic, x, sigma, radii, rng)
        return _Side(Certificates(real, abstained, *numbers), low, high)

    def _bounds(
        self, critic: Critic, x: Tensor, sigma: float, radii: list[float], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        found = smoothed_scores(critic, x, sigma, radii, rng, n=self.draws, alpha=self.alpha)
        return found.low, found.high

    def _readings(self, fake: _Side, real: _Side, threshold: float, span: float, sigma: float) -> dict[str, Reading]:
        at, radius = _FACTORS.index(0.5), 0.5 * sigma * span
        accused_real = real.certificates.accuracy(real=False, radius=radius)
        n_fake, n_real = len(fake.low[0]), len(real.low[0])
        fpr, tpr = certified_rates(real.low[at], fake.high[at], threshold)
        _, null_tpr = certified_rates(real.low[at], real.high[at], threshold)
        rule = f"{n_real} test reals in place of generated samples: the share certain to be called generated"
        return {
            "certified-accuracy-fake": _share(fake.certificates.accuracy(real=False, radius=radius), n_fake, "fake",
                                              _null(accused_real, n_real, rule)),
            "certified-accuracy-real": _share(real.certificates.accuracy(real=True, radius=radius), n_real, "real",
                                              _ONE_SIDED),
            "median-certified-radius": self._radius(fake, real, span),
            "median-radius-estimate": self._estimate(fake, real, span),
            "certified-fpr": _share(fpr, n_real, "real", _ONE_SIDED),
            "certified-tpr": _share(tpr, n_fake, "fake", _null(null_tpr, n_real, rule)),
        }  # fmt: skip

    def _radius(self, fake: _Side, real: _Side, span: float) -> Reading:
        radii, others = (_radii(side.certificates) / span for side in (fake, real))
        n, k = len(radii), (len(radii) + 1) // 2
        bounds = quantile_bounds(radii, k, 0.95)
        inside = bool(np.isfinite([bounds.low, bounds.high]).all())
        middle = float(others.sort().values[(len(others) + 1) // 2 - 1])
        return Reading(
            float(radii.sort().values[k - 1]),
            {"fake": n},
            interval_of(bounds, "order statistics (binomial)", _HELD.format("generated samples"))
            if inside
            else f"{n} samples are too few for a bound on both sides",
            Null(value=middle, n=len(others), rule=f"{len(others)} test reals in place of generated samples"),
        )

    def _estimate(self, fake: _Side, real: _Side, span: float) -> Reading:
        radii, others = (_radii(side.certificates, side.certificates.estimate) / span for side in (fake, real))
        n, k = len(radii), (len(radii) + 1) // 2
        value, middle = float(radii.sort().values[k - 1]), float(others.sort().values[(len(others) + 1) // 2 - 1])
        if not np.isfinite(value):
            return Reading(None, {"fake": n}, reason=(
                f"all {self.draws} noisy copies of the middle one of {n} generated samples are called generated: their "
                "share of 1 bounds no radius from above; more draws or a larger sigma would"
            ))  # fmt: skip
        bounds = quantile_bounds(radii.clamp(max=_ENDLESS), k, 0.95)
        finite, unbounded = np.isfinite(bounds.low) and bounds.high < _ENDLESS, not np.isfinite(middle)
        return Reading(
            value,
            {"fake": n},
            interval_of(bounds, "order statistics (binomial)", _HELD.format("generated samples").split(";")[0])
            if finite
            else f"of {n} samples, some with all draws agreed, no bound on both sides",
            f"all {self.draws} noisy copies of the middle test real are called generated"
            if unbounded
            else Null(value=middle, n=len(others), rule=f"{len(others)} test reals in place of generated samples"),
        )

    def _details(self, fake: _Side, real: _Side, threshold: float, span: float, sigma: float) -> list[Detail]:
        cap = largest_radius(sigma, self.draws, self.alpha)
        finer = np.linspace(0, 1.1 * max(cap, sigma), 45)
        series = [
            Series(name=name, x=finer.tolist(),
                   y=[side.certificates.accuracy(real=is_real, radius=float(r) * span) for r in finer])
            for name, side, is_real in (("generated samples", fake, False), ("reals", real, True))
        ]  # fmt: skip
        rows: list[list[str | int | float | None]] = []
        for i, factor in enumerate(_FACTORS):
            fpr, tpr = certified_rates(real.low[i], fake.high[i], threshold)
            rows.append([factor * sigma, fpr, tpr])
        lost = [int(side.certificates.abstained.sum()) for side in (fake, real)]
        return [
            Note(text=(
                f"Noise of sigma {sigma:g} of the range{'' if self.sigma else ', chosen on calibration reals'}; with "
                f"{self.draws} draws no radius above {cap:.3g} of the range can be certified, {cap / sigma:.3g} sigma. "
                f"No verdict could be proved for {lost[0]} of "
                f"{len(fake.low[0])} generated samples and {lost[1]} of {len(real.low[0])} reals. The threshold "
                f"{threshold:.6g} is that of samples without noise."
            )),
            Curve(
                title="Certified accuracy over the radius",
                x=Axis(title="l2 radius over the width of the range"),
                y=Axis(title="share certain to be called rightly"),
                series=series,
                rules=[Rule(at=cap, label="most with these draws"), Rule(at=sigma / 2, label="headline")],
            ),
            Table(title="Error rates certain within a radius, by median smoothing",
                  columns=["l2 radius (widths of the range)", "FPR at most", "TPR at least"], rows=rows),
        ]  # fmt: skip


def _constant(fake: Certificates, real: Certificates, sigma: float) -> list[str]:
    """Return the caution that noise alone decides, where one verdict is all that was proved on both sides."""
    proved = torch.cat([one.called_real[~one.abstained] for one in (fake, real)])
    both = all(bool((~one.abstained).any()) for one in (fake, real))
    if not both or bool(proved.any()) != bool(proved.all()):
        return []
    called, other = ("real", "generated samples") if bool(proved.any()) else ("generated", "reals")
    return [
        f"under noise of sigma {sigma:g} the discriminator calls all {len(proved)} samples for which a verdict was "
        f"proved {called}, {other} among them: it is certain because it tells nothing apart, and these certificates "
        "say nothing; another sigma is needed"
    ]


def _radii(found: Certificates, radius: Tensor | None = None) -> Tensor:
    """Return the certified radius of each sample, or what stands for it; 0 where it is not called generated."""
    return torch.where(found.called_real | found.abstained, 0.0, found.radius if radius is None else radius)


def _share(value: float, n: int, side: str, null: Null | str) -> Reading:
    drawn = "generated samples" if side == "fake" else "test reals"
    bounds = clopper_pearson(round(value * n), n, 0.95)
    return Reading(value, {side: n}, interval_of(bounds, "Clopper-Pearson", _HELD.format(drawn)), null)


def _null(value: float, n: int, rule: str) -> Null:
    bounds = clopper_pearson(round(value * n), n, 0.95)
    return Null(value=value, low=bounds.low, high=bounds.high, n=n, rule=rule)
