"""Attacks on the generator: how small a step turns a verdict, its worst samples, and what it should not reach."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.accused import has_gradients
from ganaudit.attacks.drawn import Drawn, drawn, generation
from ganaudit.attacks.jacobian import conditioning, singular_values
from ganaudit.attacks.latent import reach, reach_gap, shell, smallest_step, worst_quality
from ganaudit.document.model import (
    Axis,
    Detail,
    Histogram,
    HistogramSeries,
    Interval,
    Measurement,
    Note,
    Null,
    Table,
)
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.judging import chosen
from ganaudit.evidence.score_sides import Reading, interval_of
from ganaudit.evidence.view import View
from ganaudit.numerics.arguments import proportion, whole
from ganaudit.numerics.detection import auc, calibration_size_needed, conformal_threshold
from ganaudit.numerics.intervals import quantile_bounds, student
from ganaudit.numerics.memory import Room, is_out_of_memory
from ganaudit.subjects.subject import Subject

__all__ = ["LatentRobustness"]

_CLASSES = 10
_PORTION = 256
_FOLDED, _FOLDS = 65536, 4096
_DRAWN = "the drawing of latents; searches give upper bounds"
_LARGE = torch.finfo(torch.float64).max


@dataclass(frozen=True, slots=True)
class LatentRobustness:
    """How far a latent must move before the verdict turns, how bad it gets, and how far the generator reaches."""

    samples: int = 64
    """New latents from which the smallest step is searched, and the worst sample."""
    steps: int = 40
    """Gradient steps of each search."""
    jacobians: int = 16
    """Latents at which the Jacobian is taken."""
    targets: int = 16
    """Test reals that the generator is asked to reach; as many outside, and others as the null."""
    starts: int = 2
    """Latents from which each target is searched."""
    fpr: float = 0.05
    """The share of reals that may be called generated; the threshold is chosen for it on calibration reals."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="latent-robustness",
        title="Robustness in the latent space",
        question="How small a step of the latent turns the verdict, and what can the generator be driven to make?",
        needs=("values/fake", "values/test", "scores/calibration", "scores/test"),
        minimum={"scores/test": 2, "scores/calibration": 2},
        measurements=(
            MeasurementSpec(
                key="median-latent-step",
                title="Median smallest latent step that turns the verdict",
                meaning="Half of all latents need no longer a step, over their typical length, to get another verdict.",
                unit="typical lengths of a latent",
                better="none",
                bounds=(0.0, None),
                estimator="lower median of the smallest steps found over sqrt(d), either verdict; upper bounds",
            ),
            MeasurementSpec(
                key="worst-quality-drop",
                title="Drop to the worst samples",
                meaning="How far below ordinary samples those score that a search over typical latents can find.",
                unit="interquartile ranges of real scores",
                better="lower",
                bounds=(0.0, None),
                estimator="median over starts of (score at the start - lowest found within the shell) / IQR of reals",
            ),
            MeasurementSpec(
                key="log-condition",
                title="Mean log condition number of the Jacobian",
                meaning="How unevenly the generator stretches its latent; 0 is even, 4.6 a factor of 10.",
                unit="natural logarithm",
                better="lower",
                bounds=(0.0, None),
                estimator="mean over latents of 2 ln(largest / smallest singular value); above 128 dimensions a part",
            ),
            MeasurementSpec(
                key="reach-auc",
                title="Reach within against outside the domain",
                meaning="Chance that an unseen real is reached more nearly than something outside; 0.5: no difference.",
                unit="probability",
                better="higher",
                bounds=(0.0, 1.0),
                estimator="Mann-Whitney of root mean square distances, the least found in the typical shell",
            ),
        ),
        misleads=(
            "Searches by gradients stop short: steps and distances are upper bounds, and a generator whose gradients "
            "are poor looks hard to move. A verdict that turns at a small step may mean samples near the threshold, no "
            "weak generator. What scores lowest is bad in the discriminator's eyes only. Outside targets that happen "
            "to be smooth or plain are reached more nearly than detailed reals."
        ),
        references=(
            "Pasquini et al., Adversarial Out-Domain Examples for Generative Models, 2019, arXiv:1903.02926",
            "Odena et al., Is Generator Conditioning Causally Related to GAN Performance?, 2018, arXiv:1802.08768",
            "Kos et al., Adversarial Examples for Generative Models, 2017, arXiv:1702.06832",
        ),
    )

    def __post_init__(self) -> None:
        for name in ("samples", "steps", "jacobians", "targets", "starts"):
            whole(getattr(self, name), name, 1)
        proportion(self.fpr, "fpr")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return the smallest steps, the worst samples, the conditioning and the reach, or why not."""
        subject, calibration = view.subject, view["scores/calibration"].double()
        if subject.generator is None or subject.latent is None:
            raise NotAssessable("the subject is a set of samples: there is no generator to search, at 0 latents")
        threshold = conformal_threshold(calibration, self.fpr)
        if threshold is None:
            raise NotAssessable(
                f"a false positive rate of {self.fpr:g} needs {calibration_size_needed(self.fpr)} calibration reals; "
                f"there are {len(calibration)}"
            )
        latents = drawn(subject, self.samples, threshold, rng)
        refused = self._refused(subject, latents)
        details: list[Detail] = [Note(text=_told(subject, threshold))]
        spread = float(calibration.quantile(0.75) - calibration.quantile(0.25))
        law = None if subject.latent.law == "normal" else (
            f"latents are uniform: steps and shells are those of a normal law in {latents.dimension} dimensions"
        )  # fmt: skip
        critic = None if all(one.critic.differentiable for one in latents.portions) else (
            f"the discriminator gives no gradients on 2 samples tried: no search on {self.samples} latents was made"
        )  # fmt: skip
        found = {
            "median-latent-step": self._or(
                refused or critic or law, lambda: self._steps(latents, subject.room, details)
            ),
            "worst-quality-drop": self._or(
                refused or critic or law, lambda: self._worst(latents, subject.room, spread, rng, details)
            ),
            "log-condition": self._or(refused, lambda: self._conditioning(subject, latents, rng, details)),
            "reach-auc": self._or(refused or law, lambda: self._reach(view, rng, details)),
        }
        measurements = [found[m.key].measured(self.spec, m.key) for m in self.spec.measurements]
        return Findings(measurements, details, _warnings(measurements))

    def _or(self, reason: str | None, measure: Callable[[], Reading]) -> Reading:
        if reason is None:
            try:
                return measure()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = f"memory ran out with 1 latent of {self.samples} at once: free some, or use a larger device"
        return Reading(None, {"fake": self.samples}, reason=reason)

    def _refused(self, subject: Subject, latents: Drawn) -> str | None:
        one = latents.portions[0]
        if has_gradients(lambda z: one.generate(z).flatten(1).sum(1), one.z[:2]):
            return None
        return f"the generator gives no gradients on 2 latents tried: no search on {self.samples} latents was made"

    def _steps(self, latents: Drawn, room: Room, details: list[Detail]) -> Reading:
        found = [
            smallest_step(one.generate, one.critic, one.z, steps=self.steps, room=room) for one in latents.portions
        ]
        relative = torch.cat([one.relative.cpu() for one in found])
        real = torch.cat([one.called_real.cpu() for one in found])
        details.append(_step_laws(relative, real))
        n, k = len(relative), (len(relative) + 1) // 2
        value = float(relative.sort().values[k - 1])
        lost = int((~torch.isfinite(relative)).sum())
        if not math.isfinite(value):
            return Reading(None, {"fake": n}, reason=f"for {lost} of {n} latents no step within twice their length "
                           "turned the verdict: no median")  # fmt: skip
        why = "a step of a latent has no counterpart among reals, which have no latent"
        return Reading(value, {"fake": n}, _around_median(relative, k), why)

    def _worst(
        self, latents: Drawn, room: Room, spread: float, rng: np.random.Generator, details: list[Detail]
    ) -> Reading:
        if not spread > 0:
            return Reading(
                None, {"fake": self.samples}, reason="calibration reals all score alike: 0 spread to tell by"
            )
        found = [
            worst_quality(one.generate, one.critic, latents.dimension, rng, starts=len(one.z), steps=self.steps,
                          device=one.z.device, room=room)
            for one in latents.first(32).portions
        ]  # fmt: skip
        before = torch.cat([one.start_scores.cpu() for one in found])
        after = torch.cat([one.scores.cpu() for one in found])
        rows: list[list[str | int | float | None]] = [
            [name, float(s.min()), float(s.quantile(0.5)), float(s.max())]
            for name, s in (("ordinary latents", before), ("lowest found from them", after))
        ]
        title = "Scores of ordinary samples and of the worst found within the shell"
        details.append(Table(title=title, columns=["latents", "least", "median", "most"], rows=rows))
        drop, n = (before - after) / spread, len(before)
        k = (n + 1) // 2
        why = "the search starts from ordinary latents, so that without one the drop is 0"
        return Reading(float(drop.sort().values[k - 1]), {"fake": n}, _around_median(drop, k), why)

    def _conditioning(
        self, subject: Subject, latents: Drawn, rng: np.random.Generator, details: list[Detail]
    ) -> Reading:
        sizes = {"fake": self.jacobians}
        if latents.dimension < 2:
            return Reading(None, sizes, reason="the latent has 1 dimension: there is nothing to be uneven")
        outputs = _FOLDS if math.prod(subject.sample.shape) > _FOLDED else None
        try:
            values = torch.cat([
                singular_values(one.generate, one.z, rng, outputs=outputs, room=subject.room).cpu()
                for one in latents.first(self.jacobians).portions
            ])  # fmt: skip
        except RuntimeError as error:
            if is_out_of_memory(error) or not _is_of_derivatives(error):
                raise
            told = str(error).splitlines()[0][:120]
            return Reading(
                None, sizes, reason=f"the generator has no second derivative at {self.jacobians} latents: {told}"
            )
        found = conditioning(values)
        details.append(Note(text=(
            f"Jacobian at {len(values)} latents, {values.shape[1]} directions each: at {found.collapsed} of them a "
            "direction changes nothing that float32 could show; these are left out of the mean."
        )))  # fmt: skip
        if found.mean is None:
            return Reading(
                None, sizes, reason=f"at all {len(values)} latents a direction changes nothing: no condition"
            )
        logs = 2 * (values[:, 0] / values[:, -1].clamp(min=1e-300)).log()
        kept = logs.sort().values[: found.n]  # the collapsed ones are the largest
        own = interval_of(student(kept, 0.95), "Student", "the drawing of latents") if found.n > 1 else "1 latent alone"
        return Reading(found.mean, {"fake": found.n}, own, "a property of the generator; reals have no Jacobian")

    def _reach(self, view: View, rng: np.random.Generator, details: list[Detail]) -> Reading:
        subject = view.subject
        assert subject.latent is not None
        classes, told = _classes(subject, rng)
        rows = _targets(view, classes, 3 * self.targets, rng)
        details += [Note(text=told)] if told else []
        third = len(rows) // 3
        if not third:
            return Reading(None, {"real": len(rows)}, reason=f"needs 3 test reals or more; there are {len(rows)}")
        x = view.values("test", [rows[int(i)] for i in rng.permutation(len(rows))])[0].to(subject.device)
        near, other, far = x[:third], x[third : 2 * third], x[2 * third :]
        sets = {"test reals": near, "other test reals": other, **_outside(far, subject, rng)}
        seed = int(rng.integers(2**63))
        labels: list[int | None] = [*classes] or [None]
        distances = {
            name: torch.stack([
                reach(generation(subject, label), targets, subject.latent.size, np.random.default_rng(seed),
                      starts=self.starts if len(labels) == 1 else 1, steps=self.steps,
                      room=subject.room).distances.cpu()
                for label in labels
            ]).amin(0)
            for name, targets in sets.items()
        }  # fmt: skip
        span = subject.sample.high - subject.sample.low
        inside, others, *rest = distances.values()
        details.append(_reach_table(distances, span))
        outside = torch.cat(rest)
        # The area counts pairs in which the first is larger: outside is where the distance should be.
        area, null = auc(outside, inside), auc(others, inside)
        ends, kept = area.interval(0.95), null.interval(0.95)
        return Reading(
            area.value,
            {"real": len(inside), "outside": len(outside)},
            interval_of(ends, "DeLong, logit scale", "the drawing of test reals and of targets; not further search"),
            Null(value=null.value, low=kept.low, high=kept.high, n=len(others),
                 rule=f"{len(others)} other test reals in place of the targets outside"),
        )  # fmt: skip


def _is_of_derivatives(error: RuntimeError) -> bool:
    """Return whether torch says that an operator cannot be differentiated twice; it has no class of error for it."""
    words = ("derivative", "differentiate", "double backward", "does not require grad")
    return isinstance(error, NotImplementedError) or any(word in str(error) for word in words)


def _around_median(values: Tensor, k: int) -> Interval | str:
    bounds = quantile_bounds(torch.where(torch.isfinite(values), values, _LARGE), k, 0.95)
    if not math.isfinite(bounds.low) or not bounds.high < _LARGE:
        return f"{len(values)} latents are too few for a bound on both sides"
    return interval_of(bounds, "order statistics (binomial)", _DRAWN)


def _outside(x: Tensor, subject: Subject, rng: np.random.Generator) -> dict[str, Tensor]:
    """Return targets made of test reals that no longer are any, a part each: inverted or reversed, values shuffled.

    No picture is turned upside down: a 0, an 8 or a ring then is what it was, and a 6 is a 9.
    """
    low, high = subject.sample.low, subject.sample.high
    order = torch.from_numpy(rng.permutation(x[0, 0].numel())).to(x.device)
    shuffled = x.flatten(2)[:, :, order].view_as(x)
    if x.ndim == 3:  # a waveform upside down sounds the same
        made = {"reversed in time": x.flip(2), "values shuffled over time": shuffled}
    else:
        made = {"values inverted": low + high - x, "values shuffled over places": shuffled}
    # Each real makes one target alone, so that the targets stay independent of each other.
    parts = {name: targets[i :: len(made)] for i, (name, targets) in enumerate(made.items())}
    return {name: targets for name, targets in parts.items() if len(targets)}


def _reach_table(distances: dict[str, Tensor], span: float) -> Table:
    inside = distances["test reals"]
    rows: list[list[str | int | float | None]] = []
    for name, found in distances.items():
        gap = reach_gap(inside, found)
        rows.append(
            [name, len(found), float(found.quantile(0.5)) / span, float(found.min()) / span, gap.ratio, gap.auc]
        )
    columns = ["targets", "n", "median distance (share of the range)", "least", "median over that of test reals", "AUC"]
    return Table(title="How nearly the generator comes to targets", columns=columns, rows=rows)


def _step_laws(relative: Tensor, real: Tensor) -> Histogram:
    edges = np.linspace(0, 2, 41)
    series = []
    for name, wanted in (("called generated at the start", ~real), ("called real at the start", real)):
        mine = relative[wanted & torch.isfinite(relative)].numpy()
        total = max(int(wanted.sum()), 1)
        series.append(HistogramSeries(name=name, shares=(np.histogram(mine, edges)[0] / total).tolist()))
    return Histogram(
        title="Smallest latent step that turns the verdict",
        x=Axis(title="length over the typical length of a latent; not found: left out"),
        edges=edges.tolist(),
        series=series,
    )


def _told(subject: Subject, threshold: float) -> str:
    assert subject.latent is not None
    text = f"Latents {subject.latent.describe()}, new ones; threshold {threshold:.6g}."
    if subject.latent.law == "normal":
        inner, outer = shell(subject.latent.size)
        text += f" The typical shell lies between the radii {inner:.3g} and {outer:.3g}."
    return text + " Samples found by a search are none of the audit's, and no gallery shows them."


def _classes(subject: Subject, rng: np.random.Generator) -> tuple[list[int], str]:
    """Return the classes that are searched, none where the generator takes none, and what is to be said of them."""
    every = list(range(subject.classes))
    if len(every) <= _CLASSES:
        return every, ""
    kept = sorted(int(c) for c in rng.permutation(len(every))[:_CLASSES])
    of = "targets are made of reals of these classes" if subject.judges_labels else (
        "targets are made of reals of any class, since none is told here, and reals may be reached too poorly"
    )  # fmt: skip
    return kept, (
        f"The generator takes a class, and each costs a search: reach is searched in {_CLASSES} of {len(every)} "
        f"classes, drawn at random ({', '.join(map(str, kept))}); {of}."
    )


def _targets(view: View, classes: list[int], most: int, rng: np.random.Generator) -> list[int]:
    """Return at most ``most`` test reals, of the classes searched where these are some of all and labels are told."""
    n = len(view["scores/test"])
    if not 0 < len(classes) < view.subject.classes or not view.subject.judges_labels:
        return chosen(view, "test", n, most, rng)
    rows: list[int] = []
    for start in range(0, n, _PORTION):
        part = list(range(start, min(start + _PORTION, n)))
        labels = view.values("test", part)[1]
        rows += part if labels is None else [i for i, c in zip(part, labels.tolist(), strict=True) if c in classes]
    return sorted(rows[int(i)] for i in rng.permutation(len(rows))[:most])


def _warnings(measurements: list[Measurement]) -> list[str]:
    found = {m.key: m for m in measurements}["reach-auc"]
    if found.value is not None and found.interval is not None and found.value < 0.6 and found.interval.low <= 0.5:
        return ["the generator reaches targets outside the domain as nearly as unseen reals, as far as this n can tell"]
    return []
