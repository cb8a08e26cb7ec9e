"""Ways to part test reals and generated samples into groups: by class, by a measure of quality, by realism."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganaudit.evidence.judging import portions
from ganaudit.evidence.view import View
from ganaudit.numerics.neighbours import neighbourhood
from ganaudit.numerics.quality import contrast, flatness, level, sharpness

__all__ = ["Grouping", "by_class", "by_quality", "by_realism"]

_OF_EACH = 20  # reals in a group of a measure: fewer show no rate of a few per cent
_Measure = Callable[[Tensor, float, float], Tensor]
_IMAGES: dict[str, _Measure] = {"sharpness": sharpness, "contrast": contrast}
_WAVEFORMS: dict[str, _Measure] = {"flatness": flatness, "loudness in dB": level}
"""The first of each is the one that gaps are measured by."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which samples belong to which group; group numbers are 0 or more, -1 is no group."""

    key: Literal["class", "quality", "other"]
    """quality: the one that gaps are measured by."""
    title: str
    real_rows: Tensor
    """Numbers of the test reals that are grouped, (N,) int64."""
    real_groups: Tensor
    fake_rows: Tensor
    fake_groups: Tensor
    edges: tuple[float, ...] | None = None
    """Of a measure: inner edges of its groups, rising."""
    names: tuple[str, ...] = ()

    @property
    def splits_fakes(self) -> bool:
        """Whether generated samples have groups too."""
        return bool((self.fake_groups >= 0).all())

    def name(self, group: int) -> str:
        """Return a group in words."""
        if self.edges is None:
            return self.names[group] if group < len(self.names) else str(group)
        if group == 0:
            return f"1: below {self.edges[0]:.4g}" if self.edges else "1: all"
        low = f"{group + 1}: {self.edges[group - 1]:.4g}"
        return f"{low} to {self.edges[group]:.4g}" if group < len(self.edges) else f"{low} and more"


def by_class(view: View, n_real: int, n_fake: int) -> Grouping | str:
    """Return the classes of test reals, and of generated samples where they have any; or why there are none."""
    if view.against != "test":
        return f"labels are those of the {view.against} reals, scores those of the test reals"
    reason = view.missing("labels/real")
    if reason is not None:
        return reason
    real = view["labels/real"]
    rows = torch.nonzero(real >= 0)[:, 0]
    if not len(rows):
        return f"all {n_real} test reals are without a label"
    fake = view["labels/fake"] if view.missing("labels/fake") is None else torch.full((n_fake,), -1)
    return Grouping("class", "class", rows, real[rows].long(), torch.arange(n_fake), fake.long(), names=view.classes)


def by_quality(view: View, rows: dict[str, list[int]], bins: int) -> list[Grouping]:
    """Return groups of ``rows`` of test reals and generated samples by each measure of a single sample's quality."""
    measured = {side: _measured(view, side, rows[side]) for side in ("test", "fake")}
    found = []
    for position, name in enumerate(measured["test"]):
        key: Literal["quality", "other"] = "other" if position else "quality"
        made = _by_measure(key, name, rows, measured["test"][name], measured["fake"][name], bins)
        found += [] if made is None else [made]
    return found


def by_realism(view: View, rows: dict[str, list[int]], bins: int, k: int, rng: np.random.Generator) -> Grouping | str:
    """Return groups by realism: how well a sample lies within the balls of other reals; or why there are none.

    The other reals are those that stand in for generated samples in nulls. Test reals and generated samples are held
    against the same balls, so that one measure orders both.
    """
    if view.against != "test":
        return f"features are those of the {view.against} reals, scores those of the test reals"
    for side in ("real", "fake", "null-real", "null-fake"):
        reason = view.missing(f"features/{side}")
        if reason is not None:
            return reason
    real, fake, others = view["features/real"], view["features/fake"], view["features/null-fake"]
    if len(view["features/null-real"]) < len(real):
        return "there are no further reals to hold test reals against: there is no second set"
    most = max(len(part) for part in rows.values())
    if len(others) > most:
        others = others[torch.from_numpy(np.sort(rng.permutation(len(others))[:most]))]
    sides = [real[torch.tensor(rows["test"])], fake[torch.tensor(rows["fake"])]]
    if min(len(others), *(len(side) for side in sides)) <= k:
        return f"{k} neighbours need {k + 1} samples of each side"
    largest = torch.finfo(torch.float64).max
    measured = [
        neighbourhood(others, side, k, world=view.world).realism.cpu().nan_to_num(posinf=largest) for side in sides
    ]
    made = _by_measure("other", "realism", rows, measured[0], measured[1], bins)
    return made or f"{2 * _OF_EACH} test reals that differ in it are needed; there are {len(sides[0])}"


def _measured(view: View, side: str, rows: Sequence[int]) -> dict[str, Tensor]:
    sample = view.subject.sample
    found: dict[str, list[Tensor]] = {}
    for x, _ in portions(view, side, list(rows)):
        for name, measure in (_WAVEFORMS if x.ndim == 3 else _IMAGES).items():
            found.setdefault(name, []).append(measure(x, sample.low, sample.high))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _by_measure(
    key: Literal["quality", "other"], name: str, rows: dict[str, list[int]], real: Tensor, fake: Tensor, bins: int
) -> Grouping | None:
    bins = min(bins, len(real) // _OF_EACH)
    if bins < 2:
        return None
    # Edges at equal mass of the reals; equal measures share a group.
    cuts = torch.arange(1, bins) * len(real) // bins
    edges = torch.unique(real.sort().values[cuts])
    edges = edges[edges > real.min()]
    if not len(edges):
        return None
    of_real, of_fake = (torch.searchsorted(edges, side.contiguous(), right=True) for side in (real, fake))
    numbers = torch.tensor(rows["test"]), torch.tensor(rows["fake"])
    return Grouping(key, name, numbers[0], of_real, numbers[1], of_fake, tuple(edges.tolist()))
