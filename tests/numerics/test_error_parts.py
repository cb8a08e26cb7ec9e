"""Errors by groups: unbiased for the variance of a mean and the covariance of two, whatever the order of samples."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks.coverage_paired import BOTH, FAR, GOOD, NEAR, REALS, Case, coverage
from ganaudit.numerics.error_parts import grouped_errors
from ganaudit.numerics.kernel import kernel_distance


def test_as_many_groups_as_samples_give_the_variance_of_the_mean_exactly():
    x = torch.tensor([1.0, 4.0, -2.0, 0.5, 7.0])
    errors = grouped_errors(x)
    assert sum(errors) == pytest.approx(0.0, abs=1e-12)
    assert sum(e * e for e in errors) == pytest.approx(float(x.double().var(correction=1)) / 5)


@pytest.mark.parametrize("n", [101, 600])
def test_groups_give_variance_and_covariance_of_two_means(n):
    rng = np.random.default_rng(n)
    mixed = np.array([[1.0, 0.0], [0.8, 0.6]])  # covariance 0.8, variances 1
    squares, products = [], []
    for _ in range(2000):
        x, y = torch.from_numpy(rng.normal(size=(n, 2)) @ mixed.T).T
        a, b = np.array(grouped_errors(x)), np.array(grouped_errors(y))
        squares.append(a @ a * n)
        products.append(a @ b * n)
    for found, truth in ((squares, 1.0), (products, 0.8)):
        assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / math.sqrt(2000))
    # 50 groups: 49 degrees of freedom, whose variance of a variance is 2/49.
    assert np.var(squares) == pytest.approx(2 / 49, rel=4 * math.sqrt(2 / 2000) + 0.1)


def test_samples_that_lie_sorted_are_grouped_at_random():
    rng = np.random.default_rng(3)
    x = torch.from_numpy(np.sort(rng.normal(size=1000)))
    found = sum(e * e for e in grouped_errors(x)) * 1000
    # Blocks of sorted samples would give 20 times the variance, interleaved ones next to nothing.
    low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], 49) / 49 * float(x.var())
    assert low < found < high


def test_what_is_no_vector_of_numbers_is_refused():
    for bad in (torch.ones(1), torch.ones(3, 2), torch.tensor([1.0, torch.nan])):
        with pytest.raises(ValueError, match="influences"):
            grouped_errors(bad)
    with pytest.raises(ValueError, match="groups"):
        grouped_errors(torch.arange(5.0), groups=1)


def test_influences_of_a_kernel_distance_are_what_leaving_a_sample_out_changes():
    rng = np.random.default_rng(0)
    real, fake = (torch.from_numpy(rng.normal(m, 1.0, size=(40, 3))) for m in (0.0, 0.5))
    found = kernel_distance(real, fake)
    jackknifed = [found.value - kernel_distance(torch.cat([real[:i], real[i + 1 :]]), fake).value for i in range(40)]
    changed = torch.tensor(jackknifed, dtype=torch.float64) * 39
    influences = found.real_influences - found.real_influences.mean()
    assert torch.corrcoef(torch.stack([influences, changed]))[0, 1] > 0.999
    assert float((changed - changed.mean()).std()) == pytest.approx(float(influences.std()), rel=0.1)


@pytest.mark.parametrize(
    ("number", "a", "b", "shared", "narrower"),
    [
        ("kernel", FAR, FAR, BOTH, 0.5),
        ("kernel", NEAR, FAR, REALS, 0.97),
        ("precision", NEAR, NEAR, BOTH, 0.8),
        ("frechet", GOOD, NEAR, BOTH, 0.8),
    ],
)
def test_paired_intervals_hold_the_true_difference_and_are_narrower(number, a, b, shared, narrower):
    audits = {"precision": 60, "frechet": 150}.get(number, 200)
    (row,) = coverage(audits=audits, seed=5, cases=[Case(number, a, b, 150, shared)])
    # The bar is 93 %; so few hits as would come of 93 % once in a thousand simulations are a miss.
    assert stats.binom.cdf(row["held"], audits, 0.93) > 1e-3, row
    assert row["width_ratio"] < narrower, row
