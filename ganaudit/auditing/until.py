"""Draws more samples until the interval of one number is narrow enough, or the budget ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ganaudit.auditing.setting import Setting
from ganaudit.config import UntilPlan
from ganaudit.document.errors import ConfigError, nearest
from ganaudit.document.model import Measurement

__all__ = ["Step", "Until", "grown"]

_FIRST = 512
_LEAST_GROWTH, _MOST_GROWTH = 1.5, 4.0


@dataclass(frozen=True, slots=True)
class Step:
    """What one number of samples gave."""

    samples: int
    value: float | None
    half_width: float | None


@dataclass(frozen=True, slots=True)
class Until:
    """How the samples grew."""

    setting: Setting
    steps: tuple[Step, ...]
    is_reached: bool

    def warning(self, asked: UntilPlan) -> str | None:
        """Return what a reader must know when the budget ended first."""
        if self.is_reached:
            return None
        last = self.steps[-1]
        found = "it has no interval" if last.half_width is None else f"half its width is {last.half_width:.3g}"
        wanted = f"{asked.width:.3g}" + (" of the value" if asked.relative else "")
        return (
            f"the interval of {asked.measure} should have half a width of {wanted}; after {last.samples} samples, the "
            f"most allowed, {found}"
        )


def grown(setting: Setting, measure: Callable[[str, Setting], list[Measurement]]) -> Until:
    """Return the setting at the first number of samples that suffices, at most that of ``setting``.

    The next number of samples is foreseen from the width falling with the root of n, and kept between 1.5 and 4 times
    the last. Raises ConfigError when no evaluator of the plan has the measure.
    """
    asked = setting.plan.until
    assert asked is not None
    evaluator, _, key = asked.measure.partition("/")
    if evaluator not in setting.evaluators:
        known = list(setting.evaluators)
        raise ConfigError(f"until {asked.measure!r}: no evaluator of this audit; {nearest(evaluator, known)}")
    keys = [m.key for m in setting.evaluators[evaluator].spec.measurements]
    if key not in keys:
        raise ConfigError(f"until {asked.measure!r}: {evaluator} has no such number; {nearest(key, keys)}")
    budget = setting.evidence.plan.samples
    count, steps = min(_FIRST, budget), []
    while True:
        setting = setting.at(count)
        found = next((m for m in measure(evaluator, setting) if m.key == key), None)
        step = _step(count, found)
        steps.append(step)
        wanted = _wanted(asked, step)
        if step.half_width is not None and wanted is not None and step.half_width <= wanted:
            return Until(setting, tuple(steps), is_reached=True)
        if count >= budget:
            return Until(setting, tuple(steps), is_reached=False)
        count = min(budget, _next(count, step, wanted))


def _step(count: int, found: Measurement | None) -> Step:
    if found is None or found.value is None or found.interval is None:
        return Step(count, found.value if found else None, None)
    return Step(count, found.value, (found.interval.high - found.interval.low) / 2)


def _wanted(asked: UntilPlan, step: Step) -> float | None:
    if not asked.relative:
        return asked.width
    return None if step.value is None else asked.width * abs(step.value)


def _next(count: int, step: Step, wanted: float | None) -> int:
    growth = _MOST_GROWTH
    if step.half_width is not None and wanted:
        growth = min(_MOST_GROWTH, max(_LEAST_GROWTH, (step.half_width / wanted) ** 2 * 1.1))
    return math.ceil(count * growth)
