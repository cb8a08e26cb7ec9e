"""What the numbers of two audits rest on, and in what they differ: only numbers of one ground can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ganaudit.document.model import AuditDocument, Comparability, Environment, Measurement

__all__ = [
    "MACHINE",
    "Apart",
    "Held",
    "differing_fields",
    "differing_machines",
    "ground",
    "grounds_apart",
    "machines_apart",
]

MACHINE = ("platform", "processor", "device", "threads")
"""What of an environment a time or a memory peak depends on."""


class Held(Protocol):
    """An audit, or what a baseline keeps of one."""

    @property
    def comparability(self) -> Comparability:
        """What must be equal."""

    @property
    def environment(self) -> Environment | Mapping[str, Any]:
        """The machine, whole or its fields that count."""

    def measurement(self, measure: str) -> Measurement | None:
        """Return the number of that name, or None."""


@dataclass(frozen=True, slots=True)
class Apart:
    """A field that two audits do not agree in."""

    field: str
    here: Any
    there: Any

    def words(self, named: str) -> str:
        """Return the field with both values; ``named`` is what the other audit is called."""
        return f"{self.field} ({self.there!r} in {named}, {self.here!r} here)"


def grounds_apart(ours: Held, theirs: Held, evaluator: str | None = None) -> list[Apart]:
    """Return the fields in which two audits' numbers of one evaluator rest on different ground, in their order.

    The options of the other evaluators do not matter to it; without one, those of none do.
    """
    return _apart(ground(ours, evaluator), ground(theirs, evaluator))


def machines_apart(ours: Held, theirs: Held) -> list[Apart]:
    """Return in what the machines of two audits differ: a time of one says nothing of the other."""
    return _apart(_machine(ours.environment), _machine(theirs.environment))


def differing_fields(ours: Held, theirs: Held, evaluator: str, named: str = "the baseline") -> list[str]:
    """Return ``grounds_apart`` in words, each field with both values; ``named`` is what ``theirs`` is called."""
    return [one.words(named) for one in grounds_apart(ours, theirs, evaluator)]


def differing_machines(ours: Held, theirs: Held, named: str = "the baseline") -> list[str]:
    """Return ``machines_apart`` in words, each field with both values."""
    return [one.words(named) for one in machines_apart(ours, theirs)]


def ground(held: Held | AuditDocument, evaluator: str | None) -> dict[str, Any]:
    """Return what the numbers of one evaluator rest on: the fields of comparability and the evaluator's own options.

    Without an evaluator, what the numbers of all rest on.
    """
    fields = dict(held.comparability.fields)
    evaluators = fields.pop("evaluators", {})
    return fields if evaluator is None else {**fields, f"options of {evaluator}": evaluators.get(evaluator)}


def _apart(own: Mapping[str, Any], other: Mapping[str, Any]) -> list[Apart]:
    fields = sorted({*own, *other})
    return [Apart(field, own.get(field), other.get(field)) for field in fields if own.get(field) != other.get(field)]


def _machine(environment: Environment | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(environment, Environment):
        return {field: getattr(environment, field) for field in MACHINE}
    return {field: environment.get(field) for field in MACHINE}
