"""How like reals generated samples stay while they are moved toward reals, and how smoothly latents move samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from ganaudit.document.alarms import bar, departure
from ganaudit.document.model import Detail, Measurement, Note
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.document.standing import against_null
from ganaudit.evidence.blends import LEAST, Blend, blend_details, blend_readings, blend_strips, blended
from ganaudit.evidence.inversions import Inverted, inversions
from ganaudit.evidence.score_sides import Reading
from ganaudit.evidence.view import View
from ganaudit.evidence.walks import walked
from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.mixing import Pairing

__all__ = ["InterpolationSimilarity"]

_INVERSIONS = {"quick": 0, "standard": 16, "full": 64}
_ALLOWED = {"pairing": get_args(Pairing), "distance": ("features", "pixels")}


_HOLES = (
    "share of the paths with two ends at or above the cut that have a point below it; the cut is the highest score of "
    "a calibration real that as many unrelated reals would fall below in at most 5 % of the cases"
)


@dataclass(frozen=True, slots=True)
class InterpolationSimilarity:
    """Generated samples mixed with reals, beside reals mixed with reals; and paths through the latent."""

    pairs: int = 256
    """Generated samples that are mixed, at most; of the reals a third goes into pairs, a third stands in for generated
    samples, and the rest is what mixtures are held against."""
    pairing: Pairing = "random"
    """Which real each generated sample moves to. random; nearest: in features, reals may serve several; transport: one
    to one, with the least sum of squared distances in features."""
    points: int = 11
    """Points on each way, both ends included."""
    paths: int = 200
    """Paths between new latents."""
    distance: Literal["features", "pixels"] = "features"
    """The distance of the path length, squared and Euclidean: of the audit's extractor without quantisation, or of the
    values themselves as shares of the range."""
    eps: float = 0.001
    """The step of the path length; a sweep over others shows whether it matters."""
    fpr: float = 0.05
    """The share of reals that may be called generated; the crossing is that of the threshold chosen for it."""
    profile: Literal["quick", "standard", "full"] = "standard"
    """How much is spent on looking for reals in the latent where `inversion` does not say; the plan's profile if that
    was given."""
    inversion: int | None = None
    """Reals that are looked for in the latent, and as many generated samples; 0: none. None: 0, 16 or 64 by the
    profile. On one core 16 take about 1 s on `digits`, 10 s on `shapes`."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="interpolation-similarity",
        title="Similarity along interpolations",
        question="Do generated samples turn into reals as other reals do, and does the latent move them evenly?",
        needs=("values/real", "values/fake"),
        wants=("labels/real", "values/null-fake", "values/calibration", "scores/fake", "scores/calibration"),
        minimum={"values/real": 3 * LEAST, "values/fake": LEAST},
        measurements=(
            MeasurementSpec(
                key="similarity",
                title="Similarity of the way to reals",
                meaning="1: as other reals go; 0: as noise does. Most images are near 1: read it by its null.",
                unit="share",
                better="higher",
                bounds=(0.0, 1.0),
                estimator="1 - area between FD(t) of generated and of real samples mixed into reals / the same of "
                "noise; trapezoids of the absolute difference",
            ),
            MeasurementSpec(
                key="path-length",
                title="Path length",
                meaning="How far a sample moves for a small step between two latents, as a squared speed.",
                unit="squared distance per squared step",
                better="lower",
                bounds=(0.0, None),
                estimator="mean of d(x(t), x(t + eps))/eps^2, d squared Euclidean; t even on 0..1; slerp of normal "
                "latents, lerp of uniform ones; float samples; not trimmed",
            ),
            MeasurementSpec(
                key="path-length-w",
                title="Path length in w",
                meaning="The same along chords of w, for a generator in two parts, mapping and synthesis.",
                unit="squared distance per squared step",
                better="lower",
                bounds=(0.0, None),
                estimator="mean of d(x(t), x(t + eps))/eps^2, lerp in w; as the path length in all else",
            ),
            MeasurementSpec(
                key="smoothness",
                title="Evenness of the steps along latent paths",
                meaning="Mean over largest step of a path in features; 1 is an even pace, near 0 a jump.",
                unit="ratio",
                better="higher",
                bounds=(0.0, 1.0),
                estimator="lower median over paths of mean step / largest step, steps at equal fractions",
            ),
            MeasurementSpec(
                key="crossing",
                title="Crossing of the threshold",
                meaning="Share of real that half of the generated samples called so need before they pass as real.",
                unit="share of the way",
                better="lower",
                bounds=(0.0, 1.0),
                estimator="lower median over pairs that start below the threshold and reach it; first time, linear "
                "between points",
            ),
            MeasurementSpec(
                key="similarity-by-score",
                title="Similarity of the way to reals, in the discriminator's eyes",
                meaning="The same with the AUC of fresh reals against mixtures in place of the distance.",
                unit="share",
                better="higher",
                bounds=(0.0, 1.0),
                estimator="1 - area between AUC(t) of generated and of real samples mixed into reals / the same of "
                "noise",
            ),
            MeasurementSpec(
                key="curvature",
                title="Curvature of the score along the way",
                meaning="How far the score strays from a straight line to the real, over its range; 0 is straight.",
                unit="share of the range of the score",
                better="none",
                bounds=(0.0, 1.0),
                estimator="lower median over pairs of max |D(x_t) - chord| / (max D - min D)",
            ),
            MeasurementSpec(
                key="holes",
                title="Paths with a hole",
                meaning="Share of latent paths between good samples with one that scores below nearly all reals.",
                unit="share of paths",
                better="lower",
                bounds=(0.0, 1.0),
                estimator=f"{_HOLES}; slerp of normal latents, lerp of uniform ones",
            ),
            MeasurementSpec(
                key="holes-lerp",
                title="Straight paths with a hole",
                meaning="The same on the chords between the latents, which lead nearer to the middle than samples lie.",
                unit="share of paths",
                better="lower",
                bounds=(0.0, 1.0),
                estimator=f"{_HOLES}; lerp",
            ),
            MeasurementSpec(
                key="inversion-error",
                title="Distance from reals to what the generator can make",
                meaning="How far the nearest sample found by descent on the latent stays from a real; 0 is reached.",
                unit="share of the squared distance of two reals",
                better="lower",
                bounds=(0.0, None),
                estimator="lower median over reals of the mean of squared distances in values and in features, each "
                "over that of two reals; an upper bound",
            ),
        ),
        misleads=(
            "Mixtures are double exposures: also two reals mixed look like no real, so read every curve beside that of "
            "reals. Mixing shrinks variance, and hides a generator whose samples vary too much. The scale of "
            "similarity ends at noise, which no image is like: coarse features, of an untrained network or of few "
            "dimensions, put any images near 1, so only its distance from its null says something. A path length "
            "depends on the distance, the path, the ends and the step: compare it only where all are equal, and never "
            "with published ones. A generator that always makes the same sample is perfectly smooth. Holes are what "
            "the discriminator thinks poor; where it tells generated samples from reals, few ends are good and most "
            "ways lead through poor ones: see what unrelated generated samples give, in the table."
        ),
        references=(
            "Karras et al., A Style-Based Generator Architecture, 2019, arXiv:1812.04948 (path length)",
            "Berthelot et al., Understanding and Improving Interpolation in Autoencoders, 2018, arXiv:1807.07543",
            "White, Sampling Generative Networks, 2016, arXiv:1609.04468 (slerp)",
            "Zhu et al., Generative Visual Manipulation, 2016, arXiv:1609.03552 (inversion)",
            "Shao and Tu, The Jackknife and Bootstrap, 1995 (delete-a-group jackknife)",
        ),
    )

    def __post_init__(self) -> None:
        if self.profile not in _INVERSIONS:
            raise ValueError(f"profile: found {self.profile!r}; allowed: {', '.join(_INVERSIONS)}")
        if self.inversion is not None and self.inversion < 0:
            raise ValueError(f"inversion: found {self.inversion}; allowed: 0 or more")
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: found {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        for name, least in (("pairs", LEAST), ("paths", 2), ("points", 3)):
            whole(getattr(self, name), name, least)
        if not 0.0 < self.eps <= 0.01:
            raise ValueError(f"eps: found {self.eps}; allowed: above 0, at most 0.01")
        proportion(self.fpr, "fpr")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return how alike the ways of generated and of other samples to reals are, and how even latent paths are."""
        seeds = rng.integers(2**31, size=2).tolist()
        blend = blended(view, self.pairs, self.pairing, self.points, self.fpr, np.random.default_rng(seeds[0]))
        if isinstance(blend, str):
            raise NotAssessable(blend)
        walks = walked(
            view, blend, paths=self.paths, distance=self.distance, eps=self.eps, rng=np.random.default_rng(seeds[1])
        )
        # Of chances of its own, drawn last: nothing else moves with it.
        latents = self._inverted(view, blend, np.random.default_rng(rng.integers(2**63)))
        found = blend_readings(blend) | walks.readings | {"inversion-error": latents.reading}
        measurements = [found[m.key].measured(self.spec, m.key) for m in self.spec.measurements]
        details: list[Detail] = [
            Note(text=_reading(measurements, walks.poor)),
            *blend_details(blend),
            *walks.details,
            *latents.details,
            Note(text=self._method(blend)),
        ]
        exhibits = [blend_strips(blend, self.pairing), *(one for one in (walks.strips, latents.strips) if one)]
        return Findings(measurements, details, walks.warnings, exhibits=exhibits)

    def _inverted(self, view: View, blend: Blend, rng: np.random.Generator) -> Inverted:
        count = _INVERSIONS[self.profile] if self.inversion is None else self.inversion
        if not count:
            why = "0 reals are looked for in the latent: the option inversion, or the profile quick, says so"
            return Inverted(Reading(None, {"real": 0}, reason=why), [], None)
        return inversions(view, count, blend.t, rng, judge=blend.unjudged is None)

    def _method(self, blend: Blend) -> str:
        found = blend.fake.start, blend.fresh
        unjudged = "" if blend.unjudged is None else f" No scores: {blend.unjudged}."
        return (
            f"{len(found[0])} generated samples and as many reals, drawn, are mixed into the same reals, paired by "
            f"{self.pairing}, and held against {len(found[1])} reals that are in no pair. At t = 1 all kinds are the "
            "same reals. The null of a number puts yet other reals in the place of generated samples. Noise is even "
            f"over the range, every value by itself; it sets the scale.{unjudged}"
        )


def _standing(found: Measurement) -> str:
    """Return the similarity as what it is beside other reals: the scale itself ends at noise and says little."""
    promised = InterpolationSimilarity.spec.promise(found.key)
    assert promised is not None
    far, null = departure(found, "below", promised.bounds), found.null
    if far is None or found.value is None or null is None:
        told = against_null(found, "The similarity of the way to reals", "other reals in their place", ".3g")
        return told or "The similarity of the way to reals: see the table."
    least = bar("below", 1)
    stands = f"{far:.2g} standard errors below" if far > least else (
        f"not told from them ({far:+.2g} standard errors below; {least:.2g} would tell)"
    )  # fmt: skip
    text = (
        f"Similarity of the way to reals: {found.value:.4g} where other reals in their place have {null.value:.4g}, "
        f"{stands}. 0 is noise, so no value near 1 is good by itself"
    )
    if null.value < 1:
        text += f"; generated samples stray {(1 - found.value) / (1 - null.value):.3g} times as far as those reals"
    return f"{text}."


def _reading(measurements: list[Measurement], poor: str) -> str:
    """Return what was found in a few sentences; ``poor`` says what a sample does that makes a path a poor one."""
    by = {m.key: m for m in measurements}
    parts = [_standing(by["similarity"])]
    crossing, smooth = by["crossing"], by["smoothness"]
    if crossing.value is not None:
        parts.append(
            f"Half of the {crossing.n} generated samples that start below the threshold and reach it pass as real with "
            f"a share of real of {crossing.value:.2g} or less."
        )
    if smooth.value is not None:
        parts.append(f"On latent paths the mean step is {smooth.value:.2g} of the largest (1 is an even pace).")
    for name, one in (("", by["holes"]), ("straight ", by["holes-lerp"])):
        if one.value is not None and one.null is not None:
            parts.append(
                f"{one.value:.0%} of the {one.n} {name}paths between good samples lead through one that {poor}; of as "
                f"many unrelated reals one would with a chance of {one.null.value:.1%}."
            )
            poor = "scores so low"
    return " ".join(parts)
