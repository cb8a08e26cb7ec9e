"""How far generated samples lie from real ones, as the Fréchet distance between Gaussians fitted to their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.model import Axis, Curve, Detail, Interval, Measurement, Note, Null, Series, Table
from ganaudit.document.spec import EvaluatorSpec, Exhibit, Findings, MeasurementSpec
from ganaudit.evidence.comparison import UNKNOWN, Comparison, fitted
from ganaudit.evidence.view import View
from ganaudit.numerics.error_parts import SCHEME, grouped_errors
from ganaudit.numerics.frechet import frechet_bias, frechet_distance
from ganaudit.numerics.frechet_classes import ClassDistance, class_distances
from ganaudit.numerics.frechet_inference import FrechetEstimate
from ganaudit.numerics.intervals import normal

__all__ = ["FrechetDistance"]

_UNIT = "squared feature units"
_METHOD = "normal, standard error by influences and by pairs of samples"
_COVERS = "the drawing of both the real and the generated samples; not the training of the generator"
_COVERS_PUBLISHED = (
    "the drawing of the generated samples, and that of the published reals as if their features were normal; not the "
    "training of the generator"
)
_SHOWN, _CLASSES, _POINTS = 16, 100, 8


@dataclass(frozen=True, slots=True)
class FrechetDistance:
    """Fréchet distance of features (FID on Inception features)."""

    divisor: Literal["n - 1", "n"] = "n - 1"
    """Of the covariances of fd; ``n`` as StyleGAN's metrics have it. Published statistics are used as they stand, and
    what has the bias removed rests on n - 1."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="frechet-distance",
        title="Fréchet distance",
        question="How far do generated samples lie from real ones, in the means and covariances of their features?",
        needs=("moments/real", "moments/fake", "moments/null-real", "moments/null-fake"),
        wants=tuple(
            f"{kind}/{side}" for kind in ("features", "labels") for side in ("real", "fake", "null-real", "null-fake")
        ),
        minimum={"moments/fake": 2},
        measurements=(
            MeasurementSpec(
                key="fd",
                title="Fréchet distance",
                interval=False,
                meaning="Squared distance between two Gaussians fitted to real and generated features; 0 is equal.",
                unit=_UNIT,
                better="lower",
                bounds=(0.0, None),
                estimator=(
                    "|mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)); sample covariances with divisor n - 1, "
                    "or n where the options say so; biased upward at finite n; trace of the root by "
                    "Cholesky factor and symmetric eigenvalues, or by "
                    "the centred cross-Gram where there are no more samples than dimensions"
                ),
            ),
            MeasurementSpec(
                key="fd-corrected",
                title="Fréchet distance, bias removed",
                meaning="The distance to be expected with endless samples; below 0 by chance where nothing differs.",
                unit=_UNIT,
                better="lower",
                estimator=(
                    "group jackknife G fd(n) - (G - 1) mean fd(n - n/G), a random group of the same size left out of "
                    "both sides; standard error from each sample's influence, 2 (mean difference).x + x'(I - T)x with "
                    "T the optimal map between the two Gaussians, and from pairs of samples for the second order"
                ),
            ),
            MeasurementSpec(
                key="fd-infinity",
                title="Fréchet distance, extrapolated",
                meaning="As fd-corrected, by a straight line through the distance at several n down to n/4.",
                unit=_UNIT,
                better="lower",
                estimator=(
                    "intercept of the least-squares line of mean fd over 1/n, weights n^2, both sides cut to n samples "
                    "together; standard error as for fd-corrected"
                ),
            ),
            MeasurementSpec(
                key="bias-floor",
                title="Bias floor",
                interval=False,
                meaning="What fd would be expected to show at these n if nothing differed.",
                unit=_UNIT,
                better="none",
                bounds=(0.0, None),
                estimator=(
                    "first-order expected fd of two samples of one Gaussian with the reals' covariance: "
                    "sum l/n + sum_ij (l_i l_j + [i = j] l_i^2) / (2 (l_i + l_j) (n - 1)) for each side"
                ),
            ),
        ),
        misleads=(
            "It compares two moments only: samples with the right mean and covariance but wrong shape score 0. Its "
            "bias falls with n, so values at different n, extractors, resize kernels or splits must not be compared."
        ),
        references=(
            "Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, 2017, "
            "arXiv:1706.08500",
            "Chong and Forsyth, Effectively Unbiased FID and Inception Score, 2020, arXiv:1911.07023",
            "Rippl, Munk and Sturm, Limit laws of the empirical Wasserstein distance: Gaussian distributions, 2016, "
            "arXiv:1507.04090",
        ),
    )

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return fd, fd without its bias in two ways and the bias floor, their nulls, fd over n and by class."""
        main = Comparison.of(view, "real", "fake", self.divisor, rng)
        null = None
        if view.missing("moments/null-fake") is None and view.missing("moments/null-real") is None:
            null = Comparison.of(view, "null-real", "null-fake", self.divisor, rng)
        floor = self._floor(main)
        corrected = self._estimated("fd-corrected", main, null, view)
        infinity = self._estimated("fd-infinity", main, null, view)
        measurements = [self._distance(main, null, view), corrected, infinity, floor]
        details: list[Detail] = [Note(text=_in_words(main, measurements[0].null, floor, corrected))]
        details += [_over_n(view, main, null, rng), _parts(main)]
        details += _by_class(view, rng)
        return Findings(measurements, details, exhibits=_exhibits(main))

    def _distance(self, main: Comparison, null: Comparison | None, view: View) -> Measurement:
        measured = None if null is None else null.as_null(view.null_rule)
        return self.spec.measurement(
            "fd",
            main.distance,
            main.sizes,
            interval_reason=_why_no_interval(measured, main.n_fake),
            null=measured,
            null_reason=None if measured else view.null_rule,
        )

    def _estimated(self, key: str, main: Comparison, null: Comparison | None, view: View) -> Measurement:
        sizes = 2 if key == "fd-corrected" else 3
        found, same = (None if side is None else side.unbiased(sizes) for side in (main, null))
        if found is None:
            reason = f"taking the bias off by {sizes} sizes {main.why_not(sizes)}"
            return self.spec.measurement(key, None, main.sizes, reason=UNKNOWN if main.n_real is None else reason)
        interval, measured, why = None, None, None
        if main.constant is None:
            bounds, covers = normal(*found, 0.95), _COVERS_PUBLISHED if main.is_published else _COVERS
            interval = Interval(low=bounds.low, high=bounds.high, level=0.95, method=_METHOD, covers=covers)
        if null is None or same is None:
            why = view.null_rule if null is None else f"the null {null.why_not(sizes)} ({view.null_rule})"
        else:
            spread = normal(*same, 0.95) if null.constant is None else None
            ends = {} if spread is None else {"low": spread.low, "high": spread.high}
            measured = Null(value=same[0], n=null.n_fake, rule=view.null_rule, **ends)
        return self.spec.measurement(
            key,
            found[0],
            main.sizes,
            interval=interval,
            interval_reason=main.constant,
            null=measured,
            null_reason=why,
            error_parts=None if interval is None else _error_parts(main),
        )

    def _floor(self, main: Comparison) -> Measurement:
        reals = main.real_moments
        if main.n_real is None:
            return self.spec.measurement("bias-floor", None, main.sizes, reason=UNKNOWN)
        if reals is None or (reals.n is not None and reals.n <= reals.features):
            reason = f"needs more reals than features: {main.features + 1}; found {main.n_real}"
            return self.spec.measurement("bias-floor", None, main.sizes, reason=reason)
        return self.spec.measurement(
            "bias-floor",
            frechet_bias(reals.covariance, main.n_real, main.n_fake),
            main.sizes,
            interval_reason="an expectation by formula, for features near Gaussian",
            null_reason="it is itself the value under equal distributions; the null of fd is the measured one",
        )


def _error_parts(main: Comparison) -> ErrorParts | None:
    found = main.estimate
    if found is None or found.real_influences is None or found.fake_influences is None:
        return None
    sides = {"real": found.real_influences, "fake": found.fake_influences}
    return ErrorParts.of(SCHEME, {side: grouped_errors(moves) for side, moves in sides.items()})


def _over_n(view: View, main: Comparison, null: Comparison | None, rng: np.random.Generator) -> Curve:
    """Return fd and its null over n, as both sides are cut to n samples; where that is too few, the generated alone."""
    thins = main.estimate is not None
    series = []
    for name, found, real, fake in (
        ("generated", main, "real", "fake"),
        ("null: real against real", null, "null-real", "null-fake"),
    ):
        if found is not None and (found.estimate is not None) == thins:
            points = _thinned(found.estimate) if found.estimate is not None else _cut(view, real, fake, rng)
            series.append(Series(name=name, x=[float(n) for n, _ in points], y=[value for _, value in points]))
    return Curve(
        title="Fréchet distance over the number of samples",
        x=Axis(title="samples on each side" if thins else "samples on the generated side"),
        y=Axis(title="Fréchet distance", log=all(min(s.y) > 0 for s in series)),
        series=series,
        points=True,
    )


def _thinned(found: FrechetEstimate) -> list[tuple[int, float]]:
    return list(zip(found.thinned.sizes, found.thinned.values, strict=True))


def _cut(view: View, real: str, fake: str, rng: np.random.Generator) -> list[tuple[int, float]]:
    against, moving = fitted(view, real), view[f"features/{fake}"]
    order = rng.permutation(len(moving))
    sizes = sorted({max(2, round(len(moving) * i / _POINTS)) for i in range(1, _POINTS + 1)})
    return [(n, frechet_distance(against, moving[order[:n]])) for n in sizes]


def _parts(main: Comparison) -> Table:
    rows: list[list[str | int | float | None]] = [
        ["dimensions of the features", main.features],
        ["samples per dimension, smaller side", round(min(main.sizes.values()) / main.features, 3)],
    ]
    if main.real_moments is not None and main.fake_moments is not None:
        shift = float((main.real_moments.mean - main.fake_moments.mean).square().sum())
        rows += [["of fd, from the means", shift], ["of fd, from the covariances", main.distance - shift]]
    if main.estimate is not None:
        rows.append(["bias removed by fd-corrected", main.distance - main.estimate.value])
        rows.append(["standard error of fd-corrected", main.estimate.standard_error])
        if main.estimate.line is not None:
            rows.append(["slope of the line over 1/n", main.estimate.line.slope])
            rows.append(["R² of the line over 1/n", main.estimate.line.r_squared])
    return Table(title="What the distance is made of", columns=["", "value"], rows=rows)


def _by_class(view: View, rng: np.random.Generator) -> list[Detail]:
    if any(view.missing(f"{kind}/{side}") is not None for kind in ("labels", "features") for side in ("real", "fake")):
        return []
    found = _classes(view, "real", "fake", rng)
    null: dict[int, float | None] = {}
    if all(view.missing(f"{kind}/null-{side}") is None for kind in ("labels", "features") for side in ("real", "fake")):
        null = {row.label: row.distance for row in _classes(view, "null-real", "null-fake", rng)}
    kept = sorted(found, key=lambda row: -(row.distance or 0.0))[:_CLASSES]
    names = view.classes if len(view.classes) > max(row.label for row in found) else ()
    rows: list[list[str | int | float | None]] = []
    for row in sorted(kept, key=lambda row: row.label):
        low, high = None, None
        if row.corrected is not None and row.standard_error is not None:
            bounds = normal(row.corrected, row.standard_error, 0.95)
            low, high = bounds.low, bounds.high
        name = names[row.label] if names and row.label >= 0 else str(row.label)
        rows.append([name, row.n_real, row.n_fake, row.distance, null.get(row.label), row.corrected, low, high])
    columns = ["class", "n real", "n generated", "fd", "null of fd", "fd-corrected", "low", "high"]
    title = "Fréchet distance by class"
    if len(found) > len(kept):
        title += f": the {_CLASSES} largest of {len(found)}"
    few = "A class has few samples, so its fd is mostly bias: hold it against its null, or read fd-corrected."
    return [Table(title=title, columns=columns, rows=rows), Note(text=few)]


def _classes(view: View, real: str, fake: str, rng: np.random.Generator) -> list[ClassDistance]:
    return class_distances(
        view[f"features/{real}"],
        view[f"labels/{real}"],
        view[f"features/{fake}"],
        view[f"labels/{fake}"],
        rng,
        view.world,
    )


def _exhibits(main: Comparison) -> list[Exhibit]:
    found = main.estimate
    if found is None:
        return []
    shown = []
    for side, influences, title, rule in (
        ("fake", found.fake_influences, "Generated samples that raise the distance most", "generated"),
        ("real", found.real_influences, "Real samples that generated ones miss most", "real"),
    ):
        if influences is None:
            continue
        top = influences.topk(min(_SHOWN, len(influences)))
        added = (top.values / len(influences)).tolist()
        shown.append(
            Exhibit(
                title=title,
                rule=f"the {len(added)} of {len(influences)} {rule} samples with the largest influence on fd",
                side="fake" if side == "fake" else "real",
                indices=top.indices.tolist(),
                captions=[_caption(value, main.distance) for value in added],
            )
        )
    return shown


def _caption(added: float, distance: float) -> str:
    share = f" ({added / distance:.2%} of it)" if distance > 0 else ""
    return f"adds {added:.3g} to fd{share}"


def _in_words(main: Comparison, null: Null | None, floor: Measurement, corrected: Measurement) -> str:
    """Return what fd means against its null or floor, and what is left without the bias."""
    parts = []
    if null is not None:
        parts.append(f"fd is {main.distance:.4g}; {_beside(main, null)}")
    if floor.value is not None and (null is None or null.n != main.n_fake):
        fd = "Of fd" if parts else f"Of fd, {main.distance:.4g},"
        parts.append(f"{fd} about {floor.value:.4g} is what equal distributions would show at these n.")
    found = corrected.interval
    if found is not None:
        left = f"Without the bias {corrected.value:.4g} is left, 95 % interval {found.low:.4g} to {found.high:.4g}: "
        more = "more than chance, if the features of the published reals are near normal." if main.is_published else ""
        parts.append(left + ((more or "more than chance.") if found.low > 0 else "no difference is seen at these n."))
    if main.n_real is None:
        parts.append(f"Of fd, {main.distance:.4g}, an unknown part is bias: {UNKNOWN}.")
    elif main.constant is not None:
        parts.append(f"{main.constant[0].upper()}{main.constant[1:]}.")
    ratio = min(main.sizes.values()) / main.features
    if ratio < 2:
        parts.append(f"There are {ratio:.2g} samples per dimension, so fd is mostly bias.")
    return " ".join(parts) or f"fd is {main.distance:.4g}; nothing here tells how much of it is bias."


def _beside(main: Comparison, null: Null) -> str:
    """Return how fd stands against that of reals."""
    shown = f"{null.value:.4g}" if null.low is None else f"{null.value:.4g} ({null.low:.4g} to {null.high:.4g})"
    is_above = main.distance > (null.value if null.high is None else null.high)
    if null.n != main.n_fake:
        shown += f" at n = {null.n} instead of {main.n_fake}, with the larger bias of fewer samples"
        told = "fd lies above even that" if is_above else "fd lies no higher, which at unlike n tells nothing"
    else:
        shown += " at the same n"
        told = "fd lies above that" if is_above else "fd lies no higher: no difference is seen in it"
    return f"reals against reals show {shown}: {told}{_alone(null) if is_above else ''}."


def _alone(null: Null) -> str:
    return "" if null.high is not None else ", but one value alone does not tell chance"


def _why_no_interval(null: Null | None, n: int) -> str:
    why = "the plug-in distance is biased upward at finite n: an interval around it would not hold the true distance"
    if null is None:
        return why
    if null.n == n:
        return f"{why}; fd-corrected has one, and the null of fd carries the same bias"
    return f"{why}; its null rests on {null.n} samples instead of {n} and carries another bias, the larger the fewer"
