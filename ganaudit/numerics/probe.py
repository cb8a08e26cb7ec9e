"""Two-sample test by a learned detector: whether it can tell reals and fakes that it has not seen apart.

The detector is a logistic regression here; ``cross_fitted`` takes any other. For subjects without a discriminator, and
as a judge that was not trained against the generator.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy import special
from torch import Tensor

from ganaudit.numerics.arguments import pair, proportion, whole
from ganaudit.numerics.detection import Auc, auc
from ganaudit.numerics.intervals import Bounds, clopper_pearson

__all__ = [
    "ACCURACIES",
    "LEAST",
    "Detector",
    "HeldOut",
    "Probe",
    "chance_words",
    "critical_accuracy",
    "cross_fitted",
    "held_out_test",
    "null_deviation",
    "power",
    "probe",
    "size_needed",
]

ACCURACIES = (0.51, 0.52, 0.55, 0.6)
"""True accuracies that the power of a test is told for."""
LEAST = 1e-300
"""What a p-value is not below: floats end near there, and chance is never impossible."""

_Floats = npt.NDArray[np.floating]
_Rows = npt.NDArray[np.int64]

Detector: TypeAlias = Callable[[_Rows, _Rows], _Floats]
"""Is fitted to the rows first given and returns a score for each of the rows next given, higher for more real.

