"""What is told of leaks beside their numbers: the verdict, and tables of leaks, of traces and of risks."""

from __future__ import annotations

from collections.abc import Sequence

from ganaudit.document.keys import member
from ganaudit.document.model import Detail, Measurement, Note, Table
from ganaudit.evidence.leaks import TRACES, Asked, Looked, cut
from ganaudit.numerics.groups import holm
from ganaudit.numerics.intervals import Bounds

__all__ = ["leak_table", "risk_table", "span", "trace_table", "verdict"]


def verdict(asked: Sequence[Asked], measurements: Sequence[Measurement], family: str) -> str:
    """Return which operations leak, of which that cannot be told, and which cannot be seen."""
    seen = [one for one in asked if one.leak is not None]
    values = {m.key: m for m in measurements}
    claims: dict[bool, list[str]] = {False: [], True: []}
    for one in seen:
        if one.claimed:
            found = values[member(family, one.operation.name)]
            assert found.interval is not None
            share = f"{one.operation.name} {found.value:.3f} ({found.interval.low:.3f} to {found.interval.high:.3f})"
            share += f", though {one.doubt}" if one.doubt else ""
            claims[bool(one.doubt)].append(share + (f"; {one.caution}" if one.caution else ""))
    text = f"{len(seen)} of {len(asked)} operations can be seen in these reals."
    if claims[False]:
        text += f" Leaks: {'; '.join(claims[False])}."
    text += _cleared(seen)
    if claims[True]:
        text += f" Looks like a leak and may be another defect: {'; '.join(claims[True])}."
    odd = [one.operation.name for one in seen if one.withheld]
    if odd:
        text += (
            f" The samples differ from the data in another way, so that of {', '.join(odd)} neither a leak nor that "
            "there is none can be told."
        )
    hidden = [one.operation.name for one in asked if one.leak is None]
    if hidden:
        text += f" Not identifiable or not applicable: {', '.join(hidden)}."
    words = [f"{one.operation.name} {one.expected.words}" for one in asked if one.expected.used]
    if words:
        return f"{text} By the record of the training: {'; '.join(words)}; no other of these operations was used."
    if all(one.expected.used is None for one in asked):
        return f"{text} Nothing is recorded of the training's augmentation."
    return f"{text} The training used none of these operations, by its record."


def leak_table(asked: Sequence[Asked], least: float) -> Table:
    """Return the leaks of all operations, those that cannot be identified without a share."""
    cells: list[list[str | int | float | None]] = []
    for one in asked:
        found = one.leak
        row: list[str | int | float | None] = [one.operation.name, one.operation.law, one.apart]
        if found is None:
            row += [None] * 7 + ["not identifiable"]
        else:
            ends = found.fake.interval(0.95)
            base = None if found.real is None else cut(found.real.value)
            row += [cut(found.fake.value), ends.low, ends.high, base, ", ".join(found.beside), found.corrected]
            row += [found.fit, _word(one)]
        cells.append([*row, one.expected.words])
    columns = [
        "operation", "what it does", "told apart", "leak", "low", "high", "of test reals", "beside", "p (Holm)",
        "p that a mixture explains the scores", "verdict", "by the record",
    ]  # fmt: skip
    return Table(title=f"Leaks by operation; identifiable from {least:g} told apart", columns=columns, rows=cells)


def _cleared(seen: Sequence[Asked]) -> str:
    """Return of which operations no leak is found, by name where others leak or cannot be told."""
    clear = [one.operation.name for one in seen if not one.claimed and not one.withheld]
    if not clear:
        return ""
    return " No leak of them is found." if len(clear) == len(seen) else f" No leak of {', '.join(clear)} is found."


def _word(one: Asked) -> str:
    if one.withheld:
        return "not told: another defect"
    if not one.claimed:
        return "none found"
    if one.doubt:
        return f"looks {one.operation.looks}" if one.operation.looks else "looks like it"
    return "leak, with another defect" if one.caution else "leak"


def trace_table(asked: Sequence[Asked], fake: Looked, real: Looked, side: str) -> Table:
    """Return what single images show on both sides, and on reals changed by the operation that would show so.

    The reals are those of the split ``side``.
    """
    from scipy.stats import ks_2samp  # half a second to import

    found = {one.operation.name: one.copies for one in asked}
    tests = [ks_2samp(fake.traces[:, i].numpy(), real.traces[:, i].numpy(), method="asymp") for i in range(len(TRACES))]
    corrected = holm([float(test.pvalue) for test in tests])
    cells: list[list[str | int | float | None]] = []
    for place, (trace, test) in enumerate(zip(TRACES, tests, strict=True)):
        of = found.get(trace.operation)
        ours, theirs = fake.traces[:, place], real.traces[:, place]
        changed = None if of is None else float(of.traces[trace.name].mean())
        cells.append([trace.name, float(ours.mean()), float(theirs.mean()), trace.operation, changed,
                      float(test.statistic), corrected[place]])  # fmt: skip
    reals = f"{side} reals"
    columns = ["trace", "generated", reals, "operation", "of changed reals", "Kolmogorov distance", "p (Holm)"]
    return Table(title=f"What single images show: means, generated against {reals}", columns=columns, rows=cells)


def risk_table(asked: Sequence[Asked]) -> list[Detail]:
    """Return which operations could leak unseen by the discriminator; nothing where it was not asked."""
    cells: list[list[str | int | float | None]] = []
    for one in asked:
        gap, seen, used = one.gap, one.apart, one.expected.used
        if gap is None or one.copies is None:
            continue
        scale = None if seen is None else seen * (0.0 if used is False else 1.0)
        ends = gap.blindness_bounds
        cells.append([
            one.operation.name,
            len(one.copies.described),
            gap.signed,
            span(gap.signed_bounds),
            gap.auc.value,
            span(gap.auc.interval(0.95)),
            gap.blindness,
            "not recorded" if used is None else "yes" if used else "no",
            seen,
            None if scale is None else gap.blindness * scale,
            "" if scale is None else span(Bounds(ends.low * scale, ends.high * scale)),
        ])  # fmt: skip
    columns = [
        "operation", "n", "signed gap", "signed gap, 95 %", "AUC of reals against changed", "AUC, 95 %", "blind",
        "used", "told apart", "risk", "risk, 95 %",
    ]  # fmt: skip
    title = "Risk of a leak: discriminator blind to it x used in training (taken as used if not recorded) x visible"
    return [Table(title=title, columns=columns, rows=cells), Note(text=_RISKS)] if cells else []


_RISKS = (
    "In the table of risks the null of the AUC is 0.5 and that of the signed gap 0: what a discriminator gives whose "
    "scores cannot tell changed reals from others. The risk, a product, has none. Ranges cover the drawing of the n "
    "reals, each of which is on both sides; that of the risk takes as known how plainly an operation is told apart."
)


def span(bounds: Bounds) -> str:
    """Return a range in a cell."""
    return f"{bounds.low:.4g} to {bounds.high:.4g}"
