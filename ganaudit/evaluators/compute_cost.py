"""What the networks cost: weights, operations, memory, time, energy, and a step of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from ganaudit.document.errors import SubjectError
from ganaudit.document.model import Axis, Curve, Detail, Measurement, Note, Series, Table
from ganaudit.document.spec import EvaluatorSpec, Findings, MeasurementSpec, NotAssessable
from ganaudit.evidence.expense import Expense, Recipe, Role, expense, grown_flops, recipe_of, roles, step_flops
from ganaudit.evidence.expense_tables import (
    Row,
    fractile,
    held_bytes,
    memory_table,
    pass_table,
    step_table,
    time_details,
    weight_table,
)
from ganaudit.evidence.meters import Meter, meter_of
from ganaudit.evidence.score_sides import Reading, interval_of
from ganaudit.evidence.timing import Timed, timed
from ganaudit.evidence.view import View
from ganaudit.numerics.costs import grams_of_carbon, growth_exponent, kilowatt_hours
from ganaudit.numerics.flops import Tally, tallied
from ganaudit.numerics.intervals import quantile_bounds
from ganaudit.numerics.memory import is_out_of_memory
from ganaudit.subjects.subject import Subject

__all__ = ["ComputeCost"]

_ENOUGH, _MOST = 100, 300
_FACTORS = (1, 2, 4)
_COUNTED = "counted, not estimated: it does not scatter"
_NO_NULL = "a property of networks and machine; reals have none"
_COVERS = "runs one after another in this audit; not another machine, load or version"
_KWH_OF = 1000


def _counted(key: str, title: str, meaning: str, unit: str, estimator: str) -> MeasurementSpec:
    return MeasurementSpec(key, title, meaning, unit, "lower", estimator, (0.0, None), interval=False)


def _latency(key: str, title: str, meaning: str, percent: int, network: str = "generator") -> MeasurementSpec:
    told = f"the smallest time that {percent} % of the {network}'s runs at its smallest batch, mostly 1, do not exceed"
    return MeasurementSpec(key, title, meaning, "milliseconds", "lower", told, (0.0, None), volatile=True)


@dataclass(frozen=True, slots=True)
class ComputeCost:
    """Operations are counted one by one below autograd; times are taken on the audit's device, as it is then."""

    seconds: float = 2.0
    """About how long all timings may take together; 0 leaves them out, and equal audits give equal documents."""
    batches: tuple[int, ...] = (1, 16, 64)
    """Samples at once in timings and memory; a program of one batch size is run at that."""
    power: float = 0.0
    """Watts of the device at work, for an estimate where there is no meter of energy; 0: not stated."""
    grid: float = 0.0
    """Grams of CO2 equivalent of a kWh; 0: not stated."""

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="compute-cost",
        title="Compute cost",
        question="What do the networks cost to hold, to run and to train?",
        needs=("values/fake",),
        measurements=(
            _counted("parameters", "Parameters of the generator", "Numbers that training moved, or could move.",
                     "parameters", "all parameters, each once; buffers are not among them"),
            _counted("flops", "Operations of one generated sample",
                     "Floating-point operations of the generator's forward pass for one sample.",
                     "floating-point operations",
                     "2 for a multiplication and an addition; matrix products, convolutions and attention alone"),
            _latency("latency-p50", "Median latency", "Half of the runs of one sample take no longer.", 50),
            MeasurementSpec("throughput", "Samples a second", "Generated samples a second in the largest batch timed.",
                            "samples per second", "higher", "batch over the median time of a batch", (0.0, None),
                            volatile=True),
            _counted("peak-memory", "Memory of a batch",
                     "Bytes held at once, at most, while the largest batch is generated without gradients.", "bytes",
                     "weights, input and live tensors; what an operation takes inside itself is not seen"),
            MeasurementSpec("energy", "Energy of one sample", "Joules for each generated sample in the largest batch.",
                            "joules", "lower", "by the meter over all runs, or stated power times median time",
                            (0.0, None), interval=False, volatile=True),
            _latency("latency-p95", "95th percentile of latency", "19 of 20 runs of one sample take no longer.", 95),
            _latency("latency-p99", "99th percentile of latency", "99 of 100 runs of one sample take no longer.", 99),
            _counted("parameter-bytes", "Bytes of the generator's weights", "What holding the generator takes.",
                     "bytes", "parameters and buffers in the type they are in, shared memory once"),
            _counted("activation-memory", "Kept for a backward pass",
                     "Bytes that the generator's forward pass keeps for its backward pass, for one sample.", "bytes",
                     "tensors saved for gradients, each once, weights left out; at the smallest batch, divided by it"),
            _counted("training-step-flops", "Operations of a training step",
                     "Floating-point operations of both players for each real sample shown, with recorded penalties.",
                     "floating-point operations", "sum of the passes of a step, one generated sample to a real one"),
            _counted("discriminator-parameters", "Parameters of the discriminator", "The same of the discriminator.",
                     "parameters", "all parameters, each once; buffers are not among them"),
            _counted("discriminator-flops", "Operations of one verdict",
                     "Floating-point operations of the discriminator's forward pass for one sample.",
                     "floating-point operations",
                     "2 for a multiplication and an addition; matrix products, convolutions and attention alone"),
            _latency("discriminator-latency-p50", "Median latency of a verdict",
                     "Half of the runs of one verdict take no longer.", 50, "discriminator"),
            _counted("r1-flops", "Operations of an R1 penalty",
                     "Operations for one sample of the squared gradient as a loss: its backward pass goes through two.",
                     "floating-point operations", "forward, backward to the input, backward through both"),
            MeasurementSpec("growth-exponent", "Growth with the size",
                            "Operations grow with this power of the side of an image or the length of a sound.",
                            "exponent", "none", "slope of ln operations on ln size at 1, 2 and 4 times the size",
                            interval=False),
        ),
        misleads=(
            "Operations are not time: memory traffic, small batches and grouped convolutions cost more than they "
            "count. Normalisation, activations, resampling and what else has no formula are in no count; what among it "
            "may be large is named. Times are those of this machine under its load of the moment, and gates on them "
            "may turn with it. A meter of a processor or GPU counts all that runs there. The cost of a training step "
            "goes by what the subject's own record says of its penalties."
        ),
        references=(
            "Narayanan et al., Efficient Large-Scale Language Model Training on GPU Clusters, 2021, arXiv:2104.04473, "
            "appendix: operations are twice the multiplications, backward passes twice the forward pass",
            "David and Nagaraja, Order Statistics, 3rd edition, 2003, section 7.1",
            "Henderson et al., Towards the Systematic Reporting of the Energy and Carbon Footprints of Machine "
            "Learning, 2020, arXiv:2002.05651",
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("seconds", "power", "grid"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: found {getattr(self, name)}; allowed: 0 or more, finite")
        if not self.batches or min(self.batches) < 1 or len(set(self.batches)) < len(self.batches):
            raise ValueError(f"batches: found {list(self.batches)}; allowed: one or more of 1 or more, each once")

    def evaluate(self, view: View, rng: np.random.Generator) -> Findings:
        """Return weights, operations, memory, times, energy and the cost of a training step, or why not."""
        subject = view.subject
        if subject.generator is None:
            raise NotAssessable("the subject is a set of samples: there are 0 networks to count")
        networks = roles(subject)
        batches = [subject.block] if subject.block else sorted(self.batches)
        spent = {role.name: expense(role, subject.block or 1) for role in networks}
        networks = [replace(role, outside=spent[role.name].outside) for role in networks]
        recipe, judge = recipe_of(subject.training), spent.get("discriminator")
        parts = None if judge is None else step_flops(spent["generator"], judge, recipe)
        memory = _memory(networks[0], batches)
        meter = meter_of(subject.device)
        rows = self._times(networks, batches, subject.device, meter)
        growth, chart = _growth(subject)
        found = {
            **self._counts(networks, spent, parts, memory),
            **self._clocked(rows, meter),
            "growth-exponent": growth,
        }
        measured = [found[m.key].measured(self.spec, m.key) for m in self.spec.measurements]
        values = {m.key: m.value for m in measured}
        details: list[Detail] = [
            Note(text=_told(values, recipe, judge is not None)),
            *([Note(text=_clock_told(values, subject, meter), volatile=True)] if self.seconds else []),
            weight_table(networks),
            pass_table(spent),
            *([step_table(parts)] if parts else []),
            memory_table(memory),
            *chart,
            *(time_details(rows) if self.seconds else []),
            *self._energy_details(values, meter),
        ]
        return Findings([_marked(m, meter) for m in measured], details, _warnings(spent))

    def _counts(
        self,
        networks: Sequence[Role],
        spent: Mapping[str, Expense],
        parts: Mapping[str, float] | None,
        memory: Sequence[tuple[int, Tally | str, int, int]],
    ) -> dict[str, Reading]:
        generator, judge = networks[0], networks[1] if len(networks) > 1 else None
        made, judging = spent["generator"], spent.get("discriminator")
        none = "the subject has no discriminator (0 of 1)"
        last = next((row for row in reversed(memory) if isinstance(row[1], Tally)), None)
        peak: Reading | None = None
        if last is not None and isinstance(last[1], Tally):
            peak = _count(last[1].peak_bytes + last[2] + last[3], {"samples": last[0]})
        step = None if parts is None else sum(parts.values())
        why_not = none if judge is None else "a pass that a step needs could not be counted: see the 2 networks' passes"
        kept = made.kept // made.batch if isinstance(made.kept, int) else made.kept
        return {
            "parameters": _parameters(generator),
            "flops": _flops(made, "forward"),
            "peak-memory": peak or _none(str(memory[-1][1])),
            "parameter-bytes": _parameters(generator, held_bytes(generator.held)),
            "activation-memory": _none(kept) if isinstance(kept, str) else _count(kept, {"samples": made.batch}),
            "training-step-flops": _none(why_not) if step is None else _count(step, {"samples": 1}),
            "discriminator-parameters": _none(none) if judge is None else _parameters(judge),
            "discriminator-flops": _none(none) if judging is None else _flops(judging, "forward"),
            "r1-flops": _none(none) if judging is None else _flops(judging, "penalty"),
        }

    def _times(self, networks: Sequence[Role], batches: Sequence[int], device: str, meter: Meter) -> list[Row]:
        rows: list[Row] = []
        share = self.seconds / (len(networks) * len(batches))
        for role in networks if self.seconds else ():
            last: float | None = None
            for batch in batches:
                foreseen = 0.0 if last is None else last * batch / rows[-1].batch
                if foreseen * 5 > 4 * self.seconds:
                    row = Row(role.name, batch, f"left out: a run would take about {foreseen:.2g} s")
                else:
                    row = Row(role.name, batch, _timed(role, batch, device, share, meter))
                rows.append(row)
                last = None if isinstance(row.found, str) else fractile(row.found.seconds, 0.5)[0]
                if last is None:
                    break  # what does not fit at this batch fits at no larger one
        return rows

    def _clocked(self, rows: Sequence[Row], meter: Meter) -> dict[str, Reading]:
        allowed = "0 seconds were allowed for timings (option seconds)"
        firsts = {row.network: row for row in reversed(rows)}
        mine = [row for row in rows if row.network == "generator" and isinstance(row.found, Timed)]
        keys = {"latency-p50": 0.5, "latency-p95": 0.95, "latency-p99": 0.99}
        found = {key: _quantile(firsts["generator"], share) if rows else _none(allowed) for key, share in keys.items()}
        judge, lacks = firsts.get("discriminator"), "the subject has no discriminator (0 of 1)"
        found["discriminator-latency-p50"] = (
            _quantile(judge, 0.5) if judge is not None else _none(lacks if rows else allowed)
        )
        if not mine:
            why = str(rows[0].found) if rows else allowed
            return found | {"throughput": _none(why), "energy": _none(why)}
        return found | {"throughput": _throughput(mine[-1]), "energy": self._energy(mine[-1], meter)}

    def _energy(self, row: Row, meter: Meter) -> Reading:
        assert isinstance(row.found, Timed)
        runs = len(row.found.seconds)
        sizes = {"runs": runs}
        if row.found.joules:
            why = f"measured once over {runs} runs by the meter ({meter.name})"
            return Reading(row.found.joules / (runs * row.batch), sizes, why, _NO_NULL)
        if self.power:
            seconds = fractile(row.found.seconds, 0.5)[0]
            why = f"estimated, not measured: {self.power:g} W as stated, times the median time"
            return Reading(self.power * seconds / row.batch, sizes, why, _NO_NULL)
        reason = meter.reason or f"the meter ({meter.name}) did not move in {runs} runs"
        return Reading(None, sizes, reason=f"{reason}; option power = WATTS gives an estimate")

    def _energy_details(self, values: Mapping[str, float | None], meter: Meter) -> list[Detail]:
        joules = values["energy"]
        if joules is None:
            return []
        kwh = kilowatt_hours(joules, _KWH_OF)
        rows: list[list[str | int | float | None]] = [[f"kWh for {_KWH_OF} samples", kwh]]
        if self.grid:
            told = f"g CO2 equivalent for {_KWH_OF} samples at {self.grid:g} g/kWh"
            rows.append([told, grams_of_carbon(kwh, self.grid)])
        title = "Energy of generating, measured" if meter.name else "Energy of generating, estimated"
        return [Table(title=title, columns=["what", "amount"], rows=rows, volatile=True)]


def _none(reason: str) -> Reading:
    return Reading(None, {"samples": 0}, reason=reason)


def _count(value: float, sizes: Mapping[str, int]) -> Reading:
    return Reading(float(value), sizes, _COUNTED, _NO_NULL)


def _parameters(role: Role, size: int | None = None) -> Reading:
    count = sum(weight.numel() for weight in role.weights)
    if not count:
        other = sum(tensor.numel() for tensor in role.held)
        told = f"the {role.name} shows torch 0 parameters and {other:,} numbers of other state"
        return _none(role.outside or f"{told}: weights frozen into a program and none at all look alike")
    return _count(count if size is None else size, {"networks": 1})


def _flops(spent: Expense, name: str) -> Reading:
    flops = spent.flops(name)
    return _none(str(getattr(spent, name))) if flops is None else _count(flops, {"samples": spent.batch})


def _memory(role: Role, batches: Sequence[int]) -> list[tuple[int, Tally | str, int, int]]:
    """Return batch, forward pass, bytes of the weights and of the input, up to the largest batch that fits."""
    rows: list[tuple[int, Tally | str, int, int]] = []
    for batch in batches:
        given = role.given(batch)
        found = role.outside or _seen(lambda given=given: tallied(lambda: role.call(*given)))  # type: ignore[misc]
        rows.append((batch, found, held_bytes(role.held), held_bytes(given)))
        if isinstance(found, str):
            break
    return rows


def _seen(work: Callable[[], Tally]) -> Tally | str:
    try:
        with torch.no_grad():
            return work()
    except (RuntimeError, MemoryError) as error:
        return _why(error)


def _timed(role: Role, batch: int, device: str, seconds: float, meter: Meter) -> Timed | str:
    try:
        given = role.given(batch)
        return timed(lambda: role.call(*given), device, seconds, _ENOUGH, _MOST, meter)
    except (RuntimeError, MemoryError, SubjectError) as error:
        return _why(error)


def _why(error: Exception) -> str:
    if is_out_of_memory(error):
        return "memory ran out at 1 batch of this size"
    return f"it refuses 1 batch of this size: {str(error).strip().splitlines()[-1][:160]}"


def _quantile(row: Row, share: float) -> Reading:
    if isinstance(row.found, str):
        return _none(row.found)
    seconds, least = row.found.seconds, round(1 / (1 - share))
    sizes = {"runs": len(seconds)}
    if len(seconds) < least:
        return Reading(None, sizes, reason=f"needs {least} runs; there was time for {len(seconds)}")
    value, k = fractile(seconds, share)
    bounds = quantile_bounds(seconds * 1e3, k, 0.95)
    if not (math.isfinite(bounds.low) and math.isfinite(bounds.high)):
        return Reading(1e3 * value, sizes, f"{len(seconds)} runs are too few for both ends at 95 %", _NO_NULL)
    return Reading(1e3 * value, sizes, interval_of(bounds, "order statistics", _COVERS), _NO_NULL)


def _throughput(row: Row) -> Reading:
    assert isinstance(row.found, Timed)
    seconds = row.found.seconds
    sizes, (value, k) = {"runs": len(seconds)}, fractile(seconds, 0.5)
    # Batch over time falls as the time rises: the ends change places.
    bounds = quantile_bounds(row.batch / seconds, len(seconds) + 1 - k, 0.95)
    if not (math.isfinite(bounds.low) and math.isfinite(bounds.high)):
        why = f"{len(seconds)} runs are too few for both ends at 95 %"
        return Reading(row.batch / value, sizes, why, _NO_NULL)
    return Reading(row.batch / value, sizes, interval_of(bounds, "order statistics", _COVERS), _NO_NULL)


def _growth(subject: Subject) -> tuple[Reading, list[Detail]]:
    sizes, flops = {"sizes": len(_FACTORS)}, [grown_flops(subject, factor) for factor in _FACTORS]
    counted = {f: float(n) for f, n in zip(_FACTORS, flops, strict=True) if not isinstance(n, str)}
    if len(counted) < len(_FACTORS):
        return Reading(None, sizes, reason=next(n for n in flops if isinstance(n, str))), []
    if not all(counted.values()):
        return Reading(None, sizes, reason="0 operations are counted, and grow with nothing"), []
    series = Series(name="generator", x=[float(f) for f in counted], y=list(counted.values()))
    chart = Curve(title="Operations of one sample by the size", x=Axis(title="times the size", log=True),
                  y=Axis(title="FLOPs", log=True), series=[series], points=True)  # fmt: skip
    power = growth_exponent(list(counted), list(counted.values()))
    return Reading(power, sizes, _COUNTED, _NO_NULL), [chart]


def _marked(measured: Measurement, meter: Meter) -> Measurement:
    if measured.key != "energy" or measured.value is None:
        return measured
    word = "measured" if meter.name and "measured once" in (measured.interval_reason or "") else "estimated"
    return measured.model_copy(update={"estimator": f"{word}: {measured.estimator}"})


def _told(values: Mapping[str, float | None], recipe: Recipe, has_judge: bool) -> str:
    flops, parameters, step = values["flops"], values["parameters"], values["training-step-flops"]
    if flops is None:
        return "The generator's operations cannot be seen; times and what else can be known stand below."
    text = f"A generated sample takes {flops:,.0f} floating-point operations"
    text += f", by {parameters:,.0f} parameters." if parameters is not None else "."
    if step is None:
        return text if has_judge else f"{text} Without a discriminator there is no step of training to count."
    told = f"with its recorded penalties: {', '.join(recipe.penalties or ()) or 'none'}"
    if recipe.penalties is None:
        told = "the subject's record does not name its penalties, so none is in it"
    text += f" A training step takes {step:,.0f} for each real sample shown ({told})."
    return f"{text} The {recipe.images:,} shown come to {step * recipe.images:.3g}." if recipe.images else text


def _clock_told(values: Mapping[str, float | None], subject: Subject, meter: Meter) -> str:
    latency, rate = values["latency-p50"], values["throughput"]
    where = f"{subject.device} (threads: {torch.get_num_threads()})" if subject.device == "cpu" else subject.device
    if latency is None or rate is None:
        return f"On {where} no time could be taken."
    text = (
        f"On {where} and as it was loaded: a sample in {latency:.3g} ms, and {rate:,.4g} samples a second in batches."
    )
    return f"{text} Energy: {meter.name or meter.reason}."


def _warnings(spent: Mapping[str, Expense]) -> list[str]:
    found = []
    for network, one in spent.items():
        if isinstance(one.forward, Tally) and one.forward.uncounted:
            named = ", ".join(f"{name} ({calls})" for name, calls in one.forward.uncounted.items())
            found.append(
                f"{network}: the count of operations leaves out {named}, uncounted operations that may be large"
            )
    return found
