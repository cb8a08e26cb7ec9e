"""Train reals, unseen reals and generated samples in one protocol: every statistic of memorising for three sets.

The generated samples; unseen reals in their place, which is the null; and train reals drawn again as if they had been
generated, which is what a generator that only copies would show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.spec import NotAssessable
from ganaudit.evidence.view import View
from ganaudit.numerics.copying import CopyingTest, Toward, cell_centres, copy_threshold, copying_test, toward
from ganaudit.numerics.detection import Auc, auc
from ganaudit.numerics.intervals import Bounds, clopper_pearson
from ganaudit.numerics.mixture_gap import mixture_gap
from ganaudit.numerics.nearest import nearest
from ganaudit.numerics.neighbour_inference import half_scatter
from ganaudit.numerics.neighbours import radii

__all__ = ["COLUMNS", "Column", "Estimate", "Held", "Limits", "Memorised", "held_reals", "memorised"]

COLUMNS = ("generated", "held-out", "copycat")
_LEAST = 10  # samples of a side: fewer have no rank worth a number
_HALVINGS, _OF_HALF = 50, 200


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, its interval at 95 % where it has one, and the samples that it stands for."""

    value: float | None
    bounds: Bounds | None
    n: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is looked at, and what counts as a copy."""

    copies: float
    """Share of unseen reals that count as copies: it sets the threshold."""
    neighbours: int
    cells: int
    most: int
    """Samples of a set at most."""
    most_train: int
    most_for_gap: int


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Unseen reals, parted by chance: those compared with, and those that stand in for generated samples."""

    compared: Tensor
    """Row numbers among all unseen reals, calibration before test, (P,) int64."""
    stand_in: Tensor
    """(n,) int64."""
    splits: tuple[str, ...]

    def rows(self, view: View, kind: str) -> tuple[Tensor, Tensor]:
        """Return the rows of a kind of evidence, of both parts."""
        joined = torch.cat([view[f"{kind}/{split}"] for split in self.splits])
        return joined[self.compared.to(joined.device)], joined[self.stand_in.to(joined.device)]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """What one set shows when it is taken for the generated one."""

    toward: Toward
    copying: CopyingTest
    estimates: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, eq=False)
class Memorised:
    """The three columns and what they share."""

    columns: Mapping[str, Column]
    threshold: float | None
    """Ratio at or below which a sample counts as a copy; None where unseen reals are too few."""
    train_rows: Tensor
    """Numbers of the train reals looked at, by which ``Toward.nearest`` is to be read."""
    fake_rows: Tensor
    """Numbers of the generated samples, in the order of the first column."""
    compared: Tensor
    """Ratios of the unseen reals compared with, (P,) float64."""
    n_train: int
    n_held: int
    shift: Auc
    """P(train real nearer to unseen stand-ins than other unseen reals are): 1/2 where both kinds are of one law."""


