"""Numbers made of three sets of scores, each with its interval and with reals in place of generated samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ganaudit.document.model import Interval, Measurement, Null
from ganaudit.document.spec import EvaluatorSpec
from ganaudit.numerics.detection import auc
from ganaudit.numerics.detection_intervals import Ends, resampled_bounds, resamples_for
from ganaudit.numerics.intervals import Bounds

__all__ = ["BOTH", "Reading", "ScoreSides", "interval_of"]

BOTH = "the drawing of test reals and of generated samples; not the training of the discriminator"
"""What an interval covers where both sides are drawn."""
_FOR_NULL, _SEEN = 100, 20_000
_UNMOVED = (
    "no resample moves the value, as where the sides separate fully or all scores are equal: how it scatters cannot "
    "be seen"
)
_MEANS: Mapping[Ends, str] = {
    "percentile": "percentile bootstrap",
    "reflected": "reflected bootstrap, which takes off the bias of a fitted minimum",
    "centred": "bootstrap width about the value",
}


def interval_of(bounds: Bounds, method: str, covers: str) -> Interval:
    """Return bounds at 95 % as the document's interval."""
    return Interval(low=bounds.low, high=bounds.high, level=0.95, method=method, covers=covers)


@dataclass(frozen=True, slots=True)
class Reading:
    """A value, or why there is none, with interval and null, or why not."""

    value: float | None
    sizes: Mapping[str, int]
    interval: Interval | str | None = None
    """A text is the reason why there is none."""
    null: Null | str | None = None
    """A text is the reason why there is none."""
    reason: str | None = None

    def measured(self, spec: EvaluatorSpec, key: str) -> Measurement:
        """Return it as the measurement ``key`` of an evaluator."""
        return spec.measurement(
            key,
            self.value,
            self.sizes,
            interval=self.interval if isinstance(self.interval, Interval) else None,
            interval_reason=self.interval if isinstance(self.interval, str) else None,
            null=self.null if isinstance(self.null, Null) else None,
            null_reason=self.null if isinstance(self.null, str) else None,
            reason=self.reason,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSides:
    """Scores of test reals (N,), of generated samples (M,) and of calibration reals (n,), which are the null."""

    real: Tensor
    fake: Tensor
    calibration: Tensor
    rng: np.random.Generator = field(repr=False)

    @property
    def sizes(self) -> dict[str, int]:
        """Samples of the two sides compared."""
        return {"real": len(self.real), "fake": len(self.fake)}

    @property
    def null_rule(self) -> str:
        """Which reals are compared with which in the null."""
        return (
            f"{len(self.calibration)} calibration reals in place of generated samples, against {len(self.real)} test "
            "reals"
        )

    def area(self) -> Reading:
        """Return the area under the ROC curve with DeLong's interval, and the same for the null."""
        found, null = auc(self.real, self.fake), auc(self.real, self.calibration)
        own = interval_of(found.interval(0.95), "DeLong, logit scale", BOTH)
        return Reading(found.value, self.sizes, own, self.as_null(null.value, null.interval(0.95)))

    def resampled(
        self, statistic: Callable[[Tensor, Tensor], float], ends: Ends, within: tuple[float, float]
    ) -> Reading:
        """Return ``statistic(real, fake)`` with a bootstrap interval, and the same, from fewer draws, for the null."""

        def bounds(stand_in: Tensor, resamples: int) -> Bounds | None:
            return resampled_bounds(statistic, self.real, stand_in, self.rng, 0.95, ends, within, resamples)

        resamples = resamples_for(len(self.real) + len(self.fake))
        own, null = bounds(self.fake, resamples), statistic(self.real, self.calibration)
        # The spread of the null is there to be looked at: of so many reals none can be seen.
        seen = len(self.real) + len(self.calibration) <= _SEEN
        return Reading(
            statistic(self.real, self.fake),
            self.sizes,
            _UNMOVED if own is None else interval_of(own, f"{_MEANS[ends]}, {resamples} resamples", BOTH),
            self.as_null(null, bounds(self.calibration, _FOR_NULL) if seen else None),
        )

    def bounded(
        self, statistic: Callable[[Tensor, Tensor], float], bounds: Callable[[Tensor, Tensor], Bounds], method: str
    ) -> Reading:
        """Return ``statistic(real, fake)`` with the interval that ``bounds`` gives, and the same for the null."""
        own = bounds(self.real, self.fake)
        return Reading(
            statistic(self.real, self.fake),
            self.sizes,
            _UNMOVED if own.low == own.high else interval_of(own, method, BOTH),
            self.as_null(statistic(self.real, self.calibration), bounds(self.real, self.calibration)),
        )

    def as_null(self, value: float, bounds: Bounds | None = None) -> Null:
        """Return what reals show against reals."""
        low, high = (None, None) if bounds is None else (bounds.low, bounds.high)
        return Null(value=value, low=low, high=high, n=len(self.calibration), rule=self.null_rule)
