"""Shares of classes: known answers, the closed-form error, coverage, and confusions that cannot be taken out."""

import math

import numpy as np
import pytest
from scipy import optimize

from ganaudit.numerics.class_shares import (
    Confusion,
    around_uniform,
    fairness_discrepancy,
    kl_divergence,
    on_simplex,
    scarcer,
    shares,
    total_variation,
)


def told(matrix, reals):
    """A confusion whose columns are ``matrix``'s exactly."""
    return Confusion(np.round(np.asarray(matrix) * reals).astype(np.int64))


def test_known_answers_of_discrepancies():
    assert fairness_discrepancy(np.array([0.9, 0.1])) == pytest.approx(0.565685, abs=1e-6)  # K22
    p, t = np.array([0.5, 0.3, 0.2]), np.array([0.25, 0.25, 0.5])
    assert total_variation(p, t) == pytest.approx(0.3, abs=1e-12)
    assert kl_divergence(p, t) == pytest.approx(0.5 * np.log(2) + 0.3 * np.log(1.2) + 0.2 * np.log(0.4), abs=1e-12)
    assert kl_divergence(t, np.array([0.5, 0.5, 0.0])) == np.inf


@pytest.mark.parametrize(
    ("a", "q", "r", "error"), [(0.9, 0.1, 0.0, 0.0119), (0.9, 0.5, 0.5, 0.0198), (0.8, 0.35, 0.25, 0.0251)]
)
def test_rogan_and_gladen_of_two_classes(a, q, r, error):
    """K13: (q - (1 - a))/(2a - 1), with its standard error for a confusion that is known."""
    confusion = told([[a, 1 - a], [1 - a, a]], 10**8)
    found = shares([round(1000 * q), round(1000 * (1 - q))], confusion, np.random.default_rng(0), draws=20_000)
    assert found.plain[0] == pytest.approx(r, abs=1e-9)
    assert found.errors[:, 0].std() == pytest.approx(error, abs=6e-4)


def test_four_rotations_are_recovered_exactly():
    """K13: accuracy 0.9, shares .85 and three times .05 are seen as .77 and three times .0767."""
    matrix = np.full((4, 4), 0.1 / 3) + np.eye(4) * (0.9 - 0.1 / 3)
    found = shares(np.round(np.array([0.77, 0.23 / 3, 0.23 / 3, 0.23 / 3]) * 3_000_000), told(matrix, 3000), _rng())
    assert found.values == pytest.approx([0.85, 0.05, 0.05, 0.05], abs=1e-6)


def _rng():
    return np.random.default_rng(0)


def test_errors_scatter_as_the_delta_method_says():
    matrix = np.array([[0.8, 0.1, 0.05], [0.15, 0.7, 0.15], [0.05, 0.2, 0.8]])
    confusion, n, p = told(matrix, 200), 500, np.array([0.5, 0.3, 0.2])
    q = matrix @ p
    found = shares(np.round(q * n), confusion, _rng(), draws=40_000)

    def multinomial(c):
        return np.diag(c) - np.outer(c, c)

    inverse = np.linalg.inv(matrix)
    middle = multinomial(q) / n + sum(p[j] ** 2 * multinomial(matrix[:, j]) / 200 for j in range(3))
    assert np.cov(found.errors.T) == pytest.approx(inverse @ middle @ inverse.T, rel=0.05, abs=2e-5)


def test_intervals_of_shares_cover():
    """K13: .95 within .02 (400 audits put the standard error at .011: the exact law is that of CI coverage)."""
    rng, p = np.random.default_rng(1), np.array([0.6, 0.3, 0.1])
    matrix = np.array([[0.85, 0.1, 0.1], [0.1, 0.8, 0.1], [0.05, 0.1, 0.8]])
    hits = np.zeros(3)
    for _ in range(400):
        confusion = Confusion(np.stack([rng.multinomial(150, matrix[:, j]) for j in range(3)], axis=1))
        found = shares(rng.multinomial(1000, matrix @ p), confusion, rng, draws=300)
        hits += [one.low <= truth <= one.high for one, truth in zip(found.bounds(0.95), p, strict=True)]
    assert (hits / 400 > 0.95 - 0.02 - 0.011).all()
    assert (hits / 400 < 0.95 + 0.02 + 0.011).all()


