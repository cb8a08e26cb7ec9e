"""Charts of scores: their laws, the ROC curve and the detection error trade-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ganaudit.document.model import Axis, Curve, Detail, Histogram, HistogramSeries, Note, Rule, Series
from ganaudit.numerics.detection import roc
from ganaudit.numerics.detection_curves import det

__all__ = ["det_curve", "roc_curve", "score_laws"]

_BINS = 40
_POINTS = 200


def score_laws(laws: Mapping[str, Tensor], rules: Sequence[Rule] = ()) -> Histogram:
    """Return the histogram of several sets of scores (n,) by name, in 40 bins over the range of all of them."""
    low = min(float(scores.min()) for scores in laws.values())
    high = max(float(scores.max()) for scores in laws.values())
    if high <= low:
        high = low + max(abs(low), 1.0) * 1e-6
    edges = np.linspace(low, high, _BINS + 1)
    return Histogram(
        title="Discriminator scores",
        x=Axis(title="raw score (larger: more real)"),
        edges=edges.tolist(),
        series=[
            HistogramSeries(name=name, shares=(np.histogram(scores.numpy(), edges)[0] / len(scores)).tolist())
            for name, scores in laws.items()
        ],
        rules=list(rules),
    )


def roc_curve(real: Tensor, fake: Tensor) -> Curve:
    """Return the ROC curve of detecting generated samples, from scores (N,) and (M,)."""
    curve = roc(real, fake)
    chosen = _thinned(len(curve.fpr))
    return Curve(
        title="ROC curve: generated samples called generated, against reals called generated",
        x=Axis(title="false positive rate (reals called generated)"),
        y=Axis(title="true positive rate"),
        series=[
            Series(name="discriminator", x=curve.fpr[chosen].tolist(), y=curve.tpr[chosen].tolist()),
            Series(name="no detection", x=[0.0, 1.0], y=[0.0, 1.0]),
        ],
    )


def det_curve(real: Tensor, fake: Tensor) -> Detail:
    """Return the detection error trade-off on normal paper, from scores (N,) and (M,); a note where it is empty."""
    curve = det(real, fake)
    if not len(curve.fpr):
        return Note(text="No threshold makes errors of both kinds: the detection error trade-off is empty.")
    chosen = _thinned(len(curve.fpr))
    x, y = (side[chosen] for side in curve.probits)
    ends = [float(x.min()), float(x.max())]
    paper = "normal quantiles: -3.09 is 0.1 %, -2.33 is 1 %, -1.28 is 10 %, 0 is 50 %"
    return Curve(
        title="Detection error trade-off: generated samples let through, against reals called generated",
        x=Axis(title=f"false positive rate ({paper})"),
        y=Axis(title="false negative rate (normal quantiles)"),
        series=[
            Series(name="discriminator", x=x.tolist(), y=y.tolist()),
            Series(name="no detection", x=ends, y=[-end for end in ends]),
        ],
    )


def _thinned(vertices: int) -> Tensor:
    # A step curve of ten thousand vertices is no better a picture than one of two hundred.
    places = np.unique(np.linspace(0, vertices - 1, min(vertices, _POINTS)).round().astype(np.int64))
    return torch.from_numpy(places)
