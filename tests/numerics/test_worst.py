"""The worst of several estimates, against SciPy's exact intervals, plain loops and simulated coverage."""

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.numerics.intervals import Bounds
from ganaudit.numerics.worst import share_bounds, shift_bounds, worst_area, worst_loss, worst_rate, worst_shift


def exact(count, n, level):
    found = stats.binomtest(count, n).proportion_ci(level, "exact")
    return found.low, found.high


def test_shares_have_scipys_interval_at_the_corrected_level():
    counts, sizes = [0, 3, 40], [20, 50, 40]
    for found, count, n in zip(share_bounds(counts, sizes, 0.9), counts, sizes, strict=True):
        assert (found.low, found.high) == pytest.approx(exact(count, n, 1 - 0.1 / 3), abs=1e-9)


def test_the_worst_rate_is_the_greatest_and_so_are_its_ends():
    counts, sizes = [1, 9, 2], [10, 100, 10]
    found = worst_rate(counts, sizes, 0.95)
    ends = [exact(c, n, 1 - 0.05 / 3) for c, n in zip(counts, sizes, strict=True)]
    assert (found.value, found.at) == (0.2, 2)
    # A small group may reach higher than the worst one does, so ends are taken on their own.
    assert (found.bounds.low, found.bounds.high) == pytest.approx(
        (max(e[0] for e in ends), max(e[1] for e in ends)), abs=1e-9
    )


@pytest.mark.parametrize(
    ("low", "high", "ends"), [(0.1, 0.3, (0.0, 0.15)), (0.2, 0.4, (0.05, 0.25)), (0.0, 0.1, (0.05, 0.15))]
)
def test_a_shift_is_a_distance(low, high, ends):
    found = shift_bounds(Bounds(low, high), 0.15)
    inside = np.abs(np.linspace(low, high, 100_001) - 0.15)
    assert (found.low, found.high) == pytest.approx(ends)
    assert (found.low, found.high) == pytest.approx((inside.min(), inside.max()), abs=1e-5)


def test_a_rate_below_the_target_can_be_the_worst_shift():
    found = worst_shift([0, 12], [100, 100], 0.1, 0.95)
    assert (found.value, found.at) == (0.1, 0)


def test_a_loss_counts_samples_lost_and_won():
    rng = np.random.default_rng(0)
    before = rng.random(300) < 0.6
    after = [before ^ (rng.random(300) < p) for p in (0.02, 0.3, 0.1)]
    found = worst_loss(torch.from_numpy(before), [torch.from_numpy(a) for a in after], 0.95)
    falls = [before.mean() - a.mean() for a in after]
    assert found.value == pytest.approx(max(falls), abs=1e-12)
    assert found.at == int(np.argmax(falls))
    lost, won = (before & ~after[found.at]).sum(), (~before & after[found.at]).sum()
    level = 1 - 0.05 / 6
    own = exact(lost, 300, level)[0] - exact(won, 300, level)[1], exact(lost, 300, level)[1] - exact(won, 300, level)[0]
    assert found.bounds.low >= own[0] - 1e-9
    assert found.bounds.high >= own[1] - 1e-9


def test_the_worst_area_is_the_least():
    rng = np.random.default_rng(1)
    pairs = [(torch.from_numpy(rng.normal(d, 1, 80)), torch.from_numpy(rng.normal(0, 1, 60))) for d in (2, 0.1, 1)]
    areas = [stats.mannwhitneyu(real, fake).statistic / (80 * 60) for real, fake in pairs]
    found = worst_area(pairs, 0.95)
    assert found.value == pytest.approx(min(areas))
    assert found.at == int(np.argmin(areas)) == 1
    assert found.bounds.low < found.value < found.bounds.high


def test_the_interval_of_the_worst_covers_the_true_worst():
    rng, true = np.random.default_rng(2), np.array([0.05, 0.06, 0.02, 0.06])
    runs, inside = 800, 0
    for _ in range(runs):
        counts = rng.binomial(100, true).tolist()
        bounds = worst_rate(counts, [100] * 4, 0.9).bounds
        inside += bounds.low <= 0.06 <= bounds.high
    assert inside / runs >= 0.9 - 4 * np.sqrt(0.09 / runs)


@pytest.mark.parametrize("arguments", [([], [], 0.95), ([1], [2, 3], 0.95), ([3], [2], 0.95), ([1], [2], 1.0)])
def test_what_is_no_share_is_refused(arguments):
    with pytest.raises(ValueError, match="found"):
        share_bounds(*arguments)
