"""Change of a squared distance of shares: against all pairs by brute force, and over simulated generators."""

import math

import numpy as np
import pytest

from ganaudit.numerics.share_change import share_change


def by_pairs(found, columns, target):
    rows = [columns[c] - target for c in found if c >= 0]
    pairs = [a @ b for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
    return float(np.mean(pairs))


@pytest.mark.parametrize("corrected", [False, True])
def test_it_is_the_mean_over_pairs_and_its_error_that_of_leaving_one_out(corrected):
    rng = np.random.default_rng(0)
    target = np.array([0.5, 0.3, 0.2])
    before, after = rng.integers(-1, 3, 30), rng.integers(-1, 3, 30)
    matrix = np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.2], [0.0, 0.1, 0.8]])
    inverse = np.linalg.inv(matrix) if corrected else None
    columns = np.eye(3) if inverse is None else inverse.T

    def change(keep):
        return by_pairs(after[keep], columns, target) - by_pairs(before[keep], columns, target)

    every = np.arange(30)
    left = np.array([change(every != i) for i in every])
    found = share_change(before, after, target, inverse)
    assert found.squared == pytest.approx(change(every >= 0), abs=1e-12)
    assert found.error == pytest.approx(math.sqrt(29 / 30 * ((left - left.mean()) ** 2).sum()), abs=1e-12)
    assert found.value == pytest.approx(math.copysign(math.sqrt(abs(found.squared)), found.squared))


def moved(classes, by):
    law = np.full(classes, 1 / classes)
    law[: classes // 2] -= by / (classes // 2)
    law[-(classes // 2) :] += by / (classes // 2)
    return law


@pytest.mark.parametrize("classes", [2, 10, 25])
@pytest.mark.parametrize(("first", "last"), [(0.0, 0.05), (0.0, 0.2), (0.2, 0.3), (0.3, 0.1)])
def test_it_is_unbiased_and_its_interval_covers(classes, first, last):
    """Shares of n = 256 that move from TV ``first`` to TV ``last``, each latent keeping its place."""
    rng, target, n, audits = np.random.default_rng(1), moved(classes, 0), 256, 400
    laws = moved(classes, first), moved(classes, last)
    true = sum(sign * ((law - target) ** 2).sum() for sign, law in zip((-1, 1), laws, strict=True))
    found = []
    for _ in range(audits):
        u = rng.random(n)
        sides = [np.minimum(np.searchsorted(np.cumsum(law), u), classes - 1) for law in laws]
        found.append(share_change(*sides, target))
    values = np.array([one.squared for one in found])
    root = math.copysign(math.sqrt(abs(true)), true)
    covered = [bounds.low <= root <= bounds.high for bounds in (one.interval(0.95) for one in found)]
    assert abs(values.mean() - true) < 4 * values.std() / math.sqrt(audits)
    assert np.mean(covered) >= 0.92


def test_shares_that_do_not_move_are_no_change():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 10, 256)
    still = share_change(labels, labels, np.full(10, 0.1))
    assert (still.squared, still.error) == (0.0, 0.0)


def test_what_cannot_be_compared_is_refused():
    target = np.array([0.5, 0.5])
    with pytest.raises(ValueError, match="found 4 samples; allowed: 5"):
        share_change(np.zeros(5, np.int64), np.zeros(4, np.int64), target)
    with pytest.raises(ValueError, match="found 2 that could be read; allowed: 3"):
        share_change(np.array([0, 1, -1, -1]), np.zeros(4, np.int64), target)
