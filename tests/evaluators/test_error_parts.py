"""Evaluators that keep their errors by group of samples: as sure as their intervals, shared by audits that share."""

import numpy as np
import pytest
from scipy import stats

from ganaudit.document.error_parts import pairing
from ganaudit.evaluators.frechet_distance import FrechetDistance
from ganaudit.evaluators.kernel_distance import KernelDistance
from ganaudit.evaluators.precision_recall import PrecisionRecall
from tests.evaluators.made_up import MadeUp, by_key, sampled
from tests.evaluators.test_frechet_distance import FakeView

N, D = 400, 6
REAL = sampled(N, D, 0)
LATENTS = sampled(N, D, 1)
FIRST, SECOND = LATENTS * 1.3 + 0.4, LATENTS * 1.25 + 0.5


def measured(evaluator, fake, seed=0):
    if isinstance(evaluator, FrechetDistance):
        view = FakeView({"real": REAL, "fake": fake})
    else:
        view = MadeUp(real=REAL, fake=fake)
    return by_key(evaluator.evaluate(view, np.random.default_rng(seed)))


@pytest.mark.parametrize(
    ("evaluator", "key"),
    [
        (FrechetDistance(), "fd-corrected"),
        (FrechetDistance(), "fd-infinity"),
        (KernelDistance(permutations=0), "kd"),
        (PrecisionRecall(), "precision"),
        (PrecisionRecall(), "1-nn-accuracy-fake"),
        (PrecisionRecall(), "realism"),
    ],
)
def test_parts_are_as_sure_as_the_interval_and_shared_by_equal_latents(evaluator, key):
    one, other = (measured(evaluator, fake)[key] for fake in (FIRST, SECOND))
    half = (one.interval.high - one.interval.low) / 2
    variance = sum(x * x for part in one.error_parts.parts.values() for x in part)
    # Some 50 to 100 degrees of freedom, and intervals that are not quite normal.
    assert variance == pytest.approx((half / stats.norm.ppf(0.975)) ** 2, rel=0.6)
    assert sum(map(len, one.error_parts.parts.values())) in (50, 100)
    found = pairing(one.error_parts, other.error_parts, {"real", "fake", "both"})
    assert found.correlation > 0.5
    other_latents = measured(evaluator, sampled(N, D, 2) * 1.25 + 0.5)[key]
    apart = pairing(one.error_parts, other_latents.error_parts, {"real", "fake", "both"})
    assert apart.correlation < found.correlation


def test_numbers_without_an_interval_keep_no_parts():
    assert measured(FrechetDistance(), FIRST)["fd"].error_parts is None
    assert measured(FrechetDistance(), FIRST)["bias-floor"].error_parts is None
    assert measured(KernelDistance(), FIRST)["p-value"].error_parts is None
    by_subsets = KernelDistance(estimator="subsets", subsets=3, subset_size=50, permutations=0)
    assert measured(by_subsets, FIRST)["kd"].error_parts is None