@pytest.mark.parametrize("p", [[0.25] * 4, [0.4, 0.3, 0.2, 0.1], [0.5, 0.5, 0.0, 0.0]])
def test_intervals_of_discrepancies_cover_at_the_null_and_away_from_it(p):
    """At the null the low end must be 0 in 95 %; 200 audits of a coverage of 95 % give 184 or more in 97 %."""
    rng, p, t = np.random.default_rng(2), np.array(p), np.full(4, 0.25)
    matrix = np.full((4, 4), 0.05) + np.eye(4) * 0.8
    hits = np.zeros(2)
    for _ in range(200):
        confusion = Confusion(np.stack([rng.multinomial(100, matrix[:, j]) for j in range(4)], axis=1))
        found = shares(rng.multinomial(800, matrix @ p), confusion, rng, draws=300)
        tv, l2 = found.total_variation_bounds(t, 0.95), found.fairness_bounds(0.95)
        hits += [
            tv.low <= total_variation(p, t) + 1e-12 <= tv.high + 1e-12,
            l2.low <= fairness_discrepancy(p) + 1e-12 <= l2.high + 1e-12,
        ]
    assert (hits >= 184).all(), hits


def test_a_class_never_said_has_an_interval_as_wide_as_the_exact_one():
    found = shares([0, 500, 500], None, _rng())
    low, high = found.bounds(0.95)[0].low, found.bounds(0.95)[0].high
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 1000), rel=1e-6)


def test_nearest_shares_by_another_method():
    rng = np.random.default_rng(3)
    for _ in range(5):
        v = rng.normal(0.2, 0.5, 5)
        best = optimize.minimize(
            lambda x, v=v: np.square(x - v).sum(),
            np.full(5, 0.2),
            bounds=[(0, 1)] * 5,
            constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
            tol=1e-12,
        )
        assert on_simplex(v) == pytest.approx(best.x, abs=1e-5)


def test_a_confusion_without_an_inverse_is_known():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 4, 400)
    assert not Confusion.of(rng.integers(0, 4, 400), truth, 4).has_inverse, "answers at random"
    assert not Confusion.of(np.zeros(400, np.int64), truth, 4).has_inverse, "always the same answer"
    assert not Confusion.of(np.minimum(truth, 2), truth, 4).has_inverse, "two classes never told apart"
    assert Confusion.of(truth, truth, 4).has_inverse
    assert Confusion.of((truth + 1) % 4, truth, 4).has_inverse, "always wrong, and so as good as right"
    assert not Confusion.of(truth[:30], truth[:30], 4).is_full
    with pytest.raises(ValueError, match="with an inverse"):
        shares([1, 1, 1, 1], Confusion.of(np.minimum(truth, 2), truth, 4), rng)


def test_refuses():
    with pytest.raises(ValueError, match="1 or more"):
        shares([0, 0], None, _rng())
    with pytest.raises(ValueError, match="class numbers 0 to 1"):
        Confusion.of([0, 2], [0, 1], 2)
    with pytest.raises(ValueError, match="as many as true"):
        Confusion.of([0], [0, 1], 2)


def test_scarcer_is_the_tail_of_fishers_exact_test_by_counting():
    counts, others, n = np.array([0, 2, 7]), np.array([6, 3, 4]), 9
    total = int(others.sum())
    for count, other, p in zip(counts, others, scarcer(counts, n, others), strict=True):
        both = int(count + other)
        ways = [math.comb(n, i) * math.comb(total, both - i) for i in range(both + 1)]
        assert p == pytest.approx(sum(ways[: count + 1]) / sum(ways))


def test_around_uniform_keeps_the_direction_and_takes_the_excess_off_the_length():
    """Over many draws of one law the mean square of the distances that are left is the law's own."""
    law, n = np.array([0.4, 0.3, 0.2, 0.1]), 200
    rng = np.random.default_rng(0)
    left = []
    for _ in range(4000):
        seen = rng.multinomial(n, law) / n
        made = around_uniform(seen, n, np.zeros((1, 4)))[0]
        assert made.sum() == pytest.approx(1)
        one, other = made - 0.25, seen - 0.25
        assert one @ other == pytest.approx(np.linalg.norm(one) * np.linalg.norm(other)), "along the same line"
        left.append(np.square(made - 0.25).sum())
    assert np.mean(left) == pytest.approx(np.square(law - 0.25).sum(), abs=4 * np.std(left) / np.sqrt(4000))


def test_around_uniform_of_shares_that_are_uniform_is_those():
    assert around_uniform(np.full(4, 0.25), 10, np.ones((3, 4)))[2].tolist() == [0.25] * 4