def held_reals(view: View, n_fake: int, most: int, rng: np.random.Generator) -> Held:
    """Return the unseen reals of calibration and test, parted; raises NotAssessable where they are too few.

    Half of them at most, and no more than there are generated samples, stand in for generated ones.
    """
    named = [split for split in ("calibration", "test") if view.missing(f"features/{split}") is None]
    splits = tuple(split for split in named if not view.trained_on(split))
    count = sum(len(view[f"features/{split}"]) for split in splits)
    if count < 2 * _LEAST or n_fake < _LEAST:
        seen = "".join(f"; the subject was trained on the {split} reals" for split in named if split not in splits)
        raise NotAssessable(
            f"needs at least {2 * _LEAST} unseen reals, half of them to stand in for generated samples, and {_LEAST} "
            f"generated samples; there are {count} unseen reals and {n_fake} generated samples{seen}"
        )
    n = min(n_fake, count // 2, most)
    order = torch.from_numpy(rng.permutation(count))
    return Held(order[n : n + most].sort().values, order[:n].sort().values, splits)


def memorised(view: View, held: Held, limits: Limits, rng: np.random.Generator) -> Memorised:
    """Return every statistic for the generated samples, for unseen reals in their place and for a copycat.

    Raises NotAssessable where train reals are too few.
    """
    all_train, all_fake = view["features/train"], view["features/fake"]
    if len(all_train) < _LEAST:
        raise NotAssessable(f"needs at least {_LEAST} train reals; there are {len(all_train)}")
    train_rows = _drawn(len(all_train), limits.most_train, rng)
    fake_rows = _drawn(len(all_fake), limits.most, rng)
    train, fake = all_train[train_rows], all_fake[fake_rows]
    compared, stand_in = held.rows(view, "features")
    n = len(stand_in)
    copied = train[torch.from_numpy(rng.integers(0, len(train), n))]
    protocol = _Protocol.of(view, train, compared, limits, rng)
    sets = {"generated": (fake, fake[_drawn(len(fake), n, rng)]), "held-out": (stand_in, stand_in)}
    sets["copycat"] = (copied, copied)
    columns = {name: protocol.column(*sets[name], rng, name != "copycat") for name in COLUMNS}
    return Memorised(
        columns,
        protocol.threshold,
        train_rows,
        fake_rows,
        protocol.compared.ratio,
        len(train),
        len(compared),
        protocol.reached(stand_in),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Protocol:
    """What all columns are held against."""

    view: View
    limits: Limits
    train: Tensor
    members: Tensor
    """Train reals whose membership is asked."""
    held: Tensor
    spacing: Tensor
    """Of each train real to its nearest other."""
    centres: Tensor
    compared: Toward
    """The unseen reals compared with."""
    held_cells: Tensor
    threshold: float | None

    @classmethod
    def of(cls, view: View, train: Tensor, held: Tensor, limits: Limits, rng: np.random.Generator) -> _Protocol:
        spacing = radii(train, 1, world=view.world)
        centres = cell_centres(train, limits.cells, rng).to(train.device)
        compared = toward(held, train, spacing, limits.neighbours, world=view.world)
        threshold = copy_threshold(compared.ratio, limits.copies)
        cells = _cells(held, centres)
        members = train[_drawn(len(train), limits.most, rng)]
        return cls(view, limits, train, members, held, spacing, centres, compared, cells, threshold)

    def column(self, every: Tensor, fake: Tensor, rng: np.random.Generator, with_bounds: bool) -> Column:
        """Return what ``fake`` (n, D) shows; shares of single samples are taken of ``every`` (N, D), which holds it."""
        found = toward(every, self.train, self.spacing, self.limits.neighbours, world=self.view.world)
        same = len(every) == len(fake)
        some = found if same else toward(
            fake, self.train, self.spacing, self.limits.neighbours, world=self.view.world
        )  # fmt: skip
        copying = copying_test(some.distance, self.compared.distance, _cells(fake, self.centres), self.held_cells)
        near, n = auc(self.compared.distance, some.distance), len(fake)
        reached = self.reached(fake)
        close = None if self.threshold is None else found.ratio <= self.threshold
        estimates = {
            "ct": Estimate(copying.value, copying.bounds, n),
            "authenticity": _share(found.is_authentic),
            "copy-rate": Estimate(None, None, len(every)) if close is None else _share(close),
            "exact-copy-rate": _share(found.distance == 0),
            "distance-auc": Estimate(near.value, near.interval(0.95), n),
            "identifiability": self._identified(fake, rng, with_bounds),
            "reconstruction-auc": Estimate(reached.value, reached.interval(0.95), n),
            "likelihood-gap": self._gap(fake, rng),
        }
        return Column(found, copying, estimates)

    def reached(self, fake: Tensor) -> Auc:
        """Return P(a train real is nearer to ``fake`` than an unseen real is)."""
        sides = [-nearest(side, fake, world=self.view.world).distances[:, 0] for side in (self.members, self.held)]
        return auc(sides[0], sides[1])

    def _identified(self, fake: Tensor, rng: np.random.Generator, with_bounds: bool) -> Estimate:
        """Return the share of train reals that are nearer to ``fake`` than to another train real, ties half."""
        reach = nearest(self.train, fake, world=self.view.world).distances[:, 0]
        wins = 2 * int((reach < self.spacing).sum()) + int((reach == self.spacing).sum())
        value = wins / (2 * len(reach))
        bounds = None
        if with_bounds:
            scatter = half_scatter(self.train, fake, 1, "<", rng, _HALVINGS, _OF_HALF)
            sizes = {"real": len(self.train), "fake": len(fake)}
            # The nearest other sample of a train real is a train real just where it is not identified.
            other = scatter.interval("accuracy-real", 1 - value, sizes, 0.95)
            bounds = None if other is None else Bounds(1 - other.high, 1 - other.low)
        return Estimate(value, bounds, len(fake))

    def _gap(self, fake: Tensor, rng: np.random.Generator) -> Estimate:
        most = self.limits.most_for_gap
        fakes, train, held = (side[_drawn(len(side), most, rng)] for side in (fake, self.train, self.held))
        found = mixture_gap(fakes, train, held)
        return Estimate(None if found is None else found.value, None if found is None else found.bounds, len(fakes))


def _cells(x: Tensor, centres: Tensor) -> Tensor:
    return nearest(x.double(), centres).numbers[:, 0]


def _share(members: Tensor) -> Estimate:
    count, n = int(members.sum()), len(members)
    return Estimate(count / n, clopper_pearson(count, n, 0.95), n)


def _drawn(n: int, most: int, rng: np.random.Generator) -> Tensor:
    """Return at most ``most`` of 0..n, rising; drawn, since files are often sorted."""
    return torch.arange(n) if n <= most else torch.from_numpy(np.sort(rng.permutation(n)[:most]))
