"""Memorising in words, a table of three columns, and charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganaudit.document.alarms import Side, bar, departure
from ganaudit.document.model import Axis, Histogram, HistogramSeries, Measurement, Note, Rule, Table
from ganaudit.evidence.memorised import Memorised
from ganaudit.evidence.memorised_scores import Membership

__all__ = ["cautions", "cells_table", "column_table", "ratio_histogram", "verdict"]

_COPIES_LIE: Mapping[str, Side] = {
    "ct": "below",
    "authenticity": "below",
    "copy-rate": "above",
    "exact-copy-rate": "above",
    "distance-auc": "above",
    "identifiability": "above",
    "reconstruction-auc": "above",
    "likelihood-gap": "above",
}
"""On which side of its null a statistic of the generator lies where samples are copied."""
_SINGLE = {"copy-rate", "exact-copy-rate"}
"""The statistics that count copies one by one; all others tell how sets lie to each other."""
_OF_DISCRIMINATOR = ("membership-auc", "membership-tpr-at-fpr-1pct", "membership-tpr-at-fpr-0.1pct")
_BINS = 25
_SURE = 0.999  # of a caution that concerns the reals, not the generator: rarely wrong

Cell = str | int | float | None


def verdict(measurements: Sequence[Measurement], found: Memorised) -> tuple[Note, list[str]]:
    """Return one verdict on all statistics, and where they disagree a warning that says so.

    One rule for each: its departure from its null in standard errors (``alarms.departure``), on the side of copies,
    above the bar of all statistics together (Bonferroni at 5 %) is a finding. Above the bar of one alone it is a weak
    sign and told as one; never is the absence of findings told as the absence of copies.
    """
    judged = {m.key: m for m in measurements if _is_judged(m)}
    asked = [key for key in _COPIES_LIE if key in judged]
    pointing = [key for key in asked if _standing(judged[key]) == "copies"]
    weak = [key for key in asked if _standing(judged[key]) == "weak"]
    silent = [key for key in asked if key not in pointing]
    disagreement: list[str] = []
    if not pointing:
        text = _unfound(asked, weak, judged)
    elif not silent:
        text = f"The generator copies train reals: all {len(asked)} statistics say so ({_told(pointing, judged)})."
    else:
        none = [key for key in silent if key not in weak]
        copied = bool(_SINGLE & set(pointing))
        what = "copy train reals" if copied else "lean to train reals, without a copy found"
        text = f"Generated samples {what}{'' if copied else ','} by {_told(pointing, judged)}"
        text += f"; weak signs by {_told(weak, judged)}" if weak else ""
        text += f"; {', '.join(none)} show nothing." if none else "."
        disagreement = [
            f"the statistics of memorisation disagree: by {', '.join(pointing)} generated samples {what}; by "
            f"{', '.join(silent)} they do not. Shares of single samples see a few copies that ranks of all samples "
            "average away; ranks see a pull towards train reals that makes no single copy."
        ]
    farther = [key for key in ("ct", "distance-auc") if key in judged and _standing(judged[key]) == "farther"]
    if farther:
        text += f" On the whole they lie farther from train reals than unseen reals do ({', '.join(farther)})."
    toward = found.columns["generated"].toward
    exact, n = int((toward.distance == 0).sum()), len(toward.distance)
    text += f" {exact} of {n} generated samples are exact copies by their features."
    return Note(text=text + _discriminator(judged)), disagreement


def _unfound(asked: Sequence[str], weak: Sequence[str], judged: dict[str, Measurement]) -> str:
    """Return the verdict where no statistic passes the bar of all."""
    if not asked:
        return "Nothing can be said of copies: no statistic has both an interval and a null."
    together, alone = bar("above", len(asked)), bar("above", 1)
    text = (
        f"No finding of copies: none of {len(asked)} statistics departs from unseen reals towards copies by more than "
        f"{together:.3g} standard errors, which all of them together exceed by chance in 5 % of audits."
    )
    if weak:
        return text + (
            f" Weak signs, beyond the {alone:.3g} of one looked at alone: {_told(weak, judged)}. More samples would "
            "tell."
        )
    most = max(asked, key=lambda key: _departure(judged[key]))
    return text + f" The largest departure is that of {most}, {_departure(judged[most]) + 0.0:.2g}."


def column_table(measurements: Sequence[Measurement], found: Memorised, scored: Membership | str) -> Table:
    """Return every statistic for generated samples, for unseen reals in their place and for a copycat."""
    rows: list[list[Cell]] = []
    for m in measurements:
        copycat = found.columns["copycat"].estimates.get(m.key)
        rows.append([
            m.title,
            m.value,
            _range(m),
            m.n if m.value is not None else None,
            None if m.null is None else m.null.value,
            "" if m.null is None or m.null.low is None or m.null.high is None else _span(m.null.low, m.null.high),
            None if m.null is None else m.null.n,
            None if copycat is None else copycat.value,
            _says(m),
        ])  # fmt: skip
    if not isinstance(scored, str):
        rows.append(_overfit_row(scored))
    columns = [
        "statistic", "generated", "95 %", "n", "held-out reals", "95 % ", "n ", "copycat (train reals)", "position",
    ]  # fmt: skip
    return Table(title="Generated samples, unseen reals and train reals in one protocol", columns=columns, rows=rows)


def ratio_histogram(found: Memorised) -> Histogram:
    """Return how near samples lie to their nearest train real, for the density there."""
    edges = torch.linspace(0, 1, _BINS + 1, dtype=torch.float64)
    named = {
        "generated": found.columns["generated"].toward.ratio,
        "unseen reals": torch.cat([found.compared, found.columns["held-out"].toward.ratio]),
    }
    rules = [] if found.threshold is None else [Rule(at=found.threshold, label="copies at or below")]
    return Histogram(
        title="Distance to the nearest train real over that to the next ones",
        x=Axis(title="ratio: 0 a copy, 1 among several"),
        edges=edges.tolist(),
        series=[HistogramSeries(name=name, shares=_shares(ratio)) for name, ratio in named.items()],
        rules=rules,
    )


def cells_table(found: Memorised) -> Table:
    """Return the rank score of each cell that C_T is the mean of."""
    rows: list[list[Cell]] = [list(cell) for cell in found.columns["generated"].copying.cells]
    return Table(title="C_T by cell of the train reals", columns=["cell", "generated", "unseen reals", "Z"], rows=rows)


def cautions(found: Memorised, scored: Membership | str, counts: tuple[int, int]) -> list[str]:
    """Return what weakens the numbers, given how many train reals and generated samples there are."""
    told = []
    n_train, n_fake = counts
    if found.n_train < n_train:
        told.append(f"{found.n_train} of {n_train} train reals were looked at: copies of the others are not seen")
    n = found.columns["held-out"].estimates["ct"].n
    if n < n_fake:
        told.append(
            f"{n} unseen reals can stand in for generated samples, so as many of the {n_fake} generated samples are "
            "ranked; shares of single samples are of more"
        )
    ends = found.shift.interval(_SURE)
    if not ends.low <= 0.5 <= ends.high:
        told.append(
            f"train and unseen reals are not of one kind: train reals lie nearer to unseen ones than those to each "
            f"other with chance {found.shift.value:.3f}, where 0.5 is expected; no statistic here can tell that from "
            "memorising"
        )
    if not isinstance(scored, str):
        area, ratio = scored.estimates["membership-auc"].bounds, scored.overfit.bounds
        assert area is not None
        if ratio is not None and ((area.high < 0.5 and ratio.low > 0) or (area.low > 0.5 and ratio.high < 0)):
            told.append(
                "membership-auc and r_v contradict each other in sign: a few scores far out move the mean alone"
            )
    return told


def _is_judged(m: Measurement) -> bool:
    return m.value is not None and m.interval is not None and m.null is not None


def _departure(m: Measurement) -> float:
    """Return how far a judged statistic lies from its null towards copies, in standard errors."""
    # Of the discriminator's numbers above is the side on which train reals can be told. None of these ranges is cut at
    # a bound (Clopper-Pearson, Wilson, logit scale), so that their halves serve as they are.
    found = departure(m, _COPIES_LIE.get(m.key, "above"))
    assert found is not None  # it has value, interval and null
    return found


def _standing(m: Measurement) -> str:
    """Return how a statistic stands to its null: "copies", "weak" (towards copies), "farther" or "equal"."""
    together = bar("above", len(_COPIES_LIE) if m.key in _COPIES_LIE else len(_OF_DISCRIMINATOR))
    far = _departure(m)
    if far > together:
        return "copies"
    if far > bar("above", 1):
        return "weak"
    return "farther" if far < -together else "equal"


def _says(m: Measurement) -> str:
    if not _is_judged(m):
        return "not judged"
    words = {
        "copies": "beyond held-out reals, towards copies",
        "weak": "a weak sign towards copies",
        "equal": "as held-out reals",
    }
    if m.key in _OF_DISCRIMINATOR:
        words |= {"copies": "train reals can be told", "weak": "a weak sign that train reals can be told"}
    return words.get(_standing(m), "beyond held-out reals, away from copies")


def _told(keys: Sequence[str], judged: dict[str, Measurement]) -> str:
    parts = []
    for key in keys:
        m = judged[key]
        assert m.null is not None
        parts.append(f"{key} {m.value:.4g} where unseen reals have {m.null.value:.4g} ({_far(m)})")
    return ", ".join(parts)


def _discriminator(judged: dict[str, Measurement]) -> str:
    m = judged.get("membership-auc")
    if m is None:
        return ""
    assert m.null is not None
    told = f"membership-auc {m.value:.3f}, {_far(m)} above the {m.null.value:.3f} of unseen reals"
    if _standing(m) == "copies":
        return f" The discriminator knows its train reals: they score above unseen ones ({told})."
    if _standing(m) == "weak":
        return f" A weak sign that the discriminator knows its train reals ({told})."
    return f" That the discriminator tells train reals from unseen ones is not shown ({told})."


def _far(m: Measurement) -> str:
    found = _departure(m)
    return "certain" if math.isinf(found) else f"{found:.2g} standard errors"


def _overfit_row(scored: Membership) -> list[Cell]:
    own, null = scored.overfit, scored.null_overfit
    spans = ["" if one.bounds is None else _span(one.bounds.low, one.bounds.high) for one in (own, null)]
    position = "see discriminator-overfit"
    return [
        "Overfit ratio r_v", own.ratio, spans[0], scored.n_held, null.ratio, spans[1],
        scored.nulls["membership-auc"].n, None, position,
    ]  # fmt: skip


def _range(m: Measurement) -> str:
    return "" if m.interval is None else _span(m.interval.low, m.interval.high)


def _span(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"


def _shares(ratio: Tensor) -> list[float]:
    # The middle of many distances may round to one above 1.
    counts = torch.histc(ratio.cpu().clamp(0, 1), bins=_BINS, min=0, max=1)
    return (counts / len(ratio)).tolist()