Rows below n are reals, those from n to 2 n - 1 are fakes. It may look at the sides of the rows that it is fitted to
only.
"""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A detector fitted to one half of the samples and asked about the other, as many reals as fakes."""

    accuracy: float
    """Share of held-out samples named rightly, 0 to 1; 1/2 is no difference found."""
    correct: int
    n: int
    """Held-out samples, both sides."""
    bounds: Bounds
    """Clopper-Pearson interval of the accuracy of this detector."""
    p_value: float
    """P(so many right or more) if reals and fakes are of one law: exact, see ``probe``; ``LEAST`` stands for less."""
    p_binomial: float
    """The same from Binomial(n, 1/2): as if each held-out sample's side were tossed for."""
    p_normal: float
    """The same from N(1/2, 1/(4 n)), as published for classifier two-sample tests."""
    auc: Auc
    """Of the scores of the held-out samples, independent given the detector: DeLong's error holds."""
    power: dict[float, float]
    """Chance that the binomial test at 5 % finds a detector of this true accuracy, for each of ``ACCURACIES``."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """What a detector can tell about the two sides."""

    held_out: HeldOut
    """The test: one split, exact."""
    auc: Auc
    """Of the scores of every sample by a detector that has not seen it. Its error takes the samples as independent;
    detectors of different folds share samples, so read no p-value off it."""
    fold_auc: float
    """Mean of the areas within the folds, free of differences in scale between their detectors."""
    accuracy: float
    """Share of all samples named rightly by the detector that has not seen them; no p-value, for the same reason."""
    real_scores: Tensor
    """(n,) float64, higher is more real, in the order of ``real_rows``."""
    fake_scores: Tensor
    real_rows: Tensor
    """(n,) int64, rising: which reals were used."""
    fake_rows: Tensor


def probe(
    real: Tensor,
    fake: Tensor,
    rng: np.random.Generator,
    folds: int = 5,
    most: int = 10_000,
    strength: float | None = None,
    level: float = 0.95,
) -> Probe:
    """Return the two-sample test of features ``real`` (N, D) against ``fake`` (M, D) by logistic regression.

    Each side is cut at random to n = min(N, M, ``most``) rows. A detector is logistic regression with an L2 penalty,
    C = ``strength`` or 1/D, on features standardised by the rows that it is fitted to.

    The test is that of ``cross_fitted``. Needs (2 n, D) floats of memory beside the features.

    Raises ValueError when a side is not a finite floating-point matrix of 2 ``folds`` or more rows with a column, the
    columns differ, ``folds`` is below 2, ``most`` below 2 ``folds``, ``strength`` not above 0 or ``level`` not in
    (0, 1).
    Source: Lopez-Paz and Oquab 2017, arXiv:1610.06545; Fisher 1935.
    """
    whole(folds, "folds", least=2)
    whole(most, "most", least=2 * folds)
    pair(real, fake, least=2 * folds)
    if not (real.is_floating_point() and fake.is_floating_point()):
        raise ValueError(f"features: found {real.dtype} and {fake.dtype}; allowed: floating point")
    if strength is not None and not 0 < strength < math.inf:
        raise ValueError(f"strength: found {strength}; allowed: above 0, finite")
    n = min(len(real), len(fake), most)
    rows = [np.sort(rng.permutation(len(side))[:n]) for side in (real, fake)]
    features = np.concatenate([_taken(side, chosen) for side, chosen in zip((real, fake), rows, strict=True)])
    detector = _detector(features, n, 1 / real.shape[1] if strength is None else strength)
    return cross_fitted(detector, rows[0], rows[1], rng, folds, level)


def cross_fitted(
    detector: Detector, real_rows: _Rows, fake_rows: _Rows, rng: np.random.Generator, folds: int, level: float = 0.95
) -> Probe:
    """Return the two-sample test of n reals against n fakes by ``detector``; their numbers are told on, not read.

    The test: fitted to half of each side, asked about the other half. If the two laws are one, every choice of which
    held-out rows are the reals is as likely, so given how many rows the detector calls real the number of reals among
    them is hypergeometric: the p-value is Fisher's, one-sided, exact at every size and for every detector. Cross-fitted
    accuracies have no such law, since the folds' detectors share samples; they serve the area and the scores.

    Raises ValueError when the sides are not of one size of at least 2 ``folds``, ``folds`` is below 2 or ``level`` is
    not in (0, 1).
    Source: Lopez-Paz and Oquab 2017, arXiv:1610.06545; Fisher 1935.
    """
    n = len(real_rows)
    whole(folds, "folds", least=2)
    whole(n, "rows of each side", least=2 * folds)
    if len(fake_rows) != n:
        raise ValueError(f"fake_rows: found {len(fake_rows)}; allowed: {n}, as many as reals")
    held_out = held_out_test(detector, n, rng, level)
    dealt = np.concatenate([rng.permutation(np.arange(n) % folds) for _ in range(2)])
    scores, areas = np.empty(2 * n), []
    for fold in range(folds):
        inside = np.flatnonzero(dealt == fold)
        scores[inside] = detector(np.flatnonzero(dealt != fold), inside)
        areas.append(auc(*_sides(scores[inside], inside < n)).value)
    reals, fakes = _sides(scores, np.arange(2 * n) < n)
    accuracy = (int((reals > 0).sum()) + int((fakes <= 0).sum())) / (2 * n)
    numbers = [torch.from_numpy(chosen) for chosen in (real_rows, fake_rows)]
    return Probe(held_out, auc(reals, fakes), math.fsum(areas) / folds, accuracy, reals, fakes, *numbers)


def null_deviation(n: int) -> float:
    """Return the standard deviation of the accuracy over ``n`` held-out samples when nothing differs, 1/(2 sqrt(n)).

    Raises ValueError when ``n`` is below 1.
    """
    return 0.5 / math.sqrt(whole(n, "n", least=1))


def critical_accuracy(n: int, alpha: float = 0.05) -> float:
    """Return the greatest accuracy over ``n`` held-out samples that the binomial test at ``alpha`` lets pass.

    Quantile 1 - alpha of Binomial(n, 1/2) over n, exact.
    Raises ValueError when ``n`` is below 1 or ``alpha`` is not in (0, 1).
    """
    return _most_allowed(whole(n, "n", least=1), proportion(alpha, "alpha")) / n


def power(accuracy: float, n: int, alpha: float = 0.05) -> float:
    """Return the chance that the binomial test at ``alpha`` finds a detector of true ``accuracy``, exact.

    P(Binomial(n, accuracy) above n ``critical_accuracy``).
    Raises ValueError when ``accuracy`` or ``alpha`` is not in (0, 1) or ``n`` is below 1.
    """
    passed = _most_allowed(whole(n, "n", least=1), proportion(alpha, "alpha"))
    return float(special.bdtrc(passed, n, proportion(accuracy, "accuracy")))


def size_needed(accuracy: float, chance: float = 0.8, alpha: float = 0.05) -> int:
    """Return the number of held-out samples at which a detector of true ``accuracy`` is found with ``chance``.

    The least n with 1/2 + z_(1 - alpha)/(2 sqrt(n)) + z_chance sqrt(a (1 - a)/n) <= a; the normal approximation.
    Raises ValueError when ``accuracy`` is not above 1/2 and below 1, or ``chance`` or ``alpha`` is not in (0, 1).
    """
    if not 0.5 < accuracy < 1:
        raise ValueError(f"accuracy: found {accuracy}; allowed: above 0.5 and below 1")
    passed = float(special.ndtri(1 - proportion(alpha, "alpha"))) / 2
    found = float(special.ndtri(proportion(chance, "chance"))) * math.sqrt(accuracy * (1 - accuracy))
    return max(1, math.ceil((max(0.0, passed + found) / (accuracy - 0.5)) ** 2))


def _detector(features: _Floats, n: int, strength: float) -> Detector:
    from sklearn.exceptions import ConvergenceWarning  # a second to import, for audits that ask no probe
    from sklearn.linear_model import LogisticRegression

    def scored(fitted: _Rows, asked: _Rows) -> _Floats:
        known = features[fitted]
        mean = known.mean(axis=0, dtype=np.float64).astype(known.dtype)
        known -= mean
        scale = np.sqrt(np.square(known).mean(axis=0, dtype=np.float64)).astype(known.dtype)
        scale[~(scale > 0)] = 1  # a feature that never moves tells nothing
        known /= scale
        model = LogisticRegression(C=strength, max_iter=300)
        with warnings.catch_warnings():
            # A detector short of its optimum is a detector still: the test is exact for any.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(known, fitted < n)
        # A feature without spread here may be far off there; what overflows is held at the end of its type.
        new = np.clip((features[asked] - mean) / scale, -1e6, 1e6)
        found: _Floats = np.asarray(model.decision_function(new), dtype=np.float64)
        return found

    return scored


def held_out_test(detector: Detector, n: int, rng: np.random.Generator, level: float = 0.95) -> HeldOut:
    """Return the test alone of ``n`` reals against ``n`` fakes by ``detector``, without scores of all samples.

    Raises ValueError when ``n`` is below 2 or ``level`` is not in (0, 1).
    """
    whole(n, "n", least=2)
    orders = [rng.permutation(n), n + rng.permutation(n)]
    half = n - n // 2
    fitted, asked = (np.concatenate([order[part] for order in orders]) for part in (slice(half), slice(half, None)))
    scores, truth = detector(fitted, asked), asked < n
    called = scores > 0
    side, hits, named = n // 2, int((called & truth).sum()), int(called.sum())
    correct = hits + side - (named - hits)
    from scipy.stats import hypergeom  # half a second to import, for audits that ask no probe

    exact = float(hypergeom.sf(hits - 1, 2 * side, side, named))
    binomial = 1.0 if correct == 0 else float(special.bdtrc(correct - 1, 2 * side, 0.5))
    z = (correct / (2 * side) - 0.5) / null_deviation(2 * side)
    return HeldOut(
        correct / (2 * side),
        correct,
        2 * side,
        clopper_pearson(correct, 2 * side, level),
        min(1.0, max(LEAST, exact)),
        max(LEAST, binomial),
        float(special.ndtr(-z)),
        auc(*_sides(scores, truth)),
        {accuracy: power(accuracy, 2 * side) for accuracy in ACCURACIES},
    )


def chance_words(p_value: float) -> str:
    """Return a p-value in words: no chance is 0, and one below what a float can hold is said to lie below it."""
    return f"below {LEAST:.0e}" if p_value <= LEAST else f"{p_value:.3g}"


def _most_allowed(n: int, alpha: float) -> int:
    """Return the least count that Binomial(n, 1/2) passes with a chance of ``alpha`` or less."""
    low, high = -1, n  # above low, the chance of passing is too large
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if float(special.bdtrc(middle, n, 0.5)) <= alpha else (middle, high)
    return high


def _taken(side: Tensor, rows: _Rows) -> _Floats:
    taken = side.detach()[torch.from_numpy(rows).to(side.device)].cpu()
    wide: _Floats = (taken if taken.dtype in (torch.float32, torch.float64) else taken.float()).numpy()
    return wide


def _sides(scores: _Floats, real: npt.NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(scores[real]), torch.from_numpy(scores[~real])
