"""Tables and curves of coverage: shares by attribute and value, classes, bins, the truncation sweep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganaudit.document.model import Axis, Curve, Rule, Series, Table
from ganaudit.evidence.class_quality import ClassQuality
from ganaudit.evidence.standing_shares import Standing
from ganaudit.numerics.bins import BinTest
from ganaudit.numerics.class_shares import fairness_discrepancy, kl_divergence
from ganaudit.numerics.groups import holm
from ganaudit.numerics.intervals import clopper_pearson
from ganaudit.numerics.shrinkage import shrunken_rates

__all__ = ["attributes_table", "bins_table", "quality_table", "shares_table", "sweep_curve"]

_LISTED = 40
_Cell = str | int | float | None


def attributes_table(stands: Sequence[Standing]) -> Table:
    """Return every attribute's distances from the reals' shares and from uniform ones."""
    chances = [one.discrepancy_chance for one in stands]
    rows: list[list[_Cell]] = []
    for one, chance, p in zip(stands, chances, holm([chance.p_value for chance in chances]), strict=True):
        values, at, bounds = one.shares.values, one.target > 0, one.discrepancy_bounds
        ratio = values[at] / one.target[at]
        kl = kl_divergence(values, one.target)
        rows.append([
            one.reading.name, one.reading.source, len(values), one.shares.n, one.unread,
            one.discrepancy, bounds.low, bounds.high, chance.mean, p, None if np.isinf(kl) else kl,
            fairness_discrepancy(values), float(ratio.min()),
            one.reading.values[int(np.flatnonzero(at)[ratio.argmin()])],
        ])  # fmt: skip
    columns = [
        "attribute", "read by", "values", "generated", "not readable", "TV from reals", "low", "high",
        "by chance, mean", "p (Holm)", "KL from reals, nats", "L2 from uniform", "least share over reals'", "of",
    ]  # fmt: skip
    return Table(title="Attributes: how far their shares are from those of reals", columns=columns, rows=rows)


def shares_table(one: Standing, asked: np.ndarray | None) -> Table:
    """Return the shares of an attribute's values, those that differ most first, and those asked for where known."""
    bounds = one.shares.bounds(0.95)
    order = np.argsort(-np.abs(one.shares.values - one.target), kind="stable")[:_LISTED]
    rows: list[list[_Cell]] = []
    for j in order:
        share, target = float(one.shares.values[j]), float(one.target[j])
        told = [] if asked is None else [float(asked[j])]
        rows.append([
            one.reading.values[j], int(one.shares.counts[j]), share, bounds[j].low, bounds[j].high, target,
            share / target if target else None, *told,
        ])  # fmt: skip
    columns = [
        one.reading.name, "read", "share, corrected" if one.shares.is_corrected else "share", "low", "high",
        f"share of {one.reading.target_name}", "ratio", *([] if asked is None else ["share asked for"]),
    ]  # fmt: skip
    title = f"Shares by {one.reading.name}"
    if len(one.target) > len(order):
        title += f": the {_LISTED} of {len(one.target)} that differ most"
    return Table(title=title, columns=columns, rows=rows)


def quality_table(names: Sequence[str], found: Sequence[ClassQuality], null: Sequence[float | None]) -> Table:
    """Return recall, coverage, precision and kernel distance of every class, the least recall first."""
    judged = [j for j, one in enumerate(found) if one.reals]
    shrunken = shrunken_rates([found[j].recalled for j in judged], [found[j].reals for j in judged])
    by = dict(zip(judged, shrunken.tolist(), strict=True))
    rows: list[list[_Cell]] = []
    for j in sorted(judged, key=by.__getitem__)[:_LISTED]:
        one = found[j]
        bounds, distance = clopper_pearson(one.recalled, one.reals, 0.95), one.distance
        reach = distance.interval(0.95) if distance else None
        rows.append([
            names[j], one.reals, one.recalled / one.reals, bounds.low, bounds.high, by[j], null[j],
            one.covered / one.reals, one.fakes, one.precise / one.fakes if one.fakes else None,
            distance.value if distance else None, reach.low if reach else None, reach.high if reach else None,
        ])  # fmt: skip
    columns = [
        "class", "reals", "recall", "low", "high", "recall, shrunken", "recall by other reals", "coverage",
        "generated, as read", "precision", "kd", "kd low", "kd high",
    ]  # fmt: skip
    return Table(title="Fidelity by class", columns=columns, rows=rows)


def bins_table(found: BinTest) -> Table:
    """Return the bins that differ most, with the sign of the difference."""
    n, m = int(found.real.sum()), int(found.fake.sum())
    rows: list[list[_Cell]] = [
        [
            int(j), int(found.real[j]), int(found.fake[j]), float(found.real[j] / n), float(found.fake[j] / m),
            float(found.z[j]), float(found.adjusted[j]),
        ]
        for j in np.argsort(-np.abs(found.z), kind="stable")[:_LISTED]
    ]  # fmt: skip
    columns = ["bin", "reals", "generated", "share of reals", "share of generated", "z", "p (Benjamini-Hochberg)"]
    title = "Bins of feature space: z above 0 where there are more generated samples, below 0 where fewer"
    return Table(title=title, columns=columns, rows=rows)


def sweep_curve(psi: Sequence[float], distances: Sequence[float], spread: Sequence[float], chance: float) -> Curve:
    """Return the distance from the reals' shares over truncation, with 95 % of the drawing of latents."""
    return Curve(
        title="Class shares under truncation",
        x=Axis(title="psi: latents are psi z"),
        y=Axis(title="TV from the shares of reals"),
        series=[
            Series(
                name="generated",
                x=list(psi),
                y=list(distances),
                low=[max(0.0, d - 1.96 * s) for d, s in zip(distances, spread, strict=True)],
                high=[min(1.0, d + 1.96 * s) for d, s in zip(distances, spread, strict=True)],
            )
        ],
        rules=[Rule(at=chance, label="by chance, mean", orient="y")],
        points=True,
    )
