"""Generated samples, reals and noise, all mixed into the same reals, and the numbers and charts made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.errors import SubjectError
from ganaudit.document.model import Axis, Curve, Detail, Interval, Null, Rule, Series, Table
from ganaudit.document.spec import Exhibit
from ganaudit.evidence.judging import chosen
from ganaudit.evidence.mixtures import Ends, Mixtures, ends, mixtures, noise, scored, unjudged
from ganaudit.evidence.score_sides import Reading, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.detection import auc, calibration_size_needed, conformal_threshold
from ganaudit.numerics.interpolation import crossings, curvature, fractions, lerp
from ganaudit.numerics.intervals import quantile_bounds
from ganaudit.numerics.mixing import Curve as Way
from ganaudit.numerics.mixing import Pairing, auc_curve, frechet_curve, jackknife_similarity

__all__ = ["FRAMES", "LEAST", "Blend", "blend_details", "blend_readings", "blend_strips", "blended", "middle"]

LEAST = 4
"""Pairs that it takes."""
FRAMES = 8
"""Points of a way that are shown: reports show eight samples to a row."""

_COVERS = "the drawing of pairs and of the reals they are held against; not the training of the networks"
_JACKKNIFE = "delete-a-group jackknife, 10 groups of pairs and of reals, Student"
_SHOWN = 4
_GENERATED, _REAL = "generated into reals", "reals into reals"


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """Ways of P samples of each kind to reals, at the fractions ``t``."""

    t: list[float]
    fake: Mixtures
    real: Mixtures
    """Other reals of the same split in place of generated samples."""
    noise: Mixtures
    other: Mixtures | None
    """Reals that stand in for generated samples in nulls."""
    stand_in: str
    """Which reals these are, or why there are none."""
    fresh: Ends
    """Reals that are in no pair."""
    fresh_scores: Tensor | None
    unjudged: str | None
    """Why there are no scores."""
    threshold: float | None
    """Of calibration reals."""
    no_threshold: str | None


def blended(view: View, pairs: int, rule: Pairing, points: int, fpr: float, rng: np.random.Generator) -> Blend | str:
    """Return at most ``pairs`` ways of each kind, or why a discriminator that needs classes leaves none.

    The audited reals are dealt into three parts: ends of all ways, starts of the ways of reals, and fresh ones.
    """
    n_real, n_fake = view.count("values/real"), view.count("values/fake")
    k = min(pairs, n_fake, n_real // 3)
    if k < LEAST:
        return f"needs {LEAST} generated samples and {3 * LEAST} reals; there are {n_fake} and {n_real}"
    dealt = rng.permutation(n_real).tolist()
    seed = int(rng.integers(2**31))
    fake = ends(view, "fake", chosen(view, "fake", n_fake, k, rng))
    parts = dealt[:k], dealt[k : 2 * k], dealt[2 * k : 4 * k]
    goals, starts, fresh = (ends(view, "real", sorted(part)) for part in parts)
    sides = {"fake": fake, "real": starts, "noise": noise(view, seed, goals)}
    other, told = _stand_in(view)
    if other is not None:
        rows = chosen(view, other, view.count(f"values/{other}"), k, np.random.default_rng(seed))
        sides["other"] = ends(view, other, rows)
    why = unjudged(view, [fake, goals, starts, fresh])
    t = fractions(points)

    def ways_of(judge: bool) -> dict[str, Mixtures]:
        # One seed for all: at random, start i of each kind goes to the same real.
        return {
            name: mixtures(view, side, goals, t, rule, np.random.default_rng(seed), judge=judge)
            for name, side in sides.items()
        }

    try:
        ways = ways_of(why is None)
    except SubjectError as error:  # it scores samples, and may have no score for noise or for mixtures
        why, ways = f"of {k} pairs: {error}", ways_of(False)
    if min(len(way) for way in ways.values()) < LEAST:
        return f"needs {LEAST} pairs of one class each; {len(ways['fake'])} of {k} generated samples have one"
    threshold, lacking = _threshold(view, fpr) if why is None else (None, why)
    return Blend(
        t, ways["fake"], ways["real"], ways["noise"], ways.get("other"), told, fresh,
        scored(view, fresh) if why is None else None, why, threshold, lacking,
    )  # fmt: skip


def blend_readings(blend: Blend) -> dict[str, Reading]:
    """Return similarity, similarity-by-score, crossing and curvature, each with what other reals in place give."""
    own = _readings(blend, blend.fake)
    if blend.other is None:
        return {key: replace(one, null=blend.stand_in) for key, one in own.items()}
    others = _readings(blend, blend.other)
    rule = f"{len(blend.other)} {blend.stand_in}, in place of generated samples mixed into the same reals"
    return {key: replace(one, null=_null(others[key], rule)) for key, one in own.items()}


def blend_details(blend: Blend) -> list[Detail]:
    """Return the curves along the way, generated beside real, and the table behind them."""
    shown = {_GENERATED: blend.fake, _REAL: blend.real}
    x = Axis(title="share of the real in the mixture, t")
    fd = {name: _all(frechet_curve(way.features, blend.fresh.features), way, blend) for name, way in shown.items()}
    for name, way in (("generated, mixed in features", blend.fake), ("reals, mixed in features", blend.real)):
        inside = torch.stack([lerp(way.features[0], way.features[-1], share) for share in blend.t])
        fd[name] = _all(frechet_curve(inside, blend.fresh.features), way, blend)
    details: list[Detail] = [
        _curve("Fréchet distance of mixtures to fresh reals", x, "FD", blend.t, fd, points=True),
        _curve("Distance of mixtures to the real they move to", x, "mean distance in features", blend.t,
               {name: _to_go(way) for name, way in shown.items()}),
    ]  # fmt: skip
    columns: dict[str, Tensor] = dict(fd)
    columns["noise into reals"] = _all(frechet_curve(blend.noise.features, blend.fresh.features), blend.noise, blend)
    if blend.fresh_scores is not None:
        areas = [_areas(name, way, blend) for name, way in shown.items()]
        half = [Rule(at=0.5, label="cannot be told apart", orient="y")]
        details.append(Curve(title="Fresh reals against mixtures, by score", x=x, y=Axis(title="AUC"), series=areas,
                             rules=half))  # fmt: skip
        details.append(_score_curve(blend, x, shown))
        columns |= {f"AUC, {one.name}": torch.tensor(one.y) for one in areas}
        columns["AUC, noise into reals"] = torch.tensor(_areas("", blend.noise, blend).y)
    return [*details, _table(blend.t, columns)]


def blend_strips(blend: Blend, rule: Pairing) -> Exhibit:
    """Return some of the ways from generated samples to reals, one to a row."""
    rows = list(range(min(_SHOWN, len(blend.fake))))
    x, y, t = blend.fake.start.read(rows), blend.fake.end.read(rows), fractions(FRAMES)
    frames = torch.stack([lerp(x, y, share) for share in t], 1)
    return Exhibit(
        title="Generated samples on their way to reals, one to a row",
        rule=f"{len(rows)} of {len(blend.fake)} pairs ({rule}); generated at the left, real at the right, {FRAMES} "
        "points at equal distance",
        side="real",
        indices=range(len(rows) * FRAMES),
        captions=[f"pair {row}, t = {share:.2f}" for row in rows for share in t],
        samples=frames.flatten(0, 1),
    )


def middle(values: Tensor, sizes: Mapping[str, int], covers: str) -> Reading:
    """Return the lower median of ``values`` (N,), N >= 1, with order statistics around it."""
    k = (len(values) + 1) // 2
    bounds = quantile_bounds(values, k, 0.95)
    interval: Interval | str = f"{len(values)} values are too few for a bound on both sides"
    if np.isfinite([bounds.low, bounds.high]).all():
        interval = interval_of(bounds, "order statistics (binomial)", covers)
    return Reading(float(values.double().sort().values[k - 1]), sizes, interval)


def _readings(blend: Blend, way: Mixtures) -> dict[str, Reading]:
    sizes = {"fake": len(way), "real": len(blend.fresh)}
    found = {"similarity": _similarity(blend, [way, blend.real, blend.noise], sizes, by_score=False)}
    if blend.unjudged is not None:
        lacks = Reading(None, sizes, reason=f"{blend.unjudged}; {len(way)} pairs were mixed")
        return found | dict.fromkeys(("similarity-by-score", "crossing", "curvature"), lacks)
    assert way.scores is not None
    found["similarity-by-score"] = _similarity(blend, [way, blend.real, blend.noise], sizes, by_score=True)
    found["crossing"] = _crossing(blend, way.scores)
    found["curvature"] = middle(curvature(way.scores, blend.t), {"fake": len(way)}, _COVERS)
    return found


def _similarity(blend: Blend, ways: list[Mixtures], sizes: dict[str, int], *, by_score: bool) -> Reading:
    made: list[Way] = []
    for way in ways:
        if by_score:
            assert way.scores is not None
            assert blend.fresh_scores is not None
            made.append(auc_curve(way.scores, blend.fresh_scores))
        else:
            made.append(frechet_curve(way.features, blend.fresh.features))
    pairs = min(len(way) for way in ways)
    found = jackknife_similarity((made[0], made[1], made[2]), pairs, len(blend.fresh), blend.t)
    if found is None:
        return Reading(None, sizes, reason=f"{pairs} samples of noise go the way of reals: there is no scale")
    own: Interval | str = f"leaving out any of 10 groups of the {pairs} pairs moves nothing: no spread can be seen"
    if found.bounds is not None:
        own = interval_of(found.bounds, _JACKKNIFE, _COVERS)
    return Reading(found.value, sizes | {"fake": pairs}, own)


def _crossing(blend: Blend, scores: Tensor) -> Reading:
    sizes = {"fake": scores.shape[1]}
    if blend.threshold is None:
        return Reading(None, sizes, reason=blend.no_threshold)
    found = crossings(scores, blend.t, blend.threshold)
    crossing = found[~found.isnan()]
    if not len(crossing):
        return Reading(None, sizes, reason=_uncrossed(scores[0], blend.threshold))
    return middle(crossing, {"fake": len(crossing)}, f"{_COVERS}; the threshold held fixed")


def _uncrossed(starts: Tensor, threshold: float) -> str:
    """Return why no pair crosses, given the scores (N,) at their starts."""
    n, below = len(starts), int((starts < threshold).sum())
    if below:
        return (
            f"{below} of {n} pairs start below the threshold, {threshold:.4g}, and 0 of them reach it: not even the "
            "reals at their ends do"
        )
    if bool((starts == starts[0]).all()):
        return f"all {n} pairs start with one score, {float(starts[0]):.4g}: the discriminator tells nothing apart"
    return (
        f"0 of {n} pairs start below the threshold, {threshold:.4g}: every generated sample among them passes as real "
        f"already (lowest score {float(starts.min()):.4g}), and there is no way left to go"
    )


def _threshold(view: View, fpr: float) -> tuple[float | None, str | None]:
    missing = view.missing("scores/calibration")
    if missing is not None:
        return None, f"{missing}: of 0 calibration reals no threshold can be made"
    calibration = view["scores/calibration"]
    threshold = conformal_threshold(calibration, fpr)
    needed = calibration_size_needed(fpr)
    told = f"a false positive rate of {fpr:g} needs {needed} calibration reals; there are {len(calibration)}"
    return threshold, told if threshold is None else None


def _stand_in(view: View) -> tuple[str | None, str]:
    """Return the side of reals that stand in for generated samples and what they are, or why there are none."""
    # Neither the discriminator nor an extractor trained beside it has seen them, as they may have train reals.
    if view.against == "test" and view.missing("values/calibration") is None:
        return "calibration", "calibration reals"
    reason = view.missing("values/null-fake")
    return (None, reason) if reason is not None else ("null-fake", f"reals of the null ({view.null_rule})")


def _null(other: Reading, rule: str) -> Null | str:
    if other.value is None:
        return f"other reals in place of generated samples give none: {other.reason}"
    spread = other.interval if isinstance(other.interval, Interval) else None
    low, high = (None, None) if spread is None else (spread.low, spread.high)
    return Null(value=other.value, low=low, high=high, n=min(other.sizes.values()), rule=rule)


def _all(curve: Way, way: Mixtures, blend: Blend) -> Tensor:
    return curve(torch.arange(len(way)), torch.arange(len(blend.fresh)))


def _to_go(way: Mixtures) -> Tensor:
    gaps: Tensor = torch.linalg.vector_norm((way.features - way.features[-1:]).double(), dim=2)
    return gaps.mean(1)


def _areas(name: str, way: Mixtures, blend: Blend) -> Series:
    assert way.scores is not None
    assert blend.fresh_scores is not None
    found = [auc(blend.fresh_scores, step) for step in way.scores]
    ends_ = [one.interval(0.95) for one in found]
    return Series(name=name, x=blend.t, y=[one.value for one in found], low=[b.low for b in ends_],
                  high=[b.high for b in ends_])  # fmt: skip


def _score_curve(blend: Blend, x: Axis, shown: Mapping[str, Mixtures]) -> Curve:
    series = []
    for name, way in shown.items():
        assert way.scores is not None
        low, mid, high = torch.quantile(way.scores, torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64), dim=1)
        series.append(Series(name=name, x=blend.t, y=mid.tolist(), low=low.tolist(), high=high.tolist()))
    rules = [] if blend.threshold is None else [Rule(at=blend.threshold, label="threshold", orient="y")]
    title = "Scores along the way: median, and nine tenths of the pairs"
    return Curve(title=title, x=x, y=Axis(title="score"), series=series, rules=rules)


def _curve(title: str, x: Axis, y: str, t: list[float], lines: Mapping[str, Tensor], *, points: bool = False) -> Curve:
    series = [Series(name=name, x=t, y=values.tolist()) for name, values in lines.items()]
    return Curve(title=title, x=x, y=Axis(title=y), series=series, points=points)


def _table(t: list[float], columns: Mapping[str, Tensor]) -> Table:
    rows: list[list[str | int | float | None]] = [
        [share, *(float(values[place]) for values in columns.values())] for place, share in enumerate(t)
    ]
    names = [name if name.startswith("AUC") else f"FD, {name}" for name in columns]
    return Table(title="Along the way to reals", columns=["t", *names], rows=rows)
