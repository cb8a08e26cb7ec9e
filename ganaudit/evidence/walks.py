"""Numbers and charts of paths through a generator's latents: path length, evenness of the steps, holes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Axis, Curve, Detail, Note, Null, Series, Table
from ganaudit.document.spec import Exhibit
from ganaudit.evidence.blends import FRAMES, Blend, middle
from ganaudit.evidence.holes import hole_reading, hole_table, judge_of
from ganaudit.evidence.latent_paths import IN_W, LatentPaths, Walks, even_steps, latent_paths
from ganaudit.evidence.score_sides import Reading, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.interpolation import fractions
from ganaudit.numerics.path_length import PathLength, path_length, plateau, squared_distances

__all__ = ["Walked", "walked"]

_TOLERANCE = 0.1
_METHOD = "Student, cut at 0"
_LENGTHS = ("path-length", "path-length-w")
_HOLES = ("holes", "holes-lerp")
_SHOWN, _LOWEST = 4, 2
_SWEEP = (100.0, 10.0, 1.0, 0.1)
_NO_LATENT = "a path through the latent has no counterpart among reals, which have no latent"
_DRAWN = "the drawing of latents{}; not the training of the generator"


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """What paths show: readings by key, details, and what to be warned of."""

    readings: dict[str, Reading]
    details: list[Detail]
    warnings: list[str]
    strips: Exhibit | None
    """The first paths, and those with the lowest scores between their ends."""
    poor: str = ""
    """What a poor sample on a path does, in words; empty where no sample is called poor."""


def walked(view: View, blend: Blend, *, paths: int, distance: str, eps: float, rng: np.random.Generator) -> Walked:
    """Return path-length, smoothness and both holes over ``paths`` paths, or in each the reason why there is none."""
    made = latent_paths(view, int(rng.integers(2**31)), paths)
    if isinstance(made, str):
        lacks = dict.fromkeys((*_LENGTHS, "smoothness", *_HOLES), Reading(None, {"fake": paths}, reason=made))
        return Walked(lacks, [], [], None)
    latent = view.subject.latent
    assert latent is not None
    path = "slerp" if latent.law == "normal" else "lerp"
    t = torch.from_numpy(rng.random(len(made)))
    length, details, warnings = _lengths(made, path, t, distance, eps, blend)
    walks, fine = made.walked(path, blend.t, judge=blend.unjudged is None)
    judge = judge_of(view, blend.unjudged, len(blend.t) - 2, _seen(blend))
    scores = _scores(made, path, walks, blend)
    readings = length | {"smoothness": _smoothness(walks, blend)}
    readings |= {
        key: hole_reading(scores.get(way), judge, len(walks.steps))
        for key, way in zip(_HOLES, (path, "lerp"), strict=True)
    }
    details += hole_table(scores, judge)
    if walks.scores is not None and walks.scores.shape[1]:
        details.append(_score_curve(walks.scores, blend, path))
    lost = len(made.failed) + int((~fine).sum())
    if lost:
        told = f", the first of them path {made.failed[0]}" if made.failed else ""
        warnings.append(f"the generator fails on {lost} of {paths} paths between latents of seed {made.seed}{told}; "
                        "the others are used")  # fmt: skip
    strips = _strips(made, path, torch.nonzero(fine)[:, 0], walks.scores)
    return Walked(readings, details, warnings, strips, judge.words)


def _lengths(
    paths: LatentPaths, path: str, t: Tensor, distance: str, eps: float, blend: Blend
) -> tuple[dict[str, Reading], list[Detail], list[str]]:
    sizes = {"fake": len(paths)}
    if 2 * paths.quantised > len(paths):
        which = "" if paths.quantised == len(paths) else f"{paths.quantised} of "
        reason = (
            f"{which}{len(paths)} generated samples lie on 256 levels with every value: a step of {eps:g} moves a "
            "value by 0 or by a whole level, and the quotient depends on the step; give the generator without its "
            "rounding"
        )
        lacks = Reading(None, sizes, reason=reason)
        return dict.fromkeys(_LENGTHS, lacks), [], [f"no path length: {reason}"]
    steps = [eps * factor for factor in _SWEEP]
    found, fine = paths.distances(path, t, steps, distance)
    if int(fine.sum()) < 2:
        reason = f"the generator fails on {int((~fine).sum())} of {len(paths)} paths; 2 are needed"
        return dict.fromkeys(_LENGTHS, Reading(None, sizes, reason=reason)), [], []
    sweep = {step: path_length(distances[fine], step) for step, distances in zip(steps, found, strict=True)}
    own = sweep[eps]
    assert own.bounds is not None
    flat = plateau({step: one.value for step, one in sweep.items()}, eps, _TOLERANCE)
    known = {f"{path}, t even on 0..1": own}
    details: list[Detail] = [
        _sweep_curve(sweep, distance),
        _length_table(paths, known, t, distance, eps, blend, path),
        Note(text=_told(sweep, flat, eps, paths)),
    ]
    covers = _DRAWN.format(" and of the point on the path")
    reading = Reading(own.value, {"fake": own.n}, interval_of(own.bounds, _METHOD, covers), _NO_LATENT)
    some = paths.quantised
    warnings = [] if not some else [
        f"{some} of {len(paths)} generated samples lie on 256 levels with every value: if they are rounded, the path "
        "length hangs on the step; blank ones may be"
    ]  # fmt: skip
    warnings += [] if len(flat) > 1 or own.value == 0 else [
        f"the path length has no plateau: steps ten times as long and as short as {eps:g} both change it by more than "
        f"{_TOLERANCE:.0%}; too short a step shows rounding, too long a one cuts corners"
    ]  # fmt: skip
    return (
        {"path-length": reading, "path-length-w": _in_w(paths, known.get(f"{IN_W}, t even on 0..1"))},
        details,
        warnings,
    )


def _in_w(paths: LatentPaths, own: PathLength | None) -> Reading:
    sizes = {"fake": len(paths)}
    if own is None or own.bounds is None:
        why = paths.space if isinstance(paths.space, str) else "fewer than 2 paths are made whole"
        return Reading(None, sizes, reason=f"{why} ({len(paths)} paths)")
    covers = _DRAWN.format(" and of the point on the path")
    return Reading(own.value, {"fake": own.n}, interval_of(own.bounds, _METHOD, covers), _NO_LATENT)


def _scores(made: LatentPaths, path: str, walks: Walks, blend: Blend) -> dict[str, Tensor]:
    """Return the scores (T, N) by path: of the one that was walked, and of the chord."""
    if walks.scores is None:
        return {}
    # A hole off the shell where normal latents lie is on no arc, but on the chord through the middle.
    chord = walks.scores if path == "lerp" else made.scored("lerp", blend.t)
    return {path: walks.scores, "lerp": chord}


def _seen(blend: Blend) -> dict[str, Tensor]:
    """Return scores of what a judge of holes has to know as poor: noise, or the generated samples where they are."""
    if blend.noise.scores is None or blend.fake.scores is None:
        return {}
    return {"noise": blend.noise.scores[0], "generated samples": blend.fake.scores[0]}


def _smoothness(walks: Walks, blend: Blend) -> Reading:
    found = even_steps(walks)
    if not len(found):
        n = len(walks.steps)
        return Reading(None, {"fake": max(n, 1)}, reason=f"0 of {n} paths move in features: there are no steps")
    own = middle(found, {"fake": len(found)}, _DRAWN.format(""))
    faded = (blend.real.features[1:] - blend.real.features[:-1]).double().norm(dim=2).T
    null = even_steps(Walks(faded, None))
    if not len(null):
        return replace(own, null=f"0 of {len(faded)} pairs of reals differ in features")
    kept = middle(null, {"real": len(null)}, "")
    ends = kept.interval if not isinstance(kept.interval, str) else None
    assert kept.value is not None
    low, high = (None, None) if ends is None else (ends.low, ends.high)
    rule = f"{len(null)} pairs of reals faded into each other, value by value, at the same fractions"
    return replace(own, null=Null(value=kept.value, low=low, high=high, n=len(null), of="reals faded", rule=rule))


def _length_table(
    paths: LatentPaths, known: dict[str, PathLength], t: Tensor, distance: str, eps: float, blend: Blend, path: str
) -> Table:
    """Return every convention of the path length beside the one measured, in its unit and in that of reals."""
    starts = torch.zeros_like(t)
    in_w = () if isinstance(paths.space, str) else ((IN_W, t, "t even on 0..1"), (IN_W, starts, "t = 0"))
    for name, at, where in (("slerp", t, "t even on 0..1"), ("slerp", starts, "t = 0"), ("lerp", t, "t even on 0..1"),
                            ("lerp", starts, "t = 0"), *in_w):  # fmt: skip
        told = f"{name}, {where}"
        if told not in known:
            found, fine = paths.distances(name, at, [eps], distance)
            if int(fine.sum()) > 1:
                known[told] = path_length(found[0][fine], eps)
    unit = None
    if distance == "features":
        unit = float(squared_distances(blend.real.features[0], blend.real.features[-1]).mean())
    rows: list[list[str | int | float | None]] = [
        [name, one.n, one.value, one.bounds.low if one.bounds else None, one.bounds.high if one.bounds else None,
         one.trimmed, one.value / unit if unit else None]
        for name, one in sorted(known.items(), key=lambda item: not item[0].startswith(f"{path}, t even"))
    ]  # fmt: skip
    columns = ["path", "n", "path length", "low", "high", "between percentiles 1 and 99", "over that of two reals"]
    return Table(title=f"Path length by convention, step {eps:g}, distance by {distance}", columns=columns, rows=rows)


def _sweep_curve(sweep: dict[float, PathLength], distance: str) -> Curve:
    steps = sorted(sweep)
    bounds = [sweep[step].bounds for step in steps]
    line = Series(
        name=f"distance by {distance}",
        x=steps,
        y=[sweep[step].value for step in steps],
        low=[b.low if b else 0.0 for b in bounds],
        high=[b.high if b else 0.0 for b in bounds],
    )
    return Curve(title="Path length over the step", x=Axis(title="step eps", log=True), y=Axis(title="path length"),
                 series=[line], points=True)  # fmt: skip


def _strips(paths: LatentPaths, path: str, numbers: Tensor, scores: Tensor | None) -> Exhibit | None:
    if not len(numbers):
        return None
    shown = {int(number): "" for number in numbers[:_SHOWN]}
    if scores is not None:
        least = scores[1:-1].amin(0)
        for place in least.argsort(stable=True)[:_LOWEST].tolist():
            shown[int(numbers[place])] = f", lowest score {float(least[place]):.3g}"
    rows = torch.tensor(list(shown))
    t = fractions(FRAMES)
    frames = torch.stack([paths.samples(path, share, rows)[0] for share in t], 1)
    lowest = "" if scores is None else f", and the {_LOWEST} with the lowest score between their ends"
    return Exhibit(
        title=f"Latent paths ({path}), one to a row",
        rule=f"the first {min(_SHOWN, len(numbers))} of {len(numbers)} paths between new latents of seed {paths.seed}"
        f"{lowest}; {FRAMES} points at equal distance on each",
        side="fake",
        indices=range(len(shown) * FRAMES),
        captions=[f"path {number}, t = {share:.2f}{told}" for number, told in shown.items() for share in t],
        samples=frames.flatten(0, 1),
    )


def _told(sweep: dict[float, PathLength], flat: list[float], eps: float, paths: LatentPaths) -> str:
    own = sweep[eps]
    told_of_w = (
        f"There is {paths.space}." if isinstance(paths.space, str) else
        "In w, which the mapping network makes of z, paths are chords; lengths there and in z do not compare."
    )  # fmt: skip
    over = f"from {flat[0]:g} to {flat[-1]:g}" if len(flat) > 1 else f"at {eps:g} alone"
    return (
        f"The path length keeps within {_TOLERANCE:.0%} of its value over steps {over}. It is the mean of all {own.n} "
        f"paths; peers leave out what lies beyond the percentiles 1 and 99, which gives {own.trimmed:.4g}. Other paths "
        "and ends give other numbers, in the table; the last column is in units of the mean squared distance of two "
        f"reals. Samples are taken as float, never as 8-bit levels. {told_of_w}"
    )


def _score_curve(scores: Tensor, blend: Blend, path: str) -> Curve:
    shares = torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
    low, mid, high = torch.quantile(scores, shares, dim=1)
    line = Series(name="latent paths", x=blend.t, y=mid.tolist(), low=low.tolist(), high=high.tolist())
    title = f"Scores along latent paths ({path}): median, and nine tenths of {scores.shape[1]} paths"
    return Curve(title=title, x=Axis(title="share of the way"), y=Axis(title="score"), series=[line])
