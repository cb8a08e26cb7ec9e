"""What campaigns found, as the document shows it: tables, curves and the panel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ganaudit.attacks.campaign import Campaign
from ganaudit.attacks.campaign_run import Entry
from ganaudit.attacks.threat import Norm
from ganaudit.document.model import Axis, Curve, Rule, Series, Table
from ganaudit.document.spec import Comparison
from ganaudit.numerics.intervals import Bounds, clopper_pearson, quantile_bounds
from ganaudit.numerics.paired import mcnemar
from ganaudit.subjects.subject import SampleSpec

__all__ = [
    "SIDES_TOLD",
    "against_noise",
    "attack_table",
    "closest",
    "distance_table",
    "noise_table",
    "panel_table",
    "robust_bounds",
    "robustness_curve",
]

SIDES_TOLD = {"fake": "generated, to pass as real", "real": "real, to be called generated"}

_POINTS = 40
_SHOWN = 8
_NEVER = torch.finfo(torch.float64).max
"""Stands for a change that was not found: order statistics need numbers."""

Cell = str | int | float | None


def robust_bounds(fooled: Tensor) -> tuple[float, Bounds]:
    """Return the share of samples not fooled, and its Clopper-Pearson interval at 95 %."""
    right, n = int((~fooled).sum()), len(fooled)
    return right / n, clopper_pearson(right, n, 0.95)


def attack_table(campaigns: Sequence[Campaign]) -> Table:
    """Return one row for each attack, budget and side; rows of attacks with gradients are void where masked.

    Columns: robust accuracy, its interval, and the same after storing; scores asked for and gradients taken.
    """
    columns = ["side", "attack", "kind", "norm", "budget", "robust", "low", "high", "stored", "scores", "gradients"]
    rows = [_row(found, entry) for found in campaigns for entry in found.entries]
    return Table(title="Robust accuracy by attack and budget", columns=columns, rows=rows, folded=True)


def _row(found: Campaign, entry: Entry) -> list[Cell]:
    side = "generated" if found.accused.side == "fake" else "real"
    told: list[Cell] = [side, entry.title, entry.kind, entry.norm or "own", entry.stated]
    why = _unsaid(found, entry)
    if why is not None:
        told[2] = f"{entry.kind}: {why}"
        return [*told, None, None, None, None, entry.forward, entry.backward]
    if entry.alone:
        told[2] = f"{entry.kind}; {entry.alone} alone in their class left as they are"
    share, bounds = robust_bounds(entry.fooled)
    stored, _ = robust_bounds(entry.stored)
    return [*told, share, bounds.low, bounds.high, stored, entry.forward, entry.backward]


def _unsaid(found: Campaign, entry: Entry) -> str | None:
    """Return why the row of an attack says nothing, or None."""
    if found.unread is not None:
        return f"void ({'chance' if found.unread == 'chance' else 'constant score'})"
    if found.masked and entry.kind == "white-box":
        return "void (masked)"
    return None if entry.made else "not made, no class has 2 samples called rightly"


def robustness_curve(found: Campaign, norm: Norm) -> Curve:
    """Return robust accuracy over the budget for each attack, the strongest with a band, on one side."""
    start = float((~found.clean).double().mean())
    shares = [share for share in found.budgets[norm] if share > 0]
    x = [0.0, *shares]
    series = []
    named: dict[str, list[float]] = {}
    for entry in found.entries:
        if entry.norm == norm and entry.share and _unsaid(found, entry) is None:
            named.setdefault(entry.title, [start]).append(float((~entry.fooled).double().mean()))
    # Smallest changes break samples between the budgets as well.
    between = norm in found.minimal and not found.masked
    finer = torch.linspace(0, max(shares), _POINTS, dtype=torch.float64).tolist() if between else []
    every, least = sorted({*x, *finer}), found.broken_at(norm, queries=found.blind)
    bounds = [robust_bounds(least <= share) for share in every]
    series.append(Series(
        name="any attack without gradients" if found.blind else "any attack",
        x=every,
        y=[share for share, _ in bounds],
        low=[ends.low for _, ends in bounds],
        high=[ends.high for _, ends in bounds],
    ))  # fmt: skip
    series += [Series(name=name, x=x, y=y) for name, y in named.items() if len(y) == len(x)]
    if between:
        kept = [float((found.minimal[norm] > share).double().mean()) for share in finer]
        kept[0] = start  # a sample that needs a change of size 0 is called wrongly as it stands
        series.append(Series(name="smallest change found", x=finer, y=kept))
    return Curve(
        title=f"Robust accuracy over the budget, {norm}: {SIDES_TOLD[found.accused.side]}",
        x=Axis(title=f"{norm} norm of the change over the width of the range"),
        y=Axis(title="share of samples still called rightly"),
        series=series,
        rules=[Rule(at=found.headline, label="headline")] if norm == found.norm else [],
        points=False,
    )


def panel_table(campaigns: Sequence[Campaign]) -> Table:
    """Return the checks whether attacks measured robustness or were misled, for each side."""
    rows: list[list[Cell]] = []
    for found in campaigns:
        told = SIDES_TOLD[found.accused.side]
        if found.panel is None:
            rows.append([told, "none made", "no sample is called rightly: nothing to attack", None, None, "", ""])
            continue
        for row in found.panel.rows:
            open_ = "not made" if row.few is None else f"not decidable at n = {row.few}"
            state = open_ if row.passed is None else "passed" if row.passed else "FAILED"
            weight = "void" if row.voids else "weaker"
            rows.append([told, row.name, state, _finite(row.value), _finite(row.limit), row.words, weight])
        rows.append([told, "verdict", found.panel.verdict, None, None, "", ""])
    columns = ["attacked", "check", "outcome", "value", "allowed up to", "what was measured", "a failure makes numbers"]
    return Table(title="Was robustness measured, or hidden? (masking panel)", columns=columns, rows=rows)


def distance_table(campaigns: Sequence[Campaign]) -> Table:
    """Return the median smallest change by norm and by side, over the samples called rightly."""
    rows: list[list[Cell]] = []
    for found in campaigns:
        for norm, sizes in found.minimal.items():
            kept = sizes[~found.clean].sort().values
            if found.masked or not len(kept):
                continue
            k, missed = (len(kept) + 1) // 2, int((~torch.isfinite(kept)).sum())
            ends = quantile_bounds(kept.nan_to_num(posinf=_NEVER), k, 0.95)
            cells = [None if value >= _NEVER else value for value in (float(kept[k - 1]), ends.low, ends.high)]
            rows.append([SIDES_TOLD[found.accused.side], norm, len(kept), *map(_finite, cells), missed])
    columns = ["attacked", "norm", "samples", "median (share of the range)", "low", "high", "no change found"]
    return Table(title="Smallest changes that cross the threshold", columns=columns, rows=rows)


def against_noise(found: Campaign, share: float, *, queries: bool = False, stored: bool = False) -> tuple[int, int]:
    """Return how many samples attacks other than noise fooled and noise did not, and how many noise alone fooled.

    Both within ``share``; options as of ``Campaign.broken_at``.
    """
    noise = next(e for e in found.entries if e.kind == "baseline" and e.norm == found.norm and e.share == share)
    by_chance = noise.stored if stored else noise.fooled
    steered = found.fooled(found.norm, share, queries=queries, stored=stored, noise=False)
    return int((steered & ~by_chance).sum()), int((by_chance & ~steered).sum())


def noise_table(campaigns: Sequence[Campaign]) -> Table:
    """Return by side and budget of the norm asked about what attacks turned and noise did not, with McNemar's test."""
    rows: list[list[Cell]] = []
    for found in campaigns:
        for share in found.budgets[found.norm]:
            if share > 0:
                kinds = [("without gradients", True), *([] if found.blind else [("any", False)])]
                for name, queries in kinds:
                    more, less = against_noise(found, share, queries=queries)
                    rows.append([
                        SIDES_TOLD[found.accused.side], share, name, len(found.scores), more, less, mcnemar(more, less)
                    ])  # fmt: skip
    columns = ["attacked", "budget", "attacks", "n", "attack alone fools", "noise alone fools", "p-value"]
    return Table(title=f"Attacks against noise on the same samples, {campaigns[0].norm}", columns=columns, rows=rows)


def closest(found: Campaign, rows: Sequence[int], sample: SampleSpec) -> Comparison | None:
    """Return the samples ``rows`` of the audit that took the least, before and after it; None without any to show."""
    side, norms = found.accused.side, found.minimal.get(found.norm)
    if norms is None or found.nearest is None or sample.shape[0] not in (1, 3):
        return None
    open_ = ~found.clean & torch.isfinite(norms)
    order = [int(i) for i in norms.argsort(stable=True) if bool(open_[int(i)])][:_SHOWN]
    if not order:
        return None
    after = found.nearest[order]
    return Comparison(
        title="Generated samples that pass with the least change"
        if side == "fake"
        else "Reals accused with least change",
        rule=f"smallest {found.norm} change found, of those called rightly",
        side=side,
        indices=[rows[i] for i in order],
        before=found.accused.x[order].cpu(),
        after=after,
        value_range=(sample.low, sample.high),
        scores_before=found.scores[order].tolist(),
        scores_after=found.reached[order].tolist(),
        norms=norms[order].tolist(),
        unit=f"{found.norm} norm of the change, share of the range",
        threshold=found.threshold,
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or value in (float("inf"), float("-inf")) or value != value else value
