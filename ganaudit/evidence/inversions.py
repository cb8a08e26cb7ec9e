"""Reals moved into the latent: the latents whose samples come nearest to them, and the ways there from others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.errors import SubjectError
from ganaudit.document.model import Axis, Curve, Detail, Interval, Note, Null, Series, Table
from ganaudit.document.spec import Exhibit
from ganaudit.evidence.blends import FRAMES, middle
from ganaudit.evidence.judging import judged
from ganaudit.evidence.latent_paths import PATHS, generated
from ganaudit.evidence.score_sides import Reading
from ganaudit.evidence.view import View
from ganaudit.numerics.interpolation import fractions
from ganaudit.numerics.inversion import Inversion, inverted
from ganaudit.numerics.path_length import squared_distances
from ganaudit.subjects.subject import Subject

__all__ = ["Inverted", "inversions"]

_CANDIDATES = 16
"""Latents drawn for each target; descent starts from those that come nearest."""
_STARTS, _STEPS = 2, 80
_SHOWN = 4
_COVERS = "the drawing of the reals that are looked for; the search held fixed"


@dataclass(frozen=True, slots=True, eq=False)
class Inverted:
    """What looking for reals in the latent shows."""

    reading: Reading
    details: list[Detail]
    strips: Exhibit | None


@dataclass(frozen=True, slots=True, eq=False)
class _Targets:
    """Samples to be found, in the subject's range, and what one is far by."""

    x: Tensor
    features: Tensor | None
    """Of the audit's extractor where it has gradients."""
    labels: Tensor | None
    unit: tuple[float, float]
    """Mean squared distance of two reals, in values and in features."""


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """Ways through the latent to the latents found, at T fractions."""

    found: Inversion
    to_go: Tensor
    """(T,) mean squared distance in features to the target, over that of two reals; (0,) if no way is made whole."""
    scores: Tensor | None
    """(T, N)."""
    frames: Tensor


