"""Numbers made of scores of two sides, each with its interval and with reals in place of generated samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ganaudit.document.model import Interval, Measurement, Null
from ganaudit.document.spec import EvaluatorSpec
from ganaudit.evidence.view import View
from ganaudit.numerics.detection import auc
from ganaudit.numerics.detection_intervals import Ends, resampled_bounds, resamples_for
from ganaudit.numerics.intervals import Bounds

__all__ = ["BOTH", "Reading", "ScoreSides", "interval_of"]

BOTH = "the drawing of test reals and of generated samples; not the training of the discriminator"
"""What an interval covers where both sides are drawn."""
_FOR_NULL, _SEEN, _SEED = 100, 20_000, 0
_UNMOVED = (
    "no resample moves the value, as where the sides separate fully or all scores are equal: how it scatters cannot "
    "be seen"
)
_MEANS: Mapping[Ends, str] = {
    "percentile": "percentile bootstrap",
    "crossed": "bootstrap width below the fitted minimum and above that of samples left out of the fit",
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
    """Scores of test reals (N,), of generated samples (M,) and, where there are any, of calibration reals (n,).

    The last are the null and set thresholds.
    """

    real: Tensor
    fake: Tensor
    calibration: Tensor | None
    rng: np.random.Generator = field(repr=False)
    lacks: str = "there are 0"
    """Why there are no calibration reals."""

    @classmethod
    def of(cls, view: View, rng: np.random.Generator) -> ScoreSides:
        """Return the sides of a view that declares ``scores/test``, ``scores/fake`` and ``scores/calibration``.

        Calibration reals may miss; one alone, which has no law, counts as none.
        """
        lacks = view.missing("scores/calibration")
        calibration = view["scores/calibration"] if lacks is None else None
        if calibration is not None and len(calibration) < 2:
            lacks, calibration = f"there are {len(calibration)}", None
        return cls(view["scores/test"], view["scores/fake"], calibration, rng, lacks or "")

    @property
    def no_null(self) -> str:
        """Why no reals can stand in for generated samples."""
        return f"needs 2 calibration reals in place of generated samples: {self.lacks}"

    @property
    def sizes(self) -> dict[str, int]:
        """Samples of the two sides compared."""
        return {"real": len(self.real), "fake": len(self.fake)}

    @property
    def null_rule(self) -> str:
        """Which reals are compared with which in the null."""
        n = 0 if self.calibration is None else len(self.calibration)
        return f"{n} calibration reals in place of generated samples, against {len(self.real)} test reals"

    def area(self) -> Reading:
        """Return the area under the ROC curve with DeLong's interval, and the same for the null."""
        found = auc(self.real, self.fake)
        own = interval_of(found.interval(0.95), "DeLong, logit scale", BOTH)
        null: Null | str = self.no_null
        if self.calibration is not None:
            other = auc(self.real, self.calibration)
            null = self._null(other.value, other.interval(0.95), len(self.calibration))
        return Reading(found.value, self.sizes, own, null)

    def resampled(
        self,
        statistic: Callable[[Tensor, Tensor], float],
        ends: Ends,
        within: tuple[float, float],
        crossed: Callable[[Tensor, Tensor, np.random.Generator], float] | None = None,
    ) -> Reading:
        """Return ``statistic(real, fake)`` with a bootstrap interval, and the same, from fewer draws, for the null.

        ``crossed``: for a fitted minimum, the same judged on samples left out of the fit.
        """
        folds = np.random.default_rng(_SEED)  # of their own: they move no other number

        def bounds(stand_in: Tensor, resamples: int) -> Bounds | None:
            above = None if crossed is None else crossed(self.real, stand_in, folds)
            return resampled_bounds(statistic, self.real, stand_in, self.rng, 0.95, ends, within, resamples, above)

        resamples = resamples_for(len(self.real) + len(self.fake))
        own, held = bounds(self.fake, resamples), self.calibration
        null: Null | str = self.no_null
        if held is not None:
            # The spread of the null is there to be looked at: of so many reals none can be seen.
            seen = len(self.real) + len(held) <= _SEEN
            null = self._null(statistic(self.real, held), bounds(held, _FOR_NULL) if seen else None, len(held))
        return Reading(
            statistic(self.real, self.fake),
            self.sizes,
            _UNMOVED if own is None else interval_of(own, f"{_MEANS[ends]}, {resamples} resamples", BOTH),
            null,
        )

    def bounded(
        self, statistic: Callable[[Tensor, Tensor], float], bounds: Callable[[Tensor, Tensor], Bounds], method: str
    ) -> Reading:
        """Return ``statistic(real, fake)`` with the interval that ``bounds`` gives, and the same for the null."""
        own, held = bounds(self.real, self.fake), self.calibration
        null: Null | str = self.no_null
        if held is not None:
            null = self._null(statistic(self.real, held), bounds(self.real, held), len(held))
        return Reading(
            statistic(self.real, self.fake),
            self.sizes,
            _UNMOVED if own.low == own.high else interval_of(own, method, BOTH),
            null,
        )

    def _null(self, value: float, bounds: Bounds | None, n: int) -> Null:
        low, high = (None, None) if bounds is None else (bounds.low, bounds.high)
        return Null(value=value, low=low, high=high, n=n, rule=self.null_rule)
