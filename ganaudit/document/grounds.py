"""What the numbers of two audits rest on, and in what they differ: only numbers of one ground can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ganaudit.document.model import AuditDocument, Comparability, Environment, Measurement

__all__ = ["MACHINE", "Held", "differing_fields", "differing_machines", "ground"]

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


def differing_fields(ours: Held, theirs: Held, evaluator: str, named: str = "the baseline") -> list[str]:
    """Return the fields in which two audits' numbers of one evaluator rest on different ground, each with both values.

    The options of the other evaluators do not matter to it. ``named`` is what ``theirs`` is called.
    """
    own, other = (ground(held, evaluator) for held in (ours, theirs))
    return [
        f"{key} ({other.get(key)!r} in {named}, {own.get(key)!r} here)"
        for key in sorted(set(own) | set(other))
        if own.get(key) != other.get(key)
    ]


def differing_machines(ours: Held, theirs: Held, named: str = "the baseline") -> list[str]:
    """Return in what the machines of two audits differ: a time of one says nothing of the other."""
    own, other = (_machine(held.environment) for held in (ours, theirs))
    return [
        f"{field} ({other.get(field)!r} in {named}, {own.get(field)!r} here)"
        for field in MACHINE
        if own.get(field) != other.get(field)
    ]


def ground(held: Held | AuditDocument, evaluator: str) -> dict[str, Any]:
    """Return what the numbers of one evaluator rest on: the fields of comparability and the evaluator's own options."""
    fields = dict(held.comparability.fields)
    evaluators = fields.pop("evaluators", {})
    return {**fields, f"options of {evaluator}": evaluators.get(evaluator)}


def _machine(environment: Environment | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(environment, Environment):
        return {field: getattr(environment, field) for field in MACHINE}
    return {field: environment.get(field) for field in MACHINE}