def inversions(view: View, count: int, t: list[float], rng: np.random.Generator, *, judge: bool) -> Inverted:
    """Return how near the generator comes to ``count`` reals, with the same of samples that it made, or why not.

    Squared distance in values and, where the extractor has gradients, in features, each over that of two reals, their
    mean made small by descent on the latent. Ways lead from latents drawn anew to those found, by the arc or chord of
    the law. With ``judge`` the discriminator scores the samples along them.
    """
    why = _refused(view, count)
    if why is not None:
        return Inverted(Reading(None, {"real": count}, reason=why), [], None)
    n = min(count, view.count("values/real") // 2)
    seeds = [int(seed) for seed in rng.integers(2**31, size=4)]
    real = _reals(view, n, rng)
    if isinstance(real, str):
        return Inverted(Reading(None, {"real": n}, reason=real), [], None)
    known = view.subject.latents(seeds[0], 0, n)
    made, fine = generated(view.subject, known, real.labels)
    lost = torch.nonzero(~fine)[:, 0].tolist()
    if not bool(fine.any()):
        why = f"the generator fails on all {n} latents of seed {seeds[0]} that the null is made from"
        return Inverted(Reading(None, {"real": n}, reason=why), [], None)
    own = _targets(view, made[fine], None if real.labels is None else real.labels[fine], real.unit)
    start = view.subject.latents(seeds[1], 0, n)
    ways = {
        name: _way(view, targets, _search(view, targets, seed), start, t, judge=judge)
        for name, targets, seed in (("reals", real, seeds[2]), ("generated", own, seeds[3]))
    }
    details = _details(ways, real, known[fine], t)
    if lost:
        details.append(Note(text=(
            f"The generator fails on {len(lost)} of {n} latents of seed {seeds[0]} that samples to look for are made "
            f"of, the first of them number {lost[0]}; the others are used."
        )))  # fmt: skip
    return Inverted(_reading(ways), details, _strips(real, ways["reals"]))


def _reals(view: View, n: int, rng: np.random.Generator) -> _Targets | str:
    """Return ``n`` reals, drawn, and the distance of as many others from them; or why they cannot be asked for."""
    rows = rng.permutation(view.count("values/real"))[: 2 * n]
    x, _ = view.values("real", rows.tolist())
    labels, classes = None, view.subject.classes
    if classes:
        labels = view["labels/real"][torch.from_numpy(rows[:n])].long()
        lost = int(((labels < 0) | (labels >= classes)).sum())
        if lost:
            return f"the generator is told one of {classes} classes; {lost} of {n} reals have another or none"
    return _targets(view, x[:n], labels, _unit(view, x[:n], x[n:]))


def _refused(view: View, count: int) -> str | None:
    subject = view.subject
    if subject.generator is None or subject.latent is None:
        return "the subject is a set of samples: there is no latent to find a real in, at 0 latents"
    if view.count("values/real") < 4:
        return f"needs 4 reals or more; there are {view.count('values/real')}"
    if subject.runtime:
        return (
            f"the generator is run by {subject.runtime}, without gradients, by which {count} reals would be looked for"
        )
    if subject.classes and view.missing("labels/real") is not None:
        return (
            f"the generator is told one of {subject.classes} classes, and that of the reals is not known: "
            f"{view.missing('labels/real')}"
        )
    z = subject.latent.draw(0, 0, 2).to(subject.device)
    labels = torch.zeros(2, dtype=torch.int64) if subject.classes else None
    try:
        _slope(subject, z, labels)
    except (RuntimeError, ValueError, SubjectError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0][:120]
        return f"the generator gives no gradients on 2 latents tried ({told}); {count} reals are not looked for"
    return None


def _slope(subject: Subject, z: Tensor, labels: Tensor | None) -> None:
    with torch.enable_grad():
        leaf = z.requires_grad_(True)
        torch.autograd.grad(_samples(subject, leaf, labels).sum(), leaf)


def _samples(subject: Subject, z: Tensor, labels: Tensor | None) -> Tensor:
    """Return the samples of ``z`` on the subject's device, differentiable, in blocks of the size a program takes."""
    assert subject.generator is not None
    block = subject.block or len(z)
    parts = []
    for begin in range(0, len(z), block):
        rows = torch.arange(begin, begin + block).clamp(max=len(z) - 1)
        given = z[rows][:, :, None, None] if subject.spatial_latent else z[rows]
        told = () if labels is None else (labels[rows].to(subject.device),)
        parts.append(subject.generator(given, *told).float())
    return torch.cat(parts)[: len(z)]


def _unit(view: View, x: Tensor, y: Tensor) -> tuple[float, float]:
    own = float(squared_distances(x, y).mean())
    inside = float(squared_distances(view.features_of(x, "none"), view.features_of(y, "none")).mean())
    return own or 1.0, inside or 1.0


def _targets(view: View, x: Tensor, labels: Tensor | None, unit: tuple[float, float]) -> _Targets:
    extract = view.differentiable
    with torch.no_grad():
        features = None if extract is None else extract(x.to(view.subject.device))
    return _Targets(x.to(view.subject.device), features, labels, unit)


def _search(view: View, targets: _Targets, seed: int) -> Inversion:
    subject, n = view.subject, len(targets.x)
    assert subject.latent is not None
    loss = _loss(view, targets)
    drawn = subject.latent.draw(seed, 0, n * _CANDIDATES).to(subject.device)
    rows = torch.arange(n, device=subject.device).repeat_interleave(_CANDIDATES)
    with torch.no_grad():
        portions = [loss(drawn[at : at + 64], rows[at : at + 64]) for at in range(0, len(drawn), 64)]
    far = torch.cat(portions).nan_to_num(nan=torch.inf).view(n, _CANDIDATES)
    nearest = far.argsort(stable=True, dim=1)[:, :_STARTS]
    starts = drawn.view(n, _CANDIDATES, -1)[torch.arange(n, device=subject.device)[:, None], nearest]
    return inverted(loss, starts, steps=_STEPS, law=subject.latent.law)


def _loss(view: View, targets: _Targets) -> Callable[[Tensor, Tensor], Tensor]:
    subject, extract = view.subject, view.differentiable

    def loss(z: Tensor, rows: Tensor) -> Tensor:
        x = _samples(subject, z, None if targets.labels is None else targets.labels[rows.cpu()])
        own = (x.double() - targets.x[rows].double()).flatten(1).square().sum(1) / targets.unit[0]
        if extract is None or targets.features is None:
            return own
        inside = (extract(x).double() - targets.features[rows].double()).square().sum(1) / targets.unit[1]
        return (own + inside) / 2

    return loss


def _way(view: View, targets: _Targets, found: Inversion, start: Tensor, t: list[float], *, judge: bool) -> _Way:
    subject = view.subject
    assert subject.latent is not None
    path = PATHS["slerp" if subject.latent.law == "normal" else "lerp"]
    end, goal = found.latents.cpu(), view.features_of(targets.x.cpu(), "none")
    start = start[: len(end)]
    to_go, scores, whole = [], [], torch.ones(len(end), dtype=torch.bool)
    for share in t:
        x, fine = generated(subject, path(start, end, share), targets.labels)
        whole &= fine
        to_go.append(squared_distances(view.features_of(x, "none"), goal) / targets.unit[1])
        if judge:
            scores.append(judged(subject, x, targets.labels))
    some = slice(0, _SHOWN)
    labels = None if targets.labels is None else targets.labels[some]
    frames = [generated(subject, path(start[some], end[some], s), labels)[0] for s in fractions(FRAMES - 1)]
    # What fails on the way has no sample there: only ways that are made whole are averaged.
    kept = torch.stack(to_go)[:, whole].mean(1) if bool(whole.any()) else torch.zeros(0)
    of_whole = torch.stack(scores)[:, whole] if judge and bool(whole.any()) else None
    return _Way(found, kept, of_whole, torch.stack(frames, 1))


def _reading(ways: dict[str, _Way]) -> Reading:
    n, m = (len(ways[name].found.errors) for name in ("reals", "generated"))
    own = middle(ways["reals"].found.errors.cpu(), {"real": n}, _COVERS)
    other = middle(ways["generated"].found.errors.cpu(), {"fake": m}, "")
    ends = other.interval if isinstance(other.interval, Interval) else None
    low, high = (None, None) if ends is None else (ends.low, ends.high)
    assert other.value is not None
    rule = f"{m} samples of the generator itself, whose latents are known to exist, looked for at the same effort"
    return replace(own, null=Null(value=other.value, low=low, high=high, n=m, rule=rule))


def _details(ways: dict[str, _Way], real: _Targets, known: Tensor, t: list[float]) -> list[Detail]:
    x, names = Axis(title="share of the way to the latent found"), {"reals": "to reals", "generated": "to generated"}
    lines = [Series(name=names[name], x=t, y=way.to_go.tolist()) for name, way in ways.items() if len(way.to_go)]
    details: list[Detail] = [
        Curve(title="Along the latent to samples found in it: squared distance in features left to go", x=x,
              y=Axis(title="over that of two reals"), series=lines)
    ] if lines else []  # fmt: skip
    if any(way.scores is not None for way in ways.values()):
        shares = torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
        series = []
        for name, way in ways.items():
            if way.scores is None:
                continue
            low, mid, high = torch.quantile(way.scores, shares, dim=1)
            series.append(Series(name=names[name], x=t, y=mid.tolist(), low=low.tolist(), high=high.tolist()))
        title = "Scores along the latent to samples found in it: median, and nine tenths"
        details.append(Curve(title=title, x=x, y=Axis(title="score"), series=series))
    rows = [[name, *_numbers(way.found)] for name, way in ways.items()]
    columns = ["looked for", "n", "median error", "greatest", "before descent", "of the worse start"]
    told = "values and features" if real.features is not None else "values alone: the extractor gives no gradients"
    title = f"Samples looked for in the latent: squared distance of {told}, over that of two reals"
    away = squared_distances(ways["generated"].found.latents.cpu(), known).sqrt().median()
    typical = squared_distances(known, known.roll(1, 0)).sqrt().median()
    details += [Table(title=title, columns=columns, rows=rows), Note(text=_told(float(away), float(typical)))]
    return details


def _numbers(found: Inversion) -> list[str | int | float | None]:
    ends = found.errors, found.at_start.amin(1), found.by_start.amax(1)
    n = len(found.errors)
    median, first, worse = (float(one.sort().values[(n + 1) // 2 - 1]) for one in ends)
    return [n, median, float(found.errors.max()), first, worse]


def _told(away: float, typical: float) -> str:
    return (
        f"From the nearest {_STARTS} of {_CANDIDATES} latents drawn for each, {_STEPS} steps of descent. The search "
        "may stop short, so an error is an upper bound, to be read beside that of samples the generator made itself. "
        f"The latents found for those lie {away:.3g} from the ones they were made of, where two latents are "
        f"{typical:.3g} apart: a small error does not say that the latent is the same. Ways through the latent hold "
        "no double exposures; so few of them have no Fréchet distance of their own."
    )


def _strips(real: _Targets, way: _Way) -> Exhibit:
    shown = min(_SHOWN, len(real.x))
    frames = torch.cat([way.frames[:shown], real.x[:shown, None].cpu()], 1)
    t = fractions(FRAMES - 1)
    names = [*(f"t = {share:.2f}" for share in t), "the real"]
    return Exhibit(
        title="Ways through the latent to reals looked for in it, one to a row",
        rule=f"{shown} of {len(real.x)} reals, drawn; from the sample of a latent drawn anew at the left to that "
        "of the latent found, and the real itself at the right",
        side="real",
        indices=range(shown * FRAMES),
        captions=[f"real {row}, {name}" for row in range(shown) for name in names],
        samples=frames.flatten(0, 1),
    )
