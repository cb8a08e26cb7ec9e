"""The lower limit of the support size as a measurement, with that of reals beside it."""

from __future__ import annotations

import numpy as np

from ganaudit.document.model import Measurement, Null
from ganaudit.document.spec import EvaluatorSpec
from ganaudit.evidence.class_quality import repeats
from ganaudit.evidence.view import View

__all__ = ["support_measurement"]


def support_measurement(
    view: View, spec: EvaluatorSpec, samples: int, no_null: str | None, rng: np.random.Generator
) -> Measurement:
    """Return ``support-size`` of at most ``samples`` generated samples, or why there is none."""
    found = repeats(view, "fake", samples, rng)
    if isinstance(found, str):
        return spec.measurement(
            "support-size", None, {"fake": len(view["features/fake"])}, reason=found, null_reason=no_null
        )
    size, within, n = found
    null, few = None, no_null
    if no_null is None:
        other = repeats(view, "null-fake", n, rng, within)
        if isinstance(other, str):
            few = other
        else:
            rule = f"{view.null_rule}: {other[0].collisions} close pairs among {other[2]}"
            null = Null(value=other[0].at_least, n=other[2], rule=rule)
    told = f"here {size.collisions} of {size.pairs} at {within:.4g} or less"
    if size.estimate is not None:
        told += f", which speaks for {size.estimate:.4g}"
    return spec.measurement(
        "support-size",
        size.at_least,
        {"fake": n},
        interval_reason="it is the lower end of a one-sided 95 % interval itself",
        null=null,
        null_reason=few,
        estimator=f"{spec.measurements[-1].estimator}; {told}",
    )
