"""Gates as a reviewer reads them: one card a gate, its slices together, each beside what it was held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument
from ganaudit.document.noise import floor_of
from ganaudit.report import words
from ganaudit.report.summary import OUTCOMES

__all__ = ["Card", "Line", "cards", "held_words", "limit_words", "reason"]


@dataclass(frozen=True, slots=True)
class Line:
    """One verdict with what stands beside it."""

    verdict: Verdict
    title: str
    """The number's own title, or its key where the document does not have it."""
    held: str
    """What it was held against, in words."""
    judged: str
    """The interval it was judged by, in words; none where the number has none of its own."""
    alone: bool
    """Whether the number has no interval of its own: its value alone was judged."""
    unsure_limit: bool
    """Whether the chance of the limit was counted, as with a null that has a range."""
    floor: str
    """The noise floor and where it comes from; empty where there is none."""
    beyond_floor: bool
    """Whether the limit asks for more than the noise floor allows."""


@dataclass(frozen=True, slots=True)
class Card:
    """One gate: every slice of it that is open, the worst first."""

    gate: str
    anchor: str
    level: str
    outcome: str
    """The worst of its slices, blocking ones before others."""
    blocking: bool
    lines: tuple[Line, ...]
    settled: int
    """Slices of this gate that passed or are waived."""
    evaluators: tuple[str, ...]

    @property
    def counts(self) -> str:
        """How many slices came to what, in words."""
        found = [line.verdict.outcome for line in self.lines]
        told = [f"{found.count(o)} {o}" for o in OUTCOMES if o in found]
        if self.settled:
            told.append(f"{self.settled} passed or waived")
        return ", ".join(told)


def cards(document: AuditDocument, verdicts: Iterable[Verdict]) -> list[Card]:
    """Return the gates of ``verdicts`` in the order of their first, slices of one gate together."""
    by_gate: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_gate.setdefault(verdict.gate, []).append(verdict)
    taken: set[str] = set()
    found = []
    for gate, mine in by_gate.items():
        ranked = sorted(mine, key=lambda v: (not v.blocking, OUTCOMES.index(v.outcome)))
        settled = sum(v.gate == gate for v in document.verdicts) - len(mine)
        lines = tuple(_line(document, v) for v in ranked)
        evaluators = tuple(dict.fromkeys(v.measure.partition("/")[0] for v in ranked))
        worst = ranked[0]
        anchor = _anchor(gate, taken)
        found.append(Card(gate, anchor, worst.level, worst.outcome, worst.blocking, lines, settled, evaluators))
    return found


def _anchor(gate: str, taken: set[str]) -> str:
    base = f"gate-{words.slug(gate)}"
    name, again = base, 1
    while name in taken:
        again += 1
        name = f"{base}--{again}"
    taken.add(name)
    return name


def _line(document: AuditDocument, verdict: Verdict) -> Line:
    found = document.measurement(verdict.measure)
    declared = document.declared(verdict.measure)
    title = found.title if found is not None else declared.title if declared is not None else verdict.measure
    floor = None if found is None else floor_of(found)
    beyond = False
    if floor is not None and verdict.limit is not None and verdict.direction is not None:
        beyond = verdict.limit < floor.value if verdict.direction == "lower" else verdict.limit > floor.value
    told = "" if floor is None else f"{words.number(floor.value)}: {floor.why}"
    gate = _asked(document.policy, verdict.gate)
    # The mean over replicates has an interval of the seeds, whether the number of one audit has one or not.
    replicates = gate.get("replicates", 1)
    own = found is not None and (found.interval is not None or (isinstance(replicates, int) and replicates > 1))
    alone = found is not None and found.value is not None and not own
    null = None if found is None else found.null
    unsure = bool(gate.get("null")) and verdict.held is not None and null is not None and null.low != null.high
    judged = (words.span(verdict) if own else "") or "none"
    judged += ": the chance of the limit alone counts" if alone and unsure else ""
    return Line(verdict, title, held_words(document.policy, verdict), judged, alone, unsure, told, beyond)


def _asked(policy: Mapping[str, Any] | None, gate: str) -> dict[str, Any]:
    """Return the gate of that id as the document's policy has it, or nothing."""
    gates = (policy or {}).get("gate")
    asked = [g for g in gates if isinstance(g, dict)] if isinstance(gates, list) else []
    return next((g for g in asked if g.get("id") == gate), {})


def held_words(policy: Mapping[str, Any] | None, verdict: Verdict) -> str:
    """Return what a verdict was held against: a limit of the policy, a baseline, an anchor, a null."""
    gate = _asked(policy, verdict.gate)
    told = []
    if verdict.held is not None:
        what = "null" if gate.get("null") else "baseline" if gate.get("baseline") else "value"
        told.append(f"{what} {words.number(verdict.held)}")
    if verdict.anchor is not None:
        told.append(f"anchor {words.number(verdict.anchor)}")
    if told:
        ratio, margin = gate.get("ratio"), gate.get("margin")
        told += [f"factor {words.short(ratio)}"] if isinstance(ratio, int | float) and ratio != 1 else []
        told += [f"margin {words.short(margin)}"] if isinstance(margin, int | float) and margin else []
    return ", ".join(told) or ("a limit of the policy" if verdict.limit is not None else "nothing: no limit was found")


def limit_words(verdict: Verdict) -> str:
    """Return the limit with its direction, or none."""
    if verdict.limit is None:
        return "none"
    side = {"lower": "at most ", "higher": "at least "}.get(verdict.direction or "", "")
    return f"{side}{words.number(verdict.limit)}"


def reason(line: Line) -> str:
    """Return in one short line why a gate is open: number, value, what was allowed."""
    verdict = line.verdict
    if verdict.value is None:
        return f"{line.title}: no value"
    own = "(no interval)" if line.alone and line.unsure_limit else "" if line.alone else words.span(verdict)
    value = f"{words.number(verdict.value)} {own}".rstrip()
    unsure = ", itself unsure" if line.alone and line.unsure_limit else ""
    return f"{line.title}: {value}, allowed {limit_words(verdict)}{unsure}"
