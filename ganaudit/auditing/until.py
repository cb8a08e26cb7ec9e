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

    def warning(self, asked: UntilPlan) -> str:
        """Return what a reader must know of an interval that decided when to stop, or did not get narrow enough."""
        last = self.steps[-1]
        if self.is_reached:
            return (
                f"the number of samples follows from the interval of {asked.measure}, looked at {len(self.steps)} "
                "times: widths are estimates, and stopping at a narrow one makes it a little too narrow"
            )
        found = "it has no interval" if last.half_width is None else f"half its width is {last.half_width:.3g}"
        wanted = f"{asked.width:.3g}" + (" of the value" if asked.relative else "")
        return (
            f"the interval of {asked.measure} should have half a width of {wanted}; after {last.samples} samples, the "
            f"most allowed, {found}"
        )


def grown(
    setting: Setting,
    measure: Callable[[str, Setting], list[Measurement]],
    why_not: Callable[[str, Setting], str | None],
) -> Until:
    """Return the setting at the first number of samples that suffices, at most that of ``setting``.

    The next number of samples is foreseen from the width falling with the root of n, and kept between 1.5 and 4 times
    the last. A width is an estimate itself: one that comes out narrow by chance does not suffice, the mean of all
    looks, each brought to this number of samples, must be narrow enough as well. ``why_not`` says why an evaluator
    cannot answer. Raises ConfigError when no evaluator of the plan has the measure, or it can have no interval.
    """
    asked = setting.plan.until
    assert asked is not None
    evaluator, _, key = asked.measure.partition("/")
    if evaluator not in setting.evaluators:
        known = list(setting.evaluators)
        raise ConfigError(f"until {asked.measure!r}: no evaluator of this audit; {nearest(evaluator, known)}")
    spec = setting.evaluators[evaluator].spec
    promised, keys = spec.promise(key), [m.key for m in spec.measurements]
    if promised is None:
        raise ConfigError(f"until {asked.measure!r}: {evaluator} has no such number; {nearest(key, keys)}")
    with_interval = [m.key for m in spec.measurements if m.interval]
    if not promised.interval:
        raise ConfigError(f"until {asked.measure!r}: it never has an interval; those have: {', '.join(with_interval)}")
    budget = setting.evidence.plan.samples
    reason = why_not(evaluator, setting)
    if reason is not None:
        raise ConfigError(f"until {asked.measure!r}: {evaluator} cannot be measured here: {reason}")
    count, steps = min(_FIRST, budget), []
    while True:
        setting = setting.at(count)
        found = next((m for m in measure(evaluator, setting) if m.key == key), None)
        step = _step(count, found)
        steps.append(step)
        wanted = _wanted(asked, step)
        width = _pooled(steps)
        if width is not None and wanted is not None and width <= wanted:
            return Until(setting, tuple(steps), is_reached=True)
        if count >= budget:
            return Until(setting, tuple(steps), is_reached=False)
        count = min(budget, _next(count, width, wanted))


def _pooled(steps: list[Step]) -> float | None:
    """Return the half width at the last number of samples: the larger of what it shows and what all looks foresee."""
    last = steps[-1]
    if last.half_width is None:
        return None
    squares = [step.samples * step.half_width**2 for step in steps if step.half_width is not None]
    return max(last.half_width, math.sqrt(sum(squares) / len(squares) / last.samples))


def _step(count: int, found: Measurement | None) -> Step:
    if found is None or found.value is None or found.interval is None:
        return Step(count, found.value if found else None, None)
    return Step(count, found.value, (found.interval.high - found.interval.low) / 2)


def _wanted(asked: UntilPlan, step: Step) -> float | None:
    if not asked.relative:
        return asked.width
    return None if step.value is None else asked.width * abs(step.value)


def _next(count: int, width: float | None, wanted: float | None) -> int:
    growth = _MOST_GROWTH
    if width is not None and wanted:
        growth = min(_MOST_GROWTH, max(_LEAST_GROWTH, (width / wanted) ** 2 * 1.1))
    return math.ceil(count * growth)
