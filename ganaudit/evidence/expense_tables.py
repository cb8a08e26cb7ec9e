"""What the networks of a subject cost, as tables and one chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ganaudit.document.model import Axis, Curve, Detail, Series, Table
from ganaudit.evidence.expense import Expense, Role
from ganaudit.evidence.timing import Timed
from ganaudit.numerics.flops import Tally

__all__ = ["Row", "fractile", "held_bytes", "memory_table", "pass_table", "step_table", "time_details", "weight_table"]

Cells = list[str | int | float | None]
_PASSES = {
    "forward": "forward",
    "to_weights": "forward, and backward to the weights",
    "to_inputs": "forward, and backward to the input",
    "to_both": "forward, and backward to both",
    "penalty": "squared gradient by the input as a loss (R1), backward to both",
    "with_penalty": "loss and R1 over one forward pass, backward to the weights",
}


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The times of one network at one batch, or why there are none."""

    network: str
    batch: int
    found: Timed | str


def fractile(seconds: Tensor, share: float) -> tuple[float, int]:
    """Return the smallest time that at least ``share`` of the runs do not exceed, in its unit, and its rank from 1."""
    # The rounding undoes what 0.95 * 100 has too much in binary.
    k = max(1, -int(-round(share * len(seconds), 9) // 1))
    return float(seconds.sort().values[k - 1]), k


def held_bytes(tensors: Sequence[Tensor]) -> int:
    """Return the bytes that tensors take, memory that several share counted once."""
    return sum({id(s): s.nbytes() for s in [t.untyped_storage() for t in tensors]}.values())


def weight_table(roles: Sequence[Role]) -> Table:
    """Return numbers and bytes of weights and of other state, by type of number."""
    rows: list[Cells] = []
    for role in roles:
        for kind, tensors in (("parameters", role.weights), ("other state", list(role.network.buffers()))):
            numbers: Counter[str] = Counter()
            size: Counter[str] = Counter()
            for tensor in tensors:
                dtype = str(tensor.dtype).removeprefix("torch.")
                numbers[dtype] += tensor.numel()
                size[dtype] += tensor.numel() * tensor.element_size()
            rows += [[role.name, kind, dtype, numbers[dtype], size[dtype]] for dtype in sorted(numbers)]
    return Table(title="Weights by type of number", columns=["network", "what", "type", "numbers", "bytes"], rows=rows)


def pass_table(spent: Mapping[str, Expense]) -> Table:
    """Return the passes of each network for one sample; what was not counted stands beside the count."""
    rows: list[Cells] = []
    for network, one in spent.items():
        forward = one.flops("forward")
        for name, title in _PASSES.items():
            tally, flops = getattr(one, name), one.flops(name)
            if not isinstance(tally, Tally) or flops is None:
                rows.append([network, title, None, None, None, str(tally)])
                continue
            left_out = ", ".join(f"{what} ({calls})" for what, calls in tally.uncounted.items())
            ratio = round(flops / forward, 4) if forward else None
            rows.append([network, title, flops, ratio, tally.written // one.batch, left_out or "none"])
    columns = ["network", "pass", "FLOPs", "of the forward pass", "numbers written, not counted", "left out (calls)"]
    return Table(title="Operations for one sample, by pass", columns=columns, rows=rows)


def step_table(parts: Mapping[str, float]) -> Table:
    """Return the parts of a training step for each real sample shown."""
    total = sum(parts.values())
    rows: list[Cells] = [[name, round(flops), round(flops / total, 4) if total else None]
                         for name, flops in parts.items()]  # fmt: skip
    title = "A training step, for each real sample shown"
    return Table(title=title, columns=["part", "FLOPs", "share"], rows=[*rows, ["all", round(total), 1.0]])


def memory_table(rows: Sequence[tuple[int, Tally | str, int, int]]) -> Table:
    """Return the bytes held while a batch is generated; each row: batch, forward pass, weights, input."""
    cells: list[Cells] = [
        [batch, weights, given, found.peak_bytes, weights + given + found.peak_bytes]
        if isinstance(found, Tally)
        else [batch, weights, given, None, found]
        for batch, found, weights, given in rows
    ]
    columns = ["batch", "weights", "input", "most tensors at once", "together"]
    return Table(title="Bytes held while a batch is generated", columns=columns, rows=cells)


def time_details(rows: Sequence[Row]) -> list[Detail]:
    """Return a table of times by network and batch, and samples a second as curves; all of it volatile."""
    cells: list[Cells] = []
    rates: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if isinstance(row.found, str):
            cells.append([row.network, row.batch, row.found, None, None, None, None])
            continue
        seconds = row.found.seconds
        p50, p95, p99 = (round(1e3 * fractile(seconds, share)[0], 4) for share in (0.5, 0.95, 0.99))
        rates.setdefault(row.network, []).append((row.batch, row.batch / fractile(seconds, 0.5)[0]))
        cells.append([row.network, row.batch, len(seconds), p50, p95, p99, round(rates[row.network][-1][1], 2)])
    columns = ["network", "batch", "runs", "p50, ms", "p95, ms", "p99, ms", "samples a second"]
    table = Table(title="Times of a forward pass", columns=columns, rows=cells, volatile=True)
    series = [
        Series(name=name, x=[float(b) for b, _ in found], y=[y for _, y in found])
        for name, found in rates.items()
        if len(found) > 1
    ]
    if not series:
        return [table]
    title, x, y = "Samples a second by batch", Axis(title="batch", log=True), Axis(title="samples a second", log=True)
    return [table, Curve(title=title, x=x, y=y, series=series, volatile=True)]
